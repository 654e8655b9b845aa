"""How the numbers of a `model.Model` are found from patch features. Needs scipy.

Every score that decides something (which patches look suspicious, how parts are weighed, where the threshold lies) is
of a photograph that the bank or head in question has not seen: folds by photograph, with copies of one in the same
fold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sextant.inspection import calibration, model
from sextant.inspection.model import LabelHead, Linear, Model, PooledHead, Scaling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from sextant.inspection.settings import DetectorSettings

FEWEST_ANOMALIES = 3
"""Anomalies from which on they are learned from; fewer would leave folds without any."""
TOP = 24
"""Suspicious patches of a photograph that the patch head learns from: 1.5 % of 1,600."""

_FOLDS = 20
"""Folds of small sets. A bank of 19 of 20 photographs is nearly the whole: its scores are those of the final model."""
_SMALL = 100  # normal photographs up to which there are so many folds; five of more are as good
_DIM = 64
_VARIANCE = 3.0  # of the vectors that distances are measured on: see model.POSITION
_WHITENING = 0.5
_FAINTEST = 1e-4  # of the largest eigenvalue: directions of less variance are noise of the arithmetic
_CANDIDATES = 60_000
_FARTHEST = 256  # candidates among which those that are taken at once are sought
_SAMPLED = 40_000
_PATCH_STRENGTH = 0.01
_POOLED_STRENGTH = 0.03
_STACK_STRENGTH = 4.0  # divided by the number of photographs: the fewer, the more the prior counts
_STACK_PRIOR = 0.2  # of each part: one that did not help among few photographs may with the next kind of defect
_ROUNDS = 2
_COVERED = 0.5
_STRANGE = float(np.log(1.5))
"""A photograph is strange from half as far again as the farthest of training, each of which was compared with others.
Another JPEG quality moves the log by 0.2, a lens cap, noise or an empty belt by 0.6 and more."""
_LABEL_PATCHES = 64


@dataclass(frozen=True, eq=False)
class Photographs:
    """Training's photographs.

    `features` (rows, columns, channels) of each, whether it is `anomalous` (n,), its group of copies as in
    `doctor.groups`, its fold (n,), and how much of each patch its mask covers, (labels, rows, columns), by position, of
    those that have a mask. `labels` are names and colours, `maps` the channels of the network's maps; `surface` as in
    `crop.Crop`.
    """

    features: Sequence[NDArray[np.float32]]
    anomalous: NDArray[np.bool_]
    groups: Sequence[int]
    folds: NDArray[np.integer]
    masks: Mapping[int, NDArray[np.float32]]
    labels: tuple[tuple[str, str], ...]
    maps: tuple[int, ...]
    surface: bool

    def __len__(self) -> int:
        return len(self.features)

    def of(self, chosen: NDArray[np.bool_]) -> list[int]:
        return np.nonzero(chosen)[0].tolist()


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model, and what it said of each photograph while it had not seen it: scores (n,), heat maps by position."""

    model: Model
    scores: NDArray[np.float64]
    parts: NDArray[np.float32]
    folds: NDArray[np.integer]
    heats: Sequence[NDArray[np.float32]]


def folds(groups: Sequence[int], anomalous: NDArray[np.bool_], seed: int) -> NDArray[np.integer]:
    """The fold of each photograph: groups stay together, normal and anomalous ones are spread evenly, shape (n,)."""
    normals = int((~anomalous).sum())
    count = min(_FOLDS if normals <= _SMALL else 5, normals)
    rng = np.random.default_rng(seed)
    found = np.zeros(len(groups), int)
    sizes = np.zeros((2, count))
    members: dict[int, list[int]] = {}
    for position, group in enumerate(groups):
        members.setdefault(group, []).append(position)
    keys = list(members)
    for key in (keys[each] for each in rng.permutation(len(keys))):
        kind = int(anomalous[members[key][0]])
        fold = int(np.lexsort((sizes.sum(0), sizes[kind]))[0])
        found[members[key]] = fold
        sizes[kind, fold] += len(members[key])
    return found


