"""TFRecord files: the one framing that SageMaker's Pipe mode and batch transform both split by.

A record is `uint64 length, uint32 masked CRC32C of the length, data, uint32 masked CRC32C of the data`, all little
endian; the mask is `rotate right by 15, add 0xa282ead8` (TensorFlow, tensorflow/core/lib/io/record_writer.h).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

import google_crc32c

from sextant.slides.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LONGEST = 1 << 30
"""No tile is as long in bytes: a longer length is damage that the CRC missed, or another kind of file."""

_HEAD = struct.Struct("<QI")
_FOOT = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")
FRAME_BYTES = _HEAD.size + _FOOT.size
"""What the framing adds to a payload."""


def frame(payload: bytes) -> bytes:
    """The payload as one record."""
    length = _LENGTH.pack(len(payload))
    return b"".join((length, _FOOT.pack(_masked(length)), payload, _FOOT.pack(_masked(payload))))


def is_framed(body: bytes) -> bool:
    """Whether the bytes begin with a record's head: batch transform with SingleRecord sends records without framing."""
    return len(body) >= _HEAD.size and _masked(body[: _LENGTH.size]) == _HEAD.unpack(body[: _HEAD.size])[1]


def write(stream: BinaryIO, payloads: Iterable[bytes]) -> int:
    """Writes the payloads as records and returns how many there were."""
    count = 0
    for payload in payloads:
        stream.write(frame(payload))
        count += 1
    return count


def read(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The payloads of all records up to the end of the stream, which may be a FIFO: nothing is sought.

    Raises:
        RecordError: the stream ends within a record, or a CRC differs. It names the shard, the record's number from 0
            on and its offset in bytes.
    """
    number = offset = 0
    while True:
        where = f"{name}: record {number} at byte {offset}"
        length = _length(_upto(stream, _HEAD.size), where)
        if length is None:
            return
        payload = _upto(stream, length)
        foot = _upto(stream, _FOOT.size)
        if len(payload) < length or len(foot) < _FOOT.size:
            found = len(payload) + len(foot)
            raise RecordError(f"{where} is cut off: {found} of {length + _FOOT.size} bytes are there; copy it again")
        if _masked(payload) != _FOOT.unpack(foot)[0]:
            raise RecordError(f"{where} is damaged: its {length} bytes do not have the CRC written; copy it again")
        yield payload
        number += 1
        offset += length + FRAME_BYTES


def index(path: Path) -> list[tuple[int, int]]:
    """Where each record of a shard lies: offset and length in bytes, framing included, in order.

    The payloads are skipped, so their CRCs are not checked.

    Raises:
        RecordError: a length is damaged, or the file ends within a record.
    """
    size = path.stat().st_size
    found: list[tuple[int, int]] = []
    offset = 0
    with path.open("rb") as stream:
        while True:
            where = f"{path.name}: record {len(found)} at byte {offset}"
            length = _length(_upto(stream, _HEAD.size), where)
            if length is None:
                return found
            whole = length + FRAME_BYTES
            if offset + whole > size:
                raise RecordError(f"{where} is cut off: {size - offset} of {whole} bytes are there; copy it again")
            found.append((offset, whole))
            offset += whole
            stream.seek(offset)


def _length(head: bytes, where: str) -> int | None:
    """The length of the payload that a record's head tells; None at the end of the stream."""
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise RecordError(f"{where} is cut off: {len(head)} of the {_HEAD.size} bytes of its head; copy it again")
    length, crc = _HEAD.unpack(head)
    if _masked(head[: _LENGTH.size]) != crc:
        raise RecordError(f"{where} has a damaged length: this is no TFRecord file, or it was changed")
    if length > LONGEST:
        raise RecordError(f"{where} claims {length} bytes: a record of tiles has {LONGEST} at most")
    return int(length)


def _upto(stream: BinaryIO, size: int) -> bytes:
    """The next bytes, fewer only at the end: a pipe gives what it has, and a damaged length must not reserve memory."""
    block = stream.read(min(size, 1 << 20)) or b""
    if len(block) == size:
        return block
    blocks = [block]
    missing = size - len(block)
    while block and missing:
        block = stream.read(min(missing, 1 << 20)) or b""
        blocks.append(block)
        missing -= len(block)
    return b"".join(blocks)


def _masked(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
