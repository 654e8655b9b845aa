"""The console's site in its bucket: puts a release there, and takes everything away."""

from __future__ import annotations

import io
import mimetypes
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection


def publish(s3: Any, archive: bytes, target: str, config: str) -> None:
    """Makes the bucket hold exactly the files of a ZIP archive, and `config.json` beside them.

    Browsers and CloudFront ask again for every file (`no-cache`, answered by its ETag): a new release shows at once.
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        files = {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}
    files["config.json"] = config.encode()
    for name, body in files.items():
        kind = mimetypes.guess_type(name)[0] or "text/plain"
        s3.put_object(Bucket=target, Key=name, Body=body, ContentType=kind, CacheControl="no-cache")
    remove(s3, target, keep=files.keys())


def remove(s3: Any, target: str, keep: Collection[str] = ()) -> None:
    """Deletes every object of the bucket but some."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=target):
        for item in page.get("Contents", []):
            if item["Key"] not in keep:
                s3.delete_object(Bucket=target, Key=item["Key"])
