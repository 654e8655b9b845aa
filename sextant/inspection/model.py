"""The numbers of a detector and what it computes from patch features: distances, logits, one score.

Everything here is numpy, and training computes its own scores with the same functions: a model that is served gives
the numbers it was judged by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sextant.inspection.calibration import Calibration

SIZES = (1, 8, 64)
"""Patches of the largest distances that are averaged: a defect may be a scratch of one patch or half the product."""
SUSPECTS = 8
"""Patches with the largest logits whose mean is the patch head's logit of a photograph."""
POSITION = 4.0
"""Weight of a patch's place beside its features, whose variances sum up to 3. A shift by a tenth of the picture adds
0.16 to the squared distance, about a tenth of what it usually is to the nearest normal patch."""
_BLOCK = 256
_CONTRAST = np.float32(2)  # times or parts of the usual one are made equal; a lens cap is not blown up to a surface
_POOLED = 16  # of the largest values of each channel that are averaged


@dataclass(frozen=True, eq=False)
class Scaling:
    """How features are standardised: (value - mean) / deviation by channel; `projection` (channels, d) makes the short
    vectors that distances are measured on. From normal photographs only.

    `contrast` (channels,), of surfaces: the usual deviation of standardised features within a photograph. Lamp, focus
    and grain change how much a surface's features vary from photograph to photograph, so distances are measured as if
    each varied as usual. What the whole photograph's mean tells stays, and the heads see features as they are.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    projection: NDArray[np.float32]
    contrast: NDArray[np.float32] | None

    def standardised(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return (features - self.mean) / self.deviation

    def placed(self, standard: NDArray[np.float32]) -> NDArray[np.float32]:
        """Short vectors with places, shape (rows * columns, d + 2), of standardised features (rows, columns,
        channels).
        """
        rows, columns, channels = standard.shape
        if self.contrast is not None:
            flat = standard.reshape(-1, channels)
            middle, own = flat.mean(0), flat.std(0)
            least, most = self.contrast / _CONTRAST, self.contrast * _CONTRAST
            standard = middle + (standard - middle) * (self.contrast / np.clip(own, least, most))
        y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) * np.float32(POSITION / max(rows, columns))
        short = standard.reshape(-1, channels) @ self.projection
        return np.concatenate([short, y.reshape(-1, 1), x.reshape(-1, 1)], 1)


@dataclass(frozen=True, eq=False)
class Linear:
    """A logit: x @ weights + bias."""

    weights: NDArray[np.float32]
    bias: float

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = x @ self.weights + np.float32(self.bias)
        return logits


@dataclass(frozen=True, eq=False)
class PooledHead:
    """A logit of the whole photograph from means, deviations and largest values of its channels."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    linear: Linear

    def __call__(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.linear(self.scaled(pooled))

    def scaled(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        limited: NDArray[np.float32] = np.clip((pooled - self.mean) / self.deviation, -5, 5)
        return limited / np.float32(pooled.shape[-1] ** 0.5)


@dataclass(frozen=True, eq=False)
class LabelHead:
    """Where one kind of defect is: a patch belongs to it from logit 0 on."""

    name: str
    colour: str
    linear: Linear


@dataclass(frozen=True, eq=False)
class Model:
    """A trained detector without its network.

    `bank` are placed vectors of normal patches, shape (n, d + 2). `distance` is mean and deviation of the log distance
    of normal patches, `sizes` those of the photograph's log distances by `SIZES`: (2, 3); both from photographs that
    the bank had not seen. `columns` are the mean and deviation of each part of the score for normal photographs, (2,
    parts), and `weights` (parts,) how they are summed. Parts: bank, and with anomalies in training patch and pooled
    head. `suspicious` is the distance from which on a patch is painted where no label head tells, `strange` what
    `typical` is at most for photographs that are like those of the training.
    """

    scaling: Scaling
    bank: NDArray[np.float32]
    distance: tuple[float, float]
    sizes: NDArray[np.float32]
    patch: Linear | None
    pooled: PooledHead | None
    labels: tuple[LabelHead, ...]
    columns: NDArray[np.float32]
    weights: NDArray[np.float32]
    suspicious: float
    strange: float
    calibration: Calibration


@dataclass(frozen=True, eq=False)
class Judged:
    """What the model sees in one photograph. Maps have the grid's shape (rows, columns); `parts` as in `Model`.

    `is_strange` tells that it shows something else than any photograph of the training: a lens cap, an empty belt.
    """

    score: float
    is_strange: bool
    parts: tuple[float, ...]
    distances: NDArray[np.float32]
    logits: NDArray[np.float32] | None
    labels: tuple[NDArray[np.float32], ...]


def nearest(placed: NDArray[np.float32], bank: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of each vector (n, d) to the nearest of the bank (m, d), shape (n,)."""
    # |p - b|² = |p|² - 2 (p · b - |b|² / 2): the bracket is one product, of blocks that stay in the processor's cache.
    half = (bank * bank).sum(1, keepdims=True) / 2
    turned = np.ascontiguousarray(np.concatenate([bank, -half], 1).T)
    more = np.concatenate([placed, np.ones((len(placed), 1), np.float32)], 1)
    block = np.empty((_BLOCK, len(bank)), np.float32)
    found = np.empty(len(placed), np.float32)
    for start in range(0, len(placed), _BLOCK):
        some = more[start : start + _BLOCK]
        np.dot(some, turned, out=block[: len(some)])
        block[: len(some)].max(1, out=found[start : start + _BLOCK])
    own = (placed * placed).sum(1)
    squares: NDArray[np.float32] = np.maximum(own - 2 * found, np.float32(1e-8))
    return np.sqrt(squares)


def log_distances(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logarithms of the mean of the largest distances, by `SIZES`, shape (3,)."""
    ordered = np.sort(distances.ravel())
    return np.log(np.array([ordered[-each:].mean() for each in SIZES], np.float32))


def with_distance(
    standard: NDArray[np.float32], distances: NDArray[np.float32], usual: tuple[float, float]
) -> NDArray[np.float32]:
    """What the patch heads see: standardised features and the standardised log distance, (rows * columns, channels +
    1).
    """
    channels = standard.shape[-1]
    log = (np.log(distances.reshape(-1, 1)) - np.float32(usual[0])) / np.float32(usual[1])
    # Standardised channels are correlated: scaled so that their sum of squares is about that of a few numbers.
    flat = np.clip(standard.reshape(-1, channels), -8, 8) * np.float32(3 / channels**0.5)
    return np.concatenate([flat, log.astype(np.float32)], 1)


def photograph_logit(logits: NDArray[np.float32]) -> float:
    """The patch head's logit of a photograph from those of its patches."""
    return float(np.sort(logits.ravel())[-SUSPECTS:].mean())


def pooled(standard: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means, deviations and means of the 16 largest values of each channel, shape (3 * channels,)."""
    flat = standard.reshape(-1, standard.shape[-1])
    largest = np.partition(flat, -_POOLED, axis=0)[-_POOLED:] if len(flat) > _POOLED else flat
    return np.concatenate([flat.mean(0), flat.std(0), largest.mean(0)])


def typical(distances: NDArray[np.float32]) -> float:
    """The log of the median distance: how far a photograph as a whole is from normal ones. A defect hardly moves it."""
    return float(np.log(np.median(distances)))


def bank_part(distances: NDArray[np.float32], sizes: NDArray[np.float32]) -> float:
    """The bank's part of the score: the mean over `SIZES` of how far the log distances are from normal ones."""
    return float(((log_distances(distances) - sizes[0]) / sizes[1]).mean())


def deviations(parts: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Parts as deviations from normal photographs, limited: beyond six one is as sure as another."""
    limited: NDArray[np.float32] = np.clip((parts - columns[0]) / columns[1], -6, 6)
    return limited


def stacked(parts: NDArray[np.float32], columns: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
    """The score: the weighed sum of `deviations`."""
    return float(deviations(parts, columns) @ weights)


def judge(model: Model, features: NDArray[np.float32]) -> Judged:
    """The score of a photograph and its maps.

    Args:
        model: a trained one.
        features: patch features, shape (rows, columns, channels).

    Raises:
        FloatingPointError: they hold what is no finite number.
    """
    rows, columns = features.shape[:2]
    standard = model.scaling.standardised(features)
    distances = nearest(model.scaling.placed(standard), model.bank).reshape(rows, columns)
    parts = [bank_part(distances, model.sizes)]
    logits: NDArray[np.float32] | None = None
    labels: list[NDArray[np.float32]] = []
    if model.patch is not None and model.pooled is not None:
        seen = with_distance(standard, distances, model.distance)
        logits = model.patch(seen).reshape(rows, columns)
        parts += [photograph_logit(logits), float(model.pooled(pooled(standard)))]
        labels = [each.linear(seen).reshape(rows, columns) for each in model.labels]
    told = np.array(parts, np.float32)
    score = stacked(told, model.columns, model.weights)
    if not math.isfinite(score):
        raise FloatingPointError("the backbone gives what is no finite number for this photograph: use another one")
    is_strange = typical(distances) > model.strange
    if is_strange:
        # The heads know the photographs of the training only and may call anything normal; distances do not.
        score = max(score, float(deviations(told, model.columns)[0]))
    return Judged(score, is_strange, tuple(parts), distances, logits, tuple(labels))
