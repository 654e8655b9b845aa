"""The decisions of target tracking, by hand: ratios, periods in a row, cooldowns, bounds."""

import pytest

from localaws.engines.autoscaling.tracking import Policy, Track

FREE = Policy(target=60, least=1, most=10, cooldown_out=0, cooldown_in=0)


def decided(policy, readings, capacity=1, minute=60.0):
    """Capacity after each reading, a minute apart. The reading is of the whole variant, shared by its instances."""
    track, found = Track(), []
    for number, total in enumerate(readings):
        capacity = track.step(policy, capacity, total / capacity, number * minute)
        found.append(capacity)
    return found


def test_three_periods_above_the_target_add_as_many_as_are_needed():
    assert decided(FREE, [150, 150, 150]) == [1, 1, 3]  # 150 / 60 = 2.5
    assert decided(FREE, [120, 120, 120]) == [1, 1, 2]  # exactly two
    assert decided(FREE, [150, 150, 60, 150, 150, 150]) == [1, 1, 1, 1, 1, 3]  # in a row


def test_fifteen_periods_below_nine_tenths_take_away_what_is_not_needed():
    assert decided(FREE, [100] * 15, capacity=4) == [4] * 14 + [2]  # 25 each; 100 / 60 = 1.7
    assert decided(FREE, [0] * 15, capacity=4) == [4] * 14 + [1]
    assert decided(FREE, [54 * 4] * 40, capacity=4) == [4] * 40  # nine tenths of 60 are not below them


def test_never_beyond_the_bounds():
    assert decided(FREE, [6000] * 3)[-1] == 10
    narrow = Policy(target=60, least=2, most=3, cooldown_out=0, cooldown_in=0)
    assert decided(narrow, [0]) == [2]
    assert decided(narrow, [600], capacity=5) == [3]


def test_a_cooldown_is_waited_for():
    slow = Policy(target=60, least=1, most=10, cooldown_out=300, cooldown_in=1200)
    assert decided(slow, [120] * 3 + [300] * 6) == [1, 1, 2, 2, 2, 2, 2, 5, 5]  # the third and the eighth: 300 s
    assert decided(slow, [120] * 3 + [0] * 21).index(1, 3) == 2 + 20  # 15 are over before the 1,200 s are


@pytest.mark.parametrize(("suspended", "readings"), [("out_suspended", [150] * 5), ("in_suspended", [0] * 20)])
def test_a_suspended_direction_is_not_taken(suspended, readings):
    policy = Policy(target=60, least=1, most=10, cooldown_out=0, cooldown_in=0, **{suspended: True})
    assert decided(policy, readings, capacity=2) == [2] * len(readings)
