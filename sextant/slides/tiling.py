"""A slide becomes a TFRecord file of tiles: in one pass, in bounded memory, the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sextant.slides import jpeg, jpeg_stream
from sextant.slides.background import background_share, estimate
from sextant.slides.errors import SlideError
from sextant.slides.reader import Grid, Slide, grid, open_slide, tile_parts, tile_pixels
from sextant.slides.records import Tile, to_record
from sextant.slides.summary import TileSummary
from sextant.slides.tfrecord import frame
from sextant.slides.view_model import DROPPED, STEPS, TileGrid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sextant.slides.settings import TileSettings

_BUFFER = 1 << 20


@dataclass(frozen=True)
class Tiled:
    """What was made of a slide, and for its view what became of each place of the grid."""

    summary: TileSummary
    grid: TileGrid


def tile_slide(
    path: Path, *, slide: str, patient: str, label: int, label_name: str, settings: TileSettings, target: Path
) -> Tiled:
    """Writes the tiles of a slide that are not background, row by row, as records of schema v1.

    The target appears when it is whole, or not at all.

    Raises:
        SlideError: the slide cannot be used; also where any tile that is wanted cannot be decoded, and where all of it
            is background.
        OSError: the target cannot be written.
    """
    started = time.process_time()
    unfinished = target.with_name(f".{target.name}.partial")
    digest, size, kept = hashlib.sha256(), 0, 0
    tally = _Tally()
    identity = _Identity(slide, patient, label, label_name)
    try:
        with open_slide(path) as opened, unfinished.open("wb", buffering=_BUFFER) as stream:
            where = grid(opened, settings)
            shares = np.full((where.rows, where.columns), DROPPED, np.uint8)
            for tile in _tiles(_Work(opened, where, settings, identity), tally):
                record = frame(to_record(tile))
                stream.write(record)
                digest.update(record)
                size += len(record)
                kept += 1
                shares[round(tile.y / where.span), round(tile.x / where.span)] = round(tile.background * STEPS)
        tiles = where.columns * where.rows
        _judge(path, tiles, kept, tally, settings)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    summary = TileSummary(
        slide=slide,
        engine=where.engine,
        width=opened.width,
        height=opened.height,
        objective_power=opened.objective_power,
        mpp=opened.mpp,
        magnification=where.magnification,
        columns=where.columns,
        rows=where.rows,
        tiles=tiles,
        kept=kept,
        dropped=tiles - kept,
        rechecked=tally.rechecked,
        seconds_cpu=round(time.process_time() - started, 3),
        bytes=size,
        sha256=digest.hexdigest(),
        settings=settings,
    )
    cells = base64.b64encode(shares.tobytes()).decode()
    return Tiled(summary, TileGrid(span=where.span, columns=where.columns, rows=where.rows, shares=cells))


@dataclass(frozen=True)
class _Identity:
    slide: str
    patient: str
    label: int
    label_name: str


@dataclass(frozen=True)
class _Work:
    opened: Slide
    where: Grid
    settings: TileSettings
    identity: _Identity


@dataclass
class _Tally:
    """What happened on the way."""

    rechecked: int = 0
    unreadable: list[str] = field(default_factory=list)


def _tiles(work: _Work, tally: _Tally) -> Iterator[Tile]:
    """The tiles that are not background, row by row; those that cannot be decoded are counted and left out."""
    where, limit = work.where, work.settings.background
    known = estimate(work.opened, where, work.settings)
    for row, column in np.ndindex(where.rows, where.columns):
        share = None
        if known is not None and not known.doubtful[row, column]:
            share = float(known.share[row, column])
            if share > limit:
                continue
        tally.rechecked += share is None
        try:
            tile = _tile(work, column, row, share)
        except jpeg_stream.DamagedError as error:
            x, y = where.place(column, row)
            tally.unreadable.append(f"x={x} y={y}: {error}")
            if where.engine == "openslide":
                return  # its handle answers every further call with this error
            continue
        if tile is not None:
            yield tile


def _tile(work: _Work, column: int, row: int, share: float | None) -> Tile | None:
    """A tile; None where its pixels, asked where the small level leaves its share in doubt, tell that it is background.

    Raises:
        DamagedError: it cannot be decoded.
    """
    opened, where, settings, identity = work.opened, work.where, work.settings, work.identity
    if where.engine == "native":
        parts_grid, parts = tile_parts(opened, where, column, row, settings.size)
        if share is None:
            width, height = settings.size // parts_grid[1], settings.size // parts_grid[0]
            shares = [background_share(jpeg.decode(part, width, height), settings.luminance) for part in parts]
            share = sum(shares) / len(shares)
        if share > settings.background:
            return None
    else:
        pixels = tile_pixels(opened, where, column, row, settings.size)
        if share is None:
            share = background_share(pixels, settings.luminance)
        if share > settings.background:
            return None
        parts_grid, parts = (1, 1), (jpeg.encode(pixels, settings.quality),)
    x, y = where.place(column, row)
    return Tile(
        slide=identity.slide,
        patient=identity.patient,
        label=identity.label,
        label_name=identity.label_name,
        x=x,
        y=y,
        span=round(where.span),
        size=settings.size,
        mpp=None if opened.mpp is None else opened.mpp * where.span / settings.size,
        background=share,
        grid=parts_grid,
        parts=parts,
    )


def _judge(path: Path, tiles: int, kept: int, tally: _Tally, settings: TileSettings) -> None:
    if tally.unreadable:
        raise SlideError(
            "unreadable tiles",
            f"{len(tally.unreadable)} of the {tiles} tiles of {path.name} cannot be decoded, the first at "
            f"{tally.unreadable[0]}: copy or scan the slide again",
        )
    if not kept:
        raise SlideError(
            "no tissue",
            f"all {tiles} tiles of {path.name} are background: more than {settings.background:.0%} of each has a "
            f"luminance of {settings.luminance} or more",
        )
