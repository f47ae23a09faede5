"""How often the machine itself takes its cores away: gaps in a loop that does nothing but look at the clock.

On a virtual machine the hypervisor runs others meanwhile. A request that meets such a gap waits for its end, whoever serves
it, so the share of time in gaps is about the share of requests that the latency of no server can be better for.
"""

import json
import subprocess
import sys

import lab

# Shorter ones are interrupts, and the loop's own.
LEAST_US, LONG_US = 100, 1000

SPIN = f"""
import json, time
gaps, now = [], time.perf_counter_ns()
start, end = now, now + int(float({{seconds}}) * 1e9)
while now < end:
    then, now = now, time.perf_counter_ns()
    if now - then > {LEAST_US * 1000}: gaps.append((now - then) / 1000)
print(json.dumps([(now - start) / 1000, gaps]))
"""


def measure(seconds=1.0):
    """One result for each of the two cores, at the same time."""
    spinning = [
        subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, "-c", SPIN.format(seconds=seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for core in sorted({lab.CLIENT_CORE, lab.SERVER_CORE})
    ]
    try:
        return [figures(*json.loads(process.communicate(timeout=seconds + 20)[0])) for process in spinning]
    finally:
        for process in spinning:
            if process.poll() is None:
                process.kill()
                process.wait()


def figures(span, gaps):
    long = [gap for gap in gaps if gap >= LONG_US]
    return {
        "lost": round(sum(gaps) / span, 5),
        "lost_in_long": round(sum(long) / span, 5),
        "longest_us": round(max(gaps, default=0)),
    }
