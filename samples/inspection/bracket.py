"""A moulded bracket on a belt: holes, ribs, an embossed name, a clip, four brass pins and a label with its lot number.

It is drawn once as albedo, height and outline; each item gets its own grain, label, colour and place, then its defects,
and is lit from one side. Defects are painted where the part is, so their masks turn and shift with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from samples.inspection.camera import HEIGHT, WIDTH, smooth
from samples.inspection.scene import Defect, Scene, spot, strokes, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samples.inspection.scene import Grey

NAME = "bracket"
DEFECTS = {"crack": "#D62728", "discoloured": "#9467BD", "missing": "#1F77B4", "scratch": "#23A436"}
"""The names of what may be wrong, with the colours of their masks."""

_FINE = 1.25
"""Pixels of the part's drawing for one of the photograph."""
_W, _H = 520, 380
_SHAPE = (_H, _W)
_PINS = tuple((150 + 66 * n, 36, 168 + 66 * n, 92) for n in range(4))
_CLIP = (196, 268, 324, 318)
_LABEL = (250, 142, 412, 214)
_HOLES = ((92, 134), (92, 276), (436, 276))
_BODY = (0.085, 0.09, 0.1)
_ORANGE = (0.72, 0.21, 0.03)
_BRASS = (0.56, 0.42, 0.16)


@dataclass(frozen=True, eq=False)
class _Part:
    """Albedo (height, width, 3), height in pixels, outline and gloss (0 to 1)."""

    albedo: Grey
    height: Grey
    outline: Grey
    gloss: Grey


@cache
def _part(missing: int) -> _Part:
    """The part without pin 0 to 3 or without the clip (4); whole with -1."""
    scale = 3
    size = (_W * scale, _H * scale)

    def drawn(paint: Sequence[tuple[str, tuple[float, ...], float]], soft: float = 0.0) -> Grey:
        image = Image.new("F", size)
        draw = ImageDraw.Draw(image)
        for kind, box, value in paint:
            given = [each * scale for each in box]
            if kind == "ellipse":
                draw.ellipse(given, fill=value)
            else:
                draw.rounded_rectangle(given, radius=8 * scale, fill=value)
        small = np.asarray(image.resize((_W, _H), Image.Resampling.BOX), np.float32)
        return gaussian_filter(small, soft) if soft else small

    holes = [("ellipse", (x - 21, y - 21, x + 21, y + 21), 0.0) for x, y in _HOLES]
    pins = [("box", box, 1.0) for n, box in enumerate(_PINS) if n != missing]
    clip = [("box", _CLIP, 1.0)] if missing != 4 else []
    body = drawn([("box", (44, 82, 484, 330), 1.0), ("box", (44, 82, 150, 352), 1.0), *holes])
    pin, snap = drawn(pins), drawn(clip)
    outline = np.maximum(body, pin * (drawn([("box", (0, 0, _W, 82), 1.0)])))
    rims = [("ellipse", (x - 31, y - 31, x + 31, y + 31), 5.0) for x, y in _HOLES]
    ribs = [("box", (352 + 20 * n, 236, 362 + 20 * n, 312), 4.0) for n in range(3)]
    height = drawn([("box", (44, 82, 484, 330), 9.0), ("box", (44, 82, 150, 352), 9.0)], 2.0) + drawn(
        [*rims, *[(kind, box, 0.0) for kind, box, _ in holes], *ribs], 1.2
    )
    height += drawn([(kind, box, 5.0) for kind, box, _ in [*pins, *clip]], 1.5)
    height += 2.2 * gaussian_filter(_text("SEXTANT 40", 30, (150, 106)), 0.8)
    seat = drawn([("box", (_CLIP[0] + 6, _CLIP[1] + 6, _CLIP[2] - 6, _CLIP[3] - 6), 1.0)])
    height -= 3 * gaussian_filter(seat * (1 - snap), 1.0)  # what the clip leaves open
    albedo = np.empty((*_SHAPE, 3), np.float32)
    for channel in range(3):
        albedo[..., channel] = _BODY[channel]
        for cover, colour in ((pin, _BRASS), (snap, _ORANGE)):
            albedo[..., channel] += cover * (colour[channel] - _BODY[channel])
    return _Part(albedo, height, outline, np.clip(0.25 + 0.6 * pin + 0.25 * snap, 0, 1))


def scene(rng: np.random.Generator, wrong: tuple[tuple[str, float], ...], specks: int) -> Scene:
    """One bracket on the belt.

    Args:
        rng: decides all that is not given.
        wrong: names of `DEFECTS` with how plain each is, 0 to 1.
        specks: grains of dust on it, which are no defects.
    """
    gone = next((int(rng.integers(0, 4)) if plain < 0.5 else 4 for name, plain in wrong if name == "missing"), -1)
    part = _labelled(_grained(_part(gone), rng), rng)
    masks: list[tuple[str, float, Grey]] = []
    for name, plain in wrong:
        if name == "missing":
            box = (*_PINS, _CLIP)[gone]
            mask = np.abs(_part(-1).albedo - _part(gone).albedo).max(2) > 0.02
            outside = np.zeros(_SHAPE, bool)
            outside[box[1] - 2 : box[3] + 3, box[0] - 2 : box[2] + 3] = True
            masks.append((name, plain, (mask & outside).astype(np.float32)))
        else:
            part, mask = {"scratch": _scratched, "crack": _cracked, "discoloured": _stained}[name](part, plain, rng)
            masks.append((name, plain, mask))
    part = _dusty(part, specks, rng)
    return _placed(part, masks, specks, rng)


