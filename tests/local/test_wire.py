"""The wire between boto3 and an engine: boto3's own serializer and parser on one side, a plain class on the other."""

import asyncio
import datetime as dt
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from localaws.home import Call, ServiceError
from localaws.wire import Request, Service, not_implemented

CALL = Call(account="111122223333", region="eu-central-1")


class _Raw:
    def __init__(self, body):
        self._body = body

    def stream(self, **_):
        yield self._body

    def read(self, *_):
        body, self._body = self._body, b""
        return body


def connect(service, name, call=CALL):
    """A boto3 client whose requests reach `service` without a socket."""
    client = boto3.client(
        name,
        region_name="eu-central-1",
        aws_access_key_id="1",
        aws_secret_access_key="2",
        endpoint_url="http://local",
        config=Config(retries={"total_max_attempts": 1}),
    )

    def send(request, **_):
        parts = urlsplit(request.url)
        body = request.body or b""
        headers = {
            key.lower(): value.decode() if isinstance(value, bytes) else value for key, value in request.headers.items()
        }
        handed = Request(
            request.method,
            parts.path,
            headers,
            body.read() if hasattr(body, "read") else body.encode() if isinstance(body, str) else body,
            parse_qs(parts.query),
        )
        status, headers, answer = asyncio.run(service.handle(handed, call))
        return AWSResponse(request.url, status, headers, _Raw(answer))

    client.meta.events.register("before-send", send)
    return client


class Queries:
    """Records what it was called with; answers as told."""

    def __init__(self, answer=None):
        self.answer = answer
        self.seen = None

    def start_query_execution(self, call, params):
        self.seen = (call, params)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    get_query_execution = start_query_execution
    get_job_run = start_query_execution
    synthesize_speech = start_query_execution
    list_models = start_query_execution


def test_a_json_request_reaches_the_method_with_typed_members():
    engine = Queries({"QueryExecutionId": "q-1"})
    client = connect(Service(engine, "athena"), "athena")

    answer = client.start_query_execution(
        QueryString="SELECT 1",
        ResultReuseConfiguration={"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 5}},
    )

    assert answer["QueryExecutionId"] == "q-1"
    call, params = engine.seen
    assert call.account == "111122223333"
    assert params["QueryString"] == "SELECT 1"
    assert params["ResultReuseConfiguration"]["ResultReuseByAgeConfiguration"] == {
        "Enabled": True,
        "MaxAgeInMinutes": 5,
    }


def test_datetimes_cross_the_wire_as_instants():
    moment = dt.datetime(2026, 11, 21, 7, 30, tzinfo=dt.UTC)
    engine = Queries({"JobRun": {"Id": "r", "StartedOn": moment, "Unknown": "is not in the model and stays home"}})
    client = connect(Service(engine, "glue"), "glue")

    run = client.get_job_run(JobName="j", RunId="r")["JobRun"]

    assert run["StartedOn"] == moment
    assert "Unknown" not in run


def test_an_engine_error_is_boto3s_typed_exception():
    error = ServiceError("InvalidRequestException", "Workgroup x is not found", AthenaErrorCode="WORKGROUP_NOT_FOUND")
    client = connect(Service(Queries(error), "athena"), "athena")

    with pytest.raises(client.exceptions.InvalidRequestException) as caught:
        client.start_query_execution(QueryString="SELECT 1")

    assert caught.value.response["Error"]["Message"] == "Workgroup x is not found"
    assert caught.value.response["AthenaErrorCode"] == "WORKGROUP_NOT_FOUND"


def test_an_operation_that_is_not_there_is_named():
    client = connect(Service(Queries(), "athena"), "athena")

    with pytest.raises(ClientError, match=r"athena:CreateNotebook is not part of this embedded AWS") as caught:
        client.create_notebook(WorkGroup="w", Name="n")

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_fault_of_an_engine_is_an_internal_error_not_a_hang():
    client = connect(Service(Queries(ZeroDivisionError("oops")), "athena"), "athena")

    with pytest.raises(ClientError, match="ZeroDivisionError: oops"):
        client.start_query_execution(QueryString="SELECT 1")


def test_a_missing_required_member_is_refused_in_the_services_own_words():
    service = Service(Queries(), "athena", invalid="InvalidRequestException")
    request = Request("POST", "/", {"x-amz-target": "AmazonAthena.StartQueryExecution"}, b"{}", {})

    status, headers, body = asyncio.run(service.handle(request, CALL))

    assert status == 400
    assert headers["x-amzn-errortype"] == "InvalidRequestException"
    assert b"needs QueryString" in body


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"QueryString": {"a": 1}, "ExecutionParameters": "x"}', b"\xff"])
def test_rubbish_is_a_malformed_request(body):
    service = Service(Queries(), "athena", invalid="InvalidRequestException")
    request = Request("POST", "/", {"x-amz-target": "AmazonAthena.StartQueryExecution"}, body, {})

    status, headers, _ = asyncio.run(service.handle(request, CALL))

    assert (status, headers["x-amzn-errortype"]) == (400, "InvalidRequestException")


