"""What the operations work with: the table, S3, SageMaker, what answers photographs, and where everything is kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, Json

from sextant.inspection.api import limits
from sextant.inspection.api.errors import invalid, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sextant.inspection.api.store import Item, Key, Table

Document: TypeAlias = dict[str, Any]
Task: TypeAlias = Literal["ingest", "packaging"]
HostingState: TypeAlias = Literal["STARTING_HOSTING", "HOSTED", "HOSTING_FAILED", "STOPPING_HOSTING", "TRAINED"]
BackendName: TypeAlias = Literal["lambda", "sagemaker", "marketplace", "legacy"]
T: TypeAlias = tuple[str, "Item"]
_LONGEST_KEY = 1024
"""Bytes of a sort key in DynamoDB."""


class Place(BaseModel):
    """Where the API keeps its state and what works for it: the environment that its functions share."""

    model_config = ConfigDict(frozen=True)

    TABLE: str
    BUCKET: str
    """Of manifests, archives and what else belongs to the API; photographs may lie in any bucket that can be read."""
    ACCOUNT_ID: str
    AWS_REGION: str
    INGEST_FUNCTION: str
    PACKAGING_FUNCTION: str
    PREFIX: str
    """What the names of training jobs and endpoints begin with."""
    IMAGE: str
    """Of training/inspection: it trains, and it serves where models are hosted on endpoints."""
    ROLE_ARN: str
    """Of training jobs and endpoints."""
    TRAINING_INSTANCE_TYPE: str
    METRICS: str
    """The namespace of CloudWatch's metrics."""
    NETWORK: Json[dict[str, list[str]]] = {}
    """SageMaker's VpcConfig, empty for none."""
    BACKEND: BackendName = "lambda"
    HOSTING_INSTANCE_TYPE: str = "ml.c5.large"
    """Of endpoints, for the backend `sagemaker`."""
    ENDPOINT_CONFIG: str = ""
    """For the backend `marketplace`: an endpoint configuration of a model of AWS's algorithm."""


@dataclass(frozen=True)
class Version:
    """A model version as a backend needs it. `archive` is the URI of its model.tar.gz; `name` is unique for ever;
    `units` and `most_units` are the inference units that it was last started with.
    """

    project: str
    number: int
    arn: str
    archive: str
    name: str
    units: int = 1
    most_units: int = 1


class Backend(Protocol):
    """What answers photographs for a hosted model."""

    def start(self, version: Version, units: int) -> HostingState:
        """Begins to host a version on some inference units; the same again changes nothing."""
        ...

    def stop(self, version: Version) -> HostingState:
        """Begins to end it, and with it what it costs; the same again changes nothing. TRAINED: nothing is left."""
        ...

    def state(self, version: Version, state: HostingState) -> tuple[HostingState, str]:
        """How far a start or stop has come that was in `state`, and why it failed. Asking changes nothing."""
        ...

    def settle(self, version: Version, state: HostingState) -> tuple[HostingState, str]:
        """The same, and what is still to be done for that start or stop is done."""
        ...

    def detect(self, version: Version, body: bytes, content_type: str) -> Document:
        """The DetectAnomalyResult of a photograph.

        Raises:
            ApiError: the photograph cannot be used.
        """
        ...


@dataclass(frozen=True)
class Services:
    """`later(task, document)` runs a function of the API without waiting for it; `now` is in seconds since 1970."""

    place: Place
    table: Table
    s3: Any
    sagemaker: Any
    later: Callable[[Task, Document], None]
    backend: Backend
    now: Callable[[], float] = time.time
    identifier: Callable[[], str] = lambda: uuid.uuid4().hex

    @property
    def today(self) -> float:
        """`now` in milliseconds' precision, as it is kept and told."""
        return round(self.now(), 3)


def project_key(project: str) -> Key:
    """The item of a project."""
    return f"PROJECT#{project}", "PROJECT"


def listed_key(project: str) -> Key:
    """The item that lists a project among all."""
    return "PROJECTS", project


