"""The shell in Chromium: its pages, navigation, roles, faults, keyboard, accessibility and weight."""

import csv
import datetime as dt
import io
import os
from pathlib import Path

import pytest

from tests.browser.looks import address_has, axe_finds_nothing, fits, looks, opening
from tests.browser.shell import serve
from tests.handlers.operating import REJECTED, SETTINGS, failed_run, good_run, lake_with_quarantine, running_run

pytestmark = pytest.mark.browser

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
SIX = ["Labeling", "Slides", "Health", "Captions", "Narration", "Inspection"]
LABELING_PAGES = ["Overview", "Annotations", "Workers", "Audits", "Tracks", "Cost"]
PAGES = {
    "home": "",
    "runs": "runs",
    "run-live": "runs/labeling/wr_live",
    "run-good": "runs/labeling/wr_good",
    "run-failed": "runs/labeling/wr_bad",
    "quarantine": "quarantine",
    "settings": "settings",
    "about": "slides",
    "missing": "nowhere",
}


@pytest.fixture(scope="module")
def athena():
    client = lake_with_quarantine()
    yield client
    client.close()


def runs():
    return [
        running_run("wr_live", NOW - dt.timedelta(seconds=34)),
        good_run("wr_good", NOW - dt.timedelta(hours=1)),
        failed_run("wr_bad", NOW - dt.timedelta(hours=2)),
    ]


@pytest.fixture
def site_of(athena):
    """Serves the console with these runs; `role`, `settings` as `serve` takes them."""
    running = []

    def served(*runs, **options):
        running.append(serve(athena, *runs, **options))
        return running[-1]

    yield served
    for site in running:
        site.close()


@pytest.fixture
def site(site_of):
    return site_of(*runs())


def ready(page):
    page.wait_for_function(
        """() => document.querySelector('main h1') && !document.querySelector('main .loading')
              && ![...document.querySelectorAll('main [role=status]')].some((each) => each.innerText === 'Loading…')"""
    )


def opened(open_page, site, path="", **options):
    page = open_page(f"{site.url}/#/{path}", **options)
    ready(page)
    return page


def card(page, title):
    return page.locator("section.system").filter(has=page.get_by_role("heading", name=title, exact=True))


# --- Home -------------------------------------------------------------------------------------------------------------


def test_home_is_honest_about_six_systems(open_page, site):
    page = opened(open_page, site)
    assert page.locator(".system h2").all_inner_texts() == SIX
    assert "1 of 6 systems deployed here." in page.locator(".lead").inner_text()
    assert "environments/local.toml" in card(page, "Slides").inner_text(), "this release could deploy it"
    assert "cannot deploy it yet" in card(page, "Health").inner_text()
    for name in SIX[1:]:
        assert len(card(page, name).locator("p").first.inner_text()) > 50, "what it is for"
        assert card(page, name).locator(".badge").count() == 0, "no state of what is not there"


@pytest.mark.parametrize(
    ("made", "state", "run"),
    [
        (None, "Ready", "It has not run yet."),
        (good_run, "Ready", "42 s"),
        (failed_run, "Last run failed", "20 s"),
        (running_run, "Running", "1 min"),
    ],
)
def test_home_shows_state_and_last_run(open_page, site_of, made, state, run):
    begun = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=75)
    page = opened(open_page, site_of(*([made("a", begun)] if made else [])))
    labeling = card(page, "Labeling")
    assert labeling.locator("header .badge").inner_text() == state
    assert run in labeling.locator(".halves").inner_text()


def test_home_says_what_needs_a_person_and_leads_there(open_page, site):
    page = opened(open_page, site)
    needs = card(page, "Labeling").locator(".needs a")
    assert f"{len(REJECTED)} inputs in quarantine" in needs.all_inner_texts()
    assert f"{needs.count()} kinds of work wait for a person." in page.locator(".lead").inner_text()
    needs.filter(has_text="in quarantine").click()
    page.wait_for_selector(".rejected")
    address_has(page, "#/quarantine?system=labeling")
    page.go_back()
    page.wait_for_selector(".needs a")
    for href in needs.evaluate_all("(found) => found.map((each) => each.getAttribute('href'))"):
        page.goto(f"{site.url}/{href}")
        page.wait_for_selector("main h1")
        assert page.get_by_role("heading", name="There is no such page").count() == 0, href


