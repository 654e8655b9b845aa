"""What a run's model was measured at: `evaluation/metrics.json`, and the metric lines a training job prints.

Plain data, without numpy: Lambda functions and stacks read it too.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_FROZEN = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
Share = Annotated[float, Field(ge=0, le=1)]

METRIC_DEFINITIONS = [
    {"Name": name, "Regex": rf"#quality_metric: {name}=([0-9.eE+-]+)"}
    for name in (
        "train_loss",
        "val_loss",
        "val_slide_auc",
        "val_slide_accuracy",
        "val_tile_accuracy",
        "tiles_per_second",
    )
]
"""SageMaker's MetricDefinitions of the training job: what `metric_line` prints."""


def metric_line(name: str, value: float) -> str:
    """A line of a training log from which SageMaker reads a metric."""
    return f"#quality_metric: {name}={value:.6g}"


class Interval(BaseModel):
    """A measured value with its bootstrap interval: from `low` to `high` with the level's confidence.

    The resampled unit is the patient, so that many tiles or slides of one patient do not make it narrower. The bounds
    are None where fewer than 100 resamples had the value (too few patients of a class), or all had the same one.
    """

    model_config = _FROZEN

    value: Share
    low: Share | None
    high: Share | None
    level: Share = 0.95


class Bin(BaseModel):
    """A bin of the reliability diagram: the mean confidence and the share that was right of `n` slides."""

    model_config = _FROZEN

    low: Share
    high: Share
    n: int
    confidence: Share
    accuracy: Share


class Level(BaseModel):
    """Metrics at one level, slides or tiles. AUC is None where only one class has cases."""

    model_config = _FROZEN

    n: int
    patients: int
    accuracy: Interval
    balanced_accuracy: Interval
    auc: Interval | None
    auc_per_class: dict[str, Interval | None]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are the true classes, columns the predicted ones, in the order of the classes."""
    calibration_error: Share
    """Expected calibration error: the bins' gaps between confidence and accuracy, weighted by their n."""
    reliability: tuple[Bin, ...]


class Evaluation(BaseModel):
    """The measurement of a model on a split."""

    model_config = _FROZEN

    schema_version: Literal[1] = 1
    split: str
    classes: tuple[str, ...]
    slides: Level
    tiles: Level
    aggregation: str
    model_sha256: str
    plan_digest: str
    missing: tuple[str, ...] = ()
    """Slides of the split that have no tile to score, such as those that are all background."""

    def sentence(self) -> str:
        """The result in one line, with what it rests on."""
        auc = self.slides.auc
        told = f"AUC {_interval(auc)}, " if auc else ""
        return (
            f"slides: {told}balanced accuracy {_interval(self.slides.balanced_accuracy)} "
            f"(n = {self.slides.n} slides of {self.slides.patients} patients)"
        )


def _interval(of: Interval) -> str:
    if of.low is None or of.high is None:
        return f"{of.value:.3f}"
    return f"{of.value:.3f} [{of.low:.3f}, {of.high:.3f}]"
