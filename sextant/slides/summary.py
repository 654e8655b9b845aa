"""What is told about a tiled slide. It lies apart from the tiling: who trains reads it, and has no OpenSlide."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from sextant.slides.settings import TileSettings  # noqa: TC001  pydantic reads it


class TileSummary(BaseModel):
    """What became of a slide. `width` and `height` are pixels of level 0, `mpp` its µm per pixel, `magnification` what
    it was scanned at or is taken for; `columns` and `rows` are of the grid of tiles.

    Of `tiles`, `kept` are in the file and `dropped` are background; `rechecked` were decided at full resolution.
    `bytes` and `sha256` are of the file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slide: str
    engine: Literal["native", "turbo", "openslide"]
    width: int
    height: int
    objective_power: float | None
    mpp: float | None
    magnification: float
    columns: int
    rows: int
    tiles: int
    kept: int
    dropped: int
    rechecked: int
    seconds_cpu: float
    bytes: int
    sha256: str
    settings: TileSettings
