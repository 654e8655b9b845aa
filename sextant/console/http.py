"""The console's API as HTTP: one application shape for every system's function, faults, and conditional requests."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response, content_types
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from sextant.access import ForbiddenError, readers_only
from sextant.console.model import Error, Fault
from sextant.console.operation import OperationError


class _Event(APIGatewayProxyEventV2):
    """API Gateway joins repeated parameters by commas. None of ours repeats: a comma belongs to its value."""

    @property
    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def resolved_query_string_parameters(self) -> dict[str, list[str]]:
        return {name: [value] for name, value in self.query_string_parameters.items()}


class _Resolver(APIGatewayHttpResolver):
    # pyrefly: ignore[missing-override-decorator] - typing.override is Python 3.12
    def _to_proxy_event(self, event: dict[str, Any]) -> _Event:
        return _Event(event)


def fault(error: Exception, remedy: str = "Go back and choose again.") -> Error:
    """Any fault of a request as the API tells it.

    403 no role, 404 no such system, run or object, 409 it runs already or has ended, 422 unusable request, 502 and 503
    from AWS. `remedy` is what to do about an unusable request.
    """
    if isinstance(error, OperationError):
        return Error(status=error.status, code=error.code, message=str(error), remedy=error.remedy)
    if isinstance(error, ForbiddenError):
        return Error(status=403, code="Forbidden", message=str(error), remedy=error.remedy)
    faults: Sequence[Mapping[str, Any]] = error.errors() if isinstance(error, RequestValidationError) else ()
    detail = tuple(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in faults)
    return Error(
        status=422,
        code="BadRequest",
        message=f"the request cannot be used: {'; '.join(detail) or error}",
        remedy=remedy,
        detail=detail,
    )


def application(
    title: str,
    routes: APIGatewayHttpRouter,
    logger: Logger,
    *,
    faults: tuple[type[Exception], ...] = (OperationError,),
    fault: Callable[[Exception], Error] = fault,
) -> APIGatewayHttpResolver:
    """An app over these routes, for people with a role, with validation and OpenAPI; every fault is a `Fault`.

    Args:
        title: of the OpenAPI document.
        routes: what it answers.
        logger: told of every fault.
        faults: what the routes raise, beside what every request may: no role, unusable input.
        fault: how the API tells an exception of either kind.
    """
    app = _Resolver(enable_validation=True)
    app.use(middlewares=[readers_only])
    app.include_router(routes)
    app.configure_openapi(title=title, version="1.0.0", servers=[])

    def told(error: Exception) -> Response[Any]:
        found = fault(error)
        logger.warning("request failed", fault=found.model_dump(), status=found.status)
        return Response(found.status, content_types.APPLICATION_JSON, Fault(error=found).model_dump_json())

    app.exception_handler([RequestValidationError, ForbiddenError, *faults])(told)
    return app


def answer(app: APIGatewayHttpResolver, event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The app's answer to an event of an HTTP API, 304 where the caller has it already."""
    return conditional(event, app.resolve(event, context))


def conditional(event: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """A Lambda proxy answer with an ETag, or 304 without a body where the caller has that very answer (RFC 9110 §13).

    Only successful GETs take part. One that says how long it may be kept stays as it is.
    """
    if event["requestContext"]["http"]["method"] != "GET" or answer["statusCode"] != 200:
        return answer
    tag = f'"{hashlib.sha256(str(answer["body"]).encode()).hexdigest()[:32]}"'
    headers = {"Cache-Control": "private, no-cache", **answer.get("headers", {}), "ETag": tag}
    # API Gateway gives header names in lower case. A proxy on the way may weaken the tag it passes on.
    known = [each.strip().removeprefix("W/") for each in event.get("headers", {}).get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        kept = {name: value for name, value in headers.items() if name.lower() != "content-type"}
        return {**answer, "statusCode": 304, "headers": kept, "body": ""}
    return {**answer, "headers": headers}
