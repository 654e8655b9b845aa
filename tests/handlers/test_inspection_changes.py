"""What administrators change by the inspection pages' function, and what the pages then show."""

import base64
import json

import pytest

from sextant.inspection import manifest, pages_changing, pages_doctor
from sextant.inspection.api import limits
from sextant.inspection.api.services import entry_key
from sextant.inspection.loop.champion import champion
from tests.handlers import inspection_world as there
from tests.handlers.inspection_world import BUCKET, NOW, PROJECT
from tests.handlers.serving import event

ADMIN = "[admin]"


@pytest.fixture
def world():
    with there.account():
        yield there.make()


@pytest.fixture
def ask(world):
    handler = there.load(world)

    def asked(path, body=None, groups="[analyst]"):
        method = "GET" if body is None else "POST"
        text = None if body is None else json.dumps(body)
        answer = handler(event(method, f"/api/inspection/projects{path}", text, groups=groups))
        told = answer["body"]
        return int(answer["statusCode"]), base64.b64decode(told) if answer["isBase64Encoded"] else json.loads(told)

    return asked


def told(ask, path):
    status, answer = ask(path)
    assert status == 200, answer
    return answer


def done(ask, path, body):
    status, answer = ask(path, body, ADMIN)
    assert status == 200, answer
    return answer


# --- Changing ---------------------------------------------------------------------------------------------------------

CHANGES = {
    "": {"project": "new"},
    f"/{PROJECT}/import": {"kind": "train", "source": "s3://data/photographs/train"},
    f"/{PROJECT}/labels": {"kind": "train", "labels": [{"source": "s3://data/a.jpg", "label": "normal"}]},
    f"/{PROJECT}/doctor": {},
    f"/{PROJECT}/train": {},
    f"/{PROJECT}/host": {"version": 1, "running": False},
    f"/{PROJECT}/promote": {"version": 2},
    f"/{PROJECT}/rollback": {},
    f"/{PROJECT}/freeze": {"version": 1},
    f"/{PROJECT}/trials": {"trial": "t", "source": "s3://data/x"},
    f"/{PROJECT}/verify": {"where": "trial", "keys": ["new-data#x"], "correct": True},
    f"/{PROJECT}/add": {},
}


@pytest.mark.parametrize("path", CHANGES)
def test_only_administrators_change(ask, path):
    status, answer = ask(path, CHANGES[path])
    assert (status, answer["error"]["code"]) == (403, "Forbidden")


def test_a_project_is_made_from_a_folder_and_trained(ask, world):
    done(ask, "", {"project": "fresh"})
    assert ask("", {"project": "fresh"}, ADMIN)[1]["error"]["code"] == "ConflictException"
    answer = done(ask, "/fresh/import", {"kind": "train", "source": f"s3://{BUCKET}/photographs/train"})
    assert answer["count"] == 20  # the folder beside it holds masks
    world.work()
    assert told(ask, "/fresh")["datasets"][0] | {"message": ""} == {
        "kind": "train", "status": "CREATE_COMPLETE", "message": "", "absent": False, "total": 20, "labeled": 20,
        "normal": 14, "anomaly": 6,
    }  # fmt: skip
    assert ask("/fresh/import", {"kind": "test", "source": f"s3://{BUCKET}/void"}, ADMIN)[1]["error"]["code"] == (
        "NothingThere"
    )
    done(ask, "/fresh/train", {})
    assert told(ask, "/fresh/models")["versions"][0]["status"] == "TRAINING"


def test_a_dataset_tells_photographs_that_are_not_there(ask, world):
    line = manifest.line_of(f"s3://{BUCKET}/photographs/lost.jpg", "normal", NOW)
    world.s3.put_object(Bucket=BUCKET, Key="m.manifest", Body=line.encode())
    done(ask, f"/{PROJECT}/import", {"kind": "train", "source": f"s3://{BUCKET}/m.manifest"})
    world.work()
    train, test = told(ask, f"/{PROJECT}")["datasets"]
    assert (train["absent"], test["absent"]) == (True, False)
    assert "1 of its 1 photographs are not there" in train["message"]


def test_labels_change_and_a_normal_photograph_loses_its_mask(ask, world):
    source = f"s3://{BUCKET}/photographs/train/anomaly/a0.jpg"
    other = f"s3://{BUCKET}/photographs/train/normal/n0.jpg"
    labels = [{"source": source, "label": "normal"}, {"source": other, "label": "anomaly"}]
    done(ask, f"/{PROJECT}/labels", {"kind": "train", "labels": labels})
    world.work()
    found = {each["source"]: each for each in told(ask, f"/{PROJECT}/photographs?limit=100")["photographs"]}
    assert (found[source]["label"], found[source]["masked"]) == ("normal", False)
    assert found[other]["label"] == "anomaly"
    assert len(found) == 20
    gone = {"kind": "train", "labels": [{"source": "s3://data/gone.jpg", "label": "normal"}]}
    assert ask(f"/{PROJECT}/labels", gone, ADMIN)[1]["error"]["code"] == "NotThere"


