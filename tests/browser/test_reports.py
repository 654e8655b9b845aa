"""The reports' pages in Chromium: every type of visual, filters by click, single labels drawn, exports, two batches."""

import csv
import datetime as dt
import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sextant.labeling.dashboards.spec import SPECIFICATION
from tests.browser.conftest import Workflow, workflow_run
from tests.browser.gallery import BATCHES, CONFUSION, FIRST, LABELS, PACE, WORKERS, gallery
from tests.browser.looks import DRAWN, FORGET, address_has, axe_finds_nothing, fits, looks, opening
from tests.browser.test_console import NOTHING, address, figure, settle, table_of
from tests.handlers.lake import truth

pytestmark = pytest.mark.browser

MARKS = """(id) => [...document.querySelectorAll(`#${id} svg .role-mark path`)].map((each) => ({
  ...each.__data__?.datum, mark: each.__data__?.mark.marktype, shape: each.__data__?.shape,
  fill: each.getAttribute('fill'), stroke: each.getAttribute('stroke')}))"""


@pytest.fixture(scope="module")
def shown():
    return gallery()


@pytest.fixture
def gallery_page(open_page, console_url, shown, monkeypatch):
    """Opens the gallery's page under an address."""
    monkeypatch.setattr("sextant.labeling.dashboards.api.SPECIFICATION", shown.specification)

    def opened(search="", **options):
        page = open_page(address(console_url, "workers", search), **options)
        settle(page)
        return page

    return opened


def chosen(facts, **wanted):
    return [x for x in facts if all(str(x[name]) == value for name, value in wanted.items())]


def passed(facts):
    return sum(x["passed"] for x in facts) / sum(x["audited"] for x in facts)


def wilson(hits, n, z=1.959963984540054):
    centre, spread = hits + z * z / 2, z * (hits * (n - hits) / n + z * z / 4) ** 0.5
    return (centre - spread) / (n + z * z), (centre + spread) / (n + z * z)


def marks(page, visual):
    return page.evaluate(MARKS, visual)


def download(page, button):
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button, exact=True).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def chips(page):
    return [each.get_attribute("aria-label").removeprefix("Remove filter ") for each in page.locator(".chip").all()]


