"""What answers photographs: the function itself, an endpoint of ours or of AWS's algorithm, the old service."""

import dataclasses
import io
import json
import struct
import zlib
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from sextant.inspection import archive, client, detector, photograph
from sextant.inspection.api import backends
from sextant.inspection.api.errors import ApiError
from sextant.inspection.api.services import Version
from tests.inspection_api.stand import JPEG, PLACE, client_error

ARN = "arn:aws:sagemaker:us-east-1:111122223333:thing/x"
VERSION = Version("lego", 1, "arn:model", "s3://data/projects/lego/models/1/model.tar.gz", "dev-inspection-lego-1-abc")
ENDPOINT = {"EndpointName": VERSION.name}
RESULT = {"Source": {"Type": "direct"}, "IsAnomalous": True, "Confidence": 0.9378}


class Bucket:
    """S3 with one object; counts how often it is read."""

    def __init__(self, body=b"archive"):
        self.body, self.reads = body, 0

    def head_object(self, **_):
        return {}

    def get_object(self, **_):
        self.reads += 1
        return {"Body": io.BytesIO(self.body)}


@pytest.fixture
def detecting(monkeypatch):
    """The detector's functions, noting what they get."""
    monkeypatch.setattr(archive, "load", lambda body: ("detector of", body))
    monkeypatch.setattr(photograph, "read", lambda body: ("pixels of", body))
    monkeypatch.setattr(detector, "detect", lambda loaded, pixels: (loaded, pixels))
    monkeypatch.setattr(detector, "response", lambda found: {"DetectAnomalyResult": {"found": found}})


@pytest.mark.usefixtures("detecting")
def test_the_function_itself_detects_with_the_versions_archive_read_once():
    s3 = Bucket()
    backend = backends.backend(PLACE, s3, None)
    assert backend.start(VERSION, 1) == "HOSTED"
    for _ in range(2):
        found = backend.detect(VERSION, JPEG, "image/jpeg")
        assert found == {"found": (("detector of", b"archive"), ("pixels of", JPEG))}
    assert s3.reads == 1
    assert backend.state(VERSION, "STARTING_HOSTING") == ("HOSTED", "")
    assert backend.stop(VERSION) == "TRAINED"
    backend.detect(VERSION, JPEG, "image/jpeg")
    assert s3.reads == 2


@pytest.mark.usefixtures("detecting")
def test_a_function_keeps_only_some_detectors():
    s3 = Bucket()
    backend = backends.Lambda(s3)
    versions = [VERSION.__class__("lego", n, "arn", "s3://data/x", f"v{n}") for n in range(6)]
    for version in (*versions, versions[5], versions[2], versions[0]):
        backend.detect(version, JPEG, "image/jpeg")
    assert s3.reads == 7, "four stay: the last two asks are of the oldest kept and of one that is gone"


def png(width, height):
    """A PNG of one colour: thousands of pixels to a byte."""
    rows = zlib.compress(b"".join(b"\0" + b"\0" * width for _ in range(height)), 9)
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    "body", [JPEG, png(20_000, 20_000), png(1, 1), png(300, 300)[:-40]], ids=["junk", "bomb", "1 pixel", "truncated"]
)
def test_a_photograph_that_cannot_be_used_is_the_callers_fault(body):
    with pytest.raises(ApiError, match="ValidationException: The photograph cannot be used") as caught:
        backends.Lambda(Bucket(b"no archive")).detect(VERSION, body, "image/jpeg")
    assert caught.value.status == 400


def test_an_archive_that_cannot_be_loaded_is_the_apis_fault(monkeypatch):
    monkeypatch.setattr(photograph, "read", lambda body: body)
    with pytest.raises(ApiError, match=r"InternalServerException: The model s3://.*cannot be loaded"):
        backends.Lambda(Bucket(b"no archive")).detect(VERSION, JPEG, "image/jpeg")


