"""HTTP API of the inspection system in the console: its trainings, its quarantine, and what waits for a person."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.console.http import answer, application
from sextant.console.routes import operation_routes
from sextant.environment import environment
from sextant.inspection.api import wiring
from sextant.inspection.operation import Inspection, Place

logger = Logger(service="inspection-operation")
inspection = Inspection(wiring.services(), aws.client("stepfunctions"), environment(Place))
app = application("Sextant inspection operation", operation_routes("inspection", inspection, logger), logger)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload format 2.0)."""
    return answer(app, event, context)
