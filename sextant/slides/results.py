"""A scored slide as the files people use: JSON of its scores, CSV of its tiles, heatmap PNG, outlines for QuPath."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import BaseModel, ConfigDict, Field

from sextant.slides import scores as tile_scores
from sextant.slides.aggregate import Aggregation  # noqa: TC001  pydantic reads the types of fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sextant.slides.model import Model
    from sextant.slides.scores import TileScores

OPACITY = 0.55
_STRIP_PX = 28  # the legend below the heatmap

# Eleven steps of viridis (Smith and van der Walt, CC0): even in lightness, so it reads the same to every kind of colour
# vision and in print.
_RAMP = np.array(
    [
        (68, 1, 84), (72, 36, 117), (65, 68, 135), (53, 95, 141), (42, 120, 142), (33, 145, 140),
        (34, 168, 132), (68, 191, 112), (122, 209, 81), (189, 223, 38), (253, 231, 37),
    ],
    np.float64,
)  # fmt: skip

COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
"""Of classes, by index: Okabe and Ito's set for every kind of colour vision, without its black."""


class SlideResult(BaseModel):
    """A slide's scores, calibrated and adding up to 1. `label` is the truth where it is known.

    `model_sha256` names the model and `data_sha256` the records or scores that this was made of.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    slide: str
    patient: str | None = None
    label: str | None = None
    predicted: str
    scores: dict[str, Annotated[float, Field(ge=0, le=1)]]
    n_tiles: int
    aggregation: Aggregation
    width: int | None = None
    height: int | None = None
    model_sha256: str
    data_sha256: str


def slide_result(
    model: Model,
    tiles: list[TileScores],
    *,
    data: bytes,
    patient: str | None = None,
    label: str | None = None,
    size: tuple[int, int] | None = None,
) -> SlideResult:
    """The result of a slide from the scores of its tiles.

    Args:
        model: what scored them.
        tiles: all of one slide.
        data: what they were read from; the result keeps its digest.
        patient: whose slide it is.
        label: the true class's name.
        size: of the slide, width and height in pixels of level 0.

    Raises:
        ValueError: there are no tiles.
    """
    scores = tile_scores.of_slide(model, tiles)
    width, height = size or (None, None)
    return SlideResult(
        slide=tiles[0].slide,
        patient=patient,
        label=label,
        predicted=model.facts.classes[int(scores.argmax())],
        scores={name: round(float(each), 6) for name, each in zip(model.facts.classes, scores, strict=True)},
        n_tiles=len(tiles),
        aggregation=model.facts.aggregation,
        width=width,
        height=height,
        model_sha256=model.digest(),
        data_sha256=hashlib.sha256(data).hexdigest(),
    )


def tiles_csv(tiles: Sequence[TileScores], classes: Sequence[str]) -> bytes:
    """A row per tile: slide, x, y, span (pixels of level 0), the predicted class, a score per class, the attention."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["slide", "x", "y", "span", "predicted", *classes, "attention"])
    for each in tiles:
        attention = "" if each.attention is None else f"{each.attention:.6f}"
        told = [f"{score:.6f}" for score in each.scores]
        rows.writerow([each.slide, each.x, each.y, each.span, _predicted(each, classes), *told, attention])
    return text.getvalue().encode()


def geojson(tiles: Sequence[TileScores], classes: Sequence[str], model: str) -> bytes:
    """The tiles as a FeatureCollection that QuPath imports (File > Import objects), in pixels of level 0.

    QuPath (0.4 and later) reads `objectType`, `classification` with `color` as three numbers, and `measurements`.
    """
    return json.dumps(
        {
            "type": "FeatureCollection",
            "model_sha256": model,
            "features": [_outline(each, classes) for each in tiles],
        },
        separators=(",", ":"),
    ).encode()


def _outline(tile: TileScores, classes: Sequence[str]) -> dict[str, Any]:
    left, top, right, bottom = tile.x, tile.y, tile.x + tile.span, tile.y + tile.span
    number = int(np.argmax(tile.scores))
    return {
        "type": "Feature",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]],
        },
        "properties": {
            "objectType": "tile",
            "classification": {"name": classes[number], "color": list(COLOURS[number % len(COLOURS)])},
            "measurements": {
                **{f"score {name}": round(score, 6) for name, score in zip(classes, tile.scores, strict=True)},
                **({} if tile.attention is None else {"attention": round(tile.attention, 6)}),
            },
        },
    }


def colours(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    """RGB of numbers from 0 (dark violet) to 1 (yellow), shape (…, 3), linear between the steps of the ramp."""
    place = np.clip(shares, 0, 1) * (len(_RAMP) - 1)
    channels = [np.interp(place, np.arange(len(_RAMP)), _RAMP[:, each]) for each in range(3)]
    return np.stack(channels, -1).round().astype(np.uint8)


def heatmap(
    overview: NDArray[np.uint8], size: tuple[int, int], tiles: Sequence[TileScores], classes: Sequence[str], shown: str
) -> bytes:
    """A PNG of the slide's overview with every scored tile in the colour of one class's score, and a legend below.

    Args:
        overview: RGB, shape (height, width, 3), of the whole slide.
        size: of the slide, width and height in pixels of level 0.
        tiles: scored tiles.
        classes: names in the order of the scores.
        shown: the class whose score is drawn.
    """
    image = overview.astype(np.float64)
    height, width = overview.shape[:2]
    across, down = width / size[0], height / size[1]
    number = list(classes).index(shown)
    tones = colours(np.array([each.scores[number] for each in tiles]))
    for tile, tone in zip(tiles, tones, strict=True):
        top, left = round(tile.y * down), round(tile.x * across)
        bottom = max(top + 1, round((tile.y + tile.span) * down))
        right = max(left + 1, round((tile.x + tile.span) * across))
        part = image[top:bottom, left:right]
        part += OPACITY * (tone - part)
    canvas = Image.new("RGB", (width, height + _STRIP_PX), "white")
    canvas.paste(Image.fromarray(image.round().astype(np.uint8)))
    _legend(canvas, height, shown)
    stream = io.BytesIO()
    canvas.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _legend(canvas: Image.Image, top: int, shown: str) -> None:
    """The ramp between 0 and 1, and whose score it is."""
    length = min(160, canvas.width // 2)
    ramp = colours(np.broadcast_to(np.linspace(0, 1, length), (_STRIP_PX - 16, length)))
    canvas.paste(Image.fromarray(ramp), (22, top + 8))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(12)
    draw.text((8, top + 7), "0", "black", font)
    draw.text((28 + length, top + 7), f"1  score of {shown}", "black", font)


def _predicted(tile: TileScores, classes: Sequence[str]) -> str:
    return classes[int(np.argmax(tile.scores))]
