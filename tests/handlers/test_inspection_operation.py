"""The inspection system's routes of the console: trainings, quarantine, what waits for a person."""

import json

import pytest

from sextant.inspection.loop.arrival import item_of
from sextant.inspection.loop.journal import Journal, Quarantined
from tests.handlers import inspection_world as there
from tests.handlers.inspection_world import BUCKET, NOW, PROJECT
from tests.handlers.serving import event


@pytest.fixture
def world():
    with there.account():
        yield there.make()


@pytest.fixture
def ask(world):
    handler = there.load(world, "operation")

    def asked(method, path, groups="[admin]"):
        answer = handler(event(method, f"/api/{path}", groups=groups))
        return int(answer["statusCode"]), json.loads(answer["body"])

    return asked


def test_trainings_are_runs_the_newest_first(ask):
    status, answer = ask("GET", "runs/inspection")
    assert status == 200
    assert sorted(each["id"] for each in answer["runs"]) == ["bracket-1", "bracket-2", "bracket-3"]
    assert {each["id"]: each["state"] for each in answer["runs"]} == {
        "bracket-1": "succeeded", "bracket-2": "succeeded", "bracket-3": "running",
    }  # fmt: skip
    first = ask("GET", "runs/inspection?limit=2")[1]
    rest = ask("GET", f"runs/inspection?limit=2&after={first['next']}")[1]
    assert (len(first["runs"]), len(rest["runs"]), rest["next"]) == (2, 1, None)


def test_a_training_tells_its_steps(ask):
    _, answer = ask("GET", "runs/inspection/bracket-2")
    assert [(each["title"], each["state"]) for each in answer["steps"]] == [
        ("Train on the datasets, measure", "succeeded"), ("Compare with the champion", "succeeded"),
    ]  # fmt: skip
    assert (answer["done"], answer["total"], answer["seconds"]) == (2, 2, 90.0)
    assert ask("GET", "runs/inspection/bracket-9")[0] == 404
    assert ask("GET", "runs/inspection/nothing")[0] == 404


def test_a_training_is_stopped(ask):
    status, answer = ask("POST", "runs/inspection/bracket-3/stop")
    assert (status, answer["state"]) == (200, "stopped")


def test_a_training_of_several_projects_asks_which(ask, world):
    status, answer = ask("POST", "runs/inspection")
    assert (status, answer["error"]["code"]) == (409, "WhichProject")
    world.services.table.remove_all([("PROJECTS", "empty")])
    status, answer = ask("POST", "runs/inspection")
    assert (status, answer["id"]) == (200, "bracket-4")


def test_the_quarantine_is_listed_and_replayed(ask, world):
    _, answer = ask("GET", "quarantine/inspection")
    assert [(each["reason"], each["count"]) for each in answer["reasons"]] == [
        ("no_model_running", 2),
        ("truncated", 1),
    ]
    assert ask("GET", "quarantine/inspection?reason=truncated")[1]["total"] == 1
    status, answer = ask("POST", "quarantine/inspection/replay")
    assert (status, answer["id"]) == (200, "")
    keys = [given["detail"]["object"]["key"] for _, given in world.machine.started]
    assert sorted(keys) == [f"incoming/{PROJECT}/a/top/{number}.jpg" for number in range(3)]


def test_what_became_of_a_quarantined_photograph_is_told(ask, world):
    key = f"incoming/{PROJECT}/a/top/0.jpg"
    etag = world.s3.head_object(Bucket=BUCKET, Key=key)["ETag"].strip('"')
    source = f"s3://{BUCKET}/{key}"
    assert ask("GET", f"quarantine/inspection/content?source={source}")[1]["state"] == "changed"
    lost = Quarantined(
        item=item_of(BUCKET, "gone.jpg", etag), source=f"s3://{BUCKET}/gone.jpg", etag=etag, reason="gone",
        detail="it was deleted", at=NOW.isoformat(),
    )  # fmt: skip
    Journal(world.services.table).quarantine(lost)
    assert ask("GET", f"quarantine/inspection/content?source={lost.source}")[1]["state"] == "gone"
    assert ask("GET", "quarantine/inspection/content?source=s3://x/y")[0] == 404


def test_what_waits_for_a_person_is_counted(ask):
    _, answer = ask("GET", "systems/inspection/attention")
    assert {each["kind"]: each["count"] for each in answer["needs"]} == {"quarantine": 3, "review": 5, "approval": 0}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "runs/inspection"), ("POST", "runs/inspection/bracket-3/stop"), ("POST", "quarantine/inspection/replay")],
)
def test_only_administrators_operate(ask, method, path):
    assert ask(method, path, groups="[analyst]")[0] == 403
