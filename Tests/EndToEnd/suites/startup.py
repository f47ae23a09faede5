"""What cannot work is said in a sentence, with exit status 1."""

import os
import signal
import socket
import subprocess
import time
import unittest

import harness


class StartUp(unittest.TestCase):
    def setUp(self):
        self.namespace = harness.Namespace()

    def tearDown(self):
        self.namespace.delete()

    def start(self, *arguments, prefix=()):
        """Runs the server, which has to end by itself; returns (exit status, what it said)."""
        with self.namespace.entered():
            result = subprocess.run([*prefix, str(harness.APUS), *map(str, arguments)], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=20,
                                    cwd="/tmp")
        return result.returncode, result.stdout

    def refused(self, *arguments, says, prefix=()):
        status, text = self.start(*arguments, prefix=prefix)
        self.assertEqual(status, 1, text)
        self.assertIn(says.lower(), text.lower())
        self.assertNotIn("Fatal error", text)
        self.assertLess(len(text.strip().splitlines()), 12, text)
        self.assertNotIn("apus0", self.namespace.interfaces())

    def test_missing_interface(self):
        for link in ("xdp", "packet"):
            with self.subTest(link=link):
                self.refused("--link", link, "--interface", "nosuch0", "--address", "10.78.0.2/24", says="nosuch0")

    def test_interface_down(self):
        self.namespace.add_veth()
        harness.sh("ip", "-n", self.namespace.name, "link", "set", "server0", "down")
        for link in ("xdp", "packet"):
            with self.subTest(link=link):
                self.refused("--link", link, "--interface", "server0", "--address", "10.78.0.2/24", says="down")

    def test_mtu_too_large_for_xdp(self):
        self.namespace.add_veth()
        for name in ("client0", "server0"):
            harness.sh("ip", "-n", self.namespace.name, "link", "set", name, "mtu", 9000)
        self.refused("--link", "xdp", "--interface", "server0", "--address", "10.78.0.2/24", says="mtu")

    def test_address_in_use(self):
        """The kernel itself has the address that the stack is to have."""
        self.namespace.add_veth()
        self.refused("--link", "xdp", "--interface", "server0", "--address", "10.78.0.1/24", says="10.78.0.1")

    def test_port_in_use(self):
        with self.namespace.entered():
            with socket.create_server(("127.0.0.1", 6379)):
                for link in ("kernel", "auto"):
                    with self.subTest(link=link):
                        self.refused("--link", link, says="6379")

    def test_no_privilege(self):
        self.namespace.add_veth()
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                  "--bounding-set=-all"]
        for link in ("xdp", "packet", "tap"):
            with self.subTest(link=link):
                self.refused("--link", link, "--interface", "server0" if link != "tap" else "aputap0", "--address",
                             "10.78.0.2/24", prefix=self.reachable(nobody), says="root")

    def reachable(self, prefix):
        """An unprivileged user must be able to run the binary at all."""
        probe = subprocess.run([*prefix, str(harness.APUS), "--help"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=20)
        if probe.returncode in (126, 127):
            self.skipTest("an unprivileged user cannot reach the binary here")
        return prefix

    def test_auto_without_privilege_serves_kernel_sockets(self):
        prefix = self.reachable(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                                 "--bounding-set=-all"])
        with self.namespace.entered():
            process = subprocess.Popen([*prefix, str(harness.APUS)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       text=True, start_new_session=True, cwd="/tmp")
            try:
                time.sleep(1)
                reply = harness.sh("redis-cli", "ping").stdout
                self.assertEqual(reply, "PONG\n")
                self.assertNotIn("apus0", self.namespace.interfaces())
                process.send_signal(signal.SIGTERM)
                text, _ = process.communicate(timeout=10)
                self.assertEqual(process.returncode, 0, text)
            finally:
                process.kill()
                process.wait()

    def test_sigint_ends_cleanly(self):
        server = harness.Server(harness.Configuration("auto"))
        try:
            server.start()
            server.process.send_signal(signal.SIGINT)
            self.assertEqual(server.process.wait(10), 0)
            self.assertNotIn("apus0", server.namespace.interfaces())
        finally:
            server.close()

    def test_shutdown_command(self):
        server = harness.Server(harness.Configuration("auto", 2))
        try:
            server.start()
            with server.namespace.entered():
                harness.sh("redis-cli", "-h", server.host, "shutdown", "nosave", check=False)
            self.assertEqual(server.process.wait(10), 0)
            self.assertNotIn("apus0", server.namespace.interfaces())
        finally:
            server.close()

    def test_the_kernel_listener_beside_the_stack(self):
        """In every mode a plain redis-cli works, and sees the same keys."""
        server = harness.Server(harness.Configuration("auto", 2))
        try:
            server.start()
            with server.namespace.entered():
                for i in range(10):
                    harness.sh("redis-cli", "-h", server.host, "set", f"k{i}", i)
                    self.assertEqual(harness.sh("redis-cli", "get", f"k{i}").stdout, f"{i}\n")
            self.assertEqual(server.stop(), 0)
        finally:
            server.close()

    def test_bad_directives(self):
        self.refused("--nosuch", "1", says="nosuch")
        self.refused("--port", "70000", says="port")
        self.refused("--link", "pigeon", says="link")
        self.refused("--shards", "-3", says="shards")

    def test_configuration_file(self):
        server = harness.Server(harness.Configuration("kernel"))
        path = os.path.join(server.folder.name, "apus.conf")
        with open(path, "w") as file:
            file.write("# a comment\nport 6390\nlink kernel\nbind 127.0.0.1\nshards 1\n"
                       "proto-max-bulk-len 100mb\nloglevel notice\n")
        server.command = lambda: [str(harness.APUS), path, "--databases", "4"]
        try:
            server.start()
            with server.namespace.entered():
                cli = ["redis-cli", "-p", "6390"]
                self.assertEqual(harness.sh(*cli, "config", "get", "proto-max-bulk-len").stdout,
                                 "proto-max-bulk-len\n104857600\n")
                self.assertEqual(harness.sh(*cli, "config", "get", "databases").stdout, "databases\n4\n")
            self.assertEqual(server.stop(), 0)
        finally:
            server.close()
