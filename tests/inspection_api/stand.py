"""What stands in for AWS in the tests of the API, and what its requests look like."""

import base64
import io
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from botocore.exceptions import ClientError

from sextant.inspection.api.services import Place

REGION = "us-east-1"
ACCOUNT = "111122223333"
PLACE = Place(
    TABLE="inspection",
    BUCKET="data",
    ACCOUNT_ID=ACCOUNT,
    AWS_REGION=REGION,
    INGEST_FUNCTION="ingest",
    PACKAGING_FUNCTION="packaging",
    PREFIX="dev-inspection",
    IMAGE=f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/inspection:1",
    ROLE_ARN=f"arn:aws:iam::{ACCOUNT}:role/jobs",
    TRAINING_INSTANCE_TYPE="ml.m5.xlarge",
    METRICS="Sextant/dev/LookoutVision",
)
RESULT = {
    "Version": 1,
    "EvaluationDetails": {"NumberOfTrainingImages": 20, "NumberOfTestingImages": 20},
    "AggregatedEvaluationResults": {"Metrics": {"F1Score": 0.8, "Recall": 0.75, "Precision": 0.9, "ROCAUC": 0.95}},
}
JPEG = b"\xff\xd8\xff\xe0" + b"photograph"
PNG = b"\x89PNG\r\n\x1a\n" + b"photograph"


def client_error(code, message, operation, status=400):
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


class Jobs:
    """SageMaker as far as trainings need it: jobs run until a test ends them."""

    def __init__(self):
        self.jobs = {}
        self.refuse = None

    def create_training_job(self, **request):
        if self.refuse:
            raise self.refuse
        self.jobs[request["TrainingJobName"]] = {**request, "TrainingJobStatus": "InProgress"}

    def describe_training_job(self, TrainingJobName):  # noqa: N803
        if TrainingJobName not in self.jobs:
            raise client_error("ValidationException", "Requested resource not found.", "DescribeTrainingJob")
        return self.jobs[TrainingJobName]


class Answering:
    """A backend that answers at once and remembers what it was asked."""

    def __init__(self):
        self.calls = []
        self.after_start = "HOSTED"
        self.told = ("HOSTED", "")
        self.result = {"Source": {"Type": "direct"}, "IsAnomalous": True, "Confidence": 0.97}

    def start(self, version, units):
        self.calls.append(("start", version.project, version.number, units))
        return self.after_start

    def stop(self, version):
        self.calls.append(("stop", version.project, version.number))
        return "TRAINED"

    def state(self, version, state):  # noqa: ARG002
        return self.told

    settle = state

    def detect(self, version, body, content_type):
        self.calls.append(("detect", version.project, version.number, body, content_type))
        return self.result


def archive(files):
    """A model.tar.gz."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as target:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            target.addfile(info, io.BytesIO(body))
    return out.getvalue()


def event_of(method, target, headers, body, request_id="r-1"):
    """A request as an HTTP API's function gets it: the path decoded, what is no text in base64."""
    path, _, query = target.partition("?")
    kind = headers.get("content-type", "")
    text = kind.startswith(("application/json", "text/"))
    event = {
        "version": "2.0",
        "rawPath": unquote(path),
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {"requestId": request_id, "http": {"method": method, "path": unquote(path)}},
        "isBase64Encoded": bool(body) and not text,
    }
    return event | (
        {"body": body.decode(errors="replace") if text else base64.b64encode(body).decode()} if body else {}
    )


@contextmanager
def serving(answer):
    """Serves a function `answer(event) -> response` on loopback as an HTTP API would; gives the URL."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self):
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            told = answer(event_of(self.command, self.path, headers, self.rfile.read(length)))
            body = told["body"].encode()
            self.send_response(told["statusCode"])
            for name, value in told["headers"].items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def refused(code, call, match=None):
    """The answer of a call that boto3 must raise as this exception of the service's model."""
    with pytest.raises(ClientError, match=match) as caught:
        call()
    assert type(caught.value).__name__ == code
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response
