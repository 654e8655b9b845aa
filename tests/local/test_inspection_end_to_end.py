"""Inspection on the whole embedded AWS, IAM enforced: API, training, belt, people's answers, drift, shifts, reports."""

import datetime as dt
import io
import json
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from localaws.emulator import ACCOUNT, REGION
from samples.inspection.sample import write_sample
from sextant.inspection import archive, detector, manifest, photograph
from sextant.inspection.api.store import Table
from sextant.inspection.client import lookoutvision
from sextant.inspection.loop import watch
from sextant.inspection.loop.journal import Journal

PROJECT = "bracket"
PATIENCE = 240
BEGAN = dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Plant:
    """The inspection stack with a trained and hosted model; `folder` holds the sample, `truth` what is true of it."""

    embedded: object
    folder: Path
    truth: object

    @cached_property
    def outputs(self):
        return self.embedded.outputs["local-Inspection"]

    @property
    def bucket(self):
        return self.outputs["DataBucket"]

    @cached_property
    def s3(self):
        return self.embedded.client("s3")

    @cached_property
    def api(self):
        return lookoutvision(aws_access_key_id=ACCOUNT, aws_secret_access_key="local", region_name=REGION)

    @property
    def journal(self):
        return Journal(Table(self.embedded.client("dynamodb"), self.outputs["TableName"]))

    def put(self, file, at=None):
        metadata = {"at": at.isoformat()} if at else {}
        self.s3.put_object(Bucket=self.bucket, Key=file, Body=(self.folder / file).read_bytes(), Metadata=metadata)

    def records(self):
        """By the photograph's key."""
        days = {dt.datetime.now(dt.UTC).date() - dt.timedelta(days=back) for back in (0, 1)}
        found = [each for day in days for each in self.journal.items(PROJECT, day)]
        return {each.source.removeprefix(f"s3://{self.bucket}/"): each for each in found}

    def quarantine(self):
        return {each.source.removeprefix(f"s3://{self.bucket}/"): each for each in self.journal.quarantined()}

    def call(self, name, **document):
        """A function of the stack, by its output."""
        client = self.embedded.client("lambda")
        told = client.invoke(FunctionName=self.outputs[f"{name}Function"], Payload=json.dumps(document).encode())
        answer = json.loads(told["Payload"].read())
        assert "FunctionError" not in told, answer
        return answer

    def again(self, key):
        """The event of a photograph, once more, to its end."""
        etag = self.s3.head_object(Bucket=self.bucket, Key=key)["ETag"].strip('"')
        event = {"detail": {"bucket": {"name": self.bucket}, "object": {"key": key, "etag": etag}}}
        machines = self.embedded.client("stepfunctions")
        started = machines.start_execution(stateMachineArn=self.outputs["MachineArn"], input=json.dumps(event))
        return until(lambda: ended(machines, started["executionArn"]))

    def model(self, version):
        return self.api.describe_model(ProjectName=PROJECT, ModelVersion=version)["ModelDescription"]


def ended(machines, arn):
    found = machines.describe_execution(executionArn=arn)
    assert found["status"] in {"RUNNING", "SUCCEEDED"}, found
    return json.loads(found["output"]) if found["status"] == "SUCCEEDED" else None


def until(found, patience=PATIENCE):
    """What a function gives as soon as it is true."""
    deadline = time.monotonic() + patience
    while not (result := found()):
        assert time.monotonic() < deadline, f"not within {patience} s"
        time.sleep(0.5)
    return result


@pytest.fixture(scope="module")
def plant(embedded, tmp_path_factory):
    """Project, datasets with masks, one training, its model hosted."""
    folder = tmp_path_factory.mktemp("inspection")
    made = Plant(embedded, folder, write_sample(folder))
    made.api.create_project(ProjectName=PROJECT)
    for path in sorted((folder / PROJECT).rglob("*.*")):
        if path.suffix != ".manifest":
            made.put(path.relative_to(folder).as_posix())
    for kind in ("train", "test"):
        lines = (folder / PROJECT / f"{kind}.manifest").read_text().splitlines()
        moved = "\n".join(manifest.under(line, f"s3://{made.bucket}/{PROJECT}") for line in lines)
        made.s3.put_object(Bucket=made.bucket, Key=f"{PROJECT}/{kind}.manifest", Body=moved.encode())
        place = {"Bucket": made.bucket, "Key": f"{PROJECT}/{kind}.manifest"}
        source = {"GroundTruthManifest": {"S3Object": place}}
        made.api.create_dataset(ProjectName=PROJECT, DatasetType=kind, DatasetSource=source)
    for kind in ("train", "test"):
        until(lambda kind=kind: dataset(made, kind)["Status"] == "CREATE_COMPLETE")
    output = {"S3Location": {"Bucket": made.bucket, "Prefix": "evaluation/"}}
    made.api.create_model(ProjectName=PROJECT, OutputConfig=output)
    until(lambda: made.model("1")["Status"] != "TRAINING", 600)
    assert made.model("1")["Status"] == "TRAINED", made.model("1")["StatusMessage"]
    made.api.start_model(ProjectName=PROJECT, ModelVersion="1", MinInferenceUnits=1)
    until(lambda: made.model("1")["Status"] == "HOSTED")
    return made


