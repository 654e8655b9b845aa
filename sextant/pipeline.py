"""What every run of a pipeline from outside needs: input into a bucket, progress told, and a plain error."""

from __future__ import annotations

import mimetypes
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

Report: TypeAlias = "Callable[[str, int, int], None]"
"""Called with what is being done, how much is done and how much there is."""

_UPLOADS = 8
_MANIFEST_FILES = (".manifest", ".json", ".jsonl")


class PipelineError(Exception):
    """The pipeline stopped. The message names the step, the reason and where to look."""


def upload(s3: Any, folder: Path, bucket: str, prefix: str, report: Report | None = None, *, last: str = "") -> int:
    """Puts every file below `folder` at the same path below `prefix`; returns how many.

    `last` is the path of the file whose arrival starts the work: it is put when all others are there.

    Raises:
        PipelineError: the folder is missing or has no file.
    """
    files = files_below(folder)

    def put(path: Path) -> None:
        key = prefix + path.relative_to(folder).as_posix()
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        content = "application/json" if path.suffix in _MANIFEST_FILES else kind
        s3.upload_file(str(path), bucket, key, ExtraArgs={"ContentType": content})

    at_once = [path for path in files if path != folder / last]
    with ThreadPoolExecutor(_UPLOADS) as pool:
        for done, _ in enumerate(pool.map(put, at_once), start=1):
            if report:
                report("upload", done, len(files))
    for path in set(files) - set(at_once):
        put(path)
    return len(files)


def files_below(folder: Path) -> list[Path]:
    """The files of an input folder, sorted.

    Raises:
        PipelineError: the folder is missing or has no file.
    """
    if not folder.is_dir():
        raise PipelineError(f"{folder} is not a folder. Give the folder that holds your input.")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise PipelineError(f"{folder} holds no file. Give the folder that holds your input.")
    return files


def clear(s3: Any, bucket: str, prefix: str, keep: Collection[str] = ()) -> int:
    """Removes what lies below a prefix, except some keys, and returns how many objects that were.

    Versions stay where they are kept.
    """
    removed = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        keys = [{"Key": found["Key"]} for found in page.get("Contents", []) if found["Key"] not in keep]
        if keys:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            removed += len(keys)
    return removed
