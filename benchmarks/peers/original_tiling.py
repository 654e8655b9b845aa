"""The original's way from a slide to training records, in our words: `python original_tiling.py SLIDE FOLDER`.

Every tile of the deep zoom level at 20x is read by OpenSlide, turned gray and averaged at full resolution; what is kept
is written as JPEG, copied into the folder of its class, read again, and stored as float32. (DeepPATH's deep zoom tiling
with `-s 512 -e 0 -B 50 -M 20`, and `sort_jpegs` and `convert_to_tf_records` of the post; its workers are one process
here, every kept tile becomes one record, and Pillow reads the JPEGs as matplotlib does underneath.)
"""

from __future__ import annotations

import argparse
import math
import shutil
from pathlib import Path

import numpy as np
from openslide import OpenSlide
from openslide.deepzoom import DeepZoomGenerator
from PIL import Image

from sextant.slides.example import encode
from sextant.slides.tfrecord import frame

SIZE = 512
POWER = 20
LUMINANCE = 220
BACKGROUND = 0.5
QUALITY = 90


def tile(slide: Path, folder: Path) -> int:
    """Writes the tiles that are not background as JPEGs; returns how many the grid has."""
    opened = OpenSlide(slide)
    zoom = DeepZoomGenerator(opened, SIZE, 0, limit_bounds=False)
    level = zoom.level_count - 1 - round(math.log2(float(opened.properties["openslide.objective-power"]) / POWER))
    columns, rows = zoom.level_tiles[level]
    for column in range(columns):
        for row in range(rows):
            read = zoom.get_tile(level, (column, row))
            gray = read.convert("L")
            white = gray.point(_white, "F")
            np.array(np.asarray(white))  # its copy, average and second mask are made of every tile there, too
            share = np.average(white)
            gray.point(_white, "1")
            if share <= BACKGROUND and read.size == (SIZE, SIZE):
                read.save(folder / f"{column}_{row}.jpeg", quality=QUALITY)
    return columns * rows


def _white(value: int) -> int:
    return 0 if value < LUMINANCE else 1


def store(folder: Path, label: int) -> int:
    """Copies the JPEGs of a slide to those of its class, and these into a TFRecord file; returns how many."""
    sorted_folder = folder / str(label)
    sorted_folder.mkdir()
    jpegs = sorted(folder.glob("*.jpeg"))
    for path in jpegs:
        shutil.copy(path, sorted_folder / path.name)
    with (folder / "train.tfrecords").open("wb") as stream:
        for path in jpegs:
            with Image.open(sorted_folder / path.name) as image:
                raw = np.asarray(image).astype(np.float32).tobytes()
            stream.write(frame(encode({"label": (label,), "image_raw": (raw,)})))
    return len(jpegs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    grid = tile(arguments.slide, arguments.folder)
    kept = store(arguments.folder, label=1)
    print(f"{kept} of {grid} tiles")
