"""redis-cli and redis-benchmark, as people use them."""

import os
import pty
import re
import select
import subprocess
import time

import resp
from suites.base import ServerTest

ENVIRONMENT = {**os.environ, "REDISCLI_HISTFILE": "/dev/null", "TERM": "dumb"}


class Cli(ServerTest):
    def cli(self, *words, **keywords):
        return self.tool("redis-cli", *self.address(), *words, **keywords)

    def test_plain(self):
        self.assertEqual(self.cli("set", "k", "v"), b"OK\n")
        self.assertEqual(self.cli("get", "k"), b"v\n")
        self.assertEqual(self.cli("-n", "3", "get", "k"), b"\n")
        self.assertEqual(self.cli("--no-raw", "strlen", "k"), b"(integer) 1\n")
        self.assertIn(b"ERR unknown command", self.cli("nosuch", "thing"))

    def test_resp3(self):
        self.assertEqual(self.cli("-3", "set", "k", "v"), b"OK\n")
        self.assertEqual(self.cli("-3", "--no-raw", "get", "none"), b"(nil)\n")

    def test_commands_from_standard_input(self):
        script = b"set a 1\nincr a\nget a\nselect 2\nget a\n"
        self.assertEqual(self.cli(stdin=script), b"OK\n2\n2\nOK\n\n")

    def test_last_argument_from_standard_input(self):
        value = os.urandom(1 << 20)
        self.assertEqual(self.cli("-x", "set", "big", stdin=value), b"OK\n")
        self.assertEqual(self.cli("get", "big"), value + b"\n")

    def test_interactive(self):
        """A person at a terminal: prompt, typed words, reply, SELECT in the prompt, exit."""
        master, slave = pty.openpty()
        process = subprocess.Popen(["redis-cli", *self.address()], stdin=slave, stdout=slave, stderr=slave,
                                   env=ENVIRONMENT, start_new_session=True)
        os.close(slave)
        seen = b""

        def expect(what):
            nonlocal seen
            deadline = time.monotonic() + 10
            while what not in seen:
                ready, _, _ = select.select([master], [], [], max(0, deadline - time.monotonic()))
                self.assertTrue(ready, f"no {what!r} in {seen!r}")
                seen += os.read(master, 65536)
            seen = seen[seen.index(what) + len(what):]

        try:
            prompt = f"{self.server.host}:{self.server.port}".encode()
            expect(prompt + b"> ")
            os.write(master, b'set greeting "hello world"\n')
            expect(b"OK")
            os.write(master, b"get greeting\n")
            expect(b'"hello world"')
            os.write(master, b"select 2\n")
            expect(b"[2]> ")
            os.write(master, b"get greeting\n")
            expect(b"(nil)")
            os.write(master, b"get\n")
            expect(b"ERR wrong number of arguments for 'get' command")
            os.write(master, b"exit\n")
            self.assertEqual(process.wait(10), 0)
        finally:
            process.kill()
            process.wait()
            os.close(master)

    def test_pipe(self):
        count = 100_000
        data = b"".join(resp.encode("SET", f"pipe:{i}", i) for i in range(count))
        output = self.cli("--pipe", stdin=data)
        self.assertIn(b"errors: 0, replies: %d" % count, output)
        with self.client() as client:
            self.assertEqual(client.call("DBSIZE"), count)
            self.assertEqual(client.call("GET", "pipe:99999"), b"99999")

    def test_latency(self):
        output = self.cli("--raw", "--latency").split()
        self.assertEqual(len(output), 4, output)
        self.assertGreater(int(output[3]), 20)

    def test_benchmark_pipelined(self):
        self.benchmark("-n", 100_000, "-c", 50, "-P", 16)

    def test_benchmark_unpipelined(self):
        self.benchmark("-n", 10_000, "-c", 50)

    def test_benchmark_one_connection(self):
        self.benchmark("-n", 1_000, "-c", 1, "-d", 1000)

    def test_benchmark_random_keys(self):
        self.benchmark("-n", 50_000, "-c", 20, "-P", 8, "-r", 100_000)

    def benchmark(self, *words):
        output = self.tool("redis-benchmark", *self.address(), "-t", "set,get", "--csv", *words).decode()
        rows = re.findall(r'^"(SET|GET)","([\d.]+)"', output, re.MULTILINE)
        self.assertEqual([row[0] for row in rows], ["SET", "GET"], output)
        self.assertTrue(all(float(row[1]) > 0 for row in rows), output)
