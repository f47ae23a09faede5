"""`apus bench` against servers: every reply verified, the fields of its JSON, and what it says when something is wrong."""

import json
import subprocess
import unittest

import harness

FIELDS = {"tool", "version", "time", "target", "client", "settings", "results"}
RESULT_FIELDS = {"name", "requests", "seconds", "rate", "intended_rate", "errors", "wrong", "bytes_sent", "bytes_received",
                 "connections", "reconnects", "latency_us", "histogram", "client"}
LATENCIES = ["min", "mean", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max"]


class Bench(unittest.TestCase):
    """Against Apus over kernel sockets and over its own stack, and against redis-server."""

    def bench(self, server, *options, status=0, link="kernel"):
        """Runs it beside the server; returns its JSON (or what it says, if it is to fail)."""
        command = [harness.APUS, "bench", "-h", server.host, "-p", server.port, "--json", "-", *options]
        if link != "kernel":
            command += ["--link", link, "--interface", "client0", "--address", "10.78.0.3/24"]
        with server.namespace.entered():
            result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True, timeout=60)
        self.assertEqual(result.returncode, status, result.stderr)
        return json.loads(result.stdout) if status == 0 else result.stderr

    def started(self, link):
        server = harness.Server(harness.Configuration(link))
        self.addCleanup(server.close)
        server.start()
        return server

    def verify_everything(self, server, link="kernel"):
        document = self.bench(server, "-t", "ping,set,get,incr,mixed", "-n", 20_000, "-P", 4, "-r", 1000, "-d", "40-3000",
                              "--verify", link=link)
        self.assertEqual(document.keys(), FIELDS)
        self.assertEqual(document["client"]["link"], link)
        names = [result["name"] for result in document["results"]]
        self.assertEqual(names, ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MIXED 1:10"])
        for result in document["results"]:
            self.assertLessEqual(RESULT_FIELDS, result.keys())
            self.assertEqual((result["requests"], result["errors"], result["wrong"]), (20_000, 0, 0))
            self.assertEqual((result["connections"], result["reconnects"]), (50, 0))
            latencies = [result["latency_us"][name] for name in LATENCIES]
            ordered = latencies[:1] + latencies[2:]
            self.assertEqual(ordered, sorted(ordered))
            self.assertEqual(result["histogram"][-1][1], 20_000)
            self.assertAlmostEqual(result["rate"] * result["seconds"], 20_000, delta=1)
            self.assertGreater(result["bytes_received"], 0)
            self.assertGreater(result["client"]["cpu_seconds"], 0)
        self.assertFalse(any("parts" in result for result in document["results"][:-1]))
        self.parts_are_the_whole(document["results"][-1])
        return document

    def parts_are_the_whole(self, result):
        parts = result["parts"]
        self.assertEqual([part["name"] for part in parts], ["SET", "GET"])
        for name in ("requests", "errors", "wrong"):
            self.assertEqual(sum(part[name] for part in parts), result[name])
        self.assertAlmostEqual(sum(part["rate"] for part in parts), result["rate"], delta=1)
        for part in parts:
            self.assertEqual(list(part["latency_us"]), LATENCIES)
            self.assertEqual(part["histogram"][-1][1], part["requests"])
        self.assertEqual(max(part["latency_us"]["max"] for part in parts), result["latency_us"]["max"])

    def test_against_redis(self):
        server = self.started("redis")
        document = self.verify_everything(server)
        self.assertTrue(document["target"]["server"].startswith("redis "))
        # Commands that Apus does not have yet: a test and a template.
        document = self.bench(server, "-n", 1000, "-t", "mset", "-r", 100, "--verify")
        self.assertEqual(document["results"][0]["wrong"], 0)
        document = self.bench(server, "-n", 1000, "-r", 10, "lpush", "list:__rand_int__", "__data__")
        self.assertEqual(document["results"][0]["errors"], 0)

    def test_errors_of_a_mix_are_those_of_their_command(self):
        """A server without memory refuses SET and answers GET."""
        server = self.started("redis")
        harness.sh("ip", "netns", "exec", server.namespace.name, "redis-cli", "config", "set", "maxmemory", "1")
        document = self.bench(server, "-t", "mixed", "--ratio", "1:1", "-n", 5000, "-P", 7, "-e")
        (result,) = document["results"]
        self.parts_are_the_whole(result)
        written, read = result["parts"]
        self.assertEqual((written["errors"], read["errors"]), (written["requests"], 0))
        with server.namespace.entered():
            lines = harness.sh(harness.APUS, "bench", "-t", "mixed", "-n", 100, "--csv", "-e").stdout.splitlines()
        self.assertEqual([line.split('"')[1] for line in lines if line.startswith('"')],
                         ["test", "MIXED 1:10", "MIXED 1:10 SET", "MIXED 1:10 GET"])

    def test_against_apus_over_kernel_sockets(self):
        server = self.started("kernel")
        document = self.verify_everything(server)
        self.assertTrue(document["target"]["server"].startswith("apus "))
        # An open loop sends as many as it was asked to, at that rate.
        document = self.bench(server, "-t", "get", "-c", 5, "-n", 500, "--rate", 1000)
        result = document["results"][0]
        self.assertEqual((result["requests"], result["intended_rate"]), (500, 1000))
        self.assertGreater(result["seconds"], 0.49)
        document = self.bench(server, "-t", "set", "-k", 0, "-n", 500)
        self.assertEqual(document["results"][0]["requests"], 500)
        told = self.bench(server, "-n", 10, "GET", status=1)
        self.assertIn("wrong number of arguments", told)

    def test_own_stack_on_both_ends(self):
        server = self.started("xdp")
        for link in ("xdp", "packet"):
            self.verify_everything(server, link)

    def test_several_addresses_share_a_link(self):
        server = self.started("xdp")
        for link in ("xdp", "packet"):
            document = self.bench(server, "-t", "set,get", "-n", 20_000, "-c", 500, "-d", 64, "-r", 100, "--verify",
                                  "--addresses", 7, link=link)
            for result in document["results"]:
                self.assertEqual((result["requests"], result["errors"], result["wrong"]), (20_000, 0, 0))

    def test_datagrams_to_a_bare_echo(self):
        namespace = harness.Namespace()
        self.addCleanup(namespace.delete)
        namespace.add_veth()
        with namespace.entered():
            echo = subprocess.Popen([harness.APUS, "echo", "--link", "xdp", "--interface", "server0", "--address",
                                     "10.78.0.2/24", "--reply-frame", "130"], stdout=subprocess.PIPE, text=True)
            self.addCleanup(echo.wait)
            self.addCleanup(echo.kill)
            self.assertIn(harness.READY, echo.stdout.readline())
            command = [harness.APUS, "bench", "-h", "10.78.0.2", "--link", "xdp", "--interface", "client0", "--address",
                       "10.78.0.3/24", "--udp-echo", "--request-frame", "111", "--reply-frame", "130", "-c", "20", "-n",
                       "20000", "--json", "-"]
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        (found,) = json.loads(result.stdout)["results"]
        self.assertEqual((found["name"], found["requests"], found["errors"]), ("UDP_ECHO", 20_000, 0))
        self.assertEqual(found["bytes_received"], 130 * found["client"]["segments_received"])

    def test_nobody_there(self):
        server = self.started("xdp")
        server.port = 1
        self.assertIn("Cannot connect to 10.78.0.2:1: nobody listens there.", self.bench(server, status=1))
        told = self.bench(server, link="packet", status=1)
        self.assertIn("Cannot connect to 10.78.0.2:1: it was refused", told)
        server.host = "10.78.0.77"
        self.assertIn("10.78.0.77:1", self.bench(server, link="packet", status=1))
        server.host = "no.such.name.invalid"
        self.assertIn("no known name", self.bench(server, status=1))
        self.assertIn("There is no test 'gett'", self.bench(server, "-t", "gett", status=1))