def dataset(plant, kind):
    return plant.api.describe_dataset(ProjectName=PROJECT, DatasetType=kind)["DatasetDescription"]


@pytest.fixture(scope="module")
def heard(plant):
    """A queue that hears of rejects."""
    sqs, sns = plant.embedded.client("sqs"), plant.embedded.client("sns")
    url = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=plant.outputs["RejectsTopicArn"], Protocol="sqs", Endpoint=arn)
    messages = []

    def receive():
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for each in found:
                messages.append(json.loads(each["Body"])["Message"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return messages

    return receive


@pytest.fixture(scope="module")
def stream(plant, heard):  # noqa: ARG001 - it hears from the first one on
    """The belt has run: every photograph of it is in the bucket, and all have a verdict or a reason for none."""
    items = plant.truth.of("incoming")
    for item in items:
        plant.put(item.file, BEGAN + dt.timedelta(seconds=item.order))
    for file in plant.truth.corrupt:
        plant.put(file)
    until(lambda: len(plant.records()) >= len(items) and len(plant.quarantine()) >= len(plant.truth.corrupt), 480)
    return items


def test_every_photograph_has_one_verdict_and_defects_are_found(plant, stream):
    records = plant.records()

    assert set(records) == {item.file for item in stream}
    outcomes = Counter((item.label, records[item.file].verdict) for item in stream)
    bad = sum(count for (label, _), count in outcomes.items() if label == "anomaly")
    assert outcomes["anomaly", "accept"] <= bad / 2, outcomes
    bright = [item for item in stream if item.label == "normal" and item.lamp == 1.0]
    rejected = sum(records[item.file].verdict == "reject" for item in bright)
    assert rejected <= 0.15 * len(bright), f"{rejected} of {len(bright)}: three times the budget"


def test_verdicts_are_those_of_the_detector_itself(plant, stream):
    key = f"projects/{PROJECT}/models/1/model.tar.gz"
    model = archive.load(plant.s3.get_object(Bucket=plant.bucket, Key=key)["Body"].read())
    records = plant.records()
    for item in stream[::16]:
        body = (plant.folder / item.file).read_bytes()
        seen, kept = detector.detect(model, photograph.read(body)), records[item.file]
        assert (kept.verdict, kept.is_anomalous) == (seen.verdict, seen.is_anomalous)
        assert kept.confidence == pytest.approx(seen.confidence, abs=1e-6)
        assert kept.brightness == pytest.approx(seen.quality.brightness, rel=1e-6)
        told = plant.api.detect_anomalies(ProjectName=PROJECT, ModelVersion="1", ContentType="image/jpeg", Body=body)[
            "DetectAnomalyResult"
        ]
        assert told["IsAnomalous"] == seen.is_anomalous
        assert told["Confidence"] == pytest.approx(seen.confidence, abs=1e-6)


def test_the_time_of_taking_is_the_uploaders(plant, stream):
    item = stream[5]
    assert dt.datetime.fromisoformat(plant.records()[item.file].at) == BEGAN + dt.timedelta(seconds=item.order)


@pytest.mark.usefixtures("stream")
def test_what_cannot_be_used_is_in_quarantine_with_its_reason(plant):
    # Other tests of this session leave photographs of trials there.
    found = {key: each.reason for key, each in plant.quarantine().items() if key.startswith("incoming/")}
    assert found == plant.truth.corrupt
    assert all(each.detail for each in plant.quarantine().values())


@pytest.mark.usefixtures("stream")
def test_each_reject_is_told_once_with_its_picture_and_a_second_event_tells_nothing(plant, heard):
    rejects = {key: each for key, each in plant.records().items() if each.verdict == "reject"}
    assert rejects
    until(lambda: len(heard()) >= len(rejects))
    before = plant.records()

    key = next(iter(rejects))
    answer = plant.again(key)

    assert answer["verdict"] == "reject"
    assert answer["tell"] is False
    assert plant.records() == before
    time.sleep(1)
    told = heard()
    assert len(told) == len(rejects)
    for each in rejects.values():
        assert sum(each.item in text for text in told) == 1
    link = next(text for text in told if rejects[key].item in text).partition("hours): ")[2].split()[0]
    with urllib.request.urlopen(link) as picture:
        assert picture.read() == (plant.folder / key).read_bytes()
        assert picture.headers["Content-Type"] == "image/jpeg", "a browser shows it"


@pytest.mark.usefixtures("stream")
def test_masks_of_rejects_have_the_size_of_their_photograph(plant):
    records = [each for each in plant.records().values() if each.mask]
    assert records
    key = records[0].mask.removeprefix(f"s3://{plant.bucket}/")
    mask = Image.open(io.BytesIO(plant.s3.get_object(Bucket=plant.bucket, Key=key)["Body"].read()))
    with Image.open(plant.folder / records[0].source.removeprefix(f"s3://{plant.bucket}/")) as shown:
        assert mask.size == shown.size


def test_a_lost_event_is_made_up_for_by_the_sweep(plant, stream):
    key = stream[0].file
    lost = plant.records()[key]
    plant.journal.table.remove_all([lost.key])
    assert key not in plant.records()

    assert plant.call("Sweep", settled=0, hours=24)["started"] >= 1

    found = until(lambda: plant.records().get(key))
    assert (found.item, found.verdict) == (lost.item, lost.verdict)
    assert plant.call("Sweep", settled=0, hours=24)["started"] == 0


@pytest.mark.usefixtures("stream")
def test_a_lamp_that_dims_is_found_and_no_other_camera(plant):
    told = plant.call("Drift")["alarms"]

    assert any(plant.truth.drifting in text and "darker" in text for text in told), told
    alarms = {(each.camera, each.measure) for _, each in watch.alarms(plant.journal.table, PROJECT)}
    assert (plant.truth.drifting, "brightness") in alarms
    assert {camera for camera, _ in alarms} == {plant.truth.drifting}
    assert plant.call("Drift")["alarms"] == []


def test_athena_counts_what_the_journal_holds(plant, stream):
    plant.call("Upkeep")
    rows = query(plant, "SELECT * FROM anomaly_ratio WHERE span = '6m' AND project = 'bracket' ORDER BY line, camera")
    records = plant.records().values()

    total = rows[0]
    assert (total["line"], total["camera"]) == ("", "")
    assert int(total["items"]) == len(records) == len(stream)
    assert int(total["anomalies"]) == sum(each.is_anomalous for each in records)
    assert int(total["rejects"]) == sum(each.verdict == "reject" for each in records)
    assert float(total["ratio"]) == pytest.approx(int(total["anomalies"]) / len(records))
    assert float(total["ratio_low"]) < float(total["ratio"]) < float(total["ratio_high"])
    cameras = {row["camera"]: int(row["items"]) for row in rows if row["camera"]}
    assert cameras == Counter(item.camera for item in stream)


def query(plant, sql):
    athena = plant.embedded.client("athena")
    request = {"QueryExecutionContext": {"Database": plant.outputs["DatabaseName"]}, "QueryString": sql}
    started = athena.start_query_execution(**request, WorkGroup=plant.outputs["WorkgroupName"])["QueryExecutionId"]
    state = until(lambda: done(athena, started))
    assert state["State"] == "SUCCEEDED", state
    names, *rows = (
        [cell.get("VarCharValue") for cell in row["Data"]]
        for row in athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def done(athena, query_id):
    status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
    return status if status["State"] not in {"QUEUED", "RUNNING"} else None


@pytest.mark.usefixtures("stream")
def test_a_trial_is_verified_added_and_trained_on(plant):
    """new-data → trial → verified → in the dataset → a new version, compared with the champion."""
    items = plant.truth.of("new-data")
    for item in items:
        plant.put(item.file)
    tried = until(lambda: found if len(found := list(plant.journal.trial(PROJECT))) == len(items) else None)
    labels = {f"s3://{plant.bucket}/{item.file}": item.label for item in items}
    before = dataset(plant, "train")["ImageStats"]["Total"]

    for record in tried:
        correct = record.is_anomalous == (labels[record.source] == "anomaly")
        plant.call("Review", action="verify", project=PROJECT, items=[record.key], correct=correct, who="ada")
    keys = [record.key for record in tried]
    assert plant.call("Review", action="add", project=PROJECT, items=keys) == {"added": len(items)}

    until(lambda: dataset(plant, "train")["Status"] == "UPDATE_COMPLETE")
    assert dataset(plant, "train")["ImageStats"]["Total"] == before + len(items)
    added = plant.api.list_dataset_entries(ProjectName=PROJECT, DatasetType="train", SourceRefContains="new-data/")
    told = [manifest.read(line) for line in added["DatasetEntries"]]
    assert {each.source: each.label for each in told} == labels
    version = plant.call("Review", action="train", project=PROJECT)["version"]
    until(lambda: plant.model(version)["Status"] != "TRAINING", 600)
    assert plant.model(version)["Status"] == "TRAINED", plant.model(version)["StatusMessage"]
    table = plant.journal.table
    key = (f"PROJECT#{PROJECT}", f"DUEL#{int(version):06d}")
    duel = until(lambda: table.get(key))
    assert (int(duel["normals"]), int(duel["anomalies"])) == (16, 16)
    missed, rejected = ([int(each) for each in duel[name]] for name in ("missed", "false_rejects"))
    areas = [float(each) for each in duel["auroc"]]
    worse = missed[1] > missed[0] or rejected[1] > rejected[0]
    better = missed[1] < missed[0] or rejected[1] < rejected[0] or areas[1] > areas[0]
    assert duel["decision"] == ("promote" if better and not worse else "keep"), duel["words"]
    assert duel["promoted"] == (duel["decision"] == "promote")
    assert "of 16 anomalies it misses" in duel["words"]
    pointer = table.get((f"PROJECT#{PROJECT}", "CHAMPION"))
    assert int(pointer["version"]) == (int(version) if duel["promoted"] else 1)

    plant.call("Review", action="promote", project=PROJECT, version=version, who="ada")
    until(lambda: plant.model(version)["Status"] == "HOSTED")
    plant.call("Upkeep")
    assert plant.model("1")["Status"] == "TRAINED", "nobody pays for two"
    assert plant.call("Review", action="roll_back", project=PROJECT, who="ada")["version"] == 1
    until(lambda: plant.model("1")["Status"] == "HOSTED")
    plant.call("Upkeep")


def test_what_waits_for_a_person_waits_until_answered(plant, stream):
    """A photograph of the belt without a product is no accept and no reject."""
    with Image.open(plant.folder / stream[0].file) as shown:
        empty = Image.new("RGB", shown.size, shown.getpixel((5, 5)))
    body = io.BytesIO()
    empty.save(body, "JPEG")
    key = f"incoming/{PROJECT}/line-1/camera-2/empty-belt.jpg"
    plant.s3.put_object(Bucket=plant.bucket, Key=key, Body=body.getvalue())
    record = until(lambda: plant.records().get(key))
    assert (record.verdict, record.crop_ok) == ("review", False), record.reason
    assert record.item in {each.item for each in plant.journal.waiting(PROJECT)}

    plant.call("Review", action="verify", project=PROJECT, items=[record.key], correct=True, who="ada")

    assert record.item not in {each.item for each in plant.journal.waiting(PROJECT)}
    plant.call("Upkeep")
    rows = query(plant, f"SELECT truth FROM verdicts WHERE item = '{record.item}'")
    assert rows == [{"truth": "anomaly" if record.is_anomalous else "normal"}]


def test_a_stopped_model_answers_nothing_and_what_came_meanwhile_waits(plant, stream):
    """Last, for it stops the belt."""
    names = [each["FunctionName"] for each in plant.embedded.client("lambda").list_functions()["Functions"]]
    (shift,) = [name for name in names if "UpkeepShift" in name]
    invoke = plant.embedded.client("lambda").invoke

    invoke(FunctionName=shift, Payload=json.dumps({"project": PROJECT, "action": "stop"}))
    key = f"incoming/{PROJECT}/line-1/camera-2/late.jpg"
    body = (plant.folder / stream[1].file).read_bytes()
    plant.s3.put_object(Bucket=plant.bucket, Key=key, Body=body)
    assert until(lambda: plant.quarantine().get(key)).reason == "no_model_running"
    with pytest.raises(plant.api.exceptions.ConflictException):
        plant.api.detect_anomalies(ProjectName=PROJECT, ModelVersion="1", ContentType="image/jpeg", Body=body)
    assert plant.call("Upkeep")["again"] == 0

    invoke(FunctionName=shift, Payload=json.dumps({"project": PROJECT, "action": "start"}))
    assert plant.call("Upkeep")["again"] == 1
    assert until(lambda: plant.records().get(key)).model_version == "1"
    assert key not in plant.quarantine()


def test_a_role_without_the_right_may_not_call_the_api(plant):
    iam, sts = plant.embedded.client("iam"), plant.embedded.client("sts")
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName="nobody", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    api = lookoutvision(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        region_name=REGION,
    )
    with pytest.raises(ClientError) as refused:
        api.list_projects()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
