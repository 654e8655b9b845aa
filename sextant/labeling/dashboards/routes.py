"""The routes of the labeling dashboards: their specification, their reports' rows, single annotations, freshness."""

from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Path
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from sextant.labeling.dashboards import annotations, api, state
from sextant.labeling.dashboards.athena import Answer, Lake

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_glue import GlueClient


def dashboard_routes(
    athena: "AthenaClient", glue: "GlueClient", lake: Lake, workflow: str, failed: api.Failed
) -> APIGatewayHttpRouter:
    """Reports from the lake's tables; `workflow` makes those tables, `failed` is told of each report without rows."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.get("/api/dashboards", summary="The dashboards there are")
    def dashboards() -> api.Listing:
        return api.listing()

    @router.get("/api/dashboards/<dashboard_id>", summary="One dashboard: its filters, visuals and data sets")
    def dashboard(dashboard_id: str) -> api.Page:
        return api.page(dashboard_id)

    @router.post("/api/dashboards/<dashboard_id>/query", summary="The rows of one visual")
    def query(dashboard_id: str, question: Annotated[api.Question, Body()]) -> Answer:
        return api.answer(athena, lake, dashboard_id, question, failed)

    @router.post(
        "/api/dashboards/<dashboard_id>/queries", summary="The rows of several visuals, asked at the same time"
    )
    def queries(dashboard_id: str, questions: Annotated[api.Questions, Body()]) -> api.Answers:
        return api.answers(athena, lake, dashboard_id, questions, failed)

    @router.get("/api/state", summary="How fresh the data is, and whether new data is being made")
    def freshness() -> state.State:
        return state.state(glue, workflow)

    @router.post("/api/annotations", summary="Single annotations under filters, page by page")
    def listed(wanted: Annotated[annotations.Listed, Body()]) -> annotations.AnnotationPage:
        return annotations.annotations(athena, lake, wanted)

    @router.get("/api/annotations/<annotation_id>", summary="One annotation with everything known of its frame")
    def annotation(annotation_id: Annotated[str, Path(max_length=400)]) -> annotations.AnnotationDetail:
        return annotations.annotation(athena, lake, annotation_id)

    return router
