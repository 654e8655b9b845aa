"""AWS Glue's crawlers, jobs, triggers and workflows, really run. The Data Catalog itself is the home's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from localaws.engines.glue.jobs import engine_from_environment
from localaws.engines.glue.workflows import Workflows

if TYPE_CHECKING:
    from collections.abc import Callable

    from localaws.engines.glue.process import SparkEngine
    from localaws.home import Home


class Glue(Workflows):
    """The engine. Its public methods are Glue operations; `close()` ends what runs.

    Args:
        home: the surroundings.
        engine: what runs `glueetl` jobs; from `SEXTANT_GLUE_ENGINE` and `SEXTANT_SPARK_PYTHON` when left out.
        clock: epoch seconds, for schedules and time stamps.
        minute: seconds that a minute of a job's Timeout lasts (tests shorten it).
        schedule: whether the schedule thread runs.
    """

    def __init__(
        self,
        home: Home,
        *,
        engine: SparkEngine | None = None,
        clock: Callable[[], float] = time.time,
        minute: float = 60.0,
        schedule: bool = True,
    ) -> None:
        super().__init__(home, clock, engine=engine or engine_from_environment(), minute=minute)
        self._recover_crawlers()
        self._recover_jobs()
        self._recover_workflows()
        if schedule:
            self._thread.start()

    def close(self) -> None:
        """Stops the schedule, ends running scripts and waits for them. Their runs become STOPPED."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        self._stop_all_runs()
        with self._lock:
            self._cancelled.update(c["CrawlId"] for _, c in self._everywhere("crawlers") if c["State"] != "READY")
        self._run_pool.shutdown(wait=True)
        self._crawl_pool.shutdown(wait=True)
        if self._thread.is_alive():
            self._thread.join()
