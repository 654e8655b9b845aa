"""The model's server: SageMaker's `/ping` and `/invocations` over the standard library's threading HTTP server.

It needs no more: SageMaker's own front end takes TLS, authentication, queueing and slow clients off it, answering is
bound by the CPU, and a lock keeps one request on all cores at a time, so that memory stays that of one batch. What an
asynchronous framework is good at, many idle connections, does not occur.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sextant.slides import container, encoder, model, serving

if TYPE_CHECKING:
    from sextant.slides.serving import Service

MAX_PAYLOAD_MB = 6
"""InvokeEndpoint's limit; a transform job tells its own in SAGEMAKER_MAX_PAYLOAD_IN_MB."""

LARGEST_PAYLOAD_MB = 100
"""The most that a transform job can set."""

DISCARDED_BYTES = 256 << 20
"""Of a body over the limit, this much is read and thrown away; a longer one finds the connection closed."""

IDLE_SECONDS = 65
"""A connection is closed after so long without a request."""

_log = logging.getLogger(__name__)


class Server(ThreadingHTTPServer):
    """Serves one model."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], service: Service, max_bytes: int) -> None:
        self.service = service
        self.max_bytes = max_bytes
        self.scoring = threading.Lock()
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection's requests."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: Server

    def do_GET(self) -> None:
        """Healthy as soon as it answers: the model is loaded before the port is opened."""
        if self.path == "/ping":
            self._send(200, "application/json", b"{}")
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
            self._refuse(
                413, f"the body has {length} bytes of {self.server.max_bytes} allowed: send fewer tiles at a time"
            )
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True  # the client has gone
            return
        started = time.monotonic()
        try:
            with self.server.scoring:
                answer = serving.answer(
                    self.server.service, self.headers.get("Content-Type", ""), self.headers.get("Accept", ""), body
                )
        except serving.RequestError as error:
            self._send_error(error.status, str(error))
        except encoder.EncoderError as error:
            self._send_error(422, str(error))
        except Exception:  # noqa: BLE001  a request must not end the server, whatever it finds
            _log.exception("an invocation failed")
            self._send_error(500, "the model failed at this request; its log has the reason")
        else:
            _log.info("%d bytes answered in %.3f s", len(body), time.monotonic() - started)
            self._send(200, answer.content_type, answer.body)

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

    def _send_error(self, status: int, reason: str) -> None:
        self._send(status, "application/json", json.dumps({"error": reason}).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def server() -> Server:
    """The server as the container's environment asks for it, listening.

    `SM_MODEL_DIR` is the model's folder, `SAGEMAKER_BIND_TO_PORT` the port, `SAGEMAKER_BIND_TO_HOST` the address.

    Raises:
        InputError: there is no model, or not the encoder it was trained with.
    """
    folder = Path(os.environ.get("SM_MODEL_DIR") or container.opt_ml() / "model")
    # Every address by default: a container is reached from outside of it.
    address = os.environ.get("SAGEMAKER_BIND_TO_HOST", "0.0.0.0")  # noqa: S104
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    # A transform job without a limit tells 0; what it may ask for at most is the limit then.
    megabytes = int(os.environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB") or MAX_PAYLOAD_MB) or LARGEST_PAYLOAD_MB
    try:
        service = serving.service(model.load(folder), encoder.default_threads(), folder)
    except (model.ModelError, encoder.EncoderError) as error:
        raise container.InputError(str(error)) from error
    return Server((address, port), service, megabytes << 20)


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
