"""The slides pages in Chromium over a real slide: deep zoom, heatmap, cohort, metrics, files, faults, accessibility."""

import json
import re

import numpy as np
import pytest

from sextant.slides import results
from tests.browser.slides_site import listed, serve
from tests.handlers.slide_run import CELL, CLASSES, HEIGHT, RUN, RUNS, S3, SLIDES, WIDTH, colour, luad, make_run

pytestmark = pytest.mark.browser

OLDER = "20261120T090000-deadbeef"
RAMP = results.colours(np.linspace(0, 1, 11)).tolist()  # a heatmap of the page is that of the files
PAGES = {"cohort": "cohort", "metrics": "metrics", "files": "files", "slide": "slide/A1"}


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def s3(objects):
    return S3(dict(objects))


@pytest.fixture
def site(s3):
    running = serve(s3, listed(RUN), listed(OLDER, "failed"))
    yield running
    running.close()


def opened(open_page, site, path, query="", **options):
    page = open_page(f"{site.url}/#/slides/{path}?run={RUN}{query}", reduced_motion="reduce", **options)
    page.expected_errors = ["willReadFrequently"]  # the tests read what is painted; the pages never do
    page.wait_for_function(
        """() => document.querySelector('main h1') && !document.querySelector('main .loading')
              && [...document.querySelectorAll('.plot')].every((each) => 'drawn' in each.dataset)"""
    )
    return page


def drawn(page):
    """Waits until every tile that the viewer wants is painted."""
    page.wait_for_selector(".deepzoom[data-ready]")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)  # the last tile is decoded and drawn after it has come


READ = """([canvas, across, down]) => {
  const found = document.querySelector(canvas);
  const [x, y] = [across, down].map((each) => Math.round(each * (found.width / found.clientWidth)));
  return [...found.getContext('2d').getImageData(x, y, 1, 1).data];
}"""
SLIDE, OVERLAY = ".deepzoom canvas", "canvas.overlay"


def spot(page, x, y, at):
    """Where a place of the slide is in the viewer, CSS pixels, when the view is `at` (x, y, z)."""
    box = page.locator(".deepzoom").bounding_box()
    return box["width"] / 2 + (x - at[0]) * at[2], box["height"] / 2 + (y - at[1]) * at[2]


def pixel(page, canvas, x, y, at):
    return page.evaluate(READ, [canvas, *spot(page, x, y, at)])


def near(found, wanted, tolerance=8):
    return all(abs(a - b) <= tolerance for a, b in zip(found[:3], wanted, strict=True))


def middle(cell):
    return cell * CELL + CELL // 2


# --- The slide --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slide", "tolerance"), [("A1", 8), ("B1", 14)])
@pytest.mark.parametrize(
    ("at", "level", "cells"),
    [
        ((1300, 750, 0.2), {"A1": 1, "B1": 2}, [(x, y) for x in range(1, 10) for y in range(6)]),
        ((middle(4), middle(2), 1.5), {"A1": 0, "B1": 0}, [(4, 2)]),
    ],
    ids=["far", "near"],
)
def test_the_slides_own_pixels_are_shown(open_page, site, *, slide, tolerance, at, level, cells):
    page = opened(open_page, site, f"slide/{slide}", f"&class=none&x={at[0]}&y={at[1]}&z={at[2]}")
    drawn(page)
    for column, row in cells:
        y = min(middle(row), HEIGHT - 20)
        assert near(pixel(page, SLIDE, middle(column), y, at), colour(column, row), tolerance), (column, row)
    asked = {int(found[1]) for each in site.asked if (found := re.search(rf"/slides/{slide}/tiles/\w+/(\d)/", each))}
    assert level[slide] in asked


def test_tiles_at_the_edge_end_where_the_slide_ends(open_page, site):
    """The last tiles of the slide's level are padded to 256 pixels; the slide is not."""
    at = (WIDTH, HEIGHT, 1.0)
    page = opened(open_page, site, "slide/A1", f"&class=none&x={at[0]}&y={at[1]}&z={at[2]}")
    drawn(page)
    assert near(pixel(page, SLIDE, WIDTH - 4, HEIGHT - 4, at), colour(10, 5))
    for x, y in ((WIDTH + 4, HEIGHT - 4), (WIDTH - 4, HEIGHT + 4)):
        assert pixel(page, SLIDE, x, y, at)[3] == 0, "nothing is painted beside the slide"


