"""From the beam to the pusher: each item is photographed, judged, and pushed off or let pass when it is due.

An item passes only when somebody accepted it in time and its record and photograph are on the disk. Whatever else
happens (no photograph, no answer, a full card, a start in between) it is pushed to inspection; but where the pusher
would come so late that it hits the next item, the item is `missed`.
"""

from __future__ import annotations

import datetime as dt
import heapq
import logging
import queue
import random
import secrets
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sextant.inspection.edge.devices import CameraError
from sextant.inspection.edge.records import ENDS, WAITING, Record
from sextant.inspection.edge.settings import forwards
from sextant.inspection.photograph import PhotographError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from sextant.inspection.edge.devices import Camera, Pusher
    from sextant.inspection.edge.judging import Answer, Judge
    from sextant.inspection.edge.records import State, Store
    from sextant.inspection.edge.settings import Settings, Verdict

LATE_S = 0.1
"""A pusher that comes later than this would hit the next item: it stays in, and the item counts as missed."""
_CALLS = 4
"""Calls to the cloud at once."""
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Item:
    """An item on the belt; `record` is replaced at each step, under `lock`. Times are of `time.monotonic`."""

    record: Record
    broke: float
    due: float
    lock: threading.Lock
    photograph: bytes | None = None
    local: Answer | None = None
    local_ended: bool = False
    """The local model has answered or never will."""
    local_failed: str = ""
    """Why it never will."""
    cloud_ended: bool = False
    kept: Future[float] | None = None
    """The write of the latest record."""
    kept_photograph: Future[float] | None = None
    """The write of the photograph, which no later one mends."""

    def on_disk(self, at: float) -> bool:
        """Whether photograph and latest record were there at that `time.monotonic`."""
        return all(
            each is not None and each.done() and each.exception() is None and each.result() <= at
            for each in (self.kept, self.kept_photograph)
        )


