"""Charts of what a request, a key and a connection cost."""

from pictures import style

PANELS_IN_ROW = 5
PART_COLOR, GOALS = "#0072B2", {
    "GET, one connection": 1000,
    "GET, pipeline 16": 450,
    "SET, one connection": 1100,
    "SET, pipeline 16": 600,
}


def instructions(summary):
    """A panel for each case, a bar for each part of the path, frame in to frame out."""
    found = summary.document.get("instructions") or {}
    if not found:
        return None
    parts = list(next(iter(found.values())))
    columns = min(len(found), PANELS_IN_ROW)
    picture, grid = style.figure(
        0.95 + 0.3 * len(parts), columns, rows=-(-len(found) // columns), sharex=True, sharey=True
    )
    panels = grid.flatten()
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    for axes, (case, costs) in zip(panels, found.items()):
        style.bars(
            axes, [(part, PART_COLOR, costs[part], f"series:{case} {part}") for part in parts], form="{:,.0f}".format
        )
        goal = f", goal {GOALS[case]:,}" if case in GOALS else ""
        axes.set_title(f"{case}\n{sum(costs.values()):,.0f}{goal}", fontsize=9)
        axes.set_xlabel("instructions")
        axes.locator_params(axis="x", nbins=3)
    largest = max(cost for costs in found.values() for cost in costs.values())
    panels[0].set_xlim(0, largest * 1.3)
    return picture


def calls(summary):
    """System calls and context switches a request at 50 busy connections, with the goals."""
    counted = {server: summary.counted(server) for server in summary.servers()}
    kinds = [
        (kind, goal)
        for kind, goal in (("system calls", 0.1), ("context switches", 0.001))
        if any(counts.get(kind) for counts in counted.values())
    ]
    if not kinds:
        return None
    picture, (panels,) = style.figure(0.95 + 0.3 * len(counted), len(kinds), sharey=True)
    for axes, (kind, goal) in zip(panels, kinds):
        rows = [(server, counts[kind]) for server, counts in counted.items() if counts.get(kind)]
        # None at all has no place on a logarithmic axis: it stands at the left end.
        least = min([goal / 10] + [figure.median / 3 for _, figure in rows if figure.median > 0])
        for place, (server, figure) in enumerate(rows):
            (dot,) = axes.plot(
                [max(figure.median, least)],
                [place],
                marker=style.MARKERS[server],
                markersize=8,
                color=style.COLORS[server],
                linestyle="none",
                clip_on=False,
            )
            dot.set_gid(f"series:{kind} {summary.label(server)}")
            axes.annotate(
                f"{figure.median:.2g}",
                (max(figure.median, least), place),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
                annotation_clip=False,
            )
        axes.axvline(goal, color=style.INK, linewidth=1, linestyle=":")
        axes.annotate(
            f"goal: under {goal:g}",
            (goal, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, 2),
            textcoords="offset points",
            fontsize=8.5,
        )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlim(least, axes.get_xlim()[1] * 3)
        axes.set_yticks(range(len(rows)), [summary.label(server) for server, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(f"{kind} a request, logarithmic")
    return picture


def memory(summary):
    """Bytes a key, and bytes an idle connection in the server and in the kernel."""
    found = summary.document.get("memory") or {}
    if not found:
        return None
    titles = [
        ("bytes_per_key", "a key of 16 bytes with a value of 64"),
        ("bytes_per_connection", "an idle connection, in the server"),
        ("kernel_bytes_per_connection", "an idle connection, in the kernel,\nthe client's end included"),
    ]
    picture, (panels,) = style.figure(1.0 + 0.32 * len(found), len(titles))
    for place, (axes, (field, title)) in enumerate(zip(panels, titles)):
        style.bars(
            axes,
            [
                (summary.label(server), style.COLORS[server], figures[field], f"series:{field} {summary.label(server)}")
                for server, figures in found.items()
            ],
            form="{:,.0f}".format,
        )
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("bytes")
        axes.locator_params(axis="x", nbins=3)
        axes.set_xlim(0, max(axes.get_xlim()[1], 1) * 1.25)
        if place:
            axes.set_yticklabels([])
    return picture
