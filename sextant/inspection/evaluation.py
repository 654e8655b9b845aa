"""How well a detector does: what it said of photographs whose truth is known, in numbers with their uncertainty."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from sextant.inspection import calibration, detector, photograph
from sextant.inspection.examples import InputError
from sextant.inspection.statistics import auroc, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from sextant.inspection.detector import Detection, Detector
    from sextant.inspection.examples import Example

CUTS = 200
"""Most rows of the table of thresholds and most points of a curve."""

_BINS = 4096
_Z = 1.959964

Interval = tuple[float, float]


class Row(BaseModel):
    """One photograph: its truth and what the detector said. `fold` is set where it had not been trained on it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    anomalous: bool
    is_anomalous: bool
    confidence: float
    probability: float
    score: float
    verdict: str
    fold: int | None = None


class Cut(BaseModel):
    """What a threshold would do to these photographs: for the console's slider."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float
    probability: float
    false_rejects: int
    missed: int
    f1: float


class LabelMetrics(BaseModel):
    """How well one label is painted: over photographs (is it found?) and pixels (`iou`, mean over those that have
    it).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    photographs: int
    precision: float
    recall: float
    f1: float
    iou: float


class Evaluation(BaseModel):
    """The numbers; None where these photographs cannot tell.

    `false_reject_rate` is the share of normal photographs called anomalous, with Wilson's 95 % interval, and
    `rejected_normals` how many of them a line would have thrown away without asking a person; `keeps_budget`
    is False where even the lower end is above the budget. `auroc` is with its 95 % interval (Newcombe 2006).
    `ece` is the expected calibration error of the confidence over ten bins. Curves are points (x, y): ROC of false and
    true positive rate, PR of recall and precision.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    photographs: int
    normals: int
    anomalies: int
    f1: float | None
    precision: float | None
    recall: float | None
    auroc: float | None
    auroc_interval: Interval | None
    average_precision: float | None
    ece: float | None
    false_rejects: int
    false_reject_rate: float | None
    false_reject_interval: Interval
    budget: float
    keeps_budget: bool
    guarantee: float
    rejected_normals: int
    accepted_anomalies: int
    verdicts: dict[str, int]
    pixel_auroc: float | None = None
    labels: tuple[LabelMetrics, ...] = ()
    roc: tuple[tuple[float, float], ...] = ()
    pr: tuple[tuple[float, float], ...] = ()
    thresholds: tuple[Cut, ...] = ()
    rows: tuple[Row, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    """Photographs that could not be read: source and reason."""


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Of photographs with masks: counts of heat by bin inside and outside of masks, and by label what was painted."""

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]
    labels: dict[str, list[tuple[bool, bool, float]]]


def evaluate(of: Detector, examples: Iterable[Example]) -> Evaluation:
    """The evaluation of a detector on photographs that it was not trained on.

    Raises:
        InputError: not one of the photographs can be read.
    """
    rows: list[Row] = []
    skipped: list[tuple[str, str]] = []
    pixels = _Pixels(np.zeros(_BINS, np.int64), np.zeros(_BINS, np.int64), {each.name: [] for each in of.model.labels})
    masks = False
    for example in examples:
        try:
            picture = example.read()
        except photograph.PhotographError as error:
            skipped.append((example.source, str(error)))
            continue
        found = detector.detect(of, picture)
        rows.append(row(example.source, found, anomalous=example.is_anomalous))
        mask = example.read_mask()
        if mask is not None:
            masks = True
        if mask is not None or not example.is_anomalous:
            _count(pixels, found, mask, example)
    if not rows:
        raise InputError(
            f"none of {len(skipped)} photographs can be read: {skipped[0][1] if skipped else 'there are none'}"
        )
    told = measured(rows, of.model.calibration)
    return told.model_copy(
        update={
            "pixel_auroc": _auroc_of_counts(pixels) if masks else None,
            "labels": tuple(_label(name, each) for name, each in pixels.labels.items()) if masks else (),
            "skipped": tuple(skipped),
        }
    )


def row(source: str, found: Detection, *, anomalous: bool) -> Row:
    """A photograph's row of what was detected in it."""
    return Row(
        source=source,
        anomalous=anomalous,
        is_anomalous=found.is_anomalous,
        confidence=found.confidence,
        probability=found.probability,
        score=found.score,
        verdict=found.verdict,
    )


