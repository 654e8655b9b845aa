from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from sextant.labeling.insight import straight_lining as lines
from tests.labeling.insight.lake import analysed, lake

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLASSES = np.array(["Duck", "Goose", "Swan"])


def choices(given):
    """Answers from (worker, object, class), in order of time."""
    return [
        {
            "answer_id": f"a{n:05}",
            "job_name": "j",
            "object_id": str(item),
            "worker_id": worker,
            "username": worker,
            "submitted_at": START + timedelta(seconds=10 * n),
            "label": str(label),
        }
        for n, (worker, item, label) in enumerate(given)
    ]


def job(rng, *, workers=5, objects=60, skill=0.85, per_object=3, arranged=False):
    """Answers to objects of three classes by workers who are right as often as `skill`."""
    truth = rng.integers(0, 3, objects)
    truth = np.sort(truth) if arranged else truth
    return [
        (f"w{worker}", item, CLASSES[truth[item] if rng.random() < skill else rng.integers(0, 3)])
        for item in range(objects)
        for worker in rng.permutation(workers)[:per_object]
    ]


def flagged(answers):
    return analysed(lake(answer=answers), "straight_lining")["answer_flag"]


def alarm(answers):
    """The same of the group alone, without its SQL: for many simulated jobs."""
    rows = [{**each, "kind": "choice", "modality": "", "task_type": "", "value": each["label"]} for each in answers]
    empty = dict.fromkeys(("attribute", "run_length", "answer_count", "followed_count", "repeated_count"))
    return bool(lines.compute(pa.Table.from_pylist([{**row, **empty} for row in rows]))["answer_flag"])


def test_runs():
    starts, lengths = lines.runs(np.array([0, 0, 0, 1, 1]), np.array([7, 7, 8, 8, 8]))
    assert (starts.tolist(), lengths.tolist()) == ([0, 2, 3], [2, 1, 2])
    assert [each.tolist() for each in lines.runs(np.zeros(0, np.int64), np.zeros(0, np.int64))] == [[], []]


def test_chances_by_hand():
    # Worker 0 said x 8 times, 7 followed, all by x. Worker 1 said x once and y 3 times: x, y, y, y.
    share, repeat = lines.chances(
        np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([8, 1, 3]), np.array([7, 1, 2]), np.array([7, 0, 2])
    )
    from sextant.labeling.insight.intervals import wilson

    upper = lambda k, n: float(wilson(k, n)[1])  # noqa: E731
    assert share == pytest.approx([upper(1, 4), upper(8, 8), upper(0, 8)])
    # For y worker 0 tells nothing, so that all of worker 0's repetitions count.
    assert repeat == pytest.approx([max(upper(1, 4), upper(0, 1)), 1.0, max(upper(0, 8), upper(7, 7))])


def test_chance_of_a_choice_by_what_colleagues_said_of_its_object():
    #                 alone  supported  others changed  others unchanged  changed
    objects = np.array([0, 1, 2, 3, 4, 1, 2, 3, 4])
    values = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])
    chance = lines.choice_chances(values, objects, np.full(9, 0.25), np.full(9, 0.75))
    assert chance[:5].tolist() == [0.75, 1.0, 0.25, 1.0, 0.25]


def test_limit_is_the_first_length_beyond_chance():
    assert lines.run_limit(np.full(30, 0.5), 100) == 17  # 0.5^17 = 7.6e-6 < 1e-5 < 0.5^16
    assert lines.run_limit(np.full(30, 0.001), 100) == lines.SHORTEST_RUN
    assert lines.run_limit(np.full(30, 1.0), 100) is None
    assert lines.run_limit(np.zeros(30), 100) == lines.SHORTEST_RUN


@pytest.mark.parametrize(("per_object", "arranged"), [(1, False), (3, False), (1, True), (3, True)])
def test_honest_work_is_left_alone(per_object, arranged):
    jobs = (job(np.random.default_rng(n), objects=90, per_object=per_object, arranged=arranged) for n in range(100))
    assert sum(alarm(choices(given)) for given in jobs) <= 2  # 500 workers, each with a chance of a thousandth


