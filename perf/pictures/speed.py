"""Charts of throughput and of latency."""

import math

from compare.summary import BASE, OURS
from pictures import style

PIPELINES = (1, 16, 64)


def with_servers(summary, group, test):
    """[(server, [(case, case's fields)])] of those that have runs in the group."""
    for server in [*summary.servers(), "echo"]:
        found = [
            (name, case)
            for name, case in summary.cases.items()
            if case["group"] in group and case["test"] in test and summary.runs(server, name)
        ]
        if found:
            yield server, found


def connections(summary):
    """Requests a second against connections: GET of 64 bytes, no pipeline; the spread over the rounds as a band."""
    picture, ((axes,),) = style.figure(4.3)
    labels = []
    for server, found in with_servers(summary, ("throughput", "connections", "echo"), ("get", "echo")):
        points = {case["connections"]: summary.rate(server, name) for name, case in found if case["pipeline"] == 1}
        x = sorted(points)
        if not x:
            continue
        y = [points[count].median for count in x]
        label = summary.label(server)
        style.series(axes, server, x, y, label)
        axes.fill_between(
            x,
            [points[count].least for count in x],
            [points[count].greatest for count in x],
            color=style.COLORS[server],
            alpha=0.13,
            linewidth=0,
        )
        labels.append((x[-1], y[-1], label, style.COLORS[server]))
    if not labels:
        return None
    axes.set_xscale("log")
    axes.set_ylim(0)
    axes.set_xlabel("connections (for the echo: datagrams under way), logarithmic")
    axes.set_ylabel("requests a second")
    style.thousands(axes.xaxis)
    style.thousands(axes.yaxis)
    style.label_ends(axes, labels)
    return picture


def pipelines(summary):
    """GET, SET, INCR at 50 connections, a panel for each depth of the pipeline."""
    chosen = [
        pipeline
        for pipeline in PIPELINES
        if any(case["group"] == "throughput" and case["pipeline"] == pipeline for case in summary.cases.values())
    ]
    rows = {}
    for pipeline in chosen:
        for test in ("get", "set", "incr"):
            for server in summary.servers():
                for name, case in summary.cases.items():
                    if (case["group"], case["test"], case["pipeline"]) == ("throughput", test, pipeline):
                        if figure := summary.rate(server, name):
                            rows.setdefault(pipeline, []).append(
                                (
                                    f"{test.upper()}  {summary.label(server)}",
                                    style.COLORS[server],
                                    figure,
                                    f"series:{test} {pipeline} {summary.label(server)}",
                                )
                            )
    if not rows:
        return None
    height = 0.9 + 0.26 * max(map(len, rows.values()))
    picture, (panels,) = style.figure(height, len(rows))
    for axes, (pipeline, bars) in zip(panels, rows.items()):
        style.bars(axes, bars, room=max(map(len, rows.values())))
        axes.set_title("no pipeline" if pipeline == 1 else f"pipeline {pipeline}")
        axes.set_xlabel("requests a second")
        axes.locator_params(axis="x", nbins=4)
        style.thousands(axes.xaxis)
        axes.set_xlim(0, axes.get_xlim()[1] * 1.22)
    return picture


def percentiles(summary):
    """The whole distribution of latency at half of redis-server's maximum, open loop, as HdrHistogram plots it."""
    names = summary.names("half")
    picture, ((axes,),) = style.figure(4.3)
    labels, deepest = [], 100.0
    for server in summary.servers():
        points = [point for name in names for point in summary.distribution(server, name)]
        if not points:
            continue
        # The last point is the longest of all: drawn where one request in all that came is.
        total = sum(run["requests"] for name in names for run in summary.runs(server, name))
        x = [1 / max(1 - share, 1 / total) for _, share in points]
        y = [microseconds for microseconds, _ in points]
        label = summary.label(server)
        style.series(axes, server, x, y, label, marker=None)
        labels.append((x[-1], y[-1], label, style.COLORS[server]))
        deepest = max(deepest, x[-1])
    if not labels:
        return None
    axes.set_xscale("log")
    axes.set_yscale("log")
    powers = range(0, math.ceil(math.log10(deepest)) + 1)
    names = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %", "99.99999 %"]
    axes.set_xticks([10**power for power in powers], [names[power] if power < len(names) else "" for power in powers])
    axes.minorticks_off()
    axes.set_xlim(1)
    axes.set_xlabel("share of requests answered within")
    axes.set_ylabel("microseconds, logarithmic")
    style.thousands(axes.yaxis)
    style.label_ends(axes, labels)
    return picture


def rising(summary):
    """p99 (dotted: the median) under a rising open-loop load, to the first step that a server is behind."""
    servers = [server for server in summary.servers() if summary.steps(server)]
    if not servers:
        return None
    picture, ((axes,),) = style.figure(4.8)
    for server in servers:
        steps, label = summary.steps(server), summary.label(server)
        x = [step[0] for step in steps]
        style.series(axes, server, x, [step[3] for step in steps], label)
        style.series(
            axes, server, x, [step[2] for step in steps], f"median {label}", linewidth=1, linestyle=":", marker=None
        )
        # The last point is high, and those of other servers are near it: text goes up and away.
        axes.annotate(
            label,
            (x[-1], steps[-1][3]),
            xytext=(3, 5),
            textcoords="offset points",
            rotation=38,
            rotation_mode="anchor",
            color=style.COLORS[server],
            fontsize=9,
            fontweight="bold",
            annotation_clip=False,
        )
    axes.set_yscale("log")
    axes.set_xlim(0)
    axes.set_xlabel("requests a second, as intended")
    axes.set_ylabel("microseconds from the intended time, logarithmic")
    style.thousands(axes.xaxis)
    style.thousands(axes.yaxis)
    return picture


def bulk(summary):
    """Values of 1 MiB, read and written."""
    panels = [
        (group, title)
        for group, title in (
            ("bulk", "offloads off on both sides"),
            ("super-packets", "kernel client, super-packets on"),
        )
        if any(summary.runs(server, name) for name in summary.names(group) for server in summary.servers())
    ]
    if not panels:
        return None
    drawn = {}
    for group, _ in panels:
        rows = drawn.setdefault(group, [])
        for name in summary.names(group):
            test = {"get": "read", "set": "written"}[summary.cases[name]["test"]]
            for server in summary.servers():
                if figure := summary.bytes_per_second(server, name):
                    rows.append(
                        (
                            f"{test}  {summary.label(server)}",
                            style.COLORS[server],
                            figure,
                            f"series:{group} {test} {summary.label(server)}",
                        )
                    )
    room = max(map(len, drawn.values()))
    picture, (columns,) = style.figure(0.9 + 0.26 * room, len(panels))
    for axes, (group, title) in zip(columns, panels):
        style.bars(axes, drawn[group], room=room)
        axes.set_title(title)
        axes.set_xlabel("bytes a second")
        axes.locator_params(axis="x", nbins=4)
        style.thousands(axes.xaxis)
        axes.set_xlim(0, axes.get_xlim()[1] * 1.22)
    return picture


def ratio_words(summary, case, more="as many requests a second as"):
    figure = summary.ratio(OURS, case) if case in summary.cases else None
    return f"{figure.median:.1f} times {more} {summary.label(BASE)}" if figure else ""
