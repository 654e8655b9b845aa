"""Requests and answers of REST-JSON by the service model, over events of an HTTP API (payload format 2.0)."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, unquote

from botocore.model import ServiceModel

from sextant.inspection.api.errors import ApiError, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel

    # botocore picks a shape's class by its JSON at run time; its stubs cannot follow.
    Shape: TypeAlias = Any

Document: TypeAlias = dict[str, Any]

MODELS = Path(__file__).parent / "model"
"""A folder for botocore's data path (AWS_DATA_PATH): it holds the service model of `lookoutvision`."""

ROOT = "/2020-11-20/"
"""What every path of the API begins with."""


@cache
def service() -> ServiceModel:
    """The service model."""
    path = MODELS / "lookoutvision/2020-11-20/service-2.json"
    return ServiceModel(json.loads(path.read_text(encoding="utf-8")), "lookoutvision")


def request(event: Mapping[str, Any]) -> tuple[OperationModel, Document]:
    """The operation that an event asks for and its parameters, checked against the model.

    Args:
        event: of an HTTP API, payload format 2.0.

    Raises:
        ApiError: no such operation, or a parameter that is missing, malformed or out of its bounds.
    """
    operation, in_path = _route(event["requestContext"]["http"]["method"], event.get("rawPath", ""))
    shape: Shape = operation.input_shape
    body = event.get("body") or ""
    content = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    query = parse_qs(event.get("rawQueryString", ""), keep_blank_values=True)
    payload = shape.serialization.get("payload")
    document: Document = {} if payload else _json(content)
    params: Document = {payload: content} if payload else {}
    for name, member in shape.members.items():
        wire_name = member.serialization.get("name", name)
        given: Any = None
        match member.serialization.get("location"):
            case "uri":
                given = in_path.get(wire_name)
            case "header":
                given = headers.get(wire_name.lower())
            case "querystring":
                values = query.get(wire_name)
                given = values if member.type_name == "list" or values is None else values[0]
            case _:
                given = document.get(wire_name)
        if given is not None:
            params[name] = _read(member, given, wire_name)
    for name in shape.required_members:
        if params.get(name) is None:
            wire_name = shape.members[name].serialization.get("name", name)
            raise _constraint("null", wire_name, "Member must not be null")
    return operation, params


def answer(operation: OperationModel, result: Mapping[str, Any], request_id: str) -> Document:
    """The response of a Lambda function behind an HTTP API."""
    body = json.dumps(_written(operation.output_shape, result))
    return _response(operation.http.get("responseCode", 200), body, request_id, {})


def error_answer(error: ApiError, request_id: str) -> Document:
    """The response from which boto3 raises `client.exceptions.<code>`."""
    headers = {"x-amzn-errortype": error.code}
    fields = dict(error.fields)
    if (seconds := fields.pop("RetryAfterSeconds", None)) is not None:
        headers["retry-after"] = str(seconds)
    return _response(error.status, json.dumps({"Message": error.message, **fields}), request_id, headers)


def _response(status: int, body: str, request_id: str, headers: Mapping[str, str]) -> Document:
    kept = {"content-type": "application/json", "x-amzn-requestid": request_id, **headers}
    return {"statusCode": status, "headers": kept, "body": body, "isBase64Encoded": False}


@cache
def _routes() -> list[tuple[str, re.Pattern[str], OperationModel]]:
    found = []
    for name in service().operation_names:
        operation = service().operation_model(name)
        # A tagged resource's ARN holds slashes, which gateways decode on the way.
        pattern = re.sub(
            r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{'.+' if m[1] == 'resourceArn' else '[^/]+'})", _uri(operation)
        )
        found.append((operation.http["method"], re.compile(pattern + "/?"), operation))
    return found


def _uri(operation: OperationModel) -> str:
    return str(operation.http["requestUri"])


def _route(method: str, path: str) -> tuple[OperationModel, Mapping[str, str]]:
    for allowed, pattern, operation in _routes():
        matched = pattern.fullmatch(path) if allowed == method else None
        if matched:
            return operation, {name: unquote(value) for name, value in matched.groupdict().items()}
    raise ApiError("UnknownOperationException", 404, f"No operation of Lookout for Vision at {method} {path}")


