"""What a product's generator gives: a scene for the camera, and what is wrong in it, to the pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Grey: TypeAlias = "NDArray[np.floating[Any]]"
"""Numbers by pixel, shape (height, width), or (height, width, 3) of colours."""
Path: TypeAlias = "Sequence[tuple[float, float]]"
"""Points (x, y) in pixels."""


@dataclass(frozen=True, eq=False)
class Defect:
    """A name, how plain it is (0 faint to 1 obvious), and its pixels, shape (height, width)."""

    name: str
    plain: float
    pixels: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scene:
    """`light` is linear, shape (height, width, 3); `specks` is how many grains of harmless dust lie in it."""

    light: Grey
    defects: tuple[Defect, ...]
    specks: int


def strokes(shape: tuple[int, int], paths: Sequence[Path], width: float) -> Grey:
    """Lines of a width in pixels as coverage 0 to 1, with soft edges; shape (height, width)."""
    fine = 3
    image = Image.new("L", (shape[1] * fine, shape[0] * fine))
    draw = ImageDraw.Draw(image)
    for path in paths:
        draw.line([(x * fine, y * fine) for x, y in path], fill=255, width=max(1, round(width * fine)), joint="curve")
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BOX), np.float32) / 255


def walk(rng: np.random.Generator, start: tuple[float, float], heading: float, length: float, turn: float) -> Path:
    """A path of steps of 4 pixels that changes its heading by about `turn` radians at each."""
    path, at = [start], start
    for _ in range(max(2, round(length / 4))):
        heading += float(rng.normal(0, turn))
        at = (at[0] + 4 * float(np.cos(heading)), at[1] + 4 * float(np.sin(heading)))
        path.append(at)
    return path


def spot(shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float], ragged: Grey) -> Grey:
    """A blob with a ragged edge: 1 in the middle, 0 beyond its radii."""
    reach = [math.ceil(2 * radius) for radius in radii]  # the edge is never so ragged
    left, top = (max(0, round(centre[axis]) - reach[axis]) for axis in (0, 1))
    right, bottom = (round(centre[axis]) + reach[axis] + 1 for axis in (0, 1))
    y, x = np.ogrid[top : min(bottom, shape[0]), left : min(right, shape[1])]
    away = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    found = np.zeros(shape, np.float32)
    found[top:bottom, left:right] = np.clip((1.1 - away - 0.12 * ragged[top:bottom, left:right]) / 0.45, 0, 1)
    return found
