import io

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sextant.slides.errors import RecordError
from sextant.slides.example import decode, encode
from sextant.slides.records import (
    Tile,
    TileFeatures,
    features_from_record,
    features_to_record,
    from_record,
    pixels,
    to_record,
)

float32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
pixel = st.integers(0, 1 << 31)
grids = st.tuples(st.integers(1, 4), st.integers(1, 4))
names = st.text(min_size=1, max_size=12)
tiles = grids.flatmap(
    lambda grid: st.builds(
        Tile,
        slide=names,
        patient=names,
        label=st.integers(0, 9),
        label_name=names,
        x=pixel,
        y=pixel,
        span=pixel,
        size=st.integers(16, 4096),
        mpp=st.none() | float32,
        background=float32,
        grid=st.just(grid),
        parts=st.tuples(*[st.binary(max_size=30)] * (grid[0] * grid[1])),
    )
)


def tile(**changes):
    given = {
        "slide": "S-1",
        "patient": "P-1",
        "label": 2,
        "label_name": "LUSC",
        "x": 512,
        "y": 1024,
        "span": 512,
        "size": 32,
        "mpp": 0.5,
        "background": 0.25,
        "grid": (1, 1),
        "parts": (simplejpeg.encode_jpeg(np.zeros((32, 32, 3), np.uint8)),),
    }
    return Tile(**given | changes)


@given(tiles)
def test_a_tile_comes_back(made):
    assert from_record(to_record(made)) == made


def test_keys_are_those_of_schema_v1():
    assert decode(to_record(tile(parts=(b"jpeg",)))) == {
        "image/encoded": [b"jpeg"],
        "image/grid": [1, 1],
        "image/size": [32],
        "label": [2],
        "label/name": [b"LUSC"],
        "slide/id": [b"S-1"],
        "patient/id": [b"P-1"],
        "tile/x": [512],
        "tile/y": [1024],
        "tile/span": [512],
        "tile/mpp": [0.5],
        "tile/background": [0.25],
    }


def test_a_slide_without_mpp_has_none():
    assert "tile/mpp" not in decode(to_record(tile(mpp=None)))
    assert from_record(to_record(tile(mpp=None))).mpp is None


@pytest.mark.parametrize(
    "key", ["image/encoded", "image/grid", "image/size", "label", "label/name", "slide/id", "tile/x", "tile/background"]
)
def test_a_missing_key_is_named(key):
    features = decode(to_record(tile()))
    del features[key]
    with pytest.raises(RecordError, match=f"lacks {key}; it has"):
        from_record(encode(features))


@pytest.mark.parametrize(
    ("key", "values", "told"),
    [
        ("tile/x", [1.5], "x=1.5 y=1024 of slide S-1: tile/x is not an int64"),
        ("slide/id", [b"\xff"], "slide/id is not UTF-8"),
        ("label/name", [7], "label/name is not bytes"),
        ("tile/background", [1], "tile/background is not a float"),
        ("image/grid", [2, 2], "has 1 JPEG parts for a grid of"),
        ("image/grid", [0, 0], "has 1 JPEG parts for a grid of"),
    ],
)
def test_a_value_of_another_kind_is_told(key, values, told):
    features = {**decode(to_record(tile())), key: values}
    with pytest.raises(RecordError, match=told):
        from_record(encode(features))


def test_parts_are_stitched_row_by_row():
    colours = [[(250, 10, 10), (10, 250, 10), (10, 10, 250)], [(250, 250, 10), (10, 250, 250), (120, 120, 120)]]
    parts = []
    for row in colours:
        for colour in row:
            stream = io.BytesIO()
            Image.new("RGB", (16, 24), colour).save(stream, "JPEG", quality=95, subsampling=0)
            parts.append(stream.getvalue())
    image = pixels(tile(size=48, grid=(2, 3), parts=tuple(parts)))
    assert image.shape == (48, 48, 3)
    assert image.dtype == np.uint8
    for row in range(2):
        for column in range(3):
            found = image[row * 24 : row * 24 + 24, column * 16 : column * 16 + 16].astype(int)
            assert np.abs(found - colours[row][column]).max() <= 3


def test_one_part_decodes_as_pillow_does():
    noise = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    body = simplejpeg.encode_jpeg(noise, 90, "RGB", "420")
    assert np.array_equal(pixels(tile(parts=(body,))), np.asarray(Image.open(io.BytesIO(body))))


def test_a_damaged_part_is_named():
    body = tile().parts[0]
    with pytest.raises(RecordError, match="part 0 of tile x=512 y=1024 of slide S-1 is no whole JPEG"):
        pixels(tile(parts=(body[: len(body) // 2],)))
    with pytest.raises(RecordError, match=r"part 0 .* has shape \(32, 32, 3\) where \(48, 48, 3\) belongs"):
        pixels(tile(size=48))


@given(st.lists(st.floats(-60000, 60000, width=16), max_size=20))
def test_features_come_back_as_float16_holds_them(values):
    made = TileFeatures("S-1", "P-1", 1, "LUAD", 0, 512, 512, np.array(values, np.float32))
    found = features_from_record(features_to_record(made))
    assert found.feature.dtype == np.float32
    assert found.feature.tolist() == values
    assert (found.slide, found.patient, found.label, found.label_name) == ("S-1", "P-1", 1, "LUAD")
    assert (found.x, found.y, found.span) == (0, 512, 512)


def test_a_tile_is_no_feature_record():
    with pytest.raises(RecordError, match="lacks feature; it has image/encoded"):
        features_from_record(to_record(tile()))


def test_odd_feature_bytes_are_told():
    features = {**decode(to_record(tile())), "feature": [b"abc"]}
    with pytest.raises(RecordError, match="feature is not float16 bytes"):
        features_from_record(encode(features))
