"""One OpenAPI document for the whole API, joined from the functions behind it, and TypeScript types made from it.

    python -m web.openapi         write docs/sextant.openapi.json and web/types/api.d.ts anew

The types are for `tsc --checkJs` (web/typecheck.py). openapi-typescript would make them too, with 30 npm packages; our
documents use a handful of JSON Schema's words, and a word that is not known here stops the making.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sextant.console.model import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "sextant.openapi.json"
TYPES = ROOT / "web" / "types" / "api.d.ts"

# Every function of the API, by what stands before a component's name where two functions mean different things by it.
FUNCTIONS = {
    "Dashboards": "lambdas.labeling.dashboards",
    "Operation": "lambdas.labeling.operation",
    "Console": "lambdas.console.api",
    "Slides": "lambdas.slides.pages",
    "Inspection": "lambdas.inspection.pages",
}
_SETTINGS: dict[str, object] = {
    "name": "any",
    "account": "000000000000",
    "region": "eu-central-1",
    "systems": [],
    "available": [],
    "version": "0",
    "sections": {},
}
# What the functions demand of their environment; nothing of it is in the document.
_ENVIRONMENT = {
    **dict.fromkeys(("DATABASE", "WORKGROUP", "WORKFLOW", "BATCH_BUCKET", "RUNS_BUCKET"), "any"),
    **dict.fromkeys(
        ("TABLE", "BUCKET", "ACCOUNT_ID", "INGEST_FUNCTION", "PACKAGING_FUNCTION", "PREFIX", "IMAGE"), "any"
    ),
    **dict.fromkeys(("ROLE_ARN", "TRAINING_INSTANCE_TYPE", "METRICS", "AWS_REGION", "DOCTOR_FUNCTION"), "any"),
    "ENVIRONMENT": json.dumps(_SETTINGS),
    "AWS_DEFAULT_REGION": "eu-central-1",
}


def joined() -> dict[str, Any]:
    """The document of the whole API.

    Raises:
        ValueError: two functions answer one route.
    """
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Sextant",
            "version": "1.0.0",
            "description": "Every route needs a token of the console's user pool and a role, admin or analyst.",
        },
        "paths": {},
        "components": {"schemas": {}},
        "security": [{"cognito": []}],
    }
    for prefix, name in FUNCTIONS.items():
        _join(document, _document_of(name), prefix)
    _join(document, {"paths": {}, "components": {"schemas": _schemas(Fault)}}, "Any")
    document["components"]["securitySchemes"] = {"cognito": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    document["paths"] = dict(sorted(document["paths"].items()))
    document["components"]["schemas"] = dict(sorted(document["components"]["schemas"].items()))
    return document


def _document_of(name: str) -> dict[str, Any]:
    with _environment():
        app = importlib.import_module(name).app
    document: dict[str, Any] = json.loads(app.get_openapi_json_schema())
    return document


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    schema: dict[str, Any] = _without_null_defaults(model.model_json_schema(ref_template=_reference("{model}")))
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _without_null_defaults(value: Any) -> Any:
    """As Powertools writes a schema."""
    if isinstance(value, list):
        return [_without_null_defaults(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_null_defaults(each) for key, each in value.items() if (key, each) != ("default", None)}


@contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


_POWERTOOLS_OWN = ("HTTPValidationError", "ResponseValidationError", "ValidationError")


def _join(document: dict[str, Any], other: dict[str, Any], prefix: str) -> None:
    known = document["components"]["schemas"]
    schemas = {k: v for k, v in other.get("components", {}).get("schemas", {}).items() if k not in _POWERTOOLS_OWN}
    renamed = {name: f"{prefix}{name}" for name, schema in schemas.items() if known.get(name, schema) != schema}
    schemas, paths = _renamed(schemas, renamed), _renamed(other["paths"], renamed)
    known |= {renamed.get(name, name): schema for name, schema in schemas.items()}
    for path, methods in paths.items():
        there = document["paths"].setdefault(path, {})
        if twice := there.keys() & methods.keys():
            raise ValueError(f"{path}: two functions answer {', '.join(sorted(twice)).upper()}")
        there.update({method: _told(told, prefix) for method, told in methods.items()})


def _told(operation: Mapping[str, Any], tag: str) -> dict[str, Any]:
    """An operation with the faults it really answers: Powertools writes its own shape for 422, we answer ours."""
    fault = {"description": "Any fault", "content": {"application/json": {"schema": {"$ref": _reference("Fault")}}}}
    return {**operation, "tags": [tag], "responses": {"200": operation["responses"]["200"], "default": fault}}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A document with its references to some components changed."""
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _reference(names.get(_target(each), _target(each))) if key == "$ref" else _renamed(each, names)
        for key, each in value.items()
    }


