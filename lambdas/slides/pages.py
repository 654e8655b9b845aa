"""HTTP API of the slides pages: cohorts, metrics, and slides with their deep zoom."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.console.http import answer, application
from sextant.environment import environment
from sextant.slides.pages import slide_routes
from sextant.slides.viewing import Place, Slides

logger = Logger(service="slides-pages")
app = application("Sextant slides pages", slide_routes(Slides(environment(Place), aws.client("s3"))), logger)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload format 2.0)."""
    return answer(app, event, context)
