"""A bad network between client and server: `apus bridge` between two veth pairs. Every byte is compared."""

import pathlib
import re
import sys
import unittest

import harness

sys.path.insert(0, str(pathlib.Path(harness.ROOT) / "perf"))
import badnet  # noqa: E402

BAD = ["--delay", "2ms", "--loss", 2, "--reorder", 4, "--duplicate", 2, "--corrupt", 1]


class BadNetwork(unittest.TestCase):
    def run_over(self, contender, network, workloads):
        with badnet.Lane() as lane:
            lane.start(contender, network, seed=20)
            for workload, *options in workloads:
                told = lane.run_client(workload, "--stall", 20, *options, timeout=60)
                self.assertTrue(told["ok"], f"{contender} {workload}: {told.get('error')}")
            told = lane.finish()
            self.assertIsNone(lane.process.poll(), "the server has ended")
            return told

    def test_every_byte_arrives(self):
        """Lost, overtaken, repeated and damaged frames in both directions."""
        told = self.run_over("xdp", BAD, [
            ("set", "--size", 1 << 20), ("verify", "--local", "--size", 1 << 20), ("get", "--size", 1 << 20),
            ("mixed", "--count", 8), ("requests", "--count", 30, "--connections", 8)])
        for side in ("forward", "backward"):
            counters = told["bridge"][side]
            for fault in ("lost", "reordered", "duplicated", "corrupted"):
                self.assertGreater(counters[fault], 0, f"{side} {fault}")
            for drop in ("ring_drops", "transmit_drops", "tail_drops"):
                self.assertEqual(counters[drop], 0, f"{side} {drop}")
        self.assertGreater(told["bridge"]["backward"]["tcp_resent_segments"], 0)

    def test_packet_link(self):
        self.run_over("packet", BAD, [("set", "--size", 300_000), ("get", "--size", 300_000)])

    def test_the_bridge_keeps_its_promises(self):
        """Delay one way; a share that is lost; the same seed loses the same frames."""
        with badnet.Lane() as lane:
            lost = [self.ping(lane, seed) for seed in (5, 5, 6)]
            self.assertEqual(lost[0], lost[1])
            self.assertNotEqual(lost[0], lost[2])

    def ping(self, lane, seed):
        """Numbers of the echo requests without a reply, of 200."""
        lane.start("kernel", ["--delay", "5ms", "--loss", "20,0"], seed)
        try:
            output = lane.inside(lane.client, "ping", "-n", "-c", 200, "-i", 0.002, "-W", 1, badnet.SERVER)
            bridge = lane.finish()["bridge"]
        finally:
            lane.stop()
        times = {int(number): float(took) for number, took in re.findall(r"icmp_seq=(\d+) .*time=([\d.]+)", output)}
        missing = set(range(1, 201)) - set(times)
        self.assertEqual(bridge["forward"]["lost"], len(missing))
        self.assertEqual(bridge["backward"]["lost"], 0)
        self.assertTrue(20 <= len(missing) <= 60, missing)
        self.assertGreaterEqual(min(times.values()), 9.9)
        self.assertLess(sorted(times.values())[len(times) // 2], 13)
        return missing
