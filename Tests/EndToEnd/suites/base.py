"""What all suites share."""

import subprocess
import unittest

import resp

# The server under test; set by run.py.
current = None


class ServerTest(unittest.TestCase):
    """A test against the running server. It starts with empty databases and ends with a server that still answers."""

    def setUp(self):
        self.server = current
        self.configuration = current.configuration
        self.assertTrue(current.alive(), "the server has ended")
        with self.client() as client:
            self.assertEqual(client.call("FLUSHALL"), "OK")

    def tearDown(self):
        self.assertTrue(current.alive(), "the server has ended:\n" + current.log()[-3000:])
        with self.client() as client:
            self.assertEqual(client.call("PING"), "PONG")

    def client(self, timeout=20):
        return resp.Client(self.server, timeout)

    def apus_only(self):
        if not self.configuration.is_apus:
            self.skipTest("defined for Apus only")

    def own_stack_only(self):
        if not self.configuration.own_stack:
            self.skipTest("needs our own stack")

    def tool(self, *command, timeout=60, stdin=b"", check=True):
        """Runs a client program; returns its standard output as bytes."""
        result = subprocess.run([str(word) for word in command], input=stdin, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=timeout)
        if check:
            self.assertEqual(result.returncode, 0, f"{command}: {result.stdout[-2000:]!r} {result.stderr[-2000:]!r}")
        return result.stdout

    def address(self):
        return ["-h", self.server.host, "-p", str(self.server.port)]

    def info(self, client, section="everything"):
        text = client.call("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


class Stop(unittest.TestCase):
    """Comes last: SIGTERM ends the server with status 0 and removes what it made."""

    def test_sigterm(self):
        status = current.stop()
        self.assertEqual(status, 0, current.log()[-2000:])
        self.assertNotIn("Fatal error", current.log())
        left = current.namespace.interfaces()
        for name in ("apus0", "apus1", "aputap0"):
            self.assertNotIn(name, left)
        if "server0" in left:
            self.assertNotIn("xdp", left["server0"], "an XDP program stayed attached")
