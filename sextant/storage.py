"""Objects in S3 or files in a folder, by one set of functions: `s3://bucket/prefix/` or a path.

Jobs and containers read and publish through these, so the same code runs on AWS, at home and over a folder in a test.
"""

from __future__ import annotations

import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import ClientError

from sextant import aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

READERS = 16
BLOCK = 1 << 20
LONGEST_LINE = 64 << 20


class GoneError(Exception):
    """The object was listed, but is not there any more, or lies in an archive that must be restored first."""


_GONE = frozenset({"NoSuchKey", "404", "InvalidObjectState"})


@dataclass(frozen=True)
class Entry:
    """One object of a listing; `key` is relative to the listed prefix, `modified` is in UTC."""

    key: str
    size: int
    etag: str
    modified: datetime


def is_s3(uri: str) -> bool:
    """Whether the URI names S3 objects (s3, and s3a as Hadoop spells it)."""
    return uri.startswith(("s3://", "s3a://", "s3n://"))


def joined(root: str, key: str) -> str:
    """The URI of a key below a root with or without a trailing slash."""
    return f"{root.rstrip('/')}/{key}"


def entries(root: str) -> list[Entry]:
    """Every object below the root, in key order.

    Raises:
        FileNotFoundError: the root is a folder that does not exist.
    """
    if is_s3(root):
        return sorted(_s3_entries(root), key=lambda each: each.key)
    if not Path(root).is_dir():
        raise FileNotFoundError(f"{root} is no folder: give a folder or an s3:// prefix")
    return sorted(_folder_entries(root), key=lambda each: each.key)


def read(uri: str) -> bytes:
    """The object's body.

    Raises:
        GoneError: it was deleted since it was listed, or lies in an archive. Any other failure is not the input's.
    """
    return b"".join(_blocks(uri))


def lines(uri: str) -> Iterator[bytes]:
    """The object's lines without their ends, in bounded memory; a line over 64 MiB comes as its first 64 MiB.

    Raises:
        GoneError: as for `read`.
    """
    pending = b""
    skipping = False
    for block in _blocks(uri):
        head, *rest = block.split(b"\n")
        pending = pending if skipping else pending + head
        if not rest:
            if len(pending) > LONGEST_LINE and not skipping:
                skipping = True
            continue
        yield pending.rstrip(b"\r")
        skipping = False
        for each in rest[:-1]:
            yield each.rstrip(b"\r")
        pending = rest[-1]
    if pending:
        yield pending.rstrip(b"\r")


def bodies(uris: list[str]) -> Iterator[bytes | GoneError]:
    """The bodies in order; those in S3 are fetched ahead by some threads."""
    if not uris or not is_s3(uris[0]):
        for uri in uris:
            yield _attempt(uri)
        return
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(uris), READERS):
            yield from pool.map(_attempt, uris[start : start + READERS])


def _attempt(uri: str) -> bytes | GoneError:
    try:
        return read(uri)
    except GoneError as error:
        return error


def opened(uri: str, block: int = BLOCK) -> BinaryIO:
    """The object as a file to read and seek in: of one in S3 only what is read comes over, in blocks of some bytes.

    Raises:
        GoneError: as for `read`.
    """
    try:
        return io.BufferedReader(_Ranges(uri), block) if is_s3(uri) else Path(uri).open("rb", buffering=block)
    except FileNotFoundError as error:
        raise GoneError("the file was deleted after it was listed") from error
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        raise GoneError(str(error)) from error


class _Ranges(io.RawIOBase):
    """An object in S3, read by ranges."""

    def __init__(self, uri: str) -> None:
        self._bucket, self._key = _split(uri)
        self._size = int(_s3().head_object(Bucket=self._bucket, Key=self._key)["ContentLength"])
        self._at = 0

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def readable(self) -> bool:
        return True

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def seekable(self) -> bool:
        return True

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def tell(self) -> int:
        return self._at

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._size - self._at)
        if wanted <= 0:
            return 0
        span = f"bytes={self._at}-{self._at + wanted - 1}"
        view[:wanted], _ = aws.read_object(_s3(), Bucket=self._bucket, Key=self._key, Range=span)
        self._at += wanted
        return wanted


def etag(uri: str) -> str:
    """What tells one content of an object from another: its ETag; of a file its size and the time of its last change.

    Raises:
        GoneError: as for `read`.
    """
    try:
        if is_s3(uri):
            bucket, key = _split(uri)
            return str(_s3().head_object(Bucket=bucket, Key=key)["ETag"]).strip('"')
        state = Path(uri).stat()
    except FileNotFoundError as error:
        raise GoneError("the file was deleted after it was listed") from error
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        raise GoneError(str(error)) from error
    return f"{state.st_size:x}-{state.st_mtime_ns:x}"


