"""Connections by the thousand, idleness, and ends of all kinds."""

import re
import time
import unittest

import harness
import resp
from suites.base import ServerTest


class Churn(ServerTest):
    limit = 240
    connections = 2000
    rounds = 10

    def test_connections_come_and_go_without_a_leak(self):
        """2,000 connections opened, used and closed, ten times over. What INFO calls in use returns to where it was."""
        with self.client() as control:
            before = None
            for turn in range(self.rounds):
                self.one_round(turn)
                if before is None:
                    before = self.settled(control)
                    resident = self.server.resident_bytes()
            after = self.settled(control)
        self.assertEqual(after["connections"], before["connections"])
        self.assertLess(abs(after["frames"] - before["frames"]), 64, "frames in use")
        growth = self.server.resident_bytes() - resident
        self.assertLess(growth, 32 << 20, "resident memory grew over nine rounds")

    def one_round(self, turn):
        clients = [self.client() for _ in range(self.connections)]
        try:
            for i, client in enumerate(clients):
                client.send(resp.encode("SET", f"k{i % 100}", turn) + resp.encode("ECHO", i))
            for i, client in enumerate(clients):
                self.assertEqual(client.reply(), "OK")
                self.assertEqual(client.reply(), str(i).encode())
        finally:
            for client in clients:
                client.close()

    def settled(self, control):
        """What the shards have in use, once the closed connections are gone. (redis-server tells nothing of the kind.)"""
        deadline = time.monotonic() + 10
        while True:
            info = self.info(control)
            counts = {"connections": 0, "frames": 0}
            for name, value in info.items():
                if re.fullmatch(r"shard\d+", name):
                    fields = {key: int(number) for key, number in re.findall(r"(\w+)=(\d+)", value)}
                    counts["connections"] += fields["connections"] + fields["kernel_connections"]
                    counts["frames"] += fields["frames"] - fields["frames_free"]
            # A client is gone before its connection: that waits for the last ACK.
            if info["connected_clients"] == "1" and counts["connections"] == 1 or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        self.assertEqual(info["connected_clients"], "1", control.call("CLIENT", "LIST").decode()[:2000])
        return counts


class SlowReaders(ServerTest):
    """Clients that ask for much and do not read: what waits for them is given back to the kernel when they leave."""
    readers = 12
    size = 32 << 20

    def test_memory_is_given_back(self):
        self.apus_only()
        with self.client() as control:
            self.assertEqual(control.call("SET", "large", b"x" * self.size), "OK")
            before = self.server.resident_bytes()
            readers = [self.client() for _ in range(self.readers)]
            for reader in readers:
                reader.send(resp.encode("GET", "large"))
            self.wait(lambda: self.server.resident_bytes() > before + self.readers * self.size // 2)
            self.wait(lambda: int(self.info(control)["used_memory"]) > self.readers * self.size // 2)
            # All but one leave; then that one reads.
            for reader in readers[1:]:
                reader.close()
            self.wait(lambda: self.server.resident_bytes() < before + 2 * self.size + (32 << 20))
            self.assertEqual(readers[0].reply(), b"x" * self.size)
            readers[0].close()
            self.wait(lambda: self.server.resident_bytes() < before + (32 << 20))
            self.wait(lambda: int(self.info(control)["used_memory_waiting"]) < 32 << 20)

    def wait(self, condition, limit=20):
        deadline = time.monotonic() + limit
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"resident: {self.server.resident_bytes() >> 20} MiB")
            time.sleep(0.05)


class Idle(ServerTest):
    def test_an_idle_server_sleeps(self):
        """It uses less than 2 % of a core in one of several spans. What earlier tests left it to do may last where others are
        busy, and time of interrupts and of a hypervisor is charged to whoever runs; but a server that does not sleep has
        no such span."""
        spans = []
        with self.client() as client:
            client.pipeline([("SET", f"k{i}", i, "EX", 100_000) for i in range(1000)])
            while len(spans) < 6:
                time.sleep(1)
                began, before = time.monotonic(), self.server.cpu_seconds()
                time.sleep(3)
                spans.append((self.server.cpu_seconds() - before) / (time.monotonic() - began))
                if spans[-1] < 0.02:
                    return
            # What it did instead.
            counters = {name: value for name, value in self.info(client).items()
                        if name.startswith(("cycles_", "loop_", "kernel_polls"))}
        self.fail(f"shares of a core: {spans}; {counters}")

    def test_it_wakes_up(self):
        with self.client() as client:
            for _ in range(5):
                time.sleep(0.3)
                started = time.monotonic()
                self.assertEqual(client.call("PING"), "PONG")
                self.assertLess(time.monotonic() - started, 0.2)


class Kill(unittest.TestCase):
    """SIGKILL, then the next start at once on the same interface."""

    def restarts(self, configuration):
        server = harness.Server(configuration)
        try:
            for _ in range(3):
                server.start()
                with server.namespace.entered(), resp.Client(server) as client:
                    self.assertEqual(client.call("SET", "k", "v"), "OK")
                    server.kill()
            interfaces = server.namespace.interfaces()
            if "server0" in interfaces:
                self.assertNotIn("xdp", interfaces["server0"])
                self.kernel_works_on(server)
            server.start()
            with server.namespace.entered(), resp.Client(server) as client:
                self.assertIsNone(client.call("GET", "k"))
            self.assertEqual(server.stop(), 0, server.log())
        finally:
            server.close()

    def kernel_works_on(self, server):
        """The kernel can use the interface as if nothing had been."""
        name = server.namespace.name
        other = harness.Namespace()
        try:
            harness.sh("ip", "-n", name, "link", "set", "server0", "netns", other.name)
            harness.sh("ip", "-n", other.name, "addr", "add", "10.78.0.3/24", "dev", "server0")
            harness.sh("ip", "-n", other.name, "link", "set", "server0", "up")
            harness.sh("ip", "netns", "exec", name, "ping", "-n", "-c", 3, "-i", 0.1, "-W", 2, "10.78.0.3")
            harness.sh("ip", "-n", other.name, "addr", "del", "10.78.0.3/24", "dev", "server0")
            harness.sh("ip", "-n", other.name, "link", "set", "server0", "netns", name)
            harness.sh("ip", "-n", name, "link", "set", "server0", "up")
        finally:
            other.delete()

    def test_auto(self):
        self.restarts(harness.Configuration("auto", 2))

    def test_xdp(self):
        self.restarts(harness.Configuration("xdp", 2))

    def test_packet(self):
        self.restarts(harness.Configuration("packet"))

    def test_tap(self):
        self.restarts(harness.Configuration("tap"))

    def test_kernel(self):
        self.restarts(harness.Configuration("kernel", 2))