def test_a_count_that_cannot_be_made_is_no_zero(open_page, site, athena):
    athena.fail = {"FROM finding": "TABLE_NOT_FOUND: finding"}
    try:
        page = opened(open_page, site)
        assert "1 check could not be made" in card(page, "Labeling").inner_text()
        card(page, "Labeling").get_by_text("1 check could not be made").click()
        assert "TABLE_NOT_FOUND: finding" in card(page, "Labeling").inner_text()
        assert "inputs in quarantine" in card(page, "Labeling").inner_text(), "the others are there"
    finally:
        athena.fail = {}


# --- Runs -------------------------------------------------------------------------------------------------------------


def test_runs_are_listed_newest_first(open_page, site):
    page = opened(open_page, site, "runs")
    assert page.locator("tbody .badge").all_inner_texts() == ["Running", "Succeeded", "Failed"]
    assert page.locator("tbody tr").nth(1).locator("td").all_inner_texts() == ["Succeeded", "42 s", "3 of 3"]


def test_older_runs_are_fetched_when_asked_for(open_page, site_of):
    site = site_of(*(good_run(f"wr_{n}", NOW - dt.timedelta(hours=n)) for n in range(60)))
    page = opened(open_page, site, "runs")
    for expected in (50, 60):
        page.get_by_role("button", name="Show older runs").click()
        page.wait_for_function(f"() => document.querySelectorAll('tbody tr').length === {expected}")
    page.get_by_role("button", name="Show older runs").wait_for(state="detached")
    links = page.locator("tbody a").evaluate_all("(found) => found.map((each) => each.getAttribute('href'))")
    assert links == [f"#/runs/labeling/wr_{n}" for n in range(60)]


def test_a_run_is_started_watched_and_stopped(open_page, site_of):
    site = site_of(good_run("wr_0", NOW - dt.timedelta(hours=1)))
    page = opened(open_page, site, "runs")
    page.get_by_role("button", name="Start a Labeling run").click()
    page.wait_for_selector(".step.running")
    started = site.glue.runs[0]["WorkflowRunId"]
    address_has(page, f"#/runs/labeling/{started}")
    # The page follows by itself: a step ends while we look.
    site.glue.runs[0].update({**good_run(started, site.glue.runs[0]["StartedOn"]), "Status": "RUNNING"})
    page.wait_for_function("() => document.querySelectorAll('.step.succeeded').length === 3")
    assert "3 of 3 steps done" in page.locator(".progress").inner_text()

    page.get_by_role("button", name="Stop this run").click()
    dialog = page.get_by_role("dialog", name="Stop this run?")
    dialog.get_by_role("button", name="Let it run").click()
    assert [name for name, _ in site.glue.calls].count("StopWorkflowRun") == 0
    page.get_by_role("button", name="Stop this run").click()
    page.keyboard.press("Escape")
    assert [name for name, _ in site.glue.calls].count("StopWorkflowRun") == 0, "Escape changes nothing"
    page.get_by_role("button", name="Stop this run").click()
    dialog.get_by_role("button", name="Stop the run").click()
    page.wait_for_selector(".progress .badge.stopped")
    assert page.get_by_role("button", name="Stop this run").count() == 0


def test_a_second_run_beside_the_first_is_refused_with_the_reason(open_page, site_of):
    site = site_of(good_run("wr_0", NOW - dt.timedelta(hours=1)))
    page = opened(open_page, site, "runs")
    site.glue.runs.insert(0, running_run("wr_other", NOW))  # the schedule was faster
    page.expected_errors = ["409"]
    page.get_by_role("button", name="Start a Labeling run").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "1 of 1 runs in progress" in alert.inner_text()
    assert "wait for its end" in alert.inner_text()


