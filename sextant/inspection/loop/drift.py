"""Whether the cameras still see, and the model still scores, as in its training: alarms before defects pass.

Two monitors over a window of verdicts of one camera, each with its reference:

- camera health: brightness and sharpness against the first photographs that this camera sent to this model version
  (30 to begin with, then more while nothing drifts), and the share of photographs in which the object was not found;
- scores: the anomaly probability of accepted photographs against the out-of-fold probabilities of those normal
  photographs of the training that would be accepted, too.

An alarm needs significance and size: with thousands of photographs every lamp differs significantly, and a handful may
differ widely by chance. The significance is shared among all that is looked at in a window (Bonferroni), so that a
window of a plant where nothing drifts gives a false alarm with probability `ALPHA` at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from sextant.inspection.statistics import shift, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sextant.inspection.loop.journal import Record

Measure: TypeAlias = Literal["brightness", "sharpness", "crop", "score"]

ALPHA = 0.001
"""The probability of any false alarm in one window of one project."""
FEWEST = 30
"""Photographs in a window, and in a reference, below which nothing is said."""
REFERENCE = 200
"""Photographs of a camera up to which its reference grows, by windows in which nothing has moved."""
LARGE_DISTANCE = 0.3
"""Kolmogorov-Smirnov distance from which on a shift is worth an alarm."""
LARGE_CROP = 0.05
"""So much more often the object may not be found."""
EXAMPLES = 3


class Reference(BaseModel):
    """What a camera's photographs were like at first; `failed` of `n` had no object where one should be."""

    model_config = ConfigDict(frozen=True)

    brightness: tuple[float, ...]
    sharpness: tuple[float, ...]
    failed: int
    n: int

    @classmethod
    def of(cls, records: Sequence[Record]) -> Reference:
        """From the first photographs of a camera."""
        return cls(
            brightness=tuple(each.brightness for each in records),
            sharpness=tuple(each.sharpness for each in records),
            failed=sum(not each.crop_ok for each in records),
            n=len(records),
        )

    def grown(self, records: Sequence[Record]) -> Reference:
        """With further photographs that are like it, up to `REFERENCE` of them: few tell little."""
        more = Reference.of(records[: max(0, REFERENCE - self.n)])
        return Reference(
            brightness=self.brightness + more.brightness,
            sharpness=self.sharpness + more.sharpness,
            failed=self.failed + more.failed,
            n=self.n + more.n,
        )


class Finding(BaseModel):
    """One measure of one camera in a window.

    `size` is the Kolmogorov-Smirnov distance, of `crop` the difference of the shares; `alpha` what `p` must be below
    for an alarm; `unclear` is a difference that is large enough for one, but may be chance of so few photographs;
    `examples` are the photographs (URIs) that lie farthest off.
    """

    model_config = ConfigDict(frozen=True)

    line: str
    camera: str
    measure: Measure
    alarm: bool
    size: float
    p: float
    psi: float | None = None
    alpha: float
    n: int
    reference: int
    unclear: bool = False
    words: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Watched:
    """One camera in a window: its verdicts, its reference where there is one, and the training's accepted scores."""

    line: str
    camera: str
    records: Sequence[Record]
    reference: Reference | None
    scores: Sequence[float]


def findings(watched: Sequence[Watched]) -> list[Finding]:
    """What can be said of each camera; nothing of one with too few photographs."""
    tests = [test for each in watched for test in _tests(each)]
    alpha = ALPHA / max(1, len(tests))
    return [test(alpha) for test in tests]


def _tests(watched: Watched) -> list[Callable[[float], Finding]]:
    made: list[Callable[[float], Finding]] = []
    records, reference = watched.records, watched.reference
    if reference is not None and min(len(records), reference.n) >= FEWEST:
        made.append(lambda alpha: _health(watched, "brightness", reference.brightness, alpha))
        made.append(lambda alpha: _health(watched, "sharpness", reference.sharpness, alpha))
        made.append(lambda alpha: _crop(watched, reference, alpha))
    scored = [each for each in records if each.verdict == "accept" and each.probability is not None]
    if min(len(scored), len(watched.scores)) >= FEWEST:
        made.append(lambda alpha: _score(watched, scored, alpha))
    return made


