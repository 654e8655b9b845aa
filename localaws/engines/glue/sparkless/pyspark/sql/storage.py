"""Files behind `s3://`, `file://` and plain paths: listing as Hadoop does it, reading, and replacing a folder's
content.

S3 is reached through boto3 with the process's own credentials, so the permissions of the job's role hold.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import tempfile
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

from ..errors import AnalysisException, PySparkValueError, unsupported  # noqa: TID252 - the shim must not depend on where it lies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

S3_THREADS = 8
HIDDEN = ("_", ".")


@dataclass(frozen=True)
class File:
    """One file of a data source. `path` is as Spark shows it; `modified` is epoch seconds; `partition` its `k=v`
    folders.
    """

    path: str
    size: int
    modified: float
    bucket: str = ""
    key: str = ""
    local: str = ""
    partition: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@functools.cache
def s3() -> Any:
    import boto3  # noqa: PLC0415 - a job on local files needs no AWS client
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "s3", config=Config(max_pool_connections=S3_THREADS, retries={"mode": "standard", "max_attempts": 5})
    )


@functools.cache
def scratch() -> Path:
    """This process's folder for spilled data; removed at its end."""
    root = os.environ.get("SPARKLESS_SCRATCH")
    if root:
        Path(root).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="sparkless-", dir=root))
    import atexit  # noqa: PLC0415

    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_names = threading.Lock()
_count = 0


def scratch_file(suffix: str) -> Path:
    global _count  # noqa: PLW0603 - a counter keeps names short and unique in this process
    with _names:
        _count += 1
        return scratch() / f"{_count:05d}{suffix}"


def glob_pattern(pattern: str) -> re.Pattern[str]:
    r"""A Hadoop glob (`*`, `?`, `[a-c]`, `[^a]`, `{a,b}`, `\\x`) for one path component."""
    out, depth, at = "", 0, 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\" and at + 1 < len(pattern):
            at += 1
            out += re.escape(pattern[at])
        elif letter == "*":
            out += "[^/]*"
        elif letter == "?":
            out += "[^/]"
        elif letter == "[":
            end = pattern.find("]", at + 1)
            if end < 0:
                raise PySparkValueError(f"The glob {pattern!r} lacks a ]")
            body = pattern[at + 1 : end].replace("\\", "\\\\")
            out, at = out + f"[{'^' + body[1:] if body[:1] in '!^' else body}]", end
        elif letter == "{":
            out, depth = out + "(?:", depth + 1
        elif letter == "}" and depth:
            out, depth = out + ")", depth - 1
        elif letter == "," and depth:
            out += "|"
        else:
            out += re.escape(letter)
        at += 1
    return re.compile(out, re.DOTALL)


def split_uri(path: str) -> tuple[str, str, str]:
    """(scheme, bucket, key or local path). Schemes: s3 and file."""
    match = re.match(r"^([a-zA-Z][a-zA-Z0-9+]*):(//)?", path)
    if match is None:
        return "file", "", str(Path(path).absolute()) + ("/" if path.endswith("/") else "")
    scheme = match.group(1).lower()
    if scheme in ("s3", "s3a", "s3n"):
        bucket, _, key = path[match.end() :].partition("/")
        return "s3", bucket, key
    if scheme == "file":
        return "file", "", "/" + path[match.end() :].lstrip("/")
    raise unsupported(f"The file system {scheme}://", "use s3:// or file:// paths")


def _s3_objects(scheme: str, bucket: str, prefix: str) -> Iterator[File]:
    for page in s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            if not entry["Key"].endswith("/"):
                yield File(
                    f"{scheme}://{bucket}/{entry['Key']}",
                    entry["Size"],
                    entry["LastModified"].timestamp(),
                    bucket,
                    entry["Key"],
                )


def _local_files(base: str) -> Iterator[File]:
    root = Path(base)
    found: Iterable[str]
    if root.is_file():
        found = [str(root)]
    else:
        found = sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)  # noqa: PTH118 - twice as fast on 10,000 files
    for name in found:
        with contextlib.suppress(FileNotFoundError):
            stat = os.stat(name)  # noqa: PTH116
            yield File(f"file:{name}", stat.st_size, stat.st_mtime, local=name)


def list_files(path: str, *, recursive: bool = False, name_glob: str = "") -> list[File]:
    """The files of a path as Spark's file sources see them, sorted by path.

    Names that begin with `_` or `.` are hidden. Without `recursive`, only files directly in the matched folders count,
    unless the folders below are `k=v` partitions.

    Raises:
        AnalysisException: nothing exists at the path.
    """
    scheme, bucket, key = split_uri(path)
    shown = path.split(":", 1)[0] if scheme == "s3" else "file"
    parts = key.strip("/").split("/") if key.strip("/") else []
    fixed = next((at for at, part in enumerate(parts) if re.search(r"[*?\[{]", part)), len(parts))
    prefix = "/".join(parts[:fixed])
    found = _s3_objects(shown, bucket, prefix) if scheme == "s3" else _local_files("/" + prefix)
    globs = [glob_pattern(part) for part in parts]
    wanted = glob_pattern(name_glob) if name_glob else None
    files: list[File] = []
    exists = False
    for file in found:
        pieces = (file.key if scheme == "s3" else file.local.lstrip("/")).split("/")
        if len(pieces) < len(globs) or not all(g.fullmatch(p) for g, p in zip(globs, pieces, strict=False)):
            continue
        exists = True
        below = pieces[len(globs) :]
        if any(part.startswith(HIDDEN) and "=" not in part for part in below) or (
            not below and pieces[-1].startswith(HIDDEN)
        ):
            continue
        if wanted and not wanted.fullmatch(pieces[-1]):
            continue
        partition = tuple((k, unquote(v)) for k, _, v in (folder.partition("=") for folder in below[:-1]))
        if partition and not recursive:
            if not all("=" in folder for folder in below[:-1]):
                continue
            files.append(replace(file, partition=partition))
        else:
            files.append(file)
    if not exists and not (scheme == "file" and fixed == len(parts) and Path(key).is_dir()):
        raise AnalysisException(f"[PATH_NOT_FOUND] Path does not exist: {path}.")
    return sorted(files, key=lambda file: file.path)


