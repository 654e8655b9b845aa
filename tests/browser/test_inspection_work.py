"""People work with the inspection pages in Chromium: label, verify, train, promote, by keyboard; functions are real."""

import pytest

from sextant.inspection.api import datasets, models
from sextant.inspection.loop.champion import champion
from sextant.inspection.loop.journal import Journal
from tests.browser.inspection_site import opened, pressed, serve
from tests.handlers import inspection_world as there
from tests.handlers.inspection_world import BUCKET, PROJECT

pytestmark = pytest.mark.browser


@pytest.fixture
def world():
    with there.account():
        yield there.make()


@pytest.fixture
def site(world, chromium):
    running = serve(world)
    yield running
    for context in chromium.contexts:  # what a page still asks for must find this world
        context.close()
    running.close()


def test_a_training_is_followed_live(open_page, world, site):
    page = opened(open_page, site, "models")
    third = page.locator("ol.versions > li").first
    assert "Training" in third.inner_text()
    job = next(each for each in world.sagemaker.jobs.values() if each["TrainingJobStatus"] == "InProgress")
    job["SecondaryStatusTransitions"] = [{"Status": "Uploading", "StatusMessage": "Uploading the model"}]
    third.get_by_text("Uploading the model").wait_for()
    job |= {"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: no photograph could be read"}
    third.get_by_text("AlgorithmError: no photograph could be read").wait_for()


def test_the_live_line_shows_what_comes(open_page, world, site):
    page = opened(open_page, site, "live")
    assert page.locator(".figure").all_inner_texts() == ["40", "6", "0", "4"]
    assert page.locator(".kpi h2").last.inner_text() == "Items per minute"
    Journal(world.services.table).record(there.record(41, verdict="review", is_anomalous=True), there.NOW)
    page.wait_for_function("() => document.querySelector('.figure').innerText === '41'")
    assert "Review" in page.locator(".belt > li").first.inner_text()
    page.get_by_role("combobox", name="Line").select_option("b")
    page.wait_for_function("() => document.querySelector('.figure')?.innerText === '20'")


def test_labels_are_edited_by_keyboard_alone(open_page, site):
    page = opened(open_page, site, "dataset", "&show=anomaly")
    page.locator(".shot").first.focus()
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("u")
    assert page.locator(".shot:focus").count() == 1
    page.get_by_text("1 label not saved yet").wait_for()
    page.get_by_role("button", name="Save 1 label").focus()
    page.keyboard.press("Enter")
    page.get_by_text("20 photographs: 15 normal, 5 anomalies, 0 unlabelled.").wait_for()
    assert page.locator(".shot").count() == 5


def test_predictions_are_verified_by_keyboard_added_and_trained_on(open_page, world, site):
    page = opened(open_page, site, "trial")
    cards = page.locator(".shot")
    cards.first.focus()  # 0: scratched, taken for normal
    pressed(page, "icc")
    page.get_by_text("3 verified photographs not in the training dataset yet.").wait_for()
    assert page.get_by_text("6 of 9 photographs to verify.").count() == 1
    first = cards.filter(has_text="0.jpg")
    assert first.get_by_role("button", name="Incorrect").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Add verified to dataset").click()
    page.get_by_text("3 photographs were added to the training dataset.").wait_for()
    page.get_by_text("0 verified photographs not in the training dataset yet.").wait_for()
    page.get_by_role("button", name="Train a new version").click()
    page.get_by_text("Version 4 is being trained.").wait_for()
    found = world.services.table.get(("PROJECT#bracket", "DATASET#train"))
    assert (int(found["total"]), int(found["anomaly"])) == (23, 7)


def test_the_review_queue_empties_while_what_was_said_stays_in_sight(open_page, site):
    page = opened(open_page, site, "review")
    assert page.locator(".shot").count() == 5
    page.locator(".shot").first.focus()
    pressed(page, "ccccc")
    page.get_by_text("5 verified photographs not in the training dataset yet.").wait_for()
    assert page.locator(".shot").count() == 5
    page.reload()
    page.get_by_text("Nothing waits for a person.").wait_for()


