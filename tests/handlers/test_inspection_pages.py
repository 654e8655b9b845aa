"""The inspection pages' function on API Gateway events, over a project whose every number is known."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.handlers import inspection_world as there
from tests.handlers.inspection_world import BUCKET, HOURS, NOW, PLACES, PROJECT
from tests.handlers.serving import event

ADMIN = "[admin]"


@pytest.fixture(scope="module")
def world():
    """One for all: these tests only look."""
    with there.account():
        yield there.make()


@pytest.fixture(scope="module")
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


# --- Looking ----------------------------------------------------------------------------------------------------------


def test_projects_have_their_counts(ask):
    answer = told(ask, "")
    assert [each["name"] for each in answer["projects"]] == ["bracket", "empty"]
    found = answer["projects"][0]
    assert [(each["kind"], each["total"], each["normal"], each["anomaly"]) for each in found["datasets"]] == [
        ("train", 20, 14, 6), ("test", 20, 10, 10),
    ]  # fmt: skip
    assert (found["versions"], found["champion"], found["hosted"], found["waiting"]) == (3, 1, [1], 5)
    assert [each["answers"] for each in answer["projects"]] == [1, None]
    assert answer["may_change"] is False
    assert ask("", groups=ADMIN)[1]["may_change"] is True


def test_a_project_tells_its_trials_and_where_photographs_go(ask):
    answer = told(ask, f"/{PROJECT}")
    assert answer["trials"] == [{"name": "new-data", "photographs": 9, "verified": 0}]
    assert answer["drop"] == f"s3://{BUCKET}/incoming/{PROJECT}/"


@pytest.mark.parametrize("path", ["/nothing", "/nothing/models", "/nothing/review", "/nothing/live", "/nothing/drift"])
def test_a_project_that_is_not_there_is_told(ask, path):
    status, answer = ask(path)
    assert (status, answer["error"]["code"]) == (404, "ResourceNotFoundException")


def test_photographs_are_filtered_and_paged(ask):
    first = told(ask, f"/{PROJECT}/photographs?kind=train&limit=12")
    second = told(ask, f"/{PROJECT}/photographs?kind=train&limit=12&after={first['next']}")
    assert (len(first["photographs"]), len(second["photographs"]), second["next"]) == (12, 8, None)
    assert len({each["source"] for each in (*first["photographs"], *second["photographs"])}) == 20
    names = [each["source"].rpartition("/")[2] for each in (*first["photographs"], *second["photographs"])]
    assert names == [f"a{n}.jpg" for n in range(6)] + [f"n{n}.jpg" for n in range(14)], "n2 before n10"
    anomalies = told(ask, f"/{PROJECT}/photographs?kind=train&label=anomaly")["photographs"]
    assert len(anomalies) == 6
    assert (
        sorted((each["masked"], tuple(each["kinds"])) for each in anomalies)
        == [(False, ())] * 4 + [(True, ("scratch",))] * 2
    )
    assert told(ask, f"/{PROJECT}/photographs?label=none")["photographs"] == []
    found = told(ask, f"/{PROJECT}/photographs?find=NORMAL/n13")["photographs"]
    assert [each["source"] for each in found] == [f"s3://{BUCKET}/photographs/train/normal/n13.jpg"]


def test_pictures_are_small_jpegs(ask):
    status, body = ask(f"/{PROJECT}/picture?source=s3://{BUCKET}/photographs/train/normal/n0.jpg&px=120")
    assert status == 200
    with Image.open(io.BytesIO(body)) as image:
        assert (image.format, image.size) == ("JPEG", (120, 80))  # of 480 x 320


@pytest.mark.parametrize(
    "source",
    [
        f"s3://{BUCKET}/projects/bracket/models/1/model.tar.gz",
        f"s3://{BUCKET}/incoming/empty/a/top/0.jpg",
        "s3://elsewhere/secret.jpg",
    ],
)
def test_what_is_not_of_the_project_is_not_shown(ask, source):
    status, answer = ask(f"/{PROJECT}/picture?source={source}")
    assert (status, answer["error"]["code"]) == (404, "NotOfProject")


def test_a_picture_that_is_none_says_why(ask, world):
    world.s3.put_object(Bucket=BUCKET, Key=f"incoming/{PROJECT}/a/top/bad.jpg", Body=b"no picture")
    status, answer = ask(f"/{PROJECT}/picture?source=s3://{BUCKET}/incoming/{PROJECT}/a/top/bad.jpg")
    assert (status, answer["error"]["code"]) == (422, "NoPicture")
    status, answer = ask(f"/{PROJECT}/picture?source=s3://{BUCKET}/incoming/{PROJECT}/a/top/gone.jpg")
    assert (status, answer["error"]["code"]) == (404, "Gone")


@pytest.mark.parametrize(
    "of", [f"item={1000:024x}", f"source=s3://{BUCKET}/photographs/train/anomaly/a0.jpg"], ids=["model", "person"]
)
def test_masks_are_transparent_where_nothing_is(ask, of):
    status, body = ask(f"/{PROJECT}/mask?{of}&px=480")
    assert status == 200
    pixels = there.rgba(body)
    painted = pixels[..., 3] > 0
    assert 0 < painted.mean() < 0.02  # a scratch of 60 x 4 pixels on 480 x 320
    assert np.unique(pixels[painted][:, :3], axis=0).tolist() == [[0xD0, 0x20, 0x20]]


def test_a_photograph_without_a_mask_says_so(ask):
    source = f"s3://{BUCKET}/photographs/train/normal/n0.jpg"
    assert ask(f"/{PROJECT}/mask?source={source}")[1]["error"]["code"] == "NoMask"


def test_versions_are_told_with_live_training(ask):
    answer = told(ask, f"/{PROJECT}/models")
    found = {each["version"]: each for each in answer["versions"]}
    assert list(found) == [3, 2, 1]
    assert {number: each["status"] for number, each in found.items()} == {1: "HOSTED", 2: "TRAINED", 3: "TRAINING"}
    assert (found[3]["step"], found[3]["f1"]) == ("Training", None)
    assert (found[1]["seconds"], found[1]["f1"]) == (90.0, 0.9)
    assert (found[1]["photographs"], found[1]["anomalies"]) == (20, 10)
    assert found[1]["f1_interval"] == pytest.approx([0.6868, 0.9736], abs=1e-4)  # 2 J / (1 + J), Wilson of 9 in 11
    assert (found[3]["photographs"], found[3]["f1_interval"]) == (None, None)
    assert found[2]["duel"]["decision"] == "keep"
    assert answer["champion"]["version"] == 1


def test_measurements_are_those_of_the_test_photographs(ask):
    page = told(ask, f"/{PROJECT}/models/1")
    found = page["measured"]
    # Of 10 normals one scores 0.62, of 10 anomalies one 0.31; the threshold is 0.5.
    assert (found["on"], found["normals"], found["anomalies"]) == ("test", 10, 10)
    assert (found["false_rejects"], found["missed"], found["threshold"]) == (1, 1, 0.5)
    assert found["missed_interval"] == pytest.approx([0.0179, 0.4042], abs=1e-4)  # Wilson, of 1 in 10
    # Pairs in order: a0 (0.31) above the seven normals up to 0.30; a1 (0.55) above nine; the other eight above all ten.
    assert found["auroc"] == pytest.approx((7 + 9 + 80) / 100)
    assert [each["source"].rsplit("/", 1)[1] for each in found["mistakes"]] == ["a0.jpg", "n9.jpg"]
    assert {(each["false_rejects"], each["missed"]) for each in found["cuts"]} >= {(1, 1), (0, 2), (10, 0)}
    assert page["champion"] is True
    assert page["notes"][0].startswith("Trained on 14")
    assert told(ask, f"/{PROJECT}/models/3")["measured"] is None


def test_what_waits_comes_oldest_first(ask):
    found = told(ask, f"/{PROJECT}/review")["verdicts"]
    assert len(found) == 5
    assert [each["arrived" if "arrived" in each else "at"] for each in found] == sorted(each["at"] for each in found)
    assert {each["verdict"] for each in found} == {"review"}


def test_what_was_rejected_or_accepted_is_shown_too_the_newest_first(ask):
    for show, count in (("reject", 6), ("accept", 34)):
        found = told(ask, f"/{PROJECT}/review?show={show}")
        assert {each["verdict"] for each in found["verdicts"]} == {show}
        times = [each["at"] for each in found["verdicts"]]
        assert (len(times), times, found["more"]) == (count, sorted(times, reverse=True), False)
    assert found["dataset"]["status"] == "UPDATE_COMPLETE"


def test_a_trial_shows_the_least_sure_first(ask):
    found = told(ask, f"/{PROJECT}/trials/new-data")["verdicts"]
    assert [each["confidence"] for each in found] == pytest.approx([0.6 + 0.04 * number for number in range(9)])


def test_live_shows_the_newest_and_counts_the_last_minutes(ask):
    answer = told(ask, f"/{PROJECT}/live")
    assert answer["items"] == 40
    assert answer["rejects"] == len([number for number in range(40) if number % 7 == 3])
    assert [each["item"] for each in answer["verdicts"][:3]] == [f"{number:024x}" for number in (39, 38, 37)]
    assert told(ask, f"/{PROJECT}/live?line=a")["items"] == 20
    assert told(ask, f"/{PROJECT}/live?line=a&camera=side")["items"] == 0


def test_a_belt_that_rests_still_shows_what_it_saw(ask, world):
    with there.later(world, 2 * 86400):
        answer = told(ask, f"/{PROJECT}/live")
    assert (answer["items"], len(answer["verdicts"])) == (0, 24)


def test_the_dashboard_is_athenas(ask, world):
    answer = told(ask, f"/{PROJECT}/dashboard?span=3d")
    assert [(each["line"], each["camera"], each["items"]) for each in answer["places"]] == [
        (line, camera, items) for line, camera, items, *_ in PLACES
    ]
    assert answer["places"][0]["ratio"] == pytest.approx(0.07)
    assert [(each["at"], each["items"], each["anomalies"]) for each in answer["hours"]] == [
        (f"{at}:00:00Z", items, anomalies) for at, items, anomalies in HOURS
    ]
    assert answer["as_of"] == NOW.isoformat(timespec="seconds")
    assert {each["WorkGroup"] for each in world.athena.queries} == {"dev-inspection"}
    world.athena.broken = "TABLE_NOT_FOUND"
    status, answer = ask(f"/{PROJECT}/dashboard")
    assert status == 502
    assert "TABLE_NOT_FOUND" in answer["error"]["message"]
    world.athena.broken = None


def test_drift_tells_findings_and_alarms(ask):
    answer = told(ask, f"/{PROJECT}/drift")
    assert [(each["finding"]["measure"], each["finding"]["alarm"]) for each in answer["latest"]] == [
        ("brightness", True), ("score", False), ("sharpness", False),
    ]  # fmt: skip
    assert len(answer["alarms"]) == 1
    assert len(answer["alarms"][0]["finding"]["examples"]) == 3


@pytest.mark.parametrize(("rate", "usd"), [(1, 0.001), (5, 0.0002)])
def test_the_posts_cost_is_reproduced(world, rate, usd):
    answer = json.loads(there.load(world)(event("GET", f"/api/inspection/costs?rate={rate}"))["body"])
    service = next(each for each in answer["costs"] if each["backend"] == "lookoutvision")
    assert service["usd_per_item"] == pytest.approx(usd)
    assert {each["backend"] for each in answer["costs"]} >= {"lambda", "sagemaker", "edge"}
    assert all(each["source"] and each["of"] for each in answer["prices"])
