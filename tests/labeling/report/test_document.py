"""The mailed report: every visual is in it, whatever the data are called; its charts keep their proportions."""

import datetime as dt
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sextant.labeling.dashboards.athena import Answer, Column, Lake, QueryError
from sextant.labeling.dashboards.model import Dashboard, Dataset, Dimension, Measure, Specification, Visual
from sextant.labeling.dashboards.spec import SPECIFICATION
from sextant.labeling.report import figures
from sextant.labeling.report.collect import sections
from sextant.labeling.report.document import Section, html
from sextant.labeling.report.words import NOTHING, duration, natural, text
from tests.handlers.lake import DATABASE, WORKGROUP, LakeAthena, truth

MADE = dt.datetime(2026, 11, 21, 11, tzinfo=dt.UTC)
LAKE = Lake(DATABASE=DATABASE, WORKGROUP=WORKGROUP)
ROOT = Path(__file__).resolve().parents[3]


class Page(HTMLParser):
    """The page's elements and texts, as a reader of HTML understands them."""

    def __init__(self, page):
        super().__init__()
        self.names, self.attributes, self.texts = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def found():
    lake = LakeAthena(truth())
    lake.fail = {"FROM worker_count\nGROUP BY 1\nORDER BY 2 DESC": "GENERIC_INTERNAL_ERROR: <b>no</b>"}
    yield sections(lake, LAKE, SPECIFICATION)
    lake.close()


def test_every_visual_is_in_the_report_and_a_failed_one_says_why(found):
    page = Page(html(SPECIFICATION, found, title="Labels", made=MADE))
    for dashboard in SPECIFICATION.dashboards:
        for visual in dashboard.visuals:
            assert visual.type == "options" or visual.title in page.texts, visual.id
    assert any("GENERIC_INTERNAL_ERROR: <b>no</b>" in each for each in page.texts)
    assert "b" not in page.names


def test_the_report_loads_and_runs_nothing(found):
    page = Page(html(SPECIFICATION, found, title="Labels", made=MADE))
    assert not {"script", "link", "img", "iframe", "object", "image", "use"} & set(page.names)
    assert not {"src", "href", "xlink:href"} & {name for name, _ in page.attributes}
    assert "url(" not in "".join(page.texts)
    assert page.names.count("svg") > 5


def one(rows, kind="hbar", of="text", **more):
    """A report of one visual over these rows of (name, count); `of` is the names' kind."""
    data = Dataset(
        counts="labels",
        source="t",
        dimensions={"name": Dimension(title="Name", kind=of, sql="name")},
        measures={"n": Measure(title="Labels", sql="sum(n)")},
        filters={},
    )
    visual = Visual(id="a", type=kind, title="All", dataset="labels", rows=("name",), measures=("n",), **more)
    dashboard = Dashboard(id="d", title="D", description="", filters=(), visuals=(visual,))
    answer = Answer(
        columns=(Column(name="name", type="varchar"), Column(name="n", type="bigint")),
        rows=tuple(rows),
        truncated=False,
        not_applied=(),
        as_of=MADE,
        cached=False,
        max_age_minutes=0,
        bytes_scanned=0,
        query_execution_id="q",
    )
    specification = Specification(datasets={"labels": data}, dashboards=(dashboard,))
    return html(specification, [Section(dashboard, [(visual, answer)])], title="T", made=MADE)


def test_bars_are_as_long_as_their_numbers():
    page = one([("car", 120), ("van", 60), ("bus", 0)])
    widths = [float(each) for each in re.findall(r'<rect[^>]* width="([\d.]+)"', page)]
    assert widths[0] == 2 * widths[1]
    assert widths[2] == 0


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_no_name_becomes_markup(name):
    page = Page(one([(name, 1), ("<script>alert(1)</script>", 2), ('" onload="x', 3)]))
    assert "script" not in page.names
    assert "onload" not in {attribute for attribute, _ in page.attributes}


def test_what_is_left_out_is_told():
    page = Page(one([(f"job-{n}", n) for n in range(40)]))
    assert "15 of 40 rows; the console has all." in page.texts


@pytest.mark.parametrize("kind", ["bar", "table"])
def test_of_a_long_series_the_newest_are_shown(kind):
    page = Page(one([(f"2026-03-{n:02d}", n) for n in range(1, 29)], kind=kind, of="day", sort="group"))
    assert [each for each in page.texts if each.startswith("2026-")] == [f"2026-03-{n}" for n in range(14, 29)]
    assert "The newest 15 of 28 rows; the console has all." in page.texts


