"""Bodies that break in the middle: botocore tries a request again until its answer begins, and no longer."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import BotoCoreError

from sextant import aws, storage
from sextant.console.operation import OperationError
from sextant.slides.viewing import Place, Slides
from tests.handlers.slide_run import RUN, RUNS, SLIDES, make_run

BODY = bytes(range(256)) * 12_000  # three blocks of storage
ETAG = '"0a1b"'


class Bucket(ThreadingHTTPServer):
    """S3's GetObject and HeadObject over one object; the first `cuts` bodies end after `most` bytes of theirs."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Door)
        self.bodies, self.cuts, self.most, self.asked, self.etag = {}, 0, 1000, [], ETAG


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        body = self.server.bodies[self.path]
        self._begin(200, len(body))

    def do_GET(self):
        server = self.server
        span, match = self.headers.get("Range"), self.headers.get("If-Match")
        server.asked.append((span, match))
        if match and match != server.etag:
            refused = b"<Error><Code>PreconditionFailed</Code><Message>changed</Message></Error>"
            self._begin(412, len(refused))
            self.wfile.write(refused)
            return
        body = server.bodies[self.path]
        if span:
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", span).groups()
            body = body[int(first) : int(last) + 1 if last else None]
        self._begin(206 if span else 200, len(body))
        if not server.cuts:
            self.wfile.write(body)
            return
        server.cuts -= 1
        self.wfile.write(body[: server.most])
        self.close_connection = True

    def _begin(self, status, length):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", self.server.etag)
        self.end_headers()

    def log_message(self, *_args):
        pass


@pytest.fixture
def bucket(monkeypatch):
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    server.bodies["/slides/a.svs"] = BODY
    storage._s3.cache_clear()
    yield server
    storage._s3.cache_clear()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_range_that_breaks_is_read_again(bucket):
    bucket.cuts = 2
    with storage.opened("s3://slides/a.svs", block=4096) as file:
        file.seek(5000)
        assert file.read(100) == BODY[5000:5100]
    assert bucket.asked == [("bytes=5000-9095", None)] * 3


def test_a_body_that_breaks_goes_on_where_it_broke(bucket):
    bucket.cuts, bucket.most = 2, storage.BLOCK + 10
    assert storage.read("s3://slides/a.svs") == BODY
    # What came counts, and the rest is asked of the same content.
    assert [span for span, _ in bucket.asked] == [None, f"bytes={bucket.most}-", f"bytes={2 * bucket.most}-"]
    assert {match for _, match in bucket.asked[1:]} == {ETAG}


def test_lines_come_once_though_the_body_breaks(bucket):
    bucket.bodies["/slides/a.jsonl"] = b"".join(b"%d\n" % number for number in range(400_000))
    bucket.cuts, bucket.most = 2, storage.BLOCK + 10
    assert [int(each) for each in storage.lines("s3://slides/a.jsonl")] == list(range(400_000))


def test_an_object_that_was_replaced_meanwhile_is_not_joined_to_the_old_one(bucket):
    bucket.cuts, bucket.most = 1, storage.BLOCK + 10
    blocks = storage._blocks("s3://slides/a.svs")
    next(blocks)
    bucket.etag = '"ffff"'
    with pytest.raises(Exception, match="PreconditionFailed"):
        list(blocks)


def test_a_body_that_always_breaks_is_told(bucket):
    bucket.cuts, bucket.most = 99, 0
    with pytest.raises(BotoCoreError):
        storage.read("s3://slides/a.svs")
    assert len(bucket.asked) == aws.READS


def test_a_tile_of_the_console_comes_though_its_read_breaks(bucket, tmp_path):
    made = make_run(tmp_path)
    bucket.bodies = {f"/{name}/{key}": body for (name, key), body in made.items()}
    view = json.loads(made[RUNS, f"runs/{RUN}/view/A1.json"])
    bucket.etag = f'"{view["etag"]}"'
    slides = Slides(Place(RUNS_BUCKET=RUNS), aws.client("s3"))
    whole = slides.tile(RUN, "A1", view["version"], 0, 3, 2)
    bucket.asked.clear()
    bucket.cuts, bucket.most = 2, 20
    assert slides.tile(RUN, "A1", view["version"], 0, 3, 2) == whole
    assert len(bucket.asked) == 3
    bucket.cuts, bucket.most = 99, 0
    with pytest.raises(OperationError) as told:
        slides.tile(RUN, "A1", view["version"], 0, 3, 2)
    assert told.value.status == 502
    assert SLIDES in view["uri"]


def test_jobs_are_more_patient_than_functions(bucket):
    del bucket
    job, function = storage._s3().meta.config, aws.client("s3").meta.config
    assert (function.read_timeout, job.read_timeout) == (5, 60)
    assert job.signature_version == function.signature_version == "s3v4"
    assert job.retries["total_max_attempts"] > function.retries["total_max_attempts"]
