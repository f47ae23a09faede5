"""The report of a comparison, as a browser shows it: every chart, every series with as many points as the data has,
every text where it can be read, and nothing fetched. fixtures/bench.json is of the form that `make bench` writes; its
figures are made up.
"""

import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from html import escape, unescape

import harness

FIXTURE = pathlib.Path(__file__).parent.parent / "fixtures" / "bench.json"
sys.path.insert(0, str(harness.ROOT / "perf"))
from compare import targets  # noqa: E402 (perf is no package of the tests)
from compare.summary import Summary  # noqa: E402

# Asks the page itself what it shows; the answer is an element of its own at the end.
PROBE = """
<script>
const told = {};
for (const figure of document.querySelectorAll("figure")) {
  const svg = figure.querySelector("svg"), frame = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].map(text => [text.textContent.trim(), text.getBoundingClientRect()]);
  const series = {};
  for (const group of svg.querySelectorAll("[id^='series:']")) {
    const box = group.getBoundingClientRect(), line = group.querySelector("path");
    series[group.id] = {markers: group.querySelectorAll("use").length, width: box.width, height: box.height,
                        corners: line ? (line.getAttribute("d").match(/[ML]/g) || []).length : 0};
  }
  told[figure.id] = {
    sentence: figure.querySelector("p").textContent, series: series, width: frame.width, height: frame.height,
    texts: texts.map(([text]) => text),
    outside: texts.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1 || box.width == 0
                                    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1).map(([text]) => text)};
}
const loaded = performance.getEntriesByType("resource").map(entry => entry.name);
const answer = document.createElement("pre");
answer.id = "probe";
answer.textContent = JSON.stringify({figures: told, loaded: loaded});
document.body.append(answer);
</script></body>"""


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.summary = Summary(json.loads(FIXTURE.read_text()))
        with tempfile.TemporaryDirectory(prefix="apus-report-") as folder:
            page = pathlib.Path(folder) / "report.html"
            harness.sh("/usr/bin/python3", harness.ROOT / "perf" / "report", FIXTURE, page, timeout=60)
            cls.html = page.read_text()
            page.write_text(cls.html.replace("</body>", PROBE))
            # A namespace with nothing in it: what the page does not bring, it has not.
            dom = subprocess.run(
                [
                    "unshare",
                    "--net",
                    "chromium",
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    f"--user-data-dir={folder}/profile",
                    "--window-size=1100,900",
                    "--virtual-time-budget=5000",
                    "--dump-dom",
                    page.as_uri(),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=True,
            )
        answer = re.search(r'<pre id="probe">(.*?)</pre>', dom.stdout, re.DOTALL)
        if answer is None:
            raise AssertionError(f"the browser did not run the page:\n{dom.stdout[-500:]}\n{dom.stderr[-2000:]}")
        cls.probe = json.loads(unescape(answer[1]))
        cls.figures = cls.probe["figures"]

    def test_every_chart_is_there_and_says_which_way_is_better(self):
        self.assertEqual(
            list(self.figures),
            [
                f"chart-{name}"
                for name in (
                    "connections",
                    "pipelines",
                    "percentiles",
                    "rising",
                    "bulk",
                    "instructions",
                    "calls",
                    "cycles",
                    "memory",
                )
            ],
        )
        for name, figure in self.figures.items():
            self.assertGreater(min(figure["width"], figure["height"]), 100, name)
            self.assertRegex(figure["sentence"], "better", name)

    def test_axes_have_units(self):
        units = {
            "connections": "requests a second",
            "pipelines": "requests a second",
            "percentiles": "microseconds, logarithmic",
            "rising": "microseconds from the intended time, logarithmic",
            "bulk": "bytes a second",
            "instructions": "instructions",
            "calls": "system calls a request, logarithmic",
            "cycles": "nanoseconds a request",
            "memory": "bytes",
        }
        for name, unit in units.items():
            self.assertIn(unit, self.figures[f"chart-{name}"]["texts"])

    def test_every_text_is_inside_of_its_chart(self):
        for name, figure in self.figures.items():
            self.assertEqual(figure["outside"], [], name)

    def with_distribution(self):
        return [
            server
            for server in self.summary.servers()
            if self.summary.distribution(server, self.summary.names("half")[0])
        ]

    def test_lines_have_the_points_of_the_data(self):
        """One marker a number of connections, one a step of the load; one corner a line of the histogram."""
        drawn = self.figures["chart-connections"]["series"]
        for server in [*self.summary.servers(), "echo"]:
            counts = {
                self.summary.cases[run["case"]]["connections"]
                for run in self.summary.document["runs"]
                if run["server"] == server
                and self.summary.cases[run["case"]]["pipeline"] == 1
                and self.summary.cases[run["case"]]["test"] in ("get", "echo")
                and self.summary.cases[run["case"]]["group"] in ("throughput", "connections", "echo")
            }
            series = drawn[f"series:connections:{self.summary.label(server)}"]
            self.assertEqual(series["markers"], len(counts), server)
            self.assertGreater(series["width"], 50)
        for server in self.summary.servers():
            series = self.figures["chart-rising"]["series"][f"series:rising:{self.summary.label(server)}"]
            self.assertEqual(series["markers"], len(self.summary.steps(server)), server)
        for server in self.with_distribution():
            corners = len(self.summary.distribution(server, self.summary.names("half")[0]))
            series = self.figures["chart-percentiles"]["series"][f"series:percentiles:{self.summary.label(server)}"]
            self.assertEqual(series["corners"], corners, server)

    def test_bars_are_as_long_as_the_data_says(self):
        """Within one panel lengths are in proportion."""
        drawn = self.figures["chart-pipelines"]["series"]
        case = "throughput: get 50x1"
        bars = [
            (
                drawn[f"series:pipelines:get 1 {self.summary.label(server)}"]["width"],
                self.summary.rate(server, case).median,
            )
            for server in self.summary.servers()
        ]
        scales = [width / rate for width, rate in bars]
        self.assertTrue(math.isclose(min(scales), max(scales), rel_tol=0.03), bars)

    def test_series_are_labelled_on_the_lines(self):
        servers = self.summary.servers()
        for name, shown in (("connections", servers), ("percentiles", self.with_distribution()), ("rising", servers)):
            for server in shown:
                self.assertIn(self.summary.label(server), self.figures[f"chart-{name}"]["texts"])

    def test_goals_are_told(self):
        for target in targets.all_targets(self.summary):
            cells = f"<td>{escape(target.work)}</td><td>{escape(target.wanted)}</td><td>{escape(target.measured)}</td>"
            verdict = {True: ">reached<", False: ">not reached<", None: "<td></td>"}[target.reached]
            self.assertTrue(cells in self.html and verdict in self.html.split(cells)[1][:40], target)

    def test_nothing_is_fetched(self):
        self.assertEqual(self.probe["loaded"], [])
        names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # namespaces, which nobody loads
        self.assertEqual(set(re.findall(r"https?://[^\"'\s<)]+", self.html)) - names, set())
        self.assertIsNone(re.search(r"<(script|link|img|iframe|object)\b|@import|url\((?!#)", self.html))

    def test_identifiers_are_unique(self):
        found = re.findall(r'\bid="([^"]+)"', self.html)
        self.assertEqual(len(found), len(set(found)))
