"""The report of a comparison: charts by matplotlib as inline SVG, on one HTML page that needs nothing else."""
