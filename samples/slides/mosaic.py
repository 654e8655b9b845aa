"""Real H&E tiles of LC25000 as a cohort of slides: a patient's slide is a mosaic of the tiles of some groups.

LC25000 (arXiv 1912.12142) has augmented copies of some 750 fields; a group (GeorgeBatch/LC25000-clean) is the copies
of one field. A group is in one patient only, so that a split of patients is a split of fields.
"""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from samples.slides.cohort import BACKGROUND, SPAN, Page, Scan, SlideTruth, Truth
from samples.slides.svs import Level, write_svs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

GROUPS_PER_PATIENT = 6
QUALITY = 75
CELLS = tuple((column, row) for row in range(1, 6) for column in range(1, 5) if (column, row) not in {(1, 5), (4, 5)})
"""Where tissue lies on the slide, as columns and rows of tiles: 18 cells in the middle of 6 x 7."""
COLUMNS, ROWS = 6, 7
NAMES = {"luad": "LUAD", "lusc": "LUSC", "normal": "normal"}


def write_mosaic_cohort(data: Path, folder: Path) -> Truth:
    """Writes a slide for every patient, and slides.csv, below a folder: 125 slides of the 2,220 tiles.

    A tile of 224 px is enlarged to 512 px, and lies where the grid of tiles at 20x has one: the magnification of
    LC25000 is not known, and the 20x told is for the grid.

    Args:
        data: with `slides/lc25000-lung-mini.tar`, whose index.csv has the columns file, label and group.
        folder: to write into.

    Raises:
        FileNotFoundError: the tiles are not there.
    """
    source = data / "slides" / "lc25000-lung-mini.tar"
    if not source.is_file():
        raise FileNotFoundError(f"{source} is not there: give the folder that holds slides/{source.name}")
    folder.mkdir(parents=True, exist_ok=True)
    slides = []
    with tarfile.open(source) as archive:
        files = {member.name: member for member in archive.getmembers()}
        index = archive.extractfile(files["index.csv"])
        assert index is not None
        rows = list(csv.DictReader(io.TextIOWrapper(index, encoding="utf-8")))
        for number, (label, names) in enumerate(_patients(rows), 1):
            tiles = [_tile(archive, files[name]) for name in names]
            slides.append(_write(folder, f"M{number:03}", f"L{number:03}", NAMES.get(label, label), tiles))
    with (folder / "slides.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("slide", "patient", "label"), *((each.slide, each.patient, each.label) for each in slides)]
        )
    return Truth(tuple(sorted({each.label for each in slides})), tuple(slides), {}, {}, {})


def _patients(rows: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """The label and the files of every patient: six groups of a label, put together by chance."""
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        groups[row["label"], row["group"]].append(row["file"])
    for label in sorted({label for label, _ in groups}):
        same = sorted(
            (group for of, group in groups if of == label), key=lambda each: hashlib.sha256(each.encode()).digest()
        )
        for start in range(0, len(same), GROUPS_PER_PATIENT):
            chosen = same[start : start + GROUPS_PER_PATIENT]
            yield label, [file for group in chosen for file in groups[label, group]]


def _tile(archive: tarfile.TarFile, member: tarfile.TarInfo) -> NDArray[np.uint8]:
    content = archive.extractfile(member)
    assert content is not None
    with Image.open(content) as image:
        return np.asarray(image.convert("RGB").resize((SPAN, SPAN), Image.Resampling.BICUBIC))


def _write(folder: Path, name: str, patient: str, label: str, tiles: Sequence[NDArray[np.uint8]]) -> SlideTruth:
    width, height = COLUMNS * SPAN, ROWS * SPAN
    canvas = np.zeros((height, height, 3), np.uint8)
    mask = np.zeros((height, width), bool)
    polygons = []
    for (column, row), tile in zip(CELLS, tiles, strict=False):  # the last patient of a class may have fewer
        left, top = column * SPAN, row * SPAN
        canvas[top : top + SPAN, left : left + SPAN] = tile
        mask[top : top + SPAN, left : left + SPAN] = True
        polygons.append(((left, top), (left + SPAN, top), (left + SPAN, top + SPAN), (left, top + SPAN)))
    page = Page(canvas, mask, quality=QUALITY)
    write_svs(
        folder / f"{name}.svs",
        [Level(width, height, page.tiles()), Level(width // 4, height // 4, page.small_tiles())],
        page.thumbnail(),
        codec="ycbcr",
        quality=QUALITY,
        power=20,
        mpp=0.5,
    )
    shares = page.shares(SPAN)
    return SlideTruth(
        slide=name,
        patient=patient,
        label=label,
        key=f"{name}.svs",
        scan=Scan(),
        width=width,
        height=height,
        kept={place: share for place, share in shares.items() if share <= BACKGROUND},
        dropped={place: share for place, share in shares.items() if share > BACKGROUND},
        tissue=tuple(polygons),
    )
