"""The same steps over S3: headers by ranges, copies by content, a throttled bucket, nothing left on the disk."""

import multiprocessing.util
import threading

import boto3
import numpy as np
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.awsrequest import AWSResponse
from moto import mock_aws

from samples.slides.cohort import Painter, Scan
from sextant import storage
from sextant.slides.cohort import gather, read_table
from sextant.slides.cohort_tiling import tile_host
from sextant.slides.pack import pack
from sextant.slides.plan import make_plan

SOUND = {"a": "LUAD", "b": "LUSC", "c": "LUAD", "d": "LUSC", "e": "LUAD", "f": "LUSC"}
ROWS = [f"{name},P-{name},{label}" for name, label in SOUND.items()]
TABLE = "\n".join(["slide,patient,label", *ROWS, "b2,P-b,LUSC", "cut,P3,LUSC", "gone,P4,LUSC"]).encode()


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    (tmp_path / "made").mkdir()
    for seed, (name, label) in enumerate(SOUND.items()):
        painter = Painter.of(np.random.default_rng(seed))
        painter.write(tmp_path / "made", name, "P", label, Scan(size=(1100, 1100)))
    with mock_aws():
        storage._s3.cache_clear()
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="cohorts")
        for name, source in (
            *((name, name) for name in SOUND if name != "b"),
            ("sub/b", "b"),
            ("b2", "b"),
            ("cut", "a"),
        ):
            body = (tmp_path / "made" / f"{source}.svs").read_bytes()
            s3.put_object(Bucket="cohorts", Key=f"one/{name}.svs", Body=body[:9000] if name == "cut" else body)
        # The same content by another way has another ETag.
        parts = TransferConfig(multipart_threshold=1)
        s3.upload_file(str(tmp_path / "made" / "b.svs"), "cohorts", "one/b2.svs", Config=parts)
        one, other = (s3.head_object(Bucket="cohorts", Key=f"one/{key}.svs")["ETag"] for key in ("sub/b", "b2"))
        assert one != other
        s3.put_object(Bucket="cohorts", Key="one/slides.csv", Body=TABLE)
        yield s3
    storage._s3.cache_clear()


def planned():
    rows = read_table(storage.read("s3://cohorts/one/slides.csv"))
    return make_plan(gather(rows, "s3://cohorts/one", ignored="s3://cohorts/one/slides.csv"))


@pytest.mark.usefixtures("bucket")
def test_plan_tile_and_pack_over_s3(tmp_path, monkeypatch):
    multiprocessing.util.get_temp_dir()  # of the forkserver's socket, whose path must be short: not on the disk below
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "disk"))
    (tmp_path / "disk").mkdir()
    plan = planned()
    assert {each.slide: each.reason for each in plan.quarantined} == {
        "b2": "copy of a slide",
        "cut": "truncated file",
        "gone": "missing file",
    }
    keys = {name: f"{name}.svs" for name in SOUND} | {"b": "sub/b.svs"}
    assert {each.slide: each.key for each in plan.slides} == keys
    storage.write(plan.model_dump_json().encode(), "s3://cohorts/runs/1/plan.json")
    made = tile_host(
        "s3://cohorts/runs/1",
        "s3://cohorts/one",
        plan,
        host=0,
        processes=2,
        stopping=threading.Event(),
        tell=lambda _line: None,
    )
    assert sorted(made.tiled) == list(SOUND)
    manifest = pack("s3://cohorts/runs/1", world_size=2)
    keys = {each.key for each in storage.entries("s3://cohorts/runs/1/records")}
    assert {shard.name for split in manifest.splits.values() for shard in split.shards} <= keys
    assert sum(split.records - split.repeated for split in manifest.splits.values()) > 2
    assert list((tmp_path / "disk").iterdir()) == []


@pytest.mark.usefixtures("bucket")
def test_a_throttled_bucket_is_asked_again():
    refused = []

    def slow_down(request, **_):
        if request.url not in refused:
            refused.append(request.url)
            return AWSResponse(request.url, 503, {}, Raw(b"<Error><Code>SlowDown</Code></Error>"))
        return None

    storage._s3().meta.events.register_first("before-send.s3", slow_down)
    assert [each.slide for each in planned().slides] == list(SOUND)
    assert len(refused) > 3


class Raw:
    """A response's body as urllib3 gives it."""

    def __init__(self, body):
        self._body = body

    def stream(self, **_):
        yield self._body

    def read(self, *_, **__):
        return self._body
