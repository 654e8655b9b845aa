"""The monitors over the journal: every photograph looked at once, every alarm told once."""

import datetime as dt

import numpy as np
import pytest

from sextant.inspection.loop import watch
from sextant.inspection.loop.drift import FEWEST
from sextant.inspection.loop.journal import Journal
from tests.inspection_loop.table import NOW, record


@pytest.fixture
def journal(table):
    return Journal(table)


def came(journal, n, first=0, seed=0, brightness=120.0, **changes):
    """Photographs that arrive all in one second, in the order of their names' hashes, as an upload brings them."""
    random_ = np.random.default_rng([seed, first])
    for number in range(first, first + n):
        at = (NOW - dt.timedelta(hours=1) + dt.timedelta(seconds=number)).isoformat(timespec="milliseconds")
        told = {"brightness": random_.normal(brightness, 5), "sharpness": random_.normal(90, 8), "at": at}
        second = (NOW - dt.timedelta(minutes=20) + dt.timedelta(seconds=first)).isoformat(timespec="seconds")
        item = f"{random_.integers(1 << 60):024x}"
        journal.record(record(number, **{**told, "arrived": second, "item": item, "run": item, **changes}), NOW)


def look(journal, version="1"):
    return watch.look(journal, "bracket", version, list, NOW)


def test_a_lamp_that_dims_is_told_once_with_pictures(journal):
    came(journal, 34)
    assert look(journal) == [], "these are what later ones are compared with"
    came(journal, 40, first=100)
    assert look(journal) == []
    came(journal, 40, first=200, brightness=100.0)

    (alarm,) = look(journal)

    assert (alarm.measure, alarm.camera) == ("brightness", "top")
    assert alarm.reference == 74, "the reference has grown by the window in which nothing drifted"
    text = watch.words("bracket", alarm)
    assert "darker" in text
    assert all(each in text for each in alarm.examples)
    assert look(journal) == [], "each photograph is looked at once"
    assert [each.measure for _, each in watch.alarms(journal.table, "bracket")] == ["brightness"]
    assert {each.measure: each.alarm for _, each in watch.latest(journal.table, "bracket")} == {
        "brightness": True,
        "sharpness": False,
        "crop": False,
    }


def test_what_may_have_moved_is_no_reference_for_later(journal):
    """Else a lamp that dims slowly would take its reference along with it."""
    came(journal, 34)
    look(journal)
    came(journal, 30, first=100, brightness=116.0)
    assert look(journal) == []
    first = {each.measure: each for _, each in watch.latest(journal.table, "bracket")}["brightness"]
    assert first.unclear
    came(journal, 30, first=200)
    look(journal)
    later = {each.measure: each for _, each in watch.latest(journal.table, "bracket")}["brightness"]
    assert (first.reference, later.reference) == (34, 34)


def test_photographs_that_come_all_at_once_are_taken_in_the_order_of_their_taking(journal):
    came(journal, 34)
    came(journal, 40, first=40, brightness=100.0)
    (alarm,) = look(journal)
    assert alarm.reference == FEWEST
    assert alarm.n == 74 - FEWEST


def test_few_photographs_wait_for_more(journal):
    came(journal, 34)
    look(journal)
    came(journal, 20, first=100, brightness=90.0)
    assert look(journal) == []
    came(journal, 20, first=200, brightness=90.0)
    (alarm,) = look(journal)
    assert alarm.n == 40


def test_another_model_version_has_a_reference_of_its_own(journal):
    came(journal, 34)
    look(journal)
    came(journal, 40, first=100, brightness=90.0, model_version="2")
    assert look(journal, "2") == []
    assert look(journal, "1") == []
