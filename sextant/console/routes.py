"""The routes of the console's API: those of the console itself, and those that every system's own function answers.

A system more brings a class that satisfies `operation.Operation` and a short handler; these routes are its API.
"""

import platform
from typing import Annotated, get_args

import boto3
import pydantic
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from aws_lambda_powertools.shared.version import VERSION as POWERTOOLS

from sextant import access
from sextant.console import model
from sextant.console.operation import Operation, OperationError, Resuming

SystemPath = Annotated[model.SystemId, Path(description="One of the six systems")]
RunPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,255}$", description="As in the list of runs")]


class Variables(pydantic.BaseModel):
    """The environment of the console's function: the environment file as it was deployed."""

    model_config = pydantic.ConfigDict(frozen=True)

    ENVIRONMENT: pydantic.Json[model.EnvironmentSettings]


def console_routes(environment: model.EnvironmentSettings) -> APIGatewayHttpRouter:
    """What the console says without asking any system."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]
    versions = {
        "Sextant": environment.version,
        "Python": platform.python_version(),
        "Powertools for AWS Lambda": POWERTOOLS,
        "pydantic": pydantic.VERSION,
        "boto3": boto3.__version__,
    }

    @router.get("/api/systems", summary="The six systems, and which of them this environment has")
    def systems() -> model.Systems:
        listed = (
            model.Listed(id=each, deployed=each in environment.systems, available=each in environment.available)
            for each in get_args(model.SystemId)
        )
        return model.Systems(environment=environment.name, systems=tuple(listed))

    @router.get("/api/settings", summary="The environment as deployed, its versions, and the caller's roles")
    def settings() -> model.Settings:
        roles = tuple(sorted(access.roles(router.current_event.raw_event)))
        return model.Settings(you=model.You(roles=roles), environment=environment, versions=versions)

    return router


def operation_routes(name: model.SystemId, operation: Operation, logger: Logger) -> APIGatewayHttpRouter:
    """The routes of one deployed system. Whoever starts, stops or replays is an administrator, and is logged."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    def asked(system: str) -> Operation:
        if system != name:
            raise OperationError(404, "NotDeployed", f"{system!r} is not deployed here", "Choose a system that is.")
        return operation

    def changing(system: str, what: str) -> Operation:
        event = router.current_event.raw_event
        access.admins_only(event, what)
        logger.info("an administrator will %s", what, system=system, sub=access.claims(event).get("sub"))
        return asked(system)

    def allowed(*actions: model.Action) -> tuple[model.Action, ...]:
        return actions if "admin" in access.roles(router.current_event.raw_event) else ()

    def detailed(found: Operation, run_id: str) -> model.RunDetail:
        run, steps = found.run(run_id)
        actions: tuple[model.Action, ...] = ("stop",) if run.state == "running" else ()
        if run.state in ("failed", "stopped") and isinstance(found, Resuming):
            actions = ("resume",)
        return model.RunDetail(**dict(run), steps=steps, allowed=allowed(*actions))

    @router.get("/api/systems/<system>", summary="A system's state and its last run")
    def state(system: SystemPath) -> model.System:
        runs = asked(system).runs(1).runs
        return model.System(id=name, state=_state(runs[0] if runs else None), last_run=runs[0] if runs else None)

    @router.get("/api/systems/<system>/attention", summary="What of a system waits for a person")
    def attention(system: SystemPath) -> model.Attention:
        return model.Attention(needs=asked(system).needs())

    @router.get("/api/runs/<system>", summary="The runs of a system, newest first")
    def runs(
        system: SystemPath,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        after: Annotated[str | None, Query(max_length=4000, description="`next` of the page before")] = None,
    ) -> model.Runs:
        page = asked(system).runs(limit, after)
        return model.Runs(runs=page.runs, next=page.next, allowed=allowed("start"))

    @router.post("/api/runs/<system>", summary="Start a run (administrators)")
    def start(system: SystemPath) -> model.Started:
        return model.Started(system=name, id=changing(system, "start a run").start())

    @router.get("/api/runs/<system>/<run_id>", summary="One run with its steps")
    def run(system: SystemPath, run_id: RunPath) -> model.RunDetail:
        return detailed(asked(system), run_id)

    @router.post("/api/runs/<system>/<run_id>/stop", summary="Stop a run (administrators)")
    def stop(system: SystemPath, run_id: RunPath) -> model.RunDetail:
        found = changing(system, "stop a run")
        found.stop(run_id)
        return detailed(found, run_id)

    @router.post("/api/runs/<system>/<run_id>/resume", summary="Go on where a run ended (administrators)")
    def resume(system: SystemPath, run_id: RunPath) -> model.RunDetail:
        found = changing(system, "go on with a run")
        if not isinstance(found, Resuming):
            raise OperationError(
                409, "BeginsAnew", f"Runs of {system} cannot go on: each reads its whole input", "Start a run."
            )
        found.resume(run_id)
        return detailed(found, run_id)

    @router.get("/api/quarantine/<system>", summary="Rejected input with its reasons")
    def quarantine(
        system: SystemPath,
        reason: Annotated[str, Query(max_length=200, description="Only this reason")] = "",
        find: Annotated[str, Query(max_length=200, description="Only with this in source or detail")] = "",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> model.Quarantine:
        found = asked(system).quarantine(reason, find, offset, limit)
        return found.model_copy(update={"allowed": allowed("replay")})

    @router.get("/api/quarantine/<system>/content", summary="The first bytes of a quarantined object")
    def content(system: SystemPath, source: Annotated[str, Query(min_length=1, max_length=1100)]) -> model.Content:
        return asked(system).content(source)

    @router.post("/api/quarantine/<system>/replay", summary="Read quarantined input again (administrators)")
    def replay(system: SystemPath) -> model.Started:
        return model.Started(system=name, id=changing(system, "replay quarantined input").replay())

    return router


def _state(last: model.Run | None) -> model.SystemState:
    if last is None:
        return "ready"
    if last.state in ("running", "stopping"):
        return "running"
    return "failed" if last.state == "failed" else "ready"
