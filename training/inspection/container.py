"""The part of SageMaker's contract for containers that a training on one instance needs: `/opt/ml` and its files.

`OPT_ML` names another root where several containers share a file system.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_REASON = 1024
"""Characters of a FailureReason that SageMaker keeps."""


class JobError(Exception):
    """The job cannot be done with what it was given: the message names input, reason and remedy, and needs no trace."""


def opt_ml() -> Path:
    """The root of the container's contract."""
    return Path(os.environ.get("OPT_ML") or "/opt/ml")


def hyperparameters() -> dict[str, str]:
    """The job's hyperparameters without those that SageMaker's SDK adds; empty without a job.

    Raises:
        JobError: their file is no JSON object.
    """
    path = opt_ml() / "input" / "config" / "hyperparameters.json"
    if not path.is_file():
        return {}
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise JobError(f"{path} is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise JobError(f"{path} holds no JSON object")
    return {str(name): str(each) for name, each in given.items() if not name.startswith("sagemaker_")}


def failing(program: Callable[[], None]) -> int:
    """Runs a container's program and gives its exit code; why it failed goes to `output/failure` and to the log."""
    try:
        program()
    except JobError as error:
        reason = str(error)
        print(reason, file=sys.stderr)  # noqa: T201  the container's log is its standard error
    except Exception as error:  # noqa: BLE001  whatever it is, the job must tell it
        reason = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    else:
        return 0
    output = opt_ml() / "output"
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / "failure").write_text(reason[:LONGEST_REASON], encoding="utf-8")
    except OSError as error:  # outside a container there may be no /opt/ml: the log has the reason
        print(f"{output} cannot be written: {error}", file=sys.stderr)  # noqa: T201
    return 1
