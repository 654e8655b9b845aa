"""Slides of any scanner, opened for tiling: what they tell of themselves, and their pixels by the fastest way there is.

Three engines, chosen per slide:
    native      the slide's own JPEG tiles make up the wanted tile at the wanted magnification: they are copied
    turbo       a JPEG level is 1, 2, 4 or 8 times as large as wanted: libjpeg-turbo decodes it at that scale
    openslide   all else: JPEG 2000, NDPI, MRXS, DICOM, magnifications that are no power of two apart
"""

from __future__ import annotations

import os
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import openslide
import tifffile
from PIL import Image

from sextant.slides import jpeg, jpeg_stream
from sextant.slides.errors import SlideError
from sextant.slides.jpeg_level import SHRINKS, JpegLevel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from sextant.slides.settings import TileSettings

Engine: TypeAlias = Literal["native", "turbo", "openslide"]

_PLAIN_PYRAMIDS = frozenset({"aperio", "generic-tiff"})
"""Formats whose levels are whole TIFF pages with tiles that do not overlap (OpenSlide's vendor names)."""
_TEN_FOLD_MPP = 10.0
"""µm per pixel times magnification: 0.5 at 20x and 0.25 at 40x, as every scanner of the last twenty years has it."""
_POWERS = (1.25, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
_POWER_TOLERANCE = 0.15
_PLAUSIBLE_MPP = (0.05, 20.0)
"""Outside of it is a print resolution (72 dpi are 353 µm), not that of a scanner."""
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Level:
    """A level of the pyramid; `downsample` is pixels of level 0 per pixel of it, whole where the sizes allow that."""

    width: int
    height: int
    downsample: float
    jpeg: JpegLevel | None


@dataclass(frozen=True)
class Slide:
    """An open slide. `objective_power` and `mpp` (µm per pixel of level 0) are None where it does not tell them."""

    path: Path
    vendor: str
    width: int
    height: int
    objective_power: float | None
    mpp: float | None
    levels: tuple[Level, ...]
    background_color: str
    handle: openslide.OpenSlide


@dataclass(frozen=True)
class Grid:
    """Where the tiles of a slide lie and how they are read: whole tiles only, from the upper left corner.

    `magnification` is that of level 0. A tile spans `span` pixels of level 0, and `shrink` pixels of level number
    `level` become one of its own.
    """

    engine: Engine
    magnification: float
    level: int
    shrink: float
    span: float
    columns: int
    rows: int

    def place(self, column: int, row: int) -> tuple[int, int]:
        """Left and top of a tile in pixels of level 0."""
        return round(column * self.span), round(row * self.span)


@contextmanager
def open_slide(path: Path) -> Iterator[Slide]:
    """Opens a slide and closes it afterwards.

    Raises:
        SlideError: it is missing, truncated, not a slide, or unreadable.
    """
    handle = _opened(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield _slide(path, handle, descriptor)
    finally:
        os.close(descriptor)
        handle.close()


def magnification(slide: Slide, settings: TileSettings) -> float:
    """What level 0 was scanned at: the slide's objective power; else 10 / mpp, which is taken for the next usual power
    (1.25 to 80) within 15 %, for scanners have 0.22 to 0.27 µm at 40x; else what the settings assume.

    Raises:
        SlideError: the slide tells neither, and the settings assume nothing.
    """
    if slide.objective_power is not None:
        return slide.objective_power
    if slide.mpp is not None:
        exact = _TEN_FOLD_MPP / slide.mpp
        usual = min(_POWERS, key=lambda power: abs(power - exact) / power)
        return usual if abs(usual - exact) <= _POWER_TOLERANCE * usual else exact
    if settings.unknown_magnification is None:
        raise SlideError(
            "unknown magnification",
            f"{slide.path.name} tells neither its objective power nor its µm per pixel: if you know what such slides "
            "were scanned at, set unknown_magnification (such as 20)",
        )
    return settings.unknown_magnification


def grid(slide: Slide, settings: TileSettings) -> Grid:
    """Where the tiles lie and which engine reads them.

    Raises:
        SlideError: the magnification is unknown or less than wanted, or the slide is smaller than a tile.
    """
    scanned = magnification(slide, settings)
    wanted = settings.magnification
    down = scanned / wanted
    if down < 1 - 1e-3:
        raise SlideError(
            "magnification too low",
            f"{slide.path.name} was scanned at {scanned:g}x and tiles are wanted at {wanted:g}x: pixels cannot be made "
            f"up; leave the slide out or set magnification to {scanned:g} for all",
        )
    down = float(round(down)) if abs(down - round(down)) < 1e-3 * down else down
    engine, level, shrink = _engine(slide, settings, down)
    span = settings.size * down
    columns, rows = int(slide.width / span + 1e-9), int(slide.height / span + 1e-9)
    if not columns or not rows:
        raise SlideError(
            "too small",
            f"{slide.path.name} has {slide.width}x{slide.height} pixels at {scanned:g}x, and one tile of "
            f"{settings.size} pixels at {wanted:g}x needs {round(span)}: it may be a thumbnail or a crop of the slide",
        )
    return Grid(engine, scanned, level, shrink, span, columns, rows)


def tile_parts(slide: Slide, grid: Grid, column: int, row: int, size: int) -> tuple[tuple[int, int], tuple[bytes, ...]]:
    """Of the native engine: rows and columns of JPEG parts, and the parts row by row.

    Raises:
        DamagedError: a part is no whole JPEG of its size.
    """
    level = slide.levels[grid.level].jpeg
    if level is None:
        raise ValueError(f"level {grid.level} of {slide.path.name} has no JPEG tiles to copy")
    down, across = size // level.tile_height, size // level.tile_width
    parts = tuple(
        part for each in range(row * down, (row + 1) * down) for part in level.parts(column * across, each, across)
    )
    for part in parts:
        if not jpeg_stream.plain(part, level.tile_width, level.tile_height):
            jpeg.decode(part, level.tile_width, level.tile_height)
    return (down, across), parts


def tile_pixels(slide: Slide, grid: Grid, column: int, row: int, size: int) -> NDArray[np.uint8]:
    """A tile's pixels, RGB, shape (size, size, 3).

    Raises:
        DamagedError: the slide's data there cannot be decoded.
    """
    level = slide.levels[grid.level]
    if grid.engine != "openslide" and level.jpeg is not None:
        return level.jpeg.region(column * size, row * size, size, size, shrink=round(grid.shrink))
    place = grid.place(column, row)
    wanted = size * grid.shrink
    region = openslide_region(slide, grid.level, place, (int(np.ceil(wanted)),) * 2)
    if wanted != size:
        region = region.resize((size, size), Image.Resampling.LANCZOS, box=(0, 0, wanted, wanted))
    return np.asarray(region)


def openslide_region(slide: Slide, level: int, place: tuple[int, int], size: tuple[int, int]) -> Image.Image:
    """A region by OpenSlide, RGB: `place` in pixels of level 0, `size` in those of the level. Where the scanner saw
    nothing it has the slide's background colour, as OpenSlide's own deep zoom does it.

    Raises:
        DamagedError: OpenSlide cannot read it; the handle is of no use after that.
    """
    try:
        region = slide.handle.read_region(place, level, size)
    except openslide.OpenSlideError as error:
        raise jpeg_stream.DamagedError(str(error)) from error
    if region.getchannel("A").getextrema() == (255, 255):
        return region.convert("RGB")
    ground = Image.new("RGB", size, slide.background_color)
    ground.paste(region, mask=region)
    return ground


def _engine(slide: Slide, settings: TileSettings, down: float) -> tuple[Engine, int, float]:
    """Engine, level and the pixels of that level per pixel of a tile; of JPEG levels the smallest that will do."""
    for number, level in reversed(list(enumerate(slide.levels))):
        shrink = down / level.downsample
        if level.jpeg is None or shrink not in SHRINKS:
            continue
        width, height = level.jpeg.tile_width, level.jpeg.tile_height
        fits = not settings.size % width and not settings.size % height
        if shrink == 1 and fits and settings.encoding == "native":
            return "native", number, 1
        if not width % shrink and not height % shrink:
            return "turbo", number, shrink
    fine = [number for number, level in enumerate(slide.levels) if level.downsample <= down * (1 + 1e-6)]
    best = max(fine, key=lambda number: slide.levels[number].downsample)
    return "openslide", best, down / slide.levels[best].downsample


def _opened(path: Path) -> openslide.OpenSlide:
    if not path.is_file():
        raise SlideError("missing file", f"{path} is not there")
    try:
        return openslide.OpenSlide(path)
    except openslide.OpenSlideUnsupportedFormatError as error:
        raise _unsupported(path) from error
    except openslide.OpenSlideError as error:
        _check_length(path)
        raise SlideError(
            "unreadable slide", f"{path.name} is damaged or of a kind that OpenSlide does not read: {error}"
        ) from error


def _unsupported(path: Path) -> SlideError:
    """What is wrong with a file that OpenSlide does not know, as far as its first bytes tell."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if not start:
        return SlideError("truncated file", f"{path.name} is empty: copy it again")
    if start not in _TIFF_STARTS:
        return SlideError("not a slide", f"{path.name} begins with {start.hex()}, which no format of OpenSlide does")
    _check_length(path)
    return SlideError(
        "not a slide",
        f"{path.name} is a TIFF, but not a scanner's and without tiles: export it as pyramidal tiled TIFF",
    )


def _check_length(path: Path) -> None:
    """Looks for what should lie beyond the end of a TIFF: directories, and tiles of those that are there.

    Raises:
        SlideError: something does.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(16)
        if start[:4] not in _TIFF_STARTS:
            return
        order, big = "<" if start[:1] == b"I" else ">", b"+" in start[:4]
        counted, entry, pointer = ("Q", 20, "Q") if big else ("H", 12, "I")
        link = start[8:16] if big else start[4:8]
        seen: set[int] = set()
        while (at := _unpacked(order + pointer, link, size)) and at not in seen:
            seen.add(at)
            stream.seek(at)
            count = _unpacked(order + counted, stream.read(struct.calcsize(counted)), size)
            stream.seek(at + struct.calcsize(counted) + count * entry)
            link = stream.read(struct.calcsize(pointer))
    if at == size:
        raise SlideError(
            "truncated file", f"{path.name} has {size} bytes, and directories of it lie beyond them: copy it again"
        )
    _jpeg_levels(path, -1)  # for its checks alone: nothing is read through them


def _unpacked(form: str, field: bytes, most: int) -> int:
    """An integer of a TIFF; `most` where it is not there, or larger."""
    return min(int(struct.unpack(form, field)[0]), most) if len(field) == struct.calcsize(form) else most


def _slide(path: Path, handle: openslide.OpenSlide, descriptor: int) -> Slide:
    properties = handle.properties
    vendor = properties.get(openslide.PROPERTY_NAME_VENDOR, "")
    width, height = handle.dimensions
    pages = _jpeg_levels(path, descriptor) if vendor in _PLAIN_PYRAMIDS else {}
    levels = tuple(
        Level(*size, _downsample((width, height), size, told), pages.get(size))
        for size, told in zip(handle.level_dimensions, handle.level_downsamples, strict=True)
    )
    color = properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "ffffff")
    power = _number(properties, openslide.PROPERTY_NAME_OBJECTIVE_POWER)
    return Slide(path, vendor, width, height, power, _mpp(properties), levels, f"#{color}", handle)


def _downsample(base: tuple[int, int], size: tuple[int, int], told: float) -> float:
    """The whole factor between two levels where their sizes have one, rounded up or down; else what OpenSlide tells."""
    factor = round(told)
    exact = all(small in (large // factor, -(-large // factor)) for large, small in zip(base, size, strict=True))
    return float(factor) if exact else told


def _mpp(properties: Mapping[str, str]) -> float | None:
    found = [_number(properties, name) for name in (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y)]
    known = [each for each in found if each is not None and _PLAUSIBLE_MPP[0] <= each <= _PLAUSIBLE_MPP[1]]
    return sum(known) / len(known) if known else None


def _number(properties: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(properties.get(name, ""))
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None


def _jpeg_levels(path: Path, descriptor: int) -> dict[tuple[int, int], JpegLevel]:
    """The TIFF's pages of JPEG tiles by their size in pixels; of focal planes, which have one size, the first.

    Raises:
        SlideError: a tile lies beyond the end of the file.
    """
    try:
        with tifffile.TiffFile(path) as file:
            pages = [page for page in file.pages if isinstance(page, tifffile.TiffPage) and page.is_tiled]
            found = [(page, *_places(page)) for page in pages]
            return {
                (page.imagewidth, page.imagelength): _jpeg_level(page, descriptor, offsets, counts)
                for page, offsets, counts in reversed(found)
                if _whole(path, page, offsets, counts) and _copyable(page, counts)
            }
    except SlideError:
        raise
    except Exception:  # noqa: BLE001  OpenSlide opened it: it reads what this parser cannot
        return {}


def _places(page: tifffile.TiffPage) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.array(page.dataoffsets, np.int64), np.array(page.databytecounts, np.int64)


def _whole(path: Path, page: tifffile.TiffPage, offsets: NDArray[np.int64], counts: NDArray[np.int64]) -> bool:
    size = path.stat().st_size
    beyond = int(np.count_nonzero(offsets + counts > size))
    if beyond:
        raise SlideError(
            "truncated file",
            f"{path.name} has {size} bytes, and {beyond} of the {len(offsets)} tiles of its level of "
            f"{page.imagewidth}x{page.imagelength} pixels lie beyond them: copy it again",
        )
    return True


def _copyable(page: tifffile.TiffPage, counts: NDArray[np.int64]) -> bool:
    """Whether the page's tiles are 8-bit colour JPEGs, all there: OpenSlide fills what is missing from other levels."""
    return (
        page.compression == tifffile.COMPRESSION.JPEG
        and page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
        and page.samplesperpixel == 3
        and page.bitspersample == 8
        and page.planarconfig == tifffile.PLANARCONFIG.CONTIG
        and len(counts) == -(-page.imagewidth // page.tilewidth) * -(-page.imagelength // page.tilelength)
        and bool(counts.all())
    )


def _jpeg_level(
    page: tifffile.TiffPage, descriptor: int, offsets: NDArray[np.int64], counts: NDArray[np.int64]
) -> JpegLevel:
    return JpegLevel(
        descriptor=descriptor,
        width=page.imagewidth,
        height=page.imagelength,
        tile_width=page.tilewidth,
        tile_height=page.tilelength,
        offsets=offsets,
        counts=counts,
        beginning=jpeg_stream.opening(page.jpegtables, rgb=page.photometric == tifffile.PHOTOMETRIC.RGB),
    )
