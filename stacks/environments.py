"""The files of environments/: read at synthesis, written by `sextant env new`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from stacks.config import SYSTEMS, EnvironmentConfig

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FOLDER = Path(__file__).resolve().parent.parent / "environments"


class EnvironmentFileError(Exception):
    """An environment file cannot be used. The message names the file, the field and the reason."""


def load_environments(folder: Path = FOLDER, only: str | None = None) -> list[EnvironmentConfig]:
    """Every environment of the folder, by name; `*.example.toml` are for reading and are left out.

    Args:
        folder: where the files are.
        only: comma-separated names; the others are not even read.

    Raises:
        EnvironmentFileError: a file is not TOML, breaks the model or has another name than its environment;
            `only` names an environment that has no file.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.toml")) if not path.name.endswith(".example.toml")}
    wanted = [name.strip() for name in only.split(",")] if only else list(files)
    for name in wanted:
        if name not in files:
            raise EnvironmentFileError(
                f"There is no environment {name!r} in {folder.name}/: it has {', '.join(files) or 'none'}. "
                "`sextant env new` writes one."
            )
    return [load_environment(files[name]) for name in wanted]


def load_environment(path: Path) -> EnvironmentConfig:
    """One environment file, checked. See `load_environments` for its errors."""
    shown = f"{path.parent.name}/{path.name}"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EnvironmentFileError(f"{shown}: is not TOML: {error}") from error
    try:
        environment = EnvironmentConfig.model_validate(values)
    except ValidationError as error:
        raise EnvironmentFileError("\n".join(f"{shown}: {_explain(detail)}" for detail in error.errors())) from error
    if environment.name != path.stem:
        raise EnvironmentFileError(f"{shown}: name: is {environment.name!r}, but the file is called {path.stem!r}")
    return environment


def new_environment(name: str, account: str, region: str) -> str:
    """The text of a new environment file with all systems and safe defaults: data retained, stacks protected.

    Raises:
        EnvironmentFileError: a value does not fit its field.
    """
    text = f"""\
# Fields and their defaults: stacks/config.py. Deploy with: cdk deploy '{name}/*'
name = "{name}"
account = "{account}"
region = "{region}"
systems = [{", ".join(f'"{system}"' for system in SYSTEMS)}]
removal = "retain"
termination_protection = true
log_retention_days = 365
# alarm_email = "you@example.com"
# permissions_boundary = "NameOfThePolicy"
# bootstrap_qualifier = "hnb659fds"

[tags]
# cost-centre = "1234"

[labeling]
# input_bucket = "bucket-with-ground-truth-output"
# cognito_user_pool_id = "{region}_Example01"

[labeling.cost]
# wage_usd_per_hour = 18.50
# budget_usd = 5_000

[console]
"""
    try:
        EnvironmentConfig.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise EnvironmentFileError(f"environment {name!r}: a value holds a quote or a line break: {error}") from error
    except ValidationError as error:
        raise EnvironmentFileError(
            "\n".join(f"environment {name!r}: {_explain(detail)}" for detail in error.errors())
        ) from error
    return text


def _explain(detail: ErrorDetails) -> str:
    field = ".".join(str(part) for part in detail["loc"]) or "file"
    given = detail["input"]
    shown = f" (is {given!r})" if isinstance(given, (str, int, float)) and detail["type"] != "missing" else ""
    return f"{field}: {detail['msg'].removeprefix('Value error, ')}{shown}"
