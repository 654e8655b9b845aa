"""From scores to probabilities and to a threshold that keeps the false-reject budget."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Calibration(BaseModel):
    """What turns a score into an answer.

    probability = 1 / (1 + exp(-(slope * score + intercept))). From `threshold` on an item is called anomalous:
    probability one half, or more where that would exceed the false-reject budget on training's own normal photographs.
    From `rejecting` on it is rejected without a person: the threshold, or more where a promise needs it. `guarantee` is
    the share of normal items that may be rejected so, on average, as `normals` photographs can promise it;
    `normals_needed` photographs would promise the budget. Copies of a photograph count as one in all of these.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    slope: float
    intercept: float
    threshold: float
    rejecting: float
    budget: float
    guarantee: float
    normals: int
    normals_needed: int
    calibrated: bool
    """False where training saw no anomalies: the probability is a scale then, one half at the threshold."""

    def probability(self, score: float) -> float:
        """Of being anomalous."""
        return float(_sigmoid(np.float64(self.slope * score + self.intercept)))


def _sigmoid(logits: Any) -> Any:
    return np.exp(-np.logaddexp(0, -logits))


def conformal(scores: NDArray[np.floating], budget: float) -> tuple[float, float]:
    """A threshold that a further normal item exceeds with at most the probability told beside it.

    Split conformal prediction (Vovk et al. 2005): of n scores the k-th smallest with k = ceil((n + 1)(1 - budget))
    keeps the budget for exchangeable items. With fewer than 1 / budget - 1 scores there is no such k; the largest score
    then promises 1 / (n + 1). Scores come from folds that left the photograph out, which makes the promise approximate.

    Returns:
        The threshold and the promised share.
    """
    ordered = np.sort(scores)
    n = len(ordered)
    k = min(n, math.ceil((n + 1) * (1 - budget) - 1e-9))
    return float(ordered[k - 1]), 1 - k / (n + 1)


def different(scores: NDArray[np.floating], groups: Sequence[int]) -> NDArray[np.floating]:
    """The largest score of each group of copies, one by one the scores of different photographs, shape (groups,)."""
    _, group = np.unique(groups, return_inverse=True)
    largest = np.full(int(group.max()) + 1, -np.inf, scores.dtype)
    np.maximum.at(largest, group, scores)
    return largest


def normals_needed(budget: float) -> int:
    """Different normal photographs from which on a budget can be promised."""
    return math.ceil(1 / budget - 1 - 1e-9)


def calibrated(
    scores: NDArray[np.floating], anomalous: NDArray[np.bool_], groups: Sequence[int], budget: float
) -> Calibration:
    """The calibration of out-of-fold scores: Platt's logistic with his smoothed targets, and the conformal
    threshold.

    What the budget is held by counts one score of each group of copies, since ranks are as likely only among different
    items. Platt's logistic goes on with all: it is a mean, which the largest scores of copies alone would shift.

    Args:
        scores: of all photographs, shape (n,).
        anomalous: which of them are, shape (n,).
        groups: a number for each photograph, the same for copies of one, as `doctor.groups` gives them.
        budget: the share of normal items that may be rejected.
    """
    normal = np.sort(different(scores[~anomalous], np.asarray(groups)[~anomalous].tolist()))
    promised, guarantee = conformal(normal, budget)
    within = float(normal[math.ceil(len(normal) * (1 - budget) - 1e-9) - 1])
    # The next score up: an item that scores like the k-th normal one is normal.
    promised, within = (each + 1e-6 * max(1.0, abs(each)) for each in (promised, within))
    if anomalous.any():
        slope, intercept = platt(scores, anomalous)
        half = -intercept / slope
    else:
        # No anomaly has been seen: one half at the threshold, and the budget's share at the usual normal score.
        usual = float(np.median(normal))
        slope = math.log(1 / budget - 1) / max(promised - usual, 1e-3)
        half = promised
        intercept = -slope * half
    return Calibration(
        slope=slope,
        intercept=intercept,
        threshold=max(within, half),
        rejecting=max(promised, half),
        budget=budget,
        guarantee=guarantee,
        normals=len(normal),
        normals_needed=normals_needed(budget),
        calibrated=bool(anomalous.any()),
    )


def platt(scores: NDArray[np.floating], anomalous: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of Platt's (1999) logistic of scores, by Newton's method; the slope is at least 0.01."""
    positives, negatives = int(anomalous.sum()), int((~anomalous).sum())
    target = np.where(anomalous, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    centre, scale = float(scores.mean()), float(scores.std()) + 1e-9
    x = np.stack([(scores - centre) / scale, np.ones(len(scores))], 1)
    fitted = np.array([0.0, math.log((positives + 1) / (negatives + 1))])

    def loss(given: NDArray[np.float64]) -> float:
        logits = x @ given
        return float((np.logaddexp(0, logits) - target * logits).sum())

    for _ in range(100):
        probability = _sigmoid(x @ fitted)
        gradient = x.T @ (probability - target)
        curvature = (x * (probability * (1 - probability))[:, None]).T @ x + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        length = 1.0
        while length > 1e-6 and loss(fitted - length * step) > loss(fitted) - 1e-4 * length * float(gradient @ step):
            length /= 2
        fitted = fitted - length * step
        if abs(length * step).max() < 1e-9:
            break
    slope = max(float(fitted[0]) / scale, 0.01)
    return slope, float(fitted[1] - fitted[0] * centre / scale)


def expected_calibration_error(
    probability: NDArray[np.floating], anomalous: NDArray[np.bool_], bins: int = 10
) -> float:
    """Mean distance of confidence and accuracy over bins of equal width, weighted by their photographs (Guo et al.
    2017).
    """
    confidence = np.maximum(probability, 1 - probability)
    right = (probability >= 0.5) == anomalous
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(
        sum(abs(confidence[at == b].mean() - right[at == b].mean()) * (at == b).mean() for b in set(at.tolist()))
    )