@pytest.fixture
def aws():
    """Clients whose calls a test tells beforehand."""
    made = {name: boto3.client(name, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
            for name in ("sagemaker", "sagemaker-runtime", "application-autoscaling")}  # fmt: skip
    told, asked, scaled = (Stubber(each) for each in made.values())
    with told, asked, scaled:
        yield SimpleNamespace(clients=tuple(made.values()), told=told, asked=asked, scaled=scaled)
        for stub in (told, asked, scaled):
            stub.assert_no_pending_responses()


def endpoint(aws, **place):
    return backends.SageMakerEndpoint(PLACE.model_copy(update={"BACKEND": "sagemaker", **place}), *aws.clients)


def described(aws, status=None, **told):
    if status is None:
        aws.told.add_client_error("describe_endpoint", "ValidationException", "Could not find endpoint", 400)
        return
    answer = {
        **ENDPOINT,
        "EndpointArn": ARN,
        "EndpointStatus": status,
        "CreationTime": 0,
        "LastModifiedTime": 0,
        **told,
    }
    aws.told.add_response("describe_endpoint", answer, ENDPOINT)


def parts_deleted(aws):
    aws.told.add_response("delete_endpoint_config", {}, {"EndpointConfigName": VERSION.name})
    aws.told.add_response("delete_model", {}, {"ModelName": VERSION.name})


def test_an_endpoint_is_made_for_a_start_and_deleted_with_all_its_parts_for_a_stop(aws):
    backend = endpoint(aws)
    container = {"Image": PLACE.IMAGE, "ModelDataUrl": VERSION.archive}
    named = {"ModelName": VERSION.name, "ExecutionRoleArn": PLACE.ROLE_ARN, "PrimaryContainer": container}
    aws.told.add_response("create_model", {"ModelArn": ARN}, named)
    variant = {
        "VariantName": "main",
        "ModelName": VERSION.name,
        "InstanceType": "ml.c5.large",
        "InitialInstanceCount": 2,
    }
    config = {"EndpointConfigName": VERSION.name, "ProductionVariants": [variant]}
    aws.told.add_response("create_endpoint_config", {"EndpointConfigArn": ARN}, config)
    aws.told.add_response("create_endpoint", {"EndpointArn": ARN}, ENDPOINT | {"EndpointConfigName": VERSION.name})
    assert backend.start(VERSION, 2) == "STARTING_HOSTING"
    described(aws, "Creating")
    assert backend.settle(VERSION, "STARTING_HOSTING") == ("STARTING_HOSTING", "")
    described(aws, "InService")
    assert backend.settle(VERSION, "STARTING_HOSTING") == ("HOSTED", "")
    described(aws, "InService")
    aws.told.add_response("delete_endpoint", {}, ENDPOINT)
    parts_deleted(aws)
    assert backend.stop(VERSION) == "STOPPING_HOSTING"
    described(aws, "Deleting")
    parts_deleted(aws)
    assert backend.settle(VERSION, "STOPPING_HOSTING") == ("STOPPING_HOSTING", "")
    described(aws)
    parts_deleted(aws)
    assert backend.settle(VERSION, "STOPPING_HOSTING") == ("TRAINED", "")


IN_PROGRESS = f'Cannot update in-progress endpoint "{ARN}".'


def test_an_endpoint_that_is_stopped_while_it_is_made_is_deleted_as_soon_as_sagemaker_lets_one(aws):
    backend = endpoint(aws)
    for status in ("Creating", "Updating"):
        described(aws, status)
        aws.told.add_client_error("delete_endpoint", "ValidationException", IN_PROGRESS)
        assert backend.settle(VERSION, "STOPPING_HOSTING") == ("STOPPING_HOSTING", ""), "its configuration stays, too"
    described(aws, "InService")
    aws.told.add_response("delete_endpoint", {}, ENDPOINT)
    parts_deleted(aws)
    assert backend.settle(VERSION, "STOPPING_HOSTING") == ("STOPPING_HOSTING", "")


def test_a_deletion_that_was_throttled_is_done_by_whoever_asks_next(aws):
    backend = endpoint(aws)
    described(aws, "InService")
    aws.told.add_client_error("delete_endpoint", "ThrottlingException", "Rate exceeded")
    with pytest.raises(ClientError, match="Throttling"):
        backend.stop(VERSION)
    described(aws, "Failed")
    aws.told.add_response("delete_endpoint", {}, ENDPOINT)
    parts_deleted(aws)
    assert backend.settle(VERSION, "STOPPING_HOSTING") == ("STOPPING_HOSTING", "")


@pytest.mark.parametrize("status", ["Creating", "InService", "Failed", None])
@pytest.mark.parametrize("state", ["STARTING_HOSTING", "STOPPING_HOSTING"])
def test_who_only_asks_changes_nothing(aws, status, state):
    described(aws, status)  # any other call has no answer here
    assert (
        endpoint(aws).state(GROWING, state)[0]
        in {
            "Creating": {state},
            "InService": {"HOSTED" if state == "STARTING_HOSTING" else state},
            "Failed": {"HOSTING_FAILED" if state == "STARTING_HOSTING" else state},
            None: {"HOSTING_FAILED" if state == "STARTING_HOSTING" else "TRAINED"},
        }[status]
    )


def test_a_start_that_comes_again_uses_what_is_there_and_a_stop_what_is_gone(aws):
    backend = endpoint(aws)
    for call in ("create_model", "create_endpoint_config", "create_endpoint"):
        aws.told.add_client_error(call, "ValidationException", "Cannot create already existing thing")
    assert backend.start(VERSION, 1) == "STARTING_HOSTING"
    described(aws)
    for call in ("delete_endpoint_config", "delete_model"):
        aws.told.add_client_error(call, "ValidationException", "Could not find it")
    assert backend.stop(VERSION) == "TRAINED"
    described(aws)
    aws.told.add_client_error("delete_endpoint_config", "ValidationException", "It is in use")
    with pytest.raises(ClientError, match="in use"):
        backend.stop(VERSION)


def test_an_endpoint_that_fails_is_deleted_and_tells_why(aws):
    backend = endpoint(aws)
    described(aws, "Failed", FailureReason="no capacity")
    aws.told.add_response("delete_endpoint", {}, ENDPOINT)
    parts_deleted(aws)
    assert backend.settle(VERSION, "STARTING_HOSTING") == ("HOSTING_FAILED", "no capacity")
    described(aws)
    parts_deleted(aws)
    assert backend.settle(VERSION, "STARTING_HOSTING")[0] == "HOSTING_FAILED"


GROWING = dataclasses.replace(VERSION, units=2, most_units=5)
VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": f"endpoint/{VERSION.name}/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
SERVING = {"ProductionVariants": [{"VariantName": "main"}]}


def test_instances_follow_the_requests_up_to_the_most_inference_units(aws):
    backend = endpoint(aws)
    described(aws, "InService", **SERVING)
    numbers = {"MinCapacity": 2, "MaxCapacity": 5}
    aws.scaled.add_response("register_scalable_target", {"ScalableTargetARN": ARN}, VARIANT | numbers)
    tracked = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    policy = {"PolicyName": "requests", "PolicyType": "TargetTrackingScaling",
              "TargetTrackingScalingPolicyConfiguration":
              {"TargetValue": 300.0, "PredefinedMetricSpecification": tracked}}  # fmt: skip
    aws.scaled.add_response("put_scaling_policy", {"PolicyARN": ARN, "Alarms": []}, VARIANT | policy)
    assert backend.settle(GROWING, "STARTING_HOSTING") == ("HOSTED", "")
    described(aws, "InService", **SERVING)
    aws.scaled.add_response("deregister_scalable_target", {}, VARIANT)
    aws.told.add_response("delete_endpoint", {}, ENDPOINT)
    parts_deleted(aws)
    assert backend.stop(GROWING) == "STOPPING_HOSTING"
    described(aws, "Creating")  # without variants
    aws.told.add_client_error("delete_endpoint", "ValidationException", IN_PROGRESS)
    assert backend.stop(GROWING) == "STOPPING_HOSTING"


def test_scaling_that_is_refused_costs_neither_start_nor_stop(aws):
    backend = endpoint(aws)
    described(aws, "InService", **SERVING)
    aws.scaled.add_client_error("register_scalable_target", "AccessDeniedException", "no", 400)
    state, told = backend.settle(GROWING, "STARTING_HOSTING")
    assert (state, "stays at 2 units" in told, "AccessDenied" in told) == ("HOSTED", True, True)
    described(aws, "InService", **SERVING)
    aws.scaled.add_client_error("deregister_scalable_target", "ObjectNotFoundException", "no", 400)
    aws.told.add_response("delete_endpoint", {}, ENDPOINT)
    parts_deleted(aws)
    assert backend.stop(GROWING) == "STOPPING_HOSTING"


def answers(aws, document):
    body = json.dumps(document).encode()
    request = {**ENDPOINT, "ContentType": "image/jpeg", "Accept": "application/json", "Body": JPEG}
    aws.asked.add_response("invoke_endpoint", {"Body": StreamingBody(io.BytesIO(body), len(body))}, request)


def test_answers_of_our_image_and_of_awss_algorithm_are_the_same(aws):
    backend = endpoint(aws)
    answers(aws, {"DetectAnomalyResult": RESULT})
    assert backend.detect(VERSION, JPEG, "image/jpeg") == RESULT
    answers(aws, RESULT)
    assert backend.detect(VERSION, JPEG, "image/jpeg") == RESULT


@pytest.mark.parametrize(("status", "code"), [(415, "ValidationException"), (500, "InternalServerException")])
@pytest.mark.parametrize("message", ['{"error": "not_an_image", "reason": "x"}', "not_an_image"])
def test_what_the_endpoint_refuses_is_the_photographs_fault_and_what_it_fails_at_is_not(aws, status, code, message):
    told = {"OriginalStatusCode": status, "OriginalMessage": message}
    aws.asked.add_client_error("invoke_endpoint", "ModelError", "failed", 424, modeled_fields=told)
    with pytest.raises(ApiError, match=f"{code}: .*: not_an_image$"):
        endpoint(aws).detect(VERSION, JPEG, "image/jpeg")


def test_awss_algorithm_is_hosted_by_its_own_configuration(aws):
    backend = endpoint(aws, BACKEND="marketplace", ENDPOINT_CONFIG="aws-defects")
    aws.told.add_response("create_endpoint", {"EndpointArn": ARN}, ENDPOINT | {"EndpointConfigName": "aws-defects"})
    assert backend.start(VERSION, 1) == "STARTING_HOSTING"
    described(aws, "InService")
    aws.told.add_response("delete_endpoint", {}, ENDPOINT)
    assert backend.stop(VERSION) == "STOPPING_HOSTING"


class Service:
    """The old service as far as a backend asks it."""

    class exceptions:  # noqa: N801 - as boto3 calls it
        class ConflictException(ClientError):  # noqa: N818
            pass

        class ResourceNotFoundException(ClientError):  # noqa: N818
            pass

    def start_model(self, **request):
        assert request == {"ProjectName": "lego", "ModelVersion": "1", "MinInferenceUnits": 3}
        return {"Status": "STARTING_HOSTING"}

    def stop_model(self, **_):
        raise self.exceptions.ConflictException({"Error": {"Code": "ConflictException"}}, "StopModel")

    def describe_model(self, **_):
        return {"ModelDescription": {"Status": "HOSTED", "StatusMessage": "fine"}}

    def detect_anomalies(self, **request):
        if request["Body"] == JPEG:
            return {"DetectAnomalyResult": RESULT}
        raise client_error("ValidationException", "no image", "DetectAnomalies")


def test_the_old_service_answers_by_its_own_words():
    backend = backends.Legacy(Service())
    assert backend.start(VERSION, 3) == "STARTING_HOSTING"
    assert backend.state(VERSION, "STARTING_HOSTING") == ("HOSTED", "fine")
    assert backend.detect(VERSION, JPEG, "image/jpeg") == RESULT
    with pytest.raises(ApiError, match="ValidationException: no image"):
        backend.detect(VERSION, b"", "image/jpeg")
    assert backend.stop(VERSION) == "HOSTED", "what it refuses to stop is as it tells"


def test_requests_are_signed_for_api_gateway_and_for_the_old_service_as_it_was(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    sent = []

    class Stop(Exception):  # noqa: N818
        pass

    def catch(request, **_):
        sent.append((request.url, request.headers["Authorization"].decode()))
        raise Stop

    for made in (client.lookoutvision("https://abc.execute-api.eu-west-1.amazonaws.com", region_name="eu-west-1"),
                 client.legacy("eu-west-1")):  # fmt: skip
        made.meta.events.register("before-send.lookoutvision", catch)
        with pytest.raises(Stop):
            made.list_projects()
    (url, ours), (old_url, old) = sent
    assert url == "https://abc.execute-api.eu-west-1.amazonaws.com/2020-11-20/projects"
    assert "/eu-west-1/execute-api/aws4_request" in ours
    assert old_url == "https://lookoutvision.eu-west-1.amazonaws.com/2020-11-20/projects"
    assert "/eu-west-1/lookoutvision/aws4_request" in old
