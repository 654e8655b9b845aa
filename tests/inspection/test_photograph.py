import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sextant.inspection import photograph
from sextant.inspection.photograph import PhotographError


def picture(width=96, height=64):
    """Left half red, right half blue, upper rows brighter."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 200
    pixels[:, width // 2 :, 2] = 200
    pixels[: height // 4] += 50
    return pixels


def saved(image, kind="PNG", **more):
    stream = io.BytesIO()
    image.save(stream, kind, **more)
    return stream.getvalue()


def test_png_comes_back_as_it_was():
    assert np.array_equal(photograph.read(saved(Image.fromarray(picture()))), picture())


def test_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to show
    body = saved(Image.fromarray(picture()), "JPEG", exif=exif, quality=95, subsampling=0)
    read = photograph.read(body).astype(int)
    assert read.shape == (96, 64, 3)
    assert np.abs(read - np.rot90(picture(), -1)).mean() < 3


def test_exif_that_cannot_be_read_is_no_reason_to_refuse():
    body = saved(Image.fromarray(picture()), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff" + b"\xff" * 40)
    assert photograph.read(body).shape == (64, 96, 3)


def test_every_colour_mode_becomes_rgb():
    rgb = Image.fromarray(picture())
    cmyk = photograph.read(saved(rgb.convert("CMYK"), "JPEG", quality=95, subsampling=0)).astype(int)
    assert np.abs(cmyk - picture()).mean() < 4
    grey = photograph.read(saved(rgb.convert("L"), "JPEG"))
    assert grey.shape == (64, 96, 3)
    assert (grey[..., 0] == grey[..., 2]).all()
    assert photograph.read(saved(rgb.convert("1"))).shape == (64, 96, 3)
    assert np.array_equal(photograph.read(saved(rgb.quantize(4))), picture())


def test_16_bits_are_scaled_and_not_cut_off():
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    read = photograph.read(saved(Image.fromarray(values)))
    assert np.abs(read[..., 1].astype(int) - values // 257).max() <= 1


def test_transparent_pixels_lie_on_white():
    clear = np.zeros((64, 64, 4), np.uint8)
    clear[:32, :, 3] = 255
    read = photograph.read(saved(Image.fromarray(clear)))
    assert (read[:32] == 0).all()
    assert (read[32:] == 255).all()


def png_claiming(width, height, rows=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


JPEG = saved(Image.fromarray(picture(640, 480)), "JPEG")
PNG = saved(Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"no picture at all", "not_an_image"),
        (b"\xff\xd8", "truncated"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (PNG[: len(PNG) // 2], "truncated"),
        (PNG[:20], "truncated"),
        (PNG[:100] + b"\0\0\0\0\0\0" + PNG[106:], "truncated"),
        (saved(Image.new("RGB", (1, 1))), "too_small"),
        (saved(Image.new("RGB", (3000, 10))), "too_small"),
        (saved(Image.new("RGB", (100, 100)), "GIF"), "not_an_image"),
        (saved(Image.new("RGB", (100, 100)), "TIFF"), "not_an_image"),
        (png_claiming(60_000, 60_000), "too_large"),
        (png_claiming(9_000, 9_000, bytes(1 << 20)), "too_large"),
        (png_claiming(4097, 4096), "too_large"),
        (png_claiming(2**31 - 1, 2**31 - 1), "too_large"),
    ],
)
def test_what_is_no_photograph_says_why(body, reason):
    with pytest.raises(PhotographError) as refused:
        photograph.read(body)
    assert refused.value.reason == reason
    assert refused.value.detail


@given(st.integers(0, len(JPEG) - 1), st.integers(0, 255), st.sampled_from([JPEG, PNG]))
def test_damage_anywhere_ends_in_pixels_or_in_a_reason(at, value, body):
    at %= len(body)
    damaged = body[:at] + bytes([value]) + body[at + 1 :]
    try:
        found = photograph.read(damaged).ndim
    except PhotographError as error:
        found = error.reason
    assert found in {3, "not_an_image", "too_small", "too_large", "truncated"}