@pytest.mark.parametrize(("show", "shown"), [("reject", 6), ("accept", 34)])
def test_a_verdict_of_which_the_model_was_sure_is_corrected_and_learned_from(open_page, world, site, show, shown):
    page = opened(open_page, site, "live")
    page.get_by_role("link", name=f"{show}ed items").click()
    page.get_by_text(f"A person has looked at 0 of {shown} photographs.").wait_for()
    named = page.locator(".shot").first.get_attribute("aria-label")
    page.locator(".shot").first.focus()
    page.evaluate(AT_ONCE, [False])
    assert verified(site) == 0, "nobody can have looked at it yet"
    pressed(page, "i")
    page.get_by_text(f"A person has looked at 1 of {shown} photographs.").wait_for()
    assert page.locator(".shot").first.get_attribute("aria-label") == f"{named}, Incorrect"
    page.get_by_role("button", name="Add verified to dataset").click()
    page.get_by_text("1 photograph was added to the training dataset.").wait_for()
    found = world.services.table.get(("PROJECT#bracket", "DATASET#train"))
    assert (int(found["normal"]), int(found["anomaly"])) == ((15, 6) if show == "reject" else (14, 7))
    page.get_by_role("combobox", name="Show").select_option("")
    page.get_by_text("5 of 5 photographs to verify.").wait_for()


def adding(open_page, world, site):
    """The trial's page while a verified photograph is being added to the dataset; what is called goes on with it."""
    page = opened(open_page, site, "trial")
    page.locator(".shot").first.focus()
    pressed(page, "c")
    page.get_by_text("1 verified photograph not in the training dataset yet.").wait_for()
    work, world.work = world.work, lambda: None
    page.get_by_role("button", name="Add verified to dataset").click()
    page.get_by_text("1 photograph is being added to the training dataset.").wait_for()
    return page, work


def test_an_addition_is_followed_to_its_end_and_a_mistake_is_mended_in_the_dataset(open_page, world, site):
    page, work = adding(open_page, world, site)
    work()
    page.get_by_text("1 photograph was added to the training dataset.").wait_for()
    page.get_by_role("link", name="Change the label of").click()
    page.get_by_role("heading", name="Dataset").wait_for()
    page.locator(".shot").first.wait_for()
    assert page.locator(".shot").count() == 1


def test_an_addition_that_the_dataset_refuses_is_told(open_page, world, site):
    page, work = adding(open_page, world, site)
    changes = world.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"projects/{PROJECT}/datasets/train/changes/")["Contents"]
    for each in changes:
        world.s3.put_object(Bucket=BUCKET, Key=each["Key"], Body=b"{}\n")
    work()
    page.get_by_text("The training dataset has refused them, nothing was added: The manifest").wait_for()
    page.get_by_text("1 verified photograph not in the training dataset yet.").wait_for()


def test_labels_that_are_not_saved_outlive_the_page(open_page, site):
    page = opened(open_page, site, "dataset", "&show=anomaly")
    page.locator(".shot").first.focus()
    page.keyboard.press("n")
    page.get_by_text("1 label not saved yet").wait_for()
    page.get_by_role("combobox", name="Dataset").select_option("test")
    page.get_by_text("20 photographs: 10 normal").wait_for()
    assert page.get_by_text("not saved yet").count() == 0
    page.get_by_role("link", name="Models", exact=True).click()
    page.locator("ol.versions").wait_for()
    page.go_back()
    page.get_by_role("combobox", name="Dataset").select_option("train")
    page.get_by_text("1 label not saved yet").wait_for()
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    assert asked == ["beforeunload"]
    page.get_by_text("20 photographs: 14 normal").wait_for()
    page.locator(".shot").first.focus()
    page.keyboard.press("n")
    page.get_by_role("button", name="Discard").click()
    page.reload()
    assert asked == ["beforeunload"], "nothing would be lost"


