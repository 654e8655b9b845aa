"""What can be wrong with a slide or with a record."""

from __future__ import annotations


class SlideError(Exception):
    """A slide that cannot be used: it goes to quarantine, the others go on.

    `reason` is one of few short phrases, to count by; `detail` names the input, what was found and the remedy.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both, or it could not come back from another process
        self.reason = reason
        self.detail = detail

    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class RecordError(ValueError):
    """A record that cannot be read. The message names the shard, the record and the reason."""