def measured(rows: Sequence[Row], of: calibration.Calibration) -> Evaluation:
    """The numbers of rows, without those that need masks."""
    truth = np.array([each.anomalous for each in rows])
    said = np.array([each.is_anomalous for each in rows])
    scores = np.array([each.score for each in rows])
    probability = np.array([each.probability for each in rows])
    anomalies, normals = int(truth.sum()), int((~truth).sum())
    hits, false = int((truth & said).sum()), int((~truth & said).sum())
    both = anomalies > 0 and normals > 0
    area = auroc(scores[~truth], scores[truth]) if both else None
    interval = wilson(false, normals)
    return Evaluation(
        photographs=len(rows),
        normals=normals,
        anomalies=anomalies,
        f1=2 * hits / (hits + false + anomalies) if anomalies else None,
        precision=(hits / (hits + false) if hits + false else 0.0) if anomalies else None,
        recall=hits / anomalies if anomalies else None,
        auroc=area,
        auroc_interval=auroc_interval(area, normals, anomalies) if area is not None else None,
        average_precision=average_precision(scores, truth) if anomalies else None,
        ece=calibration.expected_calibration_error(probability, truth) if both else None,
        false_rejects=false,
        false_reject_rate=false / normals if normals else None,
        false_reject_interval=interval,
        budget=of.budget,
        keeps_budget=interval[0] <= of.budget,
        guarantee=of.guarantee,
        rejected_normals=sum(each.verdict == "reject" and not each.anomalous for each in rows),
        accepted_anomalies=sum(each.verdict == "accept" and each.anomalous for each in rows),
        verdicts={name: sum(each.verdict == name for each in rows) for name in ("accept", "review", "reject")},
        rows=tuple(rows),
        **_curves(scores, truth, of),
    )


def auroc_interval(area: float, normals: int, anomalies: int) -> Interval:
    """The 95 % interval of an `auroc`: the areas that lie 1.96 of their own standard errors from it, or nearer.

    Hanley and McNeil's variance is that of the true area, not of the one found, so that an area of 1 has a lower end:
    Newcombe, Statistics in Medicine 25 (2006) 559-573, method 5.
    """
    mean = (normals + anomalies) / 2 - 1

    def too_far(true: float) -> bool:
        spread = 1 + mean * (1 - true) / (2 - true) + mean * true / (1 + true)
        return (area - true) ** 2 > _Z**2 * true * (1 - true) * spread / (normals * anomalies)

    return _edge(0.0, area, too_far), _edge(1.0, area, too_far)


def _edge(outside: float, inside: float, too_far: Callable[[float], bool]) -> float:
    """Where `too_far` begins between two areas; `outside` itself where it is not too far either."""
    if not too_far(outside):
        return outside
    for _ in range(50):
        middle = (outside + inside) / 2
        if too_far(middle):
            outside = middle
        else:
            inside = middle
    return outside


