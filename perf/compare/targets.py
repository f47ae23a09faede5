"""What the comparison is to show, and whether it does: one line for each sentence of the goal."""

import dataclasses

from compare import cases
from compare.summary import BASE, OURS


@dataclasses.dataclass(frozen=True)
class Target:
    """`reached` is None where nothing was measured, or nothing but to say what is."""

    work: str
    wanted: str
    measured: str = "not measured"
    reached: bool | None = None


def all_targets(summary):
    found = [
        *throughput(summary),
        *unsteered(summary),
        *latency(summary),
        *many(summary),
        *bulk(summary),
        *kernel_client(summary),
        *echo(summary),
        *instructions(summary),
        *calls(summary),
        *shards(summary),
    ]
    return found


def name(group, test, connections=cases.CONNECTIONS, pipeline=1, load=None):
    return cases.Case(group, test, connections, pipeline, load=load).name


def times(figure):
    return f"{figure.median:.2f} times ({figure.least:.2f} to {figure.greatest:.2f})"


def at_least(work, figure, bound, wanted=None, told=times):
    wanted = wanted or f"at least {bound:g} times"
    return Target(work, wanted) if figure is None else Target(work, wanted, told(figure), figure.median >= bound)


def at_most(work, figure, bound, wanted, told=times):
    return Target(work, wanted) if figure is None else Target(work, wanted, told(figure), figure.median <= bound)


def throughput(summary):
    for pipeline in (1, 16, 64):
        for test in ("get", "set", "incr"):
            work = f"{test.upper()}, 64 bytes, 50 connections, " + (
                f"pipeline {pipeline}" if pipeline > 1 else "no pipeline"
            )
            yield at_least(work, summary.ratio(OURS, name("throughput", test, pipeline=pipeline)), 3)


def unsteered(summary):
    for count, pipeline in ((cases.CONNECTIONS, 1), (cases.CONNECTIONS, 16)):
        figure = summary.ratio(OURS, name("unsteered", "get", count, pipeline))
        work = f"GET, {count} connections, pipeline {pipeline}, reception on the sender's core"
        yield Target(work, "say what is reached", times(figure) if figure else "not measured")


def latency(summary):
    for test in ("get", "set"):
        ratio = summary.ratio(OURS, name("connections", test, 1), lambda run: run["latency_us"].get("p50"))
        yield at_most(f"{test.upper()}, 1 connection: median latency", ratio, 0.25, "at most 1/4")
    stalls = summary.stalls()
    beside = "" if stalls is None else f"; either core is taken away for over 1 ms {stalls:.2%} of the time"
    for percentile in ("p99", "p99.9"):
        ratio = summary.ratio(OURS, name("half", "get", load="half"), lambda run: run["latency_us"].get(percentile))
        work = f"half of redis-server's maximum, open loop: {percentile}"
        yield at_most(work, ratio, 1 / 3, "at most 1/3", lambda value: times(value) + beside)


def many(summary):
    for count in (1000, 10_000):
        case = name("connections", "get", count)
        yield at_least(f"{count:,} connections", summary.ratio(OURS, case), 3)
        own, reference = summary.rate(OURS, case), summary.rate(OURS, cases.REFERENCE)
        share = f"{own.median / reference.median:.0%}" if own and reference else None
        yield Target(
            f"{count:,} connections against our own 50",
            "at least 80 %",
            share or "not measured",
            own.median >= 0.8 * reference.median if share else None,
        )


def bulk(summary):
    for group, work, wanted in (
        ("bulk", "offloads off on both sides", "at least 1.5 times"),
        ("super-packets", "kernel client with super-packets", "say what is reached"),
    ):
        for test, verb in (("get", "read"), ("set", "written")):
            case = name(group, test, 8)
            figure, reached = summary.ratio(OURS, case), (
                summary.bytes_per_second(OURS, case) if case in summary.cases else None
            )
            if figure is None:
                yield Target(f"1 MiB values {verb}, {work}", wanted)
                continue
            told = f"{times(figure)}, {reached.median / 1e6:,.0f} MB/s"
            limit = summary.rate("echo", name("echo-full", "echo", 64))
            if limit and group == "bulk":
                share = reached.median / cases.FULL_TEXT / limit.median
                told += f", {share:.0%} of the bare echo's full frames"
            yield Target(
                f"1 MiB values {verb}, {work}", wanted, told, figure.median >= 1.5 if group == "bulk" else None
            )


def kernel_client(summary):
    for pipeline in (1, 16):
        for test in ("get", "set"):
            case = name("redis-benchmark", test, pipeline=pipeline)
            figure = summary.ratio(OURS, case)
            busy = summary.figure(OURS, case, lambda run: run["client"]["cpu_seconds"] / run["seconds"])
            work, wanted = (
                f"redis-benchmark over kernel TCP: {test.upper()}, pipeline {pipeline}",
                "2 times, or the client's limit",
            )
            if figure is None:
                yield Target(work, wanted)
                continue
            yield Target(
                work,
                wanted,
                f"{times(figure)}, redis-benchmark busy for {busy.median:.0%} of the time",
                figure.median >= 2 or busy.median >= 0.9,
            )


def echo(summary):
    for count in (64, 256):
        ours = summary.runs(OURS, name("connections", "get", count))
        theirs = {run["round"]: run["rate"] for run in summary.runs("echo", name("echo", "echo", count))}
        values = sorted(run["rate"] / theirs[run["round"]] for run in ours if run["round"] in theirs)
        work = f"share of the bare AF_XDP echo's packets, {count} connections"
        if not values:
            yield Target(work, "at least 75 %")
            continue
        middle = values[len(values) // 2]
        yield Target(work, "at least 75 %", f"{middle:.0%} ({values[0]:.0%} to {values[-1]:.0%})", middle >= 0.75)


def instructions(summary):
    bounds = {
        "GET, one connection": 1000,
        "GET, pipeline 16": 450,
        "SET, one connection": 1100,
        "SET, pipeline 16": 600,
    }
    found = summary.document.get("instructions", {})
    for case, bound in bounds.items():
        work, wanted = f"instructions, frame to frame: {case}", f"at most {bound:,}"
        if case not in found:
            yield Target(work, wanted)
            continue
        total = sum(found[case].values())
        yield Target(work, wanted, f"{total:,.0f}", total <= bound)


def calls(summary):
    counted = summary.counted(OURS)
    for kind, bound in (("system calls", 0.1), ("context switches", 0.001)):
        figure = counted.get(kind)
        theirs = summary.counted(BASE).get(kind)
        beside = f" (redis-server: {theirs.median:.3g})" if theirs else ""
        yield at_most(
            f"{kind} a request, 50 busy connections",
            figure,
            bound,
            f"under {bound:g}",
            lambda value: f"{value.median:.3g}{beside}",
        )


def shards(summary):
    found = summary.document.get("shards") or {}
    work = "a ring crossing between two busy shards: median"
    crossing = found.get("crossing_ns", {}).get("1")
    measured = (f"{crossing[0]} ns", crossing[0] < 1000) if crossing else ("not measured", None)
    yield Target(work, "under 1 microsecond", *measured)
    for keys, bound in (("own", 1.9), ("random", 1.5)):
        for pipeline in (1, 16):
            ratio = found.get("two_over_one", {}).get(f"pipeline {pipeline}, {keys} keys")
            measured = (f"{ratio:.2f} times", ratio >= bound) if ratio else ("not measured", None)
            yield Target(f"two shards over one, {keys} keys, pipeline {pipeline}", f"at least {bound:g} times", *measured)
