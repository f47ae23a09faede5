"""From `perf script` to a flamegraph: folds stacks and draws them as an SVG whose frames tell their share on hover."""

import collections
import html
import re

WIDTH, ROW, MARGIN, CHARACTER = 1400, 17, 10, 6.6

# A stack with one of these in it is a thread with nothing to do; what is below is of no interest.
IDLE = {
    "idle: asleep": re.compile(r"^(do_sys_poll|__x64_sys_ppoll|__x64_sys_poll|__?poll|ppoll|do_futex)$"),
    "idle: looks again": re.compile(r"^((__)?sched_yield|.*Shard\.watch\(\))$"),
}

# What a frame belongs to, by its shared object or by its name, and that part's colour.
PARTS = [
    ("idle", "#d8d8d8", lambda name, place: name.startswith("idle")),
    ("kernel", "#e8806a", lambda name, place: place.startswith("[") and place != "[unknown]"),
    ("C library", "#c9b8a8", lambda name, place: "/libc" in place or "/ld-" in place or "libpthread" in place),
    ("Swift runtime", "#d79ad0", lambda name, place: "libswift" in place or name.startswith("swift_")),
    ("libxdp, libbpf", "#e0c060", lambda name, place: "libxdp" in place or "libbpf" in place),
    ("Apus", "#86b8e0", lambda name, place: True),
]


def part(name, place):
    return next(color for _, color, test in PARTS if test(name, place))


def fold(text):
    """{(frame, ...): samples}, outermost first. A frame is "name\\tplace"; a thread's name is the outermost."""
    stacks = collections.Counter()
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if len(lines) < 2:
            continue
        frames = [re.sub(r"\s+\d+\s*$", "", lines[0].strip())]
        for line in reversed(lines[1:]):
            found = re.match(r"^\s*[0-9a-f]+ (.*) \(([^()]*)\)\s*$", line)
            if not found:
                continue
            name = re.sub(r"\+0x[0-9a-f]+$", "", found[1]).strip().replace(";", ":")
            idle = next((label for label, pattern in IDLE.items() if pattern.match(name)), None)
            if idle:
                frames.append(idle)
                break
            if name != "[unknown]" or (frames and not frames[-1].startswith("[unknown]")):
                frames.append(f"{name}\t{found[2]}")
        stacks[tuple(frames)] += 1
    return stacks


class Node:
    def __init__(self):
        self.count = 0
        self.children = {}


def tree(stacks):
    root = Node()
    for frames, count in stacks.items():
        root.count += count
        node = root
        for frame in frames:
            node = node.children.setdefault(frame, Node())
            node.count += count
    return root


def depth(node):
    return 1 + max((depth(child) for child in node.children.values()), default=0)


def svg(stacks, title):
    """Roots on top, as a call goes down. Frames narrower than a third of a pixel are left out."""
    root = tree(stacks)
    scale = (WIDTH - 2 * MARGIN) / max(root.count, 1)
    rows = []

    def draw(node, name, x, level):
        width = node.count * scale
        if width < 0.3:
            return
        label, _, place = name.partition("\t")
        share = f"{100 * node.count / root.count:.2f} %"
        hover = html.escape(f"{label}{'  [' + place + ']' if place else ''}: {node.count} samples, {share}")
        y = 50 + level * ROW
        room = int((width - 4) / CHARACTER)
        shown = label if len(label) <= room else label[: max(room - 2, 0)] + ".."
        text = f'<text x="{x + 3:.1f}" y="{y + 12}">{html.escape(shown)}</text>' if room > 3 else ""
        rows.append(f'<g><title>{hover}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.3):.1f}" '
                    f'height="{ROW - 1}" fill="{part(label, place)}" rx="1"/>{text}</g>')
        for child, below in sorted(node.children.items(), key=lambda item: -item[1].count):
            draw(below, child, x, level + 1)
            x += below.count * scale

    draw(root, "all", MARGIN, 0)
    height = 70 + (depth(root) + 1) * ROW
    legend, x = [], MARGIN
    for name, color, _ in PARTS:
        legend.append(f'<rect x="{x}" y="27" width="12" height="12" fill="{color}"/>'
                      f'<text x="{x + 16}" y="37">{name}</text>')
        x += 40 + len(name) * 7
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">'
            f'<rect width="100%" height="100%" fill="white"/><text x="{MARGIN}" y="18" font-size="14">'
            f'{html.escape(title)}</text>{"".join(legend)}{"".join(rows)}</svg>\n')
