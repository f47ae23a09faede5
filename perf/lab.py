"""The measuring bench: two network namespaces joined by one veth pair, the server on core 1, its client on core 0.

The same pair serves every contender and every client. Servers on kernel sockets get a kernel address on the server's
end; Apus's own stack gets the bare interface; a TAP device is joined to the server's end by a bridge. Where a stack of
ours is on the wire, kernel ends finish their checksums themselves, because a veth does not. Each end's kernel receives
on its own side's core (`steer`).
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import servers
from servers import APUS, ROOT  # noqa: F401 (for those who import lab)

OUT = ROOT / "perf" / "out"
# The client's end has the kernel's address; our own stack on that end has another.
CLIENT_ADDRESS, SERVER_ADDRESS, CLIENT_STACK_ADDRESS = "10.79.0.1", "10.79.0.2", "10.79.0.11"
CLIENT_CORE, SERVER_CORE = 0, min(1, os.cpu_count() - 1)
# STEER=0 leaves reception where Linux puts it.
STEERING = os.environ.get("STEER", "1") != "0"


def sh(*command, check=True, timeout=30):
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, errors="replace", timeout=timeout)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit status {result.returncode}\n{result.stdout}")
    return result.stdout


def require_root():
    if os.geteuid() != 0:
        sys.exit("This makes network namespaces and needs root: run it by sudo.")


def interruptible():
    """Ctrl-C and SIGTERM unwind, so that namespaces and servers are removed."""
    def stop(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def cores_of_server(count):
    """As taskset takes it. With more than all but one, the client shares one of them."""
    return f"{max(SERVER_CORE - count + 1, 0)}-{SERVER_CORE}"


class Lab:
    def __init__(self):
        self.client = f"apus-lab-{os.getpid()}-c"
        self.server = f"apus-lab-{os.getpid()}-s"
        self.process = None
        self.folder = tempfile.TemporaryDirectory(prefix="apus-lab-")

    def __enter__(self):
        try:
            for name in (self.client, self.server):
                sh("ip", "netns", "add", name)
                sh("ip", "-n", name, "link", "set", "lo", "up")
            sh("ip", "-n", self.client, "link", "add", "client0", "type", "veth", "peer", "name", "server0", "netns",
               self.server)
            sh("ip", "-n", self.client, "addr", "add", CLIENT_ADDRESS + "/24", "dev", "client0")
            for name, interface in ((self.client, "client0"), (self.server, "server0")):
                # No pacing, whatever this machine is set to. (A namespace may choose cubic only where the host does.)
                for setting in ("net.ipv4.tcp_congestion_control=reno", f"net.ipv6.conf.{interface}.disable_ipv6=1"):
                    self.inside(name, "sysctl", "-qw", setting, check=False)
                sh("ip", "-n", name, "link", "set", interface, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        for name in (self.client, self.server):
            sh("ip", "netns", "del", name, check=False)
        self.folder.cleanup()

    def inside(self, name, *command, **keywords):
        return sh("ip", "netns", "exec", name, *command, **keywords)

    def start(self, contender, client="kernel", offloads="default", extra=(), binary=None, cores=1,
              steering=True):
        """Starts a server of `servers.py`; returns the words before a client's command line.

        `client`: the link of the client that will come, "kernel" or one of our own stack's. `offloads`: "default" as a
        veth is made, "off" without the kernel's super-packets on both ends, "on" with them in reception (GRO) as well.
        `extra`: options that replace ours; `binary`: another build of Apus; `cores`: how many the server has, down from
        the last; `steering`: as `steer` says, unless STEER=0.
        """
        self.steer(steering and STEERING)
        self.plug(contender, client, offloads)
        log = pathlib.Path(self.folder.name) / "log"
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.server, "taskset", "-c", cores_of_server(cores),
                 *map(str, servers.command(contender, SERVER_ADDRESS, extra, binary))],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder.name,
                start_new_session=True)
        deadline = time.monotonic() + 15
        while not self.is_ready(contender, log):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{contender} does not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        if contender == "tap":
            self.inside(self.server, "ip", "link", "set", "aputap0", "up", "master", "bridge0")
        return ["ip", "netns", "exec", self.client]

    def plug(self, contender, client, offloads):
        """Prepares the wire: addresses, offloads, and a bridge where the server's end is a TAP device."""
        self.inside(self.server, "ip", "addr", "flush", "dev", "server0")
        self.inside(self.server, "ip", "link", "del", "bridge0", check=False)
        if not servers.own_stack(contender):
            self.inside(self.server, "ip", "addr", "add", SERVER_ADDRESS + "/24", "dev", "server0")
        if contender == "tap":
            self.inside(self.server, "ip", "link", "add", "bridge0", "type", "bridge", "forward_delay", "0")
            self.inside(self.server, "sysctl", "-qw", "net.ipv6.conf.bridge0.disable_ipv6=1", check=False)
            self.inside(self.server, "ip", "link", "set", "bridge0", "up")
            self.inside(self.server, "ip", "link", "set", "server0", "master", "bridge0")
        finished = servers.own_stack(contender) or client != "kernel" or offloads == "off"
        switch = "off" if offloads == "off" else "on"
        for name, interface in ((self.client, "client0"), (self.server, "server0")):
            self.inside(name, "ethtool", "-K", interface, "tx", "off" if finished else "on")
            # TSO follows tx: what a device may not finish it may not divide.
            self.inside(name, "ethtool", "-K", interface, "tso", switch, "gso", switch, "gro",
                        "on" if offloads == "on" else "off", check=False)
        self.inside(self.client, "ip", "neigh", "flush", "all")
        self.inside(self.server, "ip", "neigh", "flush", "all")

    def steer(self, on):
        """Receive packet steering: what an end's kernel receives, it receives on its own side's core.

        Linux runs a veth's reception on the sender's core, so that a client would pay for a kernel server's TCP. Frames
        for an AF_XDP socket are redirected before steering; there each side pays for the other's reception, alike.
        """
        for name, interface, core in ((self.client, "client0", CLIENT_CORE), (self.server, "server0", SERVER_CORE)):
            mask = f"/sys/class/net/{interface}/queues/rx-0/rps_cpus"
            self.inside(name, "sh", "-c", f"echo {(1 << core if on else 0):x} > {mask}")

    def is_ready(self, contender, log):
        if contender != "peer":
            return servers.READY in log.read_text(errors="replace")
        # Others log other words.
        return "PONG" in self.inside(self.server, "redis-cli", "-h", SERVER_ADDRESS, "ping", check=False)

    def cpu_seconds(self):
        """What the server has used, in user space and in the kernel (a peer's receive work on a veth included)."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
