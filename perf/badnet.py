"""A lane: client namespace -- veth -- `apus bridge` in a namespace of its own -- veth -- server namespace.

    client0 10.80.0.1 (kernel)  <->  left  [apus bridge]  right  <->  server0 10.80.0.2 (kernel, or our own stack)

Every end leaves nothing to hardware, so that whole frames of at most 1514 bytes with finished checksums cross. Kernel
connections use CUBIC on both sides, by the route, since a namespace may not choose what the host does not. Nothing is
remembered between connections, and neighbours are fixed, so a lost ARP frame costs nobody a second.
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
APUS = pathlib.Path(os.environ.get("APUS", ROOT / ".build" / "release" / "apus"))
BRIDGE = pathlib.Path(os.environ.get("BRIDGE", APUS))
WORKLOAD = pathlib.Path(__file__).resolve().parent / "workload.py"
READY = "Ready to accept connections"
CLIENT, SERVER, PORT = "10.80.0.1", "10.80.0.2", 6379
serial = itertools.count()


def sh(*command, check=True, timeout=30):
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, errors="replace", timeout=timeout)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit status {result.returncode}\n{result.stdout}")
    return result.stdout


class Lane:
    """Use as a context. `start` gives it a network and a server, `stop` takes them away; both as often as wanted."""

    def __init__(self, core=None):
        base = f"apus-bad-{os.getpid()}-{next(serial)}"
        self.client, self.middle, self.server = base + "-c", base + "-b", base + "-s"
        self.pin = [] if core is None else ["taskset", "-c", str(core)]
        self.folder = tempfile.TemporaryDirectory(prefix="apus-bad-")
        self.bridge = self.process = None

    def __enter__(self):
        try:
            for name in (self.client, self.middle, self.server):
                sh("ip", "netns", "add", name)
                sh("ip", "-n", name, "link", "set", "lo", "up")
            self.pair(self.client, "client0", "left")
            self.pair(self.server, "server0", "right")
            sh("ip", "-n", self.client, "addr", "add", CLIENT + "/24", "dev", "client0")
            self.prepare(self.client, "client0", CLIENT, SERVER, self.address(self.server, "server0"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        for name in (self.client, self.middle, self.server):
            sh("ip", "netns", "del", name, check=False)
        self.folder.cleanup()

    def pair(self, name, outer, inner):
        sh("ip", "-n", name, "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", self.middle)
        for space, end in ((name, outer), (self.middle, inner)):
            self.inside(space, "sysctl", "-qw", f"net.ipv6.conf.{end}.disable_ipv6=1", check=False)
            self.inside(space, "ethtool", "-K", end, "tx", "off", "tso", "off", "gso", "off", "gro", "off", "sg", "off")
            sh("ip", "-n", space, "link", "set", end, "up")

    def prepare(self, name, device, own, other, neighbour):
        """What a kernel end needs."""
        self.inside(name, "sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1")
        sh("ip", "-n", name, "route", "replace", "10.80.0.0/24", "dev", device, "src", own, "congctl", "cubic")
        sh("ip", "-n", name, "neigh", "replace", other, "lladdr", neighbour, "dev", device, "nud", "permanent")

    def address(self, name, device):
        return json.loads(sh("ip", "-n", name, "-j", "link", "show", device))[0]["address"]

    def inside(self, name, *command, **keywords):
        return sh("ip", "netns", "exec", name, *command, **keywords)

    # The network and the server.

    def start(self, contender, network, seed=1, trace=None, extra=()):
        """`contender`: a link of Apus ("xdp", "packet", "kernel") or "redis". `network`: options of `apus bridge`."""
        own_stack = contender in ("xdp", "packet")
        self.contender = contender
        sh("ip", "-n", self.server, "addr", "flush", "dev", "server0")
        if not own_stack:
            sh("ip", "-n", self.server, "addr", "add", SERVER + "/24", "dev", "server0")
            self.prepare(self.server, "server0", SERVER, CLIENT, self.address(self.client, "client0"))
        words = [*network, "--seed", seed, *(["--trace", trace] if trace else [])]
        self.bridge = subprocess.Popen(
            ["ip", "netns", "exec", self.middle, "nice", "-n", "-10", BRIDGE, "bridge", "left", "right",
             *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        if b"bridge" not in self.bridge.stdout.readline():
            raise RuntimeError("the bridge does not start")
        log = pathlib.Path(self.folder.name) / "log"
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.server, *self.pin, *self.command(contender), *map(str, extra)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder.name,
                start_new_session=True)
        deadline = time.monotonic() + 20
        while READY not in log.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{contender} does not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.02)
        self.drops_before = self.device_drops()
        self.before = {name: self.kernel_counters(name) for name in (self.client, self.server)}

    def command(self, contender):
        if contender == "redis":
            return ["redis-server", "--port", str(PORT), "--bind", SERVER, "127.0.0.1", "--save", "", "--appendonly",
                    "no", "--protected-mode", "no"]
        base = [str(APUS), "--port", str(PORT), "--shards", "1", "--link", contender]
        if contender == "kernel":
            return [*base, "--bind", "127.0.0.1", SERVER]
        return [*base, "--interface", "server0", "--address", SERVER + "/24", "--bind", "127.0.0.1"]

    def kernel_counters(self, name):
        """The namespace's TCP counters, by name (/proc/net/snmp and netstat)."""
        counters = {}
        for file in ("snmp", "netstat"):
            lines = self.inside(name, "cat", f"/proc/net/{file}").splitlines()
            for names, values in zip(lines[::2], lines[1::2]):
                kind, _, names = names.partition(":")
                if kind in ("Tcp", "TcpExt"):
                    counters.update(zip(names.split(), map(int, values.partition(":")[2].split())))
        return counters

    def device_drops(self):
        """Frames that a veth or an AF_XDP socket behind it dropped for want of room: nobody asked for that."""
        drops = 0
        for name in (self.client, self.middle, self.server):
            for entry in json.loads(sh("ip", "-n", name, "-s", "-j", "link", "show")):
                if entry["ifname"] != "lo":
                    drops += entry["stats64"]["tx"]["dropped"] + entry["stats64"]["rx"]["dropped"]
        return drops

    def server_info(self):
        text = self.run_client("info", "--local", timeout=20)
        return {key: value for key, value in text.get("info", {}).items() if is_number(value)}

    def run_client(self, workload, *options, timeout):
        """Runs workload.py in the client's namespace, or beside the server with --local; returns what it tells."""
        local = "--local" in options
        host = "127.0.0.1" if local else SERVER
        words = [word for word in options if word != "--local"]
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.server if local else self.client, sys.executable, WORKLOAD, workload, "--host",
             host, "--port", str(PORT), *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        self.worker = process
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return {"ok": False, "stuck": 1, "error": f"no end after {timeout:.0f} s", "seconds": timeout}
        try:
            return json.loads(output.decode(errors="replace").splitlines()[-1])
        except (ValueError, IndexError):
            return {"ok": False, "error": output.decode(errors="replace")[-2000:], "seconds": 0}

    def finish(self):
        """Stops the bridge; returns its counters, and what the kernels and the server counted."""
        info = self.server_info() if self.process.poll() is None else {}
        after = {name: self.kernel_counters(name) for name in (self.client, self.server)}
        told = {"info": info, "device_drops": self.device_drops() - self.drops_before}
        for side, name in (("client", self.client), ("server", self.server)):
            told[side] = {key: value - self.before[name].get(key, 0) for key, value in after[name].items()
                          if value != self.before[name].get(key, 0)}
        self.bridge.terminate()
        output, _ = self.bridge.communicate(timeout=10)
        told["bridge"] = json.loads(output.splitlines()[-1])
        self.bridge = None
        return told

    def stop(self):
        for process in (self.process, self.bridge, getattr(self, "worker", None)):
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.process = self.bridge = None


def is_number(text):
    return text.lstrip("-").isdigit()