def dataset_key(project: str, kind: str) -> Key:
    """The item of a dataset, `train` or `test`."""
    return f"PROJECT#{project}", f"DATASET#{kind}"


def entry_key(project: str, kind: str, source: str) -> Key:
    """The item of a dataset's entry."""
    return f"PROJECT#{project}", f"ENTRY#{kind}#{hashlib.sha256(source.encode()).hexdigest()}"


def model_key(project: str, number: int) -> Key:
    """The item of a model version."""
    return f"PROJECT#{project}", f"MODEL#{number:06d}"


def job_key(project: str, job: str) -> Key:
    """The item of a packaging job."""
    return f"PROJECT#{project}", f"JOB#{job}"


def champion_key(project: str) -> Key:
    """The item that points to the version which answers a project's belts."""
    return f"PROJECT#{project}", "CHAMPION"


def slot_key(number: int) -> Key:
    """The item that a training under way holds: there are as many as may run at once."""
    return "TRAININGS", f"SLOT#{number}"


def model_root(place: Place, project: str, number: int) -> str:
    """The URI below which a version keeps its manifests, archive and evaluation."""
    return f"s3://{place.BUCKET}/projects/{project}/models/{number}"


def archive_uri(place: Place, project: str, number: int) -> str:
    """The URI of a version's model.tar.gz."""
    return f"{model_root(place, project, number)}/model.tar.gz"


def project_arn(place: Place, project: str) -> str:
    """As the service made it."""
    return f"arn:aws:lookoutvision:{place.AWS_REGION}:{place.ACCOUNT_ID}:project/{project}"


def model_arn(place: Place, project: str, number: int | str) -> str:
    """As the service made it."""
    return f"arn:aws:lookoutvision:{place.AWS_REGION}:{place.ACCOUNT_ID}:model/{project}/{number}"


def job_name(prefix: str, project: str, number: int, created: float) -> str:
    """A name for SageMaker of at most 63 characters: no other version has it, not even one of a project made anew."""
    told = re.sub(r"[^a-zA-Z0-9]+", "-", project).strip("-")[:20].strip("-")
    unique = hashlib.sha256(f"{project}\n{number}\n{created}".encode()).hexdigest()[:8]
    return f"{prefix[:20]}-{told}-{number}-{unique}"


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def empty(services: Services, uri: str) -> None:
    """Deletes every object whose URI begins with an s3:// URI; older versions stay as long as the bucket keeps them."""
    bucket, prefix = split(uri)
    for found in services.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        keys = [{"Key": each["Key"]} for each in found.get("Contents", [])]
        if keys:
            services.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})


def the_project(services: Services, project: str) -> Item:
    """The item of a project.

    Raises:
        ApiError: there is none.
    """
    found = services.table.get(project_key(project))
    if found is None:
        raise missing("PROJECT", project, f"There is no project {project}. ListProjects tells which there are.")
    return found


def page(found: Iterator[T], request: Mapping[str, Any]) -> tuple[list[Item], str | None]:
    """The results of one page, and the token of the next or None.

    Args:
        found: sort keys and items in order, from the one after the request's token on.
        request: has MaxResults and NextToken where the caller gave them.
    """
    most = request.get("MaxResults", limits.PAGE)
    results: list[Item] = []
    last = ""
    for key, item in found:
        if len(results) == most:
            return results, base64.b64encode(last.encode()).decode()
        results.append(item)
        last = key
    return results, None


def after(request: Mapping[str, Any], prefix: str = "") -> str:
    """The sort key that the request's page comes after, empty for the first.

    Args:
        request: has NextToken where the caller gave one.
        prefix: of the list's sort keys. DynamoDB refuses to begin with a key outside of it.

    Raises:
        ApiError: the token is not one of this list.
    """
    given = request.get("NextToken", "")
    if not given:
        return ""
    try:
        sort = base64.b64decode(given, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        sort = ""
    if not sort or not sort.startswith(prefix) or len(sort.encode()) > _LONGEST_KEY:
        raise invalid("NextToken is not a token of this list: give the one that the page before ended with")
    return sort