class Sorter:
    """The running sorter: threads for the camera, the local model, the cloud's calls and the pusher."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        camera: Camera,
        pusher: Pusher,
        local: Judge | None,
        cloud: Judge | None = None,
        told: Callable[[Record], None] | None = None,
    ) -> None:
        """Starts it. The pusher stays out for the first `travel_s`: nobody saw what lies on the belt then.

        Args:
            settings: the configuration.
            store: opened, and recovered.
            camera: takes photographs.
            pusher: of the belt.
            local: the model on the device.
            cloud: asked first where it is given; raises where it does not answer.
            told: called with each record that has ended.
        """
        self._settings, self._belt, self._store = settings, settings.belt, store
        self._camera, self._pusher, self._local, self._cloud = camera, pusher, local, cloud
        self._told = told or (lambda _record: None)
        self._number = store.highest()
        self._items: list[tuple[float, int, Item]] = []  # a heap by when to look at it next
        self._changed = threading.Condition()
        self._stopping = False
        self._on_belt = 0
        self._chance = random.Random()  # noqa: S311  which items are sampled is no secret
        self.camera_faults = 0
        """Photographs that failed in a row."""
        self.camera_fault = ""
        self.missed = 0
        """Items since the start that should have been pushed and were not."""
        self.missed_at: float | None = None
        """The `time.monotonic` of the latest of them."""
        self.late_ms: deque[float] = deque(maxlen=200)
        """How late the pusher was with the latest items."""
        self._photographing: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._judging: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._calls = ThreadPoolExecutor(_CALLS, "cloud") if cloud else None
        self.clear_from = time.monotonic() + self._belt.travel_s
        """Until then everything is pushed."""
        self._out_until = self.clear_from
        self._pusher.on()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("camera", self._photograph), ("model", self._judge), ("pusher", self._push))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether all of its threads work, and the store's."""
        return self._store.alive and all(thread.is_alive() for thread in self._threads)

    @property
    def on_belt(self) -> int:
        """Items between the beam and the pusher."""
        return self._on_belt

    def seen(self, at: float) -> None:
        """An item broke the beam at that `time.monotonic`. Called by one thread, and quick."""
        now = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=time.monotonic() - at)
        name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(6)}"  # the clock of a Pi without network may repeat itself
        with self._changed:
            if self._stopping:
                return
            self._number += 1
            item = Item(Record(name, self._number, now.isoformat()), at, at + self._belt.travel_s, threading.Lock())
            item.local_ended, item.cloud_ended = self._local is None, self._cloud is None
            item.kept = self._store.write(item.record)
            self._photographing.put(item)
            self._on_belt += 1
            heapq.heappush(self._items, (item.due - self._belt.settle_s, item.record.number, item))
            self._changed.notify()

    def stop(self) -> None:
        """Ends after the items on the belt have been sorted; none is seen from now on."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._threads[2].join()
        self._photographing.put(None)
        self._judging.put(None)
        if self._calls:
            self._calls.shutdown(cancel_futures=True)
        for thread in self._threads:
            thread.join()

    def _photograph(self) -> None:
        while (item := self._photographing.get()) is not None:
            late = time.monotonic() - item.broke
            if late > self._settings.camera.within_s:
                self._give_up(item, f"the camera was busy: {late:.2f} s after the beam it may see the next item")
                continue
            try:
                body = self._camera()
            except Exception as error:  # noqa: BLE001  a camera's library raises what it likes
                self.camera_faults += 1
                self.camera_fault = str(error)
                unexpected = not isinstance(error, CameraError)
                _log.warning("item %s: no photograph: %s", item.record.item, error, exc_info=unexpected)
                self._give_up(item, f"no photograph: {error}")
                continue
            self.camera_faults, self.camera_fault = 0, ""
            with item.lock:
                if item.record.state in ENDS:
                    continue
                item.photograph = body
                if item.record.state == "seen":
                    item.record = replace(item.record, state="photographed")
                item.kept = item.kept_photograph = self._store.write(item.record, body)
            if self._calls:
                self._calls.submit(self._ask, item)
            self._judging.put(item)

    def _judge(self) -> None:
        usual = 0.0  # how long the model takes
        while (item := self._judging.get()) is not None:
            body, begun = item.photograph, time.monotonic()
            if self._local is None or body is None:
                continue
            if begun + usual > item.due - self._belt.settle_s:
                # A model that is behind leaves this one to inspection and is in time for the next; else it would be
                # late for each of them. It may have been slow only once.
                usual *= 0.9
                continue
            try:
                found = self._local(body)
            except Exception as error:  # noqa: BLE001  whatever it is, the item goes to inspection
                unread = isinstance(error, PhotographError)
                failed = f"{'the camera gave no photograph' if unread else 'the model does not answer'}: {error}"
                _log.warning("item %s: %s", item.record.item, failed, exc_info=not unread)
                with item.lock:
                    item.local_ended, item.local_failed = True, failed
                    self._decide_if_known(item)
                continue
            usual += 0.3 * (time.monotonic() - begun - usual)
            with item.lock:
                item.local, item.local_ended = found, True
                self._decide_if_known(item)

    def _ask(self, item: Item) -> None:
        found, failed, body = None, "", item.photograph
        try:
            if self._cloud is not None and body is not None and time.monotonic() < item.due:
                found = self._cloud(body)
        except Exception as error:  # noqa: BLE001  whatever it is, the local model answers
            failed = f"the cloud does not answer: {error}"
            _log.warning("item %s: %s", item.record.item, failed)
        with item.lock:
            item.cloud_ended = True
            if found is not None:
                self._decide(item, found, "cloud")
            else:
                self._decide_if_known(item, failed)

    def _decide_if_known(self, item: Item, failed: str = "") -> None:
        if item.local is not None and item.cloud_ended:
            self._decide(item, item.local, "local")
        elif item.local_ended and item.cloud_ended:
            self._inspect(item, item.local_failed or failed or "nobody answers")

    def _give_up(self, item: Item, reason: str) -> None:
        with item.lock:
            self._inspect(item, reason)

    def _decide(self, item: Item, answer: Answer, by: str) -> None:
        """The first decision counts. Called under the item's lock."""
        if item.record.verdict is not None:
            return
        seen = item.local or answer  # the cloud's answer tells nothing of the photograph's quality
        judged = replace(
            item.record,
            reason=answer.reason,
            judged_by=by,
            confidence=answer.confidence,
            labels=answer.labels,
            model=answer.model,
            brightness=seen.brightness,
            sharpness=seen.sharpness,
            crop_ok=seen.crop_ok,
        )
        self._judged(item, judged, answer.verdict)

    def _inspect(self, item: Item, reason: str) -> None:
        if item.record.verdict is None:
            self._judged(item, replace(item.record, reason=reason), "inspect")

    def _judged(self, item: Item, record: Record, verdict: Verdict) -> None:
        seconds = round(time.monotonic() - item.broke, 4)
        item.record = replace(record, state="judged", verdict=verdict, seconds=seconds)
        item.kept = self._store.write(item.record)

    def _push(self) -> None:
        """The pusher's own thread: it settles items without an answer shortly before they are due, and acts in time."""
        out = True
        while True:
            with self._changed:
                now = time.monotonic()
                first = self._items[0][0] if self._items else None
                if first is None and self._stopping and not out:
                    return
                if first is None or first > now:
                    ends = [each for each in (first, self._out_until if out else None) if each is not None]
                    if not ends or min(ends) > now:
                        self._changed.wait(min(ends) - now if ends else None)
                        continue
                item = heapq.heappop(self._items)[2] if first is not None and first <= now else None
            if item is None:
                self._pusher.off()
                out = False
            elif now < item.due:
                self._settle(item)
                with self._changed:
                    heapq.heappush(self._items, (item.due, item.record.number, item))
            else:
                out = self._act(item, out=out)

    def _settle(self, item: Item) -> None:
        """The item has a verdict from now on, and nobody changes it any more."""
        with item.lock:
            if item.record.verdict is None and item.local is not None:
                self._decide(item, item.local, "local")
            self._inspect(item, "no answer in time")

    def _act(self, item: Item, *, out: bool) -> bool:
        """Pushes the item or lets it pass; returns whether the pusher is out then."""
        self._settle(item)  # a sorter that stood still may look at an item for the first time when it is due
        now = time.monotonic()
        late = now - item.due
        record, accepted = item.record, item.record.verdict == "accept" and item.on_disk(item.due)
        if late > LATE_S and not out:
            state: State = "passed" if accepted else "missed"
        elif accepted and not out:
            state = "passed"
        else:
            state = "pushed"
            self._pusher.on()
            if not accepted:
                self._out_until = max(self._out_until, now + self._belt.pulse_s)
            out = True
        said = record.reason
        if state == "pushed" and accepted:
            said += "; pushed along with its neighbour"
        elif state == "pushed" and record.verdict == "accept":
            said += "; pushed: its record was not on the disk in time"
        elif state == "missed":
            said += f"; not pushed: the sorter was {late:.2f} s late"
            self.missed += 1
            self.missed_at = now
        self.late_ms.append(1000 * late)
        with item.lock:
            sent = item.photograph is not None and forwards(
                self._settings.cloud, item.record.verdict, self._chance.random()
            )
            forward = WAITING if sent else 0
            item.record = replace(item.record, state=state, reason=said, late_ms=round(1000 * late, 2), forward=forward)
            if item.photograph is not None:
                self._store.keep_photograph(item.record.item, item.photograph)
            item.kept = self._store.write(item.record)
            item.photograph = None
        with self._changed:
            self._on_belt -= 1
        self._told(item.record)
        return out
