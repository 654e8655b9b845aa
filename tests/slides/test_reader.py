import os
from io import BytesIO
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from sextant.slides.errors import SlideError
from sextant.slides.jpeg import DamagedError
from sextant.slides.reader import grid, magnification, open_slide, tile_parts, tile_pixels
from sextant.slides.settings import TileSettings
from tests.slides.made import picture, write

WIDTH, HEIGHT = 1400, 1100


@pytest.fixture(scope="module")
def image():
    return picture(WIDTH, HEIGHT)


@pytest.fixture
def slides(tmp_path, image):
    return lambda **made: write(tmp_path / "s.svs", image, **made)


def region(path, x, y, side, level=0):
    with openslide.OpenSlide(path) as slide:
        return np.asarray(slide.read_region((x, y), level, (side, side)).convert("RGB"))


def every(found):
    return [(column, row) for row in range(found.rows) for column in range(found.columns)]


@pytest.mark.parametrize(
    ("power", "made", "settings", "expected"),
    [
        (20, {}, {"size": 512}, ("native", 0, 1)),
        (20, {"codec": "rgb"}, {"size": 256}, ("native", 0, 1)),
        (20, {}, {"size": 512, "encoding": "jpeg"}, ("turbo", 0, 1)),
        (20, {}, {"size": 384}, ("turbo", 0, 1)),
        (20, {}, {"size": 128}, ("turbo", 0, 1)),
        (20, {"side": 240}, {"size": 512}, ("turbo", 0, 1)),
        (20, {"side": 240}, {"size": 480}, ("native", 0, 1)),
        (20, {"codec": "jp2k"}, {"size": 512}, ("openslide", 0, 1)),
        (40, {}, {"size": 256}, ("turbo", 0, 2)),
        (80, {"downs": (1, 16)}, {"size": 128}, ("turbo", 0, 4)),
        (80, {"downs": (1, 4)}, {"size": 256}, ("native", 1, 1)),
        (40, {"downs": (1, 2)}, {"size": 256}, ("native", 1, 1)),
        (40, {"downs": (1, 2)}, {"size": 128}, ("turbo", 1, 1)),
        (80, {"downs": (1, 2)}, {"size": 128}, ("turbo", 1, 2)),
        (40, {"codec": "jp2k", "downs": (1, 2)}, {"size": 256}, ("openslide", 1, 1)),
        (30, {}, {"size": 256}, ("openslide", 0, 1.5)),
        (60, {}, {"size": 128}, ("openslide", 0, 3)),
        (20, {}, {"size": 256, "magnification": 5}, ("native", 1, 1)),
        (20, {}, {"size": 128, "magnification": 2.5}, ("turbo", 1, 2)),
    ],
)
def test_the_engine_fits_the_slide(slides, power, made, settings, expected):
    with open_slide(slides(power=power, **made)) as slide:
        found = grid(slide, TileSettings(**settings))
    assert (found.engine, found.level, found.shrink) == expected
    span = settings["size"] * power / settings.get("magnification", 20)
    assert (found.columns, found.rows) == (WIDTH // span, HEIGHT // span)
    assert found.place(1, 1) == (span, span)


@pytest.mark.parametrize("codec", ["ycbcr", "rgb"])
def test_copied_tiles_have_openslides_colours_to_the_bit(tmp_path, image, codec):
    path = write(tmp_path / "s.svs", image, codec=codec)
    with open_slide(path) as slide:
        found = grid(slide, TileSettings(size=512))
        for column, row in every(found):
            (down, across), parts = tile_parts(slide, found, column, row, 512)
            assert (down, across, len(parts)) == (2, 2, 4)
            truth = region(path, column * 512, row * 512, 512)
            for number, part in enumerate(parts):
                y, x = number // 2 * 256, number % 2 * 256
                with Image.open(BytesIO(part)) as opened:
                    assert np.array_equal(np.asarray(opened), truth[y : y + 256, x : x + 256])


def test_copied_data_is_the_slides(tmp_path, image):
    path = write(tmp_path / "s.svs", image, codec="rgb")
    with tifffile.TiffFile(path) as file:
        places = list(zip(file.pages[0].dataoffsets, file.pages[0].databytecounts, strict=True))
    body = path.read_bytes()
    with open_slide(path) as slide:
        found = grid(slide, TileSettings(size=512))
        _, parts = tile_parts(slide, found, 1, 0, 512)
    for part, number in zip(parts, (2, 3, 8, 9), strict=True):  # six tiles in a row
        offset, count = places[number]
        tile = body[offset : offset + count]
        assert part[part.index(b"\xff\xda") :] == tile[tile.index(b"\xff\xda") :]


@pytest.mark.parametrize("made", [{"side": 240}, {"side": 256}, {"codec": "rgb", "side": 240}])
def test_decoded_tiles_have_openslides_colours_to_the_bit(tmp_path, image, made):
    path = write(tmp_path / "s.svs", image, **made)
    with open_slide(path) as slide:
        found = grid(slide, TileSettings(size=320, encoding="jpeg"))
        assert found.engine == "turbo"
        for column, row in every(found):
            truth = region(path, column * 320, row * 320, 320)
            assert np.array_equal(tile_pixels(slide, found, column, row, 320), truth)


@pytest.mark.parametrize(("power", "size", "downs"), [(40, 256, (1, 4)), (80, 128, (1,)), (160, 64, (1,))])
def test_a_scaled_decode_is_the_average_in_place(tmp_path, image, power, size, downs):
    path = write(tmp_path / "s.svs", image, power=power, downs=downs)
    factor = power // 20
    with open_slide(path) as slide:
        found = grid(slide, TileSettings(size=size))
        assert found.engine == "turbo"
        for column, row in every(found):
            span = size * factor
            truth = region(path, column * span, row * span, span).astype(float)
            truth = truth.reshape(size, factor, size, factor, 3).mean((1, 3))
            made = tile_pixels(slide, found, column, row, size).astype(float)
            assert np.abs(made - truth).mean() < 2.5
            if truth.std() > 20:  # one pixel to the side is clearly worse
                assert np.abs(np.roll(made, 1, 1) - truth).mean() > 1.5 * np.abs(made - truth).mean()


def test_a_level_of_the_wanted_magnification_is_copied(tmp_path, image):
    path = write(tmp_path / "s.svs", image, power=40, downs=(1, 2))
    with open_slide(path) as slide:
        found = grid(slide, TileSettings(size=256))
        assert (found.engine, found.level, found.span) == ("native", 1, 512)
        _, (part,) = tile_parts(slide, found, 1, 1, 256)
    with Image.open(BytesIO(part)) as opened:
        assert np.array_equal(np.asarray(opened), region(path, 512, 512, 256, level=1))


@pytest.mark.parametrize(("power", "factor"), [(30, 1.5), (60, 3), (26, 1.3)])
def test_other_magnifications_are_resampled_without_aliases(tmp_path, power, factor):
    stripes = np.full((1100, 1400, 3), 60, np.uint8)
    stripes[:, ::2] = 200  # finer than a resampled pixel can show at factor 3
    stripes[:550] = 130
    path = write(tmp_path / "s.svs", stripes, power=power, codec="jp2k", downs=(1,))
    with open_slide(path) as slide:
        found = grid(slide, TileSettings(size=128))
        assert found.engine == "openslide"
        span = 128 * factor
        assert (found.columns, found.rows) == (int(1400 // span), int(1100 // span))
        low = tile_pixels(slide, found, 1, found.rows - 1, 128)
        high = tile_pixels(slide, found, 1, 0, 128)
    assert low.shape == (128, 128, 3)
    assert abs(float(low.mean()) - 130) < 3
    assert abs(float(high.mean()) - 130) < 2
    if factor == 3:
        assert low.std() < 15  # nearest neighbours would give 70


def test_neighbours_of_a_broken_factor_fit_together(tmp_path, image):
    path = write(tmp_path / "s.svs", image, power=30, codec="jp2k", downs=(1,))
    with open_slide(path) as slide:
        found = grid(slide, TileSettings(size=128))
        for column, row in every(found):
            truth = region(path, column * 192, row * 192, 192).astype(float).mean((0, 1))
            assert np.abs(tile_pixels(slide, found, column, row, 128).mean((0, 1)) - truth).max() < 1.5


@pytest.mark.parametrize(
    ("power", "mpp", "settings", "expected"),
    [
        (20.0, 0.5, {}, 20),
        (40.0, None, {}, 40),
        (20.0, 0.25, {}, 20),  # what the slide says of its objective counts
        (None, 0.4990, {}, 20),
        (None, 0.2520, {}, 40),
        (None, 0.2208, {}, 40),
        (None, 0.2631, {}, 40),
        (None, 1.0, {}, 10),
        (None, 0.1725, {}, 57.97),
        (None, None, {"unknown_magnification": 20}, 20),
    ],
)
def test_magnification(slides, power, mpp, settings, expected):
    with open_slide(slides(power=power, mpp=mpp)) as slide:
        assert (slide.objective_power, slide.mpp) == (power, mpp)
        assert magnification(slide, TileSettings(**settings)) == pytest.approx(expected, abs=0.01)


def test_a_slide_that_tells_nothing_is_told(tmp_path, image):
    path = write(tmp_path / "anon.svs", image, power=None, mpp=None)
    with open_slide(path) as slide, pytest.raises(SlideError) as caught:
        grid(slide, TileSettings())
    assert caught.value.reason == "unknown magnification"
    assert "anon.svs tells neither" in caught.value.detail
    assert "set unknown_magnification" in caught.value.detail


def test_a_print_resolution_is_no_mpp(tmp_path):
    path = tmp_path / "print.tif"
    tiles = np.zeros((512, 512, 3), np.uint8)
    tifffile.imwrite(path, tiles, tile=(256, 256), photometric="rgb", resolution=(72, 72), resolutionunit="INCH")
    with open_slide(path) as slide:
        assert slide.handle.properties["openslide.mpp-x"].startswith("352.7")
        assert slide.mpp is None


@pytest.mark.parametrize(
    ("power", "settings", "reason", "told"),
    [
        (10, {}, "magnification too low", "scanned at 10x and tiles are wanted at 20x"),
        (20, {"size": 2048}, "too small", "1400x1100 pixels at 20x"),
        (160, {}, "too small", "needs 4096"),
    ],
)
def test_a_slide_that_cannot_give_tiles_is_told(slides, power, settings, reason, told):
    with open_slide(slides(power=power)) as slide, pytest.raises(SlideError, match=told) as caught:
        grid(slide, TileSettings(**settings))
    assert caught.value.reason == reason


def cut(path, keep):
    body = path.read_bytes()
    path.write_bytes(body[: int(len(body) * keep)])
    return path


@pytest.mark.parametrize("keep", [0.001, 0.1, 0.5, 0.8, 0.95])
def test_a_truncated_slide_is_told(tmp_path, image, keep):
    path = cut(write(tmp_path / "cut.svs", image), keep)
    with pytest.raises(SlideError) as caught, open_slide(path) as slide:
        grid(slide, TileSettings())
    assert caught.value.reason == "truncated file"
    assert f"cut.svs has {path.stat().st_size} bytes" in caught.value.detail


def test_tiles_beyond_the_end_are_told(tmp_path):
    # the directory comes first here, as streaming writers have it, so the end of the file is missing tiles
    path = tmp_path / "cut.tif"
    noise = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), np.uint8)
    tifffile.imwrite(path, noise, tile=(256, 256), photometric="rgb")
    cut(path, 0.7)
    with (
        pytest.raises(SlideError, match="5 of the 16 tiles of its level of 1024x1024 pixels lie beyond") as caught,
        open_slide(path),
    ):
        pass
    assert caught.value.reason == "truncated file"


@pytest.mark.parametrize(
    ("body", "reason", "told"),
    [
        (b"", "truncated file", "is empty"),
        (b"slide,patient,label\n", "not a slide", "begins with 736c6964"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a slide", "begins with 89504e47"),
        (b"II*\0\xff\xff\xff\0", "truncated file", "directories of it lie beyond"),
    ],
)
def test_other_files_are_told(tmp_path, body, reason, told):
    path = tmp_path / "x.svs"
    path.write_bytes(body)
    with pytest.raises(SlideError, match=told) as caught, open_slide(path):
        pass
    assert caught.value.reason == reason


def test_a_plain_tiff_is_told(tmp_path):
    path = tmp_path / "photo.tif"
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    with (
        pytest.raises(SlideError, match="without tiles: export it as pyramidal tiled TIFF") as caught,
        open_slide(path),
    ):
        pass
    assert caught.value.reason == "not a slide"


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    for path in (tmp_path / "none.svs", tmp_path):
        with pytest.raises(SlideError, match="is not there"), open_slide(path):
            pass


def test_missing_tiles_are_openslides(tmp_path, image):
    path = write(tmp_path / "holes.svs", image, changed=lambda number, tile: b"" if number == 7 else tile)
    with open_slide(path) as slide:
        found = grid(slide, TileSettings(size=256))
        assert found.engine == "openslide"
        assert np.array_equal(tile_pixels(slide, found, 0, 0, 256), region(path, 0, 0, 256))


def test_of_focal_planes_the_first_is_taken(tmp_path, image):
    path = write(tmp_path / "z.svs", image, downs=(1, 1))
    with tifffile.TiffFile(path) as file:
        first, second = (page for page in file.pages if page.is_tiled)
        body = bytearray(path.read_bytes())
        for offset, count in zip(second.dataoffsets, second.databytecounts, strict=True):
            body[offset : offset + count] = bytes(count)
    path.write_bytes(body)
    assert first.shape == second.shape
    with open_slide(path) as slide:
        found = grid(slide, TileSettings(size=256))
        _, (part,) = tile_parts(slide, found, 1, 1, 256)
    with Image.open(BytesIO(part)) as opened:
        assert np.array_equal(np.asarray(opened), region(path, 256, 256, 256))


def test_a_damaged_part_is_not_copied(tmp_path, image):
    path = write(tmp_path / "bad.svs", image, changed=lambda number, tile: tile[:-90] if number == 7 else tile)
    with open_slide(path) as slide:
        found = grid(slide, TileSettings(size=256))
        assert tile_parts(slide, found, 0, 0, 256)
        with pytest.raises(DamagedError):
            tile_parts(slide, found, 1, 1, 256)


def test_files_are_closed(tmp_path, image):
    path = write(tmp_path / "s.svs", image)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with open_slide(path) as slide:
        grid(slide, TileSettings())
    with pytest.raises(SlideError), open_slide(cut(path, 0.5)):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


DATA = Path(os.environ.get("SEXTANT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "slides"
real = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real data: give its folder as SEXTANT_DATA"),
]


def with_marks(function):
    for mark in real:
        function = mark(function)
    return function


@with_marks
@pytest.mark.parametrize("size", [240, 480])
def test_real_aperio_tiles_are_copied_in_openslides_colours(size):
    path = DATA / "CMU-1-Small-Region.svs"
    with open_slide(path) as slide:
        assert (slide.width, slide.height, slide.objective_power, slide.mpp) == (2220, 2967, 20, 0.499)
        found = grid(slide, TileSettings(size=size))
        assert (found.engine, found.columns, found.rows) == ("native", 2220 // size, 2967 // size)
        for column, row in every(found):
            _, parts = tile_parts(slide, found, column, row, size)
            truth = region(path, column * size, row * size, size)
            for number, part in enumerate(parts):
                y, x = number // (size // 240) * 240, number % (size // 240) * 240
                with Image.open(BytesIO(part)) as opened:
                    assert np.array_equal(np.asarray(opened), truth[y : y + 240, x : x + 240])


@with_marks
def test_real_tiles_that_do_not_divide_are_decoded_in_openslides_colours():
    path = DATA / "CMU-1-Small-Region.svs"
    with open_slide(path) as slide:
        found = grid(slide, TileSettings())
        assert (found.engine, found.columns, found.rows) == ("turbo", 4, 5)
        for column, row in every(found):
            truth = region(path, column * 512, row * 512, 512)
            assert np.array_equal(tile_pixels(slide, found, column, row, 512), truth)


@with_marks
@pytest.mark.parametrize(
    ("name", "settings", "reason", "told"),
    [
        ("TCGA-CR-7395-01A-01-TS1.svs", {}, "unknown magnification", "tells neither"),
        ("openslide-python-boxes.tiff", {"size": 64}, "unknown magnification", "tells neither"),
        ("openslide-python-unopenable.tiff", {}, "unreadable slide", "Unsupported TIFF compression"),
        ("openslide-python-small.svs", {}, "too small", "16x16 pixels at 20x"),
        ("kidney-48-5.tif", {}, "not a slide", "without tiles"),
        ("small_dicom_wsi.dcm", {}, "unreadable slide", "small_dicom_wsi.dcm"),
        ("lc25000-lung-mini.csv", {}, "not a slide", "begins with"),
    ],
)
def test_real_files_that_are_no_use_are_told(name, settings, reason, told):
    with pytest.raises(SlideError, match=told) as caught, open_slide(DATA / name) as slide:
        grid(slide, TileSettings(**settings))
    assert caught.value.reason == reason
