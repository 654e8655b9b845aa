"""The AWS wire: an HTTP request becomes a call of an engine's method, its result an HTTP response.

Everything is read from botocore's service models, so a service needs no routing table of its own: JSON protocols by
the `X-Amz-Target` header, REST-JSON by method and path. What the model knows, the engine may rely on: members have the
types boto3 gives them (datetimes are aware, blobs are bytes, required members are there).
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

import botocore.session
from botocore import xform_name
from botocore.exceptions import DataNotFoundError, UnknownServiceError

from localaws.home import Call, Document, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from botocore.model import OperationModel, ServiceModel

    # botocore picks a shape's class by its JSON at run time; its stubs cannot follow.
    Shape = Any

logger = logging.getLogger(__name__)

Response = tuple[int, dict[str, str], bytes]


class Service:
    """An engine behind its AWS wire protocol.

    Args:
        engine: has a method per operation, named in snake case, `method(call, params) -> dict`.
        models: botocore service names; an engine may answer several (sagemaker and sagemaker-runtime).
        resources: the ARNs an operation needs permission for, from (operation, params, call); `["*"]` by default.
        conditions: the service's own condition keys of a request, from its parameters.
        invalid: the error code of this service for a malformed request.
    """

    def __init__(
        self,
        engine: object,
        *models: str,
        resources: Callable[[str, Mapping[str, Any], Call], list[str]] | None = None,
        conditions: Callable[[Mapping[str, Any]], Mapping[str, str]] | None = None,
        invalid: str = "ValidationException",
    ) -> None:
        session = botocore.session.get_session()
        self.engine = engine
        self.models: list[ServiceModel] = [session.get_service_model(name) for name in models]
        self.invalid = invalid
        self._resources = resources or (lambda _operation, _params, _call: ["*"])
        self._conditions = conditions
        self._routes = [route for model in self.models for route in _routes(model)]

    def implements(self, request: Request) -> bool:
        """Whether the engine has the requested operation."""
        try:
            operation, _ = self._operation(request)
        except ServiceError:
            return False
        return hasattr(self.engine, xform_name(operation.name))

    def check(self, request: Request, call: Call) -> tuple[OperationModel, Document]:
        """The operation and its parameters, once the caller may do it.

        Raises:
            ServiceError: unknown operation, malformed request, or denied.
        """
        operation, path_values = self._operation(request)
        params = self._params(operation, request, path_values)
        conditions = [self._conditions(params)] if self._conditions else []
        for resource in self._resources(operation.name, params, call):
            call.authorize(f"{self.iam_prefix}:{operation.name}", resource, *conditions)
        return operation, params

    async def handle(self, request: Request, call: Call) -> Response:
        """Answers one request. Engine methods run in a worker thread: they may block."""
        try:
            operation, params = await asyncio.to_thread(self.check, request, call)
            result = await asyncio.to_thread(self._method(operation), call, params)
            return _encode(operation, result or {})
        except ServiceError as error:
            return error_response(error)
        except Exception as error:
            logger.exception("%s failed", self.models[0].service_name)
            return error_response(ServiceError("InternalServerException", f"{type(error).__name__}: {error}", 500))

    def _method(self, operation: OperationModel) -> Callable[[Call, Document], Document | None]:
        method = getattr(self.engine, xform_name(operation.name), None)
        if method is None:
            message = f"{self.models[0].service_name}:{operation.name} is not part of this embedded AWS."
            raise ServiceError("NotImplementedException", message, 501)
        return method

    @property
    def iam_prefix(self) -> str:
        """The action prefix of IAM policies for this service."""
        return self.models[0].signing_name

    def _operation(self, request: Request) -> tuple[OperationModel, Mapping[str, str]]:
        target = request.headers.get("x-amz-target")
        if target:
            prefix, _, name = target.rpartition(".")
            for model in self.models:
                if name in model.operation_names and model.metadata.get("targetPrefix", prefix) == prefix:
                    return model.operation_model(name), {}
            raise ServiceError("UnknownOperationException", f"Unknown operation: {target}", 404)
        for method, pattern, operation in self._routes:
            matched = pattern.fullmatch(request.path) if method == request.method else None
            if matched:
                return operation, matched.groupdict()
        raise ServiceError("UnknownOperationException", f"No operation at {request.method} {request.path}", 404)

    def _params(self, operation: OperationModel, request: Request, path_values: Mapping[str, str]) -> Document:
        shape = operation.input_shape
        if shape is None:
            return {}
        try:
            params = _decode_request(shape, request, path_values)
        except (ValueError, KeyError, TypeError) as error:
            raise ServiceError(self.invalid, f"Malformed request for {operation.name}: {error}") from error
        missing = [name for name in shape.required_members if params.get(name) is None]
        if missing:
            names = ", ".join(missing)
            raise ServiceError(self.invalid, f"{operation.name} needs {names}: Member must not be null")
        return params


class Request:
    """An HTTP request as the emulator hands it over. Header names are lower-case; query values are lists."""

    def __init__(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.query = query


def error_response(error: ServiceError) -> Response:
    """The response from which boto3 raises `client.exceptions.<code>` (JSON protocols)."""
    body = {"__type": error.code, "message": error.message, "Message": error.message, **error.fields}
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "x-amzn-errortype": error.code,
        "x-amzn-requestid": str(uuid.uuid4()),
    }
    return error.status, headers, json.dumps(body).encode()


def not_implemented(name: str, request: Request) -> Response:
    """What a service answers that nobody implements here: its name, the operation's, and that it is not there.

    Args:
        name: the credential scope that the request was signed for, which need not be a botocore service's name.
        request: any of AWS's protocols; the operation is named as far as the model of the service tells it.
    """
    try:
        model = botocore.session.get_session().get_service_model(name)
    except (UnknownServiceError, DataNotFoundError):
        model = None
    operation = _asked_operation(model, request)
    message = f"{name}:{operation} is not implemented: the embedded AWS has no service {name}."
    protocol = model.metadata["protocol"] if model else "json"
    if protocol in {"query", "ec2", "rest-xml"}:
        text = escape(message)
        body = f"<ErrorResponse><Error><Code>{_ABSENT}</Code><Message>{text}</Message></Error></ErrorResponse>"
        return 501, {"Content-Type": "text/xml"}, body.encode()
    return error_response(ServiceError(_ABSENT, message, 501))


_ABSENT = "NotImplementedException"


def _asked_operation(model: ServiceModel | None, request: Request) -> str:
    """The operation by the request's target, its `Action`, or its route; else method and path."""
    if target := request.headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    form = parse_qs(request.body.decode("latin-1")) if b"Action=" in request.body else request.query
    if action := form.get("Action"):
        return str(action[0] if isinstance(action, list) else action)
    for method, pattern, operation in _routes(model) if model else ():
        if method == request.method and pattern.fullmatch(request.path):
            return operation.name
    return f"{request.method} {request.path}"


