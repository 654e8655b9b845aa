"""HTTP API of the slides system in the console: its runs, its quarantine, and what waits for a person."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.console.http import answer, application
from sextant.console.routes import operation_routes
from sextant.environment import environment
from sextant.slides.operation import Place, Slides

logger = Logger(service="slides-operation")
slides = Slides(
    environment(Place),
    stepfunctions=aws.client("stepfunctions"),
    sagemaker=aws.client("sagemaker"),
    s3=aws.client("s3"),
)
app = application("Sextant slides operation", operation_routes("slides", slides, logger), logger)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload format 2.0)."""
    return answer(app, event, context)
