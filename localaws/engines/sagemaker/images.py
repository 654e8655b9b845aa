"""Container images of the embedded AWS: nothing is built, the build context itself is what runs.

Publishing an image (`localaws.deploy` does it for the docker assets of a cloud assembly) stores its build context as a
zip object in a bucket of the account, as ECR keeps layers in S3. To run it, the context is unpacked once; of the
Dockerfile count ENTRYPOINT, CMD, ENV and WORKDIR: the context's folder stands for WORKDIR. RUN and COPY are not
executed: what they would install is the interpreter's own, what they would copy is in the context.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
import threading
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaws.home import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localaws.home import Call, Home

DESCRIPTION = ".container-image.json"
URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z.]+/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)
CHECKOUT = Path(__file__).parents[3]


class ImageError(Exception):
    """An image that cannot run here; the message names it, the reason and the remedy."""


@dataclass(frozen=True)
class Image:
    """What a container runs.

    `folder` stands for the image's WORKDIR; `python` is what `python` and `python3` mean inside; `toolkit` tells an AWS
    Deep Learning Container, whose entry point is the SageMaker training toolkit.
    """

    folder: Path
    python: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    toolkit: bool = False

    def argv(self, *arguments: str, entrypoint: tuple[str, ...] | None = None) -> list[str]:
        """ENTRYPOINT and CMD; given arguments stand for CMD, a given entry point for both, as `docker run` has it."""
        first = self.entrypoint if entrypoint is None else entrypoint
        rest = arguments or (self.command if entrypoint is None else ())
        inside = self.workdir.rstrip("/") + "/"
        return [
            str(self.folder / part.removeprefix(inside)) if inside != "/" and part.startswith(inside) else part
            for part in (*first, *rest)
        ]


def bucket_of(account: str, region: str) -> str:
    return f"embedded-container-images-{account}-{region}"


def key_of(repository: str, tag: str) -> str:
    return f"{repository}/{tag}.zip"


def packed(context: Path, dockerfile: str = "Dockerfile") -> bytes:
    """A build context as the object that stands for the image.

    Args:
        context: the folder; what is not to be in the image is left out of it already (CDK stages it so).
        dockerfile: path in the folder.

    Raises:
        ImageError: there is no such Dockerfile.
    """
    if not (context / dockerfile).is_file():
        raise ImageError(f"{context} has no {dockerfile}: an image needs a build context with a Dockerfile")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(context.rglob("*")):
            if path.is_file():
                info = zipfile.ZipInfo(path.relative_to(context).as_posix(), (1980, 1, 1, 0, 0, 0))
                info.external_attr = (path.stat().st_mode & 0xFFFF) << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, path.read_bytes())
        archive.writestr(zipfile.ZipInfo(DESCRIPTION, (1980, 1, 1, 0, 0, 0)), json.dumps({"dockerfile": dockerfile}))
    return buffer.getvalue()


class Images:
    """The images that containers start from."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._folder = Path(home.scratch) / "sagemaker" / "images"
        self._unpacked: dict[str, Image] = {}
        self._lock = threading.Lock()

    def resolve(self, call: Call, uri: str) -> Image:
        """The image of a URI, pulled in the name of a job's role.

        Raises:
            ImageError: nobody published it, and it is no AWS PyTorch container.
            ServiceError: the role may not pull it.
        """
        matched = URI.fullmatch(uri)
        if matched is None:
            raise ImageError(
                f"The image {uri!r} is not the URI of an image in ECR: account.dkr.ecr.region.amazonaws.com/…"
            )
        account, region, repository = matched["account"], matched["region"], matched["repository"]
        arn = f"arn:aws:ecr:{region}:{account}:repository/{repository}"
        for action in ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"):
            call.authorize(action, arn)
        objects = self._home.objects(account)
        bucket, key = bucket_of(account, region), key_of(repository, matched["tag"] or "latest")
        try:
            body = objects.path(bucket, key)
        except ServiceError:
            return self._foreign(uri, repository)
        stamp = body.stat()
        version = f"{account}/{region}/{key}/{stamp.st_mtime_ns}/{stamp.st_size}"
        with self._lock:
            if version not in self._unpacked:
                self._unpacked[version] = self._unpack(body)
            return self._unpacked[version]

    def _unpack(self, body: Path) -> Image:
        folder = self._folder / uuid.uuid4().hex
        folder.mkdir(parents=True)
        with zipfile.ZipFile(body) as archive:
            for info in archive.infolist():
                path = Path(archive.extract(info, folder))
                if info.external_attr >> 16:
                    path.chmod(info.external_attr >> 16 & 0o777)
        description = json.loads((folder / DESCRIPTION).read_text())
        return read_dockerfile((folder / description["dockerfile"]).read_text(), folder)

    def _foreign(self, uri: str, repository: str) -> Image:
        if "pytorch" not in repository:
            raise ImageError(
                f"The image {uri} does not exist here: deploy a stack with it as a docker image asset, or use an AWS "
                "PyTorch container (repository pytorch-training)"
            )
        python = os.environ.get("SEXTANT_TORCH_PYTHON") or str(CHECKOUT / ".venv-torch" / "bin" / "python")
        if not Path(python).is_file():
            raise ImageError(
                f"The image {uri} runs on a Python with torch, and there is none at {python}: install "
                "requirements/torch.txt into .venv-torch, or set SEXTANT_TORCH_PYTHON"
            )
        folder = self._folder / "pytorch"
        folder.mkdir(parents=True, exist_ok=True)
        return Image(folder=folder, python=python, toolkit=True)


def read_dockerfile(text: str, folder: Path) -> Image:
    """ENTRYPOINT, CMD, ENV and WORKDIR of the last stage."""
    lines = re.sub(r"\\\s*\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    found: dict[str, Any] = {"variables": {}, "workdir": "/"}
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        match word.upper():
            case "FROM":
                found = {"variables": {}, "workdir": "/"}
            case "ENTRYPOINT":
                found["entrypoint"], found["command"] = _argv(rest), ()
            case "CMD":
                found["command"] = _argv(rest)
            case "WORKDIR":
                found["workdir"] = os.path.join(found["workdir"], rest.strip('"'))  # noqa: PTH118 - a path inside
            case "ENV":
                found["variables"].update(_variables(rest))
    return Image(folder=folder, python=sys.executable, **found)


def _argv(text: str) -> tuple[str, ...]:
    """The exec form (JSON), or the shell form."""
    if text.startswith("["):
        return tuple(str(part) for part in json.loads(text))
    return ("/bin/sh", "-c", text)


def _variables(text: str) -> dict[str, str]:
    """`ENV name=value …` or `ENV name value`."""
    first = text.split(maxsplit=1)
    if "=" not in first[0]:
        return {first[0]: first[1] if len(first) > 1 else ""}
    pairs = (part.partition("=") for part in shlex.split(text))
    return {name: value for name, equals, value in pairs if equals}
