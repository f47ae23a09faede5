"""The same bytes to Debian's redis-server and to Apus; the replies are compared byte by byte (commands.txt)."""

import pathlib
import re
import unittest

import harness
import resp

TABLE = pathlib.Path(__file__).parent.parent / "commands.txt"


def blocks():
    """(title, lines) of each session in the table."""
    title, lines = "", []
    for line in TABLE.read_text().splitlines() + [""]:
        if line.startswith("# "):
            title = line[2:]
        elif line.strip():
            lines.append(line)
        elif lines:
            yield title, lines
            lines = []


def words(line):
    """Splits as redis-cli does: quotes, and in double quotes the escapes \\n \\r \\t \\xHH."""
    found = []
    for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line):
        if plain:
            found.append(plain.encode())
        else:
            found.append(quoted.encode("latin-1").decode("unicode_escape").encode("latin-1"))
    return found


class Conversation:
    """One connection and what came back on it."""

    def __init__(self, server):
        self.server = server
        self.client = resp.Client(server)

    def say(self, line):
        data = words(line[5:])[0] if line.startswith("!raw ") else resp.encode(*words(line.removeprefix("? ")))
        try:
            self.client.send(data)
            return self.client.raw()
        except (resp.Closed, ConnectionError):
            self.client.close()
            self.client = resp.Client(self.server)
            return b"<closed>"


def outline(reply):
    """What must agree of a reply that may differ in content: its type."""
    return reply[:1]


class Differential(unittest.TestCase):
    limit = 120

    def compare(self, configuration):
        servers = [harness.Server(harness.Configuration("redis")), harness.Server(configuration)]
        count = 0
        try:
            for server in servers:
                server.start()
            for title, lines in blocks():
                with self.subTest(session=title):
                    answers = []
                    for server in servers:
                        with server.namespace.entered():
                            conversation = Conversation(server)
                            conversation.say("FLUSHALL")
                            answers.append([conversation.say(line) for line in lines])
                            conversation.client.close()
                    for line, expected, got in zip(lines, *answers):
                        count += 1
                        if line.startswith("? "):
                            expected, got = outline(expected), outline(got)
                        self.assertEqual(got, expected, f"{line}\nredis-server: {expected[:300]!r}\n"
                                                        f"Apus:         {got[:300]!r}")
        finally:
            for server in servers:
                server.close()
        self.assertGreater(count, 200)

    def test_command_metadata(self):
        """Name, arity, flags and key positions of every command, as redis-server tells them, where it knows it."""
        tables = []
        for configuration in (harness.Configuration("redis"), harness.Configuration("kernel")):
            server = harness.Server(configuration)
            try:
                server.start()
                with server.namespace.entered(), resp.Client(server) as client:
                    tables.append({entry[0]: entry for entry in client.call("COMMAND")})
            finally:
                server.close()
        oracle, ours = tables
        self.assertGreater(len(ours), 45)
        for name, entry in ours.items():
            if name in oracle:
                with self.subTest(command=name):
                    self.assertEqual(entry[1], oracle[name][1], "arity")
                    self.assertEqual(sorted(map(str, entry[2])), sorted(map(str, oracle[name][2])), "flags")
                    self.assertEqual(entry[3:6], oracle[name][3:6], "key positions")

    def test_kernel_one_shard(self):
        self.compare(harness.Configuration("kernel", 1))

    def test_auto_two_shards(self):
        self.compare(harness.Configuration("auto", 2))

    def test_the_oracle_agrees_with_itself(self):
        self.compare(harness.Configuration("redis"))