def test_a_trial_of_a_folder_tells_that_it_runs(open_page, world, site):
    page = opened(open_page, site, "trial")
    page.get_by_text("Run a trial detection", exact=True).first.click()
    page.get_by_label("Trial name").fill("late shift")
    page.get_by_label("S3 folder of photographs").fill(f"s3://{BUCKET}/photographs/test/normal")
    page.get_by_role("button", name="Run a trial detection").click()
    page.get_by_text("The trial runs: 0 of 10 photographs looked at.").wait_for()
    for number in range(10):
        source = f"s3://{BUCKET}/new-data/{PROJECT}/late shift/n{number}.jpg"
        there_now = there.record(number, item=f"{2000 + number:024x}", trial="late shift", source=source)
        Journal(world.services.table).record(there_now, there.NOW)
    page.get_by_text("10 of 10 photographs to verify.").wait_for()
    assert page.get_by_text("The trial runs").count() == 0
    assert page.locator(".shot").count() == 10


AT_ONCE = """(strokes) => strokes.forEach((repeat) => document.activeElement.dispatchEvent(
  new KeyboardEvent('keydown', { key: 'c', bubbles: true, repeat })))"""


def verified(site):
    return sum(each.startswith("POST") and each.endswith("/verify") for each in site.asked)


def test_what_nobody_looked_at_is_not_verified(open_page, site):
    """Of two strokes at once the second was meant for the photograph before; of a key that is held, all."""
    page = opened(open_page, site, "trial")
    page.locator(".shot").first.focus()
    page.evaluate(AT_ONCE, [False])
    page.wait_for_timeout(400)
    page.evaluate(AT_ONCE, [True, True])
    page.wait_for_function("() => document.activeElement.querySelector('.picture')?.dataset.state === 'there'")
    assert verified(site) == 0, "neither before it was in sight for a moment, nor by a key that is held down"
    page.evaluate(AT_ONCE, [False, False, True])
    page.get_by_text("8 of 9 photographs to verify.").wait_for()
    assert page.locator(".shot").nth(1).evaluate("each => each === document.activeElement")
    pressed(page, "c")
    page.get_by_text("7 of 9 photographs to verify.").wait_for()
    assert verified(site) == 2


def test_a_photograph_that_is_not_shown_is_not_verified_by_a_key(open_page, site):
    site.broken = {f"/api/inspection/projects/{PROJECT}/picture": 404}
    page = opened(open_page, site, "trial")
    page.expected_errors = ["404"]
    page.locator(".picture[data-state=failed]").first.wait_for()
    page.locator(".shot").first.focus()
    page.wait_for_timeout(400)
    page.keyboard.press("c")
    assert page.locator(".shot").first.evaluate("each => each === document.activeElement")
    assert verified(site) == 0


def test_what_is_verified_is_counted_alike_wherever_it_is_told(open_page, site):
    """The list and the trials were asked for again at other times, and told other counts for half a minute."""
    page = opened(open_page, site, "trial")
    page.expected_errors = ["503"]
    page.locator(".shot").first.focus()
    site.broken = {f"/api/inspection/projects/{PROJECT}/trials": 503}  # no newer list
    pressed(page, "ci")
    page.get_by_text("7 of 9 photographs to verify.").wait_for()
    page.get_by_text("2 verified photographs not in the training dataset yet.").wait_for()
    page.wait_for_function(
        "() => document.querySelector('option:checked[value=new-data]').innerText.includes('2 of 9')"
    )
    site.broken = {}
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    page.wait_for_function("() => !document.querySelector('[role=alert]')")
    assert page.get_by_text("2 verified photographs not in the training dataset yet.").count() == 1


