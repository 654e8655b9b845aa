"""What a tile is: the settings that every step of a run shares, stored with its results."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class TileSettings(BaseModel):
    """How slides become tiles; the defaults are the original's (DeepPATH `-s 512 -e 0 -B 50 -M 20`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    size: Annotated[int, Field(ge=16, le=4096, multiple_of=16)] = 512
    """Pixels per side of a tile. Tiles do not overlap; what is left at the right and lower edge is dropped."""
    magnification: Annotated[float, Field(gt=0, le=100)] = 20.0
    """Objective power the tiles are seen at. Where a slide tells only its µm per pixel, 0.5 µm is 20x."""
    background: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A tile is dropped when more than this share of its pixels is background."""
    luminance: Annotated[int, Field(ge=1, le=255)] = 220
    """A pixel is background from this luminance on (ITU-R 601-2, 0 to 255)."""
    unknown_magnification: Annotated[float, Field(gt=0, le=100)] | None = None
    """What a slide that tells neither its power nor its µm per pixel was scanned at. None: it is quarantined."""
    encoding: Literal["native", "jpeg"] = "native"
    """`native` copies the slide's own JPEG tiles where they fit: no loss, a record has several parts then. `jpeg` makes
    one JPEG of every tile, for foreign readers."""
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    """JPEG quality of the tiles that cannot be copied."""