def _json(content: bytes) -> Document:
    try:
        document = json.loads(content) if content.strip() else {}
    except (ValueError, RecursionError) as error:
        raise invalid(f"The request's body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise invalid(f"The request's body must be a JSON object, not {type(document).__name__}")
    return document


def _read(shape: Shape, value: Any, path: str) -> Any:
    """A value as the operation gets it: the type that boto3 would take it in, within the shape's bounds.

    Values of paths, headers and query strings travel as text, whatever their type.
    """
    try:
        found = _typed(shape, value, path)
    except (ValueError, TypeError, binascii.Error, OverflowError):
        raise _constraint(value, path, f"Member must be a {shape.type_name}") from None
    bounds = shape.metadata
    sized: int | None = None
    if isinstance(found, int):
        sized = found
    elif isinstance(found, str | bytes) or shape.type_name == "list":
        sized = len(found)
    what = "value" if isinstance(found, int) else "length"
    if sized is not None and not isinstance(found, bool):
        if "min" in bounds and sized < bounds["min"]:
            raise _constraint(value, path, f"Member must have {what} greater than or equal to {bounds['min']}")
        if "max" in bounds and sized > bounds["max"]:
            raise _constraint(value, path, f"Member must have {what} less than or equal to {bounds['max']}")
    if "enum" in bounds and found not in bounds["enum"]:
        raise _constraint(value, path, f"Member must satisfy enum value set: [{', '.join(bounds['enum'])}]")
    if "pattern" in bounds and isinstance(found, str) and not _pattern(bounds["pattern"]).fullmatch(found):
        raise _constraint(value, path, f"Member must satisfy regular expression pattern: {bounds['pattern']}")
    return found


def _typed(shape: Shape, value: Any, path: str) -> Any:
    match shape.type_name:
        case "structure":
            return _structure(shape, value, path)
        case "list":
            if not isinstance(value, list):
                raise TypeError
            return [_read(shape.member, each, f"{path}.{index}.member") for index, each in enumerate(value, start=1)]
        case "blob":
            return base64.b64decode(value, validate=True)
        case "integer":
            if isinstance(value, bool | float):
                raise TypeError
            return int(value)
        case "boolean":
            if value not in {True, False, "true", "false"}:
                raise ValueError
            return value in {True, "true"}
        case "timestamp":
            return _time(value)
        case _:
            if not isinstance(value, str):
                raise TypeError
            return value


def _structure(shape: Shape, value: Any, path: str) -> Document:
    if not isinstance(value, dict):
        raise TypeError
    found = {
        name: _read(member, value[name], f"{path}.{name}")
        for name, member in shape.members.items()
        if value.get(name) is not None
    }
    for name in shape.required_members:
        if name not in found:
            raise _constraint("null", f"{path}.{name}", "Member must not be null")
    return found


def _time(value: str | float) -> dt.datetime:
    if isinstance(value, int | float):
        return dt.datetime.fromtimestamp(value, dt.UTC)
    found = dt.datetime.fromisoformat(value)
    return found.replace(tzinfo=found.tzinfo or dt.UTC)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of the model, which is Java's: letters, marks of space and numbers of any script by their own words."""
    return re.compile(pattern.replace(r"\p{L}\p{Z}\p{N}", r"\w\s"))


def _constraint(value: Any, path: str, constraint: str) -> ApiError:
    shown = str(value) if len(str(value)) <= 100 else f"{str(value)[:100]}…"
    where = path[:1].lower() + path[1:]
    return invalid(
        f"1 validation error detected: Value '{shown}' at '{where}' failed to satisfy constraint: {constraint}"
    )


def _written(shape: Shape, value: Any) -> Any:
    match shape.type_name:
        case "structure":
            known = ((name, member, value.get(name)) for name, member in shape.members.items())
            return {name: _written(member, each) for name, member, each in known if each is not None}
        case "list":
            return [_written(shape.member, each) for each in value]
        case "blob":
            return value if isinstance(value, str) else base64.b64encode(value).decode()
        case "timestamp":
            return value.timestamp() if isinstance(value, dt.datetime) else float(value)
        case "float":
            return float(value)
        case "integer":
            return int(value) if isinstance(value, Decimal) else value
        case _:
            return value
