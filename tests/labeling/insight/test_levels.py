"""Labels found again from level to level, what changed in them, and which answer they came from."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sextant.labeling.insight import levels
from sextant.labeling.insight.adjustment import differ, difference, long_form
from sextant.labeling.insight.levels import Chain, best_worker, combined, extent_of, joined, match, occurrence, origins
from tests.labeling.insight.chains import chain_table

NAN = float("nan")


def chain(base, new, answers=()):
    """Labels of two jobs on one data object, and answers; each a dict of columns."""
    rows = [{"kind": "label", "job_name": "one", **each} for each in base]
    rows += [{"kind": "label", "job_name": "two", **each} for each in new]
    rows += [{"kind": "answer", "job_name": "one", **each} for each in answers]
    made = Chain(chain_table([{"data_object": "x", **row} for row in rows]))
    first = np.arange(len(base))
    return made, first, first[-1:] + 1 + np.arange(len(new)) if len(base) else np.arange(len(new))


def box(left, top=0.0, width=10.0, height=10.0, **more):
    sides = {"left_px": left, "top_px": top, "width_px": width, "height_px": height}
    return {"shape": "box", "label": "Car", "frame_no": 0, **sides, **more}


def shape(kind, geometry, **more):
    return {"shape": kind, "label": "Car", "frame_no": 0, "geometry": json.dumps(geometry), **more}


def pairs(made, first, second, **options):
    found = match(made, first, second, **options)
    return (
        {(int(one), int(two) - len(first)) for one, two in zip(found.base, found.new, strict=True)},
        found.removed.tolist(),
        (found.added - len(first)).tolist(),
    )


def changed(made, first, second, *, names=(), adjusted=False, **options):
    marks = np.full(len(made.kind), adjusted)
    return difference(made, first, second, names=frozenset(names), adjusted=marks, **options)


def test_tracks_are_found_by_instance_and_frame():
    base = [box(0, instance_id="a"), box(500, instance_id="b"), box(0, instance_id="a", frame_no=1)]
    new = [box(500, instance_id="a"), box(0, instance_id="a", frame_no=1), box(900, instance_id="c")]
    assert pairs(*chain(base, new)) == ({(0, 0), (2, 1)}, [1], [2])


def test_an_instance_twice_in_a_frame_is_paired_in_order():
    base = [box(0, instance_id="a"), box(50, instance_id="a")]
    assert pairs(*chain(base, [*base, box(90, instance_id="a")])) == ({(0, 0), (1, 1)}, [], [2])


def test_boxes_are_assigned_by_the_greatest_total_overlap():
    # The nearest partner of both is the first new box; only the second pair can give way.
    base = [box(0), box(3)]
    new = [box(2), box(6)]
    assert pairs(*chain(base, new)) == ({(0, 0), (1, 1)}, [], [])


def test_too_little_overlap_is_another_box():
    near, far = 10 * (1 - 0.3) / 1.3 - 0.01, 10 * (1 - 0.3) / 1.3 + 0.01
    assert pairs(*chain([box(0)], [box(near)])) == ({(0, 0)}, [], [])
    assert pairs(*chain([box(0)], [box(far)])) == (set(), [0], [0])


def test_unchanged_boxes_are_no_candidates_for_others():
    base = [box(0), box(1), box(2)]
    assert pairs(*chain(base, [box(2), box(0), box(1)])) == ({(0, 1), (1, 2), (2, 0)}, [], [])


def test_of_two_alike_the_one_of_the_same_class():
    base = [box(0, label="Car"), box(0, label="Van")]
    new = [box(1, label="Van"), box(1, label="Car")]
    assert pairs(*chain(base, new)) == ({(0, 1), (1, 0)}, [], [])


def test_frames_and_shapes_are_kept_apart():
    assert pairs(*chain([box(0)], [box(0, frame_no=1)])) == (set(), [0], [0])
    line = shape("polyline", {"vertices": [{"x": 0, "y": 0}, {"x": 10, "y": 10}]})
    assert pairs(*chain([box(0)], [line])) == (set(), [0], [0])


def test_frames_are_known_by_their_file():
    base = [box(0, frame_no=number, frame=f"{number}.jpg", instance_id="a") for number in range(4)]
    new = [box(0, frame_no=at, frame=f"{number}.jpg", instance_id="a") for at, number in enumerate((2, 3))]
    assert pairs(*chain(base, new)) == ({(2, 0), (3, 1)}, [0, 1], [])


@pytest.mark.parametrize("files", [("0.jpg", None, "2.jpg"), ("0.jpg", "0.jpg", "2.jpg")])
def test_frames_without_a_file_of_their_own_are_known_by_their_number(files):
    base = [box(0, frame_no=number, frame=file, instance_id="a") for number, file in enumerate(files)]
    assert pairs(*chain(base, base[1:])) == ({(1, 0), (2, 1)}, [0], [])


SPAN = shape("span", {"startOffset": 3, "endOffset": 9})


@pytest.mark.parametrize(
    ("before", "after", "paired", "moved"),
    [
        (SPAN, shape("span", {"startOffset": 3, "endOffset": 9}), 1, False),
        (SPAN, shape("span", {"startOffset": 3, "endOffset": 8}), 1, True),
        (SPAN, shape("span", {"startOffset": 8, "endOffset": 19}), 0, None),
        (shape("keypoint", {"x": 5, "y": 5}), shape("keypoint", {"x": 5.4, "y": 5}), 1, False),
        (shape("keypoint", {"x": 5, "y": 5}), shape("keypoint", {"x": 7, "y": 5}), 1, True),
        (shape("keypoint", {"x": 5, "y": 5}), shape("keypoint", {"x": 40, "y": 5}), 0, None),
        (shape("cuboid", {"center-x": 1.0, "center-y": 2.0, "length": 4.0, "width": 2.0, "yaw": 0.0}),
         shape("cuboid", {"center-x": 1.0, "center-y": 2.0, "length": 4.0, "width": 2.0, "yaw": 0.1}), 1, True),
        (shape("mask", "s3://one.png"), shape("mask", "s3://two.png"), 1, False),
        (shape("custom", {"plate": "A"}), shape("custom", {"plate": "B"}), 1, True),
        ({"shape": "class", "label": "Car"}, {"shape": "class", "label": "Van"}, 1, False),
    ],
)  # fmt: skip
def test_other_shapes(before, after, paired, moved):
    found = changed(*chain([before], [after]))
    assert len(found.matched.base) == paired
    if paired:
        assert found.moved.tolist() == [moved]
        assert np.isnan(found.iou).all()


def test_a_mask_moved_where_the_manifest_says_adjusted():
    mask = shape("mask", "s3://one.png")
    assert changed(*chain([mask], [shape("mask", "s3://two.png")]), adjusted=True).moved.tolist() == [True]


def test_one_class_is_exchanged_but_several_come_and_go():
    base, new = [{"shape": "class", "label": "rain"}], [{"shape": "class", "label": "snow"}]
    assert changed(*chain(base, new)).relabelled.tolist() == [True]
    found = changed(*chain(base, new), several=True)
    assert (len(found.matched.base), len(found.matched.removed), len(found.matched.added)) == (0, 1, 1)


@pytest.mark.parametrize(("shift", "moved"), [(0.0, False), (0.5, False), (0.51, True), (-1.0, True)])
def test_half_a_pixel_is_rounding(shift, moved):
    made = chain([box(100.0, instance_id="a")], [box(100.0 + shift, instance_id="a")])
    assert changed(*made).moved.tolist() == [moved]
    # The right edge counts too: a box may grow there alone.
    made = chain([box(100.0, instance_id="a")], [box(100.0, width=10.0 + shift, instance_id="a")])
    found = changed(*made)
    assert found.moved.tolist() == [moved]
    assert found.iou[0] == pytest.approx(min(10, 10 + shift) / max(10, 10 + shift))


def test_boxes_without_numbers():
    lost, same = box(NAN, instance_id="a"), box(NAN, instance_id="b")
    found = changed(*chain([lost, same], [box(5.0, instance_id="a"), same]))
    assert found.moved.tolist() == [True, False]
    assert np.isnan(found.iou).all()


def test_attributes_both_levels_know():
    base = [
        box(0, attributes={"moving": "yes", "kind": "Car", "old": "1", "note": ""}),
        box(50, attributes={"moving": "no"}),
        box(100, attributes=None),
    ]
    new = [
        box(0, attributes={"moving": "no", "kind": "Car", "audit": "Fail", "note": "x"}),
        box(50, attributes={"kind": "Van"}),
        box(100, attributes=None),
    ]
    found = changed(*chain(base, new), names={"moving", "kind", "note"})
    assert found.changed == [
        (0, "moving", "yes", "no"),
        (0, "note", None, "x"),
        (1, "kind", None, "Van"),
        (1, "moving", "no", None),
    ]
    assert found.attribute.tolist() == [True, True, False]
    assert found.unchanged.tolist() == [False, False, True]


def test_geometries_in_json():
    line = {"vertices": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}
    nearly = {"vertices": [{"x": 1.4, "y": 2}, {"x": 3, "y": 3.6}]}
    assert not differ(json.dumps(line), json.dumps(nearly))
    assert differ(json.dumps(line), json.dumps({"vertices": line["vertices"][:1]}))
    assert differ(json.dumps(line), None)
    assert differ("{", "{ ")
    assert not differ(None, None)


NOWHERE = ("", "{", "[]", "3", '"x"', "{}", '{"vertices":[]}', '{"vertices":[{"x":"a"}]}', '{"startOffset":1}')


@pytest.mark.parametrize("text", [None, *NOWHERE])
def test_geometries_that_lie_nowhere(text):
    assert np.isnan(extent_of(text)).all()


def test_maps_in_long_form():
    maps = pa.chunked_array(
        [pa.array([[("a", "1"), ("a", "2")], None, [], [("b", None)]], pa.map_(pa.string(), pa.string()))]
    )
    position, name, value = long_form(maps, np.array([3, 2, 1, 0, 0]))
    assert (position.tolist(), name.to_pylist(), value.to_pylist()) == ([0, 3, 4], ["b", "a", "a"], [None, "1", "1"])


# --- answers ----------------------------------------------------------------------------------------------------------


def drew(worker, *rows):
    return [{"worker_id": worker, **each} for each in rows]


def came_from(base, answers):
    made, first, _ = chain(base, [], answers)
    labels, workers = best_worker(made, origins(made, first, np.arange(len(base), len(made.kind))))
    named = {int(made.workers[row]): made.table["worker_id"][row].as_py() for row in range(len(base), len(made.kind))}
    return {int(label): named[int(worker)] for label, worker in zip(labels, workers, strict=True)}


def test_a_label_is_of_the_worker_who_drew_most_like_it():
    answers = [*drew("ana", box(1), box(203)), *drew("bela", box(2), box(201)), *drew("chidi", box(600))]
    assert came_from([box(0), box(200), box(400)], answers) == {0: "ana", 1: "bela"}


def test_the_same_class_goes_before_the_nearer_box():
    answers = [*drew("ana", box(0, label="Van")), *drew("bela", box(2, label="Car"))]
    assert came_from([box(0, label="Car")], answers) == {0: "bela"}


def test_two_who_say_the_same_are_no_one():
    answers = [*drew("ana", {"shape": "class", "label": "rain"}), *drew("bela", {"shape": "class", "label": "rain"})]
    answers += drew("chidi", {"shape": "class", "label": "snow"})
    assert came_from([{"shape": "class", "label": "rain"}], answers) == {}
    assert came_from([{"shape": "class", "label": "snow"}], answers) == {0: "chidi"}


def test_answers_lie_in_the_frame_that_their_task_has_under_their_number():
    # A window's first frame is the sequence's eighth; the answer's file is its own.
    answers = [*drew("ana", box(1, frame_no=0, frame=None)), *drew("bela", box(1, frame_no=1, frame="x.json"))]
    labels = [box(0, frame_no=0, frame="7.jpg"), box(0, frame_no=1, frame="8.jpg")]
    assert came_from(labels, answers) == {0: "ana", 1: "bela"}


def test_one_worker_twice_is_one_worker():
    assert came_from([box(0)], [*drew("ana", box(1)), *drew("ana", box(1))]) == {0: "ana"}


def test_one_person_under_two_ids():
    table = pa.table({"id": ["a", "b", "c", "d", None], "sub": ["1", "2", "1", None, "2"]})
    found = levels.persons(table["id"], table["sub"])
    assert found[0] == found[2]
    assert len({int(each) for each in found[[0, 1, 3]]}) == 3
    assert found[4] == -1


# --- keys -------------------------------------------------------------------------------------------------------------

CODES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**40), st.integers(0, 2**40)), min_size=1, max_size=30)


@settings(deadline=None)
@given(CODES)
def test_combined_tells_rows_apart(rows):
    keys = combined(*(np.array(each, np.int64) for each in zip(*rows, strict=True)))
    assert len(set(keys.tolist())) == len(set(rows))


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=20), st.lists(st.integers(0, 5), max_size=20))
def test_joined_pairs_the_nth_with_the_nth(left, right):
    one, two = joined(np.array(left, np.int64), np.array(right, np.int64))
    assert [left[each] for each in one] == [right[each] for each in two]
    assert len(one) == sum(min(left.count(each), right.count(each)) for each in range(6))
    assert len(set(one.tolist())) == len(one)
    ranks = occurrence(np.array(left, np.int64)), occurrence(np.array(right, np.int64))
    assert ranks[0][one].tolist() == ranks[1][two].tolist()


BOXES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(-1, 20), st.integers(0, 20), st.sampled_from("AB")),
    max_size=12,
)


@settings(deadline=None)
@given(BOXES, BOXES)
def test_every_box_is_in_one_place(before, after):
    base = [box(a, b, c, d, label=e) for a, b, c, d, e in before]
    new = [box(a, b, c, d, label=e) for a, b, c, d, e in after]
    found, removed, added = pairs(*chain(base, new))
    assert sorted([one for one, _ in found] + removed) == list(range(len(base)))
    assert sorted([two for _, two in found] + added) == list(range(len(new)))
    assert pairs(*chain(base, base))[1:] == ([], [])


def test_many_candidates_are_compared_in_parts(monkeypatch):
    base = [box(3 * at) for at in range(40)]
    new = [box(3 * at + 1) for at in range(40)]
    whole = pairs(*chain(base, new))
    monkeypatch.setattr(levels, "CANDIDATES", 7)
    assert pairs(*chain(base, new)) == whole
    assert whole == ({(at, at) for at in range(40)}, [], [])
