"""Tiles and their features as records: schema v1 of the `tf.train.Example` in the TFRecord shards.

| key | list | |
| --- | --- | --- |
| `image/encoded` | bytes | JPEG parts, row by row |
| `image/grid` | int64 | rows, columns of parts |
| `image/size` | int64 | pixels per side of the decoded tile |
| `label`, `label/name` | int64, bytes | index in the ordered class list, and its name |
| `slide/id`, `patient/id` | bytes | UTF-8 |
| `tile/x`, `tile/y`, `tile/span` | int64 | left, top and side in pixels of level 0 |
| `tile/mpp` | float | µm per pixel of the decoded tile; absent where the slide does not tell |
| `tile/background` | float | share of background, 0 to 1 |
| `feature` | bytes | of a feature record, instead of the image: float16, little endian |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg

from sextant.slides.errors import RecordError
from sextant.slides.example import Value, decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Tile:
    """A tile of a slide as it is stored: `parts` are JPEGs, row by row of `grid` (rows, columns).

    `x`, `y` and `span` are pixels of level 0; `size` is the side of the decoded tile in pixels and `mpp` its µm per
    pixel; `background` is a share. The slide's own JPEG tiles, where they were copied, are several parts.
    """

    slide: str
    patient: str
    label: int
    label_name: str
    x: int
    y: int
    span: int
    size: int
    mpp: float | None
    background: float
    grid: tuple[int, int]
    parts: tuple[bytes, ...]


@dataclass(frozen=True, eq=False)
class TileFeatures:
    """What an encoder made of a tile: `feature` has shape (dim,), and is stored as float16."""

    slide: str
    patient: str
    label: int
    label_name: str
    x: int
    y: int
    span: int
    feature: NDArray[np.float32]


def to_record(tile: Tile) -> bytes:
    """The serialized Example of a tile."""
    features: dict[str, Sequence[Value]] = {
        **_identity(tile),
        "image/encoded": tile.parts,
        "image/grid": tile.grid,
        "image/size": (tile.size,),
        "tile/background": (float(tile.background),),
    }
    if tile.mpp is not None:
        features["tile/mpp"] = (float(tile.mpp),)
    return encode(features)


def from_record(payload: bytes) -> Tile:
    """The tile of a serialized Example; mpp and background come back as float32 holds them.

    Raises:
        RecordError: it is no Example, lacks a key of the schema, or has another number of parts than its grid.
    """
    found = decode(payload)
    parts = tuple(each for each in _list(found, "image/encoded") if isinstance(each, bytes))
    grid = [each for each in _list(found, "image/grid") if isinstance(each, int)]
    if len(grid) != 2 or min(grid) < 1 or grid[0] * grid[1] != len(parts):
        raise RecordError(
            f"the tile {_place(found)} has {len(parts)} JPEG parts for a grid of {grid}: its writer was not of "
            f"schema {SCHEMA_VERSION}"
        )
    return Tile(
        slide=_text(found, "slide/id"),
        patient=_text(found, "patient/id"),
        label=_integer(found, "label"),
        label_name=_text(found, "label/name"),
        x=_integer(found, "tile/x"),
        y=_integer(found, "tile/y"),
        span=_integer(found, "tile/span"),
        size=_integer(found, "image/size"),
        mpp=_float(found, "tile/mpp") if found.get("tile/mpp") else None,
        background=_float(found, "tile/background"),
        grid=(grid[0], grid[1]),
        parts=parts,
    )


def pixels(tile: Tile) -> NDArray[np.uint8]:
    """The decoded tile, RGB, shape (size, size, 3).

    Raises:
        RecordError: a part is damaged, or has not its share of the size.
    """
    rows, columns = tile.grid
    height, width = tile.size // rows, tile.size // columns
    image = np.empty((tile.size, tile.size, 3), np.uint8)
    for number, part in enumerate(tile.parts):
        row, column = divmod(number, columns)
        where = f"part {number} of tile x={tile.x} y={tile.y} of slide {tile.slide}"
        try:
            decoded = simplejpeg.decode_jpeg(part)
        except ValueError as error:
            raise RecordError(f"{where} is no whole JPEG: {error}") from error
        if decoded.shape != (height, width, 3):
            raise RecordError(f"{where} has shape {decoded.shape} where {(height, width, 3)} belongs")
        image[row * height : (row + 1) * height, column * width : (column + 1) * width] = decoded
    return image


def features_to_record(features: TileFeatures) -> bytes:
    """The serialized Example of a tile's features."""
    return encode({**_identity(features), "feature": (features.feature.astype("<f2").tobytes(),)})


def features_from_record(payload: bytes) -> TileFeatures:
    """The features of a serialized Example, as float32.

    Raises:
        RecordError: it is no Example, or lacks a key of the schema.
    """
    found = decode(payload)
    return TileFeatures(
        slide=_text(found, "slide/id"),
        patient=_text(found, "patient/id"),
        label=_integer(found, "label"),
        label_name=_text(found, "label/name"),
        x=_integer(found, "tile/x"),
        y=_integer(found, "tile/y"),
        span=_integer(found, "tile/span"),
        feature=_halves(found).astype(np.float32),
    )


def _identity(of: Tile | TileFeatures) -> dict[str, Sequence[Value]]:
    return {
        "slide/id": (of.slide.encode(),),
        "patient/id": (of.patient.encode(),),
        "label": (of.label,),
        "label/name": (of.label_name.encode(),),
        "tile/x": (of.x,),
        "tile/y": (of.y,),
        "tile/span": (of.span,),
    }


def _halves(found: Mapping[str, Sequence[Value]]) -> NDArray[np.float16]:
    value = _one(found, "feature")
    if not isinstance(value, bytes) or len(value) % 2:
        raise _not(found, "feature", "float16 bytes")
    return np.frombuffer(value, "<f2")


def _list(found: Mapping[str, Sequence[Value]], key: str) -> Sequence[Value]:
    values = found.get(key)
    if not values:
        there = ", ".join(sorted(found)) or "nothing"
        raise RecordError(f"the record lacks {key}; it has {there}, so it is no record of schema {SCHEMA_VERSION}")
    return values


def _one(found: Mapping[str, Sequence[Value]], key: str) -> Value:
    return _list(found, key)[0]


def _text(found: Mapping[str, Sequence[Value]], key: str) -> str:
    value = _one(found, key)
    if not isinstance(value, bytes):
        raise _not(found, key, "bytes")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise _not(found, key, "UTF-8") from error


def _integer(found: Mapping[str, Sequence[Value]], key: str) -> int:
    value = _one(found, key)
    if not isinstance(value, int):
        raise _not(found, key, "an int64")
    return value


def _float(found: Mapping[str, Sequence[Value]], key: str) -> float:
    value = _one(found, key)
    if not isinstance(value, float):
        raise _not(found, key, "a float")
    return value


def _not(found: Mapping[str, Sequence[Value]], key: str, wanted: str) -> RecordError:
    return RecordError(f"the tile {_place(found)}: {key} is not {wanted}")


def _place(found: Mapping[str, Sequence[Value]]) -> str:
    slide, x, y = (next(iter(found.get(key, ())), "?") for key in ("slide/id", "tile/x", "tile/y"))
    name = slide.decode(errors="replace") if isinstance(slide, bytes) else str(slide)
    return f"x={x!r} y={y!r} of slide {name}"