def test_a_failed_step_tells_why_and_where_its_log_is(open_page, site):
    page = opened(open_page, site, "runs/labeling/wr_bad")
    step = page.locator(".step.failed")
    assert "AnalysisException: no such table: answer" in step.inner_text()
    assert "Attempt 2" in step.inner_text()
    assert step.locator(".log code").all_inner_texts() == ["/aws-glue/jobs/error", "jr_1"]
    assert page.locator(".step.skipped .badge").all_inner_texts() == ["Not reached", "Not reached"]


def test_a_running_step_counts_on(open_page, site):
    page = opened(open_page, site, "runs/labeling/wr_live")
    took = page.locator(".step.running .when")
    first = took.inner_text()
    page.wait_for_function("(before) => document.querySelector('.step.running .when').innerText !== before", arg=first)


def test_lanes_are_as_long_as_their_steps(open_page, site):
    page = opened(open_page, site, "runs/labeling/wr_good")
    bars = {
        step.locator("h3").inner_text(): step.locator(".lane .bar").bounding_box()
        for step in page.locator(".step").all()
    }
    whole = page.locator(".lane .track").first.bounding_box()
    job, crawl = bars["Read all output, write the tables"], bars["Crawl worker metrics"]
    assert job["width"] / whole["width"] == pytest.approx(30 / 42, abs=0.01)
    assert crawl["width"] / whole["width"] == pytest.approx(12 / 42, abs=0.01)
    assert crawl["x"] == pytest.approx(job["x"] + job["width"], abs=1.5), "one follows the other"


def test_polls_cost_a_status_line_while_nothing_changes(open_page, site):
    page = opened(open_page, site, "runs/labeling/wr_live")
    answered = site.polls.get(200, 0)
    for _ in range(2):
        page.wait_for_event("response", lambda response: response.status == 304)
    assert site.polls[200] == answered, "nothing was sent twice"


def test_the_pauses_between_polls_grow_and_are_bounded(open_page, site):
    page = opened(open_page, site)
    told = page.evaluate(
        """async () => {
          const { pause, PAUSES } = await import('./app/poll.js');
          const of = (state) => [...Array(12).keys()].map((n) => pause(state(n)));
          return {
            busy: of((quiet) => ({ busy: true, quiet, failures: 0 })),
            idle: of((quiet) => ({ busy: false, quiet, failures: 0 })),
            faulty: of((n) => ({ busy: true, quiet: 0, failures: n + 1 })),
            PAUSES,
          };
        }"""
    )
    for name, most in (("busy", "slow"), ("faulty", "faulty")):
        assert told[name] == sorted(told[name])
        assert told[name][0] < told[name][-1] == told["PAUSES"][most]
    assert set(told["idle"]) == {told["PAUSES"]["idle"]}


# --- Quarantine -------------------------------------------------------------------------------------------------------


def test_the_quarantine_lists_reason_detail_size_and_source(open_page, site):
    page = opened(open_page, site, "quarantine")
    assert "6 findings in 6 objects" in page.get_by_role("status").inner_text()
    expected = sorted(REJECTED, key=lambda each: (each["source"], each["reason"]))
    for entry, row in zip(page.locator(".rejected").all(), expected, strict=True):
        text = entry.inner_text()
        assert entry.locator(".source").inner_text() == row["source"]
        assert entry.locator(".reason").inner_text() == row["reason"]
        assert row["detail"] in text
    assert "2 kB" in page.locator(".rejected").filter(has_text="unexpected end of data").inner_text()


def test_filters_of_the_quarantine_live_in_the_address(open_page, site):
    page = opened(open_page, site, "quarantine")
    page.get_by_label("Reason").select_option("not JSON")
    page.wait_for_function("() => document.querySelectorAll('.rejected').length === 2")
    address_has(page, "reason=not+JSON")
    page.get_by_label("Find in source or detail").fill("UNEXPECTED")
    page.wait_for_function("() => document.querySelectorAll('.rejected').length === 1")
    address_has(page, "find=UNEXPECTED")
    page.reload()
    page.wait_for_function("() => document.querySelectorAll('.rejected').length === 1")
    assert page.get_by_label("Find in source or detail").input_value() == "UNEXPECTED"
    page.get_by_label("Find in source or detail").fill("a, b")
    page.get_by_text("Nothing in quarantine matches.").wait_for()
    page.get_by_role("link", name="Clear filters").click()
    page.wait_for_function(f"() => document.querySelectorAll('.rejected').length === {len(REJECTED)}")


