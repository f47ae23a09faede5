"""The chart of the shards' cycle accounting: what a request costs in time, by what the shard did in it."""

import statistics

from pictures import style


def chart(summary):
    """A panel for each server that accounts for its time, a bar for each stage of the loop's turn."""
    found = {server: stages(summary, server) for server in summary.servers()}
    found = {server: costs for server, costs in found.items() if sum(costs.values()) > 0}
    if not found:
        return None
    names = list(next(iter(found.values())))
    picture, (panels,) = style.figure(0.95 + 0.3 * len(names), len(found), sharex=True, sharey=True)
    for axes, (server, costs) in zip(panels, found.items()):
        style.bars(
            axes,
            [
                (name.replace("_", " "), style.COLORS[server], costs.get(name, 0), f"series:{server} {name}")
                for name in names
            ],
            form="{:,.0f}".format,
        )
        axes.set_title(f"{summary.label(server)}: {sum(costs.values()):,.0f} ns", fontsize=9)
        axes.set_xlabel("nanoseconds a request")
        axes.locator_params(axis="x", nbins=4)
    panels[0].set_xlim(0, max(max(costs.values()) for costs in found.values()) * 1.3)
    return picture


def stages(summary, server):
    """{stage: nanoseconds a request}, medians over the rounds."""
    told = [
        run["nanoseconds"]
        for name in summary.names("counts")
        for run in summary.runs(server, name)
        if run.get("nanoseconds")
    ]
    return {stage: statistics.median(run[stage] for run in told) for stage in told[0]} if told else {}
