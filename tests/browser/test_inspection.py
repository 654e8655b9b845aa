"""The inspection pages in Chromium over their real functions: looked at in every state."""

import pytest

from sextant.inspection import pages_doctor
from tests.browser.inspection_site import opened, pictured, serve
from tests.handlers import inspection_world as there
from tests.handlers.inspection_world import BUCKET, PROJECT

pytestmark = pytest.mark.browser

PAGES = {
    "projects": "projects", "dataset": "dataset", "doctor": "doctor", "models": "models", "trial": "trial",
    "review": "review", "live": "live", "dashboard": "dashboard", "drift": "drift", "cost": "cost", "model": "model/1",
}  # fmt: skip
TITLES = {
    "projects": "Projects", "dataset": "Dataset", "doctor": "Data doctor", "models": "Models",
    "trial": "Trial detection", "review": "Review", "live": "Live line", "dashboard": "Dashboard", "drift": "Drift",
    "cost": "Cost per item", "model": "Version 1",
}  # fmt: skip


@pytest.fixture(scope="module")
def looked():
    """The site for tests that only look, with everything there is to see."""
    with there.account():
        world = there.make()
        copied = {"Bucket": BUCKET, "Key": "photographs/train/normal/n1.jpg"}
        world.s3.copy_object(Bucket=BUCKET, Key="photographs/test/normal/n1.jpg", CopySource=copied)
        pages_doctor.examine(world.services, PROJECT)
        running = serve(world)
        yield running
        running.close()


# --- Looking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_there_with_its_title(open_page, looked, name):
    page = opened(open_page, looked, PAGES[name])
    assert page.get_by_role("heading", level=1).inner_text() == TITLES[name]
    assert page.get_by_role("alert").count() == 0


def test_projects_lead_to_what_they_are_made_of(open_page, looked):
    page = opened(open_page, looked, "projects")
    card = page.locator("section.card").filter(has_text="bracket")
    assert "Version 1 answers" in card.inner_text()
    card.get_by_role("link", name="20 photographs, 10 anomalies").click()
    page.get_by_role("heading", name="Dataset", level=1).wait_for()
    page.get_by_text("20 photographs: 10 normal, 10 anomalies, 0 unlabelled.").wait_for()


def test_the_project_stays_from_page_to_page(open_page, looked):
    page = open_page(f"{looked.url}/#/inspection/dataset?project=empty")
    page.expected_errors = ["404"]
    page.get_by_text("The project has no dataset “Training” yet.").wait_for()
    page.get_by_role("link", name="Models", exact=True).first.click()
    page.get_by_text("Nothing has been trained yet.").wait_for()
    assert "project=empty" in page.url


def test_a_dataset_shows_photographs_with_their_masks(open_page, looked):
    page = opened(open_page, looked, "dataset", "&show=anomaly")
    pictured(page)
    assert page.locator(".shot").count() == 6
    page.wait_for_function("() => document.querySelectorAll('.picture img.mask').length === 2")
    first = page.locator(".picture img:not(.mask)").first
    assert first.evaluate("each => [each.naturalWidth, each.naturalHeight]") == [320, 213]


def test_the_doctor_shows_pictures_of_what_it_found(open_page, looked):
    page = opened(open_page, looked, "doctor")
    leak = page.locator("section.card").filter(has_text="In training and test")
    leak.scroll_into_view_if_needed()
    pictured(page)
    assert leak.locator("img").count() >= 1
    assert page.get_by_role("heading", name="Too few normal photographs").count() == 1


def test_the_threshold_shows_what_it_costs_on_real_counts(open_page, looked):
    page = opened(open_page, looked, "model/1")
    box = page.locator("section").filter(has=page.get_by_role("heading", name="Threshold", exact=True))
    figures = box.locator(".figure")
    assert figures.all_inner_texts() == ["1 of 10", "1 of 10"]
    slider = page.get_by_role("slider", name="Anomalous from")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("PageUp")  # to 90 %: scores from 0.866 on, of four anomalies and no normal one
    assert figures.all_inner_texts() == ["0 of 10", "6 of 10"]
    assert slider.get_attribute("aria-valuetext") == "90.0%: 0 of 10 normal rejected, 6 of 10 defects missed"
    assert "95 % interval 31.3% to 83.2%" in box.inner_text()  # Wilson, of 6 in 10
    page.get_by_role("button", name="Back to the model's own").click()
    assert figures.all_inner_texts() == ["1 of 10", "1 of 10"]


def test_curves_have_their_tables_and_mistakes_their_pictures(open_page, looked):
    page = opened(open_page, looked, "model/1")
    assert page.locator(".plot svg").count() == 2
    page.get_by_role("button", name="Show ROC curve as table").click()
    assert page.get_by_role("region", name="ROC curve, table").locator("tbody tr").count() > 10
    page.get_by_role("heading", name="Where it is wrong").scroll_into_view_if_needed()
    pictured(page)
    assert page.locator("figcaption").all_inner_texts() == ["Missed 24.2%\na0.jpg", "False reject 67.3%\nn9.jpg"]
    page.get_by_role("button", name="Show a0.jpg large").click()
    page.get_by_role("dialog").get_by_role("img").first.wait_for()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0