def test_an_object_shows_its_first_bytes_as_text_and_never_as_markup(open_page, site):
    name = "street/worker-response/iteration-1/0/2026-03-02.json"
    site.s3.objects[f"input/{name}"] = (b"<img src=x onerror=alert(1)><b>{not json", NOW - dt.timedelta(days=1))
    site.s3.objects["input/harbour/mask.png"] = (b"\x89PNG\r\n\x00", NOW)
    page = opened(open_page, site, "quarantine")
    page.get_by_role("button", name=f"Look at {name}").click()
    assert page.locator(".rejected pre").inner_text() == "<img src=x onerror=alert(1)><b>{not json"
    assert page.locator("pre *").count() == 0
    page.get_by_role("button", name="Look at harbour/mask.png").click()
    page.get_by_text("It is not text").wait_for()
    page.get_by_role("button", name="Look at street/output.manifest#3").click()
    page.get_by_text("The object is no longer there").wait_for()


def test_the_quarantine_is_exported_whole_and_safe(open_page, site):
    page = opened(open_page, site, "quarantine?reason=not+JSON")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Export as CSV").click()
    assert waiting.value.suggested_filename == "quarantine-labeling.csv"
    text = Path(waiting.value.path()).read_text("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["Source", "Reason", "Detail", "Size (bytes)"]
    mine = [each for each in REJECTED if each["reason"] == "not JSON"]
    assert sorted(rows[1:]) == sorted(
        [each["source"], each["reason"], each["detail"], str(each["bytes"])] for each in mine
    )


def test_a_replay_says_what_it_is_and_can_be_followed(open_page, site_of):
    site = site_of(good_run("wr_0", NOW - dt.timedelta(hours=1)))
    page = opened(open_page, site, "quarantine")
    page.get_by_role("button", name="Replay", exact=True).click()
    dialog = page.get_by_role("dialog")
    assert "reads its whole input in every run" in dialog.inner_text()
    dialog.get_by_role("button", name="Start the run").click()
    page.get_by_role("link", name="Follow it").click()
    page.wait_for_selector(".step.running")
    address_has(page, site.glue.runs[0]["WorkflowRunId"])


# --- Roles ------------------------------------------------------------------------------------------------------------


def test_an_analyst_sees_everything_and_changes_nothing(open_page, site_of):
    site = site_of(*runs(), role="analyst")
    for path in ("runs", "runs/labeling/wr_live", "quarantine"):
        page = opened(open_page, site, path)
        for name in ("Start a Labeling run", "Stop this run", "Replay"):
            assert page.get_by_role("button", name=name, exact=True).count() == 0
    assert page.locator(".rejected").count() == len(REJECTED)
    page = opened(open_page, site, "settings")
    assert page.locator("#you ~ dl").last.locator("strong").all_inner_texts() == ["analyst"]


def test_a_page_that_shows_a_button_too_many_is_still_refused(open_page, site):
    """The role is the API's to check: the button is there from when the reader was an administrator."""
    page = opened(open_page, site, "quarantine")
    site.role = "analyst"
    page.expected_errors = ["403"]
    page.get_by_role("button", name="Replay", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Start the run").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "only administrators may replay quarantined input" in alert.inner_text()
    assert [name for name, _ in site.glue.calls].count("StartWorkflowRun") == 0


def test_without_a_role_every_page_says_whom_to_ask(open_page, site_of):
    site = site_of(*runs(), role="billing")
    for path in ("", "runs", "quarantine", "settings"):
        page = open_page(f"{site.url}/#/{path}")
        page.expected_errors = ["403"]
        alert = page.get_by_role("alert").first
        alert.wait_for()
        assert "Ask an administrator to add you to the group admin or analyst" in alert.inner_text()


# --- Faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (0, "The API cannot be reached."),
        (500, "The API failed with status 500."),
        (503, "The API failed with status 503."),
        (429, "The API has more requests than it takes."),
        (403, "You may not see this."),
    ],
)
@pytest.mark.parametrize("path", ["", "runs", "runs/labeling/wr_good", "quarantine", "settings", "slides"])
def test_an_api_that_is_down_is_told_and_asked_again(open_page, site, *, path, status, says):
    site.broken = {"/api/": status}
    page = open_page(f"{site.url}/#/{path}")
    page.expected_errors = [str(status), "net::ERR", "Failed to fetch"]
    alert = page.get_by_role("alert").first
    alert.wait_for()
    assert says in alert.inner_text()
    assert len(alert.locator("p").all()) >= 2, "and what to do"
    site.broken = {}
    alert.get_by_role("button", name="Try again").click()
    alert.wait_for(state="detached")
    ready(page)


