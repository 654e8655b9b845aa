"""HTTP API of the labeling dashboards: their specification, their reports' rows and single annotations from Athena."""

from typing import Annotated, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Body, Path
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import access, aws
from sextant.environment import environment
from sextant.labeling.dashboards import annotations, api, state
from sextant.labeling.dashboards.athena import Answer, Lake
from sextant.labeling.dashboards.failures import Failures

logger = Logger(service="labeling-dashboards")
metrics = Metrics(namespace="Sextant", service="labeling-dashboards")
failures = Failures(logger, metrics)
lake = environment(Lake)
refresh = environment(state.Refresh)
athena = aws.client("athena")
glue = aws.client("glue")
app = APIGatewayHttpResolver(enable_validation=True)
app.use(middlewares=[access.readers_only])
app.configure_openapi(title="Sextant labeling dashboards", version="1.0.0", servers=[])


@app.get("/api/dashboards", summary="The dashboards there are")
def dashboards() -> api.Listing:
    return api.listing()


@app.get("/api/dashboards/<dashboard_id>", summary="One dashboard: its filters, visuals and data sets")
def dashboard(dashboard_id: str) -> api.Page:
    return api.page(dashboard_id)


@app.post("/api/dashboards/<dashboard_id>/query", summary="The rows of one visual")
def query(dashboard_id: str, question: Annotated[api.Question, Body()]) -> Answer:
    return api.answer(athena, lake, dashboard_id, question, failures)


@app.post("/api/dashboards/<dashboard_id>/queries", summary="The rows of several visuals, asked at the same time")
def queries(dashboard_id: str, questions: Annotated[api.Questions, Body()]) -> api.Answers:
    return api.answers(athena, lake, dashboard_id, questions, failures)


@app.get("/api/state", summary="How fresh the data is, and whether new data is being made")
def freshness() -> state.State:
    return state.state(glue, refresh.WORKFLOW)


@app.post("/api/annotations", summary="Single annotations under filters, page by page")
def listed(wanted: Annotated[annotations.Listed, Body()]) -> annotations.AnnotationPage:
    return annotations.annotations(athena, lake, wanted)


@app.get("/api/annotations/<annotation_id>", summary="One annotation with everything known of its frame")
def annotation(annotation_id: Annotated[str, Path(max_length=400)]) -> annotations.AnnotationDetail:
    return annotations.annotation(athena, lake, annotation_id)


@app.exception_handler([RequestValidationError, *api.FAULTS])  # type: ignore[untyped-decorator]  # as Powertools has it
def fault(error: Exception) -> Response[Any]:
    told = api.fault(error)
    logger.warning("request failed", fault=told.model_dump(), status=told.status)
    return Response(told.status, content_types.APPLICATION_JSON, api.Fault(error=told).model_dump_json())


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload format 2.0)."""
    metrics.add_metric(name="Requests", unit=MetricUnit.Count, value=1)
    return app.resolve(event, context)
