"""Servers under test in network namespaces of their own.

A `Server` is Apus in one link mode, or Debian's redis-server as the oracle. Each gets a fresh namespace, so that several
runs can go on at once and nothing outside is touched. The test process itself moves into the namespace while it tests:
sockets and child processes are made there.
"""

import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
APUS = pathlib.Path(os.environ.get("APUS", ROOT / ".build" / "release" / "apus"))
REDIS = "/usr/bin/redis-server"
READY = "Ready to accept connections"
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
serial = itertools.count()


def sh(*command, check=True, timeout=20, **keywords):
    """Runs a command and returns it with its output as text."""
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, errors="replace", timeout=timeout, **keywords)
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit status {result.returncode}\n{result.stdout}")
    return result


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))


class Namespace:
    def __init__(self):
        self.name = f"apus-e2e-{os.getpid()}-{next(serial)}"
        sh("ip", "netns", "add", self.name)
        sh("ip", "-n", self.name, "link", "set", "lo", "up")
        # Room for many short connections from one address.
        self.inside("sysctl", "-qw", "net.ipv4.ip_local_port_range=10000 65535", "net.ipv4.tcp_tw_reuse=1")

    def inside(self, *command, **keywords):
        return sh("ip", "netns", "exec", self.name, *command, **keywords)

    @contextlib.contextmanager
    def entered(self):
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.enter()
        try:
            yield
        finally:
            move(home)
            os.close(home)

    def enter(self):
        descriptor = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        move(descriptor)
        os.close(descriptor)

    def add_veth(self, outer="client0", inner="server0", address="10.78.0.1/24", queues=1):
        """A pair whose inner end is the server's; the outer end is the kernel's, with finished checksums."""
        numbers = ["numrxqueues", queues, "numtxqueues", queues]
        sh("ip", "-n", self.name, "link", "add", outer, *numbers, "type", "veth", "peer", "name", inner, *numbers)
        sh("ip", "-n", self.name, "addr", "add", address, "dev", outer)
        for name in (outer, inner):
            self.inside("sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1", check=False)
            sh("ip", "-n", self.name, "link", "set", name, "up")
        self.inside("ethtool", "-K", outer, "tx", "off")

    def interfaces(self):
        """Names of the interfaces, each with what `ip` tells of it."""
        listing = json.loads(sh("ip", "-n", self.name, "-j", "-d", "link", "show").stdout)
        return {entry["ifname"]: entry for entry in listing}

    def delete(self):
        sh("ip", "netns", "del", self.name, check=False)


def move(descriptor):
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Configuration:
    """How to start a server: `link` is a link of Apus, or "redis" for the oracle; `queues` those of the test's veth."""

    def __init__(self, link, shards=1, queues=None):
        self.link = link
        self.shards = shards
        self.queues = queues or shards
        self.is_apus = link != "redis"
        self.own_stack = link not in ("redis", "kernel")

    def __str__(self):
        if not self.is_apus:
            return "redis-server"
        text = f"{self.link} shards={self.shards}"
        return text + (f" queues={self.queues}" if self.queues != self.shards else "")


class Server:
    def __init__(self, configuration, extra=()):
        self.configuration = configuration
        self.extra = [str(word) for word in extra]
        self.port = 6379
        self.process = None
        self.namespace = Namespace()
        link = configuration.link
        if link in ("xdp", "packet"):
            self.namespace.add_veth(queues=configuration.queues)
        self.host = {"auto": "10.77.0.2", "xdp": "10.78.0.2", "packet": "10.78.0.2", "tap": "10.78.0.2",
                     "kernel": "127.0.0.1", "redis": "127.0.0.1"}[link]
        self.folder = tempfile.TemporaryDirectory(prefix="apus-e2e-")
        self.log_path = pathlib.Path(self.folder.name) / "log"

    def command(self):
        link = self.configuration.link
        if link == "redis":
            return [REDIS, "--port", str(self.port), "--bind", self.host, "--save", "", "--appendonly", "no",
                    "--dir", self.folder.name, *self.extra]
        arguments = [str(APUS), "--port", str(self.port), "--link", link, "--shards", str(self.configuration.shards)]
        if link in ("xdp", "packet"):
            arguments += ["--interface", "server0", "--address", "10.78.0.2/24"]
        if link == "tap":
            arguments += ["--interface", "aputap0", "--address", "10.78.0.2/24"]
        return arguments + self.extra

    def start(self, limit=15):
        log = open(self.log_path, "wb")
        with self.namespace.entered():
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, cwd=self.folder.name, start_new_session=True)
        log.close()
        deadline = time.monotonic() + limit
        while READY not in self.log():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.configuration}: ended at start with {self.process.returncode}\n{self.log()}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"{self.configuration}: not ready after {limit} s\n{self.log()}")
            time.sleep(0.02)
        if self.configuration.link == "tap":
            self.prepare_tap()

    def prepare_tap(self):
        """The kernel's end of a TAP device is the device itself: it needs an address when the server gave it none."""
        entry = sh("ip", "-n", self.namespace.name, "-4", "-o", "addr", "show", "dev", "aputap0", check=False).stdout
        if "inet " not in entry:
            sh("ip", "-n", self.namespace.name, "addr", "add", "10.78.0.1/24", "dev", "aputap0")
            sh("ip", "-n", self.namespace.name, "link", "set", "aputap0", "up")

    def log(self):
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096

    def stop(self, limit=15):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.configuration}: still running {limit} s after SIGTERM\n{self.log()[-2000:]}")

    def kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait(10)

    def close(self):
        self.kill()
        self.namespace.delete()
        self.folder.cleanup()

    def connect(self, timeout=20):
        connection = socket.create_connection((self.host, self.port), timeout=timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
