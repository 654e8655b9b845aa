"""The sorter as a package for a device: what a packaging job makes of a model's archive.

Needs the standard library only: the function that packs has neither numpy nor a network.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION = "0.1.0"
"""Of the wheel. Its name has a part of its content's hash besides, so that pip tells two apart."""
_ROOT = Path(__file__).resolve().parents[3]
_HERE = Path(__file__).resolve().parent
_ENTRY = "sextant.inspection.edge.__main__"
_DATA = ("sextant/inspection/edge/page", "sextant/inspection/api/model")
_ARCHIVE = b"\x1f\x8b"
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")


def bundle(archive: bytes, project: str = "my-project") -> bytes:
    """A zip with the sorter as a wheel, its locked requirements, the model, a configuration and an install script.

    The same model and project make the same bytes.

    Args:
        archive: a training's model.tar.gz.
        project: its name, for the configuration.

    Raises:
        ValueError: the archive is none, or the project's name cannot stand in a key of S3.
    """
    if not archive.startswith(_ARCHIVE):
        raise ValueError(f"{len(archive)} bytes that are no model.tar.gz: give the archive of a training")
    if not _PROJECT.fullmatch(project):
        raise ValueError(f"{project!r} is no name for the sorter: letters, digits and _.-, at most 255")
    name, wheel = _wheel()
    return _zip(
        {
            "README.md": _text("package.md").replace("{project}", project).encode(),
            "install.sh": _text("install.sh").encode(),
            "model.tar.gz": archive,
            "requirements.txt": _text("requirements.txt").encode(),
            "sextant-edge.toml": _text("example.toml").replace("{project}", project).encode(),
            name: wheel,
        },
        zipfile.ZIP_STORED,  # what is large is compressed already
    )


def modules() -> list[str]:
    """The files of this product that the sorter imports, and what they read, as paths from the repository's root."""
    found: set[str] = set()
    waiting = [_ENTRY]
    while waiting:
        path = _source(waiting.pop())
        if path is None or (name := path.relative_to(_ROOT).as_posix()) in found:
            continue
        found.add(name)
        waiting += _imports(path)
    data = (path for folder in _DATA for path in (_ROOT / folder).rglob("*") if path.is_file())
    return sorted(found | {path.relative_to(_ROOT).as_posix() for path in data if "__pycache__" not in path.parts})


def _imports(path: Path) -> Iterator[str]:
    """What a file imports of this product, and the packages around it, but not what only its types need."""
    waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
    names: list[str] = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        waiting += ast.iter_child_nodes(node)
    for name in names:
        parts = name.split(".")
        if parts[0] == "sextant":
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _source(module: str) -> Path | None:
    path = _ROOT / module.replace(".", "/")
    for each in (path.with_suffix(".py"), path / "__init__.py"):
        if each.is_file():
            return each
    return None  # a name in a module


def _wheel() -> tuple[str, bytes]:
    """Name and bytes of the wheel (binary distribution format, PEP 427)."""
    files = {name: (_ROOT / name).read_bytes() for name in modules()}
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in files.items())).hexdigest()
    version = f"{VERSION}+{digest[:12]}"
    about = f"sextant_edge-{version}.dist-info"
    files |= {
        f"{about}/METADATA": (
            f"Metadata-Version: 2.1\nName: sextant-edge\nVersion: {version}\nRequires-Python: >=3.11\n"
            "License: Apache-2.0\nSummary: The sorter beside the belt\n"
        ).encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: sextant\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[console_scripts]\nsextant-edge = {_ENTRY}:main\n".encode(),
    }
    listed = "".join(f"{name},{_hash(content)},{len(content)}\n" for name, content in sorted(files.items()))
    files[f"{about}/RECORD"] = f"{listed}{about}/RECORD,,\n".encode()
    return f"sextant_edge-{version}-py3-none-any.whl", _zip(files, zipfile.ZIP_DEFLATED)


def _hash(content: bytes) -> str:
    return f"sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()}"


def _zip(files: Mapping[str, bytes], how: int) -> bytes:
    """A zip that has no dates: the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as target:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = (0o100755 if name.endswith(".sh") else 0o100644) << 16
            entry.compress_type = how
            target.writestr(entry, content)
    return out.getvalue()


def _text(name: str) -> str:
    return (_HERE / name).read_text("utf-8")
