"""Measures a run's model on its test split and writes what people look at: `evaluation/` of the run."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from sextant import storage
from sextant.slides import metrics, results, scores
from sextant.slides.evaluation import Evaluation
from sextant.slides.manifest import Manifest
from sextant.slides.pack import read_plan
from sextant.slides.view_model import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sextant.slides.model import Model
    from sextant.slides.plan import PlannedSlide
    from sextant.slides.scores import TileScores

SPLIT = "test"
TILE_RESAMPLES = 200
"""Of the bootstrap over tiles: a draw ranks them all."""


class MeasuringError(Exception):
    """A run that cannot be measured: the message names it, the reason and the remedy."""


@dataclass(frozen=True, eq=False)
class _Overview:
    pixels: NDArray[np.uint8]
    size: tuple[int, int]


def measure_run(run: str, model: Model) -> Evaluation:
    """Writes `evaluation/metrics.json` and four files per scored test slide, and returns the metrics.

    Args:
        run: URI of the run, with plan.json, view/, records/ and scores/.
        model: what the scores were made with.

    Raises:
        InputError: there is no plan.
        MeasuringError: the model is of another plan, or no test slide has scores.
        ScoresError: scores are damaged or of another model.
    """
    plan = read_plan(run)
    if plan.digest() != model.facts.plan_digest or plan.classes != model.facts.classes:
        raise MeasuringError(
            f"the model was trained under plan {model.facts.plan_digest[:12]}, {run} has {plan.digest()[:12]}: a test "
            "slide of one may have trained the other; evaluate the run's own model"
        )
    measured: list[tuple[PlannedSlide, list[TileScores]]] = []
    missing: list[str] = []
    for planned in (each for each in plan.slides if each.split == SPLIT):
        tiles, data = _tiles(run, planned, model)
        if not tiles:
            missing.append(planned.slide)
            continue
        _write(run, planned, tiles, data, model)
        measured.append((planned, tiles))
    if not measured:
        raise MeasuringError(f"{run} has no scored slide of the test split: run the scoring step first")
    _check_whole(run, measured)
    evaluation = _evaluation(measured, model, tuple(missing))
    storage.write(evaluation.model_dump_json(indent=1).encode(), storage.joined(run, "evaluation/metrics.json"))
    return evaluation


def _check_whole(run: str, measured: list[tuple[PlannedSlide, list[TileScores]]]) -> None:
    """Every record of the test split has a score: a job that lost some would look better or worse than it is."""
    manifest = Manifest.model_validate_json(storage.read(storage.joined(run, "records/manifest.json")))
    scored = {f"test/{planned.slide}.tfrecord": len(tiles) for planned, tiles in measured}
    for shard in manifest.splits["test"].shards:
        found = scored.get(shard.name, 0)
        if found != shard.records:
            raise scores.ScoresError(
                f"{shard.name} has {shard.records} tiles and {found} scores: run the scoring step again"
            )


def _tiles(run: str, planned: PlannedSlide, model: Model) -> tuple[list[TileScores], bytes]:
    uri = storage.joined(run, f"scores/{planned.slide}.tfrecord.out")
    try:
        data = storage.read(uri)
    except storage.GoneError:
        return [], b""
    tiles = scores.from_lines(io.BytesIO(data), model, uri)
    strange = sorted({each.slide for each in tiles} - {planned.slide})
    if strange:
        raise scores.ScoresError(f"{uri} has scores of slide {strange[0]}: run the scoring step again")
    return tiles, data


def _write(run: str, planned: PlannedSlide, tiles: list[TileScores], data: bytes, model: Model) -> None:
    classes = model.facts.classes
    overview = _overview(run, planned.slide)
    size = overview.size if overview else None
    result = results.slide_result(model, tiles, data=data, patient=planned.patient, label=planned.label, size=size)
    files = {
        "csv": results.tiles_csv(tiles, classes),
        "geojson": results.geojson(tiles, classes, result.model_sha256),
        "json": result.model_dump_json(indent=1).encode(),
    }
    if overview:
        files["png"] = results.heatmap(overview.pixels, overview.size, tiles, classes, result.predicted)
    for kind, content in files.items():
        storage.write(content, storage.joined(run, f"evaluation/slides/{planned.slide}.{kind}"))


def _overview(run: str, slide: str) -> _Overview | None:
    """The slide as it was tiled, from its view: it may be of any format, many files, or another one by now.

    A slide without a view has its scores all the same.
    """
    try:
        view = View.model_validate_json(storage.read(storage.joined(run, f"view/{slide}.json")))
        with Image.open(io.BytesIO(storage.read(storage.joined(run, f"view/{slide}.jpg")))) as image:
            return _Overview(np.asarray(image.convert("RGB")), (view.width, view.height))
    except storage.GoneError:
        return None


def _evaluation(
    measured: list[tuple[PlannedSlide, list[TileScores]]], model: Model, missing: tuple[str, ...]
) -> Evaluation:
    classes = model.facts.classes
    of_slides = np.stack([scores.of_slide(model, tiles) for _, tiles in measured])
    of_tiles = np.array([tile.scores for _, tiles in measured for tile in tiles])
    truth = np.array([planned.label_index for planned, _ in measured])
    counts = [len(tiles) for _, tiles in measured]
    patients = [planned.patient for planned, _ in measured]
    return Evaluation(
        split=SPLIT,
        classes=classes,
        slides=metrics.level(classes, truth, of_slides, patients),
        tiles=metrics.level(
            classes, np.repeat(truth, counts), of_tiles, np.repeat(patients, counts).tolist(), resamples=TILE_RESAMPLES
        ),
        aggregation=model.facts.aggregation,
        model_sha256=model.digest(),
        plan_digest=model.facts.plan_digest,
        missing=missing,
    )
