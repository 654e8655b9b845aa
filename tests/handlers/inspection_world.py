"""A project whose every number is known, in a table and buckets of moto: what the inspection pages show in tests.

`bracket` has 14 normal photographs and 6 anomalies to train on, four of each to test on, three versions (1 answers, 2
trades one error for the other, 3 trains), a trial of 9 photographs, 5 that wait for a person, and a belt. `empty` has
nothing at all.
"""

import datetime as dt
import functools
import importlib
import io
import json
import os
import sys
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

import boto3
import numpy as np
from moto import mock_aws
from PIL import Image

from sextant.inspection import evaluation, manifest
from sextant.inspection.api import datasets, models, projects, training
from sextant.inspection.api.services import Place, Services
from sextant.inspection.api.store import Put, Table
from sextant.inspection.calibration import Calibration
from sextant.inspection.loop import champion
from sextant.inspection.loop.drift import Finding
from sextant.inspection.loop.duel import Duel
from sextant.inspection.loop.journal import Journal, Quarantined, Record
from tests.handlers.serving import CONTEXT
from tests.inspection.made import jpeg, plate
from tests.inspection_api.stand import Answering, Jobs, archive

NOW = dt.datetime(2026, 11, 21, 12, 30, tzinfo=dt.UTC)
PROJECT, BUCKET = "bracket", "data"
ENVIRONMENT = {
    "TABLE": "inspection",
    "BUCKET": BUCKET,
    "ACCOUNT_ID": "111122223333",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "INGEST_FUNCTION": "ingest",
    "PACKAGING_FUNCTION": "packaging",
    "PREFIX": "dev-inspection",
    "IMAGE": "inspection:1",
    "ROLE_ARN": "arn:aws:iam::111122223333:role/jobs",
    "TRAINING_INSTANCE_TYPE": "ml.m5.xlarge",
    "METRICS": "Sextant/dev/LookoutVision",
    "DATABASE": "dev_inspection",
    "WORKGROUP": "dev-inspection",
    "DOCTOR_FUNCTION": "doctor",
    "MACHINE_ARN": "arn:aws:states:eu-central-1:111122223333:stateMachine:belt",
}
CALIBRATION = Calibration(
    slope=6.0, intercept=-3.0, threshold=0.5, rejecting=0.7, budget=0.05, guarantee=0.07, normals=14, normals_needed=19,
    calibrated=True,
)  # fmt: skip
ROWS = [(f"n{n}", False, 0.05 * n) for n in range(9)] + [("n9", False, 0.62)] + [
    (f"a{n}", True, score) for n, score in enumerate((0.31, 0.55, 0.71, 0.74, 0.8, 0.86, 0.9, 0.93, 0.95, 0.99))
]  # fmt: skip
"""Of the test photographs: name, truth and score. At the threshold 0.5: one false reject, one missed."""
PLACES = [
    ("", "", 1000, 70, 60, 20), ("a", "", 600, 30, 26, 10), ("a", "top", 600, 30, 26, 10), ("b", "", 400, 40, 34, 10),
    ("b", "side", 400, 40, 34, 10),
]  # fmt: skip
"""What Athena tells of the window: line, camera, items, anomalies, rejects, reviews."""
HOURS = [(f"2026-11-21T{hour:02}", 100 + hour, 7 + (hour % 3)) for hour in range(2, 12)]


class Stopping(Jobs):
    """SageMaker, whose jobs can be stopped, too."""

    def stop_training_job(self, TrainingJobName):  # noqa: N803
        self.jobs[TrainingJobName] |= {"TrainingJobStatus": "Stopped", "TrainingEndTime": NOW}


class Athena:
    """Answers as Athena does; `broken` makes every query fail with that reason."""

    def __init__(self):
        self.queries, self.broken = [], None

    def start_query_execution(self, **request):
        self.queries.append(request)
        return {"QueryExecutionId": f"q-{len(self.queries) - 1}"}

    def get_query_execution(self, QueryExecutionId):  # noqa: N803
        state = {"State": "FAILED", "StateChangeReason": self.broken} if self.broken else {"State": "SUCCEEDED"}
        return {"QueryExecution": {"QueryExecutionId": QueryExecutionId, "Status": state}}

    def get_paginator(self, _name):
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, QueryExecutionId):  # noqa: N803
        sql = self.queries[int(QueryExecutionId[2:])]["QueryString"]
        if "FROM anomaly_ratio" in sql:
            rows = [("line", "camera", "items", "anomalies", "rejects", "reviews", "ratio", "low", "high")]
            rows += [
                (*each, each[3] / each[2], each[3] / each[2] - 0.015, each[3] / each[2] + 0.018) for each in PLACES
            ]
        else:
            rows = [("begin", "items", "anomalies"), *HOURS]
        told = [{"Data": [{"VarCharValue": str(value)} for value in row]} for row in rows]
        yield {"ResultSet": {"Rows": told[:3]}}
        yield {"ResultSet": {"Rows": told[3:]}}