def test_a_trials_card_says_what_each_of_its_words_is(open_page, site):
    page = opened(open_page, site, "trial")
    words = page.locator(".shot").filter(has_text="3.jpg").locator(".quiet").all_inner_texts()
    assert words == ["Kind of anomaly: scratch", "Verdict: Reject", "File: 3.jpg"]
    words = page.locator(".shot").filter(has_text="0.jpg").locator(".quiet").all_inner_texts()
    assert words == ["Weak signs of: scratch", "Verdict: Accept", "File: 0.jpg"]


def test_a_kind_that_is_called_anomaly_is_not_told_twice(open_page, world, site):
    Journal(world.services.table).record(
        there.record(41, verdict="reject", is_anomalous=True, labels=("anomaly",)), there.NOW
    )
    card = opened(open_page, site, "live").locator(".belt > li").first
    assert "Anomaly, 97.0%" in card.locator(".quiet").all_inner_texts()


def test_one_item_is_told_as_one_and_areas_with_the_digits_of_their_sentence(open_page, site, monkeypatch):
    monkeypatch.setattr(there, "PLACES", [("", "", 1, 0, 0, 0)])
    assert opened(open_page, site, "dashboard").get_by_text("n = 1 item", exact=True).count() == 1
    assert opened(open_page, site, "models").locator(".duel td").all_inner_texts()[-2:] == ["0.950", "0.960"]


def test_a_table_that_goes_on_beside_the_window_is_shaded_there(open_page, site):
    region = opened(open_page, site, "cost", width=390).get_by_role("region", name="Cost at 1 item per second, table")
    assert region.evaluate(
        "each => each.scrollWidth > each.clientWidth && getComputedStyle(each).backgroundAttachment"
    ) == ("local, local, scroll, scroll")


def test_a_refused_change_leaves_a_dataset_that_is_whole(open_page, world, site):
    request = {"ProjectName": PROJECT, "DatasetType": "train"}
    datasets.update_dataset_entries(world.services, {**request, "Changes": b"{}\n"})
    world.work()
    page = opened(open_page, site, "dataset")
    told = "The last change was refused, nothing of it was used: The manifest cannot be used: line 1"
    assert page.locator(".notice").inner_text().startswith(told)
    assert page.get_by_text("20 photographs: 14 normal, 6 anomalies, 0 unlabelled.").count() == 1


def test_a_dataset_tells_photographs_that_are_not_there(open_page, world, site):
    line = there.manifest.line_of(f"s3://{BUCKET}/photographs/lost.jpg", "normal", there.NOW)
    request = {"ProjectName": PROJECT, "DatasetType": "train"}
    datasets.update_dataset_entries(world.services, {**request, "Changes": line.encode()})
    world.work()
    page = opened(open_page, site, "dataset")
    page.expected_errors = ["404"]
    assert "1 of its 1 photographs are not there" in page.locator(".notice").inner_text()


def test_masks_can_be_taken_away(open_page, site):
    page = opened(open_page, site, "trial")
    page.locator(".picture img.mask").first.wait_for()
    page.locator(".shot").first.focus()
    page.keyboard.press("m")
    page.wait_for_function("() => !document.querySelector('.picture img.mask')")


def test_a_version_is_promoted_and_rolled_back(open_page, world, site):
    page = opened(open_page, site, "models")
    page.get_by_role("button", name="Promote").click()
    page.get_by_role("button", name="Promote it").click()
    page.get_by_text("Version 2 is the champion.").wait_for()
    assert champion(world.services, PROJECT).version == 2
    page.get_by_role("button", name="Roll back to version 1").click()
    page.get_by_role("button", name="Roll back", exact=True).click()
    page.get_by_text("Version 1 is the champion again.").wait_for()


def test_after_an_action_by_keyboard_the_focus_is_on_what_it_did(open_page, site):
    page = opened(open_page, site, "models")
    for question, yes in (("Promote", "Promote it"), ("Roll back to version 1", "Roll back")):
        page.get_by_role("button", name=question, exact=True).focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name=yes, exact=True).focus()
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.activeElement.matches('.outcome')")


