"""The functions of the API: their environment, their events, and what they tell CloudWatch."""

import importlib
import io
import json
import sys
import zipfile
from types import SimpleNamespace

import pytest

from sextant.inspection.api import measures, wiring
from tests.inspection_api.stand import JPEG, PLACE, event_of

CONTEXT = SimpleNamespace(
    function_name="inspection-api",
    memory_limit_in_mb=1769,
    invoked_function_arn="arn:aws:lambda:us-east-1:111122223333:function:inspection-api",
    aws_request_id="8f2c",
)
JSON = {"content-type": "application/json"}
# As EventBridge delivers SageMaker's change of a training job, shortened to what a handler may rely on.
TRAINING_EVENT = {
    "version": "0",
    "id": "844e2571-85d4-695f-b930-0153b71dcb42",
    "detail-type": "SageMaker Training Job State Change",
    "source": "aws.sagemaker",
    "account": "111122223333",
    "time": "2026-11-21T20:38:11Z",
    "region": "us-east-1",
    "resources": ["arn:aws:sagemaker:us-east-1:111122223333:training-job/nobodys"],
    "detail": {"TrainingJobName": "nobodys", "TrainingJobStatus": "Completed", "SecondaryStatus": "Completed"},
}


@pytest.fixture
def handler(cloud, monkeypatch):  # noqa: ARG001 - they make their clients in that account
    """Loads a handler's module as Lambda does, with the environment that the stack gives it."""
    for name, value in PLACE.model_dump().items():
        monkeypatch.setenv(name, json.dumps(value) if isinstance(value, dict) else value)
    loaded = []

    def load(name):
        loaded.append(f"lambdas.inspection.{name}")
        sys.modules.pop(loaded[-1], None)
        return importlib.import_module(loaded[-1])

    yield load
    for name in loaded:
        sys.modules.pop(name, None)


def test_a_request_is_answered_and_work_is_handed_to_the_other_functions(handler, cloud):
    api = handler("api")
    calls = []
    object.__setattr__(api.services, "later", lambda *task: calls.append(task))
    made = api.handler(event_of("POST", "/2020-11-20/projects", JSON, b'{"ProjectName": "lego"}'), CONTEXT)
    assert made["statusCode"] == 200
    assert json.loads(made["body"])["ProjectMetadata"]["ProjectName"] == "lego"
    line = b'{"source-ref": "s3://customer/a.jpg"}\n'
    cloud.s3.put_object(Bucket="customer", Key="m.manifest", Body=line)
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "customer", "Key": "m.manifest"}}}
    body = json.dumps({"DatasetType": "train", "DatasetSource": source}).encode()
    told = api.handler(event_of("POST", "/2020-11-20/projects/lego/datasets", JSON, body), CONTEXT)
    assert told["statusCode"] == 202
    ((task, document),) = calls
    assert task == "ingest"
    assert handler("ingest").handler(document, CONTEXT) == {"state": "CREATE_COMPLETE"}
    got = api.handler(event_of("GET", "/2020-11-20/projects/lego/datasets/train", {}, b""), CONTEXT)
    assert json.loads(got["body"])["DatasetDescription"]["ImageStats"]["Total"] == 1


def test_work_is_handed_over_as_an_event_of_lambda():
    calls = []
    functions = SimpleNamespace(invoke=lambda **request: calls.append(request))
    wiring._later(functions, PLACE)("packaging", {"project": "lego", "job": "j"})
    assert calls == [
        {"FunctionName": "packaging", "InvocationType": "Event", "Payload": b'{"project": "lego", "job": "j"}'}
    ]


def test_a_training_that_is_nobodys_changes_nothing(handler):
    assert handler("trained").handler(TRAINING_EVENT, CONTEXT) == {"job": "nobodys", "state": "unchanged"}


def test_a_packaging_job_makes_the_sorters_package(handler, api):
    api.project("lego", normal=12)
    api.trained()
    greengrass = {
        "S3OutputLocation": {"Bucket": "customer"},
        "ComponentName": "sorter",
        "TargetDevice": "jetson_xavier",
    }
    asked = {"ProjectName": "lego", "ModelVersion": "1", "Configuration": {"Greengrass": greengrass}}
    job = api.client.start_model_packaging_job(**asked)["JobName"]
    assert handler("packaging").handler({"project": "lego", "job": job}, CONTEXT) == {"state": "SUCCEEDED"}
    body = api.s3.get_object(Bucket="customer", Key="sorter/1.0.0/sorter.zip")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as package:
        assert {"install.sh", "model.tar.gz", "sextant-edge.toml"} < set(package.namelist())
        assert "lego" in package.read("sextant-edge.toml").decode()


def test_a_packaging_job_that_is_not_there_changes_nothing(handler):
    assert handler("packaging").handler({"project": "lego", "job": "j"}, CONTEXT) == {"state": "unchanged"}


def test_an_incomplete_environment_is_told_at_the_start(handler, monkeypatch):
    monkeypatch.delenv("TABLE")
    with pytest.raises(ValueError, match="TABLE: Field required"):
        handler("api")


def metrics(capsys):
    """Name, value and unit of what was told, by dimensions."""
    found = {}
    for line in capsys.readouterr().out.splitlines():
        document = json.loads(line)
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == PLACE.METRICS
        assert directive["Dimensions"] == [["ProjectName", "ModelVersion"]]
        assert (document["ProjectName"], document["ModelVersion"]) == ("lego", "2")
        for metric in directive["Metrics"]:
            found[metric["Name"]] = document[metric["Name"]][0]
    return found


@pytest.mark.parametrize(
    ("status", "anomalous", "told"),
    [
        (200, True, {"ProcessedImageCount": 1, "SuccessfulRequestCount": 1, "DetectedAnomalyCount": 1}),
        (200, False, {"ProcessedImageCount": 1, "SuccessfulRequestCount": 1, "DetectedAnomalyCount": 0}),
        (400, None, {"InvalidImageCount": 1, "ErrorCount": 1}),
        (409, None, {"ErrorCount": 1}),
        (429, None, {"ThrottledCount": 1}),
    ],
)
def test_photographs_are_counted_under_the_names_of_the_service(capsys, status, anomalous, told):
    event = event_of("POST", "/2020-11-20/projects/lego/models/2/detect", {"content-type": "image/jpeg"}, JPEG)
    body = json.dumps({"DetectAnomalyResult": {"IsAnomalous": anomalous}})
    measures.tell(PLACE.METRICS, event, {"statusCode": status, "body": body}, 0.25)
    assert metrics(capsys) == {**told, "Time": 250}


def test_other_requests_are_not_counted(capsys):
    measures.tell(PLACE.METRICS, event_of("GET", "/2020-11-20/projects", {}, b""), {"statusCode": 200}, 0.1)
    assert capsys.readouterr().out == ""