class Machine:
    """Step Functions: remembers what it was started with."""

    def __init__(self):
        self.started = []

    def start_execution(self, stateMachineArn, input):  # noqa: A002, N803
        self.started.append((stateMachineArn, json.loads(input)))


def evaluated():
    """The measurements of version 1, made by the very code of a training."""
    rows = [
        evaluation.Row(
            source=f"s3://{BUCKET}/photographs/test/{'anomaly' if anomalous else 'normal'}/{name}.jpg",
            anomalous=anomalous,
            is_anomalous=score >= CALIBRATION.threshold,
            confidence=max(CALIBRATION.probability(score), 1 - CALIBRATION.probability(score)),
            probability=CALIBRATION.probability(score),
            score=score,
            verdict="reject" if score >= CALIBRATION.rejecting else "review" if score >= 0.5 else "accept",
        )
        for name, anomalous, score in ROWS
    ]
    return evaluation.measured(rows, CALIBRATION)


def model_archive():
    told = evaluated().model_dump(mode="json")
    metrics = {"notes": ["Trained on 14 normal photographs: 19 are needed to promise 5 %."], "skipped": [],
               "out_of_fold": told, "test": told}  # fmt: skip
    lines, result = evaluation.service_files(evaluated(), training_photographs=20, ended=NOW)
    files = {
        "metrics.json": json.dumps(metrics).encode(),
        "calibration.json": CALIBRATION.model_dump_json().encode(),
        "model_card.md": b"# Anomaly detector bracket\n",
        training.RESULT: result,
        training.MANIFEST: lines,
    }
    return archive(files)


def record(number, **changes):
    """A verdict of the belt; the number makes it another photograph, six seconds later."""
    anomalous = number % 7 == 3
    arrived = (NOW - dt.timedelta(minutes=5) + dt.timedelta(seconds=6 * number)).isoformat(timespec="seconds")
    line, camera = ("a", "top") if number % 2 else ("b", "side")
    told = {
        "item": f"{number:024x}", "project": PROJECT, "model_version": "1", "line": line, "camera": camera,
        "at": arrived, "arrived": arrived, "is_anomalous": anomalous, "confidence": 0.97,
        "probability": 0.97 if anomalous else 0.03, "verdict": "reject" if anomalous else "accept",
        "labels": ("scratch",) if anomalous else (), "brightness": 120.5, "sharpness": 88.25, "crop_ok": True,
        "source": f"s3://{BUCKET}/incoming/{PROJECT}/{line}/{camera}/{number % 4}{'x' if anomalous else ''}.jpg",
        "seconds": 0.04, "run": f"run-{number}",
    }  # fmt: skip
    told |= changes
    if told.get("trial"):
        told |= {"line": "", "camera": ""}
    return Record.model_validate(told)


def mask_png(mask):
    image = Image.fromarray(mask).convert("P")
    image.putpalette([255, 255, 255, 0xD0, 0x20, 0x20])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@functools.cache
def _picture(seed, defect=None):
    """The JPEG of a plate and its mask."""
    pixels, mask = plate(seed, defect=defect)
    return jpeg(pixels), mask


@functools.cache
def _clients():
    """boto3's clients take a second to make; those made once speak to whatever account of moto there is."""
    return tuple(boto3.client(each, region_name="eu-central-1") for each in ("dynamodb", "s3"))


