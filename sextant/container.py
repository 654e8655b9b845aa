"""What SageMaker lays out around a container: `/opt/ml` with its configuration files, channels and failure file.

Training jobs find their configuration in `input/config/`, processing jobs in `config/`; the names and contents of the
files are those of SageMaker's contract for containers. `OPT_ML` names another root where several containers share a
file system.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_REASON = 1024
"""Characters of a FailureReason that SageMaker keeps."""


class InputError(Exception):
    """The job cannot be done with what it was given: the message names input, reason and remedy, and needs no trace."""


@dataclass(frozen=True)
class Hosts:
    """The containers of a job: the own position from 0, their count, and their names in order."""

    index: int
    count: int
    names: tuple[str, ...]


def opt_ml() -> Path:
    """The root of the container's contract: `OPT_ML`, else `/opt/ml`."""
    return Path(os.environ.get("OPT_ML") or "/opt/ml")


def hosts() -> Hosts:
    """Who takes part in the job; a program that was started without SageMaker is alone.

    Every host sees the same order: `algo-2` comes before `algo-10`.

    Raises:
        InputError: the resource configuration does not name this host among the hosts.
    """
    found = next((path for path in _configurations("resourceconfig.json") if path.is_file()), None)
    if found is None:
        return Hosts(0, 1, ("algo-1",))
    resources = _json(found)
    current = resources.get("current_host")
    names = tuple(sorted(resources.get("hosts", []), key=_numbered))
    if current not in names:
        raise InputError(f"{found}: current_host {current!r} is not among the hosts {list(names)}")
    return Hosts(names.index(current), len(names), names)


def hyperparameters() -> dict[str, str]:
    """The training job's hyperparameters, all strings as SageMaker hands them over; empty without a job.

    Those that SageMaker's SDK adds for containers of its own are left out.

    Raises:
        InputError: their file is no JSON object.
    """
    path = opt_ml() / "input" / "config" / "hyperparameters.json"
    given = _json(path) if path.is_file() else {}
    return {str(name): str(value) for name, value in given.items() if not name.startswith("sagemaker_")}


def channel(name: str) -> Path:
    """A training job's input channel: a folder, or in Pipe mode the stem of its FIFOs (`{name}_0`, …)."""
    return opt_ml() / "input" / "data" / name


def input_mode(name: str) -> str:
    """`Pipe`, `File` or `FastFile`, as the training job's channel is configured; `File` without a job.

    Raises:
        InputError: the job has channels, but none of this name.
    """
    return str(_input(name).get("TrainingInputMode", "File"))


def is_shared_out(name: str) -> bool:
    """Whether each host has objects of its own of a training job's channel (ShardedByS3Key), and not all of them.

    Raises:
        InputError: as for `input_mode`.
    """
    return _input(name).get("S3DistributionType") == "ShardedByS3Key"


def failing(main: Callable[[], None]) -> int:
    """Runs a container's program and gives its exit code; why it failed goes to SageMaker and to the log.

    SageMaker shows `output/failure` as a training job's FailureReason and `output/message` as a processing job's
    ExitMessage. Faults that the message explains come without a trace; any other is a defect, and the log tells where.
    """
    try:
        main()
    except InputError as error:
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
        for name in ("failure", "message"):
            (output / name).write_text(reason[:LONGEST_REASON], encoding="utf-8")
    except OSError as error:  # outside a container there may be no /opt/ml: the log has the reason
        print(f"{output} cannot be written: {error}", file=sys.stderr)  # noqa: T201
    return 1


def _input(channel: str) -> dict[str, Any]:
    path = opt_ml() / "input" / "config" / "inputdataconfig.json"
    if not path.is_file():
        return {}
    channels = _json(path)
    if channel not in channels:
        raise InputError(f"the training job has no channel {channel!r}, only {sorted(channels)}: add it to its inputs")
    found: dict[str, Any] = channels[channel]
    return found


def _configurations(name: str) -> tuple[Path, Path]:
    return opt_ml() / "input" / "config" / name, opt_ml() / "config" / name


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object")
    return content


def _numbered(name: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.*?)(\d+)", name)
    return (found[1], int(found[2])) if found else (name, -1)