_COMPONENTS = "#/components/schemas/"


def _target(reference: str) -> str:
    return reference.removeprefix(_COMPONENTS)


def _reference(name: str) -> str:
    return f"{_COMPONENTS}{name}"


def typescript(document: Mapping[str, Any]) -> str:
    """Types of a document: one per component, and `Get` and `Post`: what a path of the API answers.

    Raises:
        ValueError: a schema has a form that is not known here.
    """
    lines = ["// Made by `python -m web.openapi` from docs/sextant.openapi.json; not to be edited.", ""]
    for name, schema in document["components"]["schemas"].items():
        if schema.get("description"):
            lines.append(f"/** {' '.join(schema['description'].split())} */")
        lines += [f"export type {_identifier(name)} = {_type(schema)};", ""]
    for method in ("get", "post"):
        lines += [*_answers(document["paths"], method), ""]
    return "\n".join(lines)


def _answers(paths: Mapping[str, Any], method: str) -> Iterator[str]:
    """A conditional type from a path, with its values and query, to its answer. Longer paths are tried first."""
    name = method.title()
    yield f"export type {name}<Path extends string> = string extends Path ? any :"
    found = [(path, told[method]) for path, told in paths.items() if method in told]
    for path, told in sorted(found, key=lambda each: (-each[0].count("/"), each[0].count("{"), each[0])):
        parts = ["${string}" if part.startswith("{") else part for part in path.split("/")]
        text = "/".join(parts)
        content = told["responses"]["200"]["content"]
        answer = _type(content["application/json"]["schema"]) if "application/json" in content else "Blob"
        yield f"  Path extends `{text}` | `{text}?${{string}}` ? {answer} :"
    yield "  never;"


def _identifier(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")


_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def _type(schema: Mapping[str, Any]) -> str:
    match schema:
        case {"$ref": reference}:
            return _identifier(_target(reference))
        case {"const": value}:
            return json.dumps(value)
        case {"enum": values}:
            return " | ".join(json.dumps(each) for each in values)
        case {"anyOf": options} | {"oneOf": options}:
            return " | ".join(dict.fromkeys(_type(each) for each in options))
        case {"allOf": [one]}:
            return _type(one)
        case {"type": "array", "prefixItems": items}:
            return f"[{', '.join(_type(each) for each in items)}]"
        case {"type": "array", "items": item}:
            return f"({_type(item)})[]"
        case {"type": "array"}:
            return "unknown[]"
        case {"type": "object", "properties": properties}:
            needed = schema.get("required", ())
            members = (f"{name}{'' if name in needed else '?'}: {_type(each)}" for name, each in properties.items())
            return f"{{ {'; '.join(members)} }}"
        case {"type": "object", "patternProperties": patterns}:
            return f"Record<string, {' | '.join(_type(each) for each in patterns.values())}>"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"Record<string, {_type(values)}>"
        case {"type": "object"}:
            return "Record<string, unknown>"
        case {"type": str(kind)} if kind in _PLAIN:
            return _PLAIN[kind]
        case _ if not schema.keys() - {"title", "description", "default"}:  # any JSON
            return "unknown"
        case _:
            raise ValueError(f"web/openapi.py knows no TypeScript for the schema {json.dumps(schema)[:200]}")


def texts() -> dict[Path, str]:
    """Both files as they should be."""
    document = joined()
    return {DOCUMENT: json.dumps(document, indent=2) + "\n", TYPES: typescript(document)}


if __name__ == "__main__":
    for path, text in texts().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
