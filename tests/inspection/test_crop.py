import numpy as np
import pytest
from PIL import Image

from sextant.inspection import crop
from tests.inspection.made import SIZE, plate, texture


def views(make, count):
    return [crop.small_view(Image.fromarray(make(seed)[0])) for seed in range(count)]


@pytest.fixture(scope="module")
def learned():
    return crop.learned(views(plate, 12))


def test_box_follows_the_plate(learned):
    assert learned.kind == "object"
    assert learned.width == pytest.approx((261 / 480) + 0.08, abs=0.03)
    assert learned.height == pytest.approx((161 / 320) + 0.08, abs=0.04)
    for seed in range(50, 70):
        rng = np.random.default_rng(seed)
        left, top = rng.integers(70, 130), rng.integers(50, 90)
        (x, y, width, height), trusted, _ = crop.located(learned, Image.fromarray(plate(seed)[0]))
        assert trusted
        assert x + width / 2 == pytest.approx(left + 130, abs=4)
        assert y + height / 2 == pytest.approx(top + 80, abs=4)


def test_surface_without_an_object_is_taken_whole():
    assert crop.learned(views(texture, 12)).kind == "whole"


def test_objects_of_all_sizes_are_no_one_product():
    pictures = []
    for side in range(30, 260, 20):
        picture = np.full((320, 480, 3), 40, np.uint8)
        picture[20 : 20 + side, 40 : 40 + side] = 200
        pictures.append(crop.small_view(Image.fromarray(picture)))
    assert crop.learned(pictures).kind == "whole"


def test_empty_belt_and_cut_off_product_are_not_trusted(learned):
    rng = np.random.default_rng(1)
    belt = np.clip(np.array([40, 70, 60]) + rng.normal(size=(320, 480, 3)) * 3, 0, 255).astype(np.uint8)
    box, trusted, _ = crop.located(learned, Image.fromarray(belt))
    assert not trusted
    assert box[0] >= 0
    assert box[0] + box[2] <= SIZE[0]
    pixels, _ = plate(3)
    cut = np.concatenate([pixels[:, 250:], np.repeat(pixels[:, -1:], 250, 1)], 1)
    _, trusted, _ = crop.located(learned, Image.fromarray(cut))
    assert not trusted


def test_light_that_falls_off_to_a_side_is_no_object(learned):
    pixels, _ = plate(9)
    _, width = SIZE[::-1]
    shaded = (pixels * np.linspace(0.6, 1.2, width)[None, :, None]).clip(0, 255).astype(np.uint8)
    plain, _, _ = crop.located(learned, Image.fromarray(pixels))
    box, trusted, _ = crop.located(learned, Image.fromarray(shaded))
    assert trusted
    assert np.abs(np.subtract(box, plain)).max() <= 6


def test_box_stays_inside_whatever_the_photograph(learned):
    rng = np.random.default_rng(0)
    for _ in range(20):
        height, width = rng.integers(64, 900, 2)
        noise = rng.integers(0, 255, (height, width, 3), np.uint8)
        (x, y, w, h), _, _ = crop.located(learned, Image.fromarray(noise))
        assert x >= 0
        assert y >= 0
        assert w > 0
        assert h > 0
        assert x + w <= width
        assert y + h <= height
