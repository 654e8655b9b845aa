"""The monitors: how often they cry without a reason, and whether they cry with one."""

import numpy as np
import pytest

from sextant.inspection.loop.drift import ALPHA, FEWEST, Reference, Watched, findings
from tests.inspection_loop.table import record


def photographs(random_, n, *, brightness=120.0, sharpness=90.0, lost=0.0, scores=0.1, camera="top"):
    """Verdicts of a camera; `lost` is the share without an object, `scores` the spread of accepted probabilities."""
    return [
        record(
            number,
            camera=camera,
            brightness=random_.normal(brightness, 6),
            sharpness=random_.lognormal(np.log(sharpness), 0.2),
            crop_ok=random_.random() >= lost,
            probability=float(random_.beta(1, 1 / scores)),
            source=f"s3://data/incoming/bracket/a/{camera}/{number}.jpg",
        )
        for number in range(n)
    ]


def watched(random_, camera="top", n=100, **changes):
    reference = Reference.of(photographs(random_, 200, camera=camera))
    normal = list(random_.beta(1, 10, size=150))
    return Watched("a", camera, photographs(random_, n, camera=camera, **changes), reference, normal)


def alarms(found):
    return {(each.camera, each.measure) for each in found if each.alarm}


def test_a_plant_where_nothing_drifts_hardly_ever_alarms():
    """Four cameras, four measures each; 150 windows of 100 photographs. At most ALPHA of the windows may alarm."""
    random_ = np.random.default_rng(20261121)
    false = sum(
        bool(alarms(findings([watched(random_, camera=name) for name in ("top", "left", "right", "front")])))
        for _ in range(150)
    )
    # Of 150 windows at a rate of 0.001: three or more have a probability below 0.001.
    assert false <= 2, f"{false} of 150 windows without drift alarmed; ALPHA is {ALPHA}"


def test_significance_alone_would_cry_more_often():
    """The bound above is no accident of a test that never fires: 5 % of single tests are below 5 %."""
    random_ = np.random.default_rng(7)
    ps = [each.p for _ in range(150) for each in findings([watched(random_)]) if each.measure == "brightness"]
    assert 0.01 < np.mean(np.array(ps) < 0.05) < 0.12


@pytest.mark.parametrize(
    ("changes", "measure"),
    [
        ({"brightness": 108.0}, "brightness"),
        ({"sharpness": 55.0}, "sharpness"),
        ({"lost": 0.2}, "crop"),
        ({"scores": 0.4}, "score"),
    ],
)
def test_a_camera_that_drifts_is_found_and_no_other(changes, measure):
    random_ = np.random.default_rng(5)
    found = findings([watched(random_, camera="top", **changes), watched(random_, camera="left")])

    assert alarms(found) == {("top", measure)}
    (alarm,) = [each for each in found if each.alarm]
    assert alarm.n >= FEWEST
    assert len(alarm.examples) == 3
    assert all(each.startswith("s3://data/incoming/bracket/a/top/") for each in alarm.examples)
    assert alarm.alpha == pytest.approx(ALPHA / len(found))


def test_a_small_difference_of_thousands_is_no_alarm():
    random_ = np.random.default_rng(3)
    found = findings([watched(random_, n=2000, brightness=122.6)])
    (brightness,) = [each for each in found if each.measure == "brightness"]

    assert brightness.p < brightness.alpha, "it is significant"
    assert not brightness.alarm, "and not worth a person's way"


def test_a_large_difference_that_may_be_chance_is_not_as_before():
    """Twice as dark, and "as before" beside it: of so few photographs it is neither that nor an alarm."""
    reference = Reference(brightness=tuple(range(100, 130)), sharpness=(50.0,) * 30, failed=0, n=30)
    records = [
        record(at, brightness=float(each), sharpness=50.0) for at, each in enumerate([*range(100, 118)] + [70] * 12)
    ]
    records = [each.model_copy(update={"crop_ok": at > 2}) for at, each in enumerate(records)]
    found = {each.measure: each for each in findings([Watched("a", "top", records, reference, [])])}
    assert {name: (each.alarm, each.unclear) for name, each in found.items()} == {
        "brightness": (False, True), "sharpness": (False, False), "crop": (False, True),
    }  # fmt: skip
    assert found["brightness"].words.startswith("Of these 30 photographs it may still be chance")
    assert found["crop"].words.endswith("not found in 3 of 30 (3% to 26%), before in 0 of 30.")
    assert found["sharpness"].words == "As before: median 50, reference 50."


def test_of_few_photographs_nothing_is_said():
    assert findings([watched(np.random.default_rng(1), n=FEWEST - 1, brightness=20.0)]) == []


def test_scores_of_rejects_and_reviews_are_no_scores_of_accepted_items():
    random_ = np.random.default_rng(11)
    normal = list(random_.uniform(0, 0.4, size=200))
    accepted = [record(at, probability=float(each)) for at, each in enumerate(random_.uniform(0, 0.4, size=200))]
    others = [record(at, probability=0.9, verdict=("reject", "review")[at % 2]) for at in range(300, 500)]
    (found,) = findings([Watched("a", "top", [*accepted, *others], None, normal)])

    assert (found.measure, found.n, found.reference) == ("score", 200, 200)
    assert not found.alarm
