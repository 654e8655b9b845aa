"""The labeling pages in Chromium: every chart and table against the truth, filters, export, faults, accessibility."""

import csv
import io
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from sextant.labeling.dashboards.spec import SPECIFICATION
from tests.browser.looks import address_has, axe_finds_nothing, looks, opening
from tests.handlers.lake import AUDIT_JOBS, TRACKING, truth

pytestmark = pytest.mark.browser

NOTHING = "\N{EN DASH}"  # what the pages show for a number that is not known
EXPIRE = """(refresh) => {
  const kept = JSON.parse(sessionStorage["sextant.tokens"]);
  sessionStorage["sextant.tokens"] = JSON.stringify({ ...kept, until: 0, refresh: refresh ?? kept.refresh });
}"""

PAGES = {each.id: [v for v in each.visuals if v.type != "options"] for each in SPECIFICATION.dashboards}
CHARTS = {page: [v.id for v in visuals if v.type in ("pie", "donut", "bar", "hbar")] for page, visuals in PAGES.items()}


def address(console_url, page, search=""):
    return f"{console_url}/#/labeling/{page}{search}"


def settle(page):
    """Until every answer is there and every chart is drawn."""
    page.wait_for_function(
        """() => !document.querySelector('.card[aria-busy=true]') && document.querySelectorAll('.card').length > 0
              && [...document.querySelectorAll('.plot')].every((each) => 'drawn' in each.dataset)"""
    )


@pytest.fixture
def annotations(open_page, console_url):
    page = open_page(address(console_url, "annotations"))
    settle(page)
    return page


@pytest.fixture
def workers(open_page, console_url):
    page = open_page(address(console_url, "workers"))
    settle(page)
    return page


def table_of(page, visual):
    """The rows of a report's table, as text; switches a chart to its table."""
    card = page.locator(f"#{visual}")
    switch = card.get_by_role("button", name=re.compile("as table"))
    if switch.count() and switch.get_attribute("aria-pressed") == "false":
        switch.click()
    card.locator("table").wait_for()
    head = card.locator("thead th").all_inner_texts()
    return [
        dict(zip(head, row.locator("th, td").all_inner_texts(), strict=True)) for row in card.locator("tbody tr").all()
    ]


def legend_of(page, visual):
    rows = page.locator(f"#{visual} .legend li").filter(has=page.locator(".name")).all()
    return {row.locator(".name").inner_text(): row.locator(".amount").inner_text() for row in rows}


def figure(page, visual):
    return page.locator(f"#{visual} .figure").inner_text()


def test_every_visual_of_the_specification_is_on_its_page(annotations, workers):
    for page, name in ((annotations, "annotations"), (workers, "workers")):
        for visual in PAGES[name]:
            assert page.locator(f"#{visual.id}-title").inner_text() == visual.title


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_has_marks_a_name_and_a_table_with_the_same_groups(open_page, console_url, name):
    page = open_page(address(console_url, name))
    settle(page)
    for visual in CHARTS[name]:
        plot = page.locator(f"#{visual} .plot")
        label = plot.get_attribute("aria-label")
        assert plot.locator("svg .role-mark path").count() > 0, visual
        rows = table_of(page, visual)
        assert page.locator(f"#{visual} .plot").count() == 0, visual
        shown = [each for each in rows if next(iter(each.values())) != "not recorded"]
        assert rows, visual
        for row in shown:
            group, *cells = row.values()
            assert group in label or cells[0] == NOTHING or "2026" in group, visual
        page.locator(f"#{visual}").get_by_role("button", name=re.compile("as table")).click()
        page.wait_for_selector(f"#{visual} .plot[data-drawn]")