def _routes(model: ServiceModel) -> Iterable[tuple[str, re.Pattern[str], OperationModel]]:
    """REST routes, most specific first: fewer placeholders, then longer literal paths."""
    routes = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        uri = operation.http["requestUri"].split("?")[0]
        literal = re.sub(r"\{[^}]+\}", "", uri)
        pattern = re.sub(
            r"\{(\w+)(\+?)\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.sub(r"[.*$^|]", r"\\\g<0>", uri)
        )
        routes.append((uri.count("{"), -len(literal), operation.http["method"], re.compile(pattern + "/?"), operation))
    routes.sort(key=lambda route: route[:2])
    return [(method, pattern, operation) for _, _, method, pattern, operation in routes]


def _decode_request(shape: Shape, request: Request, path_values: Mapping[str, str]) -> Document:
    params: Document = {}
    payload = shape.serialization.get("payload")
    document: Document = {}
    if payload:
        member = shape.members[payload]
        if member.type_name == "blob":
            params[payload] = request.body
        elif request.body:
            params[payload] = _decode(member, json.loads(request.body))
    elif request.body:
        document = json.loads(request.body)
        if not isinstance(document, dict):
            raise ValueError("the body is not a JSON object")
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire_name = member.serialization.get("name", name)
        if location == "uri" and wire_name in path_values:
            params[name] = _scalar(member, unquote(path_values[wire_name]))
        elif location == "querystring" and wire_name in request.query:
            values = request.query[wire_name]
            params[name] = (
                [_scalar(member.member, value) for value in values]
                if member.type_name == "list"
                else _scalar(member, values[0])
            )
        elif location == "header" and wire_name.lower() in request.headers:
            params[name] = _scalar(member, request.headers[wire_name.lower()])
        elif location is None and name != payload and document.get(wire_name) is not None:
            params[name] = _decode(member, document[wire_name])
    return params


