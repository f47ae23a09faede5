#!/usr/bin/python3
"""End-to-end tests: real clients against the release binary, over every link.

run.py [--links auto,xdp,packet,tap,kernel] [--shards 1,2] [--only TEXT] [--redis] [--list]

  --redis      runs the same tests against Debian's redis-server instead (what is undefined there is left out)
  --only TEXT  only tests whose name contains TEXT (Suite.test)

Needs root: each server runs in a network namespace of its own. The last line is "N passed, N failed".
"""

import argparse
import os
import signal
import sys
import time
import unittest

import harness
import suites.badnet
import suites.base as base
import suites.bench
import suites.clients
import suites.commands
import suites.differential
import suites.flamegraph
import suites.echo
import suites.lifecycle
import suites.network
import suites.protocol
import suites.queues
import suites.report
import suites.shards
import suites.startup
import suites.statistics
import suites.synflood
import suites.trace
import suites.values

# Those that run against every configuration, and those that need one only.
EVERYWHERE = [suites.clients.Cli, suites.commands.RedisPy, suites.values.Values, suites.network.Network,
              suites.protocol.Protocol, suites.shards.Ordering, suites.lifecycle.Churn,
              suites.lifecycle.SlowReaders, suites.lifecycle.Idle,
              suites.statistics.Statistics, suites.trace.Trace]
STANDALONE = [suites.startup.StartUp, suites.badnet.BadNetwork, suites.lifecycle.Kill, suites.differential.Differential,
              suites.queues.Queues, suites.synflood.SynFlood, suites.echo.Echo, suites.bench.Bench,
              suites.flamegraph.Flamegraph, suites.report.Report]


class Result(unittest.TestResult):
    """One line a test; a test that hangs is interrupted."""

    LIMIT = 120

    def __init__(self, label):
        super().__init__()
        self.label = label
        self.passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        signal.alarm(getattr(test, "limit", self.LIMIT))

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)

    def tell(self, verdict, test, text=""):
        name = test.id().removeprefix("suites.") if hasattr(test, "id") else str(test)
        spent = time.monotonic() - self.started
        print(f"{verdict:<4} {self.label}: {name} ({spent:.1f} s){text}", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.tell("ok", test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.tell("FAIL", test, "\n" + self.failures[-1][1])

    def addError(self, test, error):
        super().addError(test, error)
        self.started = getattr(self, "started", time.monotonic())
        self.tell("FAIL", test, "\n" + self.errors[-1][1])

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            kind = self.failures if issubclass(error[0], test.failureException) else self.errors
            self.tell("FAIL", subtest, "\n" + kind[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)

    @property
    def failed(self):
        return len(self.failures) + len(self.errors)


def on_alarm(_signal, _frame):
    raise TimeoutError("the test took too long")


def tests_of(classes, only):
    chosen = unittest.TestSuite()
    for case in classes:
        for name in unittest.TestLoader().getTestCaseNames(case):
            if only in f"{case.__name__}.{name}":
                chosen.addTest(case(name))
    return chosen


def run_configuration(configuration, only):
    """Starts the server, runs the suites against it, stops it and looks at what it leaves behind."""
    result = Result(str(configuration))
    chosen = tests_of(EVERYWHERE + [base.Stop], only) if only else tests_of(EVERYWHERE + [base.Stop], "")
    if chosen.countTestCases() == 0:
        return result
    server = harness.Server(configuration)
    try:
        server.start()
        base.current = server
        with server.namespace.entered():
            chosen.run(result)
        if not server.alive() and server.process.returncode != 0:
            print(f"{configuration}: the server ended with {server.process.returncode}; its log ends:\n"
                  + server.log()[-3000:])
    except (AssertionError, OSError) as error:
        result.errors.append((str(configuration), str(error)))
        print(f"FAIL {configuration}: {error}", flush=True)
    finally:
        base.current = None
        server.close()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", default="auto,xdp,packet,tap,kernel")
    parser.add_argument("--shards", default="1,2")
    parser.add_argument("--only", default="")
    parser.add_argument("--redis", action="store_true")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("The end-to-end tests make network namespaces and need root: run them by sudo.\n0 passed, 1 failed")
    harness.raise_descriptor_limit()
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    results = []
    if arguments.redis:
        results.append(run_configuration(harness.Configuration("redis"), arguments.only))
    else:
        if not harness.APUS.exists():
            sys.exit(f"{harness.APUS} is missing: make build\n0 passed, 1 failed")
        standalone = Result("standalone")
        tests_of(STANDALONE, arguments.only).run(standalone)
        results.append(standalone)
        for link in arguments.links.split(","):
            for shards in map(int, arguments.shards.split(",")):
                results.append(run_configuration(harness.Configuration(link, shards), arguments.only))
            if link == "xdp":
                # Fewer queues than shards: one shard has none of its own.
                results.append(run_configuration(harness.Configuration(link, 2, queues=1), arguments.only))
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