def test_what_was_read_stays_while_the_api_is_gone(open_page, site):
    page = opened(open_page, site, "runs")
    page.expected_errors = ["500"]
    site.broken = {"/api/runs/": 500}
    page.get_by_role("alert").wait_for()
    assert page.locator("tbody tr").count() == 3
    site.broken = {}
    page.get_by_role("alert").wait_for(state="detached", timeout=15_000)  # it comes back by itself


def test_a_sign_in_that_has_ended_asks_to_sign_in_again(open_page, site):
    page = opened(open_page, site)
    page.expected_errors = ["401"]
    site.broken = {"/api/": 401}
    page.goto(f"{site.url}/#/settings")
    page.get_by_role("heading", name="Sign in to Sextant").wait_for()
    assert "Your sign-in has ended." in page.get_by_role("alert").inner_text()
    assert page.get_by_role("navigation").count() == 0


def test_one_system_that_fails_leaves_the_rest_of_home(open_page, site):
    site.broken = {"/api/systems/labeling": 500}
    page = open_page(f"{site.url}/#/")
    page.expected_errors = ["500"]
    card(page, "Labeling").get_by_role("alert").wait_for()
    assert page.locator(".system h2").all_inner_texts() == SIX


def test_glue_that_refuses_is_told_with_its_reason(open_page, site):
    site.glue.fault = ("AccessDeniedException", "not authorized to perform: glue:GetWorkflowRuns")
    page = open_page(f"{site.url}/#/runs")
    page.expected_errors = ["502"]
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "not authorized to perform: glue:GetWorkflowRuns" in alert.inner_text()


@pytest.mark.parametrize("path", ["nowhere", "labeling/nowhere", "runs/nowhere/x", "settings/more", "home"])
def test_an_unknown_address_leads_home(open_page, site, path):
    page = opened(open_page, site, path)
    assert page.locator("h1").inner_text() == "There is no such page"
    page.get_by_role("link", name="Go to the overview of all systems").click()
    page.wait_for_selector("section.system")


def test_a_module_that_does_not_come_is_told(open_page, site):
    page = opened(open_page, site)
    page.expected_errors = ["settings.js"]
    page.route("**/settings.js", lambda route: route.abort())
    page.goto(f"{site.url}/#/settings")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "This page could not be loaded." in alert.inner_text()


# --- Settings ---------------------------------------------------------------------------------------------------------


def test_settings_are_shown_as_deployed_with_where_to_change_them(open_page, site):
    page = opened(open_page, site, "settings")
    assert "environments/local.toml" in page.locator(".lead").inner_text()
    for section, settings in SETTINGS["sections"].items():
        shown = page.locator(f"section[aria-labelledby='section-{section}']")
        rows = dict(row.locator("th, td").all_inner_texts() for row in shown.locator("tbody tr").all())
        assert list(rows) == list(settings)
    labeling = page.locator("section[aria-labelledby='section-labeling']").inner_text()
    assert "cron(0 * * * ? *)" in labeling
    assert "vehicle_type\nmoving" in labeling
    assert "0.1.0" in page.locator("section[aria-labelledby='environment']").inner_text()


def test_the_theme_is_chosen_in_two_places_and_remembered(open_page, site):
    page = opened(open_page, site, "settings")
    page.get_by_role("radio", name="Dark").check()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="Theme: Dark").click()
    page.wait_for_function("() => document.querySelector('main input[type=radio][value=auto]').checked")
    page.get_by_role("radio", name="Light").check()
    page.reload()
    ready(page)
    assert page.get_by_role("radio", name="Light").is_checked()