def test_a_line_that_stays_an_anomaly_keeps_its_mask(world):
    key = entry_key(PROJECT, "train", f"s3://{BUCKET}/photographs/train/anomaly/a0.jpg")
    line = world.services.table.get(key)["line"]
    found = manifest.read(pages_changing.relabelled(line, "anomaly", NOW))
    assert (found.label, found.mask, dict(found.colors)) == (
        "anomaly", f"s3://{BUCKET}/photographs/masks/0.png", {"scratch": "#D02020"},
    )  # fmt: skip


def test_verified_photographs_wait_until_they_are_added(ask, world):
    verdicts = told(ask, f"/{PROJECT}/trials/new-data")["verdicts"]
    by = {int(each["item"], 16) - 1000: each for each in verdicts}
    done(ask, f"/{PROJECT}/verify", {"where": "trial", "keys": [by[0]["key"], by[4]["key"]], "correct": False})
    done(ask, f"/{PROJECT}/verify", {"where": "trial", "keys": [by[3]["key"]], "correct": True})
    first = told(ask, f"/{PROJECT}/review")["verdicts"][0]
    done(ask, f"/{PROJECT}/verify", {"where": "line", "keys": [first["key"]], "correct": True})
    assert told(ask, f"/{PROJECT}/review")["verified"] == 4
    assert len(told(ask, f"/{PROJECT}/review")["verdicts"]) == 4
    assert done(ask, f"/{PROJECT}/add", {})["count"] == 4
    world.work()
    found = {each["source"]: each["label"] for each in told(ask, f"/{PROJECT}/photographs?limit=100")["photographs"]}
    assert len(found) == 24
    # 0 is scratched and was taken for normal, 4 is normal and was not, 3 was right about its scratch.
    assert [found[f"s3://{BUCKET}/new-data/{PROJECT}/new-data/{number}.jpg"] for number in (0, 4, 3)] == [
        "anomaly", "normal", "anomaly",
    ]  # fmt: skip
    told_again = told(ask, f"/{PROJECT}/trials/new-data")
    assert told_again["verified"] == 0
    assert sum(each["added"] for each in told_again["verdicts"]) == 3
    assert done(ask, f"/{PROJECT}/add", {})["count"] == 0


def test_verified_photographs_that_the_dataset_refuses_wait_on(ask, world, monkeypatch):
    verdicts = told(ask, f"/{PROJECT}/trials/new-data")["verdicts"]
    keys = [each["key"] for each in verdicts[:2]]
    done(ask, f"/{PROJECT}/verify", {"where": "trial", "keys": keys, "correct": True})
    with monkeypatch.context() as full:
        full.setitem(limits.IMAGES, "train", 20)
        assert done(ask, f"/{PROJECT}/add", {})["count"] == 2
        assert told(ask, f"/{PROJECT}")["verified"] == 0, "on their way"
        world.work()
    assert told(ask, f"/{PROJECT}")["datasets"][0]["status"] == "UPDATE_FAILED_ROLLBACK_COMPLETE"
    shown = told(ask, f"/{PROJECT}/trials/new-data")
    assert (shown["verified"], sum(each["added"] for each in shown["verdicts"])) == (2, 0)
    assert done(ask, f"/{PROJECT}/add", {})["count"] == 2
    world.work()
    shown = told(ask, f"/{PROJECT}/trials/new-data")
    assert (shown["verified"], sum(each["added"] for each in shown["verdicts"])) == (0, 2)


def test_a_trial_keeps_photographs_of_one_name_apart(ask, world):
    for key in ("twins/a/1.jpg", "twins/a-1.jpg"):
        world.s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    done(ask, f"/{PROJECT}/trials", {"trial": "twins", "source": f"s3://{BUCKET}/twins"})
    listed = world.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"new-data/{PROJECT}/twins/")["Contents"]
    assert len(listed) == 2


def test_a_verdict_that_is_gone_is_told(ask):
    body = {"where": "trial", "keys": ["new-data#nothing"], "correct": True}
    status, answer = ask(f"/{PROJECT}/verify", body, ADMIN)
    assert (status, answer["error"]["code"]) == (404, "NotThere")


