"""A model's container as a server: `serve` on a port of 127.0.0.1, /ping and /invocations."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from localaws.engines.sagemaker.container import Container

PING_SECONDS = 2.0
POLL = 0.05


class ServerError(Exception):
    """A server that does not start or does not answer; the message says how."""


class NoAnswerError(ServerError):
    """The time of a request was over before the answer came."""


class NotReachedError(ServerError):
    """Nobody listened: the request did not get there and can be made again."""


@dataclass(frozen=True)
class Answer:
    """What a container answered. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace").strip()


@dataclass
class ModelServer:
    """A started server. `failures` counts pings in a row that went wrong."""

    container: Container
    port: int
    failures: int = field(default=0)

    @property
    def running(self) -> bool:
        return self.container.exit_code is None

    def healthy(self) -> bool:
        """Whether /ping answers 200 within two seconds, as SageMaker wants it."""
        try:
            return self._ask("GET", "/ping", b"", {}, PING_SECONDS).status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def await_health(self, stop: threading.Event, seconds: float) -> bool:
        """Waits until it answers; False when `stop` was set.

        Raises:
            ServerError: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + seconds
        while not stop.is_set():
            if not self.running:
                raise ServerError(f"the container ended with exit code {self.container.exit_code} before it served")
            if self.healthy():
                return True
            if time.monotonic() > deadline:
                raise ServerError(f"the container did not pass the ping health check within {seconds:g} seconds")
            stop.wait(POLL)
        return False

    def invoke(self, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
        """POST /invocations.

        Raises:
            ServerError: no answer in time, or the connection broke.
        """
        try:
            return self._ask("POST", "/invocations", body, headers, seconds)
        except TimeoutError as error:
            raise NoAnswerError(f"no answer within {seconds:g} seconds") from error
        except ConnectionRefusedError as error:
            raise NotReachedError("nobody listens at the container's port") from error
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"the connection to the container broke: {error or type(error).__name__}") from error

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body or None, dict(headers))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()
