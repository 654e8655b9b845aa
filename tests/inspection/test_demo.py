"""The demo's own judgement: it passes where the system is right, and fails where it is wrong."""

import datetime as dt
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from samples.inspection import demo, plant
from samples.inspection.demo import _Belt
from samples.inspection.sample import Flaw, Item, Truth
from sextant.inspection import manifest
from sextant.inspection.api.training import settings_key
from sextant.inspection.loop.journal import Record
from sextant.inspection.settings import DetectorSettings
from sextant.pipeline import PipelineError

BEGAN = dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC)


def truth(goods=80, plain=8, faint=2):
    labels = [("normal", ())] * goods
    labels += [("anomaly", (Flaw("crack", 0.9, (0, 0, 9, 9), 0.01),))] * plain
    labels += [("anomaly", (Flaw("crack", 0.1, (0, 0, 9, 9), 0.01),))] * faint
    items = [
        Item(f"incoming/bracket/line-1/camera-1/{at:04d}.jpg", "bracket", "incoming", label, flaws, order=at)
        for at, (label, flaws) in enumerate(labels, start=1)
    ]
    return Truth(7, tuple(items), {}, "camera-1", 33)


def belt(of, **wrong):
    """Verdicts that are right but for those named by file."""
    records = {}
    for item in of.items:
        verdict = wrong.get(item.file.rpartition("/")[2][:4], "reject" if item.label == "anomaly" else "accept")
        records[item.file] = Record(
            item="0",
            project="bracket",
            model_version="1",
            at=BEGAN.isoformat(),
            arrived=BEGAN.isoformat(),
            is_anomalous=verdict == "reject",
            confidence=0.9,
            verdict=verdict,
            brightness=100,
            sharpness=1,
            crop_ok=True,
            source=f"s3://b/{item.file}",
            seconds=0.1,
        )
    return _Belt("bracket", "1", BEGAN, records)


def failing(of, records):
    return [check.name for check in demo._judged(records, of) if not check.ok]


def test_right_verdicts_pass():
    of = truth()
    assert failing(of, belt(of)) == []
    measured = {check.name: check.measured for check in demo._judged(belt(of), of)}
    assert measured["items on the belt that have a verdict"] == 90
    assert measured["defective items that do not pass, of 10"] == 10
    assert measured["items that wait for a person on the page Review"] == 0


def test_an_item_without_a_verdict_fails():
    of = truth()
    full = belt(of)
    records = dict(list(full.records.items())[1:])
    assert failing(of, replace(full, records=records)) == ["items on the belt that have a verdict"]


@pytest.mark.parametrize(("rejected", "fails"), [(4, False), (7, False), (8, True), (20, True)])
def test_false_rejects_fail_where_chance_does_not_explain_them(rejected, fails):
    """Of 80 at a budget of 5 %: Wilson's interval of 8 begins at 5.1 %, of 7 at 4.3 %."""
    of = truth()
    wrong = {f"{at:04d}": "reject" for at in range(1, rejected + 1)}
    name = "how far above 5% their share is, beyond chance"
    assert (name in failing(of, belt(of, **wrong))) == fails


def test_false_rejects_under_the_failing_lamp_are_not_the_budgets():
    of = truth()
    dark = Truth(7, tuple(replace(each, lamp=0.7) if each.order <= 20 else each for each in of.items), {}, "", 1)
    assert failing(dark, belt(dark, **{f"{at:04d}": "reject" for at in range(1, 21)})) == []


def test_plain_defects_that_pass_fail_and_faint_ones_do_not():
    of = truth()
    assert failing(of, belt(of, **{"0089": "accept", "0090": "accept"})) == []
    missed = {f"{at:04d}": "accept" for at in range(81, 87)}
    assert failing(of, belt(of, **missed)) == ["how far below 80% that of the 8 plain ones is, beyond chance"]


def test_a_defect_in_review_is_held_back():
    of = truth()
    reviewed = {f"{at:04d}": "review" for at in range(81, 89)}
    assert failing(of, belt(of, **reviewed)) == []
    measured = {check.name: check.measured for check in demo._judged(belt(of, **reviewed), of)}
    assert measured["items that wait for a person on the page Review"] == 8