def average_precision(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Mean precision over the recalls that are reached, equal scores at once."""
    thresholds, hits, said = _by_threshold(scores, truth)
    del thresholds
    recall = hits / truth.sum()
    return float((np.diff(recall, prepend=0.0) * hits / said).sum())


def _by_threshold(
    scores: NDArray[np.floating], truth: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Distinct scores from the highest, anomalies from each on up, and all photographs from each on up."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.nonzero(np.append(np.diff(ordered) != 0, True))[0]
    return ordered[last], np.cumsum(truth[order])[last], last + 1


def _curves(scores: NDArray[np.floating], truth: NDArray[np.bool_], of: calibration.Calibration) -> dict[str, Any]:
    thresholds, hits, said = _by_threshold(scores, truth)
    anomalies, normals = int(truth.sum()), int((~truth).sum())
    thinned = np.unique(np.linspace(0, len(thresholds) - 1, min(CUTS, len(thresholds))).round().astype(int))
    cuts = [
        Cut(
            threshold=float(thresholds[at]),
            probability=of.probability(float(thresholds[at])),
            false_rejects=int(said[at] - hits[at]),
            missed=anomalies - int(hits[at]),
            f1=float(2 * hits[at] / (said[at] + anomalies)) if anomalies else 0.0,
        )
        for at in thinned
    ]
    if not anomalies or not normals:
        return {"thresholds": tuple(cuts)}
    rates = [(0.0, 0.0), *(((said[at] - hits[at]) / normals, hits[at] / anomalies) for at in thinned)]
    precisions = [(hits[at] / anomalies, hits[at] / said[at]) for at in thinned]
    return {
        "thresholds": tuple(cuts),
        "roc": tuple((float(x), float(y)) for x, y in rates),
        "pr": tuple((float(x), float(y)) for x, y in precisions),
    }


def _count(pixels: _Pixels, found: Detection, mask: NDArray[np.uint8] | None, example: Example) -> None:
    """Adds a photograph with a mask, or a normal one, to the counts; pixels outside of the crop are coolest."""
    width, height = found.size
    scale = min(1.0, 512 / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    heat = laid_out(found, size)
    bins = np.clip((heat + 4) / 8 * _BINS, 0, _BINS - 1).astype(int)
    truth = (
        np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        if mask is not None
        else np.zeros(heat.shape, np.uint8)
    )
    np.add(pixels.inside, np.bincount(bins[truth > 0], minlength=_BINS), out=pixels.inside)
    np.add(pixels.outside, np.bincount(bins[truth == 0], minlength=_BINS), out=pixels.outside)
    names = {name: number for number, (name, _) in example.mask_labels.items()}
    painted = {name: place for place, (name, _, _) in enumerate(found.anomalies)}
    for name, told in pixels.labels.items():
        real = truth == names.get(name, 256)
        small = (
            np.asarray(Image.fromarray(found.mask).resize(size, Image.Resampling.NEAREST)) == painted.get(name, 256)
            if found.mask is not None
            else np.zeros(heat.shape, bool)
        )
        union = int((real | small).sum())
        told.append((bool(real.any()), bool(small.any()), int((real & small).sum()) / union if union else 1.0))


def laid_out(found: Detection, size: tuple[int, int]) -> NDArray[np.float32]:
    """The heat over the whole photograph at a size (width, height), shape (height, width); outside of the crop -4."""
    (width, height), (full_width, full_height) = size, found.size
    left, top, box_width, box_height = found.crop
    x, y = round(left / full_width * width), round(top / full_height * height)
    inner = (max(1, round(box_width / full_width * width)), max(1, round(box_height / full_height * height)))
    larger = np.asarray(Image.fromarray(found.heat).resize(inner, Image.Resampling.BILINEAR))
    whole = np.full((height, width), -4.0, np.float32)
    part = larger[: max(0, height - y), : max(0, width - x)]
    whole[y : y + part.shape[0], x : x + part.shape[1]] = part
    return whole


def _auroc_of_counts(pixels: _Pixels) -> float | None:
    inside, outside = pixels.inside, pixels.outside
    if not inside.sum() or not outside.sum():
        return None
    below = np.cumsum(outside) - outside
    return float((inside * (below + outside / 2)).sum() / inside.sum() / outside.sum())


def _label(name: str, told: list[tuple[bool, bool, float]]) -> LabelMetrics:
    real, painted = sum(each[0] for each in told), sum(each[1] for each in told)
    both = sum(each[0] and each[1] for each in told)
    return LabelMetrics(
        name=name,
        photographs=real,
        precision=both / painted if painted else 0.0,
        recall=both / real if real else 0.0,
        f1=2 * both / (real + painted) if real + painted else 0.0,
        iou=float(np.mean([each[2] for each in told if each[0]])) if real else 0.0,
    )


def service_files(
    evaluation: Evaluation,
    *,
    training_photographs: int,
    ended: dt.datetime,
    project: str = "",
    version: str = "",
    model_arn: str = "",
) -> tuple[bytes, bytes]:
    """`EvaluationManifest` (JSON lines) and `EvaluationResult` (JSON) as Lookout for Vision wrote them.

    Format: its developer guide, "Reviewing the evaluation manifest" and "Reviewing the evaluation result".
    """
    at = ended.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    kind = "groundtruth/image-classification"
    lines = []
    for each in evaluation.rows:
        line = {
            "source-ref": each.source,
            "source-ref-metadata": {"creation-date": at},
            "anomaly-label": int(each.anomalous),
            "anomaly-label-metadata": {
                "class-name": "anomaly" if each.anomalous else "normal",
                "type": kind,
                "human-annotated": "yes",
                "creation-date": at,
                "job-name": "labeling-job/anomaly-label",
            },
            "anomaly-label-detected": int(each.is_anomalous),
            "anomaly-label-detected-metadata": {
                "class-name": "anomaly" if each.is_anomalous else "normal",
                "confidence": each.confidence,
                "type": kind,
                "human-annotated": "no",
                "creation-date": at,
                "job-name": "training-job/anomaly-detection",
                "model-arn": model_arn,
                "project-name": project,
                "model-version": version,
            },
        }
        lines.append(json.dumps(line, separators=(",", ":")))
    metrics: dict[str, Any] = {
        "ROCAUC": evaluation.auroc,
        "AveragePrecision": evaluation.average_precision,
        "Precision": evaluation.precision,
        "Recall": evaluation.recall,
        "F1Score": evaluation.f1,
    }
    if evaluation.labels:
        metrics["PixelAnomalyClassMetrics"] = [
            {
                "Precision": each.precision,
                "Recall": each.recall,
                "F1Score": each.f1,
                "AIOU": each.iou,
                "ClassName": each.name,
            }
            for each in evaluation.labels
        ]
    result = {
        "Version": 1,
        "EvaluationDetails": {
            "ModelArn": model_arn,
            "EvaluationEndTimestamp": at,
            "NumberOfTrainingImages": training_photographs,
            "NumberOfTestingImages": evaluation.photographs,
        },
        "AggregatedEvaluationResults": {"Metrics": metrics},
    }
    return ("\n".join(lines) + "\n").encode(), json.dumps(result, indent=1).encode()
