"""Python sources as deployable archives: no bundling, no Docker, no network.

An archive holds exactly the files of its packages, with fixed dates and no compression, so that the same sources give
the same bytes and the same asset hash on every machine. Caches that tools leave beside the sources never enter.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import aws_cdk.aws_lambda as lambda_
import aws_cdk.aws_ssm as ssm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from constructs import Construct

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = lambda_.Runtime.PYTHON_3_14
ARCHITECTURE = lambda_.Architecture.ARM_64
POWERTOOLS_LAYER = f"/aws/service/powertools/python/{ARCHITECTURE.name}/python3.14/latest"
"""The public parameter in which AWS keeps the ARN of the Powertools layer (it brings pydantic with it)."""


def handlers(system: str) -> lambda_.Code:
    """The handlers of one system; `lambdas.{system}.{file}.handler` is a handler string."""
    return lambda_.Code.from_asset(str(archive(f"lambdas/{system}")))


def sextant_layer(scope: Construct) -> lambda_.LayerVersion:
    """The package `sextant`, which every runtime shares."""
    return lambda_.LayerVersion(
        scope,
        "SextantLayer",
        code=lambda_.Code.from_asset(str(archive("sextant", under="python"))),
        compatible_runtimes=[RUNTIME],
        description="The package sextant",
    )


def powertools_layer(scope: Construct) -> lambda_.ILayerVersion:
    """The public Powertools layer. CloudFormation reads its ARN at deployment; synthesis looks nothing up."""
    arn = ssm.StringParameter.value_for_string_parameter(scope, POWERTOOLS_LAYER)
    return lambda_.LayerVersion.from_layer_version_arn(scope, "PowertoolsLayer", arn)


@cache
def archive(folder: str, *, under: str = "") -> Path:
    """A zip of a folder of this repository, with the folder's own path inside it, `under` a further folder.

    It lives as long as the process: the CDK copies it into the cloud assembly.
    """
    name = f"{under}-{folder}".strip("-").replace("/", "-")
    path = _workspace() / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for source in sources(ROOT / folder):
            inside = zipfile.ZipInfo((Path(under) / source.relative_to(ROOT)).as_posix())  # dated 1980-01-01
            inside.external_attr = 0o644 << 16
            target.writestr(inside, source.read_bytes())
    return path


def sources(folder: Path) -> Iterator[Path]:
    """The files under a folder in a fixed order, without caches and hidden files.

    Raises:
        FileNotFoundError: there is none.
    """
    found = False
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in parts):
            found = True
            yield path
    if not found:
        raise FileNotFoundError(f"{folder.relative_to(ROOT)} holds no file to deploy")


@cache
def _workspace() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sextant-synth-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
