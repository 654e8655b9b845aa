"""The function behind the console's own routes, and the routes of the systems' own functions."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import aws_cdk.aws_apigatewayv2 as apigw

from stacks.building_blocks.function import PythonFunction
from stacks.building_blocks.python_code import ROOT
from stacks.config import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import aws_cdk.aws_kms as kms
    from constructs import Construct

    from stacks.config import EnvironmentConfig

_READ, _ASK = [apigw.HttpMethod.GET], [apigw.HttpMethod.POST]
_CHANGE = _READ + _ASK
ROUTES = {"/api/systems": _READ, "/api/settings": _READ}
DASHBOARD_ROUTES = {
    "/api/dashboards": _READ,
    "/api/dashboards/{proxy+}": _READ + _ASK,  # a question is too long for a URL
    "/api/annotations": _ASK,
    "/api/annotations/{proxy+}": _READ,
    "/api/state": _READ,
}
SLIDE_ROUTES = {"/api/slides/{proxy+}": _READ}
INSPECTION_ROUTES = {"/api/inspection/{proxy+}": _CHANGE}
# Lambda takes 4 KB of variables in all.
_MOST_SETTINGS_BYTES = 3500


def operation_routes(system: str) -> dict[str, list[apigw.HttpMethod]]:
    """The routes that a system's own function answers (`sextant.console.routes.operation_routes`)."""
    return {
        f"/api/systems/{system}": _READ,
        f"/api/systems/{system}/attention": _READ,
        f"/api/runs/{system}": _CHANGE,
        f"/api/runs/{system}/{{proxy+}}": _CHANGE,
        f"/api/quarantine/{system}": _READ,
        f"/api/quarantine/{system}/{{proxy+}}": _CHANGE,
    }


def console_function(scope: Construct, *, environment: EnvironmentConfig, key: kms.Key) -> PythonFunction:
    """A function that knows the environment file and may do nothing.

    Raises:
        ValueError: the environment file says more than a function's variables hold.
    """
    settings = json.dumps(described(environment), separators=(",", ":"))
    if len(settings.encode()) > _MOST_SETTINGS_BYTES:
        raise ValueError(
            f"environments/{environment.name}.toml: its settings take {len(settings.encode())} bytes, and the console "
            f"shows at most {_MOST_SETTINGS_BYTES}. Shorten lists such as label_attributes or tags."
        )
    return PythonFunction(
        scope,
        "ConsoleApi",
        environment=environment,
        handler="lambdas.console.api.handler",
        description="Answers the console: which systems there are, settings",
        key=key,
        variables={"ENVIRONMENT": settings},
        timeout_seconds=29,  # API Gateway gives up after 30
    )


def described(environment: EnvironmentConfig) -> dict[str, Any]:
    """The environment file as `sextant.console.model.EnvironmentSettings` reads it: its tables as sections by name."""
    document = environment.model_dump(mode="json")
    top = {name: document.pop(name) for name in ("name", "account", "region", "systems")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {**top, "available": [*SYSTEMS], "version": project["version"], "sections": dict(_sections("", document))}


def _sections(name: str, table: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, settings) of a TOML table and of those within it; the file's own top level has the name `environment`."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if plain:
        yield name or "environment", plain
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _sections(f"{name}.{key}" if name else key, value)
