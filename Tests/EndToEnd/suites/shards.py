"""What is promised about order, seen from outside; with two shards the keys lie on both."""

import threading
import time

from suites.base import ServerTest


class Ordering(ServerTest):
    def test_a_pipeline_takes_effect_in_order(self):
        """One client writes a, then b in one pipeline; whoever sees b's new value sees a's as well."""
        rounds = 1500
        keys = [f"key{i}" for i in range(6)]
        wrong = []
        done = threading.Event()

        def watch():
            with self.client() as client:
                while not done.is_set():
                    seen = [int(client.call("GET", key) or 0) for key in reversed(keys)]
                    if any(later > earlier for later, earlier in zip(seen, seen[1:])):
                        wrong.append(seen)
                        return

        watchers = [threading.Thread(target=watch) for _ in range(2)]
        for watcher in watchers:
            watcher.start()
        with self.client() as client:
            for i in range(1, rounds + 1):
                client.pipeline([("SET", key, i) for key in keys])
        done.set()
        for watcher in watchers:
            watcher.join(20)
        self.assertEqual(wrong, [])

    def test_replies_come_in_order(self):
        with self.client() as client:
            for start in range(0, 20_000, 2000):
                commands = []
                for i in range(start, start + 2000):
                    commands += [("SET", f"k{i}", i), ("ECHO", i), ("GET", f"k{i}")]
                replies = client.pipeline(commands)
                for i in range(2000):
                    text = str(start + i).encode()
                    self.assertEqual(replies[3 * i:3 * i + 3], ["OK", text, text])

    def test_counters_of_many_clients(self):
        clients, rounds = 8, 500

        def count():
            with self.client() as client:
                for _ in range(rounds // 10):
                    client.pipeline([("INCR", f"counter{i % 5}") for i in range(50)])

        threads = [threading.Thread(target=count) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        with self.client() as client:
            total = sum(int(client.call("GET", f"counter{i}")) for i in range(5))
        self.assertEqual(total, clients * (rounds // 10) * 50)

    def test_whole_keyspace_commands(self):
        with self.client() as client:
            client.pipeline([("SET", f"k{i}", i) for i in range(1000)])
            self.assertEqual(client.call("DBSIZE"), 1000)
            self.assertEqual(client.call("EXISTS", *[f"k{i}" for i in range(1100)]), 1000)
            self.assertEqual(client.call("DEL", *[f"k{i}" for i in range(0, 1000, 2)]), 500)
            self.assertEqual(client.call("TOUCH", *[f"k{i}" for i in range(1000)]), 500)
            self.assertEqual(client.call("UNLINK", *[f"k{i}" for i in range(1, 501, 2)]), 250)
            self.assertEqual(client.call("DBSIZE"), 250)
            self.assertEqual(client.call("SELECT", 1), "OK")
            client.pipeline([("SET", f"k{i}", i) for i in range(100)])
            self.assertEqual(client.call("FLUSHDB"), "OK")
            self.assertEqual(client.call("DBSIZE"), 0)
            client.call("SELECT", 0)
            self.assertEqual(client.call("DBSIZE"), 250)
            self.assertEqual(client.call("FLUSHALL"), "OK")
            self.assertEqual(client.call("DBSIZE"), 0)

    def test_keys_expire_unseen(self):
        """Keys go by themselves at their deadline, without anybody's access, on every shard."""
        with self.client() as client:
            client.pipeline([("SET", f"k{i}", i, "PX", 100) for i in range(500)])
            client.pipeline([("SET", f"stay{i}", i) for i in range(10)])
            deadline = time.monotonic() + 5
            while client.call("DBSIZE") != 10 and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertEqual(client.call("DBSIZE"), 10)
