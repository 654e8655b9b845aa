"""The servers of an endpoint: started together, watched, started anew when they end or fall silent, more or fewer."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localaws.engines.sagemaker.server import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

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
    due: float = 0.0
    requests: int = 0
    leaving: bool = False


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
            self._bring_up(self._places, stop, seconds)
        except BaseException:
            self.close()
            raise
        return not stop.is_set()

    def resize(
        self,
        counts: Mapping[str, int],
        weights: Mapping[str, float],
        stop: threading.Event,
        *,
        start_seconds: float,
        request_seconds: float,
    ) -> bool:
        """Starts instances that are missing and ends those that are too many; the others go on as they are.

        New instances get requests when all of them answer; one that goes gets no more and ends after its last.

        Returns:
            False when `stop` was set: nothing has changed then.

        Raises:
            ServerError: a new one does not come up. (What the start itself raises is passed on.) Nothing has changed.
        """
        coming, leaving, staying = list[_Place](), list[_Place](), list[_Place]()
        for variant, count in counts.items():
            there = [place for place in self._places if place.variant == variant]  # numbered from 0 without a gap
            staying += there[:count]
            leaving += there[count:]
            coming += [_Place(variant, number) for number in range(len(there), count)]
        up = False
        try:
            self._bring_up(coming, stop, start_seconds)
            up = not stop.is_set()
        finally:
            if not up:
                _end(coming)
        if not up:
            return False
        with self._changed:
            self.counts, self.weights = dict(counts), dict(weights)
            self._places = staying + coming
        with self._starting:
            for place in leaving:
                place.leaving = True
        with self._changed:
            self._changed.wait_for(lambda: not any(place.requests for place in leaving), request_seconds)
        _end(leaving)
        return True

    def _bring_up(self, places: list[_Place], stop: threading.Event, seconds: float) -> None:
        for place in places:
            place.server = self._start(place.variant, place.number)
        for place in places:
            assert place.server is not None
            place.ready = place.server.await_health(stop, seconds)

    def watch(self) -> None:
        """One look: servers that ended or missed three pings in a row are started anew, ever later while they fail."""
        for place in list(self._places):
            if self._closed.is_set():
                return
            if place.leaving:
                continue
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
            if not self._closed.is_set() and not place.leaving:
                place.server = self._start(place.variant, place.number)

    @contextlib.contextmanager
    def server(self, variant: str | None, seconds: float) -> Iterator[tuple[str, ModelServer]]:
        """A server that is ready, held for one request: of the variant, or of one chosen by weight.

        Raises:
            ServerError: none becomes ready in time.
        """
        place, server = self._pick(variant, seconds)
        try:
            yield place.variant, server
        finally:
            with self._changed:
                place.requests -= 1
                self._changed.notify_all()

    def _pick(self, variant: str | None, seconds: float) -> tuple[_Place, ModelServer]:
        deadline = time.monotonic() + seconds
        while True:
            with self._changed:
                ready = [
                    (place, place.server)
                    for place in self._places
                    if place.ready and place.server and place.server.running
                ]
                names = [name for name in self.weights if any(place.variant == name for place, _ in ready)]
                if variant is None and sum(self.weights[name] for name in names) > 0:
                    chosen = random.choices(names, [self.weights[name] for name in names])[0]  # noqa: S311
                else:
                    chosen = variant or ""
                found = [each for each in ready if each[0].variant == chosen]
                if found:
                    place, server = found[next(self._turn) % len(found)]
                    place.requests += 1
                    return place, server
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
        """Ends all servers."""
        with self._starting:
            self._closed.set()
        _end(self._places)


def _end(places: Iterable[_Place]) -> None:
    """Ends servers: SIGTERM, then SIGKILL."""
    servers = [place.server for place in places if place.server is not None]
    for server in servers:
        server.container.terminate()
    end = time.monotonic() + END_SECONDS
    while time.monotonic() < end and any(server.running for server in servers):
        time.sleep(0.05)
    for server in servers:
        server.container.close()
