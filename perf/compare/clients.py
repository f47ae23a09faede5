"""Who loads the server: `apus bench` over our own stack or kernel sockets, or redis-benchmark over kernel sockets.

Each returns one result in `apus bench`'s form: rate (requests a second), latency_us (percentiles in microseconds),
requests, seconds, bytes_sent and bytes_received where known, histogram [[microseconds, requests up to here], ...].
"""

import csv
import json
import math
import pathlib
import resource
import subprocess

import lab
import servers
from compare import cases

POINTS = 160


def prefix(bench):
    return ["ip", "netns", "exec", bench.client, "taskset", "-c", lab.CLIENT_CORE]


def link_of(client):
    return "kernel" if client in ("kernel", "redis-benchmark") else client


def run(bench, client, case, rate=None, requests=None):
    if client == "redis-benchmark":
        return redis_benchmark(bench, case)
    return apus_bench(bench, client, case, rate, requests)


def apus_bench(bench, link, case, rate=None, requests=None, words=()):
    """`requests` instead of the case's seconds."""
    return start_apus_bench(bench, link, case, rate, requests, words).result()


def start_apus_bench(bench, link, case, rate=None, requests=None, words=()):
    """As `apus_bench`, but returns while it runs."""
    output = pathlib.Path(bench.folder.name) / "client.json"
    output.unlink(missing_ok=True)
    command = [
        servers.APUS,
        "bench",
        "-h",
        lab.SERVER_ADDRESS,
        "-p",
        servers.PORT,
        "-c",
        case.connections,
        "--json",
        output,
        "--no-progress",
        "-q",
    ]
    if link != "kernel":
        command += ["--link", link, "--interface", "client0", "--address", lab.CLIENT_STACK_ADDRESS + "/24"]
    if case.test == "echo":
        answer = case.setting.frame or servers.REPLY_FRAME
        command += ["--udp-echo", "--request-frame", servers.REQUEST_FRAME, "--reply-frame", answer]
    else:
        command += ["-t", case.test, "-P", case.pipeline, "-d", case.size, "-r", case.keys]
    command += ["-n", requests] if requests else ["--duration", case.seconds, "--warmup", cases.WARM_UP]
    if case.connections > cases.IN_FLIGHT:
        command += ["--in-flight", cases.IN_FLIGHT]
    if rate is not None:
        command += ["--rate", int(rate)]
    return Load([*prefix(bench), *command, *words], output, case.seconds + 60)


class Load:
    """A client under way."""

    def __init__(self, command, output, limit):
        self.output, self.limit = output, limit
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def result(self):
        """Waits for its end. Throws RuntimeError with what it said when it failed."""
        try:
            told, _ = self.process.communicate(timeout=self.limit)
        finally:
            self.stop()
        if self.process.returncode != 0:
            raise RuntimeError(f"apus bench: exit status {self.process.returncode}\n{told}")
        result = json.loads(self.output.read_text())["results"][0]
        result["histogram"] = thinned(result.get("histogram") or [])
        return result

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def redis_benchmark(bench, case):
    """It knows no duration: a short run tells how many requests fill the time, and warms up."""

    def run_for(count):
        text = lab.sh(
            *prefix(bench),
            "redis-benchmark",
            "-h",
            lab.SERVER_ADDRESS,
            "-p",
            servers.PORT,
            "-t",
            case.test,
            "-d",
            case.size,
            "-n",
            max(int(count), 1),
            "-c",
            case.connections,
            "-P",
            case.pipeline,
            "-r",
            case.keys,
            "--csv",
            timeout=case.seconds * 10 + 60,
        )
        return next(csv.DictReader(text[text.index('"test"') :].splitlines()))

    count = float(run_for(100 if case.size > 10_000 else 20_000 * min(case.pipeline, 5))["rps"]) * case.seconds
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    row = run_for(count)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    names = {"min": "min", "mean": "avg", "p50": "p50", "p95": "p95", "p99": "p99", "max": "max"}
    return {
        "name": case.test.upper(),
        "rate": float(row["rps"]),
        "requests": int(count),
        "seconds": count / float(row["rps"]),
        "errors": 0,
        "wrong": 0,
        "histogram": [],
        # Where this is nearly the seconds, the client is the limit: it sleeps when it waits for the server.
        "client": {"cpu_seconds": round(spent, 3)},
        "latency_us": {ours: float(row[f"{theirs}_latency_ms"]) * 1000 for ours, theirs in names.items()},
    }


def load_keys(bench, link, case, count):
    """Every key once."""
    filling = cases.Case(
        "load", "set", connections=8, pipeline=16 if case.size < 10_000 else 1, size=case.size, keys=count
    )
    apus_bench(bench, link, filling, requests=count, words=["--distribution", "sequential"])


def thinned(histogram):
    """At most POINTS pairs, evenly over the percentile axis (logarithmic towards 100 %)."""
    if len(histogram) <= POINTS:
        return histogram
    total = histogram[-1][1]
    span = math.log10(total) + 0.5
    kept, last = [], -1
    for upper, count in histogram:
        place = int(-math.log10(max(1 - count / total, 0.3 / total)) / span * (POINTS - 2))
        if place != last or count == total:
            kept.append([upper, count])
            last = place
    return kept
