"""HOTA, CLEAR MOT and identity metrics of two sets of tracks over one sequence, as sums that add up over sequences.

Sources: J. Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking, IJCV 129 (2021);
K. Bernardin and R. Stiefelhagen, Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics, EURASIP JIVP
(2008); E. Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, ECCV Workshops
(2016). Where the papers leave a choice, it is that of the authors' own TrackEval, and the tests hold these functions to
its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sextant.labeling.insight.overlap import best_matching, box_iou, chunks_across

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

THRESHOLDS: Floats = np.arange(1, 20, dtype=np.float64) * np.float64(0.05)
"""Localisation thresholds of HOTA: IoU 0.05 to 0.95."""
OVERLAP = 0.5
"""Least IoU of a match in CLEAR and identity metrics."""
_EPSILON = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Tracks:
    """Boxes of all tracks of one sequence: frame number and track of each, shape (n,), and box, shape (n, 4).

    A track is a number from 0 on, and has one box in a frame at most.
    """

    frame: Integers
    track: Integers
    box: Floats


@dataclass(frozen=True)
class Candidates:
    """Boxes of two sets that overlap in one frame: their positions in either set, and their IoU above 0."""

    first: Integers
    second: Integers
    iou: Floats


def candidates(first: Tracks, second: Tracks) -> Candidates:
    """Every pair of overlapping boxes, sorted by the position in `first`."""
    found = []
    for near, far in chunks_across(first.frame, second.frame):
        iou = box_iou(first.box[near], second.box[far])
        kept = iou > 0
        found.append((near[kept], far[kept], iou[kept]))
    near, far, iou = (np.concatenate(each) for each in zip(*found, strict=True))
    return Candidates(near, far, iou)


@dataclass(frozen=True)
class Hota:
    """Sums for HOTA at each of THRESHOLDS: matched boxes, and the association score A(c) over them; shape (19,)."""

    matched: Floats
    association: Floats


def hota(first: Tracks, second: Tracks, pairs: Candidates) -> Hota:
    """Sums for HOTA. It is symmetric: neither set need be the truth.

    In every frame the boxes are matched once so that the sum of IoU times global alignment of the two tracks is
    greatest; at each threshold the matches of at least that IoU count (section 4.3 and appendix of the paper).
    """
    tracks = _size(first.track), _size(second.track)
    frames = np.bincount(first.track), np.bincount(second.track)
    iou = pairs.iou
    rows = np.bincount(pairs.first, iou, first.frame.size)[pairs.first]
    columns = np.bincount(pairs.second, iou, second.frame.size)[pairs.second]
    both = first.track[pairs.first] * tracks[1] + second.track[pairs.second]
    # Only pairs of tracks that meet matter: there may be thousands of tracks on either side.
    met, meeting = np.unique(both, return_inverse=True)
    meeting = meeting.reshape(-1)
    length = (frames[0][met // tracks[1]] + frames[1][met % tracks[1]]).astype(float) if met.size else np.zeros(0)
    shared = np.bincount(meeting, iou / (rows + columns - iou), met.size)
    alignment = shared / (length - shared)
    matched = best_matching(pairs.first, pairs.second, alignment[meeting] * iou)
    iou, meeting = iou[matched], meeting[matched]
    counts = np.stack(
        [np.bincount(meeting[iou >= threshold - _EPSILON], minlength=met.size) for threshold in THRESHOLDS]
    ).astype(float)
    association = counts * counts / np.maximum(1.0, length - counts)
    return Hota(counts.sum(axis=1), association.sum(axis=1))


def hota_value(matched: Floats, association: Floats, total: Floats) -> Floats:
    """HOTA of (summed) sums: the mean over thresholds of sqrt(DetA AssA).

    DetA = TP / (TP + FN + FP) and AssA = sum of A(c) / TP, so TP cancels.

    Args:
        matched: shape (…, 19).
        association: shape (…, 19).
        total: boxes of both sets together, shape (…).

    Returns:
        Shape (…), 0 to 1; NaN where there are no boxes at all.
    """
    seen = total[..., np.newaxis] - matched
    share = np.divide(association, seen, out=np.full(seen.shape, np.nan), where=seen > 0)
    found: Floats = np.sqrt(share).mean(axis=-1)
    return found


@dataclass(frozen=True)
class Clear:
    """CLEAR MOT of one direction: matched boxes, boxes of the reference missed, boxes too many, identity switches."""

    matched: int
    missed: int
    extra: int
    switched: int

    @property
    def mota(self) -> float:
        """1 - (missed + extra + switched) / boxes of the reference; NaN without any, below 0 for many errors."""
        boxes = self.matched + self.missed
        return 1 - (self.missed + self.extra + self.switched) / boxes if boxes else float("nan")


def clear(reference: Tracks, other: Tracks, pairs: Candidates) -> Clear:
    """CLEAR MOT against a reference.

    Frame after frame the boxes are matched for the greatest sum of IoU, but tracks that were matched to each other in
    the frame before stay together. A track is switched when its partner is another than the last one it had.
    """
    near = np.flatnonzero(pairs.iou >= OVERLAP - _EPSILON)
    near = near[np.argsort(reference.frame[pairs.first[near]], kind="stable")]
    first, second, iou = pairs.first[near], pairs.second[near], pairs.iou[near]
    frame, track, partner = reference.frame[first], reference.track[first], other.track[second]
    chosen = (np.bincount(first)[first] == 1) & (np.bincount(second)[second] == 1) if near.size else np.zeros(0, bool)
    # A frame takes part if both sets have boxes in it: the one before is the last of those.
    shared = np.intersect1d(reference.frame, other.frame)
    before = dict(zip(shared[1:].tolist(), shared[:-1].tolist(), strict=True))
    for number in np.unique(frame[~chosen]).tolist():
        here = slice(*np.searchsorted(frame, (number, number + 1)))
        last = slice(*np.searchsorted(frame, (before.get(number, number), before.get(number, number - 1) + 1)))
        partners = dict(zip(track[last][chosen[last]].tolist(), partner[last][chosen[last]].tolist(), strict=True))
        kept = [
            partners.get(each) == its for each, its in zip(track[here].tolist(), partner[here].tolist(), strict=True)
        ]
        chosen[here] = best_matching(first[here], second[here], iou[here] + 1000.0 * np.array(kept))
    in_time = np.argsort(track[chosen], kind="stable")  # within a track by frame, as they are sorted by that already
    track, partner = track[chosen][in_time], partner[chosen][in_time]
    switched = int(np.count_nonzero((track[1:] == track[:-1]) & (partner[1:] != partner[:-1])))
    matched = int(np.count_nonzero(chosen))
    return Clear(matched, reference.frame.size - matched, other.frame.size - matched, switched)


def identity(first: Tracks, second: Tracks, pairs: Candidates) -> int:
    """IDTP: boxes in which whole tracks, matched one to one for the whole sequence, are together (IoU >= OVERLAP).

    IDF1 = 2 IDTP / (boxes of both sets). It is symmetric.
    """
    near = pairs.iou >= OVERLAP - _EPSILON
    if not near.any():
        return 0
    tracks = _size(second.track)
    both = first.track[pairs.first[near]] * tracks + second.track[pairs.second[near]]
    met, frames = np.unique(both, return_counts=True)
    chosen = best_matching(met // tracks, met % tracks, frames.astype(float))
    return int(frames[chosen].sum())


def _size(track: Integers) -> int:
    return int(track.max()) + 1 if track.size else 0
