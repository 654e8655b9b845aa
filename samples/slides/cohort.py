"""`python -m samples.slides OUT`: a cohort of small slides in many formats, with the truth about every tile.

Three classes as in the original (LUAD, LUSC, normal lung) of 24 patients. Five patients have two slides, three of them
a tumour and normal tissue. Patients differ in stain and in the sizes of structures, as they do in life: whoever lets a
patient into training and test measures how well the patient is recognised.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image, ImageDraw

from samples.slides.svs import TILE, Codec, Level, decode_tile, encode_tile, write_svs
from samples.slides.texture import CLASSES, GLASS, stain, tissue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SPAN = 512
"""Pixels per side of a tile at 20x."""
LUMINANCE, BACKGROUND = 220, 0.5
PERIOD = 1100
"""Pixels at 20x after which a patient's tissue repeats: no two tiles of a slide begin at the same place of it."""
QUALITY = 70
SIZES = ((3584, 3072), (3072, 3584), (4000, 2900), (3328, 3328))
"""Width and height at 20x; not all are whole tiles."""

Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scan:
    """How a slide was scanned: `power` is what it truly was, `told` what its file tells; `size` is at 20x."""

    codec: Codec = "ycbcr"
    power: int = 20
    told_power: bool = True
    told_mpp: bool = True
    big: bool = False
    size: tuple[int, int] | None = None


SCANS = {
    "S03": Scan("rgb"),
    "S06": Scan(power=40),
    "S09": Scan(told_power=False),
    "S12": Scan("jp2k", size=(2560, 2304)),
    "S15": Scan(power=40, big=True),
    "S18": Scan("rgb"),
    "S21": Scan(power=40),
    "S24": Scan(big=True),
}
"""The slides that are not scanned as most are; S09 tells its µm per pixel, but not its power."""
UNTOLD = Scan(told_power=False, told_mpp=False)
TWICE = "S02"


@dataclass(frozen=True)
class SlideTruth:
    """What is true of a slide that can be tiled.

    `kept` and `dropped` are tiles by the full rule: the column and the row, the share of background beside it.
    `tissue` are polygons in pixels of level 0.
    """

    slide: str
    patient: str
    label: str
    key: str
    scan: Scan
    width: int
    height: int
    kept: dict[tuple[int, int], float]
    dropped: dict[tuple[int, int], float]
    tissue: tuple[Polygon, ...]


@dataclass(frozen=True)
class Truth:
    """The truth about a cohort: its slides, and by name why others are quarantined in the plan or in the tile step.

    `noted` are rows and files that are told and change nothing.
    """

    classes: tuple[str, ...]
    slides: tuple[SlideTruth, ...]
    quarantined_in_plan: dict[str, str]
    quarantined_in_tile: dict[str, str]
    noted: dict[str, str]

    def splits(self, salt: str, fractions: tuple[str, str, str] = ("0.7", "0.2", "0.1")) -> dict[str, str]:
        """The split of every patient, worked out after the rule's words, in exact fractions."""
        labels: dict[str, set[str]] = {}
        for each in self.slides:
            labels.setdefault(each.patient, set()).add(each.label)
        found = {}
        for stratum in {tuple(sorted(each)) for each in labels.values()}:
            same = [patient for patient in labels if tuple(sorted(labels[patient])) == stratum]
            same.sort(key=lambda patient: hashlib.sha256(f"{salt}\n{patient}".encode()).hexdigest())
            for split, count in zip(("train", "valid", "test"), _seats(len(same), fractions), strict=True):
                found.update(dict.fromkeys(same[:count], split))
                same = same[count:]
        return found


def _seats(patients: int, fractions: Sequence[str]) -> list[int]:
    """Largest remainder; then whoever has none gets one of the largest, test before valid."""
    shares = [Fraction(each) * patients for each in fractions]
    seats = [math.floor(each) for each in shares]
    while sum(seats) < patients:
        rests = [share - seat for share, seat in zip(shares, seats, strict=True)]
        seats[rests.index(max(rests))] += 1
    for needed, split in ((1, 0), (2, 2), (3, 1)):
        if patients >= needed and not seats[split]:
            seats[seats.index(max(seats))] -= 1
            seats[split] += 1
    return seats


def patients() -> list[tuple[str, tuple[str, ...]]]:
    """24 patients with the labels of their 29 slides."""
    single = [(f"P{number:02}", (CLASSES[number % 3],)) for number in range(1, 19)]
    double = [("P19", ("LUAD", "LUAD")), ("P20", ("LUSC", "LUSC"))]
    both = [("P21", ("LUSC", "normal")), ("P22", ("LUAD", "normal")), ("P23", ("LUSC", "normal"))]
    return [*single, *double, *both, ("P24", ("normal",))]


