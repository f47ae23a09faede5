"""How all charts look: colours that colour-blind readers can tell apart (Okabe and Ito), text that stays text, labels
on the lines themselves. A series has one colour and one marker in the whole report."""

import io
import re

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plot  # noqa: E402 (the backend is chosen first)
import matplotlib.ticker as ticker  # noqa: E402

COLORS = {
    "xdp": "#0072B2",
    "redis": "#D55E00",
    "peer": "#9A6700",
    "packet": "#3B97D3",
    "tap": "#009E73",
    "kernel": "#B0538A",
    "echo": "#6B6B6B",
}
MARKERS = {"xdp": "o", "redis": "s", "peer": "D", "packet": "^", "tap": "v", "kernel": "P", "echo": "x"}
INK, GRID = "#222222", "#DDDDDD"
WIDTH = 9.6

plot.rcParams.update(
    {
        "svg.fonttype": "none",
        "path.simplify": False,
        "font.family": "DejaVu Sans",
        "font.size": 9.5,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": "#888888",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "xtick.color": INK,
        "ytick.color": INK,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
    }
)


def figure(height, columns=1, rows=1, **keywords):
    """`height`: inches of a row."""
    size = (WIDTH, height * rows)
    return plot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **keywords)


def series(axes, server, x, y, label, **keywords):
    """A line of a server. Its group in the SVG is named `series:CHART:LABEL`, one marker a point."""
    strong = server in ("xdp", "redis", "peer")
    options = {
        "color": COLORS.get(server, INK),
        "marker": MARKERS.get(server, "o"),
        "linewidth": 2.2 if strong else 1.4,
        "linestyle": "--" if server == "echo" else "-",
        "label": label,
        "clip_on": False,
    }
    (line,) = axes.plot(x, y, **{**options, **keywords})
    line.set_gid(f"series:{label}")
    return line


def label_ends(axes, labels):
    """`labels`: [(x, y, text, color)]. Texts right of their points, moved apart where they would lie on each other."""
    axes.figure.canvas.draw()
    height = axes.get_window_extent().height
    low, high = axes.get_ylim()
    logarithmic = axes.get_yscale() == "log"

    def place(y):
        return axes.transAxes.inverted().transform(axes.transData.transform((1, y)))[1]

    gap = 15 / height
    placed = sorted(
        ([place(max(y, low) if logarithmic else y), x, y, text, color] for x, y, text, color in labels),
        key=lambda item: item[0],
    )
    for below, above in zip(placed, placed[1:]):
        above[0] = max(above[0], below[0] + gap)
    for share, x, _, text, color in placed:
        axes.annotate(
            text,
            xy=(x, share),
            xycoords=("data", "axes fraction"),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontsize=9,
            fontweight="bold",
            annotation_clip=False,
        )


def thousands(axis):
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: short(value)))


def short(value):
    """1200000 as 1.2 M: three digits and the unit's prefix."""
    for size, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{prefix}"
    return f"{value:.3g}"


def bars(axes, rows, form=short, room=0):
    """Horizontal bars. `rows`: [(label, color, Figure or number, gid)], first on top; the value stands beside each, and
    lines tell a Figure's spread. `room`: rows that the panel has place for, if more."""
    for place, (_, color, value, gid) in enumerate(rows):
        middle = getattr(value, "median", value)
        bar = axes.barh(place, middle, height=0.62, color=color)[0]
        bar.set_gid(gid)
        end = middle
        if hasattr(value, "median") and value.greatest > value.least:
            axes.plot([value.least, value.greatest], [place, place], color=INK, linewidth=1.2, marker="|", markersize=7)
            end = max(end, value.greatest)
        axes.annotate(
            form(middle),
            (end, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            annotation_clip=False,
        )
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set_ylim(max(len(rows), room) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)


def svg(picture, name):
    """The figure as an <svg> element for an HTML page: no prologue, no metadata, identifiers of its own."""
    plot.rcParams["svg.hashsalt"] = name
    output = io.StringIO()
    picture.savefig(output, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    plot.close(picture)
    text = output.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # matplotlib numbers its groups in each figure from 1; on a page they would repeat.
    text = re.sub(
        r'id="((?:figure|axes|patch|text|line2d|matplotlib\.axis|xtick|ytick|PolyCollection|LineCollection|'
        r'PathCollection)_\d+)"',
        rf'id="{name}-\1"',
        text,
    )
    text = text.replace('id="series:', f'id="series:{name}:')
    # Its size is the page's business.
    opening, rest = text.split(">", 1)
    return re.sub(r'\s(width|height)="[^"]*"', "", opening) + ' role="img">' + rest