def _grained(part: _Part, rng: np.random.Generator) -> _Part:
    """The grain of the mould's surface, flow lines of the plastic, and the batch's own colour."""
    grain = 0.16 * np.roll(_grain(), tuple(rng.integers(0, 300, 2)), (0, 1))
    flow = 0.06 * smooth(rng, _SHAPE, 60)
    colour = np.float32(rng.normal(1, 0.03)) * (1 + flow)
    return replace(part, height=part.height + grain, albedo=part.albedo * colour[..., None])


@cache
def _grain() -> Grey:
    return np.asarray(gaussian_filter(np.random.default_rng(40).standard_normal(_SHAPE, np.float32), 0.7) * 2)


def _labelled(part: _Part, rng: np.random.Generator) -> _Part:
    """The paper label, stuck on by a machine that is right within two pixels and a degree; lot numbers differ."""
    left, top, right, bottom = _LABEL
    image = Image.new("F", (right - left, bottom - top), 0.78)
    draw = ImageDraw.Draw(image)
    x = 8
    for n, bar in enumerate((2, 1, 3, 1, 2, 4, 1, 2, 2, 3, 1, 1, 4, 2, 1, 3, 2, 1, 2, 3, 1, 2, 4, 1, 2, 3, 1, 2)):
        width = bar * 2 - 1
        if n % 2 == 0:
            draw.rectangle((x, 8, x + width, 36), fill=0.03)
        x += width + 2
    lot = "".join(str(digit) for digit in rng.integers(0, 10, 6))
    draw.text((10, 42), f"LOT {lot}", fill=0.04, font=ImageFont.load_default(21))
    paper = Image.new("F", (_W, _H), -1)
    shift = rng.uniform(-2, 2, 2)
    paper.paste(image, (left + round(shift[0]), top + round(shift[1])))
    turned = np.asarray(paper.rotate(rng.normal(0, 0.5), Image.Resampling.BILINEAR, fillcolor=-1), np.float32)
    cover = np.clip(turned + 1, 0, 1)[..., None]
    ink = np.clip(turned, 0, 1)[..., None]
    flat = cover[..., 0]
    return replace(
        part,
        albedo=part.albedo * (1 - cover) + ink * cover,
        height=part.height * (1 - flat) + (9.6 + 0.2 * (part.height - 9)) * flat,
        gloss=part.gloss * (1 - 0.7 * flat),
    )


def _on_body(rng: np.random.Generator) -> tuple[float, float]:
    """A place on the plain plastic or on the label, not in a hole."""
    while True:
        x, y = rng.uniform(60, 470), rng.uniform(96, 320)
        if _part(-1).outline[int(y), int(x)] > 0.99 and all(np.hypot(x - a, y - b) > 34 for a, b in _HOLES):
            return float(x), float(y)


def _scratched(part: _Part, plain: float, rng: np.random.Generator) -> tuple[_Part, Grey]:
    """A shallow light line, straight as a tool leaves it."""
    path = walk(rng, _on_body(rng), rng.uniform(0, 2 * np.pi), rng.uniform(45, 70) + 70 * plain, 0.03)
    width = 1.2 + 1.3 * plain
    line = strokes(_SHAPE, [path], width) * part.outline
    worn = (0.05 + 0.3 * plain) * line[..., None]
    mask = strokes(_SHAPE, [path], width + 1.5) * part.outline
    return replace(
        part, albedo=part.albedo + worn * (0.75 - part.albedo), height=part.height - (1 + plain) * line
    ), mask


