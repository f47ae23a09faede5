"""The comparison behind `make bench`: cases, clients, rounds, and what is concluded from them."""
