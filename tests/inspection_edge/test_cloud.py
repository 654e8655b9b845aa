"""The network comes and goes: circuits open and close, and each photograph arrives once."""

import json
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import boto3
import pytest
from aws_lambda_powertools.utilities.circuit_breaker import CircuitBreakerOpenError
from aws_lambda_powertools.utilities.circuit_breaker import base as breaking
from aws_lambda_powertools.utilities.circuit_breaker.persistence.base import CircuitBreakerExistingLockError
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from moto import mock_aws

from sextant.inspection.edge import cloud, records
from sextant.inspection.edge.records import WAITING, Record, Store
from tests.inspection_edge.stand import settings, wait_for

JPEG = b"\xff\xd8 a photograph"


@pytest.fixture(autouse=True)
def _account(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for each in (breaking._LOCAL_FAILURES, breaking._LOCAL_SUCCESSES, breaking._LAST_OBSERVED_STATE):
        each.clear()


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store.sqlite", keep=100)
    yield made
    made.close()


class Api:
    """Answers DetectAnomalies, or does not."""

    def __init__(self):
        self.calls, self.down = 0, True

    def detect_anomalies(self, **_):
        self.calls += 1
        if self.down:
            raise EndpointConnectionError(endpoint_url="https://api")
        return {"DetectAnomalyResult": {"Source": {"Type": "direct"}, "IsAnomalous": True, "Confidence": 0.97}}


def asked(tmp_path, **more):
    return settings(tmp_path, cloud={"endpoint": "http://127.0.0.1:9", "recovery_s": 1, **more})


def test_three_failures_open_the_circuit_which_a_new_start_knows_and_one_success_closes_it(
    tmp_path, store, monkeypatch
):
    api = Api()
    monkeypatch.setattr(cloud, "lookoutvision", lambda *_, **__: api)
    ask = cloud.asking(asked(tmp_path), cloud.Circuits(store))
    for _ in range(3):
        with pytest.raises(EndpointConnectionError):
            ask(JPEG)
    for _ in range(5):
        with pytest.raises(CircuitBreakerOpenError):
            ask(JPEG)
    assert api.calls == 3
    assert json.loads(store.circuit("ask"))["state"] == "OPEN"
    breaking._LOCAL_FAILURES.clear()
    again = cloud.asking(asked(tmp_path), cloud.Circuits(store))  # the store is all that a new process has
    with pytest.raises(CircuitBreakerOpenError):
        again(JPEG)
    time.sleep(2.1)
    with pytest.raises(EndpointConnectionError):  # tried again once, and open again
        again(JPEG)
    with pytest.raises(CircuitBreakerOpenError):
        again(JPEG)
    time.sleep(2.1)
    api.down = False
    assert again(JPEG).verdict == "reject"
    assert json.loads(store.circuit("ask"))["state"] == "CLOSED"
    assert api.calls == 5


def test_of_several_threads_one_tries_an_open_circuit_again(store):
    circuits = cloud.Circuits(store)
    circuits.save_open("ask", 3, opened_at=1000)
    assert circuits.try_acquire_half_open("ask", "one", 1000)
    assert not circuits.try_acquire_half_open("ask", "other", 1000)
    circuits.save_reopen("ask", opened_at=2000)
    assert not circuits.try_acquire_half_open("ask", "late", 1000)  # it saw the circuit as it was before
    assert circuits.try_acquire_half_open("ask", "other", 2000)
    with pytest.raises(CircuitBreakerExistingLockError):
        circuits._put_record(cloud.CircuitStateRecord("new", cloud.CircuitState.HALF_OPEN), "half_open", 1)


@contextmanager
def api_at(answer, wait=lambda: None):
    """A server that answers every request so, and keeps what it was asked."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            requests.append((self.path, self.rfile.read(int(self.headers["Content-Length"])), self.headers))
            wait()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass  # the client did not wait

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_api_is_asked_as_any_client_asks_it(tmp_path, store):
    answer = {"DetectAnomalyResult": {"Source": {"Type": "direct"}, "IsAnomalous": False, "Confidence": 0.91}}
    with api_at(json.dumps(answer).encode()) as (url, requests):
        found = cloud.asking(asked(tmp_path, endpoint=url, model_version="2"), cloud.Circuits(store))(JPEG)
    assert (found.verdict, found.confidence, found.model) == ("accept", 0.91, "2")
    ((path, body, headers),) = requests
    assert path == "/2020-11-20/projects/lego/models/2/detect"
    assert (body, headers["Content-Type"]) == (JPEG, "image/jpeg")
    assert "/eu-west-1/execute-api/aws4_request" in headers["Authorization"]


def test_an_api_that_hangs_is_left_after_its_time_and_asked_once(tmp_path, store):
    answered = threading.Event()
    with api_at(b"{}", wait=lambda: answered.wait(60)) as (url, requests):
        with pytest.raises(ReadTimeoutError):
            cloud.asking(asked(tmp_path, endpoint=url, timeout_s=0.3), cloud.Circuits(store))(JPEG)
        answered.set()
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("anomalous", "confidence", "verdict"),
    [
        (True, 0.9, "reject"),
        (False, 0.9, "accept"),
        (True, 0.7, "review"),
        (False, 0.7, "review"),
        (False, 0.8, "accept"),
    ],
)
def test_an_answer_that_is_not_sure_goes_to_review(tmp_path, anomalous, confidence, verdict):
    result = {"IsAnomalous": anomalous, "Confidence": confidence}
    assert cloud.answer_of(result, asked(tmp_path).cloud).verdict == verdict


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ('{"IsAnomalous": false, "Confidence": NaN}', "no probability"),
        ('{"IsAnomalous": false, "Confidence": 1.5}', "no probability"),
        ('{"IsAnomalous": null, "Confidence": 0.99}', "IsAnomalous"),
        ('{"Confidence": 0.99}', "IsAnomalous"),
    ],
)
def test_what_tells_no_probability_is_no_answer(tmp_path, store, answer, told):
    with api_at(f'{{"DetectAnomalyResult": {answer}}}'.encode()) as (url, _):
        ask = cloud.asking(asked(tmp_path, endpoint=url, min_confidence=0), cloud.Circuits(store))
        with pytest.raises((KeyError, ValueError), match=told):
            ask(JPEG)


@pytest.fixture
def bucket():
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="lines", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        yield s3


def rejected(store, number):
    at = f"2026-11-21T21:42:1{number}+00:00"
    told = {"state": "pushed", "verdict": "reject", "judged_by": "local", "confidence": 0.9, "model": "m"}
    record = Record(f"item-{number}", number, at, forward=WAITING, **told)
    store.write(record, JPEG + bytes([number])).result()


def left(store):
    with closing(store.read()) as connection:
        return records.queued(connection)


def test_what_gathered_while_the_bucket_was_away_arrives_once_and_in_order(tmp_path, store, bucket):
    puts, away = [], threading.Event()
    away.set()

    def put_object(**request):
        puts.append(request["Key"])
        if away.is_set():
            raise EndpointConnectionError(endpoint_url="https://s3")
        return bucket.put_object(**request)

    for number in range(1, 6):
        rejected(store, number)
    # The power went after item 2 was put and before anybody noted it.
    there = "incoming/lego/line-1/camera-1/item-2.jpg"
    bucket.put_object(Bucket="lines", Key=there, Body=b"as it was put first")
    asked = settings(tmp_path, cloud={"bucket": "lines", "recovery_s": 1, "failures": 2})
    forwarder = cloud.Forwarder(asked, store, cloud.Circuits(store), SimpleNamespace(put_object=put_object))
    wait_for(lambda: len(puts) >= 2)
    assert "https://s3" in forwarder.fault
    assert left(store) == 5
    away.clear()
    wait_for(lambda: left(store) == 0)
    time.sleep(1.2)  # another look finds nothing
    forwarder.stop()
    keys = [f"incoming/lego/line-1/camera-1/item-{number}.jpg" for number in range(1, 6)]
    assert set(puts[:-5]) == {keys[0]}
    assert puts[-5:] == keys
    assert [each["Key"] for each in bucket.list_objects_v2(Bucket="lines")["Contents"]] == keys
    assert bucket.get_object(Bucket="lines", Key=there)["Body"].read() == b"as it was put first"
    got = bucket.get_object(Bucket="lines", Key=keys[3])
    assert got["Body"].read() == JPEG + b"\x04"
    assert got["Metadata"]["at"] == "2026-11-21T21:42:14+00:00"
    assert (got["Metadata"]["verdict"], got["Metadata"]["outcome"]) == ("reject", "pushed")
    with closing(store.read()) as connection:
        assert records.totals(connection)["forwarded"] == 5


def test_a_refusal_is_told_and_nothing_is_lost(tmp_path, store):
    def put_object(**_):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")

    rejected(store, 1)
    asked = settings(tmp_path, cloud={"bucket": "lines"})
    forwarder = cloud.Forwarder(asked, store, cloud.Circuits(store), SimpleNamespace(put_object=put_object))
    wait_for(lambda: "AccessDenied" in forwarder.fault)
    forwarder.stop()
    assert left(store) == 1
