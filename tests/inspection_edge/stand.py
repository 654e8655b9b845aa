"""A belt for tests: photographs are words, and the model knows what they mean."""

import time
from pathlib import Path

from sextant.inspection.edge.judging import Answer
from sextant.inspection.edge.settings import Settings
from sextant.inspection.edge.simulation import Product

BEAM, PUSHER = 17, 27
SIMULATED = "simulated/store.sqlite"
"""The store of a simulation, from the folder of the real one."""


def settings(folder: Path, *, belt=None, camera=None, **more):
    times = {"beam_pin": BEAM, "pusher_pin": PUSHER, "travel_s": 1.0, "pulse_s": 0.05, "settle_s": 0.05}
    given = {
        "project": "lego",
        "model": folder / "model.tar.gz",
        "store": folder / "store.sqlite",
        "health_port": 0,
        "belt": times | (belt or {}),
        "camera": {"within_s": 2.0} | (camera or {}),
    }
    return Settings.model_validate(given | more)


def judge(body):
    """The local model: what the photograph's first word says."""
    verdict = body.decode().split()[0]
    return Answer(verdict, f"seen as {verdict}", 0.9, "model", brightness=100.0, sharpness=50.0, crop_ok=True)


def wait_for(condition):
    """What comes soon, and where other work holds the disk or the cores, later: records are waited for to be on it."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def written(store):
    """Waits until what the store was given is on the disk: a busy one takes its time."""
    store._later(lambda _: None).result(60)


def sorted_by(sorter):
    """Waits until no item is on the belt, and what became of them is on the disk."""
    wait_for(lambda: sorter.on_belt == 0)
    written(sorter._store)


def products(*verdicts):
    return [
        Product(f"{at}", f"{verdict} {at}".encode(), verdict == "reject")
        for at, verdict in enumerate(verdicts, start=1)
    ]
