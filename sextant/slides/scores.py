"""Scores of tiles as JSON lines, one per tile: endpoint and batch transform write them, evaluation reads them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sextant.slides.aggregate import Aggregation, slide_scores, softmax

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from sextant.slides.model import Model

_DIGITS = 6  # of numbers in lines: a probability to a millionth
MODEL_DIGITS = 16
"""Of a model's digest in a line: enough to tell that two lines are of one model."""


class ScoresError(ValueError):
    """Lines that are no scores of this model: the message names them and the reason."""


@dataclass(frozen=True)
class TileScores:
    """A tile's scores: `scores` add up to 1, in the order of the model's classes; `x`, `y`, `span` are level-0 pixels.

    A picture that was sent alone has no slide, and its place is 0, 0 with its own size as span.
    """

    slide: str
    x: int
    y: int
    span: int
    scores: tuple[float, ...]
    logits: tuple[float, ...]
    attention: float | None


def to_line(tile: TileScores, classes: tuple[str, ...], model: str) -> str:
    """The tile as one line of JSON without its end."""
    told = {
        "slide": tile.slide,
        "x": tile.x,
        "y": tile.y,
        "span": tile.span,
        "scores": dict(zip(classes, (round(each, _DIGITS) for each in tile.scores), strict=True)),
        "logits": [round(each, _DIGITS) for each in tile.logits],
        "attention": None if tile.attention is None else round(tile.attention, _DIGITS),
        "model": model[:MODEL_DIGITS],
    }
    return json.dumps(told, separators=(",", ":"))


def from_lines(lines: Iterable[bytes], model: Model, name: str) -> list[TileScores]:
    """The tiles of lines, by y and x; a tile that two requests scored counts once.

    Raises:
        ScoresError: a line is damaged, or of another model.
    """
    classes, digest = model.facts.classes, model.digest()[:MODEL_DIGITS]
    found: dict[tuple[int, int], TileScores] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            tile = TileScores(
                slide=str(told["slide"]),
                x=int(told["x"]),
                y=int(told["y"]),
                span=int(told["span"]),
                scores=tuple(float(told["scores"][each]) for each in classes),
                logits=tuple(float(each) for each in told["logits"]),
                attention=None if told["attention"] is None else float(told["attention"]),
            )
            by = str(told["model"])
        except (ValueError, KeyError, TypeError) as error:
            raise ScoresError(
                f"{name}: line {number} is no tile's scores ({error}); run the scoring step again"
            ) from error
        numbers = [*tile.scores, *tile.logits, tile.attention or 0]
        if len(tile.logits) != len(classes) or not all(map(math.isfinite, numbers)):
            raise ScoresError(
                f"{name}: line {number} does not have a finite number per class; run the scoring step again"
            )
        if by != digest:
            raise ScoresError(f"{name}: line {number} is of model {by}, not of {digest}; run the scoring step again")
        found[tile.y, tile.x] = tile
    return [found[each] for each in sorted(found)]


def of_features(
    model: Model, features: NDArray[np.float32], places: Iterable[tuple[str, int, int, int]]
) -> list[TileScores]:
    """What the model says about tiles, given their features, shape (n, dim), and (slide, x, y, span) of each.

    Features go through float16 first, as those of training did: a tile scores the same wherever it was encoded.
    """
    outputs = model.head.outputs(features.astype(np.float16).astype(np.float32))
    probabilities = softmax(outputs.logits)
    return [
        TileScores(
            *place,
            scores=tuple(probabilities[row].tolist()),
            logits=tuple(outputs.logits[row].tolist()),
            attention=None if outputs.attention is None else float(outputs.attention[row]),
        )
        for row, place in enumerate(places)
    ]


def of_slide(model: Model, tiles: list[TileScores], aggregation: Aggregation | None = None) -> NDArray[np.float64]:
    """The slide's calibrated scores, shape (classes,), from those of its tiles; the model's aggregation by default.

    Raises:
        ValueError: there are no tiles.
    """
    attention = [each.attention for each in tiles if each.attention is not None]
    return slide_scores(
        np.array([each.logits for each in tiles]).reshape(len(tiles), -1),
        np.array(attention) if attention else None,
        aggregation or model.facts.aggregation,
        model.facts.temperature,
        model.facts.top_share,
    )