def test_places_of_a_line_are_times_as_people_write_them():
    page = Page(
        one([(f"2026-03-02T{n:02d}:00:00.000Z", n) for n in range(9, 12)], kind="line", of="time", sort="group")
    )
    shown = [each for each in page.texts if "Mar 2026" in each]
    assert shown == ["02 Mar 2026, 09:00 UTC", "02 Mar 2026, 10:00 UTC", "02 Mar 2026, 11:00 UTC"]


def test_groups_in_natural_order_and_unrecorded_last():
    page = Page(one([("10", 1), (None, 5), ("9", 2)], sort="group"))
    shown = [each for each in page.texts if each in {"9", "10", "not recorded"}]
    assert shown == ["9", "10", "not recorded"]


def test_what_was_not_measured_is_no_zero():
    """Old answers tell no times: none of them took 0 seconds."""
    page = Page(one([("car", None), ("van", 3)]))
    assert [each for each in page.texts if each in {NOTHING, "0", "3"}] == [NOTHING, "3"]
    page = Page(one([("car", None), ("van", None)]))
    assert "Labels: not recorded." in page.texts
    assert "svg" not in page.names


def test_whiskers_span_their_interval():
    rows = [figures.Dot("a", 0.5, 0.25, 0.75, ""), figures.Dot("b", 1.0, None, None, ""), figures.Dot("c", 0, 0, 0, "")]
    svg = figures.dots(rows, "t")
    lines = [each for each in svg if each.tag == "line"]
    left, right = float(lines[0].get("x1")), float(lines[0].get("x2"))
    dots = [float(each.get("cx")) for each in svg if each.tag == "circle"]
    assert dots[0] == pytest.approx((left + right) / 2, abs=0.1)
    assert right - left == pytest.approx((dots[1] - dots[2]) / 2, abs=0.1)


def test_a_line_breaks_where_nothing_was_measured():
    points = [figures.Point(str(n), [value]) for n, value in enumerate([0.1, 0.2, None, 0.4, 0.3])]
    svg = figures.lines(points, ["share"], "t")
    runs = [each.get("points").split() for each in svg if each.tag == "polyline"]
    assert [len(each) for each in runs] == [2, 2]


@pytest.mark.parametrize("values", [[], [0.0], [float("nan")], [float("inf"), 1.0]])
def test_odd_numbers_leave_a_readable_drawing(values):
    svg = figures.bars([figures.Bar("a", [each], "") for each in values], "t")
    assert ET.fromstring(ET.tostring(svg)).tag.endswith("svg")
    assert "nan" not in ET.tostring(svg, encoding="unicode").replace("t", "")


def test_the_palette_is_the_consoles():
    style = (ROOT / "web" / "style.css").read_text()
    light = dict(re.findall(r"--c(\d): light-dark\((#[0-9a-f]{6})", style))
    assert tuple(light[str(n)] for n in range(len(figures.COLOURS))) == figures.COLOURS


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (None, "count", "–"),  # noqa: RUF001
        (1234567, "count", "1,234,567"),
        (0.8571, "share", "85.7 %"),
        (0.82149, "number", "0.821"),
        (1234.5, "usd", "$1,234.50"),
        (7325, "seconds", "2 h 2 min"),
        ("2026-11-21", "day", "2026-11-21"),
        ("2026-03-02T20:00:00.000Z", "timestamp", "02 Mar 2026, 20:00 UTC"),
    ],
)
def test_values_carry_their_units(value, unit, told):
    assert text(value, unit) == told


def test_durations_round_into_the_next_unit():
    assert [duration(each) for each in (0.04, 12, 59.99, 60, 3599.6)] == ["0 s", "12 s", "60 s", "1 min", "1 h"]


def test_natural_order():
    assert sorted(["10", "9", "b2", "b10", None, ""], key=natural) == [
        "9",
        "10",
        "",
        "b2",
        "b10",
        None,
    ]  # (empty) is a word


def test_the_last_job_is_done_at_times_as_people_write_them(found):
    """An upper bound beyond what is simulated is null."""
    page = Page(html(SPECIFICATION, found, title="T", made=MADE))
    at = page.texts.index("Last job done by")
    assert page.texts[at : at + 4] == [
        "Last job done by", "02 Mar 2026, 23:00 UTC", "02 Mar 2026, 20:00 UTC or later", "n = 2",
    ]  # fmt: skip


def test_an_error_is_an_outcome():
    failed = QueryError(502, "QueryFailed", "the report's query failed: no table", "Run the workflow.")
    [dashboard, *_] = SPECIFICATION.dashboards
    visual = next(each for each in dashboard.visuals if each.type == "kpi")
    page = Page(html(SPECIFICATION, [Section(dashboard, [(visual, failed)])], title="T", made=MADE))
    assert "Failed: the report's query failed: no table" in page.texts
