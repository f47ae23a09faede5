"""What the operating system counted while a client ran: the server's CPU time, its context switches and system calls,
and how busy each core was."""

import os
import pathlib
import re
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


def switches(process):
    """(voluntary, involuntary) over all threads."""
    found = [0, 0]
    for path in pathlib.Path(f"/proc/{process}/task").glob("*/status"):
        try:
            text = path.read_text()
        except OSError:
            continue  # a thread that has ended
        for place, name in enumerate(("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")):
            found[place] += int(re.search(rf"^{name}:\s*(\d+)", text, re.MULTILINE)[1])
    return tuple(found)


def cores():
    """[(busy, all)] ticks of each core since it started."""
    found = []
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if re.match(r"cpu\d", line):
            numbers = list(map(int, line.split()[1:9]))
            found.append((sum(numbers) - numbers[3] - numbers[4], sum(numbers)))
    return found


class Watch:
    """Between entering and leaving: `cpu_seconds`, `switches`, `core_busy` (share of each core's time)."""

    def __init__(self, bench):
        self.bench = bench

    def read(self):
        return self.bench.cpu_seconds(), switches(self.bench.process.pid), cores(), time.monotonic()

    def __enter__(self):
        self.before = self.read()
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        after, before = self.read(), self.before
        self.cpu_seconds = after[0] - before[0]
        self.switches = [b - a for a, b in zip(before[1], after[1])]
        self.core_busy = [round((b[0] - a[0]) / max(b[1] - a[1], 1), 3) for a, b in zip(before[2], after[2])]
        self.seconds = after[3] - before[3]

    def figures(self):
        return {
            "cpu_seconds": round(self.cpu_seconds, 3),
            "voluntary_switches": self.switches[0],
            "involuntary_switches": self.switches[1],
            "core_busy": self.core_busy,
            "seconds": round(self.seconds, 3),
        }


class SystemCalls:
    """Counts a process's system calls by the kernel's tracepoint; `count` is None where perf cannot."""

    def __init__(self, process, folder):
        self.process, self.output = process, pathlib.Path(folder) / "system-calls"
        self.count = None

    def __enter__(self):
        try:
            self.perf = subprocess.Popen(
                ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", str(self.process), "-o", self.output],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except FileNotFoundError:
            self.perf = None
            return self
        time.sleep(0.3)
        return self

    def __exit__(self, *_):
        if self.perf is None:
            return
        self.perf.send_signal(signal.SIGINT)
        try:
            self.perf.wait(5)
        except subprocess.TimeoutExpired:
            self.perf.kill()
            self.perf.wait()
        found = re.search(r"^(\d+),", self.output.read_text() if self.output.exists() else "", re.MULTILINE)
        self.count = int(found[1]) if found else None
