"""The console's inspection functions on the embedded AWS, IAM enforced: each grant they need is there."""

import base64
import datetime as dt
import io
import json
import time

import pytest
from PIL import Image

from sextant.inspection.api.store import Table
from sextant.inspection.loop.journal import Journal
from tests.handlers.inspection_world import record
from tests.handlers.serving import event
from tests.inspection.made import jpeg, plate

PROJECT = "plates"
BEGIN = f"/api/inspection/projects/{PROJECT}"
PATIENCE = 120


def until(found):
    deadline = time.monotonic() + PATIENCE
    while not (result := found()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s"
        time.sleep(0.5)
    return result


@pytest.fixture(scope="module")
def ask(embedded):
    """Asks a function of the stack as the API does; gives the JSON of its answer, or the bytes."""
    functions = embedded.client("lambda")
    pages = functions.get_paginator("list_functions").paginate()
    names = [each["FunctionName"] for page in pages for each in page["Functions"]]

    def asked(path, body=None, function="Pages"):
        (name,) = [each for each in names if f"Inspection-{function}" in each]
        text = None if body is None else json.dumps(body)
        request = event("GET" if body is None else "POST", path, text, groups="[admin]")
        told = functions.invoke(FunctionName=name, Payload=json.dumps(request).encode())
        answer = json.loads(told["Payload"].read())
        assert "FunctionError" not in told, answer
        assert answer["statusCode"] == 200, answer["body"]
        return base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else json.loads(answer["body"])

    return asked


@pytest.fixture(scope="module")
def project(embedded, ask):
    """A project of 12 photographs, made through the pages; gives the bucket."""
    bucket = embedded.outputs["local-Inspection"]["DataBucket"]
    s3 = embedded.client("s3")
    for number in range(12):
        label = "anomaly" if number > 9 else "normal"
        body = jpeg(plate(number, defect="scratch" if number > 9 else None)[0])
        s3.put_object(Bucket=bucket, Key=f"photographs/{label}/{number}.jpg", Body=body)
    ask("/api/inspection/projects", {"project": PROJECT})
    ask(f"{BEGIN}/import", {"kind": "train", "source": f"s3://{bucket}/photographs"})
    until(lambda: ask(BEGIN)["datasets"][0]["status"] == "CREATE_COMPLETE")
    return bucket


@pytest.mark.usefixtures("project")
def test_a_folder_becomes_a_dataset_with_pictures(ask):
    found = ask(f"{BEGIN}/photographs?label=anomaly")
    assert (found["dataset"]["normal"], found["dataset"]["anomaly"], len(found["photographs"])) == (10, 2, 2)
    body = ask(f"{BEGIN}/picture?source={found['photographs'][0]['source']}&px=96")
    with Image.open(io.BytesIO(body)) as image:
        assert (image.format, image.size) == ("JPEG", (96, 64))


def test_labels_change(ask, project):
    labels = [{"source": f"s3://{project}/photographs/anomaly/11.jpg", "label": "normal"}]
    ask(f"{BEGIN}/labels", {"kind": "train", "labels": labels})
    until(lambda: ask(BEGIN)["datasets"][0]["normal"] == 11)


@pytest.mark.usefixtures("project")
def test_the_doctor_examines_while_nobody_waits(ask):
    ask(f"{BEGIN}/doctor", {})
    found = until(lambda: told if (told := ask(f"{BEGIN}/doctor"))["state"] != "running" else None)
    assert (found["state"], found["photographs"]) == ("done", 12)
    assert "too_few_normals" in {each["kind"] for each in found["findings"]}


@pytest.mark.usefixtures("project")
def test_the_dashboard_asks_athena(ask, embedded):
    outputs = embedded.outputs["local-Inspection"]
    journal = Journal(Table(embedded.client("dynamodb"), outputs["TableName"]))
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    for number in range(4):
        journal.record(record(number, project=PROJECT, arrived=now, at=now), dt.datetime.now(dt.UTC))
    embedded.client("lambda").invoke(FunctionName=outputs["UpkeepFunction"], Payload=b"{}")
    found = ask(f"{BEGIN}/dashboard?span=3d")
    whole = next(each for each in found["places"] if not each["line"])
    assert (whole["items"], whole["anomalies"]) == (4, 1)  # record 3 is one
    assert sum(each["items"] for each in found["hours"]) == 4
    days = ask(f"{BEGIN}/dashboard?span=1m")["hours"]
    assert [each["at"][10:] for each in days] == ["T00:00:00Z"]
    assert ask(f"{BEGIN}/live")["items"] == 4


def test_a_trial_is_copied_to_where_trials_begin(ask, project, embedded):
    assert ask(f"{BEGIN}/trials", {"trial": "first", "source": f"s3://{project}/photographs/normal"})["count"] == 10
    listed = embedded.client("s3").list_objects_v2(Bucket=project, Prefix=f"new-data/{PROJECT}/first/")
    assert listed["KeyCount"] == 10
    # No model is hosted: they wait, and the console tells so.
    mine = f"/api/quarantine/inspection?find=new-data/{PROJECT}/first/"
    until(lambda: ask(mine, function="Operation")["total"] == 10)
    needs = ask("/api/systems/inspection/attention", function="Operation")["needs"]
    everything = ask("/api/quarantine/inspection", function="Operation")["total"]  # other tests' projects included
    assert {each["kind"]: each["count"] for each in needs}["quarantine"] == everything
    ask("/api/quarantine/inspection/replay", {}, function="Operation")


@pytest.mark.usefixtures("project")
def test_a_training_is_begun_followed_and_stopped(ask):
    ask(f"{BEGIN}/train", {})
    runs = ask("/api/runs/inspection", function="Operation")["runs"]
    assert [each["id"] for each in runs if each["id"].startswith(PROJECT)] == [f"{PROJECT}-1"]
    ask(f"/api/runs/inspection/{PROJECT}-1/stop", {}, function="Operation")
    ended = until(lambda: told if (told := ask(f"{BEGIN}/models")["versions"][0])["status"] != "TRAINING" else None)
    assert ended["status"] in {"TRAINING_FAILED", "TRAINED"}  # a machine may be quicker than its stop