def test_the_dashboard_tells_its_window_and_as_of(open_page, looked):
    page = opened(open_page, looked, "dashboard")
    assert page.locator(".figure").first.inner_text() == "7.0%"
    assert "95 % interval 5.6% to 8.8%" in page.locator("section.kpi").first.inner_text()  # Wilson, of 70 in 1,000
    assert "As of 21 Nov 2026, 12:30 UTC" in page.get_by_role("status").inner_text()
    rows = page.get_by_role("region", name="By line and camera, table").locator("tbody tr").all_inner_texts()
    assert [each.split("\t")[:4] for each in rows[:2]] == [["All lines", "All cameras", "1,000", "70"],
                                                          ["a", "All cameras", "600", "30"]]  # fmt: skip
    page.get_by_role("combobox", name="Window").select_option("1 week")
    page.wait_for_function("() => location.hash.includes('span=1w')")
    page.get_by_text("As of").wait_for()
    assert any("span=1w" in each for each in looked.asked)


def test_drift_shows_alarms_with_pictures(open_page, looked):
    page = opened(open_page, looked, "drift")
    alarm = page.get_by_role("region", name="Brightness: line a, camera top")
    alarm.scroll_into_view_if_needed()
    pictured(page)
    assert alarm.locator("img").count() == 3
    assert "p = 1e-12 (an alarm needs less than 1e-4)" in alarm.inner_text()
    rows = page.get_by_role("region", name="The newest window of each camera, table").locator("tbody tr")
    assert rows.locator(".badge").all_inner_texts() == ["Drifts", "Not clear yet", "As before"]
    assert "Of these 31 photographs it may still be chance" in rows.nth(1).inner_text()


@pytest.mark.parametrize(("name", "table"), [("drift", "The newest window of each camera"),
                                             ("dashboard", "By line and camera")])  # fmt: skip
def test_tables_fit_a_narrow_page(open_page, looked, name, table):
    page = opened(open_page, looked, name, width=390)
    region = page.get_by_role("region", name=f"{table}, table")
    assert region.evaluate("each => each.scrollWidth <= each.clientWidth")


def test_versions_tell_what_their_f1_is_of_and_a_hosted_one_is_at_rest(open_page, looked):
    page = opened(open_page, looked, "models")
    first = page.locator("ol.versions > li").last
    assert "F1\n90.0% 95 % interval 68.7% to 97.4%" in first.inner_text()
    assert "20 photographs, 10 of them anomalies" in first.inner_text()
    assert first.locator(".badge.ready").inner_text() == "Hosted"
    page = opened(open_page, looked, "projects")
    assert page.locator(".badge.ready").inner_text() == "Version 1 answers"


def test_a_refresh_asks_again_though_an_answer_is_on_its_way(open_page, looked):
    """It may be of before what the refresh is for: something was changed meanwhile."""
    page = opened(open_page, looked, "dashboard")
    page.evaluate("() => Object.defineProperty(document, 'hidden', { value: true })")  # it does not ask by itself
    held = []
    page.route("**/dashboard?*", lambda route: held.append(route))  # noqa: PLW0108 - playwright takes no method of C
    refresh = page.get_by_role("button", name="Refresh")
    refresh.click()
    while not held:
        page.wait_for_timeout(20)
    refresh.click()
    with page.expect_request("**/dashboard?*"):
        held[0].continue_()


@pytest.mark.parametrize(("rate", "cost"), [(1, "$0.001"), (5, "$0.0002")])
def test_the_posts_cost_per_item_is_reproduced_beside_ours(open_page, looked, rate, cost):
    page = opened(open_page, looked, "cost", f"&rate={10 if rate == 1 else 1}")
    page.get_by_role("link", name=f"{rate} item", exact=False).click()
    page.get_by_role("heading", name=f"Cost at {rate} item").wait_for()
    rows = page.locator("table.costs tbody tr")
    assert rows.first.locator("td").first.inner_text() == cost
    assert rows.count() == 5
    prices = page.get_by_role("region", name="Prices, table").inner_text()
    assert "derived from the original post" in prices
    assert "$3.60" in prices
    page.get_by_role("slider", name="Items").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("heading", name=f"Cost at {2 if rate == 1 else 6} items per second").wait_for()


# --- Faults, other states, access -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_an_api_that_is_down_is_told_and_asked_again(open_page, looked, path):
    looked.broken = {"/api/": 500}
    page = open_page(f"{looked.url}/#/inspection/{path}?project={PROJECT}")
    page.expected_errors = ["500"]
    alert = page.get_by_role("alert").first
    alert.wait_for()
    assert "The API failed with status 500." in alert.inner_text()
    page.wait_for_function("() => !document.querySelector('main .loading')")
    assert page.get_by_role("alert").count() == 1
    looked.broken = {}
    alert.get_by_role("button", name="Try again").click()
    page.wait_for_function("() => !document.querySelector('[role=alert]')")


def test_photographs_are_asked_for_again_while_the_api_is_busy(open_page, looked):
    looked.broken = {f"/api/inspection/projects/{PROJECT}/picture": 429}
    page = open_page(f"{looked.url}/#/inspection/dataset?project={PROJECT}&show=anomaly")
    page.expected_errors = ["429"]
    page.locator(".picture").first.wait_for()
    page.wait_for_timeout(600)
    looked.broken = {}
    pictured(page)


def test_what_waits_leads_from_the_overview_to_the_review(open_page, looked):
    page = open_page(f"{looked.url}/#/runs/inspection")
    page.get_by_role("heading", name="Runs", level=1).wait_for()
    page.locator("tbody tr").nth(2).wait_for()
    page.goto(f"{looked.url}/#/runs/inspection/bracket-2")
    page.get_by_text("Compare with the champion").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(open_page, looked, *, name, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(open_page, looked, PAGES[name], width=width, scheme=scheme, bypass_csp=True)
    pictured(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    assert found.response["violations"] == [], found.generate_report()