def read_file(file: File) -> bytes:
    """The whole body. Raises FileNotFoundError when it was deleted since it was listed."""
    if file.local:
        return Path(file.local).read_bytes()
    with _missing(file):
        return bytes(s3().get_object(Bucket=file.bucket, Key=file.key)["Body"].read())


@contextlib.contextmanager
def _missing(file: File) -> Iterator[None]:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - as above

    try:
        yield
    except ClientError as problem:
        if problem.response["Error"]["Code"] in ("NoSuchKey", "404"):
            raise FileNotFoundError(file.path) from None
        raise


def open_file(file: File) -> IO[bytes]:
    """A stream of the body. Raises FileNotFoundError."""
    if file.local:
        return Path(file.local).open("rb")
    with _missing(file):
        body = s3().get_object(Bucket=file.bucket, Key=file.key)["Body"]
    return _Stream(body)  # type: ignore[return-value] - read() and close() are all that is used


class _Stream:
    """botocore's body as a file that decompressors and line readers accept."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        return bytes(self._body.read(None if size is None or size < 0 else size))

    def close(self) -> None:
        self._body.close()


def local_copy(file: File) -> str:
    """A local path with the body: the file itself, or a download into scratch."""
    if file.local:
        return file.local
    target = scratch_file(".download")
    with _missing(file):
        s3().download_file(file.bucket, file.key, str(target))
    return str(target)


def read_ahead(files: list[File], read: Callable[[File], Any]) -> Iterator[tuple[File, Any]]:
    """(file, read(file)) in order. S3 bodies are fetched by a few threads a few files ahead; an error is given, not
    raised.
    """

    def attempt(file: File) -> Any:
        try:
            return read(file)
        except FileNotFoundError as problem:
            return problem

    if not files or files[0].local:
        yield from ((file, attempt(file)) for file in files)
        return
    with ThreadPoolExecutor(S3_THREADS) as pool:
        window = 0
        pending: list[Any] = []
        for file in files:
            # Big bodies are not fetched ahead: the window is bounded in bytes as well as in files.
            while pending and (len(pending) >= 4 * S3_THREADS or window + file.size > 64 << 20):
                done, future = pending.pop(0)
                window -= done.size
                yield done, future.result()
            pending.append((file, pool.submit(attempt, file)))
            window += file.size
        for done, future in pending:
            yield done, future.result()


def exists(path: str) -> bool:
    scheme, bucket, key = split_uri(path)
    if scheme == "s3":
        return any(True for _ in _s3_objects("s3", bucket, key.rstrip("/") + "/"))
    folder = Path(key)
    return folder.is_dir() and any(folder.iterdir())


def publish(files: dict[str, Path], path: str, *, replacing: str) -> None:
    """Puts finished local files under a folder, then removes what they replace, then writes `_SUCCESS`.

    Each file appears whole, and old ones go last: a reader in between sees old and new rows, never none.

    Args:
        files: relative name -> local file, which is moved.
        path: the folder.
        replacing: "all" removes everything else below the folder, "partitions" only in the folders written, "none"
            nothing.
    """
    scheme, bucket, key = split_uri(path)
    folders = {name.rpartition("/")[0] for name in files}

    def old(name: str) -> bool:
        return (
            name not in files
            and name != "_SUCCESS"
            and (replacing == "all" or (replacing == "partitions" and name.rpartition("/")[0] in folders))
        )

    if scheme == "s3":
        base = key.rstrip("/") + "/" if key.strip("/") else ""
        stale = [f.key for f in _s3_objects("s3", bucket, base) if replacing != "none" and old(f.key[len(base) :])]
        with ThreadPoolExecutor(S3_THREADS) as pool:
            uploads = [pool.submit(s3().upload_file, str(file), bucket, base + name) for name, file in files.items()]
            for upload in uploads:
                upload.result()
        for at in range(0, len(stale), 1000):
            s3().delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": k} for k in stale[at : at + 1000]], "Quiet": True}
            )
        s3().put_object(Bucket=bucket, Key=f"{base}_SUCCESS", Body=b"")
        for file in files.values():
            file.unlink(missing_ok=True)
        return
    root = Path(key)
    root.mkdir(parents=True, exist_ok=True)
    stale_files = [
        p for p in root.rglob("*") if p.is_file() and replacing != "none" and old(p.relative_to(root).as_posix())
    ]
    for name, file in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f"_{uuid.uuid4().hex}.moving")  # hidden until whole, also across file systems
        shutil.move(file, aside)
        aside.replace(target)
    for stale_file in stale_files:
        stale_file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            stale_file.parent.rmdir()
    (root / "_SUCCESS").touch()
