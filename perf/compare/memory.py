"""Bytes a key and bytes an idle connection cost a server.

Keys: the growth of INFO's used_memory while keys of 16 bytes with values of 64 bytes are stored. Connections: the same
growth while kernel sockets are connected and idle, as soon as the server has given their buffers up; and besides it the
growth of the kernel's own objects (/proc/slabinfo). The kernel's part holds the clients' ends too; against Apus's own stack
it holds nothing else, so the difference between two servers is what the server's ends cost the kernel.
"""

import pathlib
import subprocess
import sys
import time

import lab
import servers
from compare import cases, clients

# Runs in the client's namespace: so many idle connections, held until standard input ends.
HOLDER = """
import resource, socket, sys
count, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
held = []
for _ in range(count):
    held.append(socket.create_connection((host, port), timeout=10))
    held[-1].sendall(b"PING\\r\\n")
    held[-1].recv(100)
print("held", flush=True)
sys.stdin.read()
"""


def info(bench):
    """INFO's fields, asked by a kernel socket of the client's namespace."""
    text = bench.inside(bench.client, "redis-cli", "-h", lab.SERVER_ADDRESS, "-p", servers.PORT, "info", "everything")
    return dict(line.strip().split(":", 1) for line in text.splitlines() if ":" in line)


def reset_counters(bench):
    """What INFO counts begins anew. Differences would not do: stages are shares of all busy time, as sampled so far."""
    bench.inside(bench.client, "redis-cli", "-h", lab.SERVER_ADDRESS, "-p", servers.PORT, "config", "resetstat")


def cycles(bench):
    """{stage: microseconds of busy time} since the counters were reset, where INFO tells it."""
    found = {
        name.removeprefix("cycles_").removesuffix("_usec"): int(value)
        for name, value in info(bench).items()
        if name.startswith("cycles_") and name.endswith("_usec") and value.isdigit()
    }
    return {stage: value for stage, value in found.items() if stage not in ("elapsed", "busy", "spinning", "asleep")}


def used(bench):
    time.sleep(0.3)  # used_memory is refreshed by a timer
    return int(info(bench)["used_memory"])


def settled(bench):
    """used_memory when it falls no more: redis-server takes an idle client's buffers away after some seconds."""
    seen = [used(bench)]
    while len(seen) < 10 and (len(seen) < 5 or seen[-1] < seen[-3]):
        time.sleep(2)
        seen.append(used(bench))
    return seen[-1]


def kernel_bytes():
    """Of all objects in use."""
    lines = pathlib.Path("/proc/slabinfo").read_text().splitlines()[2:]
    return sum(int(fields[1]) * int(fields[3]) for fields in map(str.split, lines))


def hold(bench, count):
    holder = subprocess.Popen(
        [
            "ip",
            "netns",
            "exec",
            bench.client,
            sys.executable,
            "-c",
            HOLDER,
            str(count),
            lab.SERVER_ADDRESS,
            servers.PORT,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if holder.stdout.readline().strip() != "held":
        holder.kill()
        holder.wait()
        raise RuntimeError(f"{count} idle connections could not be opened")
    return holder


def measure(bench, contender, keys, connections):
    """Starts the server anew for each, so that neither finds what the other left."""
    bench.start(contender)
    try:
        before = used(bench)
        clients.load_keys(bench, "kernel", cases.Case("load", "set"), keys)
        stored = int(info(bench)["db0"].split("keys=")[1].split(",")[0])
        key_bytes = (used(bench) - before) / stored
    finally:
        bench.stop()
    bench.start(contender)
    try:
        # The first ones bring tables and buffers that are there only once.
        hold(bench, 50).communicate()
        before, kernel = settled(bench), kernel_bytes()
        holder = hold(bench, connections)
        try:
            growth = (settled(bench) - before) / connections, (kernel_bytes() - kernel) / connections
        finally:
            holder.communicate()
    finally:
        bench.stop()
    return {
        "keys": stored,
        "bytes_per_key": round(key_bytes, 1),
        "connections": connections,
        "bytes_per_connection": round(growth[0], 1),
        "kernel_bytes_per_connection": round(growth[1], 1),
    }
