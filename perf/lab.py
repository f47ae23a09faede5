"""The measuring bench: two network namespaces joined by one veth pair, the server on core 1, its client on core 0.

The same pair serves every contender. redis-server (and Apus with `--link kernel`) get a kernel address on the server's
end; Apus's own stack gets the bare interface, and the client's end then finishes its checksums itself, because a veth
does not. A TAP device has the kernel on its other side, so there the client runs in the server's namespace.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "perf" / "out"
APUS = pathlib.Path(os.environ.get("APUS", ROOT / ".build" / "release" / "apus"))
READY = "Ready to accept connections"
CLIENT_ADDRESS, SERVER_ADDRESS = "10.79.0.1", "10.79.0.2"
CLIENT_CORE, SERVER_CORE = 0, min(1, os.cpu_count() - 1)


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
                # No pacing, whatever this machine is set to. (A namespace may not choose cubic where the host does not.)
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

    def start(self, contender):
        """Starts "redis", or Apus with the link of that name. Returns the words before a client's command line."""
        own_stack = contender in ("xdp", "packet")
        self.inside(self.server, "ip", "addr", "flush", "dev", "server0")
        if contender in ("redis", "kernel"):
            self.inside(self.server, "ip", "addr", "add", SERVER_ADDRESS + "/24", "dev", "server0")
        self.inside(self.client, "ethtool", "-K", "client0", "tx", "off" if own_stack else "on")
        sh("ip", "-n", self.client, "neigh", "flush", "all")
        log = pathlib.Path(self.folder.name) / "log"
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.server, "taskset", "-c", str(SERVER_CORE), *self.command(contender)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder.name,
                start_new_session=True)
        deadline = time.monotonic() + 15
        while READY not in log.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{contender} does not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        if contender != "tap":
            return ["ip", "netns", "exec", self.client]
        if "inet " not in self.inside(self.server, "ip", "-4", "-o", "addr", "show", "dev", "aputap0", check=False):
            self.inside(self.server, "ip", "addr", "add", CLIENT_ADDRESS + "/24", "dev", "aputap0")
            self.inside(self.server, "ip", "link", "set", "aputap0", "up")
        return ["ip", "netns", "exec", self.server]

    def command(self, contender):
        if contender == "redis":
            return ["redis-server", "--port", "6379", "--bind", SERVER_ADDRESS, "--save", "", "--appendonly", "no",
                    "--protected-mode", "no"]
        base = [str(APUS), "--port", "6379", "--shards", "1", "--link", contender]
        if contender == "kernel":
            return [*base, "--bind", SERVER_ADDRESS]
        interface = "aputap0" if contender == "tap" else "server0"
        return [*base, "--interface", interface, "--address", SERVER_ADDRESS + "/24", "--bind", ""]

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
