"""Folding of perf's samples, and flamegraphs of one profile and of two beside each other, on stacks made by hand."""

import re
import sys
import unittest
import xml.etree.ElementTree

import harness

sys.path.insert(0, str(harness.ROOT / "perf"))
import flamegraph  # noqa: E402 (perf is no package of the tests)
import stacks  # noqa: E402

SAMPLES = """\
apus-shard-0  4711
\t    55d0 Table.find(_:)+0x1c (/opt/apus)
\t    55d1 Shard.turn()+0x20 (/opt/apus)
\t    7f00 start_thread (/lib/x86_64-linux-gnu/libc.so.6)

apus-shard-0  4711
\tffff8000 veth_xmit ([kernel.kallsyms])
\t    7f01 [unknown] (/lib/x86_64-linux-gnu/libc.so.6)
\t    55d1 Shard.turn()+0x30 (/opt/apus)
\t    7f00 start_thread (/lib/x86_64-linux-gnu/libc.so.6)

apus-shard-0  4711
\tffff8001 schedule ([kernel.kallsyms])
\tffff8002 do_sys_poll ([kernel.kallsyms])
\t    7f02 poll (/lib/x86_64-linux-gnu/libc.so.6)
\t    55d3 Shard.sleep() (/opt/apus)

apus-shard-0  4711
\t    55d4 closure #1 in Shard.watch() (/opt/apus)
\t    55d2 Shard.run() (/opt/apus)

apus-shard-1  4712
\t    55d5 a;b(_:) (/opt/apus)

"""
FIND = ("start_thread\t/lib/x86_64-linux-gnu/libc.so.6", "Shard.turn()\t/opt/apus", "Table.find(_:)\t/opt/apus")


def frames(text):
    """{label on hover: (width, fill)} of an SVG."""
    root = xml.etree.ElementTree.fromstring(text)
    name = "{http://www.w3.org/2000/svg}"
    return {
        group.find(name + "title").text: (
            float(group.find(name + "rect").get("width")),
            group.find(name + "rect").get("fill"),
        )
        for group in root.iter(name + "g")
    }


def starting(found, label):
    return next(value for name, value in found.items() if name.startswith(label))


class Flamegraph(unittest.TestCase):
    def test_each_thread_has_a_profile_of_its_own(self):
        threads = stacks.fold(SAMPLES)
        self.assertEqual(
            {name: sum(profile.values()) for name, profile in threads.items()}, {"apus-shard-0": 4, "apus-shard-1": 1}
        )
        self.assertEqual(threads["apus-shard-0"][FIND], 1)

    def test_waiting_is_one_frame_wherever_it_happens(self):
        self.assertEqual(stacks.fold(SAMPLES)["apus-shard-0"][(stacks.IDLE,)], 2)

    def test_frames_without_a_name_are_kept_once_and_semicolons_do_not_divide(self):
        threads = stacks.fold(SAMPLES)
        (kernel,) = [stack for stack in threads["apus-shard-0"] if stack[-1].startswith("veth_xmit")]
        self.assertEqual(
            [frame.partition("\t")[0] for frame in kernel], ["start_thread", "Shard.turn()", "[unknown]", "veth_xmit"]
        )
        self.assertEqual(stacks.folded(threads["apus-shard-1"]), "a:b(_:)\t/opt/apus 1\n")

    def test_two_builds_have_the_same_frames(self):
        """Nothing differs but where the binaries lie."""
        now = stacks.fold(SAMPLES, "/opt/apus")["apus-shard-0"]
        base = stacks.fold(SAMPLES.replace("/opt/apus", "/srv/old/apus"), "/srv/old/apus")["apus-shard-0"]
        self.assertEqual(now, base)
        colors = {color for _, color in frames(flamegraph.difference_svg(now, base, "same")).values()}
        self.assertEqual(colors, {"#ffffff"})

    def test_widths_are_shares(self):
        found = frames(flamegraph.svg({("a\tx", "b\tx"): 3, ("a\tx", "c\t[kernel.kallsyms]"): 1}, "title"))
        whole = starting(found, "all")[0]
        self.assertAlmostEqual(starting(found, "b")[0] / whole, 0.75, places=2)
        self.assertAlmostEqual(starting(found, "c")[0] / whole, 0.25, places=2)
        self.assertTrue(any("1 samples, 25.00 %" in name for name in found))
        self.assertEqual(starting(found, "c")[1], dict((name, color) for name, color, _ in flamegraph.PARTS)["kernel"])

    def test_a_difference_is_of_shares_not_of_samples(self):
        """Twice the samples of the same shape is no difference at all."""
        profile = {("a\tx", "b\tx"): 30, ("a\tx", "c\tx"): 10}
        base = {stack: 2 * count for stack, count in profile.items()}
        colors = {color for _, color in frames(flamegraph.difference_svg(profile, base, "same")).values()}
        self.assertEqual(colors, {"#ffffff"})

    def test_a_difference_can_be_of_time_a_request(self):
        """Half of the requests in as many samples: every request took twice as long before."""
        found = frames(flamegraph.difference_svg({("a\tx",): 10}, {("a\tx",): 10}, "slower before", scale=2))
        self.assertEqual(starting(found, "a")[1], flamegraph.tint(-1))
        self.assertIn("a  [x]: 100.00 %, before 200.00 % (-100.00)", found)

    def test_what_grew_is_red_and_what_shrank_is_blue(self):
        found = frames(
            flamegraph.difference_svg(
                {("a\tx", "grew\tx"): 60, ("a\tx", "shrank\tx"): 40, ("a\tx", "new\tx"): 100},
                {("a\tx", "grew\tx"): 10, ("a\tx", "shrank\tx"): 50, ("a\tx", "gone\tx"): 40},
                "difference",
            )
        )

        def channels(label):
            return [int(part, 16) for part in re.findall("..", starting(found, label)[1][1:])]

        red, blue = channels("grew"), channels("shrank")
        self.assertGreater(red[0], red[2])
        self.assertGreater(blue[2], blue[0])
        self.assertGreater(channels("new")[0], channels("new")[2])
        self.assertEqual(channels("a"), [255, 255, 255])
        self.assertFalse(any(name.startswith("gone") for name in found))
        self.assertTrue(any(name.startswith("grew") and "30.00 %, before 10.00 % (+20.00)" in name for name in found))

    def test_the_other_way_round_shows_what_is_gone(self):
        found = frames(flamegraph.difference_svg({("gone\tx",): 1, ("stays\tx",): 1}, {("stays\tx",): 7}, "base"))
        self.assertEqual(starting(found, "gone")[1], flamegraph.tint(1))