def test_the_heatmap_has_the_colour_of_the_score_and_the_opacity_that_is_chosen(open_page, site):
    at = (1300, 750, 0.2)
    page = opened(open_page, site, "slide/A1", f"&class=LUAD&x={at[0]}&y={at[1]}&z={at[2]}")
    drawn(page)

    def told(name, column, row):
        score = luad(column * CELL, row * CELL) if name == "LUAD" else 1 - luad(column * CELL, row * CELL)
        place = score * 10
        low = min(9, int(place))
        return [a + (b - a) * (place - low) for a, b in zip(RAMP[low], RAMP[low + 1], strict=True)]

    def check(name, opacity):
        for column, row in ((1, 0), (5, 2), (9, 4)):
            *rgb, alpha = pixel(page, OVERLAY, middle(column), middle(row), at)
            assert near(rgb, told(name, column, row), 4), (column, row)
            assert alpha == pytest.approx(opacity * 255, abs=2)
        for column, row in ((0, 2), (5, 5)):
            assert pixel(page, OVERLAY, middle(column), min(middle(row), HEIGHT - 20), at)[3] == 0, "not scored"

    check("LUAD", 0.45)
    page.get_by_label("Opacity").fill("80")
    check("LUAD", 0.8)
    page.get_by_role("combobox", name="Score of").select_option("LUSC")
    check("LUSC", 0.8)
    page.wait_for_function("() => ['class=LUSC', 'opacity=80'].every((each) => location.hash.includes(each))")
    page.get_by_role("combobox", name="Score of").select_option("No heatmap")
    assert pixel(page, OVERLAY, middle(5), middle(2), at)[3] == 0


def test_tiles_are_outlined_where_they_were_kept_and_crossed_where_not(open_page, site):
    at = (800, 750, 0.4)
    page = opened(open_page, site, "slide/A1", f"&class=none&x={at[0]}&y={at[1]}&z={at[2]}")
    drawn(page)
    assert pixel(page, OVERLAY, middle(0), middle(2), at)[3] == 0
    page.get_by_label("Show tiles").check()
    assert pixel(page, OVERLAY, middle(0), middle(2), at)[3] > 0, "the cross of a dropped tile meets in its middle"
    assert pixel(page, OVERLAY, middle(4), middle(2), at)[3] == 0, "a kept tile is left free"
    page.wait_for_function("() => location.hash.includes('tiles=yes')")


def readout(page):
    return page.locator(".readout").inner_text()


def test_a_tile_under_the_pointer_tells_its_scores(open_page, site):
    at = (1300, 750, 0.2)
    page = opened(open_page, site, "slide/A1", f"&x={at[0]}&y={at[1]}&z={at[2]}")
    drawn(page)
    box = page.locator(".deepzoom").bounding_box()
    for column, row in ((3, 1), (8, 4)):
        x, y = spot(page, middle(column), middle(row), at)
        page.mouse.move(box["x"] + x, box["y"] + y)
        page.get_by_text(f"Column {column + 1}, row {row + 1}").first.wait_for()
        score = luad(column * CELL, row * CELL)
        assert f"LUAD {100 * score:.1f}%" in readout(page).replace("\n", " ")
        assert f"x {column * CELL}, y {row * CELL} px" in readout(page)
    x, y = spot(page, middle(0), middle(2), at)
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.get_by_text("Dropped: more of it is background").wait_for()


def test_tiles_are_walked_by_keyboard_alone(open_page, site):
    at = (1300, 750, 0.2)
    page = opened(open_page, site, "slide/A1", f"&x={at[0]}&y={at[1]}&z={at[2]}")
    drawn(page)
    walk = page.get_by_role("button", name="Walk the tiles")
    walk.focus()
    page.keyboard.press("Enter")
    page.get_by_text("Column 2, row 1").first.wait_for()  # the first that is scored
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.locator(".readout").get_by_text("Column 3, row 2").wait_for()
    assert f"LUAD {100 * luad(2 * CELL, CELL):.1f}%" in readout(page).replace("\n", " ")
    assert page.locator(".readout [aria-live=polite]").count() == 1, "and it is read aloud"
    for _ in range(5):
        page.keyboard.press("ArrowUp")
    page.locator(".readout").get_by_text("Column 3, row 1").wait_for()


