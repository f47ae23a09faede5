"""Every command, by redis-py in RESP2 and by raw sockets in RESP3: what it does, with options and errors."""

import math
import time

import redis

from resp import ErrorReply
from suites.base import ServerTest


class RedisPy(ServerTest):
    def setUp(self):
        super().setUp()
        self.r = redis.Redis(self.server.host, self.server.port, socket_timeout=20)
        self.addCleanup(self.r.connection_pool.disconnect)

    def test_connection(self):
        r = self.r
        self.assertTrue(r.ping())
        self.assertEqual(r.echo("x"), b"x")
        with self.client() as client:
            self.assertEqual(client.call("PING", "hi"), b"hi")
            hello = client.call("HELLO", 3, "SETNAME", "me")
            self.assertEqual(hello[b"server"], b"redis")
            self.assertEqual(hello[b"proto"], 3)
            self.assertEqual(hello[b"mode"], b"standalone")
            self.assertEqual(client.call("CLIENT", "GETNAME"), b"me")
            self.assertEqual(client.call("SELECT", 5), "OK")
            self.assertEqual(client.call("SET", "k", "v"), "OK")
            self.assertEqual(client.call("RESET"), "RESET")
            self.assertIsNone(client.call("GET", "k"))
            self.assertIn(client.call("CLIENT", "GETNAME"), (None, b""))
            self.assertTrue(client.call("HELLO", 4).startswith("NOPROTO"))
            self.assertIsInstance(client.call("HELLO", "x"), ErrorReply)
            self.assertEqual(client.call("QUIT"), "OK")
            self.assertEqual(client.rest(), b"")

    def test_set_options(self):
        r = self.r
        self.assertTrue(r.set("k", "1"))
        self.assertIsNone(r.set("k", "2", nx=True))
        self.assertTrue(r.set("k", "2", xx=True))
        self.assertIsNone(r.set("none", "2", xx=True))
        self.assertEqual(r.set("k", "3", get=True), b"2")
        self.assertTrue(r.set("k", "4", ex=100))
        self.assertEqual(r.ttl("k"), 100)
        self.assertTrue(r.set("k", "5", keepttl=True))
        self.assertEqual(r.ttl("k"), 100)
        self.assertTrue(r.set("k", "6"))
        self.assertEqual(r.ttl("k"), -1)
        self.assertTrue(r.set("k", "7", px=100_000))
        self.assertTrue(99_000 < r.pttl("k") <= 100_000)
        soon = int(time.time()) + 1000
        self.assertTrue(r.set("k", "8", exat=soon))
        self.assertEqual(r.execute_command("EXPIRETIME", "k"), soon)
        self.assertTrue(r.set("k", "9", pxat=soon * 1000 + 7))
        self.assertEqual(r.execute_command("PEXPIRETIME", "k"), soon * 1000 + 7)
        self.assertEqual(r.set("k", "10", nx=True, get=True), b"9")
        for words in (("EX", "0"), ("EX", "-1"), ("EX", "x"), ("EX", "1", "PX", "1"), ("NX", "XX"), ("FOO",),
                      ("EX", "1", "KEEPTTL"), ("EX",), ("EX", "9223372036854775807")):
            with self.assertRaises(redis.ResponseError, msg=words):
                r.execute_command("SET", "k", "v", *words)
        self.assertEqual(r.get("k"), b"9")

    def test_set_variants(self):
        r = self.r
        self.assertTrue(r.setnx("a", "1"))
        self.assertFalse(r.setnx("a", "2"))
        self.assertTrue(r.setex("b", 50, "x"))
        self.assertEqual(r.ttl("b"), 50)
        self.assertTrue(r.psetex("c", 50_000, "y"))
        self.assertEqual(r.ttl("c"), 50)
        with self.assertRaises(redis.ResponseError):
            r.setex("b", 0, "x")
        self.assertEqual(r.getset("a", "3"), b"1")
        self.assertIsNone(r.getset("new", "3"))
        self.assertEqual(r.getdel("a"), b"3")
        self.assertIsNone(r.getdel("a"))
        self.assertEqual(r.getex("b"), b"x")
        self.assertEqual(r.ttl("b"), 50)
        self.assertEqual(r.getex("b", persist=True), b"x")
        self.assertEqual(r.ttl("b"), -1)
        self.assertEqual(r.getex("b", px=40_000), b"x")
        self.assertEqual(r.ttl("b"), 40)
        self.assertIsNone(r.getex("none", ex=10))

    def test_strings(self):
        r = self.r
        self.assertEqual(r.append("s", "Hello"), 5)
        self.assertEqual(r.append("s", " World"), 11)
        self.assertEqual(r.strlen("s"), 11)
        self.assertEqual(r.strlen("none"), 0)
        for start, end in ((0, 4), (-5, -1), (0, -1), (5, 100), (-100, 3), (7, 3), (100, 200), (-1, -5)):
            self.assertEqual(r.getrange("s", start, end), python_range(b"Hello World", start, end))
        self.assertEqual(r.setrange("s", 6, "Redis"), 11)
        self.assertEqual(r.get("s"), b"Hello Redis")
        self.assertEqual(r.setrange("s", 15, "!"), 16)
        self.assertEqual(r.get("s"), b"Hello Redis\0\0\0\0!")
        self.assertEqual(r.setrange("none", 5, ""), 0)
        self.assertFalse(r.exists("none"))
        with self.assertRaises(redis.ResponseError):
            r.setrange("s", -1, "x")
        with self.assertRaises(redis.ResponseError):
            r.setrange("s", 1 << 29, "x")
        r.expire("s", 100)
        r.append("s", "x")
        self.assertEqual(r.ttl("s"), 100)

    def test_numbers(self):
        r = self.r
        self.assertEqual(r.incr("n"), 1)
        self.assertEqual(r.incrby("n", 41), 42)
        self.assertEqual(r.decr("n"), 41)
        self.assertEqual(r.decrby("n", 50), -9)
        r.set("n", (1 << 63) - 1)
        with self.assertRaisesRegex(redis.ResponseError, "increment or decrement would overflow"):
            r.incr("n")
        r.set("n", -(1 << 63))
        with self.assertRaisesRegex(redis.ResponseError, "increment or decrement would overflow"):
            r.decr("n")
        with self.assertRaisesRegex(redis.ResponseError, "would overflow|not an integer"):
            r.execute_command("DECRBY", "n", -(1 << 63))
        for text in ("x", "", " 1", "1 ", "01", "1.0", "+1", "9223372036854775808"):
            r.set("n", text)
            with self.assertRaisesRegex(redis.ResponseError, "not an integer or out of range", msg=text):
                r.incr("n")
        r.set("f", "10.50")
        self.assertEqual(float(r.incrbyfloat("f", 0.1)), 10.6)
        self.assertEqual(r.get("f"), b"10.6")
        self.assertEqual(float(r.execute_command("INCRBYFLOAT", "f", "-5.0e3")), -4989.4)
        r.set("f", "3")
        r.incrbyfloat("f", 1)
        self.assertEqual(r.get("f"), b"4")
        with self.assertRaisesRegex(redis.ResponseError, "not a valid float"):
            r.execute_command("INCRBYFLOAT", "f", "x")
        with self.assertRaisesRegex(redis.ResponseError, "NaN or Infinity"):
            r.execute_command("INCRBYFLOAT", "f", "inf")
        self.assertTrue(math.isclose(float(r.execute_command("INCRBYFLOAT", "g", "1e10")), 1e10))

    def test_keys(self):
        r = self.r
        for key in ("a", "b", "c"):
            r.set(key, 1)
        self.assertEqual(r.exists("a", "a", "none", "b"), 3)
        self.assertEqual(r.type("a"), b"string")
        self.assertEqual(r.type("none"), b"none")
        self.assertEqual(r.delete("a", "none", "a"), 1)
        self.assertEqual(r.unlink("b", "none"), 1)
        self.assertEqual(r.touch("c", "none"), 1)
        self.assertEqual(r.dbsize(), 1)
        self.assertTrue(r.flushdb())
        self.assertEqual(r.dbsize(), 0)
        self.assertTrue(r.flushall(asynchronous=True))

    def test_expiry(self):
        r = self.r
        r.set("k", "v")
        self.assertEqual(r.ttl("none"), -2)
        self.assertEqual(r.pttl("none"), -2)
        self.assertEqual(r.ttl("k"), -1)
        self.assertEqual(r.execute_command("EXPIRETIME", "k"), -1)
        self.assertEqual(r.execute_command("PEXPIRETIME", "none"), -2)
        self.assertFalse(r.expire("none", 10))
        for option, seconds, expected in (("XX", 10, 0), ("GT", 10, 0), ("LT", 100, 1), ("NX", 50, 0), ("XX", 60, 1),
                                          ("GT", 50, 0), ("GT", 70, 1), ("LT", 80, 0), ("LT", 20, 1)):
            self.assertEqual(r.execute_command("EXPIRE", "k", seconds, option), expected, (option, seconds))
        self.assertEqual(r.ttl("k"), 20)
        self.assertTrue(r.persist("k"))
        self.assertFalse(r.persist("k"))
        self.assertTrue(r.pexpire("k", 30_000))
        self.assertEqual(r.ttl("k"), 30)
        soon = int(time.time()) + 500
        self.assertTrue(r.expireat("k", soon))
        self.assertEqual(r.execute_command("EXPIRETIME", "k"), soon)
        self.assertTrue(r.pexpireat("k", soon * 1000 + 1))
        self.assertEqual(r.execute_command("PEXPIRETIME", "k"), soon * 1000 + 1)
        self.assertTrue(r.expire("k", -1))
        self.assertFalse(r.exists("k"))
        r.set("k", "v", px=50)
        self.assertEqual(r.get("k"), b"v")
        time.sleep(0.08)
        self.assertIsNone(r.get("k"))
        self.assertEqual(r.ttl("k"), -2)
        r.set("k", "v")
        for words in (("x",), ("10", "FOO"), ("10", "NX", "XX"), ("10", "GT", "LT"), ("9223372036854775807",)):
            with self.assertRaises(redis.ResponseError, msg=words):
                r.execute_command("EXPIRE", "k", *words)

    def test_info_and_time(self):
        info = self.r.info()
        for name in ("redis_version", "tcp_port", "uptime_in_seconds", "connected_clients", "used_memory",
                     "total_commands_processed", "keyspace_hits"):
            self.assertIn(name, info)
        self.r.set("k", "v", ex=100)
        self.r.set("l", "v")
        self.assertEqual(self.r.info("keyspace")["db0"]["keys"], 2)
        self.assertEqual(self.r.info("keyspace")["db0"]["expires"], 1)
        self.assertNotIn("db0", self.r.info("server"))
        seconds, micros = self.r.time()
        self.assertLess(abs(seconds + micros / 1e6 - time.time()), 2)

    def test_config(self):
        r = self.r
        self.assertEqual(r.config_get("port")["port"], str(self.server.port))
        before = r.config_get("timeout")["timeout"]
        self.assertTrue(r.config_set("timeout", "1234"))
        self.assertEqual(r.config_get("timeout"), {"timeout": "1234"})
        r.config_set("timeout", before)
        self.assertGreater(len(r.config_get("*")), 10)
        self.assertEqual(r.config_get("nosuch"), {})
        with self.assertRaises(redis.ResponseError):
            r.config_set("nosuch", "1")
        with self.assertRaises(redis.ResponseError):
            r.config_set("timeout", "x")

    def test_command(self):
        r = self.r
        count = r.command_count()
        self.assertGreater(count, 45)
        self.assertEqual(r.command_getkeys("SET", "k", "v"), ["k"])
        self.assertEqual(r.command_getkeys("DEL", "a", "b"), ["a", "b"])
        with self.client() as client:
            self.assertGreaterEqual(len(client.call("COMMAND", "LIST")), count)
            get, none = client.call("COMMAND", "INFO", "get", "nosuch")
            self.assertEqual(get[:2] + get[3:6], [b"get", 2, 1, 1, 1])
            self.assertIn("readonly", [str(flag) for flag in get[2]])
            self.assertIsNone(none)
            docs = client.call("COMMAND", "DOCS", "get")
            self.assertEqual(docs[0], b"get")
            self.assertIn(b"summary", docs[1])

    def test_client(self):
        with self.client() as client, self.client() as other:
            number = client.call("CLIENT", "ID")
            self.assertGreater(other.call("CLIENT", "ID"), 0)
            self.assertNotEqual(other.call("CLIENT", "ID"), number)
            self.assertEqual(client.call("CLIENT", "SETNAME", "tester"), "OK")
            self.assertEqual(client.call("CLIENT", "GETNAME"), b"tester")
            self.assertIsInstance(client.call("CLIENT", "SETNAME", "with space"), ErrorReply)
            info = client.call("CLIENT", "INFO").decode()
            self.assertIn(f"id={number} ", info)
            self.assertIn(" name=tester ", info)
            listing = other.call("CLIENT", "LIST").decode()
            self.assertIn(" name=tester ", listing)
            self.assertGreaterEqual(len(listing.splitlines()), 2)
            self.assertEqual(client.call("CLIENT", "NO-EVICT", "ON"), "OK")
            client.send(b"CLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\nPING\r\nECHO x\r\n")
            self.assertEqual([client.reply(), client.reply()], ["OK", b"x"])
            self.assertEqual(other.call("CLIENT", "KILL", "ID", number), 1)
            self.assertEqual(client.rest(), b"")
            self.assertEqual(other.call("CLIENT", "KILL", "ID", number), 0)

    def test_client_since_7_2(self):
        self.apus_only()
        with self.client() as client:
            self.assertEqual(client.call("CLIENT", "SETINFO", "LIB-NAME", "e2e"), "OK")
            self.assertEqual(client.call("CLIENT", "SETINFO", "LIB-VER", "1.0"), "OK")
            self.assertIn("lib-name=e2e", client.call("CLIENT", "INFO").decode())
            self.assertEqual(client.call("CLIENT", "NO-TOUCH", "ON"), "OK")

    def test_select(self):
        with self.client() as client:
            for number in (0, 1, 15):
                self.assertEqual(client.call("SELECT", number), "OK")
                self.assertEqual(client.call("SET", "k", number), "OK")
            for number in (0, 1, 15):
                client.call("SELECT", number)
                self.assertEqual(client.call("GET", "k"), str(number).encode())
            self.assertEqual(client.call("SELECT", 16), "ERR DB index is out of range")
            self.assertIsInstance(client.call("SELECT", "x"), ErrorReply)

    def test_pipelines_of_redis_py(self):
        with self.r.pipeline(transaction=False) as pipe:
            for i in range(1000):
                pipe.set(f"k{i}", i).incr(f"k{i}").get(f"k{i}")
            replies = pipe.execute()
        for i in range(1000):
            self.assertEqual(replies[3 * i:3 * i + 3], [True, i + 1, str(i + 1).encode()])


def python_range(value, start, end):
    """GETRANGE as its documentation says."""
    size = len(value)
    if start < 0 and end < 0 and start > end:
        return b""
    start = max(start + size, 0) if start < 0 else start
    end = max(end + size, 0) if end < 0 else min(end, size - 1)
    return value[start:end + 1] if start <= end else b""
