"""The sorter put together, and kept an eye on by systemd."""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sextant.inspection.edge import devices, judging
from sextant.inspection.edge.health import health, serve
from sextant.inspection.edge.records import Store
from sextant.inspection.edge.settings import ConfigurationError, forwards
from sextant.inspection.edge.sorter import Sorter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sextant.inspection.edge.cloud import Forwarder
    from sextant.inspection.edge.devices import Camera
    from sextant.inspection.edge.judging import Judge
    from sextant.inspection.edge.records import Record
    from sextant.inspection.edge.settings import Settings

_TELL_S = 1.0
"""How often systemd is told that the sorter works; its unit says how long it may be silent."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """A running sorter. `recovered` are the items that the last one left unfinished, `port` that of its page."""

    sorter: Sorter
    store: Store
    recovered: tuple[Record, ...]
    port: int
    told: Callable[[], dict[str, Any]]


@contextmanager
def running(
    settings: Settings, *, camera: Camera | None = None, told: Callable[[Record], None] | None = None
) -> Iterator[Running]:
    """Everything that the settings name, working; at the end the items on the belt are sorted first.

    Args:
        settings: the configuration.
        camera: instead of the one that the settings name.
        told: called with each record that has ended.

    Raises:
        StoreError, ArchiveError, CameraError, BoardError: the store, the model, the camera or the pins cannot be used.
        ConfigurationError: the page's port is taken, or no client can be made for the cloud.
    """
    with ExitStack() as stack:
        local = judging.local(settings.model) if settings.model else None
        take = camera or stack.enter_context(devices.camera(settings.camera))
        store = Store(settings.store, keep=settings.keep)
        stack.callback(store.close)
        recovered = tuple(
            store.recover(lambda verdict: forwards(settings.cloud, verdict, random.random()))  # noqa: S311  no secret
        )
        for each in recovered:
            _log.warning("item %s: %s", each.item, each.reason)
        cloud, forwarder = _network(settings, store)
        if forwarder:
            stack.callback(forwarder.stop)
        beam, pusher = stack.enter_context(devices.board(settings.belt))
        sorter = Sorter(settings, store, camera=take, pusher=pusher, local=local, cloud=cloud, told=told)
        stack.callback(sorter.stop)
        beam.watch(sorter.seen)
        what = lambda: health(settings, store, sorter, beam, forwarder)  # noqa: E731
        server = serve(settings.health_port, store.path, what)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        yield Running(sorter, store, recovered, int(server.server_address[1]), what)


def _network(settings: Settings, store: Store) -> tuple[Judge | None, Forwarder | None]:
    if settings.cloud is None:
        return None, None
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  a sorter without [cloud] needs no boto3

    from sextant.inspection.edge import cloud  # noqa: PLC0415

    circuits = cloud.Circuits(store)
    try:
        judge = cloud.asking(settings, circuits) if settings.cloud.endpoint else None
        s3 = cloud.s3_client(settings.cloud) if settings.cloud.bucket else None
    except (BotoCoreError, ValueError) as error:  # no region, or an endpoint that is no URL
        raise ConfigurationError(f"[cloud]: {error}. Set region and endpoint") from error
    return judge, cloud.Forwarder(settings, store, circuits, s3) if s3 else None


class EndedError(RuntimeError):
    """A part of the sorter has ended, which its log tells of. systemd starts it again."""


def run(settings: Settings) -> None:
    """Sorts until SIGTERM or SIGINT. systemd is told once it does, and then that it still does.

    Raises:
        EndedError: a part of it has ended; and what `running` raises.
    """
    ended = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: ended.set())
    with running(settings) as found:
        _log.info("sorting; page at http://127.0.0.1:%d", found.port)
        _tell("READY=1")
        while not ended.wait(_TELL_S):
            if not found.sorter.alive:
                raise EndedError("a part of the sorter has ended: its log tells why. Start it again")
            _tell("WATCHDOG=1")
        _tell("STOPPING=1")


def _tell(state: str) -> None:
    """A message to systemd, as sd_notify(3) sends it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
