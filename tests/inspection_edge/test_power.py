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
from sextant.inspection.edge.records import Record, Store

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
    recovered = store.recover()
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
        assert found.reason.startswith(f"the sorter stopped when it was {state}")
        assert totals == {"items": 1, "recovered": 1, "verdict inspect": 1}
        assert queued == (0 if state == "seen" else 1)  # what has no photograph cannot be sent
    assert photograph == (None if state == "seen" else b"accept 1")
    assert ("the verdict was accept" in found.reason) == (state == "judged")
    assert store.recover() == []
    assert store.highest() == 1
    store.close()


def test_an_item_is_counted_once_however_often_its_end_is_written(tmp_path):
    store = Store(tmp_path / "store.sqlite", keep=100)
    for _ in range(3):
        store.write(Record("a", 1, "", state="pushed", verdict="reject")).result()
    with closing(store.read()) as connection:
        assert records.totals(connection) == {"items": 1, "pushed": 1, "verdict reject": 1}
    store.close()


def test_the_disk_has_what_is_told_to_be_written(tmp_path):
    store = Store(tmp_path / "store.sqlite", keep=100)
    told = [store._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    store.close()
    assert told == ["wal", 2]  # FULL: each transaction is synced
