"""From `perf script` to stacks: folding, one profile for each thread, and two profiles beside each other.

A stack is a tuple of frames, the outermost first; a frame is "name\\tplace" (place: its shared object). A profile is
{stack: samples}.
"""

import collections
import re

IDLE = "idle polling"
# A stack with one of these in it is a thread with nothing to do. Where it waits, and from where it was called, is of no
# interest: all of them become one frame.
WAITING = re.compile(
    r"^(do_sys_poll|__x64_sys_ppoll|__x64_sys_poll|__?poll|ppoll|do_futex|(__)?sched_yield" r"|.*Shard\.watch\(\))$"
)


def fold(text, binary=None):
    """{thread's name: profile} from `perf script -F comm,tid,ip,sym,dso`, demangled.

    `binary`: the path of the program, whose place is "apus" then, wherever the build lies: frames of two builds must be
    the same to be compared.
    """
    if binary:
        text = text.replace(f" ({binary})\n", " (apus)\n")
    threads = {}
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if len(lines) < 2:
            continue
        thread = re.sub(r"\s+\d+(/\d+)?\s*$", "", lines[0].strip())
        threads.setdefault(thread, collections.Counter())[tuple(frames(lines[1:]))] += 1
    return threads


def frames(lines):
    """The frames of one sample, which perf tells from the innermost outwards."""
    found = []
    for line in reversed(lines):
        match = re.match(r"^\s*[0-9a-f]+ (.*) \(([^()]*)\)\s*$", line)
        if not match:
            continue
        name = re.sub(r"\+0x[0-9a-f]+$", "", match[1]).strip().replace(";", ":")
        if WAITING.match(name):
            return [IDLE]
        if name != "[unknown]" or (found and not found[-1].startswith("[unknown]")):
            found.append(f"{name}\t{match[2]}")
    return found


def folded(profile):
    """One line a stack, as other tools read it."""
    return "".join(f"{';'.join(stack)} {count}\n" for stack, count in sorted(profile.items()))


class Node:
    """A frame under its callers. `count`: samples of the profile; `base`: those of the one it is compared with, scaled;
    0 without one."""

    def __init__(self):
        self.count = 0.0
        self.base = 0.0
        self.children = {}

    def add(self, stack, count, base):
        node = self
        for frame in (None, *stack):
            node = node if frame is None else node.children.setdefault(frame, Node())
            node.count += count
            node.base += base


def tree(profile, base=None, scale=None):
    """The profile's root. With `base`, every node tells both; stacks that only `base` has are there with a count of 0.

    `scale`: what a sample of `base` counts for. Without it, both have as many samples in all. The number of requests of
    the one over that of the other makes it a comparison of time a request.
    """
    root = Node()
    for stack, count in profile.items():
        root.add(stack, count, 0)
    if base:
        scale = scale or sum(profile.values()) / sum(base.values())
        for stack, count in base.items():
            root.add(stack, 0, count * scale)
    return root
