import sqlite3
from types import SimpleNamespace

import pytest

from sextant.inspection.edge import judging, records, sorter
from tests.inspection_edge.stand import judge


@pytest.fixture
def model(monkeypatch):
    """Puts a function in the place of the device's model; `stand.judge` where none is given."""

    def put(function=judge):
        monkeypatch.setattr(judging, "local", lambda _path: function)

    put()
    return put


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """This machine may be busy: a pusher that is late here is no fault of the sorter."""
    monkeypatch.setattr(sorter, "LATE_S", 1.0)


@pytest.fixture
def card(monkeypatch):
    """The card of every store: while `full` is true it takes nothing."""
    state, commit = SimpleNamespace(full=False), records.Store._transaction

    def transaction(store, each_writes):
        if state.full and each_writes:
            raise sqlite3.OperationalError("database or disk is full")
        commit(store, each_writes)

    monkeypatch.setattr(records.Store, "_transaction", transaction)
    monkeypatch.setattr(records, "_AGAIN_S", 0.1)
    return state


@pytest.fixture(autouse=True)
def mock_pins(monkeypatch):
    gpiozero = pytest.importorskip("gpiozero", reason="gpiozero is not in this environment: make setup-dev")
    from gpiozero.pins.mock import MockFactory

    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setattr(gpiozero.Device, "pin_factory", MockFactory())
    yield
    gpiozero.Device.pin_factory.close()
