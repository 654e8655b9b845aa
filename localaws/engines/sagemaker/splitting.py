"""How batch transform cuts an object into requests and puts the answers together."""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING

from localaws.engines.sagemaker.data import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

RECORD_MAGIC = 0xCED7230A
TFRECORD_HEADER, TFRECORD_FOOTER = 12, 4
MEBIBYTE = 1 << 20

# A record as (the bytes as they lie in the file, the content alone).
Record = tuple[bytes, bytes]


def lines(stream: IO[bytes], _name: str) -> Iterator[Record]:
    for line in stream:
        yield line, line.rstrip(b"\r\n")


def tfrecords(stream: IO[bytes], name: str) -> Iterator[Record]:
    """uint64 length, its checksum, data, its checksum (the checksums are the reader's to check)."""
    while header := stream.read(TFRECORD_HEADER):
        length = struct.unpack("<Q", header[:8])[0] if len(header) == TFRECORD_HEADER else 0
        data = stream.read(length + TFRECORD_FOOTER)
        if len(header) < TFRECORD_HEADER or len(data) < length + TFRECORD_FOOTER:
            raise DataError(f"ClientError: {name} is cut off in the middle of a TFRecord")
        yield header + data, data[:length]


def recordio(stream: IO[bytes], name: str) -> Iterator[Record]:
    """uint32 magic, uint32 length, data, padding to four bytes."""
    while header := stream.read(8):
        magic, length = struct.unpack("<II", header) if len(header) == 8 else (0, 0)
        if magic != RECORD_MAGIC:
            raise DataError(f"ClientError: {name} is no RecordIO file")
        data = stream.read(length + -length % 4)
        yield header + data, data[:length]


SPLITTERS: dict[str, Callable[[IO[bytes], str], Iterator[Record]]] = {
    "Line": lines,
    "TFRecord": tfrecords,
    "RecordIO": recordio,
}


def payloads(stream: IO[bytes], name: str, *, split: str, strategy: str, limit_mb: int) -> Iterator[bytes]:
    """The bodies of the requests for one object.

    Args:
        stream: the object.
        name: of the object, for errors.
        split: SplitType.
        strategy: `MultiRecord` fills a request up to the limit and keeps the framing of records; `SingleRecord` sends
            each record without it.
        limit_mb: MaxPayloadInMB; 0: no limit.

    Raises:
        DataError: a record (or an undivided object) is larger than the limit, or the framing is broken.
    """
    limit = limit_mb * MEBIBYTE
    if split == "None":
        whole = stream.read()
        _check(len(whole), limit, name)
        yield whole
        return
    batch: list[bytes] = []
    size = 0
    for framed, content in SPLITTERS[split](stream, name):
        record = content if strategy == "SingleRecord" else framed
        _check(len(record), limit, name)
        if batch and (strategy == "SingleRecord" or (limit and size + len(record) > limit)):
            yield b"".join(batch)
            batch, size = list[bytes](), 0
        batch.append(record)
        size += len(record)
    if batch:
        yield b"".join(batch)


def _check(size: int, limit: int, name: str) -> None:
    if limit and size > limit:
        raise DataError(
            f"ClientError: {name}: a record of {size:,} bytes is larger than MaxPayloadInMB ({limit // MEBIBYTE}): "
            "raise it (at most 100), or choose a SplitType that divides the object"
        )


def assemble(answers: Iterable[bytes], sink: IO[bytes], how: str) -> None:
    """Writes the answers one after another; with `Line`, each ends with a newline."""
    for answer in answers:
        sink.write(answer)
        if how == "Line" and not answer.endswith(b"\n"):
            sink.write(b"\n")