def scaling(
    features: Sequence[NDArray[np.float32]], maps: Sequence[int], rng: np.random.Generator, *, surface: bool
) -> Scaling:
    """Mean and deviation by channel, the principal directions that distances are measured on, and of surfaces the
    usual contrast.

    Every map counts the same however many channels it has: a faint flaw shows in the few of the shallow one. And it
    shows in directions in which normal patches hardly vary (Rippel et al., arXiv 2005.14140, who whiten fully, which
    is Mahalanobis' distance): with eigenvalue l, a direction is multiplied by l^(-1/4), halfway to whitening, so that
    its variance is the square root of what it was.
    """
    channels = features[0].shape[-1]
    each = max(1, _SAMPLED // len(features))
    sample = np.concatenate(
        [one.reshape(-1, channels)[rng.permutation(one.shape[0] * one.shape[1])[:each]] for one in features]
    ).astype(np.float64)
    mean, deviation = sample.mean(0), sample.std(0) + 1e-6
    weight = np.concatenate([np.full(each, (_VARIANCE / len(maps) / each) ** 0.5) for each in maps])
    standard = (sample - mean) / deviation * weight
    values, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
    variance = np.maximum(values[::-1][:_DIM], _FAINTEST * values[-1])
    stretch = variance ** (-_WHITENING / 2)
    stretch *= (_VARIANCE / (stretch**2 * variance).sum()) ** 0.5
    kept = weight[:, None] * vectors[:, ::-1][:, :_DIM] * stretch
    made = Scaling(mean.astype(np.float32), deviation.astype(np.float32), kept.astype(np.float32), None)
    if not surface:
        return made
    return replace(made, contrast=np.mean([made.standardised(one).std((0, 1)) for one in features], 0) + 1e-6)


def coreset(vectors: NDArray[np.float32], size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """The vectors that cover all best: greedily the one farthest from those taken (k-center, as in PatchCore).

    Distances to those taken only fall, so the next ones are among the farthest few while these stay above the rest:
    several are taken before all distances are computed again, in one matrix product.
    """
    if len(vectors) > _CANDIDATES:
        vectors = vectors[np.sort(rng.choice(len(vectors), _CANDIDATES, replace=False))]
    if len(vectors) <= size:
        return vectors
    everyone = np.arange(len(vectors))
    half = (vectors * vectors).sum(1) / 2
    taken = [int(rng.integers(len(vectors)))]
    new: list[int] = taken.copy()
    farthest = np.full(len(vectors), np.inf, np.float32)  # half the squared distance to the nearest taken
    while True:
        farthest = np.minimum(farthest, half - (vectors @ vectors[new].T - half[new]).max(1))
        few = np.sort(np.argpartition(farthest, -_FARTHEST)[-_FARTHEST:]) if len(vectors) > _FARTHEST else everyone
        left, rest = farthest[few], float(farthest[few].min())
        between = half[few, None] + half[few] - vectors[few] @ vectors[few].T
        new = []
        while not new or left.max() > rest:
            if len(taken) == size:
                return vectors[taken]
            at = int(left.argmax())
            new.append(int(few[at]))
            taken.append(new[-1])
            left = np.minimum(left, between[at])
            left[at] = -1


def logistic(
    x: NDArray[np.floating],
    y: NDArray[np.bool_],
    strength: float,
    *,
    prior: float | None = None,
) -> Linear:
    """A logistic regression with both classes of equal weight, mean loss plus strength / 2 * |w - prior|².

    With a prior, weights do not fall below zero.
    """
    from scipy.optimize import minimize  # noqa: PLC0415  only fitting needs it; half a second of import

    sign = np.where(y, 1.0, -1.0).astype(x.dtype)
    weight = (np.where(y, 0.5 / max(1, int(y.sum())), 0.5 / max(1, int((~y).sum())))).astype(x.dtype)
    middle = prior or 0.0

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w = flat[:-1].astype(x.dtype)
        margin = (x @ w + x.dtype.type(flat[-1])) * sign
        value = float(weight @ np.logaddexp(0, -margin)) + strength / 2 * float(((flat[:-1] - middle) ** 2).sum())
        slope = -weight * sign * np.exp(-np.logaddexp(0, margin))
        gradient = (x.T @ slope).astype(np.float64) + strength * (flat[:-1] - middle)
        return value, np.append(gradient, float(slope.sum()))

    bounds = [(0, None)] * x.shape[1] + [(None, None)] if prior is not None else None
    start = np.append(np.full(x.shape[1], middle), 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 150}).x
    return Linear(found[:-1].astype(np.float32), float(found[-1]))


def fit(photographs: Photographs, settings: DetectorSettings, report: Any) -> Fitted:
    """The model of these photographs.

    Args:
        photographs: at least 10 normal ones.
        settings: of the detector.
        report: called with what is done, how much is done and how much there is.
    """
    rng = np.random.default_rng(settings.seed)
    normal = photographs.of(~photographs.anomalous)
    seen = [photographs.features[each] for each in normal]
    scaled = scaling(seen, photographs.maps, rng, surface=photographs.surface)
    distances, bank = _distances(photographs, scaled, settings, rng, report)
    logs = np.log(np.stack([distances[each] for each in normal]))
    usual = (float(logs.mean()), float(logs.std()) + 1e-6)
    by_size = np.stack([model.log_distances(distances[each]) for each in normal])
    sizes = np.stack([by_size.mean(0), by_size.std(0) + 1e-3]).astype(np.float32)
    parts = np.array([[model.bank_part(each, sizes)] for each in distances], np.float32)
    largest = np.array([float(distances[each].max()) for each in normal])
    copies = [photographs.groups[each] for each in normal]
    suspicious, _ = calibration.conformal(calibration.different(largest, copies), settings.false_reject_budget)
    heads: _Heads | None = None
    weights = np.ones(1, np.float32)
    if int(photographs.anomalous.sum()) >= FEWEST_ANOMALIES:
        draws = [rng.permutation(each.size) for each in distances]
        heads = _heads(_Lesson(photographs, scaled, distances, usual, draws), report)
        parts = np.concatenate([parts, heads.parts], 1)
    columns = np.stack([parts[normal].mean(0), parts[normal].std(0) + 1e-3]).astype(np.float32)
    if heads is not None:
        told = model.deviations(parts, columns)
        strength = _STACK_STRENGTH / len(photographs)
        weights = logistic(told, photographs.anomalous, strength, prior=_STACK_PRIOR).weights
        weights = weights / weights.sum() if weights.sum() > 0 else np.array([1, 0, 0], np.float32)
    scores = np.array([model.stacked(each, columns, weights) for each in parts])
    judged = list(range(len(photographs))) if heads is not None else normal
    fitted = Model(
        scaling=scaled,
        bank=bank,
        distance=usual,
        sizes=sizes,
        patch=heads.patch if heads else None,
        pooled=heads.pooled if heads else None,
        labels=heads.labels if heads else (),
        columns=columns,
        weights=weights,
        suspicious=float(suspicious),
        strange=max(model.typical(each) for each in distances) + _STRANGE,
        calibration=calibration.calibrated(
            scores[judged],
            photographs.anomalous[judged],
            [photographs.groups[each] for each in judged],
            settings.false_reject_budget,
        ),
    )
    heats = heads.heats if heads and heads.labels else [np.log(each / fitted.suspicious)[None] for each in distances]
    return Fitted(fitted, scores, parts, photographs.folds, heats)


def _distances(
    photographs: Photographs, scaled: Scaling, settings: DetectorSettings, rng: np.random.Generator, report: Any
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """Distance maps (rows, columns) to normal photographs of other folds, and the bank of all normal ones."""
    placed = [scaled.placed(scaled.standardised(each)) for each in photographs.features]
    normal = ~photographs.anomalous
    found: dict[int, NDArray[np.float32]] = {}
    count = int(photographs.folds.max()) + 1

    def bank(chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
        # Every photograph gives as many candidates; more than are looked at would only be copied.
        each = -(-_CANDIDATES // max(1, int(chosen.sum())))
        some = [placed[at][np.sort(rng.permutation(len(placed[at]))[:each])] for at in photographs.of(chosen)]
        return coreset(np.concatenate(some), settings.bank_patches, rng)

    for fold in range(count):
        other = bank(normal & (photographs.folds != fold))
        for at in photographs.of(photographs.folds == fold):
            found[at] = model.nearest(placed[at], other).reshape(photographs.features[at].shape[:2])
        report("compare patches", fold + 1, count + 1)
    whole = bank(normal)
    report("compare patches", count + 1, count + 1)
    return [found[at] for at in range(len(photographs))], whole


@dataclass(frozen=True, eq=False)
class _Heads:
    patch: Linear
    pooled: PooledHead
    labels: tuple[LabelHead, ...]
    parts: NDArray[np.float32]
    heats: Sequence[NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What heads learn from: distance maps, patches in random orders, and `seen`, what a patch head sees of one."""

    photographs: Photographs
    scaled: Scaling
    distances: Sequence[NDArray[np.float32]]
    usual: tuple[float, float]
    draws: Sequence[NDArray[np.integer]]

    def seen(self, at: int) -> NDArray[np.float32]:
        standard = self.scaled.standardised(self.photographs.features[at])
        return model.with_distance(standard, self.distances[at], self.usual)


def _heads(lesson: _Lesson, report: Any) -> _Heads:
    """The heads of all photographs, and out of fold their logits (n, 2) and the labels' maps."""
    photographs, distances = lesson.photographs, lesson.distances
    pools = np.stack([model.pooled(lesson.scaled.standardised(each)) for each in photographs.features])
    everyone = list(range(len(photographs)))
    fold_count = int(photographs.folds.max()) + 1
    parts = np.zeros((len(photographs), 2), np.float32)
    maps: list[NDArray[np.float32]] = [
        np.zeros((len(photographs.labels), *each.shape), np.float32) for each in distances
    ]
    for fold in range(fold_count):
        rest, held = photographs.of(photographs.folds != fold), photographs.of(photographs.folds == fold)
        patch = _patch_head(lesson, rest)
        whole = _pooled_head(pools[rest], photographs.anomalous[rest])
        labels = [_label_head(lesson, number, rest) for number in _named(photographs)]
        for at in held:
            x = lesson.seen(at)
            parts[at] = model.photograph_logit(patch(x)), float(whole(pools[at]))
            for number, head in zip(_named(photographs), labels, strict=True):
                maps[at][number] = head(x).reshape(distances[at].shape)
        report("learn anomalies", fold + 1, fold_count + 1)
    heads = []
    for number in _named(photographs):
        head = _label_head(lesson, number, everyone)
        shift = _best_cut([maps[at][number] for at in everyone], [_truth(photographs, at, number) for at in everyone])
        for each in maps:
            each[number] -= shift
        name, colour = photographs.labels[number]
        heads.append(LabelHead(name, colour, Linear(head.weights, head.bias - shift)))
    report("learn anomalies", fold_count + 1, fold_count + 1)
    return _Heads(
        patch=_patch_head(lesson, everyone),
        pooled=_pooled_head(pools, photographs.anomalous),
        labels=tuple(heads),
        parts=parts,
        heats=maps,
    )


def _named(photographs: Photographs) -> range:
    return range(len(photographs.labels))


def _truth(photographs: Photographs, at: int, number: int) -> NDArray[np.float32] | None:
    """How much of each patch the label covers; None where an anomalous photograph has no mask."""
    if at in photographs.masks:
        cover: NDArray[np.float32] = photographs.masks[at][number]
        return cover
    return None if photographs.anomalous[at] else np.zeros(photographs.features[at].shape[:2], np.float32)


def _pooled_head(pools: NDArray[np.float32], anomalous: NDArray[np.bool_]) -> PooledHead:
    mean, deviation = pools[~anomalous].mean(0), pools.std(0) + 1e-6
    empty = PooledHead(mean, deviation, Linear(np.zeros(pools.shape[1], np.float32), 0.0))
    return PooledHead(mean, deviation, logistic(empty.scaled(pools), anomalous, _POOLED_STRENGTH))


def _patch_head(lesson: _Lesson, chosen: Sequence[int]) -> Linear:
    """Multiple-instance learning: which of an anomalous photograph's suspicious patches are the anomaly is found by
    fitting, choosing anew those with the largest logits, and fitting again.

    A mask tells where to begin and no more, and there the suspicious patches count, for masks are drawn generously, or
    a flaw shows beside them: on magnetic tiles (Huang et al. 2018, five kinds of defects, 40 anomalies) heads held to
    any patches under a mask in every round had an AUROC of 0.86, worse than heads that saw no masks at all (0.92).
    """
    head = _patches_told_apart(lesson, chosen, None)
    for _ in range(_ROUNDS):
        head = _patches_told_apart(lesson, chosen, head)
    return head


def _patches_told_apart(lesson: _Lesson, chosen: Sequence[int], last: Linear | None) -> Linear:
    photographs, draws = lesson.photographs, lesson.draws
    rows: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.bool_]] = []
    for at in chosen:
        x = lesson.seen(at)
        order = np.argsort(-(last(x) if last else lesson.distances[at].ravel()), kind="stable")
        if not photographs.anomalous[at]:
            taken = np.concatenate([order[:TOP], draws[at][:TOP]])
        elif last:
            taken = order[: TOP // 2]
        elif at in photographs.masks and photographs.masks[at].max() > 0:
            taken = _under(photographs.masks[at].max(0), order)[:TOP]
        else:
            taken = order[:TOP]
        rows.append(x[taken])
        labels.append(np.full(len(taken), photographs.anomalous[at]))
    return logistic(np.concatenate(rows), np.concatenate(labels), _PATCH_STRENGTH)


def _under(cover: NDArray[np.float32], order: NDArray[np.integer]) -> NDArray[np.integer]:
    """Patches that a mask covers by half, the first of them if they are many; the most covered one if none is."""
    flat = cover.ravel()
    found = order[flat[order] >= _COVERED][:_LABEL_PATCHES]
    return found if len(found) else np.array([int(flat.argmax())])


def _label_head(lesson: _Lesson, number: int, chosen: Sequence[int]) -> Linear:
    """A logit of patches for one label; all that it does not cover is against it, the suspicious above all."""
    photographs, distances, draws = lesson.photographs, lesson.distances, lesson.draws
    rows: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.bool_]] = []
    for at in chosen:
        truth = _truth(photographs, at, number)
        if truth is None:
            continue
        x, flat = lesson.seen(at), truth.ravel()
        order = np.argsort(-distances[at].ravel(), kind="stable")
        free = np.concatenate([order[flat[order] == 0][:TOP], draws[at][flat[draws[at]] == 0][:_LABEL_PATCHES]])
        inside = _under(truth, draws[at]) if flat.max() > 0 else np.zeros(0, int)
        rows += [x[free], x[inside]]
        labels += [np.zeros(len(free), bool), np.ones(len(inside), bool)]
    return logistic(np.concatenate(rows), np.concatenate(labels), _PATCH_STRENGTH)


def _best_cut(maps: Sequence[NDArray[np.float32]], truths: Sequence[NDArray[np.float32] | None]) -> float:
    """The logit from which on painting gives the best Dice overlap with the masks."""
    known = [at for at, truth in enumerate(truths) if truth is not None]
    logits = np.concatenate([maps[at].ravel() for at in known])
    truth = np.concatenate([np.asarray(truths[at]).ravel() for at in known])
    order = np.argsort(-logits, kind="stable")
    hit = np.cumsum(truth[order], dtype=np.float64)
    dice = 2 * hit / (np.arange(1, len(order) + 1) + max(hit[-1], 1e-9))
    return float(logits[order[int(dice.argmax())]])
