"""A woven cloth that fills the photograph: no object to find, and defects that hardly differ from the weave.

A plain weave of warp and weft threads, each with its own thickness and brightness, drawn in the cloth's coordinates,
which are turned, shifted and gently warped against the camera's: no two photographs have a thread at the same place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from samples.inspection.camera import HEIGHT, WIDTH, smooth
from samples.inspection.scene import Defect, Scene, spot

if TYPE_CHECKING:
    from samples.inspection.scene import Grey

NAME = "cloth"
DEFECTS = {"knot": "#1F77B4", "pulled": "#D62728", "stain": "#9467BD"}
"""The names of what may be wrong, with the colours of their masks."""

_PITCH = 6.5
"""Pixels from thread to thread."""
_SHAPE = (HEIGHT, WIDTH)
_COLOUR = (0.30, 0.36, 0.45)


def scene(rng: np.random.Generator, wrong: tuple[tuple[str, float], ...], specks: int) -> Scene:
    """One piece of cloth.

    Args:
        rng: decides all that is not given.
        wrong: names of `DEFECTS` with how plain each is, 0 to 1.
        specks: bits of lint on it, which are no defects.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    angle = rng.normal(0, 0.03)
    warp = (x * np.cos(angle) + y * np.sin(angle)) / _PITCH + 0.35 * smooth(rng, _SHAPE, 90) + 1000
    weft = (y * np.cos(angle) - x * np.sin(angle)) / _PITCH + 0.35 * smooth(rng, _SHAPE, 90) + 1000
    swell = np.zeros(_SHAPE, np.float32)
    dim = np.zeros(_SHAPE, np.float32)
    tint = np.zeros((*_SHAPE, 3), np.float32)
    found = []
    for name, plain in wrong:
        centre = (float(rng.uniform(70, WIDTH - 70)), float(rng.uniform(60, HEIGHT - 60)))
        if name == "stain":
            radius = float(rng.uniform(20, 34))
            blob = spot(_SHAPE, centre, (radius, radius * float(rng.uniform(0.6, 1))), smooth(rng, _SHAPE, 14))
            tint -= (0.10 + 0.3 * plain) * blob[..., None] * np.array([0.5, 0.8, 1.0], np.float32)
            found.append(Defect(name, plain, blob > 0.4))
            continue
        thread = np.floor(weft[int(centre[1]), int(centre[0])])
        across = (weft >= thread) & (weft < thread + 1)
        reach = float(rng.uniform(35, 60) + 40 * plain) if name == "pulled" else float(rng.uniform(9, 14))
        along = np.clip((reach - np.abs(x - centre[0])) / 5, 0, 1) * across
        if name == "pulled":
            dim = np.maximum(dim, (0.3 + 0.5 * plain) * along)
            found.append(Defect(name, plain, along > 0.5))
        else:
            around = np.hypot((x - centre[0]) / reach, (weft - thread - 0.5) / 1.1)
            bulge = np.clip(1.3 - around, 0, 1)
            swell = np.maximum(swell, (0.35 + 0.5 * plain) * bulge)
            found.append(Defect(name, plain, bulge > 0.3))
    woven = _woven(warp, weft, dim, rng) + swell * 0.5
    for _ in range(specks):
        at = (float(rng.uniform(0, WIDTH)), float(rng.uniform(0, HEIGHT)))
        woven += 0.3 * spot(_SHAPE, at, (1.4, 1.4), np.zeros(_SHAPE, np.float32))
    batch = np.float32(rng.normal(1, 0.03)) * (1 + 0.04 * smooth(rng, _SHAPE, 120))
    light = np.array(_COLOUR, np.float32) * (woven * batch)[..., None] * (1 + tint)
    return Scene(light.astype(np.float32), tuple(found), specks)


def _woven(warp: Grey, weft: Grey, dim: Grey, rng: np.random.Generator) -> Grey:
    """Brightness around 1: threads that lie on top in turn, lit from above, dark where they cross and end."""
    columns, rows = np.floor(warp).astype(int), np.floor(weft).astype(int)
    count = 1200
    brightness = 1 + 0.05 * rng.standard_normal((2, count))
    brightness[1] += 0.03 * gaussian_filter(rng.standard_normal(count), 3)
    across, along = warp - columns - 0.5, weft - rows - 0.5
    over = (columns + rows) % 2 == 0
    # On top lies the warp or the weft; a thread is round, so its sides are darker, and it dips where it ends.
    side = np.where(over, across, along)
    end = np.where(over, along, across)
    own = np.where(over, brightness[0][columns % count], brightness[1][rows % count])
    lit = own * (1.12 - 1.1 * side**2 - 0.7 * end**2)
    missing = np.where(over, 1 - 0.25 * dim, 1 - 0.75 * dim)  # a pulled thread shows the ones below
    return np.asarray(lit * missing + 0.03 * rng.standard_normal(_SHAPE), np.float32)