def _pictures(s3):
    def put(key, body, kind="image/jpeg"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=body, ContentType=kind)

    lines = {"train": [], "test": []}
    for kind, normals, anomalies, first in (("train", 14, 6, 0), ("test", 10, 10, 100)):
        for number in range(normals):
            name = f"photographs/{kind}/normal/n{number}.jpg"
            put(name, _picture(first + number)[0])
            lines[kind].append(manifest.line_of(f"s3://{BUCKET}/{name}", "normal", NOW))
        for number in range(anomalies):
            body, mask = _picture(first + 50 + number, "scratch")
            name = f"photographs/{kind}/anomaly/a{number}.jpg"
            put(name, body)
            line = manifest.line_of(f"s3://{BUCKET}/{name}", "anomaly", NOW)
            if kind == "train" and number < 2:
                put(f"photographs/masks/{number}.png", mask_png(mask), "image/png")
                line = _masked(line, f"s3://{BUCKET}/photographs/masks/{number}.png")
            lines[kind].append(line)
    for line, camera in (("a", "top"), ("b", "side")):
        for number in range(4):
            put(f"incoming/{PROJECT}/{line}/{camera}/{number}.jpg", _picture(300 + number)[0])
            body, mask = _picture(300 + number, "scratch")
            put(f"incoming/{PROJECT}/{line}/{camera}/{number}x.jpg", body)
            for item in (*range(40), *range(60, 65)):
                if item % 4 == number:
                    put(f"masks/{PROJECT}/{item:024x}.png", mask_png(mask), "image/png")
    for number in range(9):
        body, mask = _picture(400 + number, "scratch" if number % 3 == 0 else None)
        put(f"new-data/{PROJECT}/new-data/{number}.jpg", body)
        put(f"masks/{PROJECT}/{1000 + number:024x}.png", mask_png(mask), "image/png")
    return lines


def _masked(line, uri):
    metadata = {
        "internal-color-map": {"0": {"class-name": "BACKGROUND", "hex-color": "#ffffff"},
                               "1": {"class-name": "scratch", "hex-color": "#d02020"}},
        "type": manifest.SEGMENTATION,
    }  # fmt: skip
    return json.dumps({**json.loads(line), "anomaly-mask-ref": uri, "anomaly-mask-ref-metadata": metadata})


def _journal(table):
    journal = Journal(table)
    for number in range(40):
        journal.record(record(number), NOW)
    for number in range(5):
        unsure = {"verdict": "review", "confidence": 0.6 + 0.05 * number, "reason": "confidence below 80 %",
                  "is_anomalous": number % 2 == 1, "probability": 0.5, "labels": (),
                  "mask": f"s3://{BUCKET}/masks/{PROJECT}/x.png" if number % 2 else None}  # fmt: skip
        minutes = dt.timedelta(hours=3, minutes=number)
        arrived = (NOW - minutes).isoformat(timespec="seconds")
        journal.record(record(60 + number, arrived=arrived, at=arrived, **unsure), NOW)
    for number in range(9):
        wrong = number in {0, 4}  # 0 is scratched and taken for normal, 4 the other way round
        anomalous = (number % 3 == 0) != wrong
        journal.record(
            record(
                number, item=f"{1000 + number:024x}", trial="new-data", is_anomalous=anomalous,
                confidence=0.6 + 0.04 * number, verdict="reject" if anomalous else "accept",
                labels=("scratch",) if anomalous or number == 0 else (), source=f"s3://{BUCKET}/new-data/{PROJECT}/new-data/{number}.jpg",
                mask=f"s3://{BUCKET}/masks/{PROJECT}/{1000 + number:024x}.png" if anomalous else None,
            ),
            NOW,
        )  # fmt: skip
    for number, reason in enumerate(("truncated", "no_model_running", "no_model_running")):
        journal.quarantine(
            Quarantined(
                item=f"{500 + number:024x}", source=f"s3://{BUCKET}/incoming/{PROJECT}/a/top/{number}.jpg",
                project=PROJECT, etag="e", reason=reason, detail="send it again", at=NOW.isoformat(),
            )
        )  # fmt: skip


def _drift(table):
    same = {"line": "a", "camera": "top", "p": 0.4, "alpha": 0.0001, "n": 300, "reference": 200, "psi": 0.02}
    found = [
        Finding(measure="sharpness", alarm=False, size=0.06, words="As before: median 88, reference 87.", **same),
        Finding(
            measure="score", alarm=False, unclear=True, size=0.4, **{**same, "n": 31, "p": 0.002},
            words="Of these 31 photographs it may still be chance, more will tell: median 0.2, reference 0.1.",
        ),
        Finding(
            measure="brightness", alarm=True, size=0.71, **{**same, "p": 1e-12, "psi": 1.9},
            words="Photographs are darker than before: median 71 instead of 120. Look at the lamp.",
            examples=tuple(f"s3://{BUCKET}/incoming/{PROJECT}/a/top/{number}.jpg" for number in range(3)),
        ),
    ]  # fmt: skip
    for each in found:
        item = {"until": NOW.isoformat(), "finding": each.model_dump_json()}
        table.commit(Put((f"DRIFT#{PROJECT}", f"a#top#{each.measure}"), item))
        if each.alarm:
            table.commit(Put((f"ALARM#{PROJECT}", f"{NOW.isoformat()}#a#top#{each.measure}"), item))