def _cracked(part: _Part, plain: float, rng: np.random.Generator) -> tuple[_Part, Grey]:
    """A dark gap that runs in from an edge and forks."""
    edges = ((44, 330, rng.uniform(-0.5, 0.5)), (484, 330, np.pi + rng.uniform(-0.5, 0.5)))
    x, low, heading = edges[int(rng.integers(0, 2))]
    start = (float(x), float(rng.uniform(110, low - 30)))
    trunk = walk(rng, start, heading, 40 + 60 * plain, 0.22)
    fork = trunk[len(trunk) // 2]
    paths = [trunk, walk(rng, fork, heading + rng.choice([-0.8, 0.8]), 18 + 30 * plain, 0.25)]
    width = 1.0 + 1.5 * plain
    line = strokes(_SHAPE, paths, width) * part.outline
    gap = (0.55 + 0.4 * plain) * line[..., None]
    mask = strokes(_SHAPE, paths, width + 1.5) * part.outline
    return replace(part, albedo=part.albedo * (1 - gap), height=part.height - (2 + 3 * plain) * line), mask


def _stained(part: _Part, plain: float, rng: np.random.Generator) -> tuple[_Part, Grey]:
    """Plastic that was too hot: a pale, yellowish patch, on the body or on the clip."""
    clip = rng.random() < 0.35
    centre = (float(rng.uniform(225, 295)), 293.0) if clip else _on_body(rng)
    radius = float(rng.uniform(17, 24) + 14 * plain)
    blob = spot(_SHAPE, centre, (radius, radius * float(rng.uniform(0.6, 0.9))), smooth(rng, _SHAPE, 12)) * part.outline
    scorched = np.array([0.19, 0.15, 0.05] if not clip else [0.25, 0.12, 0.06], np.float32)
    weight = (0.22 + 0.55 * plain) * blob[..., None]
    return replace(part, albedo=part.albedo + weight * (scorched - part.albedo)), (blob > 0.4).astype(np.float32)


def _dusty(part: _Part, specks: int, rng: np.random.Generator) -> _Part:
    """Grains that a breath blows away."""
    albedo = part.albedo.copy()
    for _ in range(specks):
        x, y = _on_body(rng)
        grain = spot(_SHAPE, (x, y), (1.6, 1.6), np.zeros(_SHAPE, np.float32)) * float(rng.uniform(0.2, 0.5))
        albedo += grain[..., None] * (0.5 - albedo)
    return replace(part, albedo=albedo)


def _placed(part: _Part, masks: list[tuple[str, float, Grey]], specks: int, rng: np.random.Generator) -> Scene:
    """Lit, turned by a few degrees, and laid onto the moving belt with its shadow."""
    lit = _lit(part, rng)
    angle, zoom = np.deg2rad(rng.normal(0, 2.2)), rng.normal(1, 0.01) * _FINE
    centre = (WIDTH / 2 + rng.normal(0, 12), HEIGHT / 2 + rng.normal(0, 10))
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    # From the photograph's pixels back to the part's, as Pillow's transform takes it.
    back = (
        cos,
        sin,
        _W / 2 - cos * centre[0] - sin * centre[1],
        -sin,
        cos,
        _H / 2 + sin * centre[0] - cos * centre[1],
    )

    def laid(values: Grey) -> Grey:
        image = Image.fromarray(np.ascontiguousarray(values, np.float32))
        moved = image.transform((WIDTH, HEIGHT), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
        return np.asarray(moved, np.float32)

    outline = laid(part.outline)[..., None]
    shadow = np.roll(gaussian_filter(outline[..., 0], 7.0), (7, 5), (0, 1))[..., None]
    belt = _belt(rng) * (1 - 0.55 * shadow)
    light = np.stack([laid(lit[..., channel]) for channel in range(3)], -1) * outline + belt * (1 - outline)
    found = tuple(Defect(name, plain, laid(mask) > 0.5) for name, plain, mask in masks)
    return Scene(light.astype(np.float32), found, specks)


def _lit(part: _Part, rng: np.random.Generator) -> Grey:
    """Lambert's law under a lamp from the upper left and a bright room, with Blinn and Phong's highlight."""
    slope_y, slope_x = np.gradient(part.height)
    length = np.sqrt(1 + slope_x**2 + slope_y**2)
    lamp = np.array([-0.42 + rng.normal(0, 0.03), -0.5 + rng.normal(0, 0.03), 0.75])
    lamp /= np.linalg.norm(lamp)
    half = lamp + np.array([0, 0, 1.0])
    half /= np.linalg.norm(half)

    def facing(towards: NDArray[np.float64]) -> Grey:
        found = (-slope_x * towards[0] - slope_y * towards[1] + towards[2]) / length
        return np.asarray(np.clip(found, 0, 1), np.float32)

    diffuse = 0.45 + 0.75 * facing(lamp)
    shine = part.gloss * 0.35 * facing(half) ** 40
    return (part.albedo * diffuse[..., None] + shine[..., None] * 0.5).astype(np.float32)


@cache
def _cloth() -> Grey:
    """A green-grey conveyor belt, more of it than a photograph shows."""
    rng = np.random.default_rng(41)
    shape = (HEIGHT + 400, WIDTH + 400)
    y, x = np.mgrid[: shape[0], : shape[1]]
    weave = 0.06 * np.sin(x * 2 * np.pi / 5) * np.sin(y * 2 * np.pi / 5)
    wear = 0.07 * smooth(rng, shape, 90) + 0.04 * smooth(rng, shape, 9) + 0.05 * rng.standard_normal(shape)
    return np.asarray(np.array([0.30, 0.37, 0.36]) * (1 + weave + wear)[..., None], np.float32)


def _belt(rng: np.random.Generator) -> Grey:
    top, left = rng.integers(0, 400, 2)
    return _cloth()[top : top + HEIGHT, left : left + WIDTH]


def _text(words: str, size: int, at: tuple[int, int]) -> Grey:
    image = Image.new("L", (_W, _H))
    ImageDraw.Draw(image).text(at, words, fill=255, font=ImageFont.load_default(size))
    return np.asarray(image, np.float32) / 255
