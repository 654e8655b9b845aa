"""JPEG streams as TIFF holds them: without tables, and with colours that only the TIFF tells. Pure Python.

A TIFF tile of compression 7 is an abbreviated stream: its quantization and Huffman tables lie once per level in the tag
JPEGTables, and its colours are those of PhotometricInterpretation, whatever a JPEG decoder would guess (TIFF Technical
Note 2). Aperio's "JPEG/RGB" tiles come out in wrong colours unless an Adobe marker says that they are RGB.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_START, _END = b"\xff\xd8", b"\xff\xd9"
_SCAN, _SCAN_MARKER = 0xDA, b"\xff\xda"
_FRAMES = frozenset({0xC0, 0xC1})
"""Sequential Huffman coded frames: what scanners write."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)
"""In coded data: 0xff as a value is followed by 0, and 0xd0 to 0xd7 restart the decoder."""
_DROPPED = frozenset({0xFE, *range(0xE0, 0xF0)})
"""Comments and application data: a JFIF marker would overrule the Adobe marker."""
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
_BLANK = bytes(32)


class DamagedError(ValueError):
    """A JPEG stream that cannot be decoded as a whole."""


def opening(tables: bytes | None, *, rgb: bool) -> bytes:
    """What every tile of a level begins with: start, Adobe marker that tells RGB from YCbCr, the level's tables."""
    colours = _ADOBE + (b"\x00" if rgb else b"\x01")
    return _START + colours + (_segments(tables.removesuffix(_END)) if tables else b"")


def whole(tile: bytes, beginning: bytes) -> bytes:
    """The tile as a stream that any decoder shows in the right colours; no coefficient changes.

    Args:
        tile: an abbreviated (or whole) stream.
        beginning: what `opening` made for its level.

    Raises:
        DamagedError: it is no JPEG stream.
    """
    return beginning + _segments(tile)


def plain(jpeg: bytes, width: int, height: int) -> bool:
    """Whether a whole stream is of this size in pixels and nothing in it looks damaged; it is not decoded.

    The coded data of its one scan has no marker but restarts before its end, and no long run of zeros: overwritten and
    missing blocks of a file hardly ever keep that. False means: decode it to know.
    """
    try:
        header = _header(jpeg)
    except DamagedError:
        return False
    if header.size != (width, height) or not header.scan:
        return False
    marker = _MARKER.search(jpeg, header.scan)
    ended = marker is not None and marker.group() == _END and marker.end() == len(jpeg)
    return ended and jpeg.find(_BLANK, header.scan) < 0


def _segments(stream: bytes) -> bytes:
    """The stream without its start marker, application data and comments."""
    dropped = _header(stream).dropped
    if not dropped:
        return stream[2:]
    ends = (2, *(end for _, end in dropped))
    starts = (*(start for start, _ in dropped), len(stream))
    return b"".join(stream[end:start] for end, start in zip(ends, starts, strict=True))


class _Header(NamedTuple):
    """What stands before the coded data: where that begins (0: there is none), and where what is dropped lies."""

    size: tuple[int, int]
    scan: int
    dropped: tuple[tuple[int, int], ...]


def _header(stream: bytes) -> _Header:
    """A level's tiles mostly begin alike, so what stands before the first scan marker is looked at once."""
    scan = stream.find(_SCAN_MARKER)
    if scan > 0:
        known = _walked(stream[: scan + 4])
        if known.scan:
            return known
    return _walked.__wrapped__(stream)  # no scan, or those two bytes stood in a table


@lru_cache(16)
def _walked(stream: bytes) -> _Header:
    if not stream.startswith(_START):
        raise DamagedError(f"no JPEG: it begins with {stream[:4].hex() or 'nothing'}")
    size = (0, 0)
    dropped: list[tuple[int, int]] = []
    at, last = 2, len(stream)
    while at < last:
        if stream[at] != 0xFF or at + 4 > last:
            raise DamagedError(f"no JPEG marker at byte {at} of {last}")
        marker = stream[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == _END[1]:
            break
        end = at + 2 + (stream[at + 2] << 8 | stream[at + 3])
        if marker == _SCAN:
            return _Header(size, end, tuple(dropped))
        if marker in _DROPPED:
            dropped.append((at, end))
        elif marker in _FRAMES and end <= last:
            size = (stream[at + 7] << 8 | stream[at + 8], stream[at + 5] << 8 | stream[at + 6])
        at = end
    return _Header(size, 0, tuple(dropped))
