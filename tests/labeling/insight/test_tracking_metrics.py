"""Track metrics against TrackEval, against each other, and on sequences whose numbers can be counted by hand."""

import numpy as np
import pytest

from sextant.labeling.insight.overlap import (
    across_groups,
    best_matching,
    box_iou,
    chunks_across,
    chunks_of_pairs,
    same_group,
)
from sextant.labeling.insight.tracking_metrics import Tracks, candidates, clear, hota, hota_value, identity


def tracks(rows):
    """Rows of frame, track, left, top, width, height."""
    rows = np.asarray(rows, float).reshape(-1, 6)
    return Tracks(rows[:, 0].astype(int), np.unique(rows[:, 1], return_inverse=True)[1], rows[:, 2:])


def scene(*, seed, frames=60, objects=8, crowd=300, drop=0.1, jitter=6, swaps=3):
    """Objects on straight paths, and what a careless worker makes of them: jitter, misses, swaps, boxes of nothing."""
    random = np.random.default_rng(seed)
    size = 60
    start, speed = random.uniform(0, crowd, (objects, 2)), random.uniform(-3, 3, (objects, 2))
    true, drawn, identities = [], [], list(range(objects))
    swapped = set(random.choice(np.arange(1, frames), swaps, replace=False).tolist())
    for frame in range(frames):
        if frame in swapped:
            one, other = random.choice(objects, 2, replace=False)
            identities[one], identities[other] = identities[other], identities[one]
        for each in range(objects):
            if random.random() < 0.05:
                continue
            left, top = start[each] + speed[each] * frame
            true.append((frame, each, left, top, size, size))
            if random.random() >= drop:
                off = random.normal(0, jitter, 4)
                drawn.append((frame, identities[each], left + off[0], top + off[1], size + off[2], size + off[3]))
        drawn.extend(
            (frame, objects + each, *random.uniform(0, crowd, 2), size, size) for each in range(random.integers(0, 4))
        )
    return tracks(true), tracks(drawn)


# Of trackeval 1.3.0 (MIT), HOTA, CLEAR and Identity with their default configuration, on these very scenes:
# HOTA, HOTA_TP at thresholds 0.05, 0.35, 0.65 and 0.95, MOTA, CLR_TP, CLR_FN, CLR_FP, IDSW, IDTP, IDF1.
TRACKEVAL = [
    (
        {"seed": 1},
        (0.45349905224165943, [413, 407, 267, 0], 0.6327433628318584, (395, 57, 99, 10), 292, 0.61733615),
    ),
    (
        {"seed": 2, "objects": 15, "crowd": 200, "jitter": 10},
        (0.41445326648376535, [792, 721, 203, 1], 0.117096018735363, (533, 321, 333, 100), 465, 0.54069767),
    ),
    (
        {"seed": 3, "frames": 200, "objects": 4, "swaps": 10, "drop": 0.3},
        (0.24415503085129414, [533, 525, 360, 1], 0.19053876478318002, (500, 261, 337, 18), 281, 0.35168961),
    ),
    (
        {"seed": 4, "objects": 20, "crowd": 120, "jitter": 15, "swaps": 20},
        (0.22147755306517986, [1044, 703, 114, 0], -0.35309503051438534, (491, 656, 624, 272), 229, 0.20247568),
    ),
]


@pytest.mark.parametrize(("how", "numbers"), TRACKEVAL)
def test_numbers_are_those_of_trackeval(how, numbers):
    wanted, matched, mota, counts, idtp, idf1 = numbers
    true, drawn = scene(**how)
    pairs = candidates(true, drawn)
    sums = hota(true, drawn, pairs)
    boxes = float(true.frame.size + drawn.frame.size)
    assert sums.matched[::6].tolist() == matched
    assert float(hota_value(sums.matched, sums.association, np.array(boxes))) == pytest.approx(wanted, abs=1e-12)
    found = clear(true, drawn, pairs)
    assert (found.matched, found.missed, found.extra, found.switched) == counts
    assert found.mota == pytest.approx(mota, abs=1e-12)
    assert identity(true, drawn, pairs) == idtp
    assert 2 * idtp / boxes == pytest.approx(idf1, abs=1e-8)


