"""Values of 0 bytes to 64 MiB through every command that carries one, by redis-py and by hiredis."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import redis

from suites.base import ServerTest

SIZES = [0, 1, 1 << 20, 64 << 20]
SOURCE = pathlib.Path(__file__).parent / "hiredis_client.c"


class Values(ServerTest):
    limit = 240

    def test_redis_py(self):
        for size in SIZES:
            with self.subTest(size=size):
                self.round(size)

    def round(self, size):
        value = os.urandom(size)
        other = os.urandom(size)
        with redis.Redis(self.server.host, self.server.port, socket_timeout=60) as r:
            self.addCleanup(r.connection_pool.disconnect)
            self.assertTrue(r.set("v", value))
            self.assertEqual(r.strlen("v"), size)
            self.assertTrue(r.get("v") == value)
            self.assertTrue(r.echo(value) == value)
            self.assertTrue(r.set("v", other, get=True) == value)
            self.assertTrue(r.getset("v", value) == other)
            self.assertTrue(r.getex("v", ex=100) == value)
            self.assertTrue(r.getrange("v", 0, -1) == value)
            self.assertTrue(r.getrange("v", size // 2, size) == value[size // 2:])
            self.assertEqual(r.append("v", other), 2 * size)
            self.assertTrue(r.getrange("v", size, -1) == other)
            self.assertEqual(r.setrange("w", 3, value), 3 + size if size else 0)
            self.assertTrue(r.get("w") == (b"\0\0\0" + value if size else None))
            self.assertTrue(r.setex("x", 100, value))
            self.assertTrue(r.psetex("y", 100_000, value))
            self.assertTrue(r.setnx("z", value))
            self.assertFalse(r.setnx("z", other))
            self.assertTrue(r.getdel("z") == value)
            self.assertIsNone(r.get("z"))
            self.assertTrue(r.get("x") == value)
            self.assertTrue(r.get("y") == value)
            self.assertEqual(r.delete("v", "x"), 2)
            self.assertEqual(r.unlink("y"), 1)

    def test_key_sizes(self):
        with self.client() as client:
            for size in (0, 1, 63, 64, 1500, 65536, 1 << 20):
                key = b"k" * size
                self.assertEqual(client.call("SET", key, size), "OK")
                self.assertEqual(client.call("GET", key), str(size).encode())
            self.assertEqual(client.call("DBSIZE"), 7)

    def test_every_size_around_a_segment(self):
        with self.client() as client:
            sizes = [*range(1380, 1540), *range(2880, 2960), 4095, 4096, 4097, 16383, 16384, 65535, 65536, 65537]
            for size in sizes:
                value = os.urandom(size)
                self.assertEqual(client.call("SET", "k", value), "OK")
                self.assertTrue(client.call("GET", "k") == value, size)

    def test_slow_reader_of_a_large_value(self):
        """While one client does not read its 64 MiB, the others are served."""
        value = os.urandom(64 << 20)
        with self.client(60) as slow, self.client() as other:
            self.assertEqual(slow.call("SET", "large", value), "OK")
            slow.send(b"GET large\r\n")
            for i in range(1000):
                self.assertEqual(other.call("SET", f"k{i}", i), "OK")
            self.assertTrue(slow.reply() == value)

    def test_hiredis(self):
        folder = tempfile.mkdtemp(prefix="apus-e2e-")
        try:
            program = pathlib.Path(folder) / "client"
            flags = subprocess.run(["pkg-config", "--cflags", "--libs", "hiredis"], stdout=subprocess.PIPE, text=True,
                                   check=True).stdout.split()
            self.tool("gcc", "-O1", "-Wall", "-Werror", "-o", program, SOURCE, *flags)
            self.tool(program, self.server.host, self.server.port, *SIZES, timeout=200)
        finally:
            shutil.rmtree(folder)
