"""`boto3.client("lookoutvision")` on today's boto3, which has no such service any more, against this API.

Two lines are enough for old programs:

    from sextant.inspection.client import lookoutvision
    client = lookoutvision("https://….execute-api.eu-west-1.amazonaws.com")

Programs that must not change, and the AWS CLI, are told by two environment variables instead: AWS_DATA_PATH, the folder
`MODELS`, and AWS_ENDPOINT_URL_LOOKOUTVISION, the API's URL. Requests are signed for API Gateway (`execute-api`).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal

import boto3
import botocore.session

from sextant.inspection import manifest
from sextant.inspection.api.services import split
from sextant.inspection.api.wire import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botocore.config import Config

__all__ = ["MODELS", "import_folder", "import_manifest", "legacy", "lookoutvision"]


def lookoutvision(endpoint: str | None = None, config: Config | None = None, **settings: Any) -> Any:
    """A client of the API, with the operations, paginators and exceptions that boto3 had.

    Args:
        endpoint: URL of the API; without it that of AWS_ENDPOINT_URL_LOOKOUTVISION or AWS_ENDPOINT_URL.
        config: of botocore, for timeouts and attempts.
        settings: of boto3's session, such as profile_name or region_name.
    """
    core = botocore.session.get_session()
    # Before botocore's own: one of before October 2025 has a model that signs for the service.
    core.get_component("data_loader").search_paths.insert(0, str(MODELS))
    make: Any = boto3.session.Session(botocore_session=core, **settings).client
    return make("lookoutvision", endpoint_url=endpoint, config=config)


def legacy(region: str) -> Any:
    """A client of Amazon Lookout for Vision itself, whose requests are signed for it and not for API Gateway."""
    made = lookoutvision(f"https://lookoutvision.{region}.amazonaws.com", region_name=region)
    made.meta.events.register("before-sign.lookoutvision", _sign_for_the_service)
    return made


def import_folder(
    client: Any, s3: Any, uri: str, *, project: str, kind: Literal["train", "test"], target: str, labelled: bool = True
) -> int:
    """Makes a dataset of the photographs in a folder of S3, as the service's console did; returns how many.

    Args:
        client: of `lookoutvision`.
        s3: boto3's client.
        uri: the folder; those in its folders `normal/` and `anomaly/` are labelled so.
        project: that has no such dataset yet.
        kind: of dataset.
        target: URI that the manifest gets.
        labelled: whether the folders' names label.
    """
    bucket, key = split(uri)
    prefix = f"{key.rstrip('/')}/" if key.rstrip("/") else ""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [each["Key"].removeprefix(prefix) for found in pages for each in found.get("Contents", [])]
    now = dt.datetime.now(dt.UTC)
    lines = list(manifest.of_folder(f"s3://{bucket}/{prefix}".rstrip("/"), keys, now, labelled=labelled))
    return _import(client, s3, lines, project=project, kind=kind, target=target)


def import_manifest(
    client: Any,
    s3: Any,
    lines: Iterable[str | bytes],
    *,
    project: str,
    kind: Literal["train", "test"],
    root: str,
    target: str,
) -> int:
    """Makes a dataset of an exported manifest; returns how many photographs it has.

    Args:
        client: of `lookoutvision`.
        s3: boto3's client.
        lines: of the manifest, as it was exported.
        project: that has no such dataset yet.
        kind: of dataset.
        root: URI of the folder that the manifest's relative paths begin in.
        target: URI that the manifest gets.

    Raises:
        ManifestError: a line cannot be used.
    """
    moved = [manifest.under(line, root, number) for number, line in enumerate(lines, start=1) if line.strip()]
    return _import(client, s3, moved, project=project, kind=kind, target=target)


def _import(client: Any, s3: Any, lines: list[str], *, project: str, kind: str, target: str) -> int:
    bucket, key = split(target)
    s3.put_object(Bucket=bucket, Key=key, Body="".join(f"{line}\n" for line in lines).encode())
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Key": key}}}
    client.create_dataset(ProjectName=project, DatasetType=kind, DatasetSource=source)
    return len(lines)


def _sign_for_the_service(request: Any, **_: Any) -> None:
    request.context.setdefault("signing", {})["signing_name"] = "lookoutvision"
