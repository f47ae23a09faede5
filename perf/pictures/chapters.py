"""The report's charts in order: what each shows, and which way is better."""

import dataclasses
import typing

from compare.cases import REFERENCE
from compare.summary import BASE, OURS
from pictures import costs, cycles, speed


@dataclasses.dataclass(frozen=True)
class Chapter:
    """`draw` takes the summary and returns a figure, or None where nothing was measured."""

    name: str
    heading: str
    told: str
    draw: typing.Callable


def chapters(summary):
    at_fifty = speed.ratio_words(summary, REFERENCE)
    found = f" At 50 connections {summary.label(OURS)} answers {at_fifty}." if at_fifty else ""
    echo = any(summary.runs("echo", name) for name in summary.names("echo"))
    limit = " The dashed line is the physical limit: frames of the same size that are only turned around." if echo else ""
    texts = [
        ("connections", "Throughput against connections", speed.connections, f"""
          Requests a second of a closed loop, GET of 64 bytes without a pipeline; bands are the spread over the rounds.
          Higher is better.{found}{limit}"""),
        ("pipelines", "Throughput by command and pipeline", speed.pipelines, """
          Requests a second at 50 connections, 64-byte values; black lines are least and greatest of the rounds. Longer
          is better."""),
        ("percentiles", "Latency at half of redis-server's maximum", speed.percentiles, f"""
          The whole distribution under one open-loop load, the same for each server: half of what {summary.label(BASE)}
          reaches at most. Time counts from when a request was meant to be sent. Lower is better; the right end is the
          rarest, slowest requests."""),
        ("rising", "Latency under rising load", speed.rising, """
          The slowest of a hundred requests (dotted: the median) under an open loop, each server up to its knee: the
          last point of a line is the first load that it does not keep up with, or the heaviest that was tried. Lower
          is better, and further to the right is better."""),
        ("bulk", "Values of 1 MiB", speed.bulk, "Bytes a second over 8 connections. Longer is better."),
        ("instructions", "Instructions a request, by part of the path", costs.instructions, """
          Counted by callgrind from frame in to frame out over the in-memory wire; what the compiler inlines counts for
          the function it went into. Shorter is better."""),
        ("calls", "System calls and context switches a request", costs.calls, """
          GET at 50 busy connections, counted by the kernel for the server's process. Further to the left is better.
          """),
        ("cycles", "Where a shard's time goes", cycles.chart, """
          Busy time a request by what the shard did, GET at 50 connections, as INFO's section on cycles accounts for it
          (system calls included, waiting not). Shorter is better."""),
        ("memory", "Bytes a key and a connection", costs.memory, """
          Growth of used_memory by key and by idle connection, and of the kernel's memory by connection. Shorter is
          better."""),
    ]
    return [Chapter(name, heading, " ".join(told.split()), draw) for name, heading, draw, told in texts]
