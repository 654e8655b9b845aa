"""Python sources as deployable archives: no bundling, no Docker, no network.

An archive holds exactly the files of its packages, with fixed dates and no compression, so that the same sources give
the same bytes and the same asset hash on every machine. Caches that tools leave beside the sources never enter.
"""

from __future__ import annotations

import atexit
import hashlib
import io
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
import aws_cdk.aws_lambda as lambda_
import aws_cdk.aws_ssm as ssm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from constructs import Construct

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = lambda_.Runtime.PYTHON_3_14
ARCHITECTURE = lambda_.Architecture.ARM_64
POWERTOOLS_LAYER = f"/aws/service/powertools/python/{ARCHITECTURE.name}/python3.14/latest"
"""The public parameter in which AWS keeps the ARN of the Powertools layer (it brings pydantic with it)."""


def handlers(system: str) -> lambda_.Code:
    """The handlers of one system; `lambdas.{system}.{file}.handler` is a handler string."""
    return lambda_.Code.from_asset(str(handlers_archive(system)))


def handlers_archive(system: str) -> Path:
    """The zip of `handlers`: `lambdas/{system}/…` as in the repository."""
    return archive(f"lambdas/{system}")


def sextant_layer(scope: Construct) -> lambda_.LayerVersion:
    """The package `sextant`, which every runtime shares: one layer per stack."""
    stack = cdk.Stack.of(scope)
    there = stack.node.try_find_child("SextantLayer")
    if there is not None:
        return cast("lambda_.LayerVersion", there)
    return lambda_.LayerVersion(
        stack,
        "SextantLayer",
        code=lambda_.Code.from_asset(str(archive("sextant", under="python"))),
        compatible_runtimes=[RUNTIME],
        description="The package sextant",
    )


def powertools_layer(scope: Construct) -> lambda_.ILayerVersion:
    """The public Powertools layer. CloudFormation reads its ARN at deployment; synthesis looks nothing up."""
    arn = ssm.StringParameter.value_for_string_parameter(scope, POWERTOOLS_LAYER)
    return lambda_.LayerVersion.from_layer_version_arn(scope, "PowertoolsLayer", arn)


def archive(*folders: str, under: str = "") -> Path:
    """A zip of folders of this repository, each with its own path inside it, `under` a further folder."""
    found = (path for folder in folders for path in sources(ROOT / folder))
    return archive_of({(Path(under) / path.relative_to(ROOT)).as_posix(): path for path in found})


def archive_of(files: Mapping[str, Path]) -> Path:
    """A zip of files by their paths inside it. It lives as long as the process: the CDK copies it into its assembly.

    Folders have entries too: Python 3.11 finds a package without `__init__.py` in a zip only by them.
    """
    folders = {f"{parent.as_posix()}/" for name in files for parent in PurePosixPath(name).parents if parent.name}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as target:
        for name in sorted((*folders, *files)):
            entry = zipfile.ZipInfo(name)  # dated 1980-01-01
            entry.create_system = 3  # as if made on Unix, wherever it is made
            entry.external_attr = (0o040755 if name in folders else 0o100644) << 16
            target.writestr(entry, b"" if name in folders else files[name].read_bytes())
    path = _workspace() / f"{hashlib.sha256(content.getvalue()).hexdigest()}.zip"
    path.write_bytes(content.getvalue())
    return path


def image_context(dockerfile: Path, *folders: str) -> Path:
    """A folder to build an image from: the Dockerfile, what lies beside it, and folders of this repository.

    It lives as long as the process: the CDK copies it into its assembly.
    """
    target = Path(tempfile.mkdtemp(dir=_workspace()))
    found = [(path, path.relative_to(dockerfile.parent)) for path in dockerfile.parent.iterdir() if path.is_file()]
    found += [(path, path.relative_to(ROOT)) for folder in folders for path in sources(ROOT / folder)]
    for path, place in found:
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / place)  # without mode and time: they would be another image
    return target


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
