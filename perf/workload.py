#!/usr/bin/python3
"""What a client does over a bad network, every byte verified; the last line of output is JSON.

workload.py get|set|verify|store|requests|mixed|ping|info [--host H] [--port P] [--size N] [--seed S] ...

  store      puts the value of `--size` bytes (which `--seed` gives) under the key "bulk"
  get        reads it and compares; time from the request to its last byte
  set        writes it; time from the first byte to the reply
  verify     reads it without a clock
  requests   `--connections` clients, each sends `--count` commands one after the other
  mixed      `--connections` clients, each sends `--count` pipelines of many commands and sizes
  ping       one PING
  info       INFO's fields

A connection on which nothing moves for `--stall` seconds is stuck.
"""

import argparse
import json
import random
import socket
import threading
import time


class Wrong(Exception):
    """Bytes other than those that should have come."""


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Client:
    def __init__(self, options):
        started = time.monotonic()
        self.socket = socket.create_connection((options.host, options.port), timeout=options.stall)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connecting = time.monotonic() - started
        self.buffer = bytearray()

    def send(self, data):
        """As sendall, but the timeout is for each step."""
        view = memoryview(data)
        while view:
            view = view[self.socket.send(view):]

    def line(self):
        while (end := self.buffer.find(b"\r\n")) < 0:
            self.fill()
        text = bytes(self.buffer[:end])
        del self.buffer[:end + 2]
        return text

    def fill(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise ConnectionError("the server closed the connection")
        self.buffer += piece

    def exactly(self, count):
        while len(self.buffer) < count:
            self.fill()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def reply(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else self.exactly(int(rest) + 2)[:-2]
        if kind in (b"+", b"-"):
            return line
        if kind == b":":
            return int(rest)
        raise Wrong(f"not a reply: {line[:80]!r}")

    def expect(self, wanted, what):
        got = self.reply()
        if got != wanted:
            raise Wrong(f"{what}: {describe(got, wanted)}")


def describe(got, wanted):
    if isinstance(got, bytes) and isinstance(wanted, bytes) and len(got) == len(wanted) > 80:
        at = next(i for i, (a, b) in enumerate(zip(got, wanted)) if a != b)
        wrong = sum(a != b for a, b in zip(got, wanted))
        return f"{wrong} of {len(got)} bytes are wrong, the first at {at}"
    return f"{str(got)[:80]} instead of {str(wanted)[:80]}"


def content(options):
    """Every place has other bytes: what is lost, repeated or displaced shows."""
    return random.Random(options.seed).randbytes(options.size)


def get(options):
    wanted = content(options)
    client = Client(options)
    received = bytearray(options.size + 64)
    view, filled = memoryview(received), 0
    header = b"$%d\r\n" % options.size
    total = len(header) + options.size + 2
    started = time.monotonic()
    client.send(encode("GET", "bulk"))
    first = None
    while filled < total:
        count = client.socket.recv_into(view[filled:])
        if count == 0:
            raise ConnectionError("the server closed the connection")
        first = first or time.monotonic() - started
        filled += count
    seconds = time.monotonic() - started
    if received[:filled] != header + wanted + b"\r\n":
        raise Wrong(describe(bytes(received[len(header):total - 2]), wanted))
    return {"seconds": seconds, "first_byte": first, "bytes": options.size, "connecting": client.connecting}


def set_value(options):
    value = content(options)
    client = Client(options)
    request = b"*3\r\n$3\r\nSET\r\n$4\r\nbulk\r\n$%d\r\n" % options.size + value + b"\r\n"
    started = time.monotonic()
    client.send(request)
    client.expect(b"+OK", "SET")
    return {"seconds": time.monotonic() - started, "bytes": options.size, "connecting": client.connecting}


def verify(options):
    client = Client(options)
    client.send(encode("GET", "bulk"))
    client.expect(content(options), "GET")
    return {"seconds": 0, "bytes": options.size}


def many(options, work):
    """`work(number, times)` in a thread for each connection; the first error is thrown."""
    errors, times, clients = [], [], [Client(options) for _ in range(options.connections)]

    def run(number):
        try:
            work(number, clients[number], times)
        except (OSError, Wrong) as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(options.connections)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    if errors:
        raise errors[0]
    times.sort()
    return {"seconds": seconds, "operations": len(times), "mean": sum(times) / len(times),
            "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100],
            "connecting": max(client.connecting for client in clients)}


def requests(options):
    def work(number, client, times):
        key = f"r{options.seed}-{number}"
        for i in range(options.count):
            value = random.Random(f"{key}{i}").randbytes(i * 37 % 200)
            command, wanted = [
                (("SET", key, value), b"+OK"), (("ECHO", value), value), (("INCR", key + "n"), i // 3 + 1)][i % 3]
            started = time.monotonic()
            client.send(encode(*command))
            client.expect(wanted, command[0])
            times.append(time.monotonic() - started)
    return many(options, work)


def mixed(options):
    def work(number, client, times):
        source = random.Random(f"{options.seed}-{number}")
        model = {}
        for _ in range(options.count):
            text, wanted = [], []
            for _ in range(source.randint(1, 60)):
                key = f"m{options.seed}-{number}-{source.randint(0, 9)}"
                value = source.randbytes(source.choice((0, 10, 100, 1000, 1400, 3000, 9000)))
                kind = source.randint(0, 3)
                if kind == 0:
                    model[key] = value
                    text.append(encode("SET", key, value))
                    wanted.append(b"+OK")
                elif kind == 1:
                    text.append(encode("GET", key))
                    wanted.append(model.get(key))
                elif kind == 2:
                    model[key] = model.get(key, b"") + value[:500]
                    text.append(encode("APPEND", key, value[:500]))
                    wanted.append(len(model[key]))
                else:
                    text.append(encode("ECHO", value))
                    wanted.append(value)
            started = time.monotonic()
            # Pipelines are smaller than what the buffers on both sides hold, so nobody waits for the other to read.
            client.send(b"".join(text))
            for value in wanted:
                client.expect(value, "pipeline")
            times.append(time.monotonic() - started)
    return many(options, work)


def ping(options):
    client = Client(options)
    client.send(encode("PING"))
    client.expect(b"+PONG", "PING")
    return {"seconds": 0}


def info(options):
    client = Client(options)
    client.send(encode("INFO", "everything"))
    lines = client.reply().decode(errors="replace").splitlines()
    return {"info": dict(line.split(":", 1) for line in lines if ":" in line)}


WORKLOADS = {"get": get, "set": set_value, "store": set_value, "verify": verify, "requests": requests, "mixed": mixed,
             "ping": ping, "info": info}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6379)
    parser.add_argument("--size", type=int, default=1 << 20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--stall", type=float, default=60)
    options = parser.parse_args()
    told = {"ok": False, "stuck": 0, "wrong": 0, "seconds": 0}
    started = time.monotonic()
    try:
        told.update(WORKLOADS[options.workload](options), ok=True)
    except Wrong as error:
        told.update(wrong=1, error=str(error))
    except TimeoutError:
        told.update(stuck=1, error=f"nothing moved for {options.stall:.0f} s", seconds=time.monotonic() - started)
    except OSError as error:
        told.update(error=str(error), seconds=time.monotonic() - started)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
