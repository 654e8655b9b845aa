"""A model's server: SageMaker's `/ping` and `/invocations` over the standard library's threading HTTP server.

It needs no more: SageMaker's own front end takes TLS, authentication, queueing and slow clients off it, answering is
bound by the CPU, and a semaphore bounds how many requests are worked on at a time, so that memory stays bounded. What
an asynchronous framework is good at, many idle connections, does not occur.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sextant import container

if TYPE_CHECKING:
    from collections.abc import Callable

DISCARDED_BYTES = 256 << 20
"""Of a body over the limit, this much is read and thrown away; a longer one finds the connection closed."""

IDLE_SECONDS = 65
"""A connection is closed after so long without a request."""

JSON = "application/json"

_log = logging.getLogger(__name__)


class RequestError(Exception):
    """A request that cannot be answered: `status` is HTTP's; the message names what was sent, reason and remedy.

    `fields` are told to the client beside it.
    """

    def __init__(self, status: int, message: str, **fields: str) -> None:
        super().__init__(message)
        self.status = status
        self.fields = fields


@dataclass(frozen=True)
class Answer:
    """An answer's body and its content type."""

    content_type: str
    body: bytes


class Server(ThreadingHTTPServer):
    """Serves one model.

    Args:
        address: host and port.
        answer: gives the answer to content type, accepted types and body of a request, or raises RequestError.
        max_bytes: of a body.
        at_once: requests that are worked on at a time.
    """

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], answer: Callable[[str, str, bytes], Answer], *, max_bytes: int, at_once: int
    ) -> None:
        self.answer = answer
        self.max_bytes = max_bytes
        self.places = threading.Semaphore(at_once)
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection's requests."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: Server  # pyrefly: ignore[bad-override-mutable-attribute]  the server that made it

    def do_GET(self) -> None:
        """Healthy as soon as it answers: the model is loaded before the port is opened."""
        if self.path == "/ping":
            self._send(200, JSON, b"{}")
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
        if int(length) > self.server.max_bytes:
            self._discard(int(length))
            self._refuse(413, f"the body has {length} bytes of {self.server.max_bytes} allowed: send less at a time")
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True  # the client has gone
            return
        started = time.monotonic()
        try:
            with self.server.places:
                answer = self.server.answer(self.headers.get("Content-Type", ""), self.headers.get("Accept", ""), body)
        except RequestError as error:
            self._send_error(error.status, str(error), **error.fields)
        except Exception:  # noqa: BLE001  a request must not end the server, whatever it finds
            _log.exception("an invocation failed")
            self._send_error(500, "the model failed at this request; its log has the reason")
        else:
            _log.info("%d bytes answered in %.3f s", len(body), time.monotonic() - started)
            self._send(200, answer.content_type, answer.body)

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
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
        self._send_error(status, reason)

    def _send_error(self, status: int, error: str, **fields: str) -> None:
        self._send(status, JSON, json.dumps({"error": error, **fields}).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def model_folder() -> Path:
    """Where the container finds its model: `SM_MODEL_DIR`, else `model` of `/opt/ml`."""
    return Path(os.environ.get("SM_MODEL_DIR") or container.opt_ml() / "model")


def address() -> tuple[str, int]:
    """Where the container is to listen: `SAGEMAKER_BIND_TO_HOST` and `SAGEMAKER_BIND_TO_PORT`."""
    # Every address by default: a container is reached from outside of it.
    host = os.environ.get("SAGEMAKER_BIND_TO_HOST", "0.0.0.0")  # noqa: S104
    return host, int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))


def serve(make: Callable[[], Server]) -> None:
    """Serves until SIGTERM, which SageMaker sends before it takes the instance away."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    listening = make()
    # shutdown() waits for serve_forever(), which this thread is in: another one has to call it.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=listening.shutdown).start())
    with listening:
        _log.info("serving on port %d", listening.server_address[1])
        listening.serve_forever()
