from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sextant.slides.reader import open_slide
from tests.slides.made import picture, write

WIDTH, HEIGHT, SIDE = 400, 300, 64


@pytest.fixture(scope="module", params=[1, 2, 4, 8])
def level(request, tmp_path_factory):
    """A level of 7x5 tiles, how much it is shrunk by, and all of its pixels, decoded by Pillow tile by tile."""
    path = write(tmp_path_factory.mktemp("level") / "s.svs", picture(WIDTH, HEIGHT), side=SIDE, downs=(1,))
    shrink = request.param
    side = SIDE // shrink
    with open_slide(path) as slide:
        found = slide.levels[0].jpeg
        assert (found.columns, len(found.offsets)) == (7, 35)
        whole = np.empty((5 * side, 7 * side, 3), np.uint8)
        for number in range(35):
            row, column = divmod(number, 7)
            (part,) = found.parts(column, row, 1)
            with Image.open(BytesIO(part)) as tile:
                if shrink > 1:  # libjpeg's own scaled decoding
                    tile.draft("RGB", (side, side))
                whole[row * side : (row + 1) * side, column * side : (column + 1) * side] = np.asarray(tile)
        yield found, shrink, whole


@given(data=st.data())
def test_a_region_is_cut_from_the_whole(level, data):
    found, shrink, whole = level
    width = data.draw(st.integers(1, WIDTH // shrink))
    height = data.draw(st.integers(1, HEIGHT // shrink))
    x = data.draw(st.integers(0, WIDTH // shrink - width))
    y = data.draw(st.integers(0, HEIGHT // shrink - height))
    region = found.region(x, y, width, height, shrink=shrink)
    assert np.array_equal(region, whole[y : y + height, x : x + width])
    gray = found.region(x, y, width, height, shrink=shrink, gray=True)
    assert gray.shape == (height, width)
    assert np.abs(gray - np.asarray(Image.fromarray(region).convert("L"), int)).mean() < 1.5


def test_neighbours_are_read_at_once_or_one_by_one(level):
    found, _, _ = level
    together = found.parts(1, 2, 4)
    assert together == [part for column in range(1, 5) for part in found.parts(column, 2, 1)]


@pytest.mark.parametrize("order", ["apart", "backwards", "one elsewhere"])
def test_neighbours_that_lie_anywhere_are_read_as_well(tmp_path, order):
    near = write(tmp_path / "near.svs", picture(WIDTH, HEIGHT), side=SIDE, downs=(1,))
    with open_slide(near) as slide:
        level = slide.levels[0].jpeg
        expected = level.parts(1, 2, 4)
        body = near.read_bytes()
        blocks = [body[at : at + count] for at, count in zip(level.offsets, level.counts, strict=True)]
    numbers = list(range(35))
    if order == "backwards":
        numbers.reverse()
    if order == "one elsewhere":  # and as many bytes in its place
        numbers.remove(17)
        numbers.append(17)
    offsets, written = np.zeros(35, np.int64), b""
    for number in numbers:
        written += b"gap" if order == "apart" else b""
        if order == "one elsewhere" and number == 18:
            written += bytes(len(blocks[17]))
        offsets[number] = len(written)
        written += blocks[number]
    moved = tmp_path / "moved"
    moved.write_bytes(written)
    with moved.open("rb") as stream:
        assert replace(level, descriptor=stream.fileno(), offsets=offsets).parts(1, 2, 4) == expected


def test_the_cache_is_bounded(tmp_path):
    path = write(tmp_path / "s.svs", picture(WIDTH, HEIGHT), side=SIDE, downs=(1,))
    with open_slide(path) as slide:
        level = slide.levels[0].jpeg
        for _ in range(2):
            for y in range(0, HEIGHT - 50, 25):
                level.region(0, y, WIDTH, 50)
        assert 0 < sum(tile.nbytes for tile in level._cache.values()) <= 16 << 20