@pytest.mark.parametrize(("per_object", "arranged"), [(1, False), (3, False), (3, True)])
def test_a_worker_who_always_says_the_same_is_found(per_object, arranged):
    given = job(np.random.default_rng(1), objects=150, per_object=per_object, arranged=arranged)
    answers = choices([(who, item, "Duck" if who == "w2" else said) for who, item, said in given])
    rows = flagged(answers)
    assert {row["worker_id"] for row in rows} == {"w2"}
    count = sum(each["worker_id"] == "w2" for each in answers)
    assert len(rows) == count
    assert {row["value"] for row in rows} == {float(count)}
    assert all(lines.SHORTEST_RUN <= row["reference"] <= count for row in rows)


def test_only_the_stretch_is_flagged():
    given = job(np.random.default_rng(3), objects=300, per_object=1)
    mine = [n for n, (who, _, _) in enumerate(given) if who == "w1"]
    lazy = set(mine[10:35])
    answers = choices([(w, i, "Swan" if n in lazy else said) for n, (w, i, said) in enumerate(given)])
    found = {row["answer_id"] for row in flagged(answers)}
    assert found >= {f"a{n:05}" for n in lazy}
    assert len(found) <= len(lazy) + 4  # neighbours that happen to be swans


@pytest.mark.parametrize("given", [[], [("w", 0, "Duck")], [("w", n, "Duck") for n in range(500)]])
def test_one_worker_or_one_answer_proves_nothing(given):
    assert flagged(choices(given)) == []


def test_all_at_one_time_is_no_order_and_breaks_nothing():
    answers = choices(job(np.random.default_rng(4)))
    for each in answers:
        each["submitted_at"] = START
    assert flagged(answers) == []


# --- attributes -----------------------------------------------------------------------------------------------------


def clips(rng, lazy=(), *, workers=4, per_worker=6, vehicles=8, frames=5):
    """Tracking answers: every vehicle has one value of `moving` in all its frames."""
    answers, shapes = [], []
    for n in range(workers * per_worker):
        who = f"w{n % workers}"
        answers += choices([(who, n, "x")])
        answers[-1] |= {"answer_id": f"a{n:05}", "submitted_at": START + timedelta(minutes=n), "label": None}
        for vehicle in range(vehicles):
            value = "Dynamic" if who in lazy else str(rng.choice(["Dynamic", "Stationary"]))
            shapes += [
                {
                    "answer_id": f"a{n:05}",
                    "frame_no": frame,
                    "frame": f"{frame}.jpg",
                    "position": vehicle,
                    "instance_id": f"v{vehicle}",
                    "attributes": {"moving": value, "weather": "dry"},
                }
                for frame in range(frames)
            ]
    return {"answer": answers, "answer_annotation": shapes}


def test_tracks_that_keep_their_value_are_no_straight_lines():
    for seed in range(10):
        made = analysed(lake(**clips(np.random.default_rng(seed))), "straight_lining")
        assert made["answer_flag"] == [], seed


def test_values_given_without_looking_are_found():
    rows = analysed(lake(**clips(np.random.default_rng(7), {"w3"})), "straight_lining")["answer_flag"]
    assert {row["worker_id"] for row in rows} == {"w3"}
    assert len(rows) == 6
    assert {row["value"] for row in rows} == {48.0}  # vehicles, not their frames


@pytest.mark.parametrize(("length", "found"), [(16, []), (17, [(17.0, 17.0)])])
def test_the_limit_of_an_attribute_is_among_all_its_values(length, found):
    """Of colleagues' values half are x, and half of what follows is: at most 0.504 by Wilson. Of 100 values the first
    run beyond 0.001 / 100 is of 17: 0.504^17 = 8.9e-6. Beyond 0.001 alone 11 would do."""
    counts = {("w0", "x"): (60, 60, 30), ("w0", "y"): (40, 39, 10)}
    counts |= {("w1", each): (50_000, 50_000, 25_000) for each in "xy"}
    empty = dict.fromkeys((*lines.FLAGGED, "run_length", "answer_count", "followed_count", "repeated_count"))
    names = ("answer_count", "followed_count", "repeated_count")
    rows = [
        {**empty, "kind": "tally", "worker_id": who, "attribute": "lit", "value": value}
        | dict(zip(names, told, strict=True))
        for (who, value), told in counts.items()
    ]
    run = {"worker_id": "w0", "answer_id": "a", "attribute": "lit", "value": "x", "run_length": length}
    rows.append({**empty, "kind": "run", **run})
    made = lines.compute(pa.Table.from_pylist(rows))["answer_flag"]
    assert [(row["value"], row["reference"]) for row in made] == found
