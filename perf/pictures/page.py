"""The page: what was measured on, the goals, a sentence above each chart, and all medians. It loads nothing."""

import html

from compare import targets
from compare.cases import REFERENCE
from compare.summary import BASE, OURS
from pictures import chapters, style

CSS = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; color: #222; background: #fff;
       max-width: 980px; margin: 2.2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 0 0 .2rem; }
p { margin: .2rem 0 .7rem; }
.facts { color: #555; font-size: .86rem; }
figure { margin: 2.2rem 0 0; break-inside: avoid; }
figure svg { width: 100%; height: auto; display: block; }
svg text { font-family: system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif !important; }
.keys { display: grid; grid-template-columns: repeat(4, 1fr); gap: .8rem; margin: 1.4rem 0; }
.keys div { border-top: 3px solid #0072B2; padding: .45rem 0 0; font-size: .86rem; color: #444; }
.keys b { display: block; font-size: 1.7rem; line-height: 1.2; color: #111; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; margin: .5rem 0 0;
        font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .26rem .6rem .26rem 0; border-bottom: 1px solid #e3e3e3; vertical-align: top; }
th { border-bottom: 1.5px solid #888; font-weight: 600; }
td.n, th.n { text-align: right; white-space: nowrap; }
td.yes { color: #00654a; } td.no { color: #a03c00; } td.yes, td.no { font-weight: 600; white-space: nowrap; }
section { margin-top: 2.2rem; }
@page { size: A4; margin: 14mm; }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 10.5pt; }
  figure { margin-top: 1.1rem; } table { font-size: 8pt; } td, th { padding-top: .12rem; padding-bottom: .12rem; }
  tr { break-inside: avoid; } h2 { break-after: avoid; }
  thead { display: table-header-group; }
}
"""


def text(summary):
    body = [head(summary), keys(summary), goals(summary)]
    for chapter in chapters.chapters(summary):
        picture = chapter.draw(summary)
        if picture is not None:
            body.append(
                f'<figure id="chart-{chapter.name}"><h2>{chapter.heading}</h2><p>{html.escape(chapter.told)}</p>'
                f"{style.svg(picture, chapter.name)}</figure>"
            )
    body.append(medians(summary))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title(summary)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{CSS}</style></head>\n<body>\n'
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )


def title(summary):
    return "Apus beside " + html.escape(
        " and ".join(summary.label(server) for server in summary.servers() if server in ("redis", "peer")) or "itself"
    )


def head(summary):
    machine = summary.document["machine"]
    lines = [
        f"{machine['time']}, commit {machine['commit']}, {summary.document['profile']} profile, "
        f"{summary.document['rounds']} interleaved rounds, client: {client(summary)}",
        f"{machine['processor']}, {machine['cores']} cores{' (virtual)' if machine['virtual'] else ''}, "
        f"{machine['memory_bytes'] / 2 ** 30:.0f} GiB, Linux {machine['kernel']}, {machine['distribution']}",
        "; ".join(sorted({server["version"] for server in machine["servers"].values() if server["version"]})),
    ]
    return (
        f"<h1>{title(summary)}</h1><p>One server core, one client core, the same wire.</p>"
        f'<p class="facts">{"<br>".join(map(html.escape, lines))}</p>'
    )


def client(summary):
    name = summary.document["client"]
    return name if name == "redis-benchmark" else f"apus bench over {name}"


def keys(summary):
    """The few numbers that people ask for first."""
    single, half = targets.name("connections", "get", 1), targets.name("half", "get", load="half")
    cards = [
        (summary.ratio(OURS, REFERENCE), "{:.2f}x", "requests a second, GET, 50 connections"),
        (
            summary.ratio(OURS, targets.name("throughput", "get", pipeline=16)),
            "{:.2f}x",
            "requests a second, GET, pipeline 16",
        ),
        (
            summary.ratio(OURS, single, lambda run: run["latency_us"].get("p50")),
            "{:.2f}x",
            "median latency, 1 connection",
        ),
        (
            summary.ratio(OURS, half, lambda run: run["latency_us"].get("p99")),
            "{:.2f}x",
            "p99 at half of redis-server's maximum",
        ),
    ]
    shown = [
        f"<div><b>{form.format(figure.median)}</b>{html.escape(what)}</div>" for figure, form, what in cards if figure
    ]
    label = html.escape(f"{summary.label(OURS)} against {summary.label(BASE)}")
    return f'<p><strong>{label}</strong></p><div class="keys">{"".join(shown)}</div>' if shown else ""


def goals(summary):
    rows = []
    for target in targets.all_targets(summary):
        verdict = {True: '<td class="yes">reached</td>', False: '<td class="no">not reached</td>', None: "<td></td>"}
        rows.append(
            f"<tr><td>{html.escape(target.work)}</td><td>{html.escape(target.wanted)}</td>"
            f"<td>{html.escape(target.measured)}</td>{verdict[target.reached]}</tr>"
        )
    return (
        '<section id="goals"><h2>Goals</h2><p>Ratios are to redis-server in the same round: the median, and least to '
        "greatest.</p><table><thead><tr><th>work</th><th>wanted</th><th>measured</th><th></th></tr></thead><tbody>"
        + "".join(rows)
        + "</tbody></table></section>"
    )


def medians(summary):
    rows = []
    for name, case in summary.cases.items():
        for server in [*summary.servers(), "echo"]:
            rate = summary.rate(server, name)
            if rate is None or case["group"] in ("rising", "counts"):
                continue
            ratio = summary.ratio(server, name)
            cells = [f"{rate.median:,.0f}", f"{rate.least:,.0f} - {rate.greatest:,.0f}"]
            cells += [
                f"{value.median:,.1f}" if (value := summary.latency(server, name, percentile)) else ""
                for percentile in ("p50", "p99", "p99.9")
            ]
            cells.append(f"{ratio.median:.2f}" if ratio else "")
            rows.append(
                f"<tr><td>{html.escape(name)}</td><td>{html.escape(summary.label(server))}</td>"
                + "".join(f'<td class="n">{cell}</td>' for cell in cells)
                + "</tr>"
            )
    heads = "".join(
        f'<th class="n">{name}</th>'
        for name in ("requests/s", "least - greatest", "p50 us", "p99 us", "p99.9 us", "ratio")
    )
    return (
        '<section id="medians"><h2>All medians</h2><p>Names are group: command, connections x pipeline. Steps of the '
        "rising load are in the chart and in bench.json.</p>"
        f"<table><thead><tr><th>case</th><th>server</th>{heads}</tr></thead>"
        f'<tbody>{"".join(rows)}</tbody></table></section>'
    )
