"""The summary as text for the terminal."""

from compare import targets


def text(summary):
    parts = [rates(summary), loads(summary), counts(summary), goals(summary)]
    return "\n\n".join(part for part in parts if part)


def columns(rows, heads):
    """Left-aligned words, right-aligned figures."""
    rows = [heads, *rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    lines = []
    for row in rows:
        lines.append(
            "  ".join(
                cell.ljust(width) if place < 2 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths))
            ).rstrip()
        )
    return "\n".join(lines)


def amount(figure, unit=1.0, digits=0):
    return "" if figure is None else f"{figure.median / unit:,.{digits}f}"


def spread(figure):
    return "" if figure is None else f"{figure.least:,.0f} - {figure.greatest:,.0f}"


def rates(summary):
    rows = []
    for name, case in summary.cases.items():
        if case["group"] in ("rising", "counts"):
            continue
        for server in [*summary.servers(), "echo"]:
            rate = summary.rate(server, name)
            if rate is None:
                continue
            ratio = summary.ratio(server, name)
            tail = [
                amount(summary.latency(server, name, percentile), digits=1) for percentile in ("p50", "p99", "p99.9")
            ]
            rows.append(
                [name, summary.label(server), amount(rate), spread(rate), *tail, f"{ratio.median:.2f}" if ratio else ""]
            )
    return rows and columns(
        rows, ["case", "server", "requests/s", "least - greatest", "p50 us", "p99 us", "p99.9 us", "ratio"]
    )


def loads(summary):
    rows = []
    for server in summary.servers():
        steps = summary.steps(server)
        if steps:
            lightest = steps[0]
            knee = summary.knee(server)
            rows.append(
                [
                    "open loop, rising",
                    summary.label(server),
                    f"{knee:,.0f}" if knee else "none",
                    f"{lightest[2]:,.0f}",
                    f"{lightest[3]:,.0f}",
                ]
            )
    return rows and columns(rows, ["case", "server", "keeps up to", "p50 us, lightest load", "p99 us, lightest load"])


def counts(summary):
    rows = []
    for server in summary.servers():
        counted, kept = summary.counted(server), summary.document.get("memory", {}).get(server, {})
        if counted or kept:
            rows.append(
                [
                    "per request, per key",
                    summary.label(server),
                    *(
                        f"{counted[kind].median:.3g}" if counted.get(kind) else ""
                        for kind in ("system calls", "context switches")
                    ),
                    *(
                        f"{kept[kind]:,.0f}" if kind in kept else ""
                        for kind in ("bytes_per_key", "bytes_per_connection", "kernel_bytes_per_connection")
                    ),
                ]
            )
    return rows and columns(
        rows, ["", "server", "system calls", "switches", "bytes/key", "bytes/connection", "kernel bytes/connection"]
    )


def goals(summary):
    verdicts = {True: "reached", False: "not reached", None: ""}
    rows = [
        [target.work, verdicts[target.reached], target.wanted, target.measured]
        for target in targets.all_targets(summary)
    ]
    return columns(rows, ["goal", "", "wanted", "measured"])
