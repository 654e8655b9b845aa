"""The model's server: SageMaker's `/ping` and `/invocations` over the standard library's threading HTTP server.

It needs no more: SageMaker's own front end takes TLS, authentication, queueing and slow clients off it, and a
photograph costs tens of milliseconds of one core. A semaphore keeps as many at a time as there are cores, so that
memory stays bounded.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sextant.inspection import archive, detector, photograph
from training.inspection import container

if TYPE_CHECKING:
    from sextant.inspection.detector import Detector

LARGEST_BODY = 8 << 20
"""The service's own limit for a photograph; InvokeEndpoint allows 6 MB, a transform job more."""

DISCARDED_BYTES = 64 << 20
IDLE_SECONDS = 65
TYPES = ("image/jpeg", "image/png")

_log = logging.getLogger(__name__)


class Server(ThreadingHTTPServer):
    """Serves one detector."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], served: Detector, at_once: int) -> None:
        self.served = served
        self.places = threading.Semaphore(at_once)
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection's requests."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: Server

    def do_GET(self) -> None:
        """Healthy as soon as it answers: the model is loaded before the port is opened."""
        if self.path == "/ping":
            self._send(200, {})
        else:
            self._refuse(404, f"there is no {self.path}: GET /ping, POST /invocations")

    def do_POST(self) -> None:
        """Answers an invocation; whatever is sent, the server goes on."""
        if self.path != "/invocations":
            self._refuse(404, f"there is no {self.path}: POST /invocations")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._refuse(411, "the request has no Content-Length")
            return
        if int(length) > LARGEST_BODY:
            self._discard(int(length))
            self._refuse(413, f"the photograph has {length} bytes of {LARGEST_BODY} allowed")
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True  # the client has gone
            return
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in TYPES:
            self._send(415, {"error": f"content type {kind or 'none'}: send {' or '.join(TYPES)}"})
            return
        try:
            with self.server.places:
                answer = detector.response(detector.detect(self.server.served, photograph.read(body)))
        except photograph.PhotographError as error:
            self._send(400, {"error": str(error), "reason": error.reason})
        except Exception:  # noqa: BLE001  a request must not end the server, whatever it finds
            _log.exception("an invocation failed")
            self._send(500, {"error": "the model failed at this photograph; its log has the reason"})
        else:
            self._send(200, answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
        """Keeps pings out of the log: there is one every few seconds."""
        # A request whose first line cannot be read has no path.
        if getattr(self, "path", "") != "/ping":
            _log.info(format, *args)

    def _discard(self, length: int) -> None:
        """Reads a body without keeping it: a client that is still sending would not see the answer."""
        left = min(length, DISCARDED_BYTES)
        while left and (block := self.rfile.read(min(left, 1 << 16))):
            left -= len(block)

    def _refuse(self, status: int, reason: str) -> None:
        """Answers without having read the body, so nothing more can be read from this connection."""
        self.close_connection = True
        self._send(status, {"error": reason})

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def server() -> Server:
    """The server as the container's environment asks for it, listening.

    `SM_MODEL_DIR` is the model's folder, `SAGEMAKER_BIND_TO_PORT` the port, `SAGEMAKER_BIND_TO_HOST` the address.

    Raises:
        JobError: there is no detector.
    """
    folder = Path(os.environ.get("SM_MODEL_DIR") or container.opt_ml() / "model")
    # Every address by default: a container is reached from outside of it.
    address = os.environ.get("SAGEMAKER_BIND_TO_HOST", "0.0.0.0")  # noqa: S104
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        return Server((address, port), archive.load(folder), cores)
    except archive.ArchiveError as error:
        raise container.JobError(f"{folder}: {error}") from error


def main() -> None:
    """Serves until SIGTERM, which SageMaker sends before it takes the instance away."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    listening = server()
    # shutdown() waits for serve_forever(), which this thread is in: another one has to call it.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=listening.shutdown).start())
    with listening:
        _log.info("serving on port %d", listening.server_address[1])
        listening.serve_forever()


if __name__ == "__main__":
    sys.exit(container.failing(main))
