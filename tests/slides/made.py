"""Small slides for the tests of readers and tiling, made with the samples' writer."""

import io
from unittest import mock

import numpy as np
import openslide
from PIL import Image

from samples.slides import svs

GLASS = 243


def picture(width, height, seed=0):
    """Coarse-grained violet tissue in two ellipses on glass, shape (height, width, 3)."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    tissue = ((y / height - 0.4) / 0.33) ** 2 + ((x / width - 0.35) / 0.3) ** 2 < 1
    tissue |= ((y / height - 0.7) / 0.2) ** 2 + ((x / width - 0.75) / 0.2) ** 2 < 1
    grain = draw.normal(0, 25, (height // 4 + 1, width // 4 + 1)).repeat(4, 0).repeat(4, 1)[:height, :width, None]
    colours = np.where(tissue[..., None], np.array((170, 110, 160)) + grain, np.full(3, GLASS))
    return np.clip(colours + draw.normal(0, 2, (height, width, 1)), 0, 255).astype(np.uint8)


def write(path, image, *, codec="ycbcr", power=20.0, mpp=0.5, downs=(1, 4, 16), side=256, changed=lambda _, tile: tile):
    """Writes an SVS; `changed(number, tile)` may change the encoded tiles of its first level."""
    levels = []
    for down in downs:
        small = np.asarray(Image.fromarray(image).reduce(down)) if down > 1 else image
        small = small[: image.shape[0] // down, : image.shape[1] // down]
        tiles = _tiles(small, codec, side)
        if down == 1:
            tiles = (changed(number, tile) for number, tile in enumerate(tiles))
        levels.append(svs.Level(small.shape[1], small.shape[0], tiles))
    with mock.patch.object(svs, "TILE", side):
        svs.write_svs(path, levels, image[::16, ::16], codec=codec, quality=80, power=power, mpp=mpp)
    return path


def _tiles(image, codec, side):
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % side), (0, -width % side), (0, 0)), "edge")
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield svs.encode_tile(padded[top : top + side, left : left + side], codec, 80)


def jpeg(pixels, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def full_rule(path, settings, down=1):
    """Column and row of the tiles to keep, and their shares of background, by the original's rule on OpenSlide's
    pixels: independent of the product.
    """
    kept = {}
    side = settings.size * down
    with openslide.OpenSlide(path) as slide:
        for row in range(slide.dimensions[1] // side):
            for column in range(slide.dimensions[0] // side):
                region = slide.read_region((column * side, row * side), 0, (side, side)).convert("RGB")
                red, green, blue = np.moveaxis(np.asarray(region, np.uint32), -1, 0)
                luminance = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
                share = float((luminance >= settings.luminance).mean())
                if share <= settings.background:
                    kept[column, row] = share
    return kept