def test_a_version_is_promoted_and_rolled_back(ask, world):
    done(ask, f"/{PROJECT}/promote", {"version": 2})
    pointer = champion(world.services, PROJECT)
    assert (pointer.version, pointer.before, pointer.by) == (2, 1, "c2d3e4f5-1111-2222-3333-444455556666")
    done(ask, f"/{PROJECT}/rollback", {})
    assert champion(world.services, PROJECT).version == 1
    assert ask(f"/{PROJECT}/promote", {"version": 3}, ADMIN)[1]["error"]["code"] == "ConflictException"


def test_a_version_is_stopped_and_started(ask):
    done(ask, f"/{PROJECT}/host", {"version": 1, "running": False})
    assert told(ask, "")["projects"][0]["hosted"] == []
    done(ask, f"/{PROJECT}/host", {"version": 2, "running": True})
    assert told(ask, "")["projects"][0]["hosted"] == [2]


def test_test_photographs_are_frozen(ask, world):
    assert done(ask, f"/{PROJECT}/freeze", {"version": 1})["count"] == 20
    body = world.s3.get_object(Bucket=BUCKET, Key=f"projects/{PROJECT}/frozen-test.manifest")["Body"].read()
    assert len(body.splitlines()) == 20


def test_a_trial_copies_photographs_to_where_trials_begin(ask, world):
    source = f"s3://{BUCKET}/photographs/test"
    assert done(ask, f"/{PROJECT}/trials", {"trial": "second", "source": source})["count"] == 20
    listed = world.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"new-data/{PROJECT}/second/")["Contents"]
    assert f"new-data/{PROJECT}/second/anomaly/a0.jpg" in {each["Key"] for each in listed}
    assert done(ask, f"/{PROJECT}/trials", {"trial": "late shift", "source": f"{source}/anomaly"})["count"] == 10
    status, answer = ask(f"/{PROJECT}/trials", {"trial": "a/b", "source": source}, ADMIN)
    assert (status, answer["error"]["code"]) == (422, "BadRequest")
    status, answer = ask(f"/{PROJECT}/trials", {"trial": "third", "source": f"s3://{BUCKET}/void"}, ADMIN)
    assert (status, answer["error"]["code"]) == (422, "TrialSize")


@pytest.mark.parametrize("body", [{"project": "a b"}, {"project": ""}, {}, {"project": "x", "more": 1}])
def test_unusable_requests_are_told(ask, body):
    status, answer = ask("", body, ADMIN)
    assert (status, answer["error"]["code"]) == (422, "BadRequest")


# --- The data doctor --------------------------------------------------------------------------------------------------


def test_the_doctor_finds_what_is_wrong_and_keeps_it(ask, world):
    assert told(ask, f"/{PROJECT}/doctor")["state"] == "never"
    done(ask, f"/{PROJECT}/doctor", {})
    assert world.examined == [{"project": PROJECT}]
    assert told(ask, f"/{PROJECT}/doctor")["state"] == "running"
    # A copy of a training photograph in the test set, and one that was deleted.
    leak = f"s3://{BUCKET}/photographs/train/normal/n1.jpg"
    copied = {"Bucket": BUCKET, "Key": "photographs/train/normal/n1.jpg"}
    world.s3.copy_object(Bucket=BUCKET, Key="photographs/test/normal/n1.jpg", CopySource=copied)
    world.s3.delete_object(Bucket=BUCKET, Key="photographs/train/normal/n2.jpg")
    pages_doctor.examine(world.services, PROJECT)
    answer = told(ask, f"/{PROJECT}/doctor")
    assert (answer["state"], answer["photographs"], answer["outdated"]) == ("done", 40, False)
    found = {each["kind"]: each for each in answer["findings"]}
    assert leak in found["leak"]["sources"]
    assert found["unreadable"]["sources"] == [f"s3://{BUCKET}/photographs/train/normal/n2.jpg"]
    assert found["too_few_normals"]["words"]
    body = {"kind": "train", "labels": [{"source": leak, "label": "anomaly"}]}
    done(ask, f"/{PROJECT}/labels", body)
    with there.later(world, 5):
        world.work()
        assert told(ask, f"/{PROJECT}/doctor")["outdated"] is True


def test_the_doctor_says_that_the_champions_archive_is_gone(ask, world):
    world.s3.delete_object(Bucket=BUCKET, Key=f"projects/{PROJECT}/models/1/model.tar.gz")
    pages_doctor.examine(world.services, PROJECT)
    answer = told(ask, f"/{PROJECT}/doctor")
    assert answer["state"] == "failed"
    assert "model.tar.gz is not there any more: promote another version" in answer["message"]
    assert ask(f"/{PROJECT}/models/1")[0] == 404


def test_an_examination_that_never_ends_is_told(ask, world):
    done(ask, f"/{PROJECT}/doctor", {})
    with there.later(world, 3600):
        answer = told(ask, f"/{PROJECT}/doctor")
    assert (answer["state"], "Examine again" in answer["message"]) == ("failed", True)
