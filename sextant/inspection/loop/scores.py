"""What a model version's own training says of normal photographs: the reference of its scores on the belt."""

from __future__ import annotations

import io
import json
import tarfile
from functools import cache
from typing import TYPE_CHECKING

from sextant.inspection.api.services import archive_uri, split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sextant.inspection.api.services import Services

_METRICS = "metrics.json"


def normal_scores(services: Services, project: str, version: int) -> Callable[[], Sequence[float]]:
    """A function that reads the out-of-fold anomaly probabilities of accepted normal photographs, once it is asked.

    They are empty where the model keeps none: its scores are then not watched.
    """

    @cache
    def read() -> Sequence[float]:
        bucket, key = split(archive_uri(services.place, project, version))
        body = services.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
            for member in archive:
                if member.name.removeprefix("./") == _METRICS and (file := archive.extractfile(member)):
                    rows = json.loads(file.read())["out_of_fold"]["rows"]
                    normal = [each for each in rows if not each["anomalous"] and each["verdict"] == "accept"]
                    return [float(each["probability"]) for each in normal]
        return ()

    return read
