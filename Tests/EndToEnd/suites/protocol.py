"""RESP at the level of bytes: any split, bad input, impatient and rude clients."""

import random
import socket
import struct
import threading
import time

import resp
from suites.base import ServerTest

# What a client sends, and the error after which the server closes.
ERRORS = [
    (b"*1\r\n$-2\r\n", "invalid bulk length"),
    (b"*1\r\n$-1\r\n", "invalid bulk length"),
    (b"*2\r\n$3\r\nGET\r\n$9223372036854775808\r\n", "invalid bulk length"),
    (b"*2\r\n$3\r\nGET\r\n$9223372036854775807\r\n", "invalid bulk length"),
    (b"*2\r\n$3\r\nGET\r\n$1073741824\r\n", "invalid bulk length"),
    (b"*2\r\n$3\r\nGET\r\n$abc\r\n", "invalid bulk length"),
    (b"*2\r\n$3\r\nGET\r\n$\r\n", "invalid bulk length"),
    (b"*2\r\n$3\r\nGET\r\n+3\r\n", "expected '$', got '+'"),
    (b"*1\r\n:5\r\n", "expected '$', got ':'"),
    (b"*abc\r\n", "invalid multibulk length"),
    (b"*9223372036854775808\r\n", "invalid multibulk length"),
    (b"*2147483648\r\n", "invalid multibulk length"),
    (b'SET k "unbalanced\r\n', "unbalanced quotes in request"),
    (b"SET k 'a'b\r\n", "unbalanced quotes in request"),
    (b"A" * 1_000_000, "too big inline request"),
    (b"*" + b"1" * 70_000, "too big mbulk count string"),
    (b"*1\r\n$" + b"1" * 70_000, "too big bulk count string"),
]

PIPELINE = [
    ("SET", "alpha", "1"), ("GET", "alpha"), ("INCR", "alpha"), ("APPEND", "beta", "x" * 30), ("GET", "beta"),
    ("GETRANGE", "beta", "1", "3"), ("EXISTS", "alpha", "beta", "gamma"), ("NOSUCH", "a"), ("GET",), ("PING",),
    ("ECHO", "\r\n$5\r\n*1\r\n"), ("SET", "", ""), ("GET", ""), ("DEL", "alpha", "beta", ""),
]


class Protocol(ServerTest):
    def test_errors_close_the_connection(self):
        with self.client() as bystander:
            for data, text in ERRORS:
                with self.subTest(data=data[:40]), self.client() as client:
                    try:
                        client.send(b"PING\r\n" + data)
                    except (ConnectionResetError, BrokenPipeError):
                        pass  # the server may close before all has been sent
                    self.assertEqual(client.reply(), "PONG")
                    self.assertEqual(client.reply(), f"ERR Protocol error: {text}")
                    self.assertEqual(client.rest(), b"")
                self.assertEqual(bystander.call("PING"), "PONG")

    def test_harmless_oddities(self):
        """Empty lines, empty arrays, negative counts and bare newlines are skipped; inline quoting works."""
        with self.client() as client:
            client.send(b"\r\n\n\r\n*0\r\n*-1\r\n*-5\r\nPING\r\nping\nECHO \"a\\x41\\n\"\r\n  ECHO   'b c'  \r\n")
            self.assertEqual([client.reply() for _ in range(4)], ["PONG", "PONG", b"aA\n", b"b c"])

    def test_split_at_every_byte(self):
        data = b"".join(resp.encode(*words) for words in PIPELINE) + b"PING\r\nECHO \"in line\"\r\n"
        count = len(PIPELINE) + 2
        with self.client() as client:
            client.send(data)
            expected = [client.raw() for _ in range(count)]
            for split in range(1, len(data)):
                client.send(data[:split])
                if split % 7 == 0:
                    time.sleep(0.001)
                client.send(data[split:])
                self.assertEqual([client.raw() for _ in range(count)], expected, f"split at {split}")

    def test_one_byte_at_a_time(self):
        data = b"".join(resp.encode(*words) for words in PIPELINE)
        with self.client() as client:
            client.send(data)
            expected = [client.raw() for _ in PIPELINE]
            for byte in data:
                client.send(bytes([byte]))
            self.assertEqual([client.raw() for _ in PIPELINE], expected)

    def test_random_bytes(self):
        randomness = random.Random(7)
        with self.client() as bystander:
            for i in range(200):
                with self.client() as client:
                    start = randomness.choice([b"", b"*", b"*3\r\n$3\r\nSET\r\n$", b"$", b"*2\r\n"])
                    try:
                        client.send(start + randomness.randbytes(randomness.choice([1, 10, 100, 5000, 100_000])))
                    except OSError:
                        pass
                if i % 10 == 0:
                    self.assertEqual(bystander.call("PING"), "PONG")

    def test_truncated_then_closed(self):
        data = b"".join(resp.encode(*words) for words in PIPELINE)
        for end in range(1, len(data), 5):
            with self.client() as client:
                client.send(data[:end])
                if end % 2:  # RST instead of FIN
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def test_replies_before_a_half_close_arrive(self):
        with self.client() as client:
            client.send(resp.encode("SET", "k", "v" * 1000) + resp.encode("GET", "k") * 50)
            client.reply()
            client.socket.shutdown(socket.SHUT_WR)
            for _ in range(50):
                self.assertEqual(client.reply(), b"v" * 1000)
            self.assertEqual(client.rest(), b"")

    def test_quit(self):
        with self.client() as client:
            client.send(b"PING\r\nQUIT\r\nPING\r\n")
            self.assertEqual(client.rest(), b"+PONG\r\n+OK\r\n")

    def test_a_long_pipeline_read_late(self):
        """40 MB of replies wait for a client that first sends all its requests."""
        count = 10_000
        with self.client(60) as client:
            self.assertEqual(client.call("SET", "k", "v" * 4096), "OK")
            sender = threading.Thread(target=client.send, args=(resp.encode("GET", "k") * count,))
            sender.start()
            time.sleep(0.3)
            with self.client() as other:
                self.assertEqual(other.call("PING"), "PONG")
            for _ in range(count):
                self.assertEqual(client.reply(), b"v" * 4096)
            sender.join(10)

    def test_a_hundred_thousand_words(self):
        with self.client(60) as client:
            client.send(b"*100001\r\n$6\r\nEXISTS\r\n" + b"$1\r\nk\r\n" * 100_000)
            self.assertEqual(client.reply(), 0)

    def test_resp3(self):
        with self.client() as client:
            hello = client.call("HELLO", 3)
            self.assertEqual(hello[b"proto"], 3)
            client.send(b"GET none\r\n")
            self.assertEqual(client.raw(), b"_\r\n")
            client.send(b"CONFIG GET port\r\n")
            self.assertTrue(client.raw().startswith(b"%1\r\n"))
            self.assertEqual(client.call("HELLO", 2)[:2], [b"server", b"redis"])
            client.send(b"GET none\r\n")
            self.assertEqual(client.raw(), b"$-1\r\n")