def test_the_rules_of_a_project_are_what_its_training_takes():
    """Without a confidence below which people are asked, the demo would leave the page Review empty."""
    put = {}
    made = plant.Plant(None, {"DataBucket": "b"})
    made.__dict__["s3"] = SimpleNamespace(put_object=lambda **given: put.update(given))
    plant.set_rules(made, "bracket", {"min_confidence": 0.7})
    assert (put["Bucket"], put["Key"]) == ("b", settings_key("bracket"))
    assert DetectorSettings.model_validate_json(put["Body"]).rules.min_confidence == 0.7


@pytest.mark.parametrize("changed", [0, 1, 3])
def test_each_verdict_that_changes_is_counted(monkeypatch, changed):
    of = truth()
    before = belt(of)
    now = {file: each.model_copy(update={"seconds": 9.0}) for file, each in list(before.records.items())[:changed]}
    monkeypatch.setattr(demo, "_records", lambda *_: {**before.records, **now})
    (check,) = demo._unchanged(None, before)
    assert (check.measured, check.ok) == (changed, changed == 0)


@pytest.mark.parametrize("area", [0.98, None])
def test_the_auroc_is_where_the_service_wrote_it(area):
    result = {"Version": 1, "AggregatedEvaluationResults": {"Metrics": {"ROCAUC": area, "F1Score": 0.9}}}
    made = plant.Plant(None, {})
    body = io.BytesIO(json.dumps(result).encode())
    made.__dict__["s3"] = SimpleNamespace(get_object=lambda **_: {"Body": body})
    assert demo._area(made, {"EvaluationResult": {"Bucket": "b", "Key": "k"}}) == area


def test_folders_and_manifests_that_hold_labelled_photographs(tmp_path):
    def made(name, *paths):
        for path in paths:
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text("")
        return plant._sources(tmp_path / name)

    assert made("a", "normal/1.jpg", "anomaly/1.jpg") == {"train": tmp_path / "a"}
    assert set(made("b", "train/normal/1.jpg", "test/normal/1.jpg")) == {"train", "test"}
    assert made("c", "train/normal/1.jpg", "train.manifest") == {"train": tmp_path / "c/train.manifest"}
    assert made("d", "images/1.jpg", "template.manifest") == {"train": tmp_path / "d/template.manifest"}
    with pytest.raises(PipelineError, match="put them into its folders normal and anomaly"):
        made("e", "1.jpg")


def test_a_folder_gives_its_project_a_name_that_is_allowed(tmp_path):
    assert plant.project_of(tmp_path / "Öl filter, new!") == "l-filter-new"
    assert plant.project_of(tmp_path / "---") == "project"


def test_waiting_ends_when_all_is_there_or_nothing_more_comes(monkeypatch):
    told = []
    counts = iter([0, 1, 3])
    assert plant.wait_for("judge", lambda: next(counts), 3, lambda *given: told.append(given)) == 3
    assert told[-1] == ("judge", 3, 3)
    monkeypatch.setattr(plant, "_QUIET", 0.0)
    assert plant.wait_for("judge", lambda: 2, 3, lambda *_: None) == 2


def test_too_few_normal_photographs_are_told_before_anything_is_made(tmp_path):
    """The service refuses the training only once there are a project and its datasets."""
    for number in range(9):
        for name in (f"normal/{number}.jpg", f"anomaly/{number}.jpg", f"new/{number}.jpg"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"")
    nothing = plant.Plant(None, {})  # has no client to make anything with
    with pytest.raises(PipelineError, match="has 9 photographs labelled normal to train on; a training needs 10"):
        plant.start_training(nothing, "bracket", tmp_path, lambda *_: None)
    for path in (tmp_path / "new").iterdir():  # one photograph is counted once, however often a manifest has it
        path.unlink()
    at = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    line = manifest.line_of("normal/0.jpg", "normal", at)
    (tmp_path / "train.manifest").write_text(f"{line}\n" * 10)
    with pytest.raises(PipelineError, match="has 1 photographs labelled normal"):
        plant.start_training(nothing, "bracket", tmp_path, lambda *_: None)