def test_test_photographs_are_frozen_only_after_a_question(open_page, site):
    page = opened(open_page, site, "models")
    page.get_by_role("button", name="Freeze its test photographs").first.click()
    page.get_by_role("heading", name="Freeze the test photographs of version 2?").wait_for()
    page.get_by_role("button", name="Cancel").click()
    assert not any(each.endswith("/freeze") for each in site.asked)
    page.get_by_role("button", name="Freeze its test photographs").first.click()
    page.get_by_role("button", name="Freeze them").click()
    page.get_by_text("20 photographs are frozen for comparisons.").wait_for()


def test_one_version_answers_though_others_are_hosted(open_page, world, site):
    models.start_model(world.services, {"ProjectName": PROJECT, "ModelVersion": "2", "MinInferenceUnits": 1})
    card = opened(open_page, site, "projects").locator("section.card").filter(has_text="bracket")
    assert card.locator(".badge").inner_text() == "Version 1 answers"
    assert card.get_by_text("version 2 hosted besides").count() == 1


def test_an_address_of_nothing_is_no_failure_of_the_api(open_page, site):
    page = opened(open_page, site, "live")
    page.expected_errors = ["404"]
    for version, told in (("1/2", "There is nothing at this address."), ("99", "99")):
        page.goto(f"{site.url}/#/inspection/model/{version.replace('/', '%2F')}?project={PROJECT}")
        alert = page.get_by_role("alert").filter(has_text=told)
        alert.wait_for()
        assert "failed" not in alert.inner_text()


def test_a_project_is_made_and_filled(open_page, site):
    page = opened(open_page, site, "projects")
    page.get_by_label("New project").fill("plates")
    page.get_by_role("button", name="Create").click()
    card = page.locator("section.card").filter(has_text="plates")
    page.expected_errors = ["404"]
    card.get_by_role("link", name="None yet: import photographs").click()
    page.get_by_text("Import photographs", exact=True).click()
    page.get_by_label("S3 URI").fill(f"s3://{BUCKET}/photographs/train")
    page.get_by_role("button", name="Import into Training").click()
    page.get_by_text("20 photographs: 14 normal, 6 anomalies, 0 unlabelled.").wait_for()


def test_an_analyst_looks_and_changes_nothing(open_page, site):
    site.role = "analyst"
    page = opened(open_page, site, "dataset")
    page.get_by_text("Only administrators may do this.").wait_for()
    page.locator(".shot").first.focus()
    page.keyboard.press("a")
    assert page.get_by_text("not saved yet").count() == 0
    assert page.get_by_role("button", name="Anomaly").first.is_disabled()
    for path, label in (
        ("models", "Train a new version"),
        ("trial", "Add verified to dataset"),
        ("projects", "Create"),
    ):
        page = opened(open_page, site, path)
        assert page.get_by_role("button", name=label).count() == 0, path
    assert not any(each.startswith("POST") for each in site.asked)


def test_an_answer_that_could_not_be_kept_is_told_and_said_again(open_page, site):
    page = opened(open_page, site, "review")
    page.expected_errors = ["503"]
    site.broken = {f"/api/inspection/projects/{PROJECT}/verify": 503}
    page.locator(".shot").first.focus()
    pressed(page, "c")
    alert = page.get_by_role("alert")
    alert.get_by_text("1 answer could not be kept.").wait_for()
    site.broken = {}
    alert.get_by_role("button", name="Try again").click()
    page.get_by_text("1 verified photograph not in the training dataset yet.").wait_for()


def test_without_a_project_pages_say_how_to_begin(open_page, world, site):
    world.services.table.remove_all([("PROJECTS", "empty"), ("PROJECTS", PROJECT)])
    page = open_page(f"{site.url}/#/inspection/models")
    page.get_by_role("link", name="Make one").click()
    page.get_by_text("Make one here, or with the API of Lookout for Vision").wait_for()
