"""`tf.train.Example` by hand: three kinds of lists under names, in the wire format of protobuf.

    message Example { Features features = 1; }
    message Features { map<string, Feature> feature = 1; }
    message Feature { oneof kind { BytesList = 1; FloatList = 2; Int64List = 3; } }
    each list: repeated value = 1, floats and integers packed

(tensorflow/core/example/example.proto, feature.proto.) Containers need no TensorFlow and no generated code for it.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from sextant.slides.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Value: TypeAlias = "bytes | int | float"

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_BYTES, _FLOATS, _INTEGERS = 1, 2, 3
_NOTHING = memoryview(b"")
_SHORT = 128
"""Bytes of what is kept for the next record: names, numbers and places, no images."""


def encode(features: Mapping[str, Sequence[Value]]) -> bytes:
    """The serialized Example; names in order, so that equal features have equal bytes.

    Raises:
        TypeError: a list has values of several kinds, or of another.
        OverflowError: an integer has more than 64 bits, or a float more than float32 can hold.
    """
    pieces: list[bytes] = []
    for name in sorted(features):
        pieces += _entry(name, features[name])
    return b"".join((_head(1, sum(map(len, pieces))), *pieces))


def decode(payload: bytes) -> dict[str, list[Value]]:
    """The lists of a serialized Example by name. Unknown fields are skipped, as protobuf wants.

    Raises:
        RecordError: these bytes are no Example.
    """
    found: dict[str, list[Value]] = {}
    try:
        for number, features in _fields(memoryview(payload)):  # nothing is copied but what is kept
            if number != 1 or isinstance(features, int):
                continue
            for each, entry in _fields(features):
                if each == 1 and not isinstance(entry, int):
                    name, values = _parsed_once(bytes(entry)) if len(entry) < _SHORT else _parsed(entry)
                    found[name] = list(values)
    except (ValueError, IndexError, struct.error) as error:
        raise RecordError(f"the {len(payload)} bytes are no tf.train.Example: {error}") from error
    return found


def _entry(name: str, values: Sequence[Value]) -> list[bytes]:
    """An entry of the map, in pieces. A slide's records differ in their image and little else: the rest is encoded
    once, and images are copied once.
    """
    kinds = set(map(type, values))
    if kinds == {bytes}:
        contents = [value for value in values if isinstance(value, bytes)]
        if max(map(len, contents)) >= _SHORT:
            pieces = [piece for content in contents for piece in (_head(1, len(content)), content)]
            for number in (_BYTES, 2):
                pieces.insert(0, _head(number, sum(map(len, pieces))))
            pieces.insert(0, _name(name))
            return [_head(1, sum(map(len, pieces))), *pieces]
    return [_encoded_once(name, tuple(values)) if kinds in ({bytes}, {int}) else _encoded(name, values)]


def _encoded(name: str, values: Sequence[Value]) -> bytes:
    return _field(1, _name(name) + _field(2, _feature(name, values)))


_encoded_once = lru_cache(4096)(_encoded)


def _parsed(entry: memoryview | bytes) -> tuple[str, tuple[Value, ...]]:
    parts = dict(_fields(memoryview(entry)))
    return str(_view(parts.get(1, _NOTHING)), "utf-8"), tuple(_values(_view(parts.get(2, _NOTHING))))


_parsed_once = lru_cache(4096)(_parsed)


def _feature(name: str, values: Sequence[Value]) -> bytes:
    if not values:
        return b""
    kind = type(values[0])
    if any(type(value) is not kind for value in values[1:]):
        kinds = sorted({type(value).__name__ for value in values})
        raise TypeError(f"{name} mixes {', '.join(kinds)}: give bytes, ints or floats")
    if kind is bytes:
        return _field(_BYTES, b"".join([_field(1, value) for value in values]))  # type: ignore[arg-type]
    if kind is float:
        return _field(_FLOATS, _field(1, struct.pack(f"<{len(values)}f", *values)))
    if kind is int:
        return _field(_INTEGERS, _field(1, b"".join(map(_integer, values))))  # type: ignore[arg-type]
    raise TypeError(f"{name} has {kind.__name__}: give bytes, ints or floats")


@lru_cache(256)
def _name(name: str) -> bytes:
    """Every record has the same names."""
    return _field(1, name.encode())


def _field(number: int, content: bytes) -> bytes:
    return _head(number, len(content)) + content


def _head(number: int, size: int) -> bytes:
    """What stands before a field of so many bytes."""
    return bytes((number << 3 | _LENGTH, size)) if size < 128 else bytes((number << 3 | _LENGTH,)) + _varint(size)


def _integer(value: int) -> bytes:
    if not -(1 << 63) <= value < 1 << 63:
        raise OverflowError(f"{value} does not fit into an int64")
    return _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    if value < 128:
        return bytes((value,))
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _values(feature: memoryview) -> list[Value]:
    values: list[Value] = []
    for kind, content in _fields(feature):
        for number, value in _fields(_view(content)):
            if number != 1:
                continue
            if kind == _BYTES:
                values.append(bytes(_view(value)))
            elif kind == _FLOATS:  # packed, or one by one as old writers do
                values.extend(each for (each,) in struct.iter_unpack("<f", _view(value)))
            elif kind == _INTEGERS:
                values.extend(map(_signed, [value] if isinstance(value, int) else _varints(value)))
    return values


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Field numbers and contents: an integer of a varint, bytes of all else. Most tags and sizes are of one byte."""
    at, last = 0, len(message)
    while at < last:
        tag = message[at]
        at += 1
        if tag > 127:
            tag, at = _read_varint(message, at - 1)
        wire = tag & 7
        if wire == _LENGTH:
            size = message[at]
            at += 1
            if size > 127:
                size, at = _read_varint(message, at - 1)
        elif wire == _VARINT:
            value, at = _read_varint(message, at)
            yield tag >> 3, value
            continue
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        end = at + size
        if end > last:
            raise ValueError(f"{size} bytes at byte {at}, and there are {last - at}")
        yield tag >> 3, message[at:end]
        at = end


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _read_varint(packed, at)
        yield value


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, at
        shift += 7
        if shift > 63:
            raise ValueError(f"an integer of more than 64 bits before byte {at}")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _view(content: memoryview | int) -> memoryview:
    if isinstance(content, int):
        raise ValueError("an integer where bytes belong")  # noqa: TRY004  damaged data, no wrong call
    return content
