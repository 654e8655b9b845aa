"""Tissue that looks like haematoxylin and eosin (H&E), drawn: its structure carries the class, its stain the patient.

A texture is a pair of stain density maps that repeat without a seam. Colour follows Beer and Lambert's law with the
stain vectors of Ruifrok and Johnston (2001), which every patient has a variant of, as every laboratory does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    Density = NDArray[np.floating[Any]]

CLASSES = ("LUAD", "LUSC", "normal")
STEPS = 64
"""Density levels of a stain: two of them make an index of 12 bits."""

HEMATOXYLIN = (0.65, 0.70, 0.29)
EOSIN = (0.07, 0.99, 0.11)
GLASS = 243
"""Grey value of the empty slide."""
PURITY = (0.58, 0.88)
"""The share of a patient's tissue that has the structure of the label."""

_TURN = np.linspace(0, 2 * np.pi, 14, endpoint=False)
_COS, _SIN = np.cos(_TURN), np.sin(_TURN)


@dataclass(frozen=True)
class Stain:
    """A laboratory's stain: optical density per unit of haematoxylin and of eosin, for red, green and blue."""

    hematoxylin: tuple[float, ...]
    eosin: tuple[float, ...]

    def colours(self) -> NDArray[np.uint8]:
        """RGB of every index of a texture, shape (4096, 3)."""
        density = np.linspace(0, 1.6, STEPS)
        optical = density[:, None, None] * np.array(self.hematoxylin) + density[None, :, None] * np.array(self.eosin)
        colours: NDArray[np.uint8] = np.clip(GLASS * np.exp(-optical), 0, 255).round().astype(np.uint8)
        return colours.reshape(-1, 3)


def stain(draw: np.random.Generator) -> Stain:
    """A patient's stain: hue and strength differ by what one sees between laboratories."""
    strength = draw.uniform(0.75, 1.25, (2, 1))
    vectors = np.array((HEMATOXYLIN, EOSIN)) * draw.normal(1, 0.1, (2, 3)) + draw.uniform(0, 0.16, (2, 3))
    hematoxylin, eosin = (vectors * strength).tolist()
    return Stain(tuple(hematoxylin), tuple(eosin))


def tissue(label: str, draw: np.random.Generator, size: int) -> NDArray[np.uint16]:
    """A patient's texture: the structure of the class, in patches with that of another class.

    Tumours are mixed and have normal tissue at their margins, so that not every tile shows its label, and patients
    differ in the share that does.
    """
    others = [each for each in CLASSES if each != label]
    other = others[draw.integers(len(others))]
    patches = np.roll(_noises(size)[2], draw.integers(0, size, 2).tolist(), (0, 1))
    edge = np.quantile(patches[::8, ::8], draw.uniform(*PURITY))
    return np.where(patches < edge, structure(label, draw, size), structure(other, draw, size))


def structure(label: str, draw: np.random.Generator, size: int) -> NDArray[np.uint16]:
    """A texture of indices into `Stain.colours`, shape (size, size), which continues at its opposite edges.

    LUAD is glands: rings of nuclei round pale lumens. LUSC is sheets of large, irregular nuclei with whorls of keratin.
    Normal lung is alveoli: thin walls with few small nuclei around air.
    """
    fine, coarse = (np.roll(noise, draw.integers(0, size, 2).tolist(), (0, 1)) for noise in _noises(size)[:2])
    eosin = 0.42 + 0.10 * coarse + 0.07 * fine
    nuclei = Image.new("L", (size, size))
    match label:
        case "LUAD":
            eosin = _glands(nuclei, eosin, draw)
        case "LUSC":
            eosin = _sheets(nuclei, eosin, coarse, draw)
        case _:
            eosin = _alveoli(nuclei, eosin, draw)
    hematoxylin = ndimage.uniform_filter(np.asarray(nuclei, np.float32) / 255, 2, mode="wrap")
    hematoxylin *= 1 + 0.25 * fine
    hematoxylin += 0.05 + 0.02 * coarse
    return _steps(hematoxylin) * np.uint16(STEPS) + _steps(eosin)


@cache
def _noises(size: int) -> tuple[Density, ...]:
    """Seamless noise of 2, 24 and 80 px, standard deviation 1."""
    white = np.random.default_rng(1).standard_normal((size, size), np.float32)
    smooth = [ndimage.gaussian_filter(white, sigma, mode="wrap", truncate=2.5) for sigma in (2, 24, 80)]
    return tuple(each / each.std() for each in smooth)


def _steps(density: Density) -> NDArray[np.uint16]:
    """Density 0 to 1.6 as a step."""
    return (np.clip(density, 0, 1.6) * ((STEPS - 1) / 1.6) + 0.5).astype(np.uint16)