def test_a_swap_half_way_counted_by_hand():
    """Two objects, ten frames, boxes exact; from frame 5 on the names are exchanged."""
    true = tracks([(frame, each, 100 * each, 0, 50, 50) for frame in range(10) for each in (0, 1)])
    drawn = tracks([(f, each ^ (f >= 5), 100 * each, 0, 50, 50) for f in range(10) for each in (0, 1)])
    pairs = candidates(true, drawn)
    sums = hota(true, drawn, pairs)
    # Each of four pairs of tracks has 5 of 15 frames: A = 1/3, DetA = 1, so HOTA is sqrt(1/3) at every threshold.
    assert sums.matched.tolist() == [20] * 19
    assert float(hota_value(sums.matched, sums.association, np.array(40.0))) == pytest.approx(np.sqrt(1 / 3))
    found = clear(true, drawn, pairs)
    assert (found.matched, found.switched, found.mota) == (20, 2, pytest.approx(0.9))
    assert identity(true, drawn, pairs) == 10


def test_hota_and_identity_do_not_depend_on_who_is_first():
    true, drawn = scene(seed=9, objects=12, crowd=200)
    one, other = candidates(true, drawn), candidates(drawn, true)
    boxes = np.array(float(true.frame.size + drawn.frame.size))
    values = [
        float(hota_value(each.matched, each.association, boxes))
        for each in (hota(true, drawn, one), hota(drawn, true, other))
    ]
    assert values[0] == pytest.approx(values[1])
    assert identity(true, drawn, one) == identity(drawn, true, other)


def test_nothing_against_something_and_nothing_against_nothing():
    true, nothing = scene(seed=1)[0], tracks([])
    pairs = candidates(true, nothing)
    sums = hota(true, nothing, pairs)
    assert float(hota_value(sums.matched, sums.association, np.array(float(true.frame.size)))) == 0
    assert clear(true, nothing, pairs).mota == 0
    assert identity(true, nothing, pairs) == 0
    empty = hota(nothing, nothing, candidates(nothing, nothing))
    assert np.isnan(hota_value(empty.matched, empty.association, np.array(0.0)))
    assert np.isnan(clear(nothing, nothing, candidates(nothing, nothing)).mota)


def test_overlap_of_boxes():
    box = np.array([0.0, 0, 10, 10])
    others = np.array(
        [
            [0, 0, 10, 10],
            [5, 0, 10, 10],
            [10, 0, 5, 5],
            [0, 0, 0, 10],
            [np.nan, 0, 5, 5],
            [0, 0, -4, -4],
            [0, 0, np.inf, 1],
        ]
    )
    assert box_iou(box, others).tolist() == pytest.approx([1, 1 / 3, 0, 0, 0, 0, 0])
    assert box_iou(np.zeros(4), np.zeros(4)) == 0  # without area even a box and itself


def test_matching_is_that_of_all_permutations():
    """The Hungarian method within parts of the graph against trying everything."""
    from itertools import permutations

    random = np.random.default_rng(3)
    for _ in range(100):
        worth = random.random((4, 4)) * (random.random((4, 4)) < 0.5)
        best = max(sum(worth[i, j] for i, j in enumerate(order)) for order in permutations(range(4)))
        rows, columns = np.nonzero(worth)
        chosen = best_matching(rows + 100, columns + 7, worth[rows, columns])
        assert worth[rows[chosen], columns[chosen]].sum() == pytest.approx(best)
        assert np.unique(rows[chosen]).size == np.unique(columns[chosen]).size == chosen.sum()


def test_pairs_within_and_across_groups():
    group = np.array([3, 1, 3, 2, 1, 3])
    found = {tuple(sorted(each)) for each in zip(*map(np.ndarray.tolist, same_group(group)), strict=True)}
    assert found == {(0, 2), (0, 5), (2, 5), (1, 4)}
    left, right = across_groups(np.array([1, 2, 9, 1]), np.array([1, 1, 2]))
    assert sorted(zip(left.tolist(), right.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 2), (3, 0), (3, 1)]
    assert same_group(np.zeros(0, int))[0].size == 0
    assert across_groups(np.zeros(0, int), np.array([1]))[0].size == 0


def test_chunks_hold_every_pair_once():
    random = np.random.default_rng(6)
    one, other = random.integers(0, 9, 60), random.integers(0, 9, 50)
    for whole, chunks in (
        (same_group(one), list(chunks_of_pairs(one, 20))),
        (across_groups(one, other), list(chunks_across(one, other, 20))),
    ):
        assert len(chunks) > 5
        assert max(each[0].size for each in chunks) <= 20 + 60
        together = [np.concatenate([each[side] for each in chunks]).tolist() for side in (0, 1)]
        assert together == [each.tolist() for each in whole]
