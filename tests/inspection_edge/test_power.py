"""The power goes while an item is on the belt: its record is there, and says that nobody passed it."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from sextant.inspection.edge import records
from sextant.inspection.edge import running as running_module
from sextant.inspection.edge.records import Record, Store
from tests.inspection_edge.stand import settings, wait_for

VICTIM = Path(__file__).with_name("victim.py")


def state_in(path):
    if not path.exists():
        return None
    try:
        with closing(records.reader(path)) as connection:
            found = records.latest(connection, 1)
    except sqlite3.OperationalError:  # it is just being made
        return None
    return found[0].state if found else None


def killed(folder, state):
    """Kills a sorter with SIGKILL once its item's record says so."""
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    victim = subprocess.Popen([sys.executable, str(VICTIM), str(folder), state], env=environment)
    try:
        end = time.monotonic() + 60
        while (now := state_in(folder / "store.sqlite")) != state:
            assert victim.poll() is None
            assert time.monotonic() < end, f"the item is {now}"
            time.sleep(0.02)
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()


@pytest.mark.parametrize("state", ["seen", "photographed", "judged", "passed"])
def test_a_kill_in_each_state_loses_no_record_and_leaves_an_unfinished_item_to_inspection(tmp_path, state):
    killed(tmp_path, state)
    store = Store(tmp_path / "store.sqlite", keep=100)
    recovered = store.recover(lambda _verdict: True)
    with closing(store.read()) as connection:
        (found,) = records.latest(connection, 5)
        photograph = records.photograph(connection, found.item)
        totals = records.totals(connection)
        queued = records.queued(connection)
    if state == "passed":
        assert recovered == []
        assert (found.verdict, found.state) == ("accept", "passed")
    else:
        assert recovered == [found]
        assert (found.number, found.verdict, found.state) == (1, "inspect", "recovered")
        assert found.reason.startswith(f"the sorter stopped, or its card was full, when it was {state}")
        assert totals == {"items": 1, "recovered": 1, "verdict inspect": 1}
        assert queued == (0 if state == "seen" else 1)  # what has no photograph cannot be sent
    assert photograph == (None if state == "seen" else b"accept 1")
    assert ("the verdict was accept" in found.reason) == (state == "judged")
    assert store.recover(lambda _verdict: True) == []
    assert store.highest() == 1
    store.close()


def test_an_item_is_counted_once_however_often_its_end_is_written(tmp_path):
    store = Store(tmp_path / "store.sqlite", keep=100)
    for _ in range(3):
        store.write(Record("a", 1, "", state="pushed", verdict="reject")).result()
    with closing(store.read()) as connection:
        assert records.totals(connection) == {"items": 1, "pushed": 1, "verdict reject": 1}
    store.close()


def unfinished(folder):
    """A store with an item that nobody ended, and its photograph."""
    store = Store(folder / "store.sqlite", keep=100)
    store.write(Record("a", 1, "2026-11-22T04:00:00+00:00", state="judged", verdict="accept"), b"accept 1").result()
    store.close()


@pytest.mark.parametrize(
    ("cloud", "queued"),
    [
        (None, 0),
        ({"endpoint": "https://api"}, 0),
        ({"bucket": "lines"}, 1),
        ({"bucket": "lines", "forward": ["reject"], "sample": 0}, 0),
        ({"bucket": "lines", "forward": ["reject"], "sample": 1}, 1),
    ],
)
def test_a_recovered_item_is_sent_where_any_other_would_be(tmp_path, model, monkeypatch, cloud, queued):
    unfinished(tmp_path)
    model()
    monkeypatch.setattr(running_module, "_network", lambda *_: (None, None))
    with running_module.running(settings(tmp_path, cloud=cloud), camera=lambda: b"accept") as found:
        assert (len(found.recovered), found.told()["queue"]) == (1, queued)


def test_on_a_full_card_the_sorter_starts_and_pushes_and_recovers_when_there_is_room(tmp_path, model, card):
    unfinished(tmp_path)
    model()
    card.full = True
    with running_module.running(settings(tmp_path), camera=lambda: b"accept") as found:
        (fault,) = found.told()["faults"]
        assert "every item is pushed off. Make room on the card. Items to be recorded then: 1." in fault
        found.sorter.seen(time.monotonic())
        wait_for(lambda: found.sorter.on_belt == 0)
        wait_for(lambda: found.told()["unrecorded"] == 2)
        assert found.told()["totals"] == {}
        card.full = False
        wait_for(lambda: found.told()["unrecorded"] == 0)
        wait_for(lambda: found.told()["unfinished"] == 0)
        told = found.told()
        assert told["totals"] == {"items": 2, "pushed": 1, "recovered": 1, "verdict accept": 1, "verdict inspect": 1}
        later, earlier = told["latest"]
        assert (later["number"], later["verdict"], later["state"]) == (2, "accept", "pushed")
        assert (earlier["number"], earlier["verdict"], earlier["state"]) == (1, "inspect", "recovered")


def test_of_more_items_than_are_held_the_number_is_kept_and_counts_add_up(tmp_path, card, monkeypatch, caplog):
    monkeypatch.setattr(records, "_HELD", 30)
    store = Store(tmp_path / "store.sqlite", keep=100)
    card.full = True
    for number in range(1, 51):
        for state in ("seen", "pushed"):
            verdict = "reject" if state == "pushed" else None
            written = store.write(Record(f"i{number}", number, "", state=state, verdict=verdict))
    assert "full" in str(written.exception())
    assert store.unrecorded == 50
    card.full = False
    wait_for(lambda: store.unrecorded == 0)
    with closing(store.read()) as connection:
        assert records.totals(connection) == {"items": 50, "pushed": 50, "verdict reject": 50, "without record": 20}
        assert [each.number for each in records.latest(connection, 50)] == list(range(30, 0, -1))
    assert store.fault == ""
    card.full = True
    store.write(Record("late", 51, "", state="pushed", verdict="reject")).exception()
    store.close()
    assert "items that leave no record of their end, for want of room: 1 (" in caplog.text


def test_what_was_held_is_written_at_the_end_and_an_older_state_does_not_come_back(tmp_path, card):
    store = Store(tmp_path / "store.sqlite", keep=100)
    card.full = True
    store.write(Record("a", 1, "")).exception()
    card.full = False
    store.write(Record("a", 1, "", state="pushed", verdict="reject")).result()
    card.full = True
    store.write(Record("b", 2, "", state="passed", verdict="accept")).exception()
    card.full = False
    store.close()
    with closing(records.reader(tmp_path / "store.sqlite")) as connection:
        assert [(each.item, each.state) for each in records.latest(connection, 5)] == [("b", "passed"), ("a", "pushed")]


def test_a_start_needs_no_room_for_files_that_the_last_one_had(tmp_path):
    unfinished(tmp_path)
    assert {each.name for each in tmp_path.glob("store.sqlite-*")} == {"store.sqlite-shm", "store.sqlite-wal"}
    moved = (tmp_path / "store.sqlite").rename(tmp_path / "alone.sqlite")  # it is whole without them
    with closing(records.reader(moved)) as connection:
        assert [each.item for each in records.latest(connection, 5)] == ["a"]


def test_the_disk_has_what_is_told_to_be_written(tmp_path):
    store = Store(tmp_path / "store.sqlite", keep=100)
    told = [store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    store.close()
    assert told == ["wal", 2]  # FULL: each transaction is synced
