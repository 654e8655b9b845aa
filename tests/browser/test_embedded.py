"""The console as deployed: CloudFront's front door, Cognito's sign-in page, API Gateway, Lambda and Athena at home."""

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from samples.console import PASSWORD, USER
from sextant.labeling.views import VIEWS
from tests.browser.test_console import PAGES, figure, legend_of, settle, table_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_deployed_console_shows_the_truth_of_the_sample(open_page, labeled):
    def rows(view):
        names = [each.name for each in next(each for each in VIEWS if each.name == view).columns]
        return [dict(zip(names, row, strict=True)) for row in labeled.truth["reports"][view]]

    def total(view, measure, group=None):
        found = Counter()
        for row in rows(view):
            found[row[group] if group else None] += row[measure] or 0
        return found if group else found[None]

    console = labeled.embedded.emulator.console.rstrip("/")
    page = open_page(f"{console}/#/labeling/annotations")
    page.expected_errors = ["favicon.ico"]  # of the hosted sign-in page
    page.set_default_timeout(60_000)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("#labels .figure")
    settle(page)
    assert page.locator(".user").inner_text() == USER

    assert figure(page, "labels") == f"{total('report_annotations_per_day', 'annotations'):,}"
    assert figure(page, "most-labels") == str(max(row["labels"] for row in rows("report_labels_per_frame")))
    for visual, view, column, measure in [
        ("vehicle-type", "report_vehicle_type", "vehicle_type", "annotations"),
        ("label-quality", "report_audit", "audit", "annotations"),
        ("moving", "report_moving", "moving", "annotations"),
        ("frame-quality", "report_quality_of_the_frame", "quality_of_the_frame", "frames"),
    ]:
        shown = {name: int(text.split(" ")[0].replace(",", "")) for name, text in legend_of(page, visual).items()}
        assert shown == total(view, measure, column), visual
    histogram = {int(row["Labels on the frame"]): int(row["Frames"]) for row in table_of(page, "labels-per-frame")}
    assert histogram == total("report_labels_per_frame", "frames", "labels")
    tasks = {row["Job"]: (int(row["Audited"]), int(row["Adjusted"])) for row in table_of(page, "task-states")}
    assert tasks == {row["job_name"]: (row["audited"], row["adjusted"]) for row in rows("report_tasks")}
    verdicts = Counter()
    for row in table_of(page, "audit-per-label"):
        verdicts.update({name: int(n) for name, n in row.items() if name not in ("Label", "Total") and int(n)})
    assert verdicts == total("report_audit_by_label", "annotations", "verdict")
    assert {row["Reason"] for row in table_of(page, "rejected")} == {row["reason"] for row in rows("report_rejected")}

    page.get_by_role("link", name="Workers").first.click()
    page.wait_for_selector("#answers .figure")
    settle(page)
    answers = {row["Worker"]: int(row["Answers"]) for row in table_of(page, "worker-metrics")}
    assert answers == total("report_labels_per_worker", "answers", "username")
    labels = {row["Worker"]: int(row["Labels"].replace(",", "")) for row in table_of(page, "labels-per-worker")}
    assert labels == total("report_labels_per_worker", "labels", "username")
    jobs = {row["Worker"]: int(row["Jobs"]) for row in table_of(page, "jobs-per-worker")}
    assert jobs == {row["username"]: row["jobs"] for row in rows("report_jobs_per_worker")}

    # A filter from the page to Athena and back.
    page.get_by_text("Modality all").click()
    with page.expect_response("**/queries"):
        page.get_by_role("group", name="Modality").get_by_label("VideoObjectTracking", exact=True).check()
    settle(page)
    expected = sum(
        row["answers"] for row in rows("report_time_by_modality") if row["modality"] == "VideoObjectTracking"
    )
    assert figure(page, "answers") == str(expected)
    assert page.get_by_role("alert").count() == 0

    for name in PAGES:
        started = time.perf_counter()
        page.goto(f"{console}/#/labeling/{name}")
        page.wait_for_selector(f"#{PAGES[name][0].id} .figure")
        settle(page)
        print(f"{name}: {time.perf_counter() - started:.2f} s until the last chart")  # noqa: T201  read with -s
    if os.environ.get("SEXTANT_SCREENSHOTS"):
        photograph(page, console, Path(os.environ["SEXTANT_SCREENSHOTS"]))


def photograph(page, console, folder):
    """README's pictures: SEXTANT_SCREENSHOTS=docs/images makes them anew."""
    for name, path, wait, scheme, height in (
        ("home", "#/", ".needs a", "light", 860),
        ("labeling-overview", "#/labeling/overview", "#labels .figure", "light", 1240),
        ("labeling-workers", "#/labeling/workers", "#answers .figure", "dark", 860),
        ("labeling-audits", "#/labeling/audits", ".card .figure", "light", 1000),
    ):
        page.set_viewport_size({"width": 1280, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{console}/{path}")
        page.wait_for_selector(wait)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(500)
        page.screenshot(path=folder / f"{name}.png")
