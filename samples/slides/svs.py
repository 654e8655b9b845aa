"""Aperio's SVS as a file: a TIFF whose tiled pages are the levels, with the scanner's words in its descriptions.

The tiles come encoded, one by one, so that a slide of any size takes little memory. Written by hand after TIFF 6.0 and
BigTIFF: tifffile places encoded tiles only where it has a codec that could have made them.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TILE = 256
Codec = Literal["ycbcr", "rgb", "jp2k"]
"""`ycbcr`: JPEG as most scanners write it. `rgb`: JPEG without a colour transform whose tables lie in JPEGTables, as
older Aperio scanners write it. `jp2k`: JPEG 2000, Aperio's compression 33005."""

_COMPRESSION: dict[Codec, int] = {"ycbcr": 7, "rgb": 7, "jp2k": 33005}
_RGB, _YCBCR = 2, 6
_ASCII, _SHORT, _LONG, _UNDEFINED, _LONG8 = 2, 3, 4, 7, 16
_FORMATS = {_ASCII: "s", _SHORT: "H", _LONG: "I", _UNDEFINED: "s", _LONG8: "Q"}
_STRIP_ROWS = 16
_SOS = 0xDA
_TABLE_MARKERS = (0xDB, 0xC4)  # DQT, DHT


@dataclass(frozen=True)
class Level:
    """A level of the pyramid: its size in pixels, and its encoded tiles row by row."""

    width: int
    height: int
    tiles: Iterator[bytes]


def write_svs(
    path: Path,
    levels: list[Level],
    thumbnail: NDArray[np.uint8],
    *,
    codec: Codec,
    quality: int,
    power: float | None,
    mpp: float | None,
    big: bool = False,
) -> None:
    """Writes the pyramid, as BigTIFF where `big`.

    `power` (of the objective) and `mpp` (µm per pixel) are left out of the descriptions where they are None.
    """
    full = levels[0]
    scanned = f"Aperio Image Library v11.2.1\r\n{full.width}x{full.height} [0,0 {full.width}x{full.height}] (256x256)"
    written = f"{'J2K/KDU' if codec == 'jp2k' else 'JPEG/RGB'} Q={quality}"
    facts = (
        (f"|AppMag = {power:g}" if power else "") + (f"|MPP = {mpp:g}" if mpp else "") + "|Filename = Sextant sample"
    )
    with path.open("wb") as stream:
        file = _Tiff(stream, big=big)
        for number, level in enumerate(levels):
            shrunk = f" -> {level.width}x{level.height}" if number else ""
            _write_level(file, level, f"{scanned}{shrunk} {written}{facts}", codec, quality)
            if number == 0:  # Aperio's second page is its thumbnail, in strips
                _write_strips(file, thumbnail, f"{scanned} -> {thumbnail.shape[1]}x{thumbnail.shape[0]} - {facts}")


def _write_level(file: _Tiff, level: Level, description: str, codec: Codec, quality: int) -> None:
    tags = _common(level.width, level.height, description)
    tags |= {259: (_SHORT, (_COMPRESSION[codec],)), 262: (_SHORT, (_YCBCR if codec == "ycbcr" else _RGB,))}
    tags |= {322: (_SHORT, (TILE,)), 323: (_SHORT, (TILE,))}
    if codec == "ycbcr":
        tags[530] = (_SHORT, (2, 2))
    if codec == "rgb":
        tags[347] = (_UNDEFINED, _tables(quality))
    file.page(level.tiles, tags, offsets=324, counts=325)


def _write_strips(file: _Tiff, image: NDArray[np.uint8], description: str) -> None:
    tags = _common(image.shape[1], image.shape[0], description)
    tags |= {259: (_SHORT, (1,)), 262: (_SHORT, (_RGB,)), 278: (_SHORT, (_STRIP_ROWS,))}
    strips = (image[top : top + _STRIP_ROWS].tobytes() for top in range(0, len(image), _STRIP_ROWS))
    file.page(strips, tags, offsets=273, counts=279)


def _common(width: int, height: int, description: str) -> dict[int, tuple[int, Sequence[int] | bytes]]:
    return {
        256: (_LONG, (width,)),
        257: (_LONG, (height,)),
        258: (_SHORT, (8, 8, 8)),
        270: (_ASCII, description.encode("ascii") + b"\0"),
        277: (_SHORT, (3,)),
        284: (_SHORT, (1,)),
    }


