#!/usr/bin/python3
"""Instructions per request by part of the path: callgrind's count of each function, and which part the function is of.

The same runs as perf/instructions: each case with two numbers of requests, the difference over the difference. What is
inlined counts for the function it is inlined into, so parts are as fine as the functions that the compiler leaves.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import tempfile

import servers

# The first that matches a function's demangled name, or its module, decides.
PARTS = [
    ("link", r"MemoryLink|FrameQueue|FramePool|XDPLink", None),
    ("TCP out", r"^(specialized )?Stack\.(output|transmit|send)|Output|SendQueue|emit|buildSegment", "Net"),
    ("Ethernet, IP, TCP in", r"", "Net"),
    ("reply", r"ReplyWriter", None),
    ("command, store", r"Command\(|Database|Keyspace|Table|hash", None),
    ("command, store", r"", "Store"),
    ("turn of the loop", r"Shard\.(turn|poll|timers|transmit|receive)|measuredTurn|TimingWheel", None),
    ("session, parse", r"", "App"),
    ("copies, C library, runtime", r"", None),
]
# As a request meets them.
NAMES = [
    "link",
    "Ethernet, IP, TCP in",
    "session, parse",
    "command, store",
    "reply",
    "TCP out",
    "turn of the loop",
    "copies, C library, runtime",
]


def part(mangled, name):
    found = re.match(r"\$s(\d+)", mangled)
    module = mangled[found.end() : found.end() + int(found[1])] if found else ""
    # A function's own module is not always the first in a symbol (specialisations, protocol witnesses).
    return next(
        part for part, pattern, wanted in PARTS if (wanted is None or wanted == module) and re.search(pattern, name)
    )


def self_costs(text):
    """{function: instructions} of a callgrind file: cost lines after `fn=`, without those of the calls made there."""
    names, costs = {}, collections.Counter()
    current, is_call = None, False
    for line in text.splitlines():
        if line.startswith("fn="):
            number, _, name = line[3:].partition(" ")
            current = names.setdefault(number, name or number)
        elif line.startswith(("cfn=", "cfi=", "cob=", "fi=", "fe=", "fl=", "ob=")):
            if line.startswith("cfn="):
                number, _, name = line[4:].partition(" ")
                if name:
                    names.setdefault(number, name)
        elif line.startswith("calls="):
            is_call = True
        elif current and re.match(r"[+\-*\d]", line):
            if not is_call:
                costs[current] += int(line.split()[1])
            is_call = False
    return costs


def demangled(names):
    result = subprocess.run(
        [os.environ.get("SWIFT", "swift"), "demangle", "--compact", "--simplified"],
        input="\n".join(names),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    return dict(zip(names, result))


def collect(binary, folder, arguments, toggle):
    output = pathlib.Path(folder) / "callgrind.out"
    result = subprocess.run(
        [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={output}",
            f"--toggle-collect={toggle}",
            str(binary),
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=300,
    )
    if result.returncode != 0:
        raise RuntimeError(f"callgrind: exit status {result.returncode}\n{result.stdout[-2000:]}")
    return self_costs(output.read_text(errors="replace"))


def of_case(case, budgets, binary, folder, numbers):
    counts = [
        collect(binary, folder, [*case["arguments"], "--requests", str(number)], budgets["toggle"])
        for number in numbers
    ]
    names = demangled(list(counts[1]))
    found = dict.fromkeys(NAMES, 0.0)
    for function, cost in counts[1].items():
        found[part(function, names[function])] += (cost - counts[0][function]) / (numbers[1] - numbers[0])
    return {name: round(cost, 1) for name, cost in found.items()}


def all_cases(few=False):
    """{case of perf/budgets.json: {part: instructions a request}}; `few` takes the first ones."""
    budgets = json.loads((servers.ROOT / "perf" / "budgets.json").read_text())
    with tempfile.TemporaryDirectory(prefix="apus-parts-") as folder:
        # valgrind cannot read Swift's debug information.
        binary = pathlib.Path(folder) / "apus"
        subprocess.run(["strip", "-g", "-o", binary, servers.APUS], check=True)
        chosen = budgets["cases"][:2] if few else budgets["cases"]
        return {case["name"]: of_case(case, budgets, binary, folder, budgets["requests"]) for case in chosen}


def main():
    for case, found in all_cases().items():
        print(f"{case}: {sum(found.values()):,.1f} instructions a request")
        for name, cost in found.items():
            print(f"  {name:<28} {cost:>8,.1f}")


if __name__ == "__main__":
    main()
