"""Whether two samples are of one kind, and how well a model tells them apart. Needs no numpy, for functions without."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TERMS = 100
_BINS = 10


@dataclass(frozen=True)
class Shift:
    """How far a sample lies from its reference.

    `distance` is the Kolmogorov-Smirnov distance (0 to 1) and `p` the probability of one as large between samples of
    one kind; `psi` is the population stability index over the reference's tenths; `n` and `reference` are the sizes.
    """

    distance: float
    p: float
    psi: float
    n: int
    reference: int


def shift(reference: Sequence[float], sample: Sequence[float]) -> Shift:
    """Compares a sample with its reference, each of at least one value."""
    distance = ks_distance(reference, sample)
    p = ks_p(distance, len(reference), len(sample))
    return Shift(distance, p, psi(reference, sample), len(sample), len(reference))


def ks_distance(a: Sequence[float], b: Sequence[float]) -> float:
    """The largest difference of two empirical distribution functions."""
    first, second = sorted(a), sorted(b)
    at = [0, 0]
    largest = 0.0
    while at[0] < len(first) and at[1] < len(second):
        value = min(first[at[0]], second[at[1]])
        while at[0] < len(first) and first[at[0]] <= value:
            at[0] += 1
        while at[1] < len(second) and second[at[1]] <= value:
            at[1] += 1
        largest = max(largest, abs(at[0] / len(first) - at[1] / len(second)))
    return largest


def ks_p(distance: float, n: int, m: int) -> float:
    """The asymptotic two-sided probability of a distance, with Stephens' correction for small samples.

    M. A. Stephens, "Use of the Kolmogorov-Smirnov, Cramér-von Mises and related statistics without extensive tables",
    J. R. Statist. Soc. B 32 (1970). It errs on the safe side (a little too large) where values are tied.
    """
    root = math.sqrt(n * m / (n + m))
    lam = (root + 0.12 + 0.11 / root) * distance
    if lam < 0.2:
        return 1.0  # the series does not converge there; it is 1 to twelve digits
    total = sum((-1) ** (k - 1) * math.exp(-2 * k * k * lam * lam) for k in range(1, _TERMS))
    return min(1.0, max(0.0, 2 * float(total)))


def psi(reference: Sequence[float], sample: Sequence[float]) -> float:
    """Population stability index over the reference's tenths; below 0.1 is usual, above 0.25 another population.

    Half a count is added to each bin, so that an empty one does not make it infinite.
    """
    ordered = sorted(reference)
    edges = sorted({ordered[min(len(ordered) - 1, len(ordered) * k // _BINS)] for k in range(1, _BINS)})
    expected, observed = _shares(reference, edges), _shares(sample, edges)
    return float(sum((o - e) * math.log(o / e) for e, o in zip(expected, observed, strict=True)))


def _shares(values: Sequence[float], edges: Sequence[float]) -> list[float]:
    counts = [0.5] * (len(edges) + 1)
    for value in values:
        counts[sum(value > edge for edge in edges)] += 1
    total = sum(counts)
    return [count / total for count in counts]


def auroc(normal: Iterable[float], anomalous: Iterable[float]) -> float:
    """The probability that an anomalous photograph scores above a normal one, ties as one half (Mann and Whitney)."""
    ordered, found = sorted(normal), list(anomalous)
    below = sum(bisect_left(ordered, each) + bisect_right(ordered, each) for each in found)
    return below / 2 / (len(ordered) * len(found))


def sign_p(wins: int, losses: int) -> float:
    """McNemar's exact test: the two-sided probability that a fair coin splits `wins + losses` as unevenly."""
    n, fewer = wins + losses, min(wins, losses)
    if n == 0:
        return 1.0
    return min(1.0, float(2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n))


def wilson(count: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 % unless `z` says otherwise; (0, 1) of nothing."""
    if n == 0:
        return 0.0, 1.0
    centre, spread = count + z * z / 2, z * math.sqrt(count * (n - count) / n + z * z / 4)
    return max(0.0, (centre - spread) / (n + z * z)), min(1.0, (centre + spread) / (n + z * z))