def test_the_highest_tiles_are_listed_and_shown(open_page, site):
    page = opened(open_page, site, "slide/A1", f"&class=LUAD&x={middle(5)}&y={middle(2)}&z=3")
    drawn(page)
    scores = sorted((luad(x * CELL, y * CELL) for x in range(1, 10) for y in range(5)), reverse=True)[:10]
    cells = page.get_by_role("region", name="Tiles with the highest score of LUAD").locator("td.number")
    assert cells.all_inner_texts() == [f"{100 * each:.1f}%" for each in scores]
    page.get_by_role("button", name="Go to column 8, row 1").click()
    page.wait_for_function(f"() => location.hash.includes('x={middle(7)}') && location.hash.includes('y={middle(0)}')")


def test_the_place_is_in_the_address_and_comes_back(open_page, site):
    page = opened(open_page, site, "slide/A1", "&x=1000&y=700&z=0.8")
    drawn(page)
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_function("() => location.hash.includes('z=1.28')")
    before = page.url
    page.reload()
    drawn(page)
    assert page.url == before
    assert "x=1000&y=700" in before
    page.get_by_role("button", name="Whole slide").click()
    page.wait_for_function("() => location.hash.includes('x=1300&y=750')")


def test_a_tile_that_was_seen_is_not_asked_for_again(open_page, site):
    page = opened(open_page, site, "slide/A1")
    drawn(page)
    before = sum("/tiles/" in each for each in site.asked)
    page.reload()
    drawn(page)
    assert before > 0
    assert sum("/tiles/" in each for each in site.asked) == before


def test_an_api_that_is_busy_is_asked_again_in_silence(open_page, site):
    at = (middle(4), middle(2), 1.5)
    site.broken = {f"/api/slides/{RUN}/slides/A1/tiles": 429}
    page = open_page(f"{site.url}/#/slides/slide/A1?run={RUN}&class=none&x={at[0]}&y={at[1]}&z={at[2]}")
    page.expected_errors = ["429", "willReadFrequently"]
    page.wait_for_selector(".deepzoom[data-ready]")
    page.wait_for_timeout(500)
    site.broken = {}
    page.wait_for_timeout(1500)
    drawn(page)
    assert near(pixel(page, SLIDE, middle(4), middle(2), at), colour(4, 2))
    assert page.get_by_role("alert").count() == 0


@pytest.mark.parametrize(("z", "length"), [(0.2, "200 µm"), (2.0, "20 µm")])
def test_the_scale_bar_is_as_long_as_it_says(open_page, site, z, length):
    """0.5 µm per pixel: 200 µm are 400 pixels, and 80 on the screen at a fifth of the size."""
    page = opened(open_page, site, "slide/A1", f"&x=1300&y=750&z={z}")
    drawn(page)
    bar = page.locator(".scalebar")
    assert bar.inner_text() == length
    assert bar.locator("span").first.bounding_box()["width"] == pytest.approx(int(length[:-3]) / 0.5 * z, abs=1)


def test_a_slide_that_was_replaced_says_so(open_page, site, s3):
    s3.objects[SLIDES, "cohorts/lung/A1.svs"] = b"II*\0another"
    page = open_page(f"{site.url}/#/slides/slide/A1?run={RUN}")
    page.expected_errors = ["409", "Tile", "tile"]
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "was replaced at s3://slides-bucket/cohorts/lung/A1.svs" in alert.inner_text()
    assert "Start a run over the cohort as it is now." in alert.inner_text()


def test_a_slide_without_a_view_says_when_it_has_one(open_page, site):
    page = open_page(f"{site.url}/#/slides/slide/T1?run={RUN}")
    page.expected_errors = ["404"]
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "has nothing to show of slide 'T1'" in alert.inner_text()


def test_a_slide_tells_its_run_and_why_it_has_no_scores(open_page, site, s3):
    for kind in ("csv", "json", "geojson"):
        del s3.objects[RUNS, f"runs/{RUN}/evaluation/slides/A1.{kind}"]
    page = opened(open_page, site, "slide/A1")
    assert page.get_by_role("link", name=RUN).get_attribute("href") == f"#/runs/slides/{RUN}"
    page.get_by_text("Not scored: the run has not come to it, or has failed before.").wait_for()
    page.get_by_text("Files appear when the slide is scored.").wait_for()
    plan = json.loads(s3.objects[RUNS, f"runs/{RUN}/plan.json"])
    plan["slides"] = [{**each, **({"split": "train"} if each["slide"] == "A1" else {})} for each in plan["slides"]]
    s3.objects[RUNS, f"runs/{RUN}/plan.json"] = json.dumps(plan).encode()
    page.reload()
    page.get_by_text("the model has seen this one, so its scores would flatter it").wait_for()
    page.get_by_text("are made of slides of the test split only").wait_for()


