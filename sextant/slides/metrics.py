"""How good scores are, at the level of slides or of tiles, with intervals that respect patients.

Scores are shape (n, classes), rows adding up to 1; truth and predictions are class indices. A prediction is the class
with the highest score, the first of equals.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from sextant.slides.evaluation import Bin, Interval, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Scores = NDArray[np.floating]
    Classes = NDArray[np.integer]

RESAMPLES = 1000
BINS = 10
LEVEL = 0.95
_FEWEST = 100  # resamples that an interval's bounds rest on


def auc(positive: NDArray[np.bool_], score: NDArray[np.floating]) -> float | None:
    """Area under the ROC curve of one class against the rest; None where only one of the two has cases.

    It is the probability that a positive case scores higher than a negative one, ties counting half: the Mann-Whitney
    statistic by mid-ranks (Hanley and McNeil 1982).
    """
    count = int(positive.sum())
    rest = len(positive) - count
    if not count or not rest:
        return None
    above = float(rankdata(score)[positive].sum()) - count * (count + 1) / 2
    return above / (count * rest)


def macro_auc(truth: Classes, scores: Scores) -> float | None:
    """The mean of the one-against-rest AUCs of the classes that have cases; None where only one class has."""
    found = [each for each in _aucs(truth, scores) if each is not None]
    return float(np.mean(found)) if found else None


def accuracy(truth: Classes, scores: Scores) -> float:
    """The share of cases whose class scores highest."""
    return float((scores.argmax(1) == truth).mean())


def balanced_accuracy(truth: Classes, scores: Scores) -> float:
    """The mean over the classes that have cases of the share predicted right."""
    right = scores.argmax(1) == truth
    return float(np.mean([right[truth == each].mean() for each in np.unique(truth)]))


def log_loss(truth: Classes, scores: Scores) -> float:
    """The mean of -log of the true class's score, which counts as 1e-12 at least."""
    return float(-np.log(np.maximum(scores[np.arange(len(truth)), truth], 1e-12)).mean())


def confusion(truth: Classes, scores: Scores) -> NDArray[np.int64]:
    """Counts, shape (classes, classes): rows are the truth, columns the predictions."""
    k = scores.shape[1]
    return np.bincount(truth * k + scores.argmax(1), minlength=k * k).reshape(k, k)


def reliability(truth: Classes, scores: Scores) -> tuple[Bin, ...]:
    """The reliability diagram: cases by their predicted class's score in 10 equal bins; empty bins are left out."""
    confidence = scores.max(1)
    right = scores.argmax(1) == truth
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(
            low=each / BINS,
            high=(each + 1) / BINS,
            n=int((place == each).sum()),
            confidence=min(1.0, float(confidence[place == each].mean())),
            accuracy=float(right[place == each].mean()),
        )
        for each in np.unique(place).tolist()
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (Guo et al. 2017): |accuracy - confidence|, weighted by the bins' cases."""
    return sum(each.n * abs(each.accuracy - each.confidence) for each in bins) / sum(each.n for each in bins)


def bootstrap(
    patients: Sequence[str],
    measure: Callable[[NDArray[np.intp]], Sequence[float]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[tuple[float, float] | None]:
    """Percentile intervals of measures over patients drawn with replacement (cluster bootstrap).

    Args:
        patients: of every case.
        measure: the values of the cases with these indices; NaN for one that they do not have.
        resamples: draws.
        seed: of the draws: the same input gives the same intervals.

    Returns:
        The 2.5 % and 97.5 % quantiles per value; None where fewer than 100 draws had it, and where all draws are equal:
        of cases that are all right, drawing them again tells nothing of those not seen.
    """
    names, place = np.unique(np.asarray(patients), return_inverse=True)
    cases = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1])
    rng = np.random.default_rng(seed)
    drawn = np.array(
        [
            measure(np.concatenate([cases[each] for each in rng.integers(0, len(names), len(names)).tolist()]))
            for _ in range(resamples)
        ]
    )
    edge = (1 - LEVEL) / 2
    found = [column[~np.isnan(column)] for column in drawn.T]
    return [
        (float(np.quantile(each, edge)), float(np.quantile(each, 1 - edge)))
        if len(each) >= _FEWEST and each.min() < each.max()
        else None
        for each in found
    ]


def level(
    classes: Sequence[str],
    truth: Classes,
    scores: Scores,
    patients: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Level:
    """Every metric of the cases of one level, with bootstrap intervals over patients.

    Args:
        classes: names, in the order of the scores.
        truth: class index of every case, shape (n,).
        scores: shape (n, classes).
        patients: of every case.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: there is no case.
    """
    if not len(truth):
        raise ValueError("there is no case to measure: the split has no scored slides")
    bins = reliability(truth, scores)

    def measure(index: NDArray[np.intp]) -> list[float]:
        of, by = truth[index], scores[index]
        areas = [math.nan if each is None else each for each in _aucs(of, by)]
        there = [each for each in areas if not math.isnan(each)]
        return [accuracy(of, by), balanced_accuracy(of, by), float(np.mean(there)) if there else math.nan, *areas]

    bounds = bootstrap(patients, measure, resamples=resamples, seed=seed)
    right, balanced, area, *areas = map(_interval, measure(np.arange(len(truth))), bounds)
    assert right is not None
    assert balanced is not None
    return Level(
        n=len(truth),
        patients=len(set(patients)),
        accuracy=right,
        balanced_accuracy=balanced,
        auc=area,
        auc_per_class=dict(zip(classes, areas, strict=True)),
        confusion=tuple(tuple(row) for row in confusion(truth, scores).tolist()),
        calibration_error=calibration_error(bins),
        reliability=bins,
    )


def _aucs(truth: Classes, scores: Scores) -> list[float | None]:
    return [auc(truth == each, scores[:, each]) for each in range(scores.shape[1])]


def _interval(value: float, bounds: tuple[float, float] | None) -> Interval | None:
    if math.isnan(value):
        return None
    low, high = bounds or (None, None)
    return Interval(value=value, low=low, high=high, level=LEVEL)
