"""What is measured, on whom, and for how long: the full profile and the quick one."""

import dataclasses

CONNECTIONS = 50
SIZE = 64
KEYS = 100_000
BULK = 1 << 20
# Ethernet's, and what of a value it carries beside the headers.
FULL_FRAME, FULL_TEXT = 1514, 1448
# More clients than this take turns: so many requests at once as 10,000 clients have would not find room in a receive ring
# (4,096 frames), and what is lost there would be measured instead of the server.
IN_FLIGHT = 2000
# Open loop: shares of what the server reached with a closed loop, until it does not keep up.
RISING = (0.1, 0.25, 0.5, 0.65, 0.8, 0.9, 1.0, 1.1, 1.2)


@dataclasses.dataclass(frozen=True)
class Setting:
    """How wire and client are while a server runs. `client`: None is the one chosen for the whole comparison; `offloads`
    and `steering`: as `Lab.start` has them. `frame`: bytes of the bare echo's answer, if it is not the usual reply's."""

    client: str | None = None
    offloads: str = "default"
    steering: bool = True
    frame: int | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """One run of a client. `name` is unique; `group` is what it is shown with.

    `load`: None is a closed loop. "half" is an open loop at half of what redis-server reached in this round, a number
    is that share of what this server reached itself.
    """

    group: str
    test: str
    connections: int = CONNECTIONS
    pipeline: int = 1
    size: int = SIZE
    keys: int = KEYS
    load: float | str | None = None
    seconds: float = 2.0
    setting: Setting = Setting()

    @property
    def name(self):
        load = "" if self.load is None else f" load {self.load}"
        return f"{self.group}: {self.test} {self.connections}x{self.pipeline}{load}"


# The closed loop that loads are shares of.
REFERENCE = Case("throughput", "get").name


def closed(seconds, tests, pipelines):
    return [Case("throughput", test, pipeline=pipeline, seconds=seconds) for test in tests for pipeline in pipelines]


def cases(contender, quick):
    """The cases of a contender, in the order in which they run."""
    chief = contender in ("redis", "peer", "xdp")
    if contender == "echo":
        seconds = 0.5 if quick else 1.5
        found = [
            Case("echo", "echo", connections=count, seconds=seconds)
            for count in ((64, 256) if quick else (1, 64, 256))
        ]
        # What carries large values.
        return found + [Case("echo-full", "echo", 64, size=BULK, seconds=seconds, setting=Setting(frame=FULL_FRAME))]
    if quick:
        found = closed(0.7, ["get"], [1, 16]) + closed(0.7, ["set"], [1])
        found += [Case("connections", "get", connections=count, seconds=0.7) for count in (1, 64, 256, 1000)]
        found += [Case("half", "get", load="half", seconds=1.5), Case("counts", "get", seconds=0.7)]
        found += [Case("rising", "get", load=share, seconds=0.5) for share in (0.25, 0.5, 0.8, 1.0, 1.2)]
        return found + bulk("bulk", 0.7, Setting(offloads="off")) + clients(0.7, [1])
    if chief:
        found = closed(2, ["get", "set", "incr"], [1, 16, 64])
        counts = (1, 10, 64, 256, 1000, 10_000)
        found += [Case("connections", "get", connections=count, seconds=2) for count in counts]
        found += [Case("connections", "set", connections=1, seconds=1.5), Case("half", "get", load="half", seconds=4)]
    else:
        found = closed(1.5, ["get", "set"], [1, 16])
        found += [Case("connections", "get", connections=1, seconds=1.5)]
    found += [Case("counts", "get", seconds=1)]
    found += [Case("rising", "get", load=share, seconds=1) for share in RISING]
    if chief:
        found += bulk("bulk", 2, Setting(offloads="off"))
    if chief or contender == "kernel":
        found += bulk("super-packets", 2, Setting("kernel", "on"))
    if chief:
        found += clients(2, [1, 16])
        found += unsteered(2)
    return found


def bulk(group, seconds, setting):
    return [
        Case(group, test, connections=8, size=BULK, keys=8, seconds=seconds, setting=setting) for test in ("set", "get")
    ]


def clients(seconds, pipelines):
    """redis-benchmark over kernel TCP."""
    return [
        Case("redis-benchmark", test, pipeline=pipeline, seconds=seconds, setting=Setting("redis-benchmark"))
        for test in ("get", "set")
        for pipeline in pipelines
    ]


def unsteered(seconds):
    """Some cases again with reception left where Linux puts it: what steering does to the comparison."""
    setting = Setting(steering=False)
    found = [
        Case("unsteered", "get", count, pipeline, seconds=seconds, setting=setting)
        for count, pipeline in ((1, 1), (CONNECTIONS, 1), (CONNECTIONS, 16))
    ]
    return found + [
        Case("unsteered redis-benchmark", "get", seconds=seconds, setting=Setting("redis-benchmark", steering=False))
    ]


def by_setting(chosen):
    """[(setting, cases)] in the order in which the settings first appear."""
    found = {}
    for case in chosen:
        found.setdefault(case.setting, []).append(case)
    return list(found.items())


WARM_UP = 0.3
# A client's start and end, and that of a server for each setting. Only for telling how long it will take.
RUN_OVERHEAD, START_OVERHEAD = 0.6, 1.5


def expected(case):
    return case.seconds + WARM_UP + RUN_OVERHEAD


def expected_seconds(contender, quick, groups=None):
    chosen = [case for case in cases(contender, quick) if not groups or case.group in groups]
    return sum(map(expected, chosen)) + START_OVERHEAD * len(by_setting(chosen))
