"""Which tiles are background, by the original's rule: a pixel is where its luminance is 220 or more, and a tile is
dropped when more than half of its pixels are.

Luminance is Pillow's `L`: (19595 R + 38470 G + 7471 B + 0x8000) >> 16, ITU-R 601-2 in fixed point.
Most tiles are decided on a small level of the pyramid. Those that it leaves in doubt are decoded, so that the decisions
are the rule's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sextant.slides.jpeg import DamagedError
from sextant.slides.jpeg_level import SHRINKS
from sextant.slides.reader import openslide_region

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sextant.slides.reader import Grid, Level, Slide
    from sextant.slides.settings import TileSettings

COARSEST = 16
"""Pixels of a tile, per axis, that one pixel of the small level may stand for: 0.10 was the largest error of a share
among tiles decided wrongly there, and 0.30 at twice as coarse."""
_FINE_ENOUGH = 8
_CHEAPER = 2
DOUBTFUL = 0.15
"""So far from the limit a share on the small level may be wrong."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """Of every tile, shape (rows, columns): its share of background on a small level, and whether that is in doubt."""

    share: NDArray[np.float32]
    doubtful: NDArray[np.bool_]


def background_share(pixels: NDArray[np.uint8], luminance: int) -> float:
    """The share of background pixels, 0 to 1, of an RGB image of shape (height, width, 3)."""
    counts = Image.fromarray(pixels).convert("L").histogram()
    return float(sum(counts[luminance:]) / (pixels.shape[0] * pixels.shape[1]))


def estimate(slide: Slide, grid: Grid, settings: TileSettings) -> Estimate | None:
    """The background of all tiles on a small level; None where the slide has none that is fine enough and cheaper than
    the tiles themselves, or it is damaged.
    """
    small = _small_level(slide, grid, settings)
    if small is None:
        return None
    number, shrink = small
    pitch = grid.span / slide.levels[number].downsample / shrink
    across = np.rint(np.arange(grid.columns + 1) * pitch).astype(np.int64)
    down = np.rint(np.arange(grid.rows + 1) * pitch).astype(np.int64)
    shares = np.empty((grid.rows, grid.columns), np.float32)
    try:
        for row in range(grid.rows):
            rows = (int(down[row]), int(down[row + 1]))
            strip = _strip(slide, grid, small, row, rows=rows, width=int(across[-1]))
            sums = np.concatenate(([0], np.cumsum((strip >= settings.luminance).sum(0))))
            shares[row] = np.diff(sums[across]) / (np.diff(across) * strip.shape[0])
    except DamagedError:
        return None
    return Estimate(shares, np.abs(shares - settings.background) <= DOUBTFUL)


def _small_level(slide: Slide, grid: Grid, settings: TileSettings) -> tuple[int, int] | None:
    """Number of the smallest level that is fine enough, and the scale to decode it at."""
    tile_pixel = grid.span / settings.size
    for number, level in reversed(list(enumerate(slide.levels))):
        coarse = {shrink: level.downsample * shrink / tile_pixel for shrink in _shrinks(level)}
        usable = [shrink for shrink in coarse if _CHEAPER <= coarse[shrink] <= COARSEST * 1.01]
        if usable:
            return number, next((shrink for shrink in usable if coarse[shrink] >= _FINE_ENOUGH), usable[-1])
    return None


def _shrinks(level: Level) -> list[int]:
    if level.jpeg is None:
        return [1]
    width, height = level.jpeg.tile_width, level.jpeg.tile_height
    return [shrink for shrink in SHRINKS if not width % shrink and not height % shrink]


def _strip(
    slide: Slide, grid: Grid, small: tuple[int, int], row: int, *, rows: tuple[int, int], width: int
) -> NDArray[np.uint8]:
    """The luminance of a row of tiles on the small level, whose pixel rows are from `rows[0]` up to `rows[1]`."""
    number, shrink = small
    top, height = rows[0], rows[1] - rows[0]
    level = slide.levels[number]
    if level.jpeg is not None:
        return level.jpeg.region(0, top, width, height, shrink=shrink, gray=True)
    region = openslide_region(slide, number, (0, grid.place(0, row)[1]), (width, height))
    return np.asarray(region.convert("L"))
