"""Projects, and the tags of models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sextant.inspection.api import limits
from sextant.inspection.api.errors import conflict, invalid, missing, over_quota
from sextant.inspection.api.services import (
    after,
    dataset_key,
    empty,
    listed_key,
    model_arn,
    model_key,
    page,
    project_arn,
    project_key,
    the_project,
)
from sextant.inspection.api.store import Change, Put, Remove

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sextant.inspection.api.services import Document, Services
    from sextant.inspection.api.store import Item, Key

KINDS = ("train", "test")
_DELETING = "DELETING"
_KEPT_BY_NAME = ("REVIEW#", "VERIFIED#", "CAMERA#", "DRIFT#", "ALARM#")
"""Partitions that the belt's loop and the console's pages keep of each project, besides its verdicts."""


def create_project(services: Services, request: Mapping[str, Any]) -> Document:
    """CreateProject."""
    name = request["ProjectName"]
    item = {"name": name, "created": services.today, "next_version": 1, "touched": ""}
    if services.table.commit(Put(project_key(name), item), Put(listed_key(name), {"created": item["created"]})):
        raise conflict("PROJECT", name, f"There is a project {name} already. Choose another name.")
    return {"ProjectMetadata": _project(services, name, item)}


def list_projects(services: Services, request: Mapping[str, Any]) -> Document:
    """ListProjects."""
    found = services.table.below("PROJECTS", after=after(request))
    results, token = page(((name, {**item, "name": name}) for name, item in found), request)
    return {"Projects": [_project(services, item["name"], item) for item in results], "NextToken": token}


def describe_project(services: Services, request: Mapping[str, Any]) -> Document:
    """DescribeProject."""
    name = request["ProjectName"]
    item = the_project(services, name)
    there = {kind: services.table.get(dataset_key(name, kind)) for kind in KINDS}
    datasets = [dataset_metadata(kind, found) for kind, found in there.items() if found is not None]
    return {"ProjectDescription": {**_project(services, name, item), "Datasets": datasets}}


def delete_project(services: Services, request: Mapping[str, Any]) -> Document:
    """DeleteProject: only one without datasets and models. Photographs and verdicts stay.

    What else is kept by the project's name goes, or a project made anew would have its champion, settings and cameras.
    """
    name = request["ProjectName"]
    item = the_project(services, name)
    for kind in KINDS:
        if services.table.get(dataset_key(name, kind)) is not None:
            raise conflict("PROJECT", name, f"Project {name} has a {kind} dataset. Delete it first: DeleteDataset.")
    if services.table.last(f"PROJECT#{name}", "MODEL#"):
        raise conflict("PROJECT", name, f"Project {name} has models. Delete each first: DeleteModel.")
    own = project_key(name)
    # A dataset or model made meanwhile has touched the project; from now on none can be made.
    if services.table.commit(Change(own, {"touched": _DELETING}, {"touched": [item["touched"]]})):
        raise conflict("PROJECT", name, f"Project {name} is just being changed. Try again.")
    for partition in (own[0], *(f"{prefix}{name}" for prefix in _KEPT_BY_NAME)):
        keys = ((partition, key) for key, _ in services.table.below(partition))
        services.table.remove_all(key for key in keys if key != own)
    empty(services, f"s3://{services.place.BUCKET}/projects/{name}/")
    services.table.commit(Remove(own), Remove(listed_key(name)))
    return {"ProjectArn": project_arn(services.place, name)}


def touch(services: Services, item: Item, **changes: Any) -> Change:
    """What a transaction that puts something into a project holds, so that the project is not deleted meanwhile.

    Raises:
        ApiError: it is being deleted.
    """
    if item["touched"] == _DELETING:
        message = f"Project {item['name']} is being deleted. Wait until it is gone, or delete it again: DeleteProject."
        raise conflict("PROJECT", item["name"], message)
    where = {"touched": [item["touched"]]}
    return Change(project_key(item["name"]), {"touched": services.identifier(), **changes}, where)


def dataset_metadata(kind: str, item: Mapping[str, Any]) -> Document:
    """A dataset as projects and CreateDataset tell it."""
    return {
        "DatasetType": kind,
        "CreationTimestamp": item["created"],
        "Status": item["status"],
        "StatusMessage": item["message"],
    }


def tag_resource(services: Services, request: Mapping[str, Any]) -> Document:
    """TagResource: models only, as the service had it."""
    arn = _tagged(services, request["ResourceArn"])
    put_tags(services, arn, request["Tags"])
    return {}


def put_tags(services: Services, arn: str, tags: list[Mapping[str, str]]) -> None:
    """Adds tags to a model, those it has keep their keys once.

    Raises:
        ApiError: it would have too many.
    """
    there = {key for key, _ in services.table.below(_tags(arn))} | {tag["Key"] for tag in tags}
    if len(there) > limits.TAGS:
        message = f"{arn} would have {len(there)} tags; at most {limits.TAGS} are kept. Remove some: UntagResource."
        raise over_quota("tags-per-resource", "MODEL", arn, message)
    services.table.put_all(((_tags(arn), key), {"value": value}) for key, value in sorted(_last(tags).items()))


def untag_resource(services: Services, request: Mapping[str, Any]) -> Document:
    """UntagResource: keys that the model does not have are no fault."""
    arn = _tagged(services, request["ResourceArn"])
    services.table.remove_all((_tags(arn), key) for key in sorted(set(request["TagKeys"])))
    return {}


def list_tags_for_resource(services: Services, request: Mapping[str, Any]) -> Document:
    """ListTagsForResource."""
    arn = _tagged(services, request["ResourceArn"])
    return {"Tags": [{"Key": key, "Value": item.get("value", "")} for key, item in services.table.below(_tags(arn))]}


def tag_keys(services: Services, arn: str) -> list[Key]:
    """The items of a model's tags."""
    return [(_tags(arn), key) for key, _ in services.table.below(_tags(arn))]


def _tags(arn: str) -> str:
    return f"TAG#{arn}"


def _last(tags: list[Mapping[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _tagged(services: Services, arn: str) -> str:
    matched = re.fullmatch(r"arn:[^:]+:lookoutvision:[^:]+:\d{12}:model/([^/]+)/([1-9]\d{0,8})", arn)
    if matched is None:
        raise invalid(
            f"{arn} is no ARN of a model: tags belong to models, arn:aws:lookoutvision:…:model/PROJECT/VERSION"
        )
    project, number = matched[1], int(matched[2])
    # Another account's or region's model of that name is none of ours.
    if arn != model_arn(services.place, project, number) or services.table.get(model_key(project, number)) is None:
        raise missing("MODEL", arn, f"There is no model {arn}. ListModels tells which there are.")
    return arn


def _project(services: Services, name: str, item: Mapping[str, Any]) -> Document:
    arn = project_arn(services.place, name)
    return {"ProjectArn": arn, "ProjectName": name, "CreationTimestamp": item["created"]}