def _centres(draw: np.random.Generator, size: int, spacing: float, jitter: float) -> NDArray[np.float64]:
    """Places on a jittered hexagonal lattice that closes at the edges, shape (n, 2) as x, y."""
    rows = max(2, round(size / spacing / 2) * 2)
    columns = max(2, round(size / spacing))
    y, x = np.mgrid[0:rows, 0:columns].astype(float)
    x += 0.5 * (y % 2)
    places = np.stack([x.ravel() * size / columns, y.ravel() * size / rows], 1)
    return (places + draw.normal(0, jitter * spacing, places.shape)) % size


def _ellipse(canvas: Image.Image, x: float, y: float, axes: tuple[float, float], *, angle: float, value: int) -> None:
    """Draws an ellipse and what of it comes in again at the opposite edges."""
    along, across = axes[0] * _COS, axes[1] * _SIN
    cos, sin = math.cos(angle), math.sin(angle)
    xs = along * cos - across * sin
    ys = along * sin + across * cos
    size, reach = canvas.width, max(axes) + 1
    pen = ImageDraw.Draw(canvas)
    for left in _wraps(x, reach, size):
        for top in _wraps(y, reach, size):
            pen.polygon(np.stack([xs + x + left, ys + y + top], 1).ravel().tolist(), fill=value)


def _wraps(at: float, reach: float, size: int) -> Sequence[int]:
    return (0, size) if at < reach else (0, -size) if at > size - reach else (0,)


def _glands(nuclei: Image.Image, eosin: Density, draw: np.random.Generator) -> Density:
    size = nuclei.width
    lumens = Image.new("L", (size, size))
    for x, y in _centres(draw, size, 27, 0.3):  # stroma: spindles between the glands
        if draw.random() < 0.35:
            _ellipse(nuclei, x, y, (7, 2.2), angle=draw.uniform(0, np.pi), value=150)
    spacing = draw.uniform(105, 135)
    for x, y in _centres(draw, size, spacing, 0.12):
        radius = spacing * draw.uniform(0.2, 0.3)
        _ellipse(nuclei, x, y, (radius + 17, radius + 17), angle=0, value=0)
        _ellipse(lumens, x, y, (radius, radius * draw.uniform(0.7, 1)), angle=draw.uniform(0, np.pi), value=255)
        count = int(2 * np.pi * (radius + 8) / 12)
        for turn in np.arange(count) / count * 2 * np.pi + draw.uniform(0, 1):
            reach = radius + 8 + draw.normal(0, 1.5)
            at = (x + reach * np.cos(turn)) % size, (y + reach * np.sin(turn)) % size
            _ellipse(nuclei, *at, (6.5, 4.2), angle=turn, value=int(draw.uniform(150, 240)))
    open_share = np.asarray(lumens, np.float32) / 255
    return eosin * (1 - 0.7 * open_share)


def _sheets(nuclei: Image.Image, eosin: Density, coarse: Density, draw: np.random.Generator) -> Density:
    size = nuclei.width
    pearls = Image.new("L", (size, size))
    for x, y in _centres(draw, size, draw.uniform(21, 25), 0.16):
        large = draw.uniform(5.5, 9.5)
        _ellipse(
            nuclei,
            x,
            y,
            (large, large * draw.uniform(0.6, 0.95)),
            angle=draw.uniform(0, np.pi),
            value=int(draw.uniform(90, 220)),
        )
    for x, y in _centres(draw, size, 230, 0.2):
        radius = draw.uniform(22, 42)
        _ellipse(nuclei, x, y, (radius, radius * 0.8), angle=0, value=0)
        for ring in range(5):  # keratin lies in layers
            shrunk = radius * (1 - ring / 5)
            _ellipse(pearls, x, y, (shrunk, shrunk * 0.8), angle=0, value=255 if ring % 2 == 0 else 120)
    return eosin + 0.05 * coarse + 0.45 * np.asarray(pearls, np.float32) / 255


def _alveoli(nuclei: Image.Image, eosin: Density, draw: np.random.Generator) -> Density:
    size = nuclei.width
    air = Image.new("L", (size, size))
    spacing = draw.uniform(85, 120)
    for x, y in _centres(draw, size, spacing, 0.1):
        _ellipse(air, x, y, (spacing * draw.uniform(0.3, 0.37), spacing * 0.3), angle=draw.uniform(0, np.pi), value=255)
    empty: Density = ndimage.uniform_filter(np.asarray(air, np.float32) / 255, 3, mode="wrap")
    walls = empty < 0.05
    for x, y in _centres(draw, size, 24, 0.3):
        if walls[int(y) % size, int(x) % size]:
            _ellipse(nuclei, x, y, (4.4, 3), angle=draw.uniform(0, np.pi), value=190)
    return eosin * (1 - 0.97 * empty)
