"""HTTP API of the labeling system in the console: its runs, its quarantine, and what waits for a person."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.console.http import answer, application
from sextant.console.routes import operation_routes
from sextant.environment import environment
from sextant.labeling.operation import Labeling, Place

logger = Logger(service="labeling-operation")
labeling = Labeling(environment(Place), glue=aws.client("glue"), athena=aws.client("athena"), s3=aws.client("s3"))
app = application("Sextant labeling operation", operation_routes("labeling", labeling, logger), logger)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload format 2.0)."""
    return answer(app, event, context)
