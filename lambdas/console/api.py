"""HTTP API of the console: systems, their runs and quarantine, and the settings of the environment."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import access
from sextant.console import api
from sextant.console.http import conditional
from sextant.console.model import Fault
from sextant.console.routes import routes
from sextant.console.systems import Variables, operations
from sextant.environment import environment

logger = Logger(service="console")
variables = environment(Variables)
app = APIGatewayHttpResolver(enable_validation=True)
app.use(middlewares=[access.readers_only])
app.include_router(routes(operations(variables), variables.ENVIRONMENT, logger))
app.configure_openapi(title="Sextant console", version="1.0.0", servers=[])


@app.exception_handler([RequestValidationError, *api.FAULTS])  # type: ignore[untyped-decorator]  # as Powertools has it
def fault(error: Exception) -> Response[Any]:
    told = api.fault(error)
    logger.warning("request failed", fault=told.model_dump(), status=told.status)
    return Response(told.status, content_types.APPLICATION_JSON, Fault(error=told).model_dump_json())


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers one request of an HTTP API (payload format 2.0)."""
    return conditional(event, app.resolve(event, context))
