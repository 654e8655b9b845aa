"""The job object. There are no bookmarks, so commit() has nothing to save."""

from __future__ import annotations

from typing import Any


class Job:
    """`Job(glueContext).init(name, args)` … `.commit()`."""

    def __init__(self, glue_context: Any = None) -> None:
        self.name = ""

    def init(self, job_name: str, args: dict[str, Any] | None = None) -> None:
        self.name = job_name

    def commit(self) -> None: ...
