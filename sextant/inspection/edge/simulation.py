"""A belt in real time without a board: items break a mocked beam, the camera sees their photographs."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sextant.inspection.edge.running import running
from sextant.inspection.edge.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sextant.inspection.edge.records import Record
    from sextant.inspection.edge.settings import Settings

_PASSING_S = 0.05
"""How long an item breaks the beam."""
_FOLDERS = {"normal": False, "anomaly": True}


@dataclass(frozen=True)
class Product:
    """An item of the simulated belt: its photograph, and whether it is defective (None: not known)."""

    name: str
    photograph: bytes
    defective: bool | None


@dataclass(frozen=True)
class Sorted:
    """What became of it, and what the simulated pusher really did when it was due."""

    product: Product
    record: Record
    pushed: bool


def products(folder: Path) -> list[Product]:
    """The photographs in a folder by name; those in its folders `normal` and `anomaly` are known to be so.

    Raises:
        ConfigurationError: there is none.
    """
    kinds = {".jpg", ".jpeg", ".png"}
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in kinds and path.is_file())
    if not found:
        raise ConfigurationError(f"{folder} holds no JPEG or PNG: name a folder with photographs of your product")
    return [
        Product(path.relative_to(folder).as_posix(), path.read_bytes(), _FOLDERS.get(path.relative_to(folder).parts[0]))
        for path in found
    ]


def apart(settings: Settings) -> Settings:
    """The settings with a store in a folder `simulated` beside the real one, and nothing forwarded."""
    cloud = settings.cloud
    return settings.model_copy(
        update={
            "store": settings.store.parent / "simulated" / settings.store.name,
            "cloud": cloud.model_copy(update={"bucket": None}) if cloud and cloud.endpoint else None,
        }
    )


def simulate(
    settings: Settings,
    belt: Sequence[Product],
    *,
    rate: float,
    told: Callable[[Sorted], None] | None = None,
    ready: Callable[[int], None] | None = None,
) -> list[Sorted]:
    """Runs the products over the belt and returns what became of each, in their order.

    Args:
        settings: the real ones. Their camera and pins are not used, nor is their store, for simulated items are none of
            the line's (see `apart`).
        belt: the products.
        rate: items per second.
        told: called with each as it is sorted.
        ready: called with the port of the sorter's page.
    """
    settings = apart(settings)
    os.environ["GPIOZERO_PIN_FACTORY"] = "mock"
    import gpiozero  # noqa: PLC0415  the environment above tells it that there is no board
    from gpiozero.pins.mock import MockFactory  # noqa: PLC0415

    gpiozero.Device.pin_factory = MockFactory()
    before_camera: list[Product] = []
    by_number: dict[int, Product] = {}
    ended: dict[int, Sorted] = {}
    done = threading.Event()
    first = 0
    pins: Any = gpiozero.Device.pin_factory

    def take() -> bytes:
        return before_camera[-1].photograph

    def finished(record: Record) -> None:
        product = by_number[record.number - first - 1]
        high = bool(pins.pin(settings.belt.pusher_pin).state)
        ended[record.number] = Sorted(product, record, high == settings.belt.pusher_active_high)
        if told:
            told(ended[record.number])
        if len(ended) == len(belt):
            done.set()

    with running(settings, camera=take, told=finished) as found:
        first = found.store.highest()
        if ready:
            ready(found.port)
        beam = pins.pin(settings.belt.beam_pin)
        start = whole = time.monotonic()
        for number, product in enumerate(belt):
            # Items do not touch, even where this machine is behind.
            time.sleep(max(0.0, max(start + number / rate, whole + 2 * settings.belt.debounce_s) - time.monotonic()))
            before_camera.append(product)
            by_number[number] = product
            beam.drive_low()
            time.sleep(min(_PASSING_S, 0.4 / rate))
            beam.drive_high()
            whole = time.monotonic()
        done.wait(settings.belt.travel_s + 10)
    return [ended[number] for number in sorted(ended)]
