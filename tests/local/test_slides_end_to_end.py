"""The slides system on the whole embedded AWS: S3 event, Step Functions, SageMaker jobs, registry, endpoint, IAM."""

import io
import json
import time
from dataclasses import dataclass

import pytest

from samples.slides import demo
from sextant.slides import tfrecord
from sextant.slides.client import Deployed
from sextant.slides.operation import Place, Slides
from sextant.slides.records import from_record, pixels
from sextant.slides.results import SlideResult


@dataclass(frozen=True)
class Scanned:
    """The embedded AWS after the sample cohort went through the pipeline."""

    embedded: object
    deployed: Deployed
    checks: list

    @property
    def operation(self):
        place = Place(
            MACHINE_ARN=self.deployed.machine_arn,
            RUNS_BUCKET=self.deployed.runs_bucket,
            MODEL_PACKAGE_GROUP=self.deployed.model_package_group,
        )
        client = self.embedded.client
        return Slides(place, stepfunctions=client("stepfunctions"), sagemaker=client("sagemaker"), s3=client("s3"))

    def read(self, run, name):
        s3 = self.embedded.client("s3")
        return s3.get_object(Bucket=self.deployed.runs_bucket, Key=f"runs/{run}/{name}")["Body"].read()


@pytest.fixture(scope="module")
def scanned(embedded, tmp_path_factory):
    """The slides demo, run once."""
    checks = demo.demo(embedded.session, embedded.outputs, tmp_path_factory.mktemp("scanned"), lambda *_: None)
    return Scanned(embedded, Deployed.of(embedded.outputs["local-Slides"]), checks)


@pytest.fixture(scope="module")
def run(scanned):
    (found,) = scanned.operation.runs(10).runs
    return found


def test_every_number_equals_the_truth(scanned):
    wrong = {check.name: (check.measured, check.expected) for check in scanned.checks if not check.ok}

    assert wrong == {}
    assert len(scanned.checks) >= 15


def test_the_same_event_again_starts_no_second_run(scanned, run):
    given = scanned.operation.given(run.id)
    bucket, _, key = given.table.removeprefix("s3://").partition("/")
    etag = scanned.embedded.client("s3").head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    stamp = run.id.partition("-")[0]
    event = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}Z",
        "detail": {"bucket": {"name": bucket}, "object": {"key": key, "etag": etag}},
    }
    names = [each["FunctionName"] for each in scanned.embedded.client("lambda").list_functions()["Functions"]]
    (start,) = [name for name in names if "Slides" in name and "Start" in name]

    answer = scanned.embedded.client("lambda").invoke(FunctionName=start, Payload=json.dumps(event))

    assert json.loads(answer["Payload"].read())["run"] == run.id
    assert [each.id for each in scanned.operation.runs(10).runs] == [run.id]


def test_the_run_is_told_step_by_step_with_its_logs(scanned, run):
    found, steps = scanned.operation.run(run.id)

    assert (found.state, found.done, found.total) == ("succeeded", 9, 9)
    assert {step.state for step in steps} == {"succeeded"}
    (tile,) = [step for step in steps if step.name == "Tile"]
    logs = scanned.embedded.client("logs")
    streams = logs.describe_log_streams(logGroupName=tile.log.group, logStreamNamePrefix=tile.log.stream)["logStreams"]
    assert len(streams) == 2, "one for each instance"


def test_what_cannot_be_used_is_in_quarantine_and_the_model_waits(scanned):
    found = scanned.operation.quarantine("", "", 0, 100)
    needs = {need.kind: need.count for need in scanned.operation.needs()}

    assert found.total == 8
    (torn,) = [each for each in found.entries if each.reason == "unreadable tiles"]
    assert torn.source.endswith("/cohorts/sample/S31.svs")
    assert needs == {"quarantine": 8, "approval": 1}


