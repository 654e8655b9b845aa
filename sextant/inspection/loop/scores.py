"""What a model version's own training says of normal photographs: the reference of its scores on the belt."""

from __future__ import annotations

import io
import json
import tarfile
from functools import cache
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from sextant.inspection.api.services import archive_uri, split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sextant.inspection.api.services import Services

_METRICS = "metrics.json"


def archive_body(services: Services, uri: str) -> bytes:
    """The bytes of a version's archive.

    Raises:
        LookupError: it is not there any more.
    """
    bucket, key = split(uri)
    try:
        body: bytes = services.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
            raise
        message = f"the archive {uri} is not there any more: promote another version, or train a new one"
        raise LookupError(message) from error
    return body


def normal_scores(services: Services, project: str, version: int) -> Callable[[], Sequence[float]]:
    """A function that reads the out-of-fold anomaly probabilities of accepted normal photographs, once it is asked.

    They are empty where the model keeps none: its scores are then not watched. Where its archive is gone, the function
    raises LookupError.
    """

    @cache
    def read() -> Sequence[float]:
        body = archive_body(services, archive_uri(services.place, project, version))
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
            for member in archive:
                if member.name.removeprefix("./") == _METRICS and (file := archive.extractfile(member)):
                    rows = json.loads(file.read())["out_of_fold"]["rows"]
                    normal = [each for each in rows if not each["anomalous"] and each["verdict"] == "accept"]
                    return [float(each["probability"]) for each in normal]
        return ()

    return read
