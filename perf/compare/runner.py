"""The rounds: every server in turn, every case of it, over and over; and a line of progress for each run."""

import dataclasses
import subprocess
import sys
import time

import servers
from compare import cases, clients, counters, memory, stalls, summary

# What a run may end with without ending the comparison.
ERRORS = (RuntimeError, OSError, ValueError, KeyError, subprocess.SubprocessError)


@dataclasses.dataclass
class Plan:
    rounds: int
    contenders: list
    quick: bool
    client: str
    groups: set

    def chosen(self, contender):
        found = [case for case in cases.cases(contender, self.quick) if not self.groups or case.group in self.groups]
        if self.client == "redis-benchmark":
            # It has no open loop, and its own group is the same again.
            found = [case for case in found if case.load is None and case.setting.client is None]
            found = [case for case in found if case.test != "echo" and case.group != "counts"]
        return found

    def seconds(self):
        return self.rounds * sum(cases.expected_seconds(name, self.quick, self.groups) for name in self.contenders)


class Progress:
    """How far it is, and how long it will still take, from the time that the plan expects and the pace so far."""

    def __init__(self, expected):
        self.expected, self.done, self.started = expected, 0.0, time.monotonic()

    def skip(self, seconds, text):
        self.expected -= seconds
        self.step(0, text)

    def step(self, seconds, text):
        self.done += seconds
        spent = time.monotonic() - self.started
        pace = spent / self.done if self.done > 20 else 1
        left = max(self.expected - self.done, 0) * pace
        print(
            f"{spent // 60:3.0f}:{int(spent % 60):02}  {text}  (about {left // 60:.0f}:{int(left % 60):02} left)",
            file=sys.stderr,
            flush=True,
        )


class Runner:
    def __init__(self, bench, plan):
        self.bench, self.plan = bench, plan
        self.runs, self.failures = [], []
        # One for each round and core.
        self.stalls = []
        self.progress = Progress(plan.seconds())

    def run(self):
        for number in range(1, self.plan.rounds + 1):
            reference = {}
            self.stalls.append(stalls.measure())
            for contender in self.plan.contenders:
                self.contender(number, contender, reference)

    def contender(self, number, contender, reference):
        told = f"round {number}/{self.plan.rounds}  {servers.label(contender)}"
        for setting, chosen in cases.by_setting(self.plan.chosen(contender)):
            client = setting.client or self.plan.client
            try:
                extra = ["--reply-frame", str(setting.frame)] if setting.frame else []
                link = clients.link_of(client)
                self.bench.start(contender, link, setting.offloads, extra, steering=setting.steering)
                self.prepare(contender, client, chosen)
                self.all_of(chosen, told, lambda case: self.case(number, contender, client, case, reference))
            except ERRORS as error:
                self.failed(told, error)
            finally:
                self.bench.stop()

    def all_of(self, chosen, told, measure):
        """One case after the other, to the end of the server; the rising load ends at the knee."""
        knee = False
        for case in chosen:
            spent = cases.expected(case)
            if knee and case.group == "rising":
                self.progress.skip(spent, f"{told}  {case.name}: beyond the knee, left out")
                continue
            try:
                result = measure(case)
            except ERRORS as error:
                self.failed(f"{told}  {case.name}", error)
                if self.bench.process.poll() is not None:
                    raise RuntimeError("the server has ended") from error
                continue
            knee = knee or case.group == "rising" and falls_behind(result)
            self.progress.step(
                spent, f"{told}  {case.name}: {result['rate']:,.0f}/s, " f"p99 {result['latency_us']['p99']:,.0f} us"
            )

    def failed(self, told, error):
        self.failures.append(f"{told}: {error}")
        print(self.failures[-1], file=sys.stderr, flush=True)

    def prepare(self, contender, client, chosen):
        """What is read must be there. redis-benchmark's default link has no say: its loader is `apus bench`."""
        if contender == "echo":
            return
        link = clients.link_of(client)
        for size, keys in {(case.size, case.keys) for case in chosen}:
            clients.load_keys(self.bench, link, dataclasses.replace(chosen[0], size=size, keys=keys), keys)

    def case(self, number, contender, client, case, reference):
        requests = rate = None
        if case.load == "half":
            rate = reference["redis"] / 2
        elif case.load is not None:
            rate = reference[contender] * case.load
        if case.group == "counts":
            requests = int(reference.get(contender, 50_000) * case.seconds)
            memory.reset_counters(self.bench)
            calls = counters.SystemCalls(self.bench.process.pid, self.bench.folder.name)
            with calls, counters.Watch(self.bench) as watch:
                result = clients.run(self.bench, client, case, requests=requests)
            result["system_calls"] = calls.count
            result["nanoseconds"] = {
                stage: round(spent * 1000 / result["requests"], 2)
                for stage, spent in memory.cycles(self.bench).items()
            }
        else:
            with counters.Watch(self.bench) as watch:
                result = clients.run(self.bench, client, case, rate=rate)
        if case.name == cases.REFERENCE:
            reference[contender] = result["rate"]
        if case.group not in ("half", "connections", "throughput"):
            result["histogram"] = []
        self.runs.append(
            {
                "round": number,
                "server": contender,
                "case": case.name,
                "client": client,
                **result,
                "watch": watch.figures(),
            }
        )
        return result


def falls_behind(result):
    """Whether requests waited for the server rather than for their time: the knee is passed."""
    return not summary.keeps_up(result["intended_rate"], result["rate"], None, result["latency_us"]["p99"])
