"""What the SYN flood's end-to-end test and `perf/synflood` share: the sender, the clients, and what the server says."""

import contextlib
import csv
import pathlib
import signal
import socket
import subprocess
import threading
import time

SOURCE = pathlib.Path(__file__).with_name("synflood.c")


def build(folder):
    """Compiles the sender into `folder`; returns its path."""
    program = pathlib.Path(folder) / "synflood"
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-o", str(program), str(SOURCE)], check=True)
    return program


class Flood:
    """The sender at work. `sent` and `seconds` are known once it was stopped."""

    def __init__(self, program, interface, hardware, address, port, rate, prefix=()):
        self.process = subprocess.Popen(
            [*map(str, prefix), str(program), interface, hardware, address, str(port), str(rate), "600"],
            stdout=subprocess.PIPE, text=True)
        self.sent, self.seconds = 0, 0.0

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=10)
        self.sent, self.seconds = int(output.split()[0]), float(output.split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


class Newcomers:
    """New connections, one after the other: connect, PING, close. Runs in the caller's network namespace."""

    def __init__(self, address, port, pause=0.02):
        self.address, self.port, self.pause = address, port, pause
        self.times, self.failures = [], []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.ended.wait(self.pause):
            started = time.monotonic()
            try:
                with socket.create_connection((self.address, self.port), timeout=10) as connection:
                    connection.sendall(b"PING\r\n")
                    reply = connection.recv(64)
                    if reply != b"+PONG\r\n":
                        raise OSError(f"replied {reply!r}")
                self.times.append(time.monotonic() - started)
            except OSError as error:
                self.failures.append(str(error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(20)


def throughput(address, port, requests, connections=50, prefix=(), timeout=120):
    """Requests a second of redis-benchmark, which gives up when one of its connections is closed."""
    result = subprocess.run(
        [*map(str, prefix), "redis-benchmark", "-h", address, "-p", str(port), "-t", "get", "-n", str(requests), "-c",
         str(connections), "-d", "64", "--csv"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=timeout)
    if result.returncode != 0 or '"test"' not in result.stdout:
        raise AssertionError(f"redis-benchmark: {result.returncode}\n{result.stdout[-2000:]}")
    return float(next(csv.DictReader(result.stdout[result.stdout.index('"test"'):].splitlines()))["rps"])


def info(address, port):
    """INFO everything, as a dictionary."""
    with contextlib.closing(socket.create_connection((address, port), timeout=20)) as connection:
        connection.sendall(b"INFO everything\r\n")
        data = b""
        while b"\r\n" not in data:
            data += connection.recv(1 << 16)
        head, _, rest = data.partition(b"\r\n")
        while len(rest) < int(head[1:]) + 2:
            rest += connection.recv(1 << 16)
    return dict(line.split(":", 1) for line in rest.decode().splitlines() if ":" in line)