def test_a_dataset_that_failed_is_replaced_by_a_mended_one(monkeypatch, tmp_path):
    """The command says to mend the manifest and to run it again: what failed before must not stop it."""
    states = iter(["CREATE_FAILED", "DELETE_IN_PROGRESS", "", "CREATE_COMPLETE"])
    done = []

    class Missing(Exception):  # noqa: N818 - stands for boto3's
        pass

    def describe(**_):
        if not (state := next(states)):
            raise Missing
        return {"DatasetDescription": {"Status": state, "StatusMessage": "line 1: no JSON"}}

    api = SimpleNamespace(
        describe_dataset=describe,
        delete_dataset=lambda **_: done.append("deleted"),
        exceptions=SimpleNamespace(ResourceNotFoundException=Missing),
    )
    made = plant.Plant(None, {"DataBucket": "b"})
    made.__dict__.update(api=api, s3=None)
    monkeypatch.setattr(plant, "_POLL_SECONDS", 0)
    monkeypatch.setattr(plant.client, "import_manifest", lambda *_, **__: done.append("made"))
    (tmp_path / "1.jpg").write_bytes(b"")
    plant._make_dataset(made, "bracket", "train", tmp_path, tmp_path)
    assert done == ["deleted", "made"]
    assert plant._is_made(made, "bracket", "train")


@pytest.mark.parametrize(("below", "place"), [("", "datasets/bracket"), ("train", "datasets/bracket/train")])
def test_a_dataset_has_the_photographs_that_the_folder_holds_now(below, place, tmp_path):
    """The bucket has those of earlier runs, too: a photograph whose label was mended is there under both."""
    put = {}

    class Missing(Exception):  # noqa: N818 - stands for boto3's
        pass

    def describe(**_):
        raise Missing

    exceptions = SimpleNamespace(ResourceNotFoundException=Missing)
    api = SimpleNamespace(
        describe_dataset=describe, create_dataset=lambda **given: put.update(given), exceptions=exceptions
    )
    for name in ("normal/1.jpg", "anomaly/2.png", "notes.txt"):
        (tmp_path / below / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / below / name).write_bytes(b"")
    made = plant.Plant(None, {"DataBucket": "b"})
    made.__dict__.update(api=api, s3=SimpleNamespace(put_object=lambda **given: put.update(given)))
    plant._make_dataset(made, "bracket", "train", tmp_path, tmp_path / below if below else tmp_path)
    found = {each.source: each.label for each in manifest.entries(put["Body"].splitlines())}
    assert found == {f"s3://b/{place}/normal/1.jpg": "normal", f"s3://b/{place}/anomaly/2.png": "anomaly"}
    assert put["DatasetSource"]["GroundTruthManifest"]["S3Object"] == {"Bucket": "b", "Key": put["Key"]}


def test_what_a_run_tells_is_of_that_run(monkeypatch, tmp_path):
    """Not of the deployment, whose projects and belts others have filled."""
    (tmp_path / "lego" / "new").mkdir(parents=True)
    details = {"EvaluationDetails": {"NumberOfTrainingImages": 30}}
    api = SimpleNamespace(stop_model=lambda **_: None)
    s3 = SimpleNamespace(get_object=lambda **_: {"Body": io.BytesIO(json.dumps(details).encode())})
    monkeypatch.setattr(demo, "Plant", lambda *_: SimpleNamespace(s3=s3, api=api, bucket="b"))
    place = {"Bucket": "b", "Key": "k"}
    monkeypatch.setattr(plant, "start_training", lambda *_: "3")
    monkeypatch.setattr(plant, "wait_trained", lambda *_: {"EvaluationResult": place, "EvaluationManifest": place})
    monkeypatch.setattr(plant, "host", lambda *_: None)
    monkeypatch.setattr(demo, "_new", lambda *_: [])
    verdicts = [SimpleNamespace(verdict=each) for each in ("accept", "reject", "review", "accept")]
    trials = {("lego", "run-3"): dict(enumerate(verdicts))}
    monkeypatch.setattr(plant, "trial", lambda _, *asked: trials[asked])
    held = {"new-data/lego/run-3/a.jpg": 1, "new-data/lego/run-2/a.jpg": 1, "incoming/lego/a/b/c.jpg": 1}
    monkeypatch.setattr(plant, "quarantined", lambda _: held)

    _, told = demo.run_on(None, {demo.STACK: {}}, [tmp_path / "lego"], tmp_path / "out", lambda *_: None)

    assert told == {
        "photographs trained on": 30,
        "judged": 4,
        "of them rejected": 1,
        "for a person to look at": 1,
        "without a verdict": 1,
    }