def test_annotation_numbers_equal_the_truth(annotations, console):
    facts = console.truth
    assert figure(annotations, "labels") == str(len(facts.labels))
    assert figure(annotations, "frames") == str(len(facts.frames))
    types = Counter(x["attributes"]["vehicle_type"] for x in facts.labels if "vehicle_type" in x["attributes"])
    assert {k: int(v.split(" ")[0]) for k, v in legend_of(annotations, "vehicle-type").items()} == types
    missing = len(facts.labels) - sum(types.values())
    assert (
        f"{missing} labels without vehicle type are not in the chart."
        in annotations.locator("#vehicle-type").inner_text()
    )
    assert f"n = {sum(types.values())} labels" in annotations.locator("#vehicle-type").inner_text()
    audits = Counter(x["attributes"]["audit"] for x in facts.labels if "audit" in x["attributes"])
    share = audits["pass"] / sum(audits.values())
    assert figure(annotations, "audit-share") == f"{share:.1%}"
    assert f"n = {sum(audits.values())} audited labels" in annotations.locator("#audit-share").inner_text()
    assert {k: int(v.split(" ")[0]) for k, v in legend_of(annotations, "label-quality").items()} == audits
    moving = Counter(x["attributes"]["moving"] for x in facts.labels if "moving" in x["attributes"])
    assert {k: int(v.split(" ")[0]) for k, v in legend_of(annotations, "moving").items()} == moving
    quality = Counter(x["attributes"].get("quality_of_the_frame") for x in facts.frames)
    assert {k: int(v.split(" ")[0]) for k, v in legend_of(annotations, "frame-quality").items()} == {
        k: n for k, n in quality.items() if k
    }
    numbers = Counter(x["attributes"]["number_of_vehicles"] for x in facts.frames if x["attributes"])
    assert figure(annotations, "most-vehicles") == str(max(map(int, numbers)))
    rows = table_of(annotations, "vehicles-per-frame")
    recorded = [row for row in rows if row["Number of vehicles"] != "not recorded"]
    assert [(row["Number of vehicles"], int(row["Frames"])) for row in recorded] == sorted(
        numbers.items(), key=lambda each: int(each[0])
    ), "2 comes before 10"
    jobs = {row["Job"]: row for row in table_of(annotations, "frame-quality-per-job")}
    judged = {x["job"] for x in facts.frames if x["attributes"]}
    assert set(jobs) == judged
    assert (
        "1 job without any quality of the frame is only in the CSV."
        in annotations.locator("#frame-quality-per-job").inner_text()
    )
    n = sum(x["job"] in judged for x in facts.frames)
    assert f"n = {n} frames" in annotations.locator("#frame-quality-per-job").inner_text()
    for job in judged:
        mine = Counter(x["attributes"].get("quality_of_the_frame") for x in facts.frames if x["job"] == job)
        assert {k: int(jobs[job][k]) for k in ("good", "blurry", "dark")} == {
            k: mine[k] for k in ("good", "blurry", "dark")
        }
        assert int(jobs[job]["Total"]) == sum(mine.values())
    (verdicts,) = table_of(annotations, "audit-per-label")
    assert (int(verdicts["pass"]), int(verdicts["fail"])) == (audits["pass"], audits["fail"])
    tasks = {row["Job"]: row for row in table_of(annotations, "task-states")}
    assert sum(int(row["Audited"]) for row in tasks.values()) == sum(x["audited"] for x in facts.tasks)
    assert sum(int(row["Failed"]) for row in tasks.values()) == 1


