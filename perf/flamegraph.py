"""Draws profiles (stacks.py) as flamegraphs: SVG whose frames tell their share on hover."""

import html

import stacks

WIDTH, ROW, MARGIN, CHARACTER = 1400, 17, 10, 6.6

# What a frame belongs to, by its shared object or by its name, and that part's colour.
PARTS = [
    ("idle", "#d8d8d8", lambda name, place: name == stacks.IDLE),
    ("kernel", "#e8806a", lambda name, place: place.startswith("[") and place != "[unknown]"),
    ("C library", "#c9b8a8", lambda name, place: "/libc" in place or "/ld-" in place or "libpthread" in place),
    ("Swift runtime", "#d79ad0", lambda name, place: "libswift" in place or name.startswith("swift_")),
    ("libxdp, libbpf", "#e0c060", lambda name, place: "libxdp" in place or "libbpf" in place),
    ("Apus", "#86b8e0", lambda name, place: True),
]
# A difference of so large a part of all samples has the full colour.
FULL = 0.05


def part(name, place):
    return next(color for _, color, test in PARTS if test(name, place))


def tint(difference):
    """`difference`, a part of all samples: red for what grew, blue for what shrank, white for what stayed."""
    strength = min(abs(difference) / FULL, 1) ** 0.5
    faded = [
        round(255 - (255 - channel) * strength) for channel in ((214, 58, 36) if difference > 0 else (38, 98, 190))
    ]
    return "#{:02x}{:02x}{:02x}".format(*faded)


def depth(node):
    return 1 + max((depth(child) for child in node.children.values() if child.count), default=0)


def svg(profile, title):
    """One profile, coloured by what a frame belongs to."""
    root = stacks.tree(profile)

    def color(node, label, place):
        return part(label, place)

    def told(node):
        return f"{node.count:.0f} samples, {share(node.count, root)}"

    return drawing(root, title, [(name, color) for name, color, _ in PARTS], color, told)


def difference_svg(profile, base, title, scale=None):
    """`profile`'s widths, coloured by how each frame differs from that in `base` (scaled as `stacks.tree` does). Frames
    that only `base` has are not in it: draw the two the other way round to see them."""
    root = stacks.tree(profile, base, scale)

    def color(node, label, place):
        return tint((node.count - node.base) / max(root.count, 1))

    def told(node):
        change = 100 * (node.count - node.base) / root.count
        return f"{share(node.count, root)}, before {share(node.base, root)} ({change:+.2f})"

    legend = [
        ("5 % more of all samples, or above", tint(FULL)),
        ("1 % more", tint(0.01)),
        ("the same", tint(0)),
        ("1 % less", tint(-0.01)),
        ("5 % less, or below", tint(-FULL)),
    ]
    return drawing(root, title, legend, color, told)


def share(count, root):
    return f"{100 * count / max(root.count, 1):.2f} %"


def drawing(root, title, legend, color, told):
    """Roots on top, as a call goes down. Frames narrower than a third of a pixel are left out."""
    scale = (WIDTH - 2 * MARGIN) / max(root.count, 1)
    rows = []

    def draw(node, name, x, level):
        width = node.count * scale
        if width < 0.3:
            return
        label, _, place = name.partition("\t")
        hover = html.escape(f"{label}{'  [' + place + ']' if place else ''}: {told(node)}")
        y = 50 + level * ROW
        room = int((width - 4) / CHARACTER)
        shown = label if len(label) <= room else label[: max(room - 2, 0)] + ".."
        text = f'<text x="{x + 3:.1f}" y="{y + 12}">{html.escape(shown)}</text>' if room > 3 else ""
        rows.append(
            f'<g><title>{hover}</title><rect x="{x:.1f}" y="{y}" width="{max(width - 0.5, 0.3):.1f}" '
            f'height="{ROW - 1}" fill="{color(node, label, place)}" stroke="#bbb" stroke-width="0.3" rx="1"/>'
            f"{text}</g>"
        )
        for child, below in sorted(node.children.items(), key=lambda item: -item[1].count):
            draw(below, child, x, level + 1)
            x += below.count * scale

    draw(root, "all", MARGIN, 0)
    height = 70 + (depth(root) + 1) * ROW
    head, x = [], MARGIN
    for name, shade in legend:
        head.append(
            f'<rect x="{x}" y="27" width="12" height="12" fill="{shade}" stroke="#bbb" stroke-width="0.3"/>'
            f'<text x="{x + 16}" y="37">{name}</text>'
        )
        x += 40 + len(name) * 7
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">'
        f'<rect width="100%" height="100%" fill="white"/><text x="{MARGIN}" y="18" font-size="14">'
        f'{html.escape(title)}</text>{"".join(head)}{"".join(rows)}</svg>\n'
    )
