"""What a system must offer so that the console can show and operate it, and how it says that it cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from botocore.exceptions import BotoCoreError, ClientError

from sextant.console.model import Content, Need, Quarantine, Run, RunPage, Step


class OperationError(Exception):
    """A request to a system failed. `status` is the HTTP status to pass on; `remedy` says what the reader can do."""

    def __init__(self, status: int, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.remedy = remedy


class Operation(Protocol):
    """One deployed system. Every method raises `OperationError` and nothing else for what AWS answers."""

    def runs(self, limit: int, after: str | None = None) -> RunPage:
        """Its runs, newest first; `after` is the token of an earlier page."""

    def run(self, run_id: str) -> tuple[Run, tuple[Step, ...]]:
        """One run and its steps, in the order in which they can run."""

    def start(self) -> str:
        """Starts a run and gives its id."""

    def stop(self, run_id: str) -> None:
        """Stops a run; what it has published stays."""

    def quarantine(self, reason: str, find: str, offset: int, limit: int) -> Quarantine:
        """A page of rejected input: of one reason unless empty, with `find` in its source or detail unless empty."""

    def content(self, source: str) -> Content:
        """The beginning of a quarantined object."""

    def replay(self) -> str:
        """Reads quarantined input again; gives the id of the run that does."""

    def needs(self) -> tuple[Need, ...]:
        """What waits for a person."""


@runtime_checkable
class Resuming(Protocol):
    """A system whose runs, once they failed or were stopped, can go on where they ended."""

    def resume(self, run_id: str) -> None:
        """Goes on with a run: what it has done is not done again."""


_CONFLICTS = {
    "ConcurrentRunsExceededException": "A run is in progress: wait for its end, or stop it.",
    "IllegalWorkflowStateException": "It has ended already: reload the page.",
    "ExecutionNotRedrivable": "It goes on already, or ended more than 14 days ago: reload the page, or start a run.",
}
_ABSENT = {"EntityNotFoundException", "NoSuchKey", "404"}
_BUSY = {"ThrottlingException", "TooManyRequestsException", "OperationTimeoutException", "SlowDown"}


@contextmanager
def told(service: str) -> Iterator[None]:
    """Turns what botocore raises into an `OperationError`: 404, 409, 503, else 502."""
    try:
        yield
    except ClientError as error:
        code, reason = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code in _CONFLICTS:
            raise OperationError(409, code, f"{service} refuses: {reason}", _CONFLICTS[code]) from error
        if code in _ABSENT:
            raise OperationError(404, code, f"{service} has no such thing: {reason}", "Go back to the list.") from error
        if code in _BUSY:
            raise OperationError(503, code, f"{service} is busy: {reason}", "Wait a minute, then try again.") from error
        raise OperationError(
            502,
            code,
            f"{service} refused the request: {reason}",
            "Try again; if it stays, the operator finds the cause in the log and the role of the console's function.",
        ) from error
    except BotoCoreError as error:
        raise OperationError(
            502, type(error).__name__, f"{service} cannot be reached: {error}", "Try again later."
        ) from error
