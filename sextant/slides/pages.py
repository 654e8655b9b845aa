"""The routes of the slides pages: a run's cohort, metrics and files, and a slide with the tiles of its deep zoom."""

import base64
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from sextant.slides import pages_model as model
from sextant.slides.viewing import Slides

RunPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,255}$", description="As in the list of runs")]
SlidePath = Annotated[str, Path(pattern=r"^[^\W_][\w .,()+=@-]*$", max_length=180, description="As in slides.csv")]
VersionPath = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="`version` of the slide's page")]
Number = Annotated[int, Path(ge=0, le=10_000_000)]

_KEEP = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Authorization"}
"""Another content has another version, and so another address: what was fetched never goes stale. It is a patient's:
only the browser may keep it, and gives it out to the token only that it was fetched with, so that who signs in after
another at the same machine is asked for a role of their own. The cost: a renewed token fetches its tiles once more."""
_JPEG: dict[int, Any] = {
    200: {"description": "A JPEG", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}


def slide_routes(slides: Slides) -> APIGatewayHttpRouter:
    """Reads of one bucket of runs and of the slides they were made of."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.get("/api/slides/<run>/cohort", summary="The slides of a run: split, state, tiles, prediction")
    def cohort(run: RunPath) -> model.Cohort:
        return slides.cohort(run)

    @router.get("/api/slides/<run>/metrics", summary="How good the run's model is on its test slides")
    def metrics(run: RunPath) -> model.Metrics:
        return slides.metrics(run)

    @router.get("/api/slides/<run>/artefacts", summary="The files of a run")
    def artefacts(
        run: RunPath, find: Annotated[str, Query(max_length=200, description="Part of a file's name")] = ""
    ) -> model.Artefacts:
        return slides.artefacts(run, find)

    @router.get("/api/slides/<run>/download", summary="A short-lived link to a file of a run")
    def download(
        run: RunPath, name: Annotated[str, Query(min_length=1, max_length=700, description="As in the list of files")]
    ) -> model.Download:
        return slides.download(run, name)

    @router.get("/api/slides/<run>/slides/<slide>", summary="A slide: its levels, its tiles and their scores")
    def slide(run: RunPath, slide: SlidePath) -> model.SlidePage:
        return slides.slide(run, slide)

    @router.get(
        "/api/slides/<run>/slides/<slide>/tiles/<version>/<level>/<column>/<row>",
        summary="A tile of a slide's deep zoom, level 0 being the largest",
        responses=_JPEG,
    )
    def tile(  # noqa: PLR0917  parts of a path
        run: RunPath, slide: SlidePath, version: VersionPath, level: Number, column: Number, row: Number
    ) -> Response[str]:
        body = slides.tile(run, slide, version, level, column, row)
        found = Response(200, "image/jpeg", base64.b64encode(body).decode(), headers=dict(_KEEP))
        found.base64_encoded = True  # as it would make of bytes, which its validation of answers takes for text
        return found

    return router
