"""The function behind the console's own routes: it operates the systems that are deployed."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, Protocol

import aws_cdk as cdk
import aws_cdk.aws_apigatewayv2 as apigw

from stacks.building_blocks.function import PythonFunction
from stacks.building_blocks.python_code import ROOT
from stacks.config import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import aws_cdk.aws_iam as iam
    import aws_cdk.aws_kms as kms
    from constructs import Construct

    from stacks.config import EnvironmentConfig

_READ, _CHANGE = [apigw.HttpMethod.GET], [apigw.HttpMethod.GET, apigw.HttpMethod.POST]
ROUTES = {
    "/api/systems": _READ,
    "/api/systems/{proxy+}": _READ,
    "/api/runs/{proxy+}": _CHANGE,
    "/api/quarantine/{proxy+}": _CHANGE,
    "/api/settings": _READ,
}
# Lambda takes 4 KB of variables in all; the rest is for the places of the systems.
_MOST_SETTINGS_BYTES = 2500


class Operable(Protocol):
    """A deployed system that the console may operate."""

    @property
    def place(self) -> Mapping[str, object]:
        """Where it is: the value of the function's variable that has the system's name."""

    def grant(self, role: iam.Role) -> None:
        """Lets the console's function do what its adapter in `sextant.console` does."""


def console_function(
    scope: Construct,
    *,
    environment: EnvironmentConfig,
    operable: Mapping[str, Operable],
    key: kms.Key,
) -> PythonFunction:
    """A function that knows the environment file and where each system is, and may operate those and nothing else.

    Raises:
        ValueError: the environment file says more than a function's variables hold.
    """
    settings = json.dumps(described(environment), separators=(",", ":"))
    if len(settings.encode()) > _MOST_SETTINGS_BYTES:
        raise ValueError(
            f"environments/{environment.name}.toml: its settings take {len(settings.encode())} bytes, and the console "
            f"shows at most {_MOST_SETTINGS_BYTES}. Shorten lists such as label_attributes or tags."
        )
    stack = cdk.Stack.of(scope)
    made = PythonFunction(
        scope,
        "ConsoleApi",
        environment=environment,
        handler="lambdas.console.api.handler",
        description="Answers the console: systems, runs, quarantine, settings",
        key=key,
        variables={
            "ENVIRONMENT": settings,
            **{name.upper(): stack.to_json_string(dict(each.place)) for name, each in operable.items()},
        },
        timeout_seconds=29,  # API Gateway gives up after 30
    )
    for each in operable.values():
        each.grant(made.role)
    return made


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
