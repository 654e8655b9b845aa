"""The console's HTTP API without HTTP: a function per route over the deployed systems, every fault in one shape.

A system more is one entry in `systems.py` and a module that satisfies `operation.Operation`.
"""

from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, get_args

import boto3
import pydantic
from aws_lambda_powertools.shared.version import VERSION as POWERTOOLS_VERSION

from sextant.access import ForbiddenError
from sextant.console.model import (
    Action,
    Attention,
    EnvironmentSettings,
    Error,
    Quarantine,
    RunDetail,
    Runs,
    Settings,
    Started,
    System,
    SystemId,
    Systems,
    You,
)
from sextant.console.operation import OperationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sextant.access import Role
    from sextant.console.model import Content, SystemState
    from sextant.console.operation import Operation

FAULTS = (ForbiddenError, OperationError)
"""What the functions here and the checks of roles raise; `fault` turns them into the API's error shape."""

_RUNNING = ("running", "stopping")


def systems(deployed: Mapping[SystemId, Operation], environment: EnvironmentSettings) -> Systems:
    """All six, in their fixed order. A system whose runs cannot be read has the state `unknown` and says why."""

    def described(name: SystemId) -> System:
        available = name in environment.available
        if name not in deployed:
            return System(id=name, state="absent", available=available)
        try:
            runs = deployed[name].runs(1).runs
        except OperationError as error:
            return System(id=name, state="unknown", available=available, fault=str(error))
        last = runs[0] if runs else None
        state: SystemState = "ready"
        if last and last.state in _RUNNING:
            state = "running"
        elif last and last.state == "failed":
            state = "failed"
        return System(id=name, state=state, available=available, last_run=last)

    names: tuple[SystemId, ...] = get_args(SystemId)
    with ThreadPoolExecutor(len(names)) as pool:
        return Systems(environment=environment.name, systems=tuple(pool.map(described, names)))


def operation(deployed: Mapping[SystemId, Operation], system: str) -> Operation:
    """Raises `OperationError` 404 for a system that is not deployed here."""
    for name, found in deployed.items():
        if name == system:
            return found
    there = ", ".join(sorted(deployed)) or "none"
    raise OperationError(
        404, "NotDeployed", f"{system!r} is not deployed here: there are {there}", "Choose one that is."
    )


def attention(found: Operation) -> Attention:
    return Attention(needs=found.needs())


def runs(found: Operation, roles: frozenset[Role], limit: int, after: str | None) -> Runs:
    page = found.runs(limit, after)
    return Runs(runs=page.runs, next=page.next, allowed=_allowed(roles, "start"))


def run(found: Operation, roles: frozenset[Role], run_id: str) -> RunDetail:
    told, steps = found.run(run_id)
    allowed = _allowed(roles, "stop") if told.state == "running" else ()
    return RunDetail(**dict(told), steps=steps, allowed=allowed)


def started(system: SystemId, start: Callable[[], str]) -> Started:
    return Started(system=system, id=start())


def quarantine(
    found: Operation, roles: frozenset[Role], *, reason: str, find: str, offset: int, limit: int
) -> Quarantine:
    return found.quarantine(reason, find, offset, limit).model_copy(update={"allowed": _allowed(roles, "replay")})


def content(found: Operation, source: str) -> Content:
    return found.content(source)


def settings(environment: EnvironmentSettings, roles: frozenset[Role]) -> Settings:
    """The environment as deployed, what serves it, and who asks."""
    versions = {
        "Sextant": environment.version,
        "Python": platform.python_version(),
        "Powertools for AWS Lambda": POWERTOOLS_VERSION,
        "pydantic": pydantic.VERSION,
        "boto3": boto3.__version__,
    }
    return Settings(you=You(roles=tuple(sorted(roles))), environment=environment, versions=versions)


def fault(error: Exception) -> Error:
    """Any fault of a request as the API tells it.

    403 no role, 404 no such system, run or object, 409 it runs already or has ended, 422 unusable request, 502 and 503
    from AWS.
    """
    if isinstance(error, OperationError):
        return Error(status=error.status, code=error.code, message=str(error), remedy=error.remedy)
    if isinstance(error, ForbiddenError):
        return Error(status=403, code="Forbidden", message=str(error), remedy=error.remedy)
    faults: list[dict[str, Any]] = list(getattr(error, "errors", list)())
    detail = tuple(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in faults)
    return Error(
        status=422,
        code="BadRequest",
        message=f"the request cannot be used: {'; '.join(detail) or error}",
        remedy="Go back and choose again.",
        detail=detail,
    )


def _allowed(roles: frozenset[Role], *actions: Action) -> tuple[Action, ...]:
    return actions if "admin" in roles else ()
