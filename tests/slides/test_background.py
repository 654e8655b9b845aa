import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sextant.slides.background import background_share, estimate
from sextant.slides.reader import grid, open_slide, tile_pixels
from sextant.slides.settings import TileSettings
from tests.slides.made import full_rule, picture, write


@given(st.tuples(*[st.integers(0, 255)] * 3), st.integers(1, 255))
def test_a_pixel_is_background_by_pillows_luminance(colour, luminance):
    red, green, blue = colour
    expected = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16 >= luminance
    assert background_share(np.full((2, 3, 3), colour, np.uint8), luminance) == expected


def test_the_share_is_of_pixels():
    image = np.zeros((4, 5, 3), np.uint8)
    image[0, :3] = 220
    image[1, 0] = 219
    assert background_share(image, 220) == 3 / 20


@pytest.mark.parametrize(
    ("made", "settings", "small"),
    [
        ({}, {"size": 256}, True),
        ({}, {"size": 128}, True),
        ({"codec": "rgb"}, {"size": 128}, True),
        ({"codec": "jp2k"}, {"size": 128}, True),
        ({"codec": "jp2k", "downs": (1, 4)}, {"size": 128}, True),
        ({"downs": (1, 4)}, {"size": 128}, True),
        ({"downs": (1,)}, {"size": 128}, True),
        ({"downs": (1, 64)}, {"size": 128}, True),
        ({"codec": "jp2k", "downs": (1, 64)}, {"size": 128}, False),
        ({"codec": "jp2k", "downs": (1,)}, {"size": 128}, False),
        ({"power": 40}, {"size": 128}, True),
        ({"power": 40, "codec": "jp2k"}, {"size": 128}, True),
    ],
)
def test_decisions_without_doubt_are_those_of_the_full_rule(tmp_path, made, settings, small):
    path = write(tmp_path / "s.svs", picture(2000, 1500, seed=5), **made)
    chosen = TileSettings(**settings)
    with open_slide(path) as slide:
        found = grid(slide, chosen)
        known = estimate(slide, found, chosen)
        assert (known is not None) == small
        if known is None:
            return
        full = np.array(
            [
                [
                    background_share(tile_pixels(slide, found, column, row, chosen.size), chosen.luminance)
                    for column in range(found.columns)
                ]
                for row in range(found.rows)
            ]
        )
    assert known.share.shape == (found.rows, found.columns)
    kept = known.share <= 0.5
    assert 0.2 < kept.mean() < 0.8
    assert np.array_equal(kept[~known.doubtful], (full <= 0.5)[~known.doubtful])
    assert known.doubtful.mean() < 0.25
    assert np.abs(known.share - full).mean() < 0.05


def test_pale_tissue_is_in_doubt_and_not_decided_on_averages(tmp_path):
    # 60 % of the pixels are background by a hair and the rest is tissue, too fine for a small level: averages are 217
    fine = np.full((1024, 1024), 225, np.uint8)
    fine[np.random.default_rng(0).random(fine.shape) < 0.4] = 205
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as file:
        for number, level in enumerate((fine, fine.reshape(64, 16, 64, 16).mean((1, 3)).astype(np.uint8))):
            rgb = np.repeat(level[..., None], 3, 2)
            file.write(rgb, tile=(64, 64), photometric="rgb", subfiletype=min(number, 1), metadata=None)
    settings = TileSettings(size=256, unknown_magnification=20)
    with open_slide(path) as slide:
        found = grid(slide, settings)
        known = estimate(slide, found, settings)
    assert known.share.max() < 0.1  # the averages say tissue
    assert known.doubtful.all()
    assert full_rule(path, settings) == {}  # the rule says background


def test_a_damaged_small_level_decides_nothing(tmp_path):
    path = write(tmp_path / "s.svs", picture(1400, 1100))
    body = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        page = file.pages[-1]
        for offset in page.dataoffsets:
            body[offset : offset + 200] = bytes(200)
    path.write_bytes(body)
    settings = TileSettings(size=256)
    with open_slide(path) as slide:
        assert estimate(slide, grid(slide, settings), settings) is None


DATA = Path(os.environ.get("SEXTANT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "slides"


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="no real data: give its folder as SEXTANT_DATA")
def test_paler_real_tissue_is_decided_as_by_the_full_rule():
    # every 20th of 2,220 real tiles in five stains; the small level's pixels are averages of 16 x 16
    wrong = doubtful = 0
    with tarfile.open(DATA / "lc25000-lung-mini.tar") as tar:
        tiles = [member for member in tar.getmembers() if member.name.endswith((".jpg", ".jpeg"))][::20]
        assert len(tiles) == 111
        for member in tiles:
            original = np.asarray(Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB"), np.float32)
            for stain in (0.3, 0.4, 0.5, 0.6, 1.0):
                image = Image.fromarray((255 - (255 - original) * stain).round().astype(np.uint8))
                low = np.asarray(image.reduce(16).convert("L"))
                keep = np.mean(np.asarray(image.convert("L")) >= 220) <= 0.5
                sure = np.mean(low >= 214) < 0.35 or np.mean(low >= 226) > 0.65
                wrong += sure and keep != (np.mean(low >= 220) <= 0.5)
                doubtful += not sure and stain == 1.0
    assert (wrong, doubtful) == (0, 0)
