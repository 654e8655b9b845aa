"""HTTP API of the console itself: which systems there are, and the settings of the environment."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant.console.http import answer, application
from sextant.console.routes import Variables, console_routes
from sextant.environment import environment

logger = Logger(service="console")
app = application("Sextant console", console_routes(environment(Variables).ENVIRONMENT), logger)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload format 2.0)."""
    return answer(app, event, context)
