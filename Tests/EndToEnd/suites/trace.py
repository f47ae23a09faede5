"""`apus trace`: one command's way through a running server."""

import re
import subprocess

import harness
from suites.base import ServerTest


class Trace(ServerTest):
    def setUp(self):
        super().setUp()
        self.apus_only()

    def steps(self, *words):
        """The steps that `apus trace` prints for the command: time, shard, what was done; and the reply."""
        result = subprocess.run([harness.APUS, "trace", "--repeat", "20", "127.0.0.1:6379", *words], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
        self.assertEqual(result.returncode, 0, result.stdout)
        lines = result.stdout.splitlines()
        self.assertRegex(lines[0], r"^ +ns +step +shard$")
        found = [re.match(r" +(\d+) +(?:\+(\d+) +)?(\d+)  (.*)", line) for line in lines[1:-1]]
        self.assertTrue(all(found), result.stdout)
        return [(int(m[1]), int(m[3]), m[4]) for m in found], lines[-1]

    def test_one_command_step_by_step(self):
        steps, reply = self.steps("SET", "traced", "v")
        self.assertEqual(reply, "reply: OK")
        times = [time for time, _, _ in steps]
        self.assertEqual(times, sorted(times))
        self.assertEqual(times[0], 0)
        self.assertLess(times[-1], 5_000_000_000)
        done = [text for _, _, text in steps]
        self.assertRegex(done[0], "^epoll named")
        self.assertEqual(done[-1], "written to the socket")
        self.assertTrue(any(text.startswith("SET executed") for text in done), done)
        self.assertIn("a request of 3 words parsed", done)

    def test_over_two_shards(self):
        if self.configuration.shards < 2:
            self.skipTest("one shard")
        seen = set()
        for number in range(16):
            steps, _ = self.steps("GET", f"key{number}")
            shards = {shard for _, shard, _ in steps}
            done = [text for _, _, text in steps]
            if any("sent to shard" in text for text in done):
                self.assertEqual(shards, {0, 1})
                order = [next(i for i, text in enumerate(done) if re.search(what, text)) for what in
                         ("GET sent to", "GET taken from", "GET executed for", "the reply is back", "written to")]
                self.assertEqual(order, sorted(order), done)
            seen.add(len(shards))
            if seen == {1, 2}:
                return
        self.fail(f"of 16 keys all were on {seen} shard(s)")

    def test_is_refused_where_the_directive_says_so(self):
        if self.configuration.link == "kernel":
            self.skipTest("every client is local")
        with self.client() as client:
            self.assertIn("DEBUG command not allowed", client.call("DEBUG", "TRACE", "ON"))
