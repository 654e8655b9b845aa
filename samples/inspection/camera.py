"""How a scene becomes a photograph: lens, lamp, sensor and JPEG, each a little different from photograph to photograph.

Scenes are linear light, 0 (black) to 1 (a white sheet under the lamp at its full strength), shape (height, width, 3).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT = 512, 384
"""Of every photograph, in pixels."""
_FULL_WELL = 6000
"""Electrons of a white pixel: they arrive one by one, which is most of the noise in bright places."""
_READ_NOISE = 0.004


@dataclass(frozen=True)
class Shot:
    """What is different from photograph to photograph.

    `lamp` is the lamp's strength (1 when it is new, and it yellows as it dims), `exposure` the camera's gain, `white`
    the gains of its white balance, `side` the direction that the light falls off to (x, y; shares over the picture),
    `blur` the radius of the defocus in pixels, `quality` JPEG's.
    """

    lamp: float
    exposure: float
    white: tuple[float, float, float]
    side: tuple[float, float]
    blur: float
    quality: int


def shot(rng: np.random.Generator, lamp: float = 1.0) -> Shot:
    """An ordinary photograph under a lamp of a given strength."""
    red, blue = rng.normal(1, 0.02, 2)
    angle, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.1)
    return Shot(
        lamp=lamp,
        exposure=float(np.clip(rng.normal(1, 0.05), 0.87, 1.13)),
        white=(float(red), 1.0, float(blue)),
        side=(float(np.cos(angle) * fall), float(np.sin(angle) * fall)),
        blur=float(rng.uniform(0.45, 0.75)),
        quality=int(rng.integers(88, 96)),
    )


def photograph(scene: NDArray[np.float32], seen: Shot, rng: np.random.Generator) -> bytes:
    """A scene as the camera's JPEG."""
    height, width = scene.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    vignette = 1 - 0.12 * (x * x + y * y)
    light = vignette * (1 + seen.side[0] * x + seen.side[1] * y) * (seen.lamp * seen.exposure)
    tint = np.array([seen.white[0], seen.white[1], seen.white[2] * seen.lamp**0.25], np.float32)
    linear = scene * light[..., None] * tint
    spread = np.sqrt(np.maximum(linear, 0) / _FULL_WELL + _READ_NOISE**2)
    linear += spread * rng.standard_normal(linear.shape, np.float32)
    image = Image.fromarray(srgb(linear)).filter(ImageFilter.GaussianBlur(seen.blur))
    written = io.BytesIO()
    image.save(written, "JPEG", quality=seen.quality)
    return written.getvalue()


def srgb(linear: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light as 8-bit values: gamma 2.2, which is sRGB's but for the darkest."""
    return np.asarray(np.clip(linear, 0, 1) ** (1 / 2.2) * 255 + 0.5, np.uint8)


def smooth(rng: np.random.Generator, shape: tuple[int, int], radius: float) -> NDArray[np.float32]:
    """Noise without detail below a radius in pixels; mean 0, standard deviation 1."""
    small = (max(2, round(shape[1] / radius)), max(2, round(shape[0] / radius)))
    coarse = Image.fromarray(rng.standard_normal((small[1], small[0]), np.float32))
    values = np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    return np.asarray((values - values.mean()) / values.std(), np.float32)