def test_an_unknown_target_is_an_unknown_operation():
    request = Request("POST", "/", {"x-amz-target": "AmazonAthena.Nope"}, b"{}", {})

    status, headers, _ = asyncio.run(Service(Queries(), "athena").handle(request, CALL))

    assert (status, headers["x-amzn-errortype"]) == (404, "UnknownOperationException")


def test_the_operation_and_its_resource_are_authorized_before_the_engine_is_called():
    asked = []

    def authorize(action, resource):
        asked.append((action, resource))
        raise ServiceError("AccessDeniedException", f"not authorized to perform: {action}")

    engine = Queries()
    service = Service(engine, "athena", resources=lambda _o, params, _c: [f"wg/{params['WorkGroup']}"])
    client = connect(service, "athena", Call("1" * 12, "us-east-1", authorize))

    with pytest.raises(ClientError, match="not authorized to perform: athena:StartQueryExecution"):
        client.start_query_execution(QueryString="SELECT 1", WorkGroup="reports")

    assert asked == [("athena:StartQueryExecution", "wg/reports")]
    assert engine.seen is None


def test_rest_json_reads_path_query_and_body_and_writes_a_stream():
    engine = Queries({"AudioStream": b"RIFF", "ContentType": "audio/mpeg", "RequestCharacters": 2})
    client = connect(Service(engine, "polly"), "polly")

    answer = client.synthesize_speech(Text="hi", OutputFormat="mp3", VoiceId="Joanna")

    assert answer["AudioStream"].read() == b"RIFF"
    assert answer["RequestCharacters"] == 2
    assert engine.seen[1] == {"Text": "hi", "OutputFormat": "mp3", "VoiceId": "Joanna"}


def test_two_models_on_one_engine_are_told_apart_by_their_target():
    engine = Queries({"Models": []})
    client = connect(Service(engine, "athena", "sagemaker"), "sagemaker")

    assert client.list_models(MaxResults=7)["Models"] == []
    assert engine.seen[1] == {"MaxResults": 7}


class Nobody:
    """In the place of a service that nobody implements."""

    def __init__(self, name):
        self.name = name

    async def handle(self, request, _call):
        return not_implemented(self.name, request)


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("kendra", "ListIndices", {}),  # json
        ("medical-imaging", "ListDatastores", {}),  # rest-json
        ("elasticbeanstalk", "DescribeApplications", {}),  # query
        ("s3control", "GetPublicAccessBlock", {"AccountId": "111122223333"}),  # rest-xml
    ],
)
def test_a_service_that_nobody_implements_says_so(service, operation, arguments):
    from botocore import xform_name

    client = connect(Nobody(service), service)
    with pytest.raises(ClientError) as raised:
        getattr(client, xform_name(operation))(**arguments)
    told = raised.value.response
    assert told["Error"]["Code"] == "NotImplementedException"
    assert f"{service}:{operation} is not implemented" in told["Error"]["Message"]
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_name_that_is_no_services_is_told_by_its_route():
    status, _, body = not_implemented("geo<", Request("GET", "/maps/1", {}, b"", {}))
    assert (status, b"geo<:GET /maps/1 is not implemented" in body) == (501, True)