def download(uri: str, path: Path) -> None:
    """Gets an object as a local file; memory stays small however large it is, and a broken connection is tried again.

    Raises:
        GoneError: as for `read`.
    """
    if is_s3(uri):
        bucket, key = _split(uri)
        try:
            _s3().download_file(bucket, key, str(path))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise
            raise GoneError(str(error)) from error
        return
    with path.open("wb") as file:
        for block in _blocks(uri):
            file.write(block)


def upload(path: Path, uri: str) -> None:
    """Puts a local file; what was there is replaced as a whole."""
    if is_s3(uri):
        bucket, key = _split(uri)
        _s3().upload_file(str(path), bucket, key)
        return
    target = Path(uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    shutil.copyfile(path, partial)
    partial.replace(target)


def write(body: bytes, uri: str) -> None:
    """Puts an object; what was there is replaced as a whole."""
    if is_s3(uri):
        bucket, key = _split(uri)
        _s3().put_object(Bucket=bucket, Key=key, Body=body)
        return
    target = Path(uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_bytes(body)
    partial.replace(target)


def move(source: str, target: str) -> None:
    """Moves an object within S3, or a file within a file system; what was at the target is replaced."""
    if is_s3(source):
        bucket, key = _split(source)
        to_bucket, to_key = _split(target)
        _s3().copy({"Bucket": bucket, "Key": key}, to_bucket, to_key)
        _s3().delete_object(Bucket=bucket, Key=key)
        return
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)  # noqa: PTH105  replaces atomically, as the docstring promises


def remove(uri: str) -> None:
    """Deletes one object; nothing happens when it is not there."""
    if is_s3(uri):
        bucket, key = _split(uri)
        _s3().delete_object(Bucket=bucket, Key=key)
        return
    Path(uri).unlink(missing_ok=True)


def remove_below(root: str) -> None:
    """Deletes everything below a prefix or folder; nothing happens when there is none.

    Raises:
        OSError: something is still there.
    """
    if not is_s3(root):
        with suppress(FileNotFoundError):
            shutil.rmtree(root)
        return
    bucket, _ = _split(root)
    prefix = _split(joined(root, ""))[1]
    keys = [{"Key": prefix + each.key} for each in _s3_entries(root)]
    for start in range(0, len(keys), 1000):
        some = keys[start : start + 1000]
        left = _s3().delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True}).get("Errors", [])
        if left:  # S3 answers 200 all the same
            first = left[0]
            raise OSError(
                f"{len(left)} objects below {root} cannot be deleted, such as {first.get('Key')}: "
                f"{first.get('Code')} {first.get('Message')}"
            )


def _blocks(uri: str) -> Iterator[bytes]:
    try:
        if is_s3(uri):
            yield from _s3_blocks(*_split(uri))
            return
        with Path(uri).open("rb") as file:
            while block := file.read(BLOCK):
                yield block
    except FileNotFoundError as error:
        raise GoneError("the file was deleted after it was listed") from error
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        raise GoneError(str(error)) from error


def _s3_blocks(bucket: str, key: str) -> Iterator[bytes]:
    """The object's body in blocks; where it breaks, what is lacking of that very content is asked for."""
    at, broken = 0, 0
    rest: dict[str, str] = {}
    while True:
        found = _s3().get_object(Bucket=bucket, Key=key, **rest)
        try:
            with closing(found["Body"]) as body:
                for block in body.iter_chunks(BLOCK):
                    yield block
                    at, broken = at + len(block), 0
                return
        except aws.BROKEN:
            broken += 1
            if broken == aws.READS:
                raise
            rest = {"Range": f"bytes={at}-", "IfMatch": found["ETag"]} if at else {}


def _s3_entries(root: str) -> Iterator[Entry]:
    bucket, prefix = _split(joined(root, ""))
    for page in _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for each in page.get("Contents", []):
            modified = each["LastModified"].astimezone(UTC)
            yield Entry(each["Key"].removeprefix(prefix), each["Size"], each["ETag"].strip('"'), modified)


def _folder_entries(root: str) -> Iterator[Entry]:
    folders = [root]
    while folders:
        with os.scandir(folders.pop()) as listed:
            for each in listed:
                if each.is_dir():
                    folders.append(each.path)
                    continue
                state = each.stat()
                modified = datetime.fromtimestamp(state.st_mtime, UTC)
                yield Entry(os.path.relpath(each.path, root).replace(os.sep, "/"), state.st_size, "", modified)


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


@cache
def _s3() -> Any:
    """One client per process: executors import this module for themselves.

    It has the patience of jobs. The one function that reads through it is a step of a state machine, which repeats it.
    """
    return aws.client("s3", aws.JOB_CONFIG)
