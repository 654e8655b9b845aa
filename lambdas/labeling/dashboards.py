"""HTTP API of the labeling dashboards: their specification, their reports' rows and single annotations from Athena."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.console.http import answer, application
from sextant.environment import environment
from sextant.labeling.dashboards import api
from sextant.labeling.dashboards.athena import Lake
from sextant.labeling.dashboards.failures import Failures
from sextant.labeling.dashboards.routes import dashboard_routes
from sextant.labeling.dashboards.state import Refresh

logger = Logger(service="labeling-dashboards")
metrics = Metrics(service="labeling-dashboards")
routes = dashboard_routes(
    aws.client("athena"),
    aws.client("glue"),
    environment(Lake),
    environment(Refresh).WORKFLOW,
    Failures(logger, metrics),
)
app = application("Sextant labeling dashboards", routes, logger, faults=api.FAULTS, fault=api.fault)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload format 2.0)."""
    metrics.add_metric(name="Requests", unit=MetricUnit.Count, value=1)
    return answer(app, event, context)