_LOWER_HIGHER: Mapping[str, tuple[str, str]] = {
    "brightness": ("darker", "brighter"),
    "sharpness": ("less sharp", "sharper"),
    "score": ("less suspicious", "more suspicious"),
}
_REMEDY: Mapping[str, str] = {
    "brightness": "Look at the lamp, the exposure and whether light falls in from elsewhere.",
    "sharpness": "Look at the focus, the lens and the belt's speed.",
    "score": "Look at the pictures: the product, its surface or the scene may have changed. If they are good, add some "
    "to the dataset and train again.",
    "crop": "Look at the camera's position and at the belt behind the object.",
}


def _health(
    watched: Watched, measure: Literal["brightness", "sharpness"], reference: Sequence[float], alpha: float
) -> Finding:
    values = [float(getattr(each, measure)) for each in watched.records]
    return _shifted(watched, measure, reference, list(zip(values, watched.records, strict=True)), alpha)


def _score(watched: Watched, scored: Sequence[Record], alpha: float) -> Finding:
    return _shifted(watched, "score", watched.scores, [(each.probability or 0.0, each) for each in scored], alpha)


def _shifted(
    watched: Watched,
    measure: Literal["brightness", "sharpness", "score"],
    reference: Sequence[float],
    sample: Sequence[tuple[float, Record]],
    alpha: float,
) -> Finding:
    values = [value for value, _ in sample]
    found = shift(reference, values)
    middle, now = _median(reference), _median(values)
    large = found.distance >= LARGE_DISTANCE
    alarm = found.p < alpha and large
    how = _LOWER_HIGHER[measure][int(now >= middle)]
    words = (
        f"Photographs are {how} than before: median {now:.3g} instead of {middle:.3g}. {_REMEDY[measure]}"
        if alarm
        else f"{_unalarmed(large=large, n=found.n)}median {now:.3g}, reference {middle:.3g}."
    )
    farthest = sorted(sample, key=lambda pair: -abs(pair[0] - middle))[:EXAMPLES] if alarm else []
    return Finding(
        line=watched.line,
        camera=watched.camera,
        measure=measure,
        alarm=alarm,
        size=found.distance,
        p=found.p,
        psi=found.psi,
        alpha=alpha,
        n=found.n,
        reference=found.reference,
        unclear=large and not alarm,
        words=words,
        examples=tuple(record.source for _, record in farthest),
    )


def _crop(watched: Watched, reference: Reference, alpha: float) -> Finding:
    """Fisher's exact test, one-sided: more failures than in the reference, given how many there are in both."""
    lost = [each for each in watched.records if not each.crop_ok]
    n = len(watched.records)
    size = len(lost) / n - reference.failed / reference.n
    p = more_often_p(reference.failed, reference.n, len(lost), n)
    large = size >= LARGE_CROP
    alarm = p < alpha and large
    low, high = wilson(len(lost), n)
    share = f"{len(lost)} of {n} ({low:.0%} to {high:.0%})"
    words = (
        f"The object was not found in {share}, before in {reference.failed} of {reference.n}. {_REMEDY['crop']}"
        if alarm
        else f"{_unalarmed(large=large, n=n)}not found in {share}, before in {reference.failed} of {reference.n}."
    )
    return Finding(
        line=watched.line,
        camera=watched.camera,
        measure="crop",
        alarm=alarm,
        size=size,
        p=p,
        alpha=alpha,
        n=n,
        reference=reference.n,
        unclear=large and not alarm,
        words=words,
        examples=tuple(each.source for each in lost[:EXAMPLES]) if alarm else (),
    )


def _unalarmed(*, large: bool, n: int) -> str:
    """What the words on a difference without an alarm begin with."""
    return f"Of these {n} photographs it may still be chance, more will tell: " if large else "As before: "


def more_often_p(before: int, of_before: int, now: int, of_now: int) -> float:
    """Fisher's exact test, one-sided: the probability of `now` or more failures where nothing has changed."""
    failures, everything = before + now, of_before + of_now
    most = min(failures, of_now)
    # In logarithms: the binomial coefficients of thousands are too large for a float.
    whole = _log_choose(everything, of_now)
    logs = [
        _log_choose(failures, k) + _log_choose(everything - failures, of_now - k) - whole for k in range(now, most + 1)
    ]
    return min(1.0, sum(math.exp(each) for each in logs))


def _log_choose(n: int, k: int) -> float:
    if k < 0 or k > n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
