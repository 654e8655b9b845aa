"""The routes of the console's API, with their documentation."""

from collections.abc import Mapping
from typing import Annotated

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from sextant import access
from sextant.console import api, model
from sextant.console.operation import Operation

SystemPath = Annotated[model.SystemId, Path(description="One of the six systems")]
RunPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,255}$", description="As in the list of runs")]


def routes(
    systems: Mapping[model.SystemId, Operation], environment: model.EnvironmentSettings, logger: Logger
) -> APIGatewayHttpRouter:
    """A router over the deployed systems. Whoever starts, stops or replays is an administrator, and is logged."""
    router = APIGatewayHttpRouter()

    def roles() -> frozenset[access.Role]:
        return access.roles(router.current_event.raw_event)

    def changing(system: str, what: str) -> Operation:
        event = router.current_event.raw_event
        access.admins_only(event, what)
        logger.info("an administrator will %s", what, system=system, sub=access.claims(event).get("sub"))
        return api.operation(systems, system)

    @router.get("/api/systems", summary="The six systems: which are deployed here, and how their last run went")
    def list_systems() -> model.Systems:
        return api.systems(systems, environment)

    @router.get("/api/systems/<system>/attention", summary="What of a system waits for a person")
    def attention(system: SystemPath) -> model.Attention:
        return api.attention(api.operation(systems, system))

    @router.get("/api/runs/<system>", summary="The runs of a system, newest first")
    def list_runs(
        system: SystemPath,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        after: Annotated[str | None, Query(max_length=4000, description="`next` of the page before")] = None,
    ) -> model.Runs:
        return api.runs(api.operation(systems, system), roles(), limit, after)

    @router.post("/api/runs/<system>", summary="Start a run (administrators)")
    def start(system: SystemPath) -> model.Started:
        return api.started(system, changing(system, "start a run").start)

    @router.get("/api/runs/<system>/<run_id>", summary="One run with its steps")
    def one_run(system: SystemPath, run_id: RunPath) -> model.RunDetail:
        return api.run(api.operation(systems, system), roles(), run_id)

    @router.post("/api/runs/<system>/<run_id>/stop", summary="Stop a run (administrators)")
    def stop(system: SystemPath, run_id: RunPath) -> model.RunDetail:
        found = changing(system, "stop a run")
        found.stop(run_id)
        return api.run(found, roles(), run_id)

    @router.get("/api/quarantine/<system>", summary="Rejected input with its reasons")
    def quarantine(
        system: SystemPath,
        reason: Annotated[str, Query(max_length=200, description="Only this reason")] = "",
        find: Annotated[str, Query(max_length=200, description="Only with this in source or detail")] = "",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> model.Quarantine:
        found = api.operation(systems, system)
        return api.quarantine(found, roles(), reason=reason, find=find, offset=offset, limit=limit)

    @router.get("/api/quarantine/<system>/content", summary="The first bytes of a quarantined object")
    def content(system: SystemPath, source: Annotated[str, Query(min_length=1, max_length=1100)]) -> model.Content:
        return api.content(api.operation(systems, system), source)

    @router.post("/api/quarantine/<system>/replay", summary="Read quarantined input again (administrators)")
    def replay(system: SystemPath) -> model.Started:
        return api.started(system, changing(system, "replay quarantined input").replay)

    @router.get("/api/settings", summary="The environment as deployed, its versions, and the caller's roles")
    def settings() -> model.Settings:
        return api.settings(environment, roles())

    return router
