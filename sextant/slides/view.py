"""Makes a slide's view for the console while the slide is at hand: deep zoom straight from its own JPEG tiles.

Levels that the slide has as JPEG tiles are only indexed: a viewer gets each tile by one ranged read. What is lacking is
encoded: small levels below the slide's smallest, and all levels where the slide is no pyramid of JPEGs (JPEG 2000,
MIRAX, DICOM).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from sextant.slides import jpeg, jpeg_stream
from sextant.slides.errors import SlideError
from sextant.slides.reader import open_slide, openslide_region
from sextant.slides.view_model import View, ViewLevel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sextant.slides.reader import Level, Slide
    from sextant.slides.view_model import TileGrid

TILE_PX = 512
"""Side of the tiles that are encoded here; the smallest level fits into one."""
OVERVIEW_PX = 1024
"""Longer side of the overview at most: what a heatmap is drawn on."""
_QUALITY = 80
_ENTRY = np.dtype([("offset", "<u8"), ("count", "<u4")])


def write_view(path: Path, *, slide: str, uri: str, etag: str, tiles: TileGrid, folder: Path) -> View:
    """Writes `{slide}.json`, `{slide}.idx`, the overview `{slide}.jpg` and, where levels are lacking, `{slide}.jpgs`
    into a folder.

    Memory is bounded: 12 bytes per tile of the view, and a few tiles' pixels per level.

    Args:
        path: the slide, on this disk.
        slide: its name.
        uri: where viewers find it.
        etag: of what lies there.
        tiles: what became of each, as `tile_slide` tells.
        folder: exists.

    Raises:
        SlideError: it cannot be read.
    """
    with open_slide(path) as opened:
        try:
            levels, index, overview = _levels(opened, folder / f"{slide}.jpgs")
        except jpeg_stream.DamagedError as error:
            raise SlideError("unreadable slide", f"{path.name} cannot be shown: {error}; scan it again") from error
        (folder / f"{slide}.jpg").write_bytes(jpeg.encode(np.asarray(overview), _QUALITY))
        entries = index.tobytes()
        (folder / f"{slide}.idx").write_bytes(entries)
        view = View(
            slide=slide,
            uri=uri,
            etag=etag,
            version=hashlib.sha256(f"{uri}\n{etag}\n".encode() + entries).hexdigest()[:16],
            width=opened.width,
            height=opened.height,
            objective_power=opened.objective_power,
            mpp=opened.mpp,
            levels=levels,
            grid=tiles,
        )
    (folder / f"{slide}.json").write_text(view.model_dump_json(), encoding="utf-8")
    return view


def _levels(opened: Slide, pyramid: Path) -> tuple[tuple[ViewLevel, ...], NDArray[np.void], Image.Image]:
    """The levels, the largest first, the index of their tiles, and the overview."""
    levels: list[ViewLevel] = []
    index: list[NDArray[np.void]] = []
    for level in opened.levels:
        if level.jpeg is None:
            if level.downsample == 1:  # without its largest level the slide is none of JPEG tiles
                break
            continue
        levels.append(_own(level, sum(map(len, index))))
        entries = np.empty(len(level.jpeg.offsets), _ENTRY)
        entries["offset"], entries["count"] = level.jpeg.offsets, level.jpeg.counts
        index.append(entries)
    smallest = min((each for each in opened.levels if each.jpeg and levels), key=lambda each: each.width, default=None)
    if smallest and max(smallest.width, smallest.height) <= TILE_PX:
        overview = _overview(opened)
    else:
        number = opened.levels.index(smallest) if smallest else 0
        steps, wanted_from = _steps(opened.levels[number]), 1 if smallest else 0
        with pyramid.open("wb") as stream:
            made = _Pyramid(opened, number, steps, wanted_from, stream)
            top = made.tile(len(steps) - 1, 0, 0)
        overview = made.whole or top  # what the top was made from: it has more than half of the pixels wanted
        first = sum(map(len, index))
        for each in steps[wanted_from:]:
            levels.append(each.told(first))
            index.append(each.entries)
            first += len(each.entries)
    return tuple(levels), np.concatenate(index), overview


def _overview(opened: Slide) -> Image.Image:
    """From the largest level of few pixels; a slide whose own levels end below a tile has one."""
    few = [number for number, level in enumerate(opened.levels) if max(level.width, level.height) <= 2 * OVERVIEW_PX]
    level = opened.levels[few[0]]
    image = openslide_region(opened, few[0], (0, 0), (level.width, level.height))
    image.thumbnail((OVERVIEW_PX, OVERVIEW_PX))
    return image


def _own(level: Level, first: int) -> ViewLevel:
    found = level.jpeg
    assert found is not None
    return ViewLevel(
        source="slide",
        width=level.width,
        height=level.height,
        downsample=level.downsample,
        tile_width=found.tile_width,
        tile_height=found.tile_height,
        columns=found.columns,
        rows=-(-found.height // found.tile_height),
        beginning=base64.b64encode(found.beginning).decode(),
        first=first,
    )


@dataclass(frozen=True, eq=False)
class _Step:
    """A level that is encoded, and where its tiles lie."""

    width: int
    height: int
    downsample: float
    entries: NDArray[np.void]

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.width // TILE_PX)

    def told(self, first: int) -> ViewLevel:
        """As the view has it; `first` is the index of its first tile."""
        return ViewLevel(
            source="pyramid",
            width=self.width,
            height=self.height,
            downsample=self.downsample,
            tile_width=TILE_PX,
            tile_height=TILE_PX,
            columns=self.columns,
            rows=len(self.entries) // self.columns,
            first=first,
        )


@dataclass
class _Pyramid:
    """Writes levels below one of the slide's, each half of the one before.

    A tile is made from the four below it, depth first: pixels of the slide are read once, and of every level no more
    than four tiles are in memory. Steps before `wanted_from` are only read.
    """

    opened: Slide
    number: int
    steps: list[_Step]
    wanted_from: int
    stream: BinaryIO
    written: int = 0
    whole: Image.Image | None = None
    """The last step but one, at the end."""

    def tile(self, step: int, column: int, row: int) -> Image.Image:
        """Makes a tile and all below it, and writes them; its pixels."""
        level = self.steps[step]
        left, top = column * TILE_PX, row * TILE_PX
        size = (min(TILE_PX, level.width - left), min(TILE_PX, level.height - top))
        if step == 0:
            image = self._slides_own(level.downsample, (left, top), size)
        else:
            image = self._from_below(step, column, row).reduce(2)
        if step >= self.wanted_from:
            body = jpeg.encode(np.asarray(image), _QUALITY)
            self.stream.write(body)
            level.entries[row * level.columns + column] = (self.written, len(body))
            self.written += len(body)
        return image

    def _slides_own(self, downsample: float, place: tuple[int, int], size: tuple[int, int]) -> Image.Image:
        if (own := self.opened.levels[self.number].jpeg) is not None:
            return Image.fromarray(own.region(*place, *size))
        x, y = place
        return openslide_region(self.opened, self.number, (round(x * downsample), round(y * downsample)), size)

    def _from_below(self, step: int, column: int, row: int) -> Image.Image:
        below = self.steps[step - 1]
        left, top = 2 * column * TILE_PX, 2 * row * TILE_PX
        whole = Image.new("RGB", (min(2 * TILE_PX, below.width - left), min(2 * TILE_PX, below.height - top)))
        for y in range(0, whole.height, TILE_PX):
            for x in range(0, whole.width, TILE_PX):
                whole.paste(self.tile(step - 1, (left + x) // TILE_PX, (top + y) // TILE_PX), (x, y))
        if step == len(self.steps) - 1:
            self.whole = whole
        return whole


def _steps(base: Level) -> list[_Step]:
    """The slide's level, and those to make below it until one fits into a tile."""
    steps = [_step(base.width, base.height, base.downsample)]
    while max(steps[-1].width, steps[-1].height) > TILE_PX:
        last = steps[-1]
        steps.append(_step(-(-last.width // 2), -(-last.height // 2), last.downsample * 2))
    return steps


def _step(width: int, height: int, downsample: float) -> _Step:
    tiles = -(-width // TILE_PX) * -(-height // TILE_PX)
    return _Step(width, height, downsample, np.zeros(tiles, _ENTRY))
