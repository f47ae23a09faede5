"""What an operator can see of the network: INFO's counters, of all shards and of each, and each client's connection."""

import re

from suites.base import ServerTest

# CLIENT LIST's fields as redis-server 7 has them, and Apus's behind them.
REDIS_FIELDS = ("id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl oll "
                "omem tot-mem events cmd user redir resp lib-name lib-ver").split()
OWN_FIELDS = "tcp-state rtt rttvar rto cwnd ssthresh mss snd-wnd rcv-wnd unacked unsent unread ooo retrans backoff".split()


def fields(line):
    return dict(word.split("=", 1) for word in line.split(" "))


class Statistics(ServerTest):
    def setUp(self):
        super().setUp()
        self.apus_only()

    def test_client_list_tells_how_the_connection_does(self):
        value = b"v" * 300_000
        with self.client() as client:
            client.call("SET", "k", value)
            for _ in range(5):
                self.assertEqual(client.call("GET", "k"), value)
            lines = client.call("CLIENT", "LIST").decode().splitlines()
            mine = client.call("CLIENT", "INFO").decode().strip()
        for line in [*lines, mine]:
            self.assertEqual([word.split("=")[0] for word in line.split(" ")], REDIS_FIELDS + OWN_FIELDS)
        seen = fields(mine)
        self.assertEqual(seen["tcp-state"], "established")
        self.assertTrue(1 <= int(seen["rtt"]) < 2_000_000, seen)
        self.assertGreaterEqual(int(seen["rto"]), int(seen["rtt"]))
        self.assertTrue(500 <= int(seen["mss"]) <= 65_535, seen)
        self.assertGreaterEqual(int(seen["cwnd"]), int(seen["mss"]))
        self.assertGreater(int(seen["snd-wnd"]), 0)
        self.assertGreater(int(seen["rcv-wnd"]), 0)
        self.assertEqual((seen["unsent"], seen["backoff"]), ("0", "0"))

    def test_a_client_that_does_not_read_is_seen(self):
        value = b"v" * 30_000_000
        with self.client() as client, self.client() as lazy:
            number = lazy.call("CLIENT", "ID")
            client.call("SET", "k", value)
            lazy.send(b"GET k\r\n")
            for _ in range(100):
                seen = fields(client.call("CLIENT", "LIST", "ID", number).decode().strip())
                if int(seen["unsent"]) > 1_000_000:
                    break
            self.assertGreater(int(seen["unsent"]), 1_000_000)
            self.assertGreaterEqual(int(seen["omem"]), 1_000_000)

    def test_each_shard_on_request(self):
        with self.client() as client:
            names = [name for name in self.info(client, "default")]
            self.assertFalse([name for name in names if re.search(r"_shard\d", name)])
            info = self.info(client)
            shards = self.configuration.shards
            for section, total in (("tcp", "tcp_established"), ("network", "frames_total")):
                lines = [info[f"{section}_shard{shard}"] for shard in range(shards)]
                self.assertNotIn(f"{section}_shard{shards}", info)
                sums = sum(int(re.search(rf"\b{total}=(\d+)", line)[1]) for line in lines)
                self.assertEqual(sums, int(info[total]))

    def test_counters_of_our_stack(self):
        self.own_stack_only()
        with self.client() as client:
            before = self.info(client, "tcp")
            for _ in range(100):
                client.call("PING")
            after = self.info(client, "tcp")
        self.assertTrue(all(name.startswith("tcp_") for name in after))
        for name in ("tcp_segments_received", "tcp_segments_sent"):
            self.assertGreaterEqual(int(after[name]) - int(before[name]), 100, name)
        for name in ("tcp_retransmissions", "tcp_timeouts", "tcp_challenge_acks", "tcp_bad_checksum", "tcp_out_of_order"):
            self.assertIn(name, after)
