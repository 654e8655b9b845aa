"""`python -m samples.slides.gigapixel FILE [WIDTH HEIGHT POWER]`: one large slide, for benches and the viewer.

The tissue repeats, so most tiles are encoded once and placed often: a slide of 1.3 gigapixels takes seconds to write,
and as long to read as any other.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from PIL import Image

from samples.slides.svs import TILE, Level, write_svs
from samples.slides.texture import GLASS, stain, structure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SEED = 4
PERIOD = 1536
"""Pixels at 20x after which the tissue repeats: a multiple of a tile at every level."""
CELL = 64
"""Pixels at level 0 of a cell that is all tissue or all glass: every level's pixels are then averages of level 0's."""
QUALITY = 70
DOWNSAMPLES = (1, 4, 16)
BLOBS = ((0.30, 0.35, 0.20, 0.22), (0.65, 0.60, 0.25, 0.20), (0.75, 0.20, 0.10, 0.12), (0.25, 0.80, 0.14, 0.10))
"""Centre and half axes (y, x, y, x) of the pieces of tissue, as shares of the slide: 38 % of it in all."""


def write_gigapixel(path: Path, width: int, height: int, power: float = 20.0) -> None:
    """Writes an Aperio slide of JPEG/YCbCr tiles of 256 px with levels 1/4/16 in less than 300 MB of memory.

    About 38 % of it is tissue, and the same seed always gives the same bytes. At 40x the tissue is twice as large as
    at 20x, as it is on glass.

    Raises:
        ValueError: the size is no multiple of 4,096 px, or the power is neither 20 nor 40.
    """
    if width % 4096 or height % 4096 or min(width, height) < 4096 or power not in {20, 40}:
        raise ValueError(f"{width}x{height} at {power:g}x: give multiples of 4096 px, and 20x or 40x")
    draw = np.random.default_rng(SEED)
    texture = stain(draw).colours()[structure("LUAD", draw, PERIOD)]
    if power == 40:
        texture = np.asarray(Image.fromarray(texture).resize((2 * PERIOD, 2 * PERIOD), Image.Resampling.BICUBIC))
    grain = np.clip(draw.normal(GLASS, 1.5, (TILE, TILE, 3)), 0, 255).round().astype(np.uint8)
    cells = _cells(width // CELL, height // CELL)
    levels = [
        Level(width // down, height // down, _tiles(cells, texture, grain, down=down, width=width, height=height))
        for down in DOWNSAMPLES
    ]
    thumbnail = np.where(cells[..., None], texture.mean((0, 1)), GLASS).astype(np.uint8)
    write_svs(path, levels, thumbnail, codec="ycbcr", quality=QUALITY, power=power, mpp=10 / power, big=True)


def _cells(columns: int, rows: int) -> NDArray[np.bool_]:
    """Which cells are tissue, shape (rows, columns)."""
    y, x = (np.mgrid[0:rows, 0:columns] + 0.5) / np.array((rows, columns))[:, None, None]
    mask = np.zeros((rows, columns), bool)
    for at_y, at_x, half_y, half_x in BLOBS:
        rim = 1 + 0.15 * np.sin(6 * np.arctan2(y - at_y, x - at_x))
        mask |= ((y - at_y) / (half_y * rim)) ** 2 + ((x - at_x) / (half_x * rim)) ** 2 < 1
    return mask


def _tiles(
    cells: NDArray[np.bool_],
    texture: NDArray[np.uint8],
    grain: NDArray[np.uint8],
    *,
    down: int,
    width: int,
    height: int,
) -> Iterator[bytes]:
    """The encoded tiles of the level that is `down` times smaller, row by row."""
    if down > 1:
        texture = np.asarray(Image.fromarray(texture).reduce(down))
    period = len(texture)
    repeats = -(-TILE // period) + 1  # of a small level a tile shows the tissue several times
    wide = (
        np.tile(texture, (repeats, repeats, 1))
        if repeats > 2
        else np.pad(texture, ((0, TILE), (0, TILE), (0, 0)), "wrap")
    )
    empty = simplejpeg.encode_jpeg(grain, QUALITY, colorspace="RGB", colorsubsampling="420")
    full: dict[tuple[int, int], bytes] = {}
    cell = CELL // down
    per_tile = TILE // cell
    for top in range(0, height // down, TILE):
        for left in range(0, width // down, TILE):
            mask = cells[top // cell : top // cell + per_tile, left // cell : left // cell + per_tile]
            if not mask.any():
                yield empty
                continue
            phase = (top % period, left % period)
            pixels = wide[phase[0] : phase[0] + TILE, phase[1] : phase[1] + TILE]
            if mask.all():
                if phase not in full:
                    full[phase] = _encoded(pixels)
                yield full[phase]
                continue
            rows, columns = mask.shape  # a level's last tile may reach over its edge
            spread = np.zeros((TILE, TILE, 1), bool)
            spread[: rows * cell, : columns * cell, 0] = mask.repeat(cell, 0).repeat(cell, 1)
            yield _encoded(np.where(spread, pixels, grain))


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    return bytes(
        simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), QUALITY, colorspace="RGB", colorsubsampling="420")
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m samples.slides.gigapixel", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("width", type=int, nargs="?", default=24_576)
    parser.add_argument("height", type=int, nargs="?", default=20_480)
    parser.add_argument("power", type=float, nargs="?", default=20.0)
    arguments = parser.parse_args()
    write_gigapixel(arguments.file, arguments.width, arguments.height, arguments.power)