def pixels(body):
    """RGB pixels of a PNG, shape (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


def test_a_figure_has_its_interval_and_n(gallery_page, shown):
    page = gallery_page()
    n, hits = sum(x["audited"] for x in shown.facts), sum(x["passed"] for x in shown.facts)
    low, high = wilson(hits, n)
    card = page.locator("#passed").inner_text()
    assert figure(page, "passed") == f"{hits / n:.1%}"
    assert f"95 % interval {low:.1%} to {high:.1%}" in card
    assert f"n = {n:,} audited labels" in card
    assert figure(page, "cost") == f"${n * 0.08:,.2f}"


def test_a_line_joins_its_days_and_shows_its_band(gallery_page, shown):
    page = gallery_page()
    dots = [x for x in marks(page, "trend") if x["mark"] == "symbol"]
    assert len(dots) == 10 * len(LABELS)
    for label in LABELS:
        mine = {x["k"]: x for x in dots if x["s"] == label}
        for d in range(10):
            day = FIRST + dt.timedelta(days=d)
            rows = chosen(shown.facts, label=label, day=str(day))
            point = mine[int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp() * 1000)]
            assert point["y"] == pytest.approx(passed(rows))
            low, high = wilson(sum(x["passed"] for x in rows), sum(x["audited"] for x in rows))
            assert (point["low"], point["high"]) == pytest.approx((low, high))
    # Series differ in shape as well as in colour, on the chart and in the legend.
    assert len({x["shape"] for x in dots}) == len({x["fill"] for x in dots}) == len(LABELS)
    assert len({each.get_attribute("d") for each in page.locator("#trend .legend path").all()}) == len(LABELS)
    assert page.locator("#trend svg .mark-area path").count() == len(LABELS)


def test_a_control_chart_marks_what_is_out_of_control(gallery_page, shown):
    page = gallery_page()
    centre = passed(shown.facts)
    out = set()
    for d in range(10):
        rows = chosen(shown.facts, day=str(FIRST + dt.timedelta(days=d)))
        n = sum(x["audited"] for x in rows)
        if abs(passed(rows) - centre) > 3 * (centre * (1 - centre) / n) ** 0.5:
            out.add(d)
    assert 5 in out
    dots = [x for x in marks(page, "control") if x["mark"] == "symbol"]
    start = dt.datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=dt.UTC).timestamp() * 1000
    assert {round((x["k"] - start) / 864e5) for x in dots if x["signal"]} == out
    assert {x["shape"] for x in dots if x["signal"]} == {"triangle-up"}
    assert {x["shape"] for x in dots if not x["signal"]} == {"circle"}
    assert not {x["fill"] for x in dots if x["signal"]} & {x["fill"] for x in dots if not x["signal"]}
    assert f"{len(out)} of 10 points outside the limits." in page.locator("#control").inner_text()
    assert page.locator("#control svg .mark-rule.role-mark line").count() == 30, "centre and two limits for each day"
    legend = [each.inner_text() for each in page.locator("#control .legend .name").all()]
    assert legend == [
        "within the limits",
        "outside the limits: look there",
        "centre line",
        "control limits (3 standard errors)",
    ]


def test_a_control_chart_by_batch_has_limits_for_each_batch(gallery_page):
    page = gallery_page()
    assert page.locator("#by-batch svg .mark-rule.role-mark line").count() == 6
    widths = [each.bounding_box()["width"] for each in page.locator("#by-batch svg .mark-rule.role-mark line").all()]
    assert min(widths) > 80, "each as wide as its batch"


def test_intervals_have_dots_and_whiskers_where_the_numbers_are(gallery_page, shown):
    page = gallery_page()
    dots = {x["k"]: x for x in marks(page, "per-worker") if x["mark"] == "symbol"}
    assert set(dots) == set(WORKERS)
    for worker, point in dots.items():
        rows = chosen(shown.facts, worker=worker)
        low, high = wilson(sum(x["passed"] for x in rows), sum(x["audited"] for x in rows))
        assert (point["y"], point["low"], point["high"]) == pytest.approx((passed(rows), low, high))
    assert page.locator("#per-worker svg .mark-rule.role-mark line").count() == len(WORKERS)
    page.locator("#per-worker svg .mark-symbol path").first.hover()
    page.wait_for_selector(".tip:not([hidden])")
    assert re.match(r"\w+: [\d.]+% \(95 % interval [\d.]+% to [\d.]+%\), n = \d+", page.locator(".tip").inner_text())


def test_a_matrix_has_a_cell_for_each_pair_that_can_be_read(gallery_page):
    page = gallery_page()
    cells = {(x["k"], x["c"]): x for x in marks(page, "matrix") if x["mark"] == "rect"}
    assert {pair: x["y"] for pair, x in cells.items()} == {(right, given): n for right, given, n in CONFUSION}
    written = [each.text_content() for each in page.locator("#matrix svg .mark-text.role-mark text").all()]
    assert Counter(written) == Counter(str(n) for _, _, n in CONFUSION)

    def light(colour):
        parts = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
        parts = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    for cell in cells.values():
        low, high = sorted((light(cell["fill"]), light(cell["ink"])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, cell
    shares = {(x["k"], x["c"]): x for x in marks(page, "shares") if x["mark"] == "rect"}
    assert all(x["said"] == f"{x['y']:.0%}" for x in shares.values()), "rounded, not cut"
    assert (
        light(cells["car", "car"]["fill"]) < light(cells["truck", "car"]["fill"]) < light(cells["lane", "car"]["fill"])
    )
    table = {row["Right class"]: row for row in table_of(page, "matrix")}
    assert (table["truck"]["car"], table["truck"]["lane"], table["truck"]["Total"]) == ("12", "0", "52")


def test_a_scatter_names_its_points_without_covering_any(gallery_page):
    page = gallery_page()
    dots = {x["label"]: x for x in marks(page, "frontier") if x["mark"] == "symbol"}
    known = [row for row in PACE if row[1] is not None]
    assert set(dots) == {row[0] for row in known}
    for name, seconds, low, high, quality, worse, better, _ in known:
        point = dots[name]
        found = [point[each] for each in ("x", "left", "right", "y", "low", "high")]
        assert found == pytest.approx([seconds, low, high, quality, worse, better])
    assert (
        "1 worker without a recorded seconds per label is not in the chart." in page.locator("#frontier").inner_text()
    )
    labels = page.locator("#frontier svg .mark-text.role-mark text").all()
    boxes = [each.bounding_box() for each in labels if each.text_content()]
    assert len(boxes) == len(known), "grace and katherine are close, and both are named"
    symbols = [each.bounding_box() for each in page.locator("#frontier svg .mark-symbol path").all()]
    for i, a in enumerate(boxes):
        for b in (*boxes[i + 1 :], *symbols):
            across = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
            down = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
            assert min(across, down) < 2


def test_every_chart_of_the_gallery_has_a_table_and_words(gallery_page, shown):
    page = gallery_page()
    for visual in shown.specification.dashboards[0].visuals:
        if visual.type in ("options", "kpi", "table"):
            continue
        label = page.locator(f"#{visual.id} .plot").first.get_attribute("aria-label")
        assert label.startswith(f"{visual.title}. "), visual.id
        assert re.search(r"\d", label), visual.id
        rows = table_of(page, visual.id)
        assert rows
        assert page.locator(f"#{visual.id} .plot").count() == 0


def test_tables_and_files_have_the_bounds(gallery_page, shown):
    page = gallery_page()
    rows = chosen(shown.facts, worker="mary", label="car")
    low, high = wilson(sum(x["passed"] for x in rows), sum(x["audited"] for x in rows))
    told = next(row for row in table_of(page, "all") if (row["Worker"], row["Label"]) == ("mary", "car"))
    assert told["Passed"] == f"{passed(rows):.1%} {low:.1%} to {high:.1%}"
    name, body = download(page, "Export Worker by label as CSV")
    assert name == "workers-shares.csv"
    found = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    assert len(found) == len(WORKERS) * len(LABELS)
    mine = next(row for row in found if (row["Worker"], row["Label"]) == ("mary", "car"))
    assert float(mine["Passed (share)"]) == pytest.approx(passed(rows))
    assert float(mine["Passed, lower bound (share)"]) == pytest.approx(low)
    assert int(mine["Audited labels"]) == sum(x["audited"] for x in rows)


# --- Filters by click -------------------------------------------------------------------------------------------------


def wait_for_figure(page, visual, expected):
    page.wait_for_function(
        "([id, expected]) => document.querySelector(`#${id} .figure`)?.innerText === expected", arg=[visual, expected]
    )
    settle(page)


def test_a_click_on_a_bar_filters_the_page_and_a_second_takes_it_back(gallery_page, shown):
    page = gallery_page()
    everything = figure(page, "volume")
    page.locator("#by-label svg .mark-rect path").nth([x["k"] for x in marks(page, "by-label")].index("car")).click()
    expected = sum(x["audited"] for x in chosen(shown.facts, label="car"))
    wait_for_figure(page, "volume", f"{expected:,}")
    assert page.evaluate("location.hash").endswith("?label=car")
    assert chips(page) == ["Label: car"]
    # What does not record labels says so.
    assert "Not filtered by label: these workers do not record it." in page.locator("#frontier").inner_text()
    page.locator("#by-label svg .mark-rect path").first.click()
    wait_for_figure(page, "volume", everything)
    assert "?" not in page.evaluate("location.hash")


@pytest.mark.parametrize(
    ("visual", "mark", "datum", "search"),
    [
        ("slices", ".mark-arc path", {"name": "truck"}, "label=truck"),
        ("per-worker", ".mark-symbol path", {"k": "grace"}, "worker=grace"),
        ("frontier", ".mark-symbol path", {"label": "mary"}, "worker=mary"),
        ("matrix", ".mark-rect path", {"k": "truck", "c": "car"}, "label=truck"),
        ("shares", ".mark-rect path", {"k": "ada", "c": "lane"}, "worker=ada&label=lane"),
        ("control", ".mark-symbol path", {"signal": True}, "since=2026-03-07&until=2026-03-07"),
        ("by-batch", ".mark-symbol path", {"k": "summer"}, "batch=summer"),
        ("volumes", ".mark-rect path", {"s": "ada"}, "since=2026-03-02&until=2026-03-02"),
    ],
)
def test_every_mark_filters_by_what_it_stands_for(gallery_page, *, visual, mark, datum, search):
    page = gallery_page()
    at = page.evaluate(
        """([selector, wanted]) => [...document.querySelectorAll(selector)].findIndex((each) =>
             Object.entries(wanted).every(([key, value]) => each.__data__.datum[key] === value))""",
        [f"#{visual} svg {mark}", datum],
    )
    assert at >= 0
    inside = {".mark-arc path": {"x": 8, "y": 30}, ".mark-rect path": {"x": 12, "y": 12}}  # beside the number
    page.locator(f"#{visual} svg {mark}").nth(at).click(position=inside.get(mark))
    page.wait_for_function("() => location.hash.includes('?')")
    assert page.evaluate("location.hash").split("?")[1] == search
    settle(page)
    assert page.get_by_role("alert").count() == 0


def test_tables_and_legends_filter_from_the_keyboard(gallery_page, shown):
    page = gallery_page()
    table_of(page, "per-worker")
    button = page.locator("#per-worker").get_by_role("button", name="mary")
    button.focus()
    page.keyboard.press("Enter")
    expected = sum(x["audited"] for x in chosen(shown.facts, worker="mary"))
    wait_for_figure(page, "volume", f"{expected:,}")
    legend = page.locator("#volumes .legend").get_by_role("button")
    assert legend.all_inner_texts()[0].split()[0] == "mary"
    assert legend.first.get_attribute("aria-pressed") == "true"
    page.locator("#trend .legend").get_by_role("button", name="lane").focus()
    page.keyboard.press("Enter")
    expected = sum(x["audited"] for x in chosen(shown.facts, worker="mary", label="lane"))
    wait_for_figure(page, "volume", f"{expected:,}")
    page.get_by_role("button", name="Remove filter Worker: mary").press("Enter")
    expected = sum(x["audited"] for x in chosen(shown.facts, label="lane"))
    wait_for_figure(page, "volume", f"{expected:,}")


def test_a_second_value_is_added_with_shift(gallery_page, shown):
    page = gallery_page("?worker=ada")
    table_of(page, "slices")
    page.locator("#slices").get_by_role("button", name="car").click()
    page.wait_for_function("() => location.hash.endsWith('?worker=ada&label=car')")
    settle(page)
    page.go_back()
    settle(page)
    page.locator("#slices").get_by_role("button", name="lane").click()
    page.wait_for_function("() => location.hash.endsWith('label=lane')")
    expected = sum(x["audited"] for x in chosen(shown.facts, worker="ada", label="lane"))
    wait_for_figure(page, "volume", f"{expected:,}")
    page.get_by_text("Label 1 chosen").click()
    page.get_by_role("group", name="Label").get_by_label("car").check()
    expected += sum(x["audited"] for x in chosen(shown.facts, worker="ada", label="car"))
    wait_for_figure(page, "volume", f"{expected:,}")
    page.keyboard.press("Escape")
    page.locator("#slices").get_by_role("button", name="lane").click(modifiers=["Shift"])
    page.wait_for_function("() => location.hash.endsWith('?worker=ada&label=car')")


def test_what_this_page_cannot_filter_by_is_kept_but_not_applied(gallery_page, shown):
    page = gallery_page("?auditor=grace&worker=ada")
    expected = sum(x["audited"] for x in chosen(shown.facts, worker="ada"))
    assert figure(page, "volume") == f"{expected:,}"
    chip = page.locator(".chip.elsewhere")
    assert chips(page) == ["Auditor: grace", "Worker: ada"]
    assert "(not used on this page)" in chip.inner_text()
    chip.click()
    page.wait_for_function("() => location.hash.endsWith('?worker=ada')")


# --- Pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture_holds_the_chart_and_what_is_around_it(gallery_page, shown):
    page = gallery_page("?label=car")
    page.evaluate(
        """() => {
          const plain = CanvasRenderingContext2D.prototype.fillText;
          CanvasRenderingContext2D.prototype.fillText = function (said, ...rest) {
            window.written.push(said);
            return plain.call(this, said, ...rest);
          }; }"""
    )
    for visual in ("trend", "control", "per-worker", "matrix", "frontier", "volumes", "by-label", "slices"):
        title = shown.specification.dashboards[0].visual(visual).title
        page.evaluate("() => { window.written = []; }")
        drawn = page.locator(f"#{visual} .plot svg").bounding_box()
        name, body = download(page, f"Export {title} as PNG")
        assert name == f"workers-{visual}.png"
        picture = pixels(body)
        height, width, _ = picture.shape
        assert width >= 2 * drawn["width"], "twice the size of the screen"
        assert height > 2 * drawn["height"]
        written = " ".join(page.evaluate("window.written"))
        assert title in written
        applied = visual != "frontier"  # its workers record no labels
        assert ("Filters: Label: car" if applied else "Filters: none") in written
        assert re.search(r"Source: Sextant, Workers\. As of \d+ \w+ \d{4}, \d\d:\d\d UTC", written)
        # Not an empty sheet: ground, ink and the chart's own colours, in the middle too.
        colours = Counter(map(tuple, picture[height // 4 : height * 3 // 4 : 3, ::3].reshape(-1, 3).tolist()))
        assert colours.most_common(1)[0][0] == (255, 255, 255)
        assert len(colours) > 20
        assert any(max(each) - min(each) > 60 for each in colours), "some of it is coloured"


def test_a_picture_of_the_dark_theme_is_dark(gallery_page):
    page = gallery_page(scheme="dark")
    _, body = download(page, "Export Labels by class as PNG")
    assert pixels(body)[2, 2].max() < 60


# --- Two batches ------------------------------------------------------------------------------------------------------


def test_two_batches_are_compared_number_by_number(gallery_page, shown):
    page = gallery_page()
    page.get_by_role("button", name="Compare two batches").click()
    page.wait_for_function("() => location.hash.endsWith('?a=spring&b=summer')")
    page.wait_for_selector("#passed .versus")
    settle(page)
    sides = [chosen(shown.facts, batch=each) for each in BATCHES]
    told = page.locator("#passed .figure").all_inner_texts()
    assert told == [f"{passed(each):.1%}" for each in sides]
    card = page.locator("#passed").inner_text()
    points = (passed(sides[1]) - passed(sides[0])) * 100
    assert f"B − A: {'+' if points > 0 else '−'}{abs(points):.1f} points" in card  # noqa: RUF001  as printed
    bounds = [wilson(sum(x["passed"] for x in each), sum(x["audited"] for x in each)) for each in sides]
    apart = bounds[0][0] > bounds[1][1] or bounds[1][0] > bounds[0][1]
    assert ("The 95 % intervals do not overlap." if apart else "The 95 % intervals overlap") in card
    assert "interval" not in page.locator("#volume").inner_text(), "counts are no estimates"
    # What cannot be compared says so and shows everything.
    assert "Not compared: these workers do not record their batch." in page.locator("#speed").inner_text()
    assert page.locator("#speed .figure").count() == 1
    # Bars and dots of both batches lie side by side, each with its name.
    dots = {(x["k"], x["s"]): x["y"] for x in marks(page, "per-worker") if x["mark"] == "symbol"}
    for worker in WORKERS:
        for batch, rows in zip(BATCHES, sides, strict=True):
            assert dots[worker, batch] == pytest.approx(passed(chosen(rows, worker=worker)))
    bars = {(x["k"], x["s"]): x["y"] for x in marks(page, "by-label")}
    assert bars == {
        (label, batch): sum(x["audited"] for x in chosen(rows, label=label))
        for label in LABELS
        for batch, rows in zip(BATCHES, sides, strict=True)
    }
    # Slices become shares of each batch.
    shares = {(x["k"], x["s"]): x["y"] for x in marks(page, "slices")}
    for batch, rows in zip(BATCHES, sides, strict=True):
        whole = sum(x["audited"] for x in rows)
        for label in LABELS:
            assert shares[label, batch] == pytest.approx(sum(x["audited"] for x in chosen(rows, label=label)) / whole)
    # Charts with series of their own: one for each batch, on one scale.
    assert page.locator("#trend .plot").count() == 2
    assert page.locator("#trend h3").all_inner_texts() == BATCHES
    axes = [
        each.all_text_contents()
        for each in (page.locator("#volumes .plot").nth(i).locator(".role-axis-label text") for i in range(2))
    ]
    ticks = [[each for each in labels if each.isdigit()] for labels in axes]
    assert ticks[0] == ticks[1]
    # A report by batch has both.
    assert {x["k"] for x in marks(page, "by-batch") if x["mark"] == "symbol"} == set(BATCHES)
    assert {row["Batch"] for row in table_of(page, "all")} == set(BATCHES)


def test_a_comparison_is_an_address_and_can_be_left(gallery_page, shown):
    page = gallery_page("?worker=ada&a=summer&b=spring")
    page.wait_for_selector("#passed .versus")
    rows = [chosen(shown.facts, worker="ada", batch=each) for each in ("summer", "spring")]
    assert page.locator("#passed .figure").all_inner_texts() == [f"{passed(each):.1%}" for each in rows]
    page.get_by_role("button", name="Swap A and B").click()
    page.wait_for_function("() => location.hash.endsWith('a=spring&b=summer')")
    page.wait_for_function(
        "(wanted) => [...document.querySelectorAll('#passed .side')].map((each) => each.innerText).join() === wanted",
        arg=",".join(BATCHES),
    )
    page.get_by_label("Batch B").select_option("spring")
    page.get_by_text("Choose two different batches to compare.").wait_for()
    page.get_by_role("button", name="Stop comparing").click()
    page.wait_for_function("() => location.hash.endsWith('?worker=ada')")
    page.wait_for_selector(".versus", state="detached")
    settle(page)
    assert figure(page, "passed") == f"{passed(chosen(shown.facts, worker='ada')):.1%}"


# --- Faults and freshness ---------------------------------------------------------------------------------------------


def test_a_chart_that_cannot_be_drawn_says_so(gallery_page):
    page = gallery_page()
    page.evaluate("() => { globalThis.vegaLite.compile = () => { throw new Error('no such mark'); }; }")
    page.locator("#slices").get_by_role("button", name=re.compile("as table")).click()
    page.locator("#slices").get_by_role("button", name=re.compile("as table")).click()
    page.locator("#slices").get_by_role("alert").wait_for()
    assert "its table has every number" in page.locator("#slices").get_by_role("alert").inner_text()


def test_the_page_tells_what_newer_runs_do(open_page, lake_of):
    glue = Workflow()
    url = lake_of(truth(), glue=glue)
    now = dt.datetime.now(dt.UTC)
    good = workflow_run(now - dt.timedelta(hours=9), now - dt.timedelta(hours=8))
    page = open_page(address(url, "overview"))
    page.wait_for_selector(".run-state")
    state = page.locator(".run-state")
    assert "Data of the run that ended" in state.inner_text()
    assert page.locator(".run-state .notice").count() == 0, "twenty minutes are not old"

    def after(*runs):
        glue.runs = list(runs)
        page.reload()
        page.wait_for_selector(".run-state")
        return state.inner_text()

    assert "The data is 8 hours old" in after(good)
    failed = workflow_run(now - dt.timedelta(hours=1), now - dt.timedelta(minutes=50), "no space left on device")
    told = after(good, failed)
    assert "label-reports ended as FAILED: no space left on device." in told
    assert "These are the numbers of the last good run." in told
    assert state.get_by_role("link", name="Open runs").get_attribute("href") == "#/runs"
    assert "A run is under way" in after(good, workflow_run(now))
    assert "No run has published data yet." in after()


def test_a_page_without_known_state_shows_its_numbers(open_page, console):
    page = open_page(address(console.url, "nowhere"))
    page.expected_errors = ["502", "/api/state"]
    page.route(
        "**/api/state",
        lambda route: route.fulfill(
            status=502, json={"error": {"status": 502, "code": "X", "message": "m", "remedy": "r"}}
        ),
    )
    page.goto(address(console.url, "annotations"))
    settle(page)
    assert "cannot be told now" in page.locator(".run-state").inner_text()
    assert figure(page, "labels") == str(len(console.truth.labels))


# --- Single labels ----------------------------------------------------------------------------------------------------


def test_from_a_report_to_its_labels_to_the_drawing_and_back(open_page, console):
    page = open_page(address(console.url, "tracks", "?issue=jump"))
    settle(page)
    before = page.url
    row = page.locator("#issue-list tbody tr").first
    row.get_by_role("link", name=re.compile("^List the single labels of")).click()
    page.get_by_role("heading", name="Single labels").wait_for()
    page.locator("table tbody tr").first.wait_for()
    address_has(page, "object_id=0", "instance_id=id-1")
    rows = page.locator("table tbody tr")
    assert {each.inner_text() for each in rows.locator("th").all()} == {"vehicle · Vehicle:1"}
    rows.first.get_by_role("link").click()
    page.get_by_role("heading", name="vehicle · Vehicle:1").wait_for()
    address_has(page, "/labeling/annotation/")
    page.get_by_role("link", name="Back to Single labels").click()
    page.get_by_role("heading", name="Single labels").wait_for()
    page.get_by_role("link", name="Back to Tracks").click()
    page.wait_for_selector("#issue-list")
    assert page.evaluate("location.href") == before, "the same filters"
    page.go_back()
    page.get_by_role("heading", name="Single labels").wait_for()


LAYERS = """() => [...document.querySelectorAll('.scene .focus')].map((each) => {
  const shape = each.firstElementChild, style = getComputedStyle(shape);
  return { points: shape.getAttribute('points'), stroke: style.stroke, dash: shape.getAttribute('stroke-dasharray') };
})"""


def test_a_label_is_drawn_with_every_level_and_every_answer(open_page, console):
    page = open_page(address(console.url, "annotation/a2-1-0"))
    page.wait_for_selector(".scene")
    names = page.locator(".layers .choice span").all_inner_texts()
    levels = [each for each in names if " level: " in each]
    answers = [each for each in names if each.startswith("Answer of ")]
    assert [each.split(":")[0] for each in levels] == ["first level", "second level"]
    assert "(this label)" in levels[1]
    assert {re.match(r"Answer of (\w+)", each)[1] for each in answers} == {"ada", "katherine", "grace"}
    drawn = page.evaluate(LAYERS)
    assert len(drawn) == 5
    assert len({each["stroke"] for each in drawn}) == 5
    assert len({each["dash"] for each in drawn}) == 5
    # The first level's box, in pixels of the frame.
    assert drawn[0]["points"] == "10,20 110,20 110,70 10,70"
    assert "1,920 × 1,080 px" in page.locator("#drawing").inner_text()  # noqa: RUF001  as printed
    outline = page.locator(".scene .outline")
    assert (outline.get_attribute("width"), outline.get_attribute("height")) == ("1920", "1080")
    # Layers and the labels around can be switched off, from the keyboard too.
    page.get_by_role("checkbox", name=re.compile("^Answer of katherine")).focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelectorAll('.scene .focus').length === 4")
    assert page.locator(".scene .context").count() > 0
    page.get_by_role("checkbox", name="Show other labels of every layer").uncheck()
    page.wait_for_selector(".scene .context", state="detached")
    whole = page.locator(".scene").get_attribute("viewBox")
    page.get_by_role("button", name="Zoom in on the label").click()
    page.wait_for_function(
        "(whole) => document.querySelector('.scene').viewBox.baseVal.width < whole", arg=float(whole.split()[2])
    )


def test_differences_between_levels_are_marked_in_words(open_page, console):
    page = open_page(address(console.url, "annotation/a2-1-0"))
    page.wait_for_selector("#levels table")
    rows = {row.locator("th").inner_text().split("\n")[0]: row for row in page.locator("#levels tbody tr").all()}
    told = {
        name.removesuffix("differs").strip(): [each.inner_text() for each in row.locator("td").all()]
        for name, row in rows.items()
    }
    assert told["Moving"] == ["no", "yes"]
    assert told["Audit"] == [NOTHING, "fail"]
    differing = {name.removesuffix("differs").strip() for name in rows if name.endswith("differs")}
    assert differing == {"Moving", "Audit"}
    answers = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()
        for row in page.locator("#answers tbody tr").all()
    }
    assert set(answers) == {"ada", "katherine", "grace"}
    assert answers["grace"][3] == "100.0%"
    assert "Jump" in page.locator("#issues").inner_text()
    assert "Moved" in page.locator("#adjustments").inner_text()


def test_an_unknown_label_says_so(open_page, console):
    page = open_page(address(console.url, "nowhere"))
    page.expected_errors = ["404"]
    page.goto(address(console.url, "annotation/nothing-like-it"))
    page.get_by_role("heading", name="There is no such label").wait_for()
    assert page.get_by_role("link", name="Back to Single labels").count() == 1


def test_the_list_is_paged_and_says_what_it_cannot_filter(open_page, console):
    page = open_page(address(console.url, "nowhere"))
    limits = []

    def smaller(route):
        body = route.request.post_data_json
        limits.append(body)
        route.continue_(post_data={**body, "limit": 2})

    page.route("**/api/annotations", smaller)
    page.goto(address(console.url, "labels", "?job=street-first-vehicles"))
    rows = page.locator("table tbody tr")
    rows.first.wait_for()
    seen = []
    while True:
        seen += [each.get_attribute("href").split("?")[0] for each in rows.locator("th a").all()]
        following = page.get_by_role("link", name="Next")
        if not following.count():
            break
        with page.expect_response("**/api/annotations"):
            following.click()
        page.wait_for_function(
            "(first) => document.querySelector('table tbody th a').getAttribute('href').split('?')[0] !== first",
            arg=seen[-2],
        )
        page.wait_for_selector(".labels[aria-busy=false]")
    assert len(seen) == len(set(seen)) == 6
    assert [each.get("cursor") is None for each in limits] == [True, False, False]
    page.get_by_role("link", name="First page").click()
    page.wait_for_function("() => !location.hash.includes('cursor')")
    assert chips(page) == ["Job: street-first-vehicles"]


SHAPED = {
    "annotation_id": "x",
    "job": "scan",
    "modality": "PointCloud",
    "task_type": "point_cloud_object_detection",
    "level": "",
    "object_id": "0",
    "source_ref": "s3://batch/scan.json",
    "frame_no": 0,
    "frame": None,
    "instance_id": None,
    "instance_name": None,
    "left_px": None,
    "top_px": None,
    "width_px": None,
    "height_px": None,
    "attributes": {},
    "verdict": None,
    "confidence": None,
    "created_at": "2026-03-02T12:00:00Z",
    "workers": ["ada"],
    "label": "car",
}
TRIANGLE = {"vertices": [{"x": 1, "y": 2}, {"x": 30, "y": 40}, {"x": 50, "y": 5}]}
TURNED = {"center-x": 10, "center-y": 20, "length": 4, "width": 2, "height": 1, "yaw": 1.5707963267948966}
STRAIGHT = {"centerX": 10, "centerY": 20, "length": 4, "width": 2, "height": 1, "yaw": 0}


def answered(page, url, *shapes, answers=(), width=None, height=None):
    """Opens the first of these labels: what the tests' lake lacks comes from an answer in the API's own form."""
    level = {"job": "scan", "level": "", "base_job": None, "annotations": shapes, "counterpart": "x"}
    body = {
        "annotation": shapes[0],
        "frame": {"width_px": width, "height_px": height, "told": False, "attributes": {}},
        "shapes": shapes,
        "levels": [level],
        "answers": answers,
        "issues": [],
        "adjustments": [],
        "as_of": "2026-03-02T12:00:00Z",
        "cached": False,
    }
    page.route("**/api/annotations/x", lambda route: route.fulfill(json=body))
    page.goto(address(url, "annotation/x"))


@pytest.mark.parametrize(
    ("shape", "geometry", "element", "points"),
    [
        ("polyline", TRIANGLE, "polyline", "1,2 30,40 50,5"),
        ("polygon", TRIANGLE, "polygon", "1,2 30,40 50,5"),
        ("keypoint", {"x": 12, "y": 34}, "circle", None),
        # A cuboid from above: 4 long and 2 wide around 10, 20, turned by a quarter; the north of the cloud is up.
        ("cuboid", TURNED, "polygon", "9,-22 11,-22 11,-18 9,-18"),
        ("cuboid", STRAIGHT, "polygon", "12,-21 12,-19 8,-19 8,-21"),
    ],
)
def test_every_shape_has_its_outline(open_page, console_url, *, shape, geometry, element, points):
    page = open_page(address(console_url, "nowhere"))
    answered(page, console_url, {**SHAPED, "shape": shape, "geometry": geometry}, width=60, height=50)
    drawn = page.locator(f".scene .focus {element}").first
    drawn.wait_for()
    if points:
        assert drawn.get_attribute("points") == points
    else:
        assert (drawn.get_attribute("cx"), drawn.get_attribute("cy")) == ("12", "34")
    text = page.locator("#drawing").inner_text()
    assert ("Seen from above" if shape == "cuboid" else "does not tell the frame's size") in text


def test_spans_are_marked_in_their_text_by_layer(open_page, console_url):
    text = {**SHAPED, "shape": "span", "label": "person", "source_ref": "Ada Lovelace wrote to Charles Babbage."}
    mine = {**text, "geometry": {"startOffset": 0, "endOffset": 12}}
    other = {**text, "annotation_id": "y", "geometry": {"startOffset": 22, "endOffset": 37}}
    given = {**text, "geometry": {"startOffset": 0, "endOffset": 3}, "position": 0}
    answer = {"answer_id": "1", "job": "scan", "level": "", "worker": "ada", "submitted_at": "2026-03-02T12:00:00Z"}
    page = open_page(address(console_url, "nowhere"))
    answered(page, console_url, mine, other, answers=[{**answer, "seconds": 3, "shapes": [given]}])
    page.locator(".spans").first.wait_for()
    read = [
        [each.evaluate("(each) => each.firstChild.textContent") for each in layer.locator("mark").all()]
        for layer in page.locator(".spans").all()
    ]
    assert read == [["Ada Lovelace", "Charles Babbage"], ["Ada"]]
    assert page.locator("#answers tbody td").nth(3).inner_text() == "25.0%", "3 of 12 characters"
    assert page.locator(".scene").count() == 0


# --- All pages --------------------------------------------------------------------------------------------------------

PAGES = [each.id for each in SPECIFICATION.dashboards]
SINGLE = ["labels?job=street-first-vehicles", "annotation/a2-1-0"]


@pytest.mark.parametrize("name", PAGES)
def test_every_visual_of_every_page_is_drawn(open_page, console, name):
    page = open_page(address(console.url, name))
    settle(page)
    for visual in next(each for each in SPECIFICATION.dashboards if each.id == name).visuals:
        if visual.type == "options":
            continue
        card = page.locator(f"#{visual.id}")
        assert card.locator("h2").inner_text() == visual.title
        assert card.get_by_role("alert").count() == 0
        assert card.locator(".figure, .plot svg, table, .empty").count() > 0, visual.id


def ready(page, name):
    if name in SINGLE:
        page.locator("table tbody tr").first.wait_for()
    else:
        settle(page)


@pytest.mark.parametrize("name", [*PAGES, *SINGLE])
def test_every_page_fits_every_window_and_axe_finds_nothing(open_page, console_url, name):
    page = open_page(address(console_url, name), **opening())
    ready(page, name)
    for width, scheme in looks(page):
        fits(page, width)
        if width in {390, 1280}:
            axe_finds_nothing(page, width, scheme)


@pytest.mark.parametrize("search", ["", "?a=spring&b=summer", "?label=car&auditor=x"])
def test_axe_finds_nothing_on_the_gallery(gallery_page, search):
    page = gallery_page(search, bypass_csp=True)
    for visual in ("trend", "matrix", "frontier"):
        table_of(page, visual)
    axe_finds_nothing(page, "light")
    page.evaluate(FORGET)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(DRAWN)
    axe_finds_nothing(page, "dark")