def test_only_a_slide_loads_the_viewer(open_page, site):
    page = opened(open_page, site, "cohort")
    assert not any("openseadragon" in each for each in site.asked)
    page.get_by_role("link", name="A1").click()
    drawn(page)
    assert any(each.endswith("openseadragon.min.js") for each in site.asked)


# --- Cohort -----------------------------------------------------------------------------------------------------------


def rows(page):
    return page.locator("table.cohort tbody th").all_inner_texts()


def test_the_cohort_is_listed_and_counted(open_page, site):
    page = opened(open_page, site, "cohort")
    assert rows(page) == ["A1", "A2", "B1", "B2", "Q1", "T1", "T2", "T3", "V1"]
    first = page.locator("table.cohort tbody tr").first.locator("td").all_inner_texts()
    assert [each.strip() for each in first] == [
        "P1", "LUAD", "Test", "Scored", "45 of 50", "Its own JPEG tiles", "LUAD", "90.0%", "Right",
    ]  # fmt: skip
    counts = page.locator("table.counts tbody tr").all_inner_texts()
    assert counts[1].split("\t") == ["LUSC", "2 slides, 1 patient", "None", "2 slides, 2 patients"]
    lost = page.locator("table.cohort tr").filter(has_text="Q1").inner_text()
    assert "truncated file" in lost
    assert "copy it again" in lost


def test_filters_of_the_cohort_live_in_the_address(open_page, site):
    page = opened(open_page, site, "cohort")
    page.get_by_role("combobox", name="Split").select_option("Test")
    page.wait_for_function("() => location.hash.includes('split=test')")
    assert rows(page) == ["A1", "A2", "B1", "B2"]
    page.get_by_label("Only wrong predictions").check()
    page.get_by_text("1 of 9 slides").wait_for()
    assert rows(page) == ["B1"]
    page.reload()
    page.get_by_text("1 of 9 slides").wait_for()
    assert rows(page) == ["B1"]
    page.get_by_role("combobox", name="Class").select_option("LUAD")
    page.get_by_text("No slide is like that.").wait_for()
    page.get_by_role("link", name="Clear filters").click()
    page.get_by_text("9 slides", exact=True).wait_for()
    page.get_by_label("Find a slide or patient").type("p6")
    page.get_by_text("2 of 9 slides").wait_for()
    assert rows(page) == ["T2", "T3"]


def test_runs_are_chosen_and_stay_chosen_from_page_to_page(open_page, site):
    page = opened(open_page, site, "metrics")
    page.get_by_role("link", name="Files").click()
    page.get_by_role("heading", name="Files", level=1).wait_for()
    assert f"run={RUN}" in page.url
    page.expected_errors = ["404"]
    page.get_by_role("combobox", name="Run").select_option(index=1)
    page.get_by_role("alert").wait_for()
    assert f"there is no run '{OLDER}'" in page.get_by_role("alert").inner_text()


def test_the_newest_run_is_shown_where_none_is_chosen(open_page, site):
    page = open_page(f"{site.url}/#/slides/cohort")
    page.locator("table.cohort").wait_for()
    assert f"/api/slides/{RUN}/cohort" in site.asked


def test_a_run_leads_to_what_it_has_made(open_page, site):
    page = open_page(f"{site.url}/#/runs/slides/{RUN}")
    made = page.get_by_role("navigation", name="What this run has made")
    assert made.get_by_role("link").all_inner_texts() == ["Cohort", "Metrics", "Files"]
    made.get_by_role("link", name="Cohort").click()
    page.locator("table.cohort").wait_for()
    assert f"run={RUN}" in page.url


def test_a_failed_run_goes_on_and_one_that_succeeded_cannot(open_page, site):
    page = open_page(f"{site.url}/#/runs/slides/{OLDER}")
    page.get_by_role("button", name="Go on with this run").click()
    page.wait_for_selector(".progress .badge.running")
    page.get_by_role("button", name="Stop this run").wait_for()
    assert page.get_by_role("button", name="Go on with this run").count() == 0
    assert site.asked.count(f"/api/runs/slides/{OLDER}/resume") == 1
    page = open_page(f"{site.url}/#/runs/slides/{RUN}")
    page.wait_for_selector(".progress .badge.succeeded")
    assert page.get_by_role("button", name="Go on with this run").count() == 0


def test_a_run_that_cannot_go_on_says_why(open_page, site):
    page = open_page(f"{site.url}/#/runs/slides/{OLDER}")
    page.expected_errors = ["503"]
    site.broken = {f"/api/runs/slides/{OLDER}/resume": 503}
    page.get_by_role("button", name="Go on with this run").click()
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("button", name="Go on with this run").is_enabled()


