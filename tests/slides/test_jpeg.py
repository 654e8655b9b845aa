import io
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sextant.slides import jpeg, jpeg_stream
from tests.slides.made import jpeg as encoded
from tests.slides.made import picture

SIDE = 64
IMAGE = picture(SIDE, SIDE)


def opened(body):
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


def rgb_abbreviated():
    """An Aperio "JPEG/RGB" tile as Pillow writes its two streams: tables, and image without them or any marker."""
    tables = encoded(IMAGE, quality=80, keep_rgb=True, streamtype=1)
    whole = encoded(IMAGE, quality=80, keep_rgb=True, streamtype=2)
    start = whole.index(b"\xff\xee")
    return tables, whole[:start] + whole[start + 16 :], opened(encoded(IMAGE, quality=80, keep_rgb=True))


def test_an_abbreviated_rgb_tile_has_its_true_colours():
    tables, tile, truth = rgb_abbreviated()
    assert b"Adobe" not in tile
    with pytest.raises(jpeg_stream.DamagedError):
        jpeg.decode(tile, SIDE, SIDE)
    whole = jpeg_stream.whole(tile, jpeg_stream.opening(tables, rgb=True))
    assert np.array_equal(jpeg.decode(whole, SIDE, SIDE), truth)
    assert np.array_equal(opened(whole), truth)


def test_a_scan_marker_within_a_segment_is_none():
    body = encoded(IMAGE, quality=80, comment=b"\xff\xda\xff\xda")
    whole = jpeg_stream.whole(body, jpeg_stream.opening(None, rgb=False))
    assert np.array_equal(opened(whole), opened(body))
    table = b"\xff\xdb\x00\x43\x03" + b"\xff\xda" * 32  # of no component, and it stays
    tabled = whole[:2] + table + whole[2:]
    assert jpeg_stream.whole(tabled, jpeg_stream.opening(None, rgb=False)).endswith(whole[18:])
    assert jpeg_stream.plain(tabled, SIDE, SIDE)
    assert np.array_equal(opened(tabled), opened(body))


def test_the_wrong_colours_are_far_off():
    tables, tile, truth = rgb_abbreviated()
    wrong = jpeg.decode(jpeg_stream.whole(tile, jpeg_stream.opening(tables, rgb=False)), SIDE, SIDE)
    assert np.abs(wrong.astype(int) - truth).mean() > 30


def test_a_jfif_marker_does_not_overrule_the_colours():
    body = encoded(IMAGE, quality=80, keep_rgb=True)
    jfif = bytes.fromhex("ffe000104a46494600010100000100010000")
    start = body.index(b"\xff\xee")
    claimed = body[:2] + jfif + body[2:start] + body[start + 16 :]
    assert np.abs(opened(claimed).astype(int) - opened(body)).mean() > 30
    assert np.array_equal(opened(jpeg_stream.whole(claimed, jpeg_stream.opening(None, rgb=True))), opened(body))


def test_comments_and_application_data_go_and_coded_data_stays():
    body = encoded(IMAGE, quality=80, comment=b"patient", exif=b"Exif\0\0" + bytes(20))
    whole = jpeg_stream.whole(body, jpeg_stream.opening(None, rgb=False))
    assert b"patient" not in whole
    assert b"Exif" not in whole
    assert whole[whole.index(b"\xff\xda") :] == body[body.index(b"\xff\xda") :]
    assert np.array_equal(opened(whole), opened(body))


@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
def test_a_shrunk_decode_is_the_average(shrink):
    side = SIDE // shrink
    body = encoded(IMAGE, quality=95, subsampling=0)
    found = jpeg.decode(body, SIDE, SIDE, shrink=shrink).astype(int)
    average = IMAGE.reshape(side, shrink, side, shrink, 3).mean((1, 3))
    assert found.shape == (side, side, 3)
    assert np.abs(found - average).mean() < 3


def test_gray_is_the_luminance():
    body = encoded(IMAGE, quality=80)
    found = jpeg.decode(body, SIDE, SIDE, gray=True).astype(int)
    assert np.abs(found - np.asarray(Image.open(io.BytesIO(body)).convert("L"))).mean() < 1


def test_encoding_loses_no_more_than_pillow_does():
    def loss(body):
        return np.abs(opened(body).astype(int) - IMAGE).mean()

    assert loss(jpeg.encode(IMAGE, 90)) < 1.05 * loss(encoded(IMAGE, quality=90))
    assert len(jpeg.encode(IMAGE, 50)) < len(jpeg.encode(IMAGE, 90)) < 1.1 * len(encoded(IMAGE, quality=90))


NOISY = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
BODY = encoded(NOISY, quality=90)
SCAN = BODY.index(b"\xff\xda") + 14


def test_a_sound_tile_is_plain():
    assert jpeg_stream.plain(BODY, SIDE, SIDE)
    assert jpeg_stream.plain(encoded(NOISY, quality=90, restart_marker_blocks=2), SIDE, SIDE)
    assert jpeg_stream.plain(jpeg_stream.whole(BODY, jpeg_stream.opening(None, rgb=False)), SIDE, SIDE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        BODY[:-1],
        BODY[: len(BODY) // 2],
        BODY[: SCAN - 30],
        BODY[:SCAN],
        BODY[: SCAN + 100] + bytes(200) + BODY[SCAN + 300 :],
        BODY[: SCAN + 100] + np.random.default_rng(0).bytes(1500) + BODY[SCAN + 1600 :],
        BODY + BODY,
        encoded(NOISY[:48], quality=90),
        encoded(NOISY, quality=90, progressive=True),
        encoded(NOISY, quality=90, streamtype=1),
    ],
    ids=["empty", "less", "half", "header", "no-data", "zeros", "noise", "twice", "small", "progressive", "tables"],
)
def test_what_may_be_damaged_is_not_plain(body):
    assert not jpeg_stream.plain(body, SIDE, SIDE)


@given(st.binary(max_size=60), st.integers(0, len(BODY)))
def test_any_bytes_are_judged(change, at):
    for body in (change, b"\xff\xd8" + change, BODY[:at] + change + BODY[at + len(change) :]):
        assert jpeg_stream.plain(body, SIDE, SIDE) in (True, False)
        with suppress(jpeg_stream.DamagedError):
            jpeg_stream.whole(body, b"")
        with suppress(jpeg_stream.DamagedError):
            jpeg.decode(body, SIDE, SIDE)


def test_damage_is_told():
    with pytest.raises(jpeg_stream.DamagedError):
        jpeg.decode(BODY[: len(BODY) // 2], SIDE, SIDE)
    with pytest.raises(jpeg_stream.DamagedError, match="has 64x48 pixels where 64x64 belong"):
        jpeg.decode(encoded(NOISY[:48]), SIDE, SIDE)
    with pytest.raises(jpeg_stream.DamagedError, match="no JPEG: it begins with 49492a00"):
        jpeg_stream.whole(b"II*\0", b"")
    with pytest.raises(jpeg_stream.DamagedError, match="no JPEG: it begins with nothing"):
        jpeg_stream.whole(b"", b"")
