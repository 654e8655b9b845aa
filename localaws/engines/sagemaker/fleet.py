"""The servers of an endpoint: started together, watched, started anew when they end or fall silent."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localaws.engines.sagemaker.server import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localaws.engines.sagemaker.server import ModelServer

WATCH_SECONDS = 0.5
PINGS_MISSED = 3
BACKOFF_SECONDS = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
END_SECONDS = 5.0


@dataclass
class _Place:
    """One instance of a variant: its server, and when it may be started again."""

    variant: str
    number: int
    server: ModelServer | None = None
    ready: bool = False
    attempts: int = 0
    due: float = field(default=0.0)


class Fleet:
    """The servers of one endpoint configuration.

    Args:
        start: starts the server of (variant, number).
        counts: instances by variant.
        weights: share of the traffic by variant.
    """

    def __init__(
        self, start: Callable[[str, int], ModelServer], counts: Mapping[str, int], weights: Mapping[str, float]
    ) -> None:
        self._start = start
        self.counts = dict(counts)
        self.weights = dict(weights)
        self._places = [_Place(variant, number) for variant, count in counts.items() for number in range(count)]
        self._turn = itertools.count()
        self._closed = threading.Event()
        self._starting = threading.RLock()  # no server is started once the fleet is closed
        self._requests = 0
        self._draining = False
        self._changed = threading.Condition()

    def open(self, stop: threading.Event, seconds: float) -> bool:
        """Starts all servers and waits until they answer; False when `stop` was set.

        Raises:
            ServerError: one does not come up. (What the start itself raises is passed on.) None is left running.
        """
        try:
            for place in self._places:
                place.server = self._start(place.variant, place.number)
            for place in self._places:
                assert place.server is not None
                place.ready = place.server.await_health(stop, seconds)
        except BaseException:
            self.close()
            raise
        return not stop.is_set()

    def watch(self) -> None:
        """One look: servers that ended or missed three pings in a row are started anew, ever later while they fail."""
        for place in self._places:
            if self._closed.is_set():
                return
            server = place.server
            if server is None or not server.running:
                self._restart(place)
            elif server.healthy():
                place.ready, server.failures, place.attempts = True, 0, 0
            elif place.ready:
                server.failures += 1
                if server.failures >= PINGS_MISSED:
                    self._restart(place)

    def _restart(self, place: _Place) -> None:
        now = time.monotonic()
        if place.ready:  # it served until now: at once
            place.due = now
        place.ready = False
        if place.server is not None:
            place.server.container.close()
            place.server = None
        if now < place.due:
            return
        place.due = now + BACKOFF_SECONDS[min(place.attempts + 1, len(BACKOFF_SECONDS) - 1)]
        place.attempts += 1
        with self._starting, contextlib.suppress(Exception):  # tried again when due
            if not self._closed.is_set():
                place.server = self._start(place.variant, place.number)

    def pick(self, variant: str | None, seconds: float) -> tuple[str, ModelServer]:
        """A server that is ready: of the variant, or of one chosen by weight.

        Raises:
            ServerError: none becomes ready in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            ready = [place for place in self._places if place.ready and place.server and place.server.running]
            names = [name for name in self.weights if any(place.variant == name for place in ready)]
            if variant is None and sum(self.weights[name] for name in names) > 0:
                chosen = random.choices(names, [self.weights[name] for name in names])[0]  # noqa: S311
            else:
                chosen = variant or ""
            servers = [place.server for place in ready if place.variant == chosen and place.server]
            if servers:
                return chosen, servers[next(self._turn) % len(servers)]
            if time.monotonic() > deadline or self._closed.is_set():
                raise ServerError("no instance of the endpoint is ready to answer")
            time.sleep(0.05)

    def enter(self) -> bool:
        """Notes a request that begins; False when the fleet takes no more. Who entered must `leave`."""
        with self._changed:
            if not self._draining:
                self._requests += 1
            return not self._draining

    def leave(self) -> None:
        with self._changed:
            self._requests -= 1
            self._changed.notify_all()

    def drain(self, seconds: float) -> None:
        """Takes no more requests and waits for those that run, at most so long; then closes."""
        with self._changed:
            self._draining = True
            self._changed.wait_for(lambda: self._requests == 0, seconds)
        self.close()

    def close(self) -> None:
        """Ends all servers: SIGTERM, then SIGKILL."""
        with self._starting:
            self._closed.set()
        servers = [place.server for place in self._places if place.server is not None]
        for server in servers:
            server.container.terminate()
        end = time.monotonic() + END_SECONDS
        while time.monotonic() < end and any(server.running for server in servers):
            time.sleep(0.05)
        for server in servers:
            server.container.close()
