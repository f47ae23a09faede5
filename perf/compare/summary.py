"""Medians over the rounds with their spread, ratios to redis-server, and what the targets say to them.

Reads the document that perf/bench writes and nothing else, so that the table on the terminal and the report agree.
"""

import dataclasses
import statistics

BASE, OURS = "redis", "xdp"


@dataclasses.dataclass(frozen=True)
class Figure:
    """Over the rounds: median, least and greatest."""

    median: float
    least: float
    greatest: float


def keeps_up(intended, rate, _, p99):
    """Whether a server stays below its knee: it answers what is sent, and requests do not queue for long."""
    return rate >= 0.95 * intended and p99 <= 20_000


class Summary:
    def __init__(self, document):
        self.document = document
        self.cases = document.get("cases", {})
        self.found = {}
        for run in document.get("runs", []):
            self.found.setdefault((run["server"], run["case"]), []).append(run)

    def servers(self):
        """In the order in which they are compared; the bare echo is none."""
        known = self.document["machine"]["servers"]
        return [name for name in known if name != "echo" and any(server == name for server, _ in self.found)]

    def label(self, server):
        return self.document["machine"]["servers"].get(server, {}).get("label", server)

    def runs(self, server, case):
        return self.found.get((server, case), [])

    def names(self, group):
        """The group's cases in the order in which they ran."""
        return [name for name, case in self.cases.items() if case["group"] == group]

    def figure(self, server, case, read):
        """`read` takes a number (or None) from a run."""
        values = [value for value in map(read, self.runs(server, case)) if value is not None]
        return Figure(statistics.median(values), min(values), max(values)) if values else None

    def rate(self, server, case):
        return self.figure(server, case, lambda run: run["rate"])

    def latency(self, server, case, percentile):
        return self.figure(server, case, lambda run: run["latency_us"].get(percentile))

    def ratio(self, server, case, read=None, base=BASE):
        """The median over the rounds of this server's value over the base's in the same round: a slow minute of the
        machine meets both."""
        read = read or (lambda run: run["rate"])
        theirs = {run["round"]: read(run) for run in self.runs(base, case)}
        values = [
            read(run) / theirs[run["round"]]
            for run in self.runs(server, case)
            if theirs.get(run["round"]) and read(run) is not None
        ]
        return Figure(statistics.median(values), min(values), max(values)) if values else None

    def stalls(self):
        """The share of time in which the machine took a core away for a millisecond or longer: the median over rounds and
        cores; None where it was not measured."""
        shares = [core["lost_in_long"] for cores in self.document.get("stalls", []) for core in cores]
        return statistics.median(shares) if shares else None

    def counted(self, server):
        """{"system calls" | "context switches": a request} at 50 busy connections."""
        for case in self.names("counts"):
            runs = self.runs(server, case)
            if not runs:
                continue
            calls = self.figure(server, case, lambda run: run["system_calls"] and run["system_calls"] / run["requests"])
            switches = self.figure(
                server,
                case,
                lambda run: sum(run["watch"][kind] for kind in ("voluntary_switches", "involuntary_switches"))
                / run["requests"],
            )
            return {"system calls": calls, "context switches": switches}
        return {}

    def bytes_per_second(self, server, case):
        size = self.cases[case]["size"]
        return self.figure(server, case, lambda run: run["rate"] * size)

    def steps(self, server):
        """Under rising load, [(intended rate, rate, p50, p99)]: medians over the rounds, to the first step behind."""
        found = []
        for case in self.names("rising"):
            runs = self.runs(server, case)
            if not runs:
                continue
            found.append(
                tuple(
                    statistics.median(values)
                    for values in zip(
                        *(
                            (run["intended_rate"], run["rate"], run["latency_us"]["p50"], run["latency_us"]["p99"])
                            for run in runs
                        )
                    )
                )
            )
            if not keeps_up(*found[-1]):
                break
        return found

    def knee(self, server):
        """The greatest of the steps that the server kept up with, in requests a second; None without steps."""
        return max((step[1] for step in self.steps(server) if keeps_up(*step)), default=None)

    def distribution(self, server, case):
        """[(microseconds, share of requests up to here)], all rounds together."""
        counts = {}
        for run in self.runs(server, case):
            before = 0
            for upper, until in run.get("histogram") or []:
                counts[upper] = counts.get(upper, 0) + until - before
                before = until
        total, passed, points = sum(counts.values()), 0, []
        for upper in sorted(counts):
            passed += counts[upper]
            points.append((upper, passed / total))
        return points