def make(now=None):
    """The world, as long as the caller is within `mock_aws`; `now` is what the pages take for the time (seconds)."""
    dynamodb, s3 = _clients()
    dynamodb.create_table(
        TableName="inspection",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    queue, sagemaker, athena, machine, asked = [], Stopping(), Athena(), Machine(), []
    services = Services(
        place=Place.model_validate(ENVIRONMENT),
        table=Table(dynamodb, "inspection"),
        s3=s3,
        sagemaker=sagemaker,
        later=lambda task, document: queue.append((task, document)),
        backend=Answering(),
        now=now or NOW.timestamp,
    )

    def work():
        """What the functions do that nobody waits for."""
        while queue:
            _, document = queue.pop(0)
            datasets.ingest(services, document["project"], document["type"], document["ticket"])

    lines = _pictures(s3)
    for name in (PROJECT, "empty"):
        projects.create_project(services, {"ProjectName": name})
    for kind, each in lines.items():
        datasets.create_dataset(services, {"ProjectName": PROJECT, "DatasetType": kind})
        body = "".join(f"{line}\n" for line in each).encode()
        datasets.update_dataset_entries(services, {"ProjectName": PROJECT, "DatasetType": kind, "Changes": body})
        work()
    _trained(services, sagemaker)
    _journal(services.table)
    _drift(services.table)
    return SimpleNamespace(
        services=services, s3=s3, sagemaker=sagemaker, athena=athena, machine=machine, work=work, examined=asked,
        queue=queue,
    )  # fmt: skip


def _trained(services, sagemaker):
    output = {"S3Location": {"Bucket": BUCKET, "Prefix": "out"}}
    for number in (1, 2, 3):
        models.create_model(services, {"ProjectName": PROJECT, "OutputConfig": output, "Description": f"try {number}"})
        job = next(name for name, each in sagemaker.jobs.items() if each["TrainingJobStatus"] == "InProgress")
        if number == 3:
            sagemaker.jobs[job]["SecondaryStatusTransitions"] = [{"Status": "Training", "StatusMessage": "Training"}]
            continue
        key = f"projects/{PROJECT}/models/{number}/output/{job}/output/model.tar.gz"
        services.s3.put_object(Bucket=BUCKET, Key=key, Body=model_archive())
        sagemaker.jobs[job] |= {
            "TrainingJobStatus": "Completed",
            "TrainingEndTime": NOW + dt.timedelta(seconds=90),
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://{BUCKET}/{key}"},
        }
        assert training.ended(services, job) == "TRAINED"
    champion.point(services, PROJECT, 1, "first", "the project's first model")
    models.start_model(services, {"ProjectName": PROJECT, "ModelVersion": "1", "MinInferenceUnits": 1})
    words = "It trades one kind of error for the other, which a person must weigh."
    found = Duel(project=PROJECT, champion=1, challenger=2, decision="keep", words=words, at=NOW.isoformat(),
                 normals=10, anomalies=10, missed=(1, 0), false_rejects=(1, 2), auroc=(0.95, 0.96), wins=1, losses=1,
                 p=1.0)  # fmt: skip
    services.table.commit(Put((f"PROJECT#{PROJECT}", "DUEL#000002"), found.model_dump(exclude_none=True), absent=False))


def load(world, name="pages"):
    """A cold start of `lambdas.inspection.{name}` on the world; gives its handler."""
    functions = SimpleNamespace(invoke=lambda **request: world.examined.append(json.loads(request["Payload"])))
    clients = {"athena": world.athena, "lambda": functions, "stepfunctions": world.machine}
    with (
        mock.patch.dict(os.environ, ENVIRONMENT),
        mock.patch("sextant.inspection.api.wiring.services", return_value=world.services),
        mock.patch("sextant.aws.client", side_effect=clients.__getitem__),
    ):
        sys.modules.pop(f"lambdas.inspection.{name}", None)
        module = importlib.import_module(f"lambdas.inspection.{name}")
    return lambda request: module.handler(request, CONTEXT)


@contextmanager
def account():
    """An account of moto for `make`."""
    with mock.patch.dict(os.environ, ENVIRONMENT), mock_aws():
        os.environ.pop("AWS_ENDPOINT_URL", None)  # of the embedded AWS, where other tests have started it
        yield


@contextmanager
def later(world, seconds):
    """The world as it is some seconds later."""
    before = world.services.now
    object.__setattr__(world.services, "now", lambda: NOW.timestamp() + seconds)
    yield
    object.__setattr__(world.services, "now", before)


def rgba(body):
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA")).astype(int)
