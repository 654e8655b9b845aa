"""An object in S3 as a file: only the bytes that are read come over the wire."""

import io
import os

import pytest
from botocore.exceptions import ClientError

from sextant import storage

BODY = bytes(range(256)) * 40


class Bucket:
    """What the two operations of S3 answer for one object."""

    def __init__(self):
        self.ranges = []

    def head_object(self, Bucket, Key):  # noqa: N803  boto3's names
        if (Bucket, Key) != ("slides", "a/b.svs"):
            raise ClientError({"Error": {"Code": "404", "Message": "Not Found"}}, "HeadObject")
        return {"ContentLength": len(BODY)}

    def get_object(self, Bucket, Key, Range):  # noqa: ARG002, N803
        first, last = (int(each) for each in Range.removeprefix("bytes=").split("-"))
        self.ranges.append((first, last))
        return {"Body": io.BytesIO(BODY[first : last + 1])}


@pytest.fixture
def bucket(monkeypatch):
    made = Bucket()
    monkeypatch.setattr(storage, "_s3", lambda: made)
    return made


def test_only_what_is_read_comes_over(bucket):
    with storage.opened("s3://slides/a/b.svs", block=1000) as file:
        assert file.read(10) == BODY[:10]
        assert file.read(10) == BODY[10:20]
        file.seek(5000)
        assert file.read(3000) == BODY[5000:8000]
        file.seek(-4, os.SEEK_END)
        assert file.read() == BODY[-4:]
        file.seek(len(BODY) + 5)
        assert file.read(1) == b""
    assert bucket.ranges == [(0, 999), (5000, 7999), (len(BODY) - 4, len(BODY) - 1)]


def test_a_file_and_an_object_read_alike(bucket, tmp_path):
    (tmp_path / "b.svs").write_bytes(BODY)
    with storage.opened(str(tmp_path / "b.svs")) as file, storage.opened("s3://slides/a/b.svs") as remote:
        assert file.read() == remote.read() == BODY
    assert bucket.ranges


@pytest.mark.usefixtures("bucket")
def test_what_is_not_there_is_gone(tmp_path):
    for uri in (str(tmp_path / "none"), "s3://slides/none"):
        with pytest.raises(storage.GoneError):
            storage.opened(uri)
