"""SageMaker's jobs, models, endpoints and model packages, really run as local processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from localaws.engines.sagemaker.container import sweep
from localaws.engines.sagemaker.jobs import slots_from_environment
from localaws.engines.sagemaker.packages import Packages
from localaws.engines.sagemaker.processing import Processing
from localaws.engines.sagemaker.runtime import Runtime
from localaws.engines.sagemaker.training import Training
from localaws.engines.sagemaker.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Callable

    from localaws.home import Home


class SageMaker(Processing, Training, Transform, Runtime, Packages):
    """The engine. Its public methods are operations of SageMaker and its runtime; `close()` ends what runs.

    Args:
        home: the surroundings.
        slots: process groups of jobs that run at once; from `SEXTANT_SAGEMAKER_SLOTS` when left out.
        grace: seconds that a stopped container has between SIGTERM and SIGKILL.
        clock: epoch seconds, for time stamps.
    """

    def __init__(
        self,
        home: Home,
        *,
        slots: int | None = None,
        grace: float = 120.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(home, clock, slots=slots or slots_from_environment(), grace=grace)
        sweep(Path(home.scratch))
        self._recover_jobs()
        self._recover_endpoints()

    def close(self) -> None:
        """Ends running containers and waits for them. Their jobs become Failed, with that reason."""
        self._close_jobs()
        self._close_endpoints()
        self._asynchronous.shutdown(wait=True, cancel_futures=True)
