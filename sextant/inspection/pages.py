"""The routes of the inspection pages: anybody with a role looks, administrators change."""

import base64
from typing import Annotated, Any, Literal

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from sextant import access
from sextant.inspection import pages_changing as changing
from sextant.inspection import pages_dashboard, pages_doctor, pages_pictures
from sextant.inspection import pages_model as model
from sextant.inspection import pages_reading as reading
from sextant.inspection.cost import HOURS
from sextant.inspection.pages_desk import Desk

ProjectPath = Annotated[str, Path(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}$", description="As in the list")]
VersionPath = Annotated[int, Path(ge=1, description="Number of a model version")]
TrialPath = Annotated[str, Path(pattern=model.TRIAL, max_length=255, description="As in the project's page")]
SourceQuery = Annotated[str, Query(max_length=1100, description="URI of a photograph")]
ItemQuery = Annotated[str, Query(pattern=r"^([0-9a-f]{24})?$", description="`item` of a verdict")]
Pixels = Annotated[int, Query(ge=32, le=1600, description="Most pixels a side")]
Part = Annotated[str, Query(max_length=255)]

_KEEP = {"Cache-Control": "private, max-age=600", "Vary": "Authorization"}
"""A photograph may be replaced under its name: what was fetched is good for ten minutes, and for its reader only."""


def _of(kind: str) -> dict[int, Any]:
    told = {"description": "A picture", "content": {kind: {"schema": {"type": "string", "format": "binary"}}}}
    return {200: told}


def inspection_routes(desk: Desk, logger: Logger) -> APIGatewayHttpRouter:
    """Reads and changes of projects, datasets, models and what waits for a person."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]
    begin = "/api/inspection/projects"

    def may_change() -> bool:
        return "admin" in access.roles(router.current_event.raw_event)

    def admin(what: str, project: str) -> str:
        """Who the caller is, an administrator."""
        event = router.current_event.raw_event
        access.admins_only(event, what)
        who = str(access.claims(event).get("sub", "unknown"))
        logger.info("an administrator will %s", what, project=project, sub=who)
        return who

    def picture(kind: str, body: bytes) -> Response[str]:
        found = Response(200, kind, base64.b64encode(body).decode(), headers=dict(_KEEP))
        found.base64_encoded = True  # as it would make of bytes, which its validation of answers takes for text
        return found

    @router.get(begin, summary="The projects")
    def projects() -> model.Projects:
        return reading.projects(desk).model_copy(update={"may_change": may_change()})

    @router.post(begin, summary="Make a project (administrators)")
    def create(asked: model.NewProject) -> model.Done:
        admin("make a project", asked.project)
        return changing.create(desk, asked.project)

    @router.get(f"{begin}/<project>", summary="A project with its datasets and trials")
    def project(project: ProjectPath) -> model.ProjectPage:
        return reading.project(desk, project).model_copy(update={"may_change": may_change()})

    @router.get(f"{begin}/<project>/photographs", summary="A page of a dataset")
    def photographs(  # noqa: PLR0917  parts of a path and a query
        project: ProjectPath,
        kind: model.Kind = "train",
        label: Literal["", "normal", "anomaly", "none"] = "",
        find: Part = "",
        after: Annotated[str, Query(max_length=2000, description="`next` of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 60,
    ) -> model.Entries:
        found = reading.entries(desk, project, kind, label=label, find=find, token=after, most=limit)
        return found.model_copy(update={"may_change": may_change()})

    @router.get(f"{begin}/<project>/picture", summary="A photograph, small", responses=_of("image/jpeg"))
    def photograph(project: ProjectPath, source: SourceQuery, px: Pixels = 320) -> Response[str]:
        return picture("image/jpeg", pages_pictures.picture(desk, project, source, px))

    @router.get(f"{begin}/<project>/mask", summary="What is anomalous in a photograph", responses=_of("image/png"))
    def mask(project: ProjectPath, item: ItemQuery = "", source: SourceQuery = "", px: Pixels = 320) -> Response[str]:
        return picture("image/png", pages_pictures.mask(desk, project, px, item=item, source=source))

    @router.post(f"{begin}/<project>/import", summary="Photographs into a dataset (administrators)")
    def load(project: ProjectPath, asked: model.Import) -> model.Done:
        admin("import photographs", project)
        return changing.load(desk, project, asked)

    @router.post(f"{begin}/<project>/labels", summary="Change labels (administrators)")
    def label(project: ProjectPath, asked: model.Labels) -> model.Done:
        admin("change labels", project)
        return changing.label(desk, project, asked)

    @router.get(f"{begin}/<project>/doctor", summary="What the data doctor found")
    def doctor(project: ProjectPath) -> model.Doctor:
        return pages_doctor.report(desk.services, project).model_copy(update={"may_change": may_change()})

    @router.post(f"{begin}/<project>/doctor", summary="Examine the datasets (administrators)")
    def examine(project: ProjectPath) -> model.Done:
        admin("examine the datasets", project)
        return pages_doctor.ask(desk.services, desk.examine, project)

    @router.get(f"{begin}/<project>/models", summary="The versions of a project's model")
    def models(project: ProjectPath) -> model.Models:
        return reading.versions(desk, project).model_copy(update={"may_change": may_change()})

    @router.get(f"{begin}/<project>/models/<version>", summary="How good a version is")
    def version(project: ProjectPath, version: VersionPath) -> model.ModelPage:
        return reading.version(desk, project, version).model_copy(update={"may_change": may_change()})

    @router.post(f"{begin}/<project>/train", summary="Train a new version (administrators)")
    def train(project: ProjectPath) -> model.Done:
        admin("train a model", project)
        return changing.train(desk, project)

    @router.post(f"{begin}/<project>/host", summary="Start or stop a version (administrators)")
    def host(project: ProjectPath, asked: model.Host) -> model.Done:
        admin("start or stop a model", project)
        return changing.host(desk, project, asked)

    @router.post(f"{begin}/<project>/promote", summary="Make a version the champion (administrators)")
    def promote(project: ProjectPath, asked: model.Chosen) -> model.Done:
        return changing.promote(desk, project, asked.version, admin("promote a model", project))

    @router.post(f"{begin}/<project>/rollback", summary="Go back to the champion before (administrators)")
    def roll_back(project: ProjectPath) -> model.Done:
        return changing.roll_back(desk, project, admin("roll back a model", project))

    @router.post(f"{begin}/<project>/freeze", summary="Freeze a version's test photographs (administrators)")
    def freeze(project: ProjectPath, asked: model.Chosen) -> model.Done:
        admin("freeze test photographs", project)
        return changing.freeze(desk, project, asked.version)

    @router.get(f"{begin}/<project>/trials/<trial>", summary="The photographs of a trial")
    def trial(project: ProjectPath, trial: TrialPath) -> model.Verdicts:
        return reading.trial(desk, project, trial).model_copy(update={"may_change": may_change()})

    @router.post(f"{begin}/<project>/trials", summary="Run a trial detection (administrators)")
    def attempt(project: ProjectPath, asked: model.Try) -> model.Done:
        admin("run a trial", project)
        return changing.attempt(desk, project, asked)

    @router.get(f"{begin}/<project>/review", summary="What waits for a person, or what was rejected or accepted")
    def review(project: ProjectPath, show: model.Shown = "waiting") -> model.Verdicts:
        return reading.review(desk, project, show).model_copy(update={"may_change": may_change()})

    @router.post(f"{begin}/<project>/verify", summary="Say whether predictions are correct (administrators)")
    def verify(project: ProjectPath, asked: model.Verify) -> model.Done:
        return changing.verify(desk, project, asked, admin("verify predictions", project))

    @router.post(f"{begin}/<project>/add", summary="Verified photographs into the dataset (administrators)")
    def add(project: ProjectPath) -> model.Done:
        admin("add verified photographs", project)
        return changing.add(desk, project)

    @router.get(f"{begin}/<project>/live", summary="The newest verdicts of a belt")
    def live(project: ProjectPath, line: Part = "", camera: Part = "") -> model.Live:
        return reading.live(desk, project, line, camera)

    @router.get(f"{begin}/<project>/dashboard", summary="Items, anomalies and their ratio in a window")
    def dashboard(project: ProjectPath, span: model.Span = "1d") -> model.Dashboard:
        return pages_dashboard.dashboard(desk, project, span)

    @router.get(f"{begin}/<project>/drift", summary="Whether cameras and scores are as in training")
    def drift(project: ProjectPath) -> model.Drift:
        return reading.drift(desk, project)

    @router.get("/api/inspection/costs", summary="What an item costs at a rate, by what answers")
    def costs(
        rate: Annotated[float, Query(gt=0, le=1000, description="Items per second")] = 1,
        hours: Annotated[float, Query(gt=0, le=744, description="Of a month in which the belt runs")] = HOURS,
    ) -> model.Costs:
        return reading.costs(rate, hours)

    return router