def test_without_runs_a_page_says_how_to_begin(open_page, site):
    site.runs = []
    page = open_page(f"{site.url}/#/slides/cohort")
    page.get_by_text("its arrival starts a run").wait_for()


# --- Metrics and files ------------------------------------------------------------------------------------------------


def test_metrics_have_their_intervals_n_and_charts(open_page, site):
    page = opened(open_page, site, "metrics")
    auc = page.locator("section.kpi").first.inner_text()
    assert "75.0%" in auc
    assert "95 % interval" in auc
    assert "n = 4 slides, 4 patients" in page.get_by_role("status").inner_text()
    titles = ["AUC by class", "Confusion matrix", "ROC curves", "Reliability", "Training"]
    assert page.locator("section.card:not(.kpi) h2").all_inner_texts() == titles
    assert page.locator(".plot svg").count() == len(titles)
    axes = page.locator(".plot svg .role-axis-label text").all_text_contents()
    assert not [each for each in axes if re.search(r"\de[+-]", each)], "numbers in full"


def test_every_chart_has_its_table(open_page, site):
    page = opened(open_page, site, "metrics")
    page.get_by_role("button", name="Show Confusion matrix as table").click()
    table = page.get_by_role("region", name="Confusion matrix, table")
    # Of two LUAD slides both are right, of two LUSC slides one is taken for LUAD.
    assert [each.split("\t") for each in table.locator("tbody tr").all_inner_texts()] == [
        ["LUAD", "2", "0", "2"],
        ["LUSC", "1", "1", "2"],
    ]
    page.get_by_role("button", name="Show ROC curves as table").click()
    text = page.get_by_role("region", name="ROC curves, table").inner_text()
    assert all(each in text for each in CLASSES)


def test_a_run_that_is_not_measured_says_so(open_page, site, s3):
    del s3.objects[RUNS, f"runs/{RUN}/evaluation/metrics.json"]
    page = open_page(f"{site.url}/#/slides/metrics?run={RUN}")
    page.expected_errors = ["404"]
    page.get_by_role("alert").wait_for()
    assert "Not measured yet" in page.get_by_role("alert").inner_text()


def test_files_are_found_and_downloaded_by_a_short_lived_link(open_page, site):
    page = opened(open_page, site, "files")
    page.get_by_label("Find a file").type("A1.geojson")
    page.get_by_text("1 of").wait_for()
    asked = []
    page.route(
        "https://runs-bucket.example/**", lambda route: (asked.append(route.request.url), route.fulfill(body="x"))
    )
    page.get_by_role("button", name="Download evaluation/slides/A1.geojson").click()
    page.wait_for_url("https://runs-bucket.example/**")
    assert asked[0].startswith(f"https://runs-bucket.example/runs/{RUN}/evaluation/slides/A1.geojson?expires=300")


def test_of_more_files_than_are_listed_any_is_found(open_page, site, s3):
    s3.objects |= {(RUNS, f"runs/{RUN}/aaa/{number:04}.bin"): b"x" for number in range(1001)}
    page = opened(open_page, site, "files")
    page.get_by_text("Only the first 1,000 files are listed").wait_for()
    page.get_by_label("Find a file").press_sequentially("A1.geojson")
    page.get_by_text("evaluation/slides/A1.geojson").wait_for()
    assert page.get_by_label("Find a file").input_value() == "A1.geojson", "what is typed stays while it is looked for"
    assert page.locator("tbody tr").count() == 1


# --- Faults and access ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_an_api_that_is_down_is_told_and_asked_again(open_page, site, path):
    site.broken = {"/api/": 500}
    page = open_page(f"{site.url}/#/slides/{path}?run={RUN}")
    page.expected_errors = ["500"]
    alert = page.get_by_role("alert").first
    alert.wait_for()
    assert "The API failed with status 500." in alert.inner_text()
    site.broken = {}
    alert.get_by_role("button", name="Try again").click()
    page.wait_for_function(
        "() => !document.querySelector('[role=alert]')"
    )  # what was asked beside it asks again itself


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(open_page, site, *, name, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(open_page, site, PAGES[name], width=width, scheme=scheme, bypass_csp=True)
    if name == "slide":
        drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    assert found.response["violations"] == [], found.generate_report()


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_a_wide_window(open_page, site, name):
    page = opened(open_page, site, PAGES[name], width=2560, height=1300)
    assert page.evaluate("document.documentElement.scrollWidth") == 2560
