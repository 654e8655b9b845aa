"""Splits and hosts, against counts made by hand."""

import random
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sextant.slides.plan import Plan, PlannedSlide, _counts, assign_hosts, labels_of_patients, split_patients
from sextant.slides.settings import TileSettings

ORIGINAL = (0.7, 0.2, 0.1)


@pytest.mark.parametrize(
    ("patients", "train", "valid", "test"),
    [
        (1, 1, 0, 0),
        (2, 1, 0, 1),
        (3, 1, 1, 1),
        (4, 2, 1, 1),  # 2.8 0.8 0.4: 3 1 0, and the test takes one of train
        (5, 3, 1, 1),  # 3.5 1.0 0.5: 3 1 0 and the last to train, from which the test takes it
        (7, 5, 1, 1),  # 4.9 1.4 0.7
        (10, 7, 2, 1),
        (11, 8, 2, 1),  # 7.7 2.2 1.1
        (14, 10, 3, 1),  # 9.8 2.8 1.4
        (100, 70, 20, 10),
    ],
)
def test_counts_of_a_stratum(patients, train, valid, test):
    assert _counts(patients, ORIGINAL) == [train, valid, test]


@given(st.integers(1, 3000))
def test_counts_are_within_one_of_the_share_of_a_stratum_of_some_size(patients):
    counts = _counts(patients, ORIGINAL)
    assert sum(counts) == patients
    if patients >= 10:
        for count, share in zip(counts, (Fraction(7, 10), Fraction(2, 10), Fraction(1, 10)), strict=True):
            assert abs(count - share * patients) < 1


def test_a_split_without_a_share_stays_empty():
    assert _counts(9, (0.8, 0.2, 0.0)) == [7, 2, 0]
    assert _counts(2, (0.8, 0.2, 0.0)) == [1, 1, 0]


def cohort():
    labels = {f"P{n:02}": frozenset({("LUAD", "LUSC", "normal")[n % 3]}) for n in range(60)}
    return labels | {f"Q{n}": frozenset({"LUAD", "normal"}) for n in range(10)}


def test_every_label_set_is_split_by_the_fractions():
    labels = cohort()
    split = split_patients(labels)
    found = Counter((tuple(sorted(labels[patient])), name) for patient, name in split.items())
    for stratum in (("LUAD",), ("LUSC",), ("normal",)):
        assert [found[stratum, name] for name in ("train", "valid", "test")] == [14, 4, 2]
    assert [found[("LUAD", "normal"), name] for name in ("train", "valid", "test")] == [7, 2, 1]


def test_the_order_of_patients_does_not_matter_and_the_salt_does():
    labels = cohort()
    mixed = list(labels.items())
    random.Random(3).shuffle(mixed)
    assert split_patients(dict(mixed)) == split_patients(labels)
    assert split_patients(labels, salt="another") != split_patients(labels)


def test_a_patient_keeps_its_split_when_another_stratum_grows():
    labels = cohort()
    grown = labels | {f"N{n}": frozenset({"normal"}) for n in range(30)}
    before, after = split_patients(labels), split_patients(grown)
    assert all(after[each] == before[each] for each in labels if labels[each] != frozenset({"normal"}))


def test_another_process_with_another_hash_seed_splits_alike():
    program = (
        "from sextant.slides.plan import split_patients\n"
        "split = split_patients({f'P{n}': frozenset({'ab'[n % 2], 'c'}) for n in range(40)})\n"
        "print(sorted(split.items()))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


@pytest.mark.parametrize("fractions", [(0.5, 0.2, 0.1), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_fractions_that_are_none(fractions):
    with pytest.raises(ValueError, match="three shares"):
        split_patients({"P": frozenset({"a"})}, fractions=fractions)


def test_the_largest_slide_goes_first_to_the_idlest_host():
    sizes = [("a", 7), ("b", 6), ("c", 5), ("d", 4), ("e", 3)]
    # a->0 (7), b->1 (6), c->1 (11), d->0 (11), e->0 (14): by hand
    assert assign_hosts(sizes, 2) == {"a": 0, "b": 1, "c": 1, "d": 0, "e": 0}


def test_hosts_of_a_tcga_sized_cohort_are_balanced():
    # 2,167 slides of 24 MB to 3.1 GB; sharding by count gave a largest host of 1.30 times the mean.
    draw = random.Random(5)
    sizes = [(f"s{n}", min(3_100, max(24, int(draw.lognormvariate(4.8, 0.9))))) for n in range(2167)]
    assigned = assign_hosts(sizes, 16)
    loads = Counter()
    for slide, size in sizes:
        loads[assigned[slide]] += size
    assert max(loads.values()) / (sum(loads.values()) / 16) < 1.001


def slide(name, **changes):
    fields = {
        "slide": name,
        "key": f"{name}.svs",
        "patient": name,
        "label": "a",
        "label_index": 0,
        "split": "train",
        "host": 0,
        "bytes": 5,
    }
    return PlannedSlide(**fields | changes)


def test_a_plan_that_leaks_cannot_be_made():
    with pytest.raises(ValidationError, match="patient p is in train and in test"):
        Plan(classes=("a",), slides=(slide("x", patient="p"), slide("y", patient="p", split="test")))
    with pytest.raises(ValidationError, match="label a is not class 1"):
        Plan(classes=("a", "b"), slides=(slide("x", label_index=1),))
    with pytest.raises(ValidationError, match="host 2 of 2"):
        Plan(classes=("a",), hosts=2, slides=(slide("x", host=2),))


def test_the_digest_tells_what_decides_results_and_not_who_does_the_work():
    plan = Plan(classes=("a",), slides=(slide("x"),))
    assert plan.digest() == Plan.model_validate_json(plan.model_dump_json()).digest()
    assert plan.digest() == Plan(classes=("a",), hosts=2, slides=(slide("x", host=1),)).digest()
    others = [
        Plan(classes=("a", "b"), slides=(slide("x"),)),
        Plan(classes=("a",), slides=(slide("x", split="test"),)),
        Plan(classes=("a",), slides=(slide("x"),), tiles=TileSettings(size=256)),
        Plan(classes=("a",), slides=(slide("x"),), salt="pepper"),
    ]
    assert len({plan.digest(), *(each.digest() for each in others)}) == 5


def test_labels_of_patients():
    pairs = [("p", "LUAD"), ("q", "normal"), ("p", "normal"), ("p", "LUAD")]
    assert labels_of_patients(pairs) == {"p": {"LUAD", "normal"}, "q": {"normal"}}