def write_cohort(folder: Path, seed: int = 7) -> Truth:
    """Writes 29 sound slides, seven that are not, and slides.csv; the same seed gives the same bytes.

    A slide is of about 10 megapixels at 20x. All take 60 MB at most.
    """
    folder.mkdir(parents=True, exist_ok=True)
    slides: list[SlideTruth] = []
    rows: list[tuple[str, str, str]] = []
    for number, (patient, labels) in enumerate(patients(), 1):
        painter = Painter.of(np.random.default_rng((seed, number)))
        for label in labels:
            name = f"S{len(slides) + 1:02}"
            slides.append(painter.write(folder, name, patient, label, SCANS.get(name, Scan())))
            rows.append((name, patient, label))
    of = {each.slide: each for each in slides}
    untold = Painter.of(np.random.default_rng((seed, 100)))
    untold.write(folder, "S30", "P01", of["S01"].label, UNTOLD)
    sound = {name: (folder / of[name].key).read_bytes() for name in ("S01", "S04", "S05")}
    (folder / "S31.svs").write_bytes(_torn(sound["S01"]))
    (folder / "S32.svs").write_bytes(sound["S05"][: len(sound["S05"]) * 6 // 10])
    (folder / "S33.svs").write_text("The scanner's export failed.\n")
    (folder / "S34.svs").write_bytes(sound["S04"])
    (folder / "S35.svs").write_bytes(sound["S05"][:50_000])
    (folder / "S38.svs").write_bytes(sound["S05"][:50_000])
    rows += [
        ("S30", "P01", of["S01"].label),
        ("S31", "P01", of["S01"].label),
        ("S32", "P05", of["S05"].label),
        ("S33", "P06", of["S06"].label),
        ("S34", "P04", of["S04"].label),
        *(("S35", "P05", label) for label in ("LUAD", "LUSC")),
        ("S36", "P06", of["S06"].label),
        ("S37", "P07", ""),
        (TWICE, of[TWICE].patient, of[TWICE].label),
    ]
    _write_table(folder / "slides.csv", rows, np.random.default_rng((seed, 101)))
    return Truth(
        classes=CLASSES,
        slides=tuple(slides),
        quarantined_in_plan={
            "S32": "truncated file",
            "S33": "not a slide",
            "S34": "copy of a slide",
            "S35": "conflicting labels",
            "S36": "missing file",
            "S37": "incomplete row",
        },
        quarantined_in_tile={"S30": "unknown magnification", "S31": "unreadable tiles"},
        noted={TWICE: "duplicate row", "S38": "not in slides.csv"},
    )


def _write_table(path: Path, rows: list[tuple[str, str, str]], draw: np.random.Generator) -> None:
    """slides.csv in mixed order, as spreadsheets leave it: byte order mark, CRLF, a blank line, the header again."""
    header = ("slide", "patient", "label")
    mixed: list[Sequence[str]] = [rows[each] for each in draw.permutation(len(rows))]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([header, *mixed[:12], (), header, *mixed[12:]])


def _torn(slide: bytes) -> bytes:
    """A slide whose tissue lost a tile: the directories are whole, the bytes of one large tile are zero."""
    with tifffile.TiffFile(io.BytesIO(slide)) as file:
        page = file.pages.first
        places = sorted(zip(page.databytecounts, page.dataoffsets, strict=True))
    count, offset = places[-1]
    return slide[:offset] + bytes(count) + slide[offset + count :]


@dataclass(frozen=True)
class Painter:
    """What the slides of a patient share: the stain, and the seed of everything else."""

    draw: np.random.Generator
    colours: NDArray[np.uint8]

    @classmethod
    def of(cls, draw: np.random.Generator) -> Painter:
        """A patient's."""
        return cls(draw, stain(draw).colours())

    def write(self, folder: Path, name: str, patient: str, label: str, scan: Scan) -> SlideTruth:
        """Writes a slide, and tells the truth about it."""
        factor = scan.power // 20
        width, height = (factor * each for each in scan.size or SIZES[self.draw.integers(len(SIZES))])
        texture = self.colours[tissue(label, self.draw, PERIOD)]
        if factor > 1:
            texture = np.asarray(Image.fromarray(texture).resize((factor * PERIOD,) * 2, Image.Resampling.BICUBIC))
        polygons = _pieces(width, height, self.draw)
        page = Page(texture, _mask(width, height, polygons), codec=scan.codec, shrink=factor)
        write_svs(
            folder / f"{name}.svs",
            [Level(width, height, page.tiles()), Level(width // 4, height // 4, page.small_tiles())],
            page.thumbnail(),
            codec=scan.codec,
            quality=QUALITY,
            power=scan.power if scan.told_power else None,
            mpp=10 / scan.power if scan.told_mpp else None,
            big=scan.big,
        )
        shares = page.shares(SPAN * factor)
        return SlideTruth(
            slide=name,
            patient=patient,
            label=label,
            key=f"{name}.svs",
            scan=scan,
            width=width,
            height=height,
            kept={place: share for place, share in shares.items() if share <= BACKGROUND},
            dropped={place: share for place, share in shares.items() if share > BACKGROUND},
            tissue=polygons,
        )


def _pieces(width: int, height: int, draw: np.random.Generator) -> tuple[Polygon, ...]:
    """One to three pieces of tissue with wavy rims, in pixels."""
    layouts = (
        ((0.5, 0.5, 0.36, 0.38),),
        ((0.32, 0.34, 0.25, 0.26), (0.68, 0.66, 0.25, 0.27)),
        ((0.28, 0.3, 0.2, 0.22), (0.7, 0.32, 0.2, 0.22), (0.5, 0.74, 0.36, 0.19)),
    )
    turn = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    pieces = []
    for x, y, half_width, half_height in layouts[draw.integers(len(layouts))]:
        rim = 1 + sum(draw.uniform(0.02, 0.09) * np.sin(waves * turn + draw.uniform(0, 6)) for waves in (2, 3, 5, 9))
        xs = width * (x + half_width * rim * np.cos(turn))
        ys = height * (y + half_height * rim * np.sin(turn))
        pieces.append(tuple(zip(xs.round(1).tolist(), ys.round(1).tolist(), strict=True)))
    return tuple(pieces)


def _mask(width: int, height: int, polygons: Sequence[Polygon]) -> NDArray[np.bool_]:
    image = Image.new("1", (width, height))
    for polygon in polygons:
        ImageDraw.Draw(image).polygon(polygon, fill=1)
    return np.asarray(image)


class Page:
    """Level 0 while it is painted: it counts background in what was written, and keeps itself at a quarter.

    The texture, which is square, repeats below the mask; `shrink` is the slide's power by 20.
    """

    def __init__(
        self,
        texture: NDArray[np.uint8],
        mask: NDArray[np.bool_],
        *,
        codec: Codec = "ycbcr",
        shrink: int = 1,
        quality: int = QUALITY,
    ) -> None:
        height, width = mask.shape
        self._columns, self._rows = -(-width // TILE), -(-height // TILE)
        self._texture = np.pad(texture, ((0, TILE), (0, TILE), (0, 0)), "wrap")
        self._period = len(texture)
        self._mask = np.pad(mask, ((0, self._rows * TILE - height), (0, self._columns * TILE - width)))
        self._codec: Codec = codec
        self._shrink = shrink
        self._quality = quality
        self._counts = np.zeros((self._rows, self._columns), np.int64)
        self._small = np.zeros((self._rows * TILE // 4, self._columns * TILE // 4, 3), np.uint8)
        self._size = width, height
        grain = np.random.default_rng(2).normal(GLASS, 1.5, (TILE, TILE, 3))
        self._grain = np.clip(grain, 0, 255).round().astype(np.uint8)

    def tiles(self) -> Iterator[bytes]:
        """The encoded tiles, row by row."""
        empty = encode_tile(self._grain, self._codec, self._quality)
        empty_count = self._background(empty)
        empty_small = _quarter(self._grain)
        for row in range(self._rows):
            for column in range(self._columns):
                top, left = row * TILE, column * TILE
                small = self._small[top // 4 : top // 4 + TILE // 4, left // 4 : left // 4 + TILE // 4]
                mask = self._mask[top : top + TILE, left : left + TILE, None]
                covered = np.count_nonzero(mask)
                if not covered:
                    self._counts[row, column], small[:] = empty_count, empty_small
                    yield empty
                    continue
                y, x = top % self._period, left % self._period
                pixels = self._texture[y : y + TILE, x : x + TILE]
                pixels = pixels if covered == TILE * TILE else np.where(mask, pixels, self._grain)
                encoded = encode_tile(pixels, self._codec, self._quality)
                self._counts[row, column], small[:] = self._background(encoded), _quarter(pixels)
                yield encoded

    def small_tiles(self) -> Iterator[bytes]:
        """The encoded tiles of the level at a quarter, after those of level 0."""
        height, width = (each // 4 for each in reversed(self._size))
        small = np.pad(self._small[:height, :width], ((0, TILE), (0, TILE), (0, 0)), "edge")
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                yield encode_tile(small[top : top + TILE, left : left + TILE], self._codec, self._quality)

    def thumbnail(self) -> NDArray[np.uint8]:
        """Where tissue is, at 1/32."""
        small = self._mask[::32, ::32, None]
        return np.where(small, self._texture[::32, ::32].mean((0, 1)), GLASS).astype(np.uint8)

    def shares(self, span: int) -> dict[tuple[int, int], float]:
        """Of every whole tile of `span` pixels, by column and row: the share of background at 20x."""
        per_tile = span // TILE
        width, height = self._size
        pixels = (span // self._shrink) ** 2
        return {
            (column, row): float(
                self._counts[row * per_tile : (row + 1) * per_tile, column * per_tile : (column + 1) * per_tile].sum()
                / pixels
            )
            for row in range(height // span)
            for column in range(width // span)
        }

    def _background(self, encoded: bytes) -> int:
        """Pixels of background at 20x in a tile as Pillow decodes it."""
        image = Image.fromarray(decode_tile(encoded, self._codec, self._quality))
        if self._shrink > 1:
            image = image.reduce(self._shrink)
        return int((np.asarray(image.convert("L")) >= LUMINANCE).sum())


def _quarter(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).reduce(4))