# --- Navigation -------------------------------------------------------------------------------------------------------


SHOWN = """([title, names]) => {
  const current = [...document.querySelectorAll('.top nav [aria-current=page]')].map((each) => each.innerText);
  const told = [document.querySelector('h1')?.innerText ?? '', document.title];
  return told.every((each) => each.includes(title)) && current.join() === names.join();
}"""


def test_the_navigation_holds_six_systems_and_says_where_one_is(open_page, site):
    page = opened(open_page, site, "quarantine")
    navigation = page.get_by_role("navigation", name="Sextant")
    names = navigation.get_by_role("link").all_inner_texts()
    assert names == ["All systems", "Runs", "Quarantine", "Labeling", *LABELING_PAGES, *SIX[1:], "Settings"]
    current = navigation.locator("[aria-current=page]")
    assert current.all_inner_texts() == ["Quarantine"]
    for name, title in (
        ("Runs", "Runs"),
        ("Settings", "Settings"),
        ("Slides", "Slides"),
        ("All systems", "All systems"),
    ):
        navigation.get_by_role("link", name=name, exact=True).click()
        page.wait_for_function(SHOWN, arg=[title, [name]])
    page.goto(f"{site.url}/#/runs/labeling/wr_good")
    page.wait_for_selector(".step.succeeded")
    page.wait_for_function(SHOWN, arg=["", ["Runs"]])


def test_with_six_systems_only_the_current_ones_pages_are_open(open_page, site_of):
    every = [name.lower() for name in SIX]
    site = site_of(*runs(), settings={**SETTINGS, "systems": every, "available": every})
    page = open_page(f"{site.url}/#/runs")
    ready(page)
    navigation = page.get_by_role("navigation", name="Sextant")
    assert navigation.get_by_role("link").all_inner_texts() == ["All systems", "Runs", "Quarantine", *SIX, "Settings"]
    tabs = page.get_by_role("navigation", name="System", exact=True)
    assert tabs.get_by_role("link").all_inner_texts() == SIX
    navigation.get_by_role("link", name="Labeling").click()
    page.wait_for_function("() => document.querySelectorAll('.top nav li li a').length === 6")
    assert page.locator(".top nav li li a").all_inner_texts() == LABELING_PAGES


def test_on_a_phone_the_navigation_is_behind_a_button(open_page, site):
    page = opened(open_page, site, width=390, height=800)
    button = page.get_by_role("button", name="Menu")
    navigation = page.get_by_role("navigation", name="Sextant")
    assert not navigation.is_visible()
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    navigation.get_by_role("link", name="Cost", exact=True).wait_for()
    assert button.get_attribute("aria-expanded") == "true"
    for link in navigation.get_by_role("link").all():
        assert link.bounding_box()["height"] >= 38, "large enough for a finger"
    page.keyboard.press("Escape")
    navigation.wait_for(state="hidden")
    page.wait_for_function("() => document.activeElement.innerText.trim() === 'Menu'")
    button.click()
    navigation.get_by_role("link", name="Quarantine").click()
    page.wait_for_selector(".rejected")
    navigation.wait_for(state="hidden")  # it closes behind the reader