def test_an_approved_model_answers_as_the_batch_did(scanned, run):
    """The endpoint follows the approval by itself; its scores of a slide are those of the transform job."""
    sagemaker = scanned.embedded.client("sagemaker")
    listed = sagemaker.list_model_packages(ModelPackageGroupName=scanned.deployed.model_package_group)
    (package,) = [each["ModelPackageArn"] for each in listed["ModelPackageSummaryList"]]
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    name = scanned.deployed.model_package_group
    deadline = time.monotonic() + 120
    status = ""
    while status != "InService" and time.monotonic() < deadline:
        time.sleep(0.5)
        there = {each["EndpointName"]: each["EndpointStatus"] for each in sagemaker.list_endpoints()["Endpoints"]}
        status = there.get(name, "")
        assert status != "Failed"
    scaling, policies = scanned.embedded.client("application-autoscaling"), []
    while not policies and time.monotonic() < deadline:  # the endpoint's own event has it registered, the policy last
        time.sleep(0.5)
        policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policies
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert [(each["ResourceId"], each["MinCapacity"], each["MaxCapacity"]) for each in targets] == [
        (f"endpoint/{name}/variant/main", 1, 4)
    ]
    results = [each for each in _results(scanned, run.id) if each.n_tiles]
    slide = results[0].slide
    records = f"s3://{scanned.deployed.runs_bucket}/runs/{run.id}/records/test/{slide}.tfrecord"

    answer = scanned.embedded.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name,
        ContentType="application/json",
        Accept="application/json",
        Body=json.dumps({"slide_records": records}),
    )

    told = json.loads(answer["Body"].read())
    assert told["predicted"] == results[0].predicted
    assert told["scores"] == pytest.approx(results[0].scores, abs=1e-6)
    assert {need.kind: need.count for need in scanned.operation.needs()}["approval"] == 0

    # As the original post asks its endpoint: a tile's colours as JSON, a list of scores as answer.
    classes = tuple(results[0].scores)
    payloads = tfrecord.read(io.BytesIO(scanned.read(run.id, f"records/test/{slide}.tfrecord")), slide)
    lines = scanned.read(run.id, f"scores/{slide}.tfrecord.out").splitlines()
    for payload, line in zip(list(payloads)[:2], lines, strict=False):
        image = pixels(from_record(payload)).astype("float32")
        body = json.dumps({"instances": image[None].tolist()}).encode()
        answer = scanned.embedded.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, ContentType="application/json", Body=body
        )
        (found,) = json.loads(answer["Body"].read())["predictions"]
        assert found == pytest.approx([json.loads(line)["scores"][each] for each in classes], abs=0.02)


def test_another_run_over_the_cohort_tiles_nothing(scanned, run):
    stored = _objects(scanned, "runs/tiles/")
    assert len([key for key in stored if key.endswith("/tiles.json")]) == 29

    again = scanned.operation.start()

    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        found, steps = scanned.operation.run(again)
        if found.state != "running" or {step.name: step.state for step in steps}["Tile"] == "succeeded":
            break
        time.sleep(0.5)
    scanned.operation.stop(again)
    assert {step.name: step.state for step in steps}["Tile"] == "succeeded"
    assert _objects(scanned, "runs/tiles/") == stored, "with the times of their last change"
    for name in ("tiles/", "view/"):
        first, second = ({key.rpartition("/")[2] for key in _objects(scanned, f"runs/{each}/{name}")}
                         for each in (run.id, again))  # fmt: skip
        assert first == second
        assert len(first) >= 29


def test_a_run_that_is_stopped_ends_its_job(scanned):
    operation = scanned.operation
    again = operation.start()
    sagemaker = scanned.embedded.client("sagemaker")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        jobs = sagemaker.list_processing_jobs(NameContains=again)["ProcessingJobSummaries"]
        if jobs:
            break
        time.sleep(0.2)

    operation.stop(again)

    (job,) = jobs
    while time.monotonic() < deadline:
        status = sagemaker.describe_processing_job(ProcessingJobName=job["ProcessingJobName"])["ProcessingJobStatus"]
        if status not in ("InProgress", "Stopping"):
            break
        time.sleep(0.2)
    assert status == "Stopped"
    assert operation.run(again)[0].state == "stopped"


def _objects(scanned, prefix):
    """The objects below a prefix of the runs' bucket, with the time of their last change."""
    pages = scanned.embedded.client("s3").get_paginator("list_objects_v2")
    listed = pages.paginate(Bucket=scanned.deployed.runs_bucket, Prefix=prefix)
    return {each["Key"]: each["LastModified"] for page in listed for each in page.get("Contents", [])}


def test_a_stopped_run_that_is_redriven_goes_on_with_the_step_it_was_in(scanned):
    """Its job has a new name, under which its log is found; what the execution was given stays."""
    operation, states = scanned.operation, scanned.embedded.client("stepfunctions")
    (stopped,) = operation.runs(1).runs
    assert stopped.state == "stopped"
    _, before = operation.run(stopped.id)
    (name,) = [step.name for step in before if step.state == "stopped"]
    arn = f"{scanned.deployed.machine_arn.replace(':stateMachine:', ':execution:')}:{stopped.id}"

    states.redrive_execution(executionArn=arn)

    deadline = time.monotonic() + 120
    while True:
        found, steps = operation.run(stopped.id)
        (step,) = [step for step in steps if step.name == name]
        assert found.state == "running", step.error
        if step.state == "succeeded":
            break
        assert time.monotonic() < deadline, step
        time.sleep(0.2)
    job = f"{stopped.id}-{name.lower()}-1-0"
    assert step.log.stream == job
    described = scanned.embedded.client("sagemaker").describe_processing_job(ProcessingJobName=job)
    assert described["ProcessingJobStatus"] == "Completed"
    operation.stop(stopped.id)


def _results(scanned, run):
    s3 = scanned.embedded.client("s3")
    listed = s3.list_objects_v2(Bucket=scanned.deployed.runs_bucket, Prefix=f"runs/{run}/evaluation/slides/")
    names = [each["Key"] for each in listed["Contents"] if each["Key"].endswith(".json")]
    return [
        SlideResult.model_validate_json(scanned.read(run, name.removeprefix(f"runs/{run}/"))) for name in sorted(names)
    ]
