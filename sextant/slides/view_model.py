"""What the console needs to show a slide: `view/{slide}.json` of a run, and the index of its deep-zoom tiles beside it.

`view/{slide}.idx` has 12 bytes per tile, level by level and row by row: uint64 offset and uint32 count of its bytes,
little endian. `view/{slide}.jpgs` holds the tiles of the levels that no JPEG tile of the slide shows, and
`view/{slide}.jpg` is the whole slide, 1,024 pixels long at most.

Plain data, without numpy: a Lambda function reads it.
"""

from __future__ import annotations

import struct
from typing import Literal

from pydantic import BaseModel, ConfigDict

ENTRY = struct.Struct("<QI")
DROPPED = 255
"""In `TileGrid.shares`: the tile is not in the records."""
STEPS = 200
"""A share of 1 in `TileGrid.shares`."""

_FROZEN = ConfigDict(extra="forbid", frozen=True)


class ViewLevel(BaseModel):
    """A level of the pyramid. `downsample` is pixels of level 0 per pixel of it, `first` the index of its first tile.

    Tiles lie in the slide itself (`source` is `slide`: `beginning`, base64, is what their streams lack) or beside the
    view (`pyramid`: whole JPEGs). Those at the right and lower edge of a slide are padded to the whole size.
    """

    model_config = _FROZEN

    source: Literal["slide", "pyramid"]
    width: int
    height: int
    downsample: float
    tile_width: int
    tile_height: int
    columns: int
    rows: int
    beginning: str = ""
    first: int


class TileGrid(BaseModel):
    """The run's tiles. `span` is a tile's side in pixels of level 0.

    `shares` is base64 of a byte per tile, row by row: its share of background in steps of 1/200, or 255: dropped.
    """

    model_config = _FROZEN

    span: float
    columns: int
    rows: int
    shares: str


class View(BaseModel):
    """A slide as it was when it was tiled: `uri` and `etag` tell whether it still is. `mpp` is µm per pixel of level 0.

    `version` names this very view: tiles that were fetched under it never change.
    """

    model_config = _FROZEN

    schema_version: Literal[1] = 1
    slide: str
    uri: str
    etag: str
    version: str
    width: int
    height: int
    objective_power: float | None
    mpp: float | None
    levels: tuple[ViewLevel, ...]
    grid: TileGrid
