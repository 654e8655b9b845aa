"""The sorter's page on the device itself: http://127.0.0.1:8765, and what it shows as JSON.

| path | is |
| --- | --- |
| / | the page |
| /health.json | `health` below; status 503 while something is wrong |
| /pictures/ITEM | a photograph |
"""

from __future__ import annotations

import datetime as dt
import json
import statistics
import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import TYPE_CHECKING, Any

from sextant.inspection.edge import records
from sextant.inspection.edge.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sextant.inspection.edge.cloud import Forwarder
    from sextant.inspection.edge.devices import Beam
    from sextant.inspection.edge.records import Record, Store
    from sextant.inspection.edge.settings import Settings
    from sextant.inspection.edge.sorter import Sorter

SHOWN = 24
"""Latest items on the page."""
_LOOKED_AT = 200
_FAILURES = 3
"""Photographs in a row that fail until the camera counts as broken."""
_UNJUDGED = 5
_MISSED_S = 600.0
"""So long an item that the pusher missed is a fault: long enough to be seen, and the next one is seen, too."""
_CROPS_LOST = 0.5
_PAGE = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def stored(settings: Settings, path: Path) -> dict[str, Any]:
    """What the store alone tells: counts, the latest items, what waits, the circuits, how the photographs are."""
    with closing(records.reader(path)) as connection:
        found = records.latest(connection, _LOOKED_AT)
        kept = records.photographed(connection)
        shown = [{**asdict(each), "photograph": each.item in kept} for each in found[:SHOWN]]
        circuits = {
            str(name): json.loads(record)["state"]
            for name, record in connection.execute("SELECT name, record FROM circuits ORDER BY name")
        }
        told = {
            "totals": records.totals(connection),
            "unfinished": records.unfinished(connection),
            "queue": records.queued(connection),
            "circuits": circuits,
        }
    return {
        "project": settings.project,
        "line": settings.line,
        "camera": settings.camera_name,
        **told,
        "photographs": _photographs(found),
        "latest": shown,
    }


def health(settings: Settings, store: Store, sorter: Sorter, beam: Beam, forwarder: Forwarder | None) -> dict[str, Any]:
    """All of it. `state` is `clearing` in the first seconds, `sorting`, or `fault`, and `faults` tells which."""
    told = stored(settings, store.path)
    faults = []
    broken = beam.broken_since
    if broken is not None and time.monotonic() - broken > settings.belt.blocked_s:
        faults.append(f"The beam has been broken for {time.monotonic() - broken:.0f} s: no item is seen. Clear it.")
    if sorter.camera_faults >= _FAILURES:
        faults.append(f"The last {sorter.camera_faults} photographs failed: {sorter.camera_fault}")
    ended = [each for each in told["latest"] if each["state"] in records.ENDS][:_UNJUDGED]
    if len(ended) == _UNJUDGED and all(each["verdict"] == "inspect" for each in ended):
        faults.append(f"The last {_UNJUDGED} items were not judged, and pushed: {ended[0]['reason']}.")
    unrecorded = store.unrecorded
    if store.fault:
        held = f" Items to be recorded then: {unrecorded}." if unrecorded else ""
        faults.append(
            f"Records cannot be written ({store.fault}): every item is pushed off. Make room on the card.{held}"
        )
    if sorter.missed_at is not None and (ago := time.monotonic() - sorter.missed_at) < _MISSED_S:
        at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago)
        faults.append(
            f"1 item since the start was to be pushed and was not, at {at:%H:%M:%S} UTC: look for it."
            if sorter.missed == 1
            else f"{sorter.missed} items since the start were to be pushed and were not, the latest at "
            f"{at:%H:%M:%S} UTC: look for them."
        )
    if not sorter.alive or (forwarder is not None and not forwarder.alive):
        faults.append("A part of the sorter has ended: see its log. Start it again.")
    looked = told["photographs"]
    if looked["of"] >= _FAILURES and looked["product_found"] < _CROPS_LOST:
        faults.append(
            f"On {1 - looked['product_found']:.0%} of the photographs no product is found: look at the camera."
        )
    late = list(sorter.late_ms)
    state = "clearing" if time.monotonic() < sorter.clear_from else "sorting"
    return {
        "state": "fault" if faults else state,
        "faults": faults,
        "on_belt": sorter.on_belt,
        "unrecorded": unrecorded,
        "pusher_late_ms": {"median": round(statistics.median(late), 1), "most": round(max(late), 1)} if late else None,
        "forwarding": forwarder.fault if forwarder else "",
        **told,
    }


def _photographs(found: Sequence[Record]) -> dict[str, Any]:
    """How the latest photographs are: medians of brightness and sharpness, and how often a product was found."""
    looked = [each for each in found if each.brightness is not None and each.sharpness is not None]
    if not looked:
        return {"of": 0, "brightness": None, "sharpness": None, "product_found": None}
    crops = Counter(each.crop_ok for each in looked)
    return {
        "of": len(looked),
        "brightness": round(statistics.median(each.brightness or 0.0 for each in looked), 1),
        "sharpness": round(statistics.median(each.sharpness or 0.0 for each in looked), 1),
        "product_found": round(1 - crops[False] / len(looked), 3),
    }


def serve(port: int, path: Path, told: Callable[[], dict[str, Any]]) -> ThreadingHTTPServer:
    """Answers at 127.0.0.1 from now on, until `shutdown`.

    Args:
        port: 0 takes a free one.
        path: of the store, for photographs.
        told: what /health.json says.

    Raises:
        ConfigurationError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "sextant-edge", ""

        def do_GET(self) -> None:
            name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            if name not in {"127.0.0.1", "localhost"}:  # a page of the web whose name was pointed here
                self._send(HTTPStatus.FORBIDDEN, b"open http://127.0.0.1", "text/plain")
            elif self.path in _PAGE:
                file, kind = _PAGE[self.path]
                self._send(HTTPStatus.OK, _file(file), kind)
            elif self.path == "/health.json":
                found = told()
                status = HTTPStatus.SERVICE_UNAVAILABLE if found["faults"] else HTTPStatus.OK
                self._send(status, json.dumps(found).encode(), "application/json")
            elif (body := self._picture()) is not None:
                self._send(HTTPStatus.OK, body, "image/jpeg" if body.startswith(b"\xff\xd8") else "image/png")
            else:
                self._send(HTTPStatus.NOT_FOUND, b"there is no such page", "text/plain")

        def _picture(self) -> bytes | None:
            if not self.path.startswith("/pictures/"):
                return None
            with closing(records.reader(path)) as connection:
                return records.photograph(connection, self.path.removeprefix("/pictures/"))

        def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
            self.send_header("Content-Length", str(len(body)))
            lasting = status is HTTPStatus.OK and kind.startswith("image/")
            self.send_header("Cache-Control", "max-age=86400, immutable" if lasting else "no-store")
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
            pass  # the journal of systemd is for the belt

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise ConfigurationError(f"health_port {port} cannot be used ({error.strerror}): set another one") from error
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


@cache
def _file(name: str) -> bytes:
    return (resources.files("sextant.inspection.edge") / "page" / name).read_bytes()