def _scalar(shape: Shape, text: str) -> Any:
    """A value that travelled as text (path, query, header)."""
    match shape.type_name:
        case "integer" | "long":
            return int(text)
        case "float" | "double":
            return float(text)
        case "boolean":
            return text.lower() == "true"
        case "timestamp":
            return datetime.fromisoformat(text)
        case _:
            return text


def _decode(shape: Shape, value: Any) -> Any:
    """A JSON value as boto3 would have taken it."""
    if value is None:
        return None
    match shape.type_name:
        case "structure":
            if not isinstance(value, dict):
                raise TypeError(f"{shape.name} must be an object, not {type(value).__name__}")
            members = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
            return {
                members[key][0]: _decode(members[key][1], item)
                for key, item in value.items()
                if key in members and item is not None
            }
        case "list":
            if not isinstance(value, list):
                raise TypeError(f"{shape.name} must be a list, not {type(value).__name__}")
            return [_decode(shape.member, item) for item in value]
        case "map":
            return {key: _decode(shape.value, item) for key, item in value.items()}
        case "blob":
            return base64.b64decode(value)
        case "timestamp":
            return (
                datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else datetime.fromisoformat(value)
            )
        case "integer" | "long":
            return int(value)
        case _:
            return value


def _encode(operation: OperationModel, result: Document) -> Response:
    shape = operation.output_shape
    protocol = operation.service_model.metadata["protocol"]
    version = operation.service_model.metadata.get("jsonVersion", "1.1")
    headers = {
        "Content-Type": f"application/x-amz-json-{version}" if protocol == "json" else "application/json",
        "x-amzn-requestid": str(uuid.uuid4()),
    }
    status = operation.http.get("responseCode", 200)
    if shape is None:
        return status, headers, b"{}" if protocol == "json" else b""
    body: Document = {}
    blob: bytes | None = None
    payload = shape.serialization.get("payload")
    for name, member in shape.members.items():
        value = result.get(name)
        if value is None:
            continue
        location = member.serialization.get("location")
        if location == "header":
            headers[member.serialization["name"]] = str(value)
        elif location == "statusCode":
            status = int(value)
        elif name == payload and member.type_name == "blob":
            blob = value
        else:
            body[member.serialization.get("name", name)] = _encode_value(member, value)
    if blob is not None:
        return status, headers, blob
    if payload:
        return (
            status,
            headers,
            json.dumps(body.get(shape.members[payload].serialization.get("name", payload), {})).encode(),
        )
    return status, headers, json.dumps(body).encode()


def _encode_value(shape: Shape, value: Any) -> Any:
    match shape.type_name:
        case "structure":
            return {
                member.serialization.get("name", name): _encode_value(member, value[name])
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "list":
            return [_encode_value(shape.member, item) for item in value]
        case "map":
            return {str(key): _encode_value(shape.value, item) for key, item in value.items()}
        case "blob":
            return base64.b64encode(value).decode()
        case "timestamp":
            if isinstance(value, datetime):
                return (
                    value.isoformat() if shape.serialization.get("timestampFormat") == "iso8601" else value.timestamp()
                )
            return value
        case _:
            return value