def test_worker_numbers_equal_the_truth(workers, console):
    facts = console.truth
    assert figure(workers, "answers") == str(len(facts.answers))
    timed = [x["seconds"] for x in facts.answers if x["seconds"] is not None]
    hours, minutes = divmod(round(sum(timed)) // 60, 60)
    assert figure(workers, "time") == f"{hours} h {minutes} min"
    assert f"n = {len(timed)} timed answers" in workers.locator("#time").inner_text()
    rows = {row["Worker"]: row for row in table_of(workers, "worker-metrics")}
    assert set(rows) == {x["worker"] for x in facts.answers}
    assert rows["sub-0d6c"]["Total time"] == NOTHING, "no recorded time is not zero time"
    assert (
        "1 worker without a recorded total time is not in the chart."
        in workers.locator("#time-per-worker").inner_text()
    )
    stacked = {row["Worker"]: row for row in table_of(workers, "time-per-worker")}
    assert set(stacked["ada"]) == {"Worker", TRACKING, AUDIT_JOBS, "VideoObjectTrackingLanes", "Total"}
    labels = {row["Worker"]: int(row["Labels"]) for row in table_of(workers, "labels-per-worker")}
    assert labels == {w: sum(x["labels"] for x in facts.answers if x["worker"] == w) for w in labels}


def test_filters_live_in_the_address_and_narrow_every_report(annotations, console):
    facts = console.truth
    annotations.get_by_text("Job all").click()
    annotations.get_by_role("checkbox", name="street-second-audit").check()
    address_has(annotations, "job=street-second-audit")
    expected = [x for x in facts.labels if x["job"] == "street-second-audit"]
    annotations.wait_for_function(f"() => document.querySelector('#labels .figure').innerText === '{len(expected)}'")
    annotations.keyboard.press("Escape")
    annotations.get_by_text("Label attributes all").click()
    annotations.get_by_role("group", name="Moving").get_by_label("yes").check()
    moving = [x for x in expected if x["attributes"].get("moving") == "yes"]
    annotations.wait_for_function(f"() => document.querySelector('#labels .figure').innerText === '{len(moving)}'")
    address_has(annotations, "label_attribute.moving=yes")
    settle(annotations)
    # What cannot follow the filter says so instead of looking filtered.
    assert "Not filtered by moving: these frames do not record it." in annotations.locator("#frames").inner_text()
    assert (
        "Not filtered by moving: it shows the shares of all its values." in annotations.locator("#moving").inner_text()
    )
    assert len(legend_of(annotations, "moving")) == 2
    # Back undoes a choice; a chip removes one; the last one clears.
    annotations.go_back()
    annotations.wait_for_function(f"() => document.querySelector('#labels .figure').innerText === '{len(expected)}'")
    annotations.keyboard.press("Escape")
    annotations.get_by_role("button", name="Remove filter Job: street-second-audit").click()
    annotations.wait_for_function(
        f"() => document.querySelector('#labels .figure').innerText === '{len(facts.labels)}'"
    )
    annotations.get_by_role("button", name="Clear all filters").wait_for(state="detached")


def test_an_address_opens_the_filtered_view(open_page, console):
    page = open_page(
        address(console.url, "workers", "?worker=ada&since=2026-03-03&until=2026-03-09&modality=VideoObjectTracking")
    )
    settle(page)
    mine = [
        x
        for x in console.truth.answers
        if x["worker"] == "ada" and x["modality"] == TRACKING and "2026-03-03" <= x["day"].isoformat() <= "2026-03-09"
    ]
    assert figure(page, "answers") == (str(len(mine)) if mine else NOTHING)
    assert page.locator(".chip").all_inner_texts()[0].startswith("Worker: ada")
    # The other page keeps what it understands.
    page.get_by_role("link", name="Annotations").first.click()
    page.wait_for_selector("#vehicle-type")
    address_has(page, "since=2026-03-03")
    assert "worker" not in page.evaluate("location.hash").split("?")[1]


def test_a_quoting_job_name_is_only_a_value(open_page, console):
    page = open_page(address(console.url, "annotations", "?job=%3Dharbour%2C+%22north%22"))
    settle(page)
    assert figure(page, "labels") == str(sum(x["job"].startswith("=harbour") for x in console.truth.labels))


def test_exports_are_complete_quoted_and_safe(annotations, console):
    with annotations.expect_download() as waiting:
        annotations.get_by_role("button", name="Export Quality of the labels per job as CSV").click()
    assert waiting.value.suggested_filename == "annotations-label-quality-per-job.csv"
    raw = Path(waiting.value.path()).read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    assert rows[0] == ["Job", "fail", "pass", "not recorded", "Total"]
    assert {row[0] for row in rows[1:]} == {
        '\'=harbour, "north"',
        "street-first-lanes",
        "street-first-vehicles",
        "street-second-audit",
    }
    assert sum(int(row[-1]) for row in rows[1:]) == len(console.truth.labels)


def test_times_are_exported_raw_with_their_unit(workers, console):
    with workers.expect_download() as waiting:
        workers.get_by_role("button", name="Export Worker metrics as CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text("utf-8-sig"))))
    ada = next(row for row in rows if row["Worker"] == "ada")
    assert float(ada["Total time (seconds)"]) == pytest.approx(
        sum(x["seconds"] for x in console.truth.answers if x["worker"] == "ada")
    )
    assert next(row for row in rows if row["Worker"] == "sub-0d6c")["Total time (seconds)"] == ""


def test_any_attribute_can_be_broken_down(annotations, console):
    card = annotations.locator("#label-attribute")
    assert card.get_by_role("combobox").locator("option").all_inner_texts() == ["Audit", "Moving", "Vehicle type"]
    card.get_by_role("combobox").select_option("vehicle_type")
    rows = table_of(annotations, "label-attribute")
    expected = Counter(
        x["attributes"]["vehicle_type"] for x in console.truth.labels if "vehicle_type" in x["attributes"]
    )
    assert {row["Value"]: int(row["Labels"]) for row in rows} == expected


def test_a_failed_report_says_why_and_can_be_asked_again(open_page, console):
    console.athena.fail = {"FROM task": "HIVE_BAD_DATA: not a Parquet file"}
    try:
        page = open_page(address(console.url, "annotations"))
        settle(page)
        card = page.locator("#task-states")
        assert "HIVE_BAD_DATA: not a Parquet file" in card.get_by_role("alert").inner_text()
        assert "2 failed" in page.get_by_role("status").inner_text()
        assert figure(page, "labels") == str(len(console.truth.labels)), "the others are there"
        page.expected_errors = ["502"]
        with page.expect_response("**/queries"):
            card.get_by_role("button", name="Try again").click()
        settle(page)
        card.get_by_role("alert").wait_for()
    finally:
        console.athena.fail = {}
    card.get_by_role("button", name="Try again").click()
    card.locator("table").wait_for()


def test_an_unreachable_api_says_what_to_do(open_page, console_url):
    page = open_page(address(console_url, "annotations"))
    settle(page)
    page.expected_errors = ["net::ERR_FAILED", "Failed to fetch"]
    page.route("**/queries", lambda route: route.abort())
    page.get_by_role("button", name="Refresh").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "The API cannot be reached." in alert.inner_text()
    page.unroute("**/queries")
    alert.get_by_role("button", name="Try again").click()
    page.wait_for_selector("#labels .figure")


def test_dates_in_the_wrong_order_are_no_dead_end(open_page, console_url):
    page = open_page(address(console_url, "annotations") + "?since=2026-03-09&until=2026-03-02")
    page.expected_errors = ["422"]
    alert = page.get_by_role("alert")
    alert.wait_for()
    alert.get_by_role("button", name="Clear all filters").click()
    page.wait_for_selector("#labels .figure")


def test_while_reports_load_old_numbers_are_marked_as_old(open_page, console_url):
    page = open_page(address(console_url, "annotations"))
    settle(page)
    held = []
    page.route("**/queries", lambda route: held.append(route))  # noqa: PLW0108  Playwright wants a function of its own
    with page.expect_request("**/queries"):
        page.get_by_role("button", name="Refresh").click()
    page.wait_for_selector("#labels[aria-busy=true]")
    assert page.get_by_role("status").inner_text() == "Loading reports…"
    held[0].continue_()
    settle(page)
    assert re.match(r"Asked \d+ \w+ \d{4}, \d\d:\d\d \S+ · ", page.get_by_role("status").inner_text())


def test_refresh_asks_athena_anew(annotations, console):
    before = len(console.athena.requests)
    with annotations.expect_response("**/queries"):
        annotations.get_by_role("button", name="Refresh").click()
    settle(annotations)
    assert len(console.athena.requests) > before
    assert all("ResultReuseConfiguration" not in each for each in console.athena.requests[before:])


def test_filters_without_matches_offer_the_way_out(open_page, console):
    page = open_page(address(console.url, "annotations", "?since=2030-01-01"))
    settle(page)
    card = page.locator("#vehicle-type")
    assert "No labels under these filters." in card.inner_text()
    assert figure(page, "audit-share") == NOTHING
    assert "Nothing to measure here." in page.locator("#audit-share").inner_text()
    card.get_by_role("button", name="Clear all filters").click()
    page.wait_for_selector("#vehicle-type .plot[data-drawn]")


def test_an_empty_lake_says_how_to_fill_it(open_page, lake_of):
    url = lake_of()
    page = open_page(address(url, "annotations"))
    settle_empty = page.get_by_role("heading", name="There is no data yet")
    settle_empty.wait_for()
    assert "SMGT-Glue-Workflow" in page.locator(".empty.page").inner_text()
    page.goto(address(url, "workers"))
    page.get_by_role("heading", name="There is no data yet").wait_for()


@pytest.mark.parametrize(
    ("name", "visual", "side", "measure"),
    [
        (
            "annotations",
            "labels-per-day",
            "height",
            lambda facts: Counter((x["day"], x["modality"]) for x in facts.labels),
        ),
        ("annotations", "labels-per-frame", "width", lambda facts: Counter(x["labels"] for x in facts.frames)),
        (
            "workers",
            "answers-per-day",
            "height",
            lambda facts: Counter((x["day"], x["modality"]) for x in facts.answers),
        ),
        ("workers", "time-per-worker", "height", lambda facts: seconds_by(facts, "worker", "modality")),
        ("workers", "time-per-modality", "width", lambda facts: seconds_by(facts, "modality")),
    ],
)
def test_bars_are_as_long_as_their_numbers(request, console, *, name, visual, side, measure):
    page = request.getfixturevalue(name)
    boxes = [mark.bounding_box() for mark in page.locator(f"#{visual} svg .mark-rect path").all()]
    numbers = sorted(measure(console.truth).values())
    lengths = sorted(box[side] for box in boxes)
    assert len(lengths) == len(numbers)
    scale = sum(lengths) / sum(numbers)
    assert lengths == pytest.approx([each * scale for each in numbers], abs=1.5)
    # Stacked bars touch and never cover one another; bars beside one another stay apart.
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            across = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
            down = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
            assert min(across, down) < 1.5


def seconds_by(facts, *keys):
    found = Counter()
    for x in facts.answers:
        if x["seconds"] is not None:
            found[tuple(x[key] for key in keys)] += x["seconds"]
    return found


def test_the_days_stand_below_their_bars(annotations):
    labels = annotations.locator("#labels-per-day svg .role-axis-label text").all()
    days = {each.text_content(): each.bounding_box() for each in labels if "2026" in each.text_content()}
    assert days
    bars = [mark.bounding_box() for mark in annotations.locator("#labels-per-day svg .mark-rect path").all()]
    for box in days.values():
        middle = box["x"] + box["width"] / 2
        assert min(abs(bar["x"] + bar["width"] / 2 - middle) for bar in bars) < 3


def test_slices_are_as_wide_as_their_numbers(annotations, console):
    counts = Counter(x["attributes"]["vehicle_type"] for x in console.truth.labels if "vehicle_type" in x["attributes"])
    angles = annotations.evaluate(
        """() => [...document.querySelectorAll('#vehicle-type svg .mark-arc path')].map((each) => {
             const { startAngle, endAngle } = each.__data__;  // Vega's own item
             return Math.abs(endAngle - startAngle);
           })"""
    )
    share = [n / sum(counts.values()) * 2 * 3.141592653589793 for n in sorted(counts.values())]
    assert sorted(angles) == pytest.approx(share, abs=0.01)


def test_many_workers_are_capped_in_the_chart_only(open_page, lake_of):
    facts = truth()
    facts.answers = [
        {**facts.answers[0], "worker": f"worker-{i:03}", "seconds": 10.0 + i, "modality": f"Modality{i % 11}"}
        for i in range(97)
    ]
    url = lake_of(facts)
    page = open_page(address(url, "workers"))
    settle(page)
    card = page.locator("#time-per-worker")
    assert "The first 40 of 97; table and CSV have all." in card.inner_text()
    assert "Other (4 values)" in card.inner_text()
    assert len(table_of(page, "time-per-worker")) == 97


def test_a_value_keeps_its_colour_when_others_are_filtered_away(open_page, console):
    def colours(search):
        page = open_page(address(console.url, "workers", search))
        settle(page)
        return {
            row.locator(".name").inner_text(): row.locator("svg").get_attribute("class")
            for row in page.locator("#time-per-worker .legend li").filter(has=page.locator(".name")).all()
        }

    everything = colours("")
    some = colours(f"?modality={AUDIT_JOBS}")
    assert some == {AUDIT_JOBS: everything[AUDIT_JOBS]}


def test_everything_works_from_the_keyboard(open_page, console):
    page = open_page(address(console.url, "annotations"))
    settle(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to content"
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'main'")
    page.get_by_text("Modality all").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expected = sum(x["modality"] == TRACKING for x in console.truth.labels)
    page.wait_for_function(f"() => document.querySelector('#labels .figure').innerText === '{expected}'")
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.tagName === 'SUMMARY'")
    page.wait_for_selector("details.menu[open]", state="detached")
    page.get_by_role("link", name="Workers").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.activeElement.tagName === 'H1' && document.activeElement.innerText === 'Workers'"
    )


def test_the_theme_is_remembered_and_redraws_charts(annotations):
    def fill():
        return annotations.evaluate(
            "document.querySelector('#vehicles-per-frame svg .role-mark path').getAttribute('fill')"
        )

    light = fill()
    for _ in range(2):
        annotations.get_by_role("button", name=re.compile("^Theme")).click()
    annotations.wait_for_function(
        f"() => document.querySelector('#vehicles-per-frame svg .role-mark path')?.getAttribute('fill') !== '{light}'"
    )
    annotations.reload()
    settle(annotations)
    assert annotations.evaluate("document.documentElement.dataset.theme") == "dark"
    assert fill() != light


def test_a_chart_tells_its_numbers_under_the_pointer(annotations):
    annotations.locator("#vehicles-per-frame svg .mark-rect path").first.hover()
    annotations.wait_for_selector(".tip:not([hidden])")
    assert re.fullmatch(r"0: \d+", annotations.locator(".tip").inner_text())


@pytest.mark.parametrize(
    ("name", "search"), [("annotations", ""), ("annotations", "?since=2030-01-01"), ("workers", "?worker=ada")]
)
def test_axe_finds_nothing(open_page, console_url, name, search):
    page = open_page(address(console_url, name, search), **opening())
    settle(page)
    if name == "workers":
        table_of(page, "time-per-worker")
    menu = page.locator("details.menu:visible").first
    for width, scheme in looks(page):
        if width in {390, 1280}:
            menu.locator("summary").click()
            page.wait_for_selector("details.menu[open]")
            axe_finds_nothing(page, width, scheme)
            page.keyboard.press("Escape")
            page.wait_for_selector("details.menu[open]", state="detached")


def test_pictures(open_page, console_url):
    """Writes the pages as PNG to $SEXTANT_SCREENSHOTS, for people to look at."""
    folder = os.environ.get("SEXTANT_SCREENSHOTS")
    if not folder:
        pytest.skip("set SEXTANT_SCREENSHOTS to a folder to have the pages photographed")
    for name in PAGES:
        for width, scheme in [
            (1280, "light"),
            (1280, "dark"),
            (390, "light"),
            (390, "dark"),
            (2560, "light"),
            (820, "light"),
        ]:
            page = open_page(address(console_url, name), width=width, scheme=scheme)
            settle(page)
            page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png", full_page=True)


@pytest.fixture(scope="module")
def cognito(tmp_path_factory):
    """A user pool with a hosted sign-in page on the emulator that the embedded AWS stands on."""
    import boto3

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("cognito") / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        env={**os.environ, "GATEWAY_PORT": str(port), "MINISTACK_HOST": "127.0.0.1", "BIND_HOST": "127.0.0.1"},
        stdout=log,
        stderr=log,
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "the emulator ended"
                time.sleep(0.1)
        yield (
            endpoint,
            boto3.client(
                "cognito-idp",
                endpoint_url=endpoint,
                region_name="eu-central-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            ),
        )
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def test_signing_in_by_authorization_code_and_pkce(open_page, lake_of, cognito):
    endpoint, idp = cognito
    config = {"apiBase": "", "cognito": {"endpoint": endpoint, "clientId": "", "scopes": ["openid", "email"]}}
    url = lake_of(truth(), connect=[endpoint], config=config)
    pool = idp.create_user_pool(PoolName="console")["UserPool"]["Id"]
    client = idp.create_user_pool_client(
        UserPoolId=pool,
        ClientName="console",
        AllowedOAuthFlows=["code"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=["openid", "email"],
        SupportedIdentityProviders=["COGNITO"],
        CallbackURLs=[f"{url}/"],
        LogoutURLs=[f"{url}/"],
    )["UserPoolClient"]["ClientId"]
    idp.admin_create_user(UserPoolId=pool, Username="ada", MessageAction="SUPPRESS")
    idp.admin_set_user_password(UserPoolId=pool, Username="ada", Password="Correct-Horse-9", Permanent=True)
    config["cognito"]["clientId"] = client

    page = open_page(address(url, "workers", "?worker=ada"))
    page.expected_errors = ["favicon.ico"]  # of the hosted page
    assert "Sign in to Sextant" in page.locator("main").inner_text()
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("Correct-Horse-9")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("#answers .figure")
    assert page.evaluate("location.href") == address(url, "workers", "?worker=ada"), "back, without the code"
    assert page.locator(".user").inner_text() == "ada"

    # A renewed token keeps the reader signed in; one that cannot be renewed asks to sign in again.
    page.evaluate(EXPIRE, None)
    page.reload()
    page.wait_for_selector("#answers .figure")
    page.expected_errors += ["/oauth2/token"]
    page.evaluate(EXPIRE, "gone")
    page.reload()
    page.get_by_role("heading", name="Sign in to Sextant").wait_for()

    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("Correct-Horse-9")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("#answers .figure")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in to Sextant").wait_for()
    assert page.evaluate("sessionStorage.getItem('sextant.tokens')") is None


def test_a_foreign_way_back_from_signing_in_is_refused(open_page, lake_of):
    config = {"apiBase": "", "cognito": {"endpoint": "https://signin.invalid", "clientId": "c"}}
    url = lake_of(config=config)
    page = open_page(f"{url}/?code=stolen&state=forged")
    assert "This sign-in was not started in this tab." in page.get_by_role("alert").inner_text()
    assert "code=" not in page.evaluate("location.href")