class _Tiff:
    """A TIFF being written: every page's data, then its directory, to which the one before points."""

    def __init__(self, stream: BinaryIO, *, big: bool) -> None:
        self._stream = stream
        self._big = big
        self._pointer = "<Q" if big else "<I"
        stream.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if big else struct.pack("<2sHI", b"II", 42, 0))
        self._link = 8 if big else 4
        """Where the offset of the next page's directory belongs."""

    def page(
        self, blocks: Iterator[bytes], tags: dict[int, tuple[int, Sequence[int] | bytes]], *, offsets: int, counts: int
    ) -> None:
        """Adds a page of blocks (tiles or strips); `offsets` and `counts` are the tags that tell where they lie."""
        places: list[tuple[int, int]] = []
        for block in blocks:
            places.append((self._stream.tell(), len(block)))
            self._stream.write(block)
        kind = _LONG8 if self._big else _LONG
        tags = tags | {offsets: (kind, [at for at, _ in places]), counts: (_LONG, [length for _, length in places])}
        inline = 8 if self._big else 4
        entries = b""
        for tag, (form, values) in sorted(tags.items()):
            value = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{_FORMATS[form]}", *values)
            if len(value) > inline:
                at = self._aligned()
                self._stream.write(value)
                value = struct.pack(self._pointer, at)
            entries += struct.pack("<HHQ" if self._big else "<HHI", tag, form, len(values)) + value.ljust(inline, b"\0")
        directory = self._aligned()
        self._stream.write(struct.pack("<Q" if self._big else "<H", len(tags)) + entries)
        link = self._stream.tell()
        self._stream.write(struct.pack(self._pointer, 0))
        self._stream.seek(self._link)
        self._stream.write(struct.pack(self._pointer, directory))
        self._stream.seek(0, io.SEEK_END)
        self._link = link

    def _aligned(self) -> int:
        """The end of the file, on an even byte as directories and values must begin on."""
        if self._stream.tell() % 2:
            self._stream.write(b"\0")
        return self._stream.tell()


def encode_tile(pixels: NDArray[np.uint8], codec: Codec, quality: int) -> bytes:
    """A tile of (256, 256, 3) RGB as the codec's pages hold it."""
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    match codec:
        case "ycbcr":
            image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
            return buffer.getvalue()
        case "rgb":
            image.save(buffer, "JPEG", quality=quality, keep_rgb=True)
            return _abbreviated(buffer.getvalue())[1]
        case "jp2k":
            image.save(buffer, "JPEG2000", no_jp2=True, irreversible=True, quality_mode="rates", quality_layers=[24])
            return buffer.getvalue()


def decode_tile(tile: bytes, codec: Codec, quality: int) -> NDArray[np.uint8]:
    """What Pillow sees in an encoded tile, (256, 256, 3) RGB."""
    if codec == "rgb":  # whole again: the tables go in, and Adobe's mark that there is no colour transform
        adobe = bytes.fromhex("ffee000e41646f626500640000000000")
        tile = tile[:2] + adobe + _tables(quality)[2:-2] + tile[2:]
    return np.asarray(Image.open(io.BytesIO(tile)).convert("RGB"))


def _tables(quality: int) -> bytes:
    """The tables that every tile of this quality has: the encoder's standard ones."""
    buffer = io.BytesIO()
    Image.new("RGB", (TILE, TILE)).save(buffer, "JPEG", quality=quality, keep_rgb=True)
    return _abbreviated(buffer.getvalue())[0]


def _abbreviated(jpeg: bytes) -> tuple[bytes, bytes]:
    """A JPEG as its tables and the rest, each a stream of its own (ITU-T T.81, B.4 and B.5); APPn markers go."""
    tables, rest, at = b"", b"", 2
    while True:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4])
        segment = jpeg[at : at + 2 + length]
        if marker == _SOS:
            return b"\xff\xd8" + tables + b"\xff\xd9", b"\xff\xd8" + rest + jpeg[at:]
        if marker in _TABLE_MARKERS:
            tables += segment
        elif not 0xE0 <= marker <= 0xEF:
            rest += segment
        at += len(segment)