def test_everything_works_from_the_keyboard(open_page, site_of):
    site = site_of(good_run("wr_0", NOW - dt.timedelta(hours=1)))
    page = opened(open_page, site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to content"
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'main'")

    def tab_to(name):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("(document.activeElement.ariaLabel ?? document.activeElement.innerText)?.trim()") == name:
                return
        raise AssertionError(f"{name} cannot be reached by Tab")

    page.evaluate("document.activeElement.blur()")
    page.goto(f"{site.url}/#/runs")
    page.wait_for_selector("tbody")
    tab_to("Start a Labeling run")
    page.keyboard.press("Enter")
    page.wait_for_selector(".step.running")
    tab_to("Stop this run")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.evaluate("(each) => each.contains(document.activeElement)")
    tab_to("Stop the run")
    page.keyboard.press("Enter")
    page.wait_for_selector(".progress .badge.stopped")
    tab_to("Quarantine")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.tagName === 'H1'")
    page.wait_for_selector(".rejected")
    while page.evaluate("document.activeElement.tagName") != "SELECT":
        page.keyboard.press("Tab")
    page.keyboard.press("n")  # not JSON
    page.wait_for_function("() => document.querySelectorAll('.rejected').length < 6")


def test_focus_is_always_seen(open_page, site):
    page = opened(open_page, site, "quarantine")
    for _ in range(25):
        page.keyboard.press("Tab")
        outline = page.evaluate(
            """() => {
              const each = document.activeElement, style = getComputedStyle(each);
              return each === document.body || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2);
            }"""
        )
        assert outline, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")


# --- Looks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_every_page_fits_every_window_and_axe_finds_nothing(open_page, site, name):
    site.s3.objects["input/street/output.manifest"] = (b"a\nb\nc\n{line\n", NOW)
    page = opened(open_page, site, PAGES[name], **opening())
    menu, navigation = page.get_by_role("button", name="Menu"), page.get_by_role("navigation", name="Sextant")
    for width, scheme in looks(page):
        fits(page, width)
        if width not in {390, 1280}:
            continue
        if name == "home" and width == 390:
            menu.click()
            navigation.wait_for(state="visible")
        if name == "quarantine" and not page.locator("pre").count():
            page.get_by_role("button", name="Look at street/output.manifest#3").click()
            page.wait_for_selector("pre")
        if name == "run-live":
            page.get_by_role("button", name="Stop this run").click()
            page.get_by_role("dialog").wait_for()
        axe_finds_nothing(page, name, width, scheme)
        if name == "home" and width == 390:
            page.keyboard.press("Escape")
            navigation.wait_for(state="hidden")
        if name == "run-live":
            page.keyboard.press("Escape")
            page.get_by_role("dialog").wait_for(state="detached")


def test_axe_finds_nothing_on_the_way_in(open_page, site_of):
    config = {"apiBase": "", "cognito": {"endpoint": "https://signin.invalid", "clientId": "c"}}
    page = open_page(f"{site_of(config=config).url}/?code=stolen&state=forged", **opening())
    page.get_by_role("alert").get_by_text("This sign-in was not started in this tab.").wait_for()
    for width, scheme in looks(page):
        if width in {390, 1280}:
            axe_finds_nothing(page, width, scheme)


MOST_BYTES = 120 * 1024


def test_the_first_page_is_small(open_page, site):
    """Everything the browser loads before a chart is drawn, as CloudFront would send it (gzip)."""
    page = opened(open_page, site)
    files = dict(site.loaded)
    total, names = sum(files.values()), list(files)
    assert len(site.loaded) <= len(files) + 1, "each file once, the icon also for the tab"
    assert not [name for name in names if "vega" in name]
    assert {"index.html", "app/main.js", "app/home.js"} <= set(names)
    assert total <= MOST_BYTES, files
    interactive = page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive")
    print(f"first load: {total / 1024:.1f} kB gzipped in {len(names)} files; interactive {interactive:.0f} ms")  # noqa: T201  read with -s


def test_pictures(open_page, site):
    """Writes the pages as PNG to $SEXTANT_SCREENSHOTS, for people to look at."""
    folder = os.environ.get("SEXTANT_SCREENSHOTS")
    if not folder:
        pytest.skip("set SEXTANT_SCREENSHOTS to a folder to have the pages photographed")
    for name, path in PAGES.items():
        for width, scheme in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"), (2560, "light")]:
            page = opened(open_page, site, path, width=width, scheme=scheme)
            page.screenshot(path=f"{folder}/shell-{name}-{width}-{scheme}.png", full_page=True)
            page.context.close()


def test_no_answer_of_the_server_can_run_code(open_page, site):
    """The policy stands: neither inline code nor eval runs, whatever comes into the page."""
    page = opened(open_page, site)
    page.expected_errors = ["Content Security Policy", "violates"]
    page.evaluate(
        """() => {
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.body.append(script);
        }"""
    )
    assert page.evaluate("window.ran") is None
    assert page.evaluate("import('./app/html.js').then(() => true)"), "a file of our own may run"
