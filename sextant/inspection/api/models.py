"""Model versions: trained by a SageMaker job, evaluated, hosted, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from sextant.inspection.api import datasets, limits, training
from sextant.inspection.api.errors import ApiError, conflict, internal, invalid, missing, over_quota
from sextant.inspection.api.projects import put_tags, tag_keys, touch
from sextant.inspection.api.services import (
    Version,
    after,
    archive_uri,
    champion_key,
    dataset_key,
    empty,
    job_name,
    model_arn,
    model_key,
    model_root,
    page,
    slot_key,
    split,
    the_project,
)
from sextant.inspection.api.store import Change, Put, Remove
from sextant.inspection.settings import DetectorSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sextant.inspection.api.services import Document, Services
    from sextant.inspection.api.store import Item

_ATTEMPTS = 5
_STARTABLE = ("TRAINED", "HOSTING_FAILED")
_MOVING = ("STARTING_HOSTING", "STOPPING_HOSTING")
_STOPPABLE = ("HOSTED", "STARTING_HOSTING", "HOSTING_FAILED", "STOPPING_HOSTING")


def create_model(services: Services, request: Mapping[str, Any]) -> Document:
    """CreateModel: a training job on copies of the datasets' manifests, once its evaluation has a place."""
    name = request["ProjectName"]
    sets = _manifests(services, name)
    settings = _settings(services, name)
    training.writable(services, name, request["OutputConfig"]["S3Location"])
    number, item = _take(services, request)
    version = version_of(services, name, number, item)
    try:
        for kind, text in sets.items():
            bucket, key = split(f"{model_root(services.place, name, number)}/{kind}.manifest")
            services.s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/jsonlines")
        if request.get("Tags"):
            put_tags(services, version.arn, request["Tags"])
        training.start(services, version, sets, request.get("KmsKeyId"), settings)
    except (ClientError, ApiError) as error:
        services.table.remove_all(tag_keys(services, version.arn))
        services.table.commit(Remove(model_key(name, number)), Remove(slot_key(int(item["slot"]))))
        raise _refused(error, f"The training of project {name}") from error
    return {"ModelMetadata": _metadata(version, item)}


def list_models(services: Services, request: Mapping[str, Any]) -> Document:
    """ListModels, from the first version on."""
    name = request["ProjectName"]
    the_project(services, name)
    results, token = page(services.table.below(f"PROJECT#{name}", "MODEL#", after(request, "MODEL#")), request)
    told = [_metadata(version_of(services, name, int(item["number"]), item), item) for item in results]
    return {"Models": told, "NextToken": token}


def describe_model(services: Services, request: Mapping[str, Any]) -> Document:
    """DescribeModel: asks SageMaker about a version that is on its way, whose event may be late."""
    version, item = settled(services, request["ProjectName"], request["ModelVersion"])
    told = {
        **_metadata(version, item),
        "OutputConfig": item["output"],
        "EvaluationManifest": item.get("evaluation_manifest"),
        "EvaluationResult": item.get("evaluation_result"),
        "EvaluationEndTimestamp": item.get("evaluated"),
        "KmsKeyId": item.get("kms_key"),
        "MinInferenceUnits": item.get("units"),
        "MaxInferenceUnits": item.get("most_units"),
    }
    return {"ModelDescription": told}


def delete_model(services: Services, request: Mapping[str, Any]) -> Document:
    """DeleteModel: neither one that trains nor one that is hosted. Its files go; the evaluation it put out stays."""
    version, item = settled(services, request["ProjectName"], request["ModelVersion"])
    key = model_key(version.project, version.number)
    named = f"{version.project}/{version.number}"
    if item["status"] not in {"TRAINED", "TRAINING_FAILED", "HOSTING_FAILED", "DELETING"}:
        remedy = "Wait for its end" if item["status"] == "TRAINING" else "Stop it first: StopModel"
        raise conflict("MODEL", named, f"Version {named} is {item['status']} and cannot be deleted. {remedy}.")
    pointer = services.table.get(champion_key(version.project))
    points = pointer is not None and int(pointer["version"]) == version.number
    # What answered the belts by that pointer is not there any more: the next comparison must not look for it.
    dropped = [Remove(champion_key(version.project), {"version": [version.number]})] if points else []
    if services.table.commit(Change(key, {"status": "DELETING"}, {"status": [item["status"]]}), *dropped):
        raise conflict("MODEL", named, f"Version {named} is just being changed. Try again.")
    if services.backend.stop(version) != "TRAINED":
        # An endpoint of a start that failed is still on its way up or down: nobody could delete it without the version.
        _arrive(services, version, "DELETING", "STOPPING_HOSTING", "")
        raise conflict("MODEL", named, f"The hosting of version {named} is still being stopped. Try again in a minute.")
    empty(services, model_root(services.place, version.project, version.number) + "/")
    services.table.remove_all(tag_keys(services, version.arn))
    services.table.commit(Remove(key))
    return {"ModelArn": version.arn}


def start_model(services: Services, request: Mapping[str, Any]) -> Document:
    """StartModel."""
    units, most = request["MinInferenceUnits"], request.get("MaxInferenceUnits")
    if most is not None and most < units:
        raise invalid(f"MaxInferenceUnits is {most}, less than MinInferenceUnits {units}. Give at least as many.")
    version, item = settled(services, request["ProjectName"], request["ModelVersion"])
    _move(services, version, item, _STARTABLE, {"status": "STARTING_HOSTING", "units": units, "most_units": most})
    try:
        state = services.backend.start(version, units)
    except ClientError as error:
        refused = _refused(error, f"The hosting of version {version.project}/{version.number}")
        _arrive(services, version, "STARTING_HOSTING", "HOSTING_FAILED", refused.message)
        raise refused from error
    key, told = model_key(version.project, version.number), {"status": state, "message": _MESSAGES[state]}
    if services.table.commit(Change(key, told, {"status": ["STARTING_HOSTING"]})):
        # It was stopped, or given up as lost, before there was an endpoint to see: what there is since must go.
        stopping = {"status": "STOPPING_HOSTING", "message": _MESSAGES["STOPPING_HOSTING"]}
        services.table.commit(Change(key, stopping, {"status": ["TRAINED", "HOSTING_FAILED"]}))
    return {"Status": "STARTING_HOSTING"}


def stop_model(services: Services, request: Mapping[str, Any]) -> Document:
    """StopModel: also one that is still starting, whose start has failed half-way, or whose stop has."""
    version, item = settled(services, request["ProjectName"], request["ModelVersion"])
    _move(services, version, item, _STOPPABLE, {"status": "STOPPING_HOSTING"})
    state = services.backend.stop(version)
    _arrive(services, version, "STOPPING_HOSTING", state, "")
    return {"Status": "STOPPING_HOSTING"}


def detect_anomalies(services: Services, request: Mapping[str, Any]) -> Document:
    """DetectAnomalies: the photograph may have any size, for the detector crops and scales it itself."""
    body, content_type = _photograph(request["Body"], request["ContentType"])
    version, item = settled(services, request["ProjectName"], request["ModelVersion"])
    if item["status"] != "HOSTED":
        named = f"{version.project}/{version.number}"
        message = f"Version {named} is {item['status']}, not HOSTED. Start it with StartModel and wait until it is."
        raise conflict("MODEL", named, message)
    return {"DetectAnomalyResult": services.backend.detect(version, body, content_type)}


def settled(services: Services, project: str, asked: str) -> tuple[Version, Item]:
    """A version and its item as of now: what is on its way is asked about first.

    Raises:
        ApiError: there is none.
    """
    number, item = _the_model(services, project, asked)
    version = version_of(services, project, number, item)
    if item["status"] == "TRAINING":
        training.settle(services, version)
    elif item["status"] in _MOVING:
        state, told = services.backend.settle(version, item["status"])
        _arrive(services, version, item["status"], state, told)
    else:
        return version, item
    return version, _the_model(services, project, str(number))[1]


def observed(services: Services, project: str, asked: str) -> tuple[Version, Item]:
    """A version and its item with the status that its hosting has now. Nothing is changed: for who may only look.

    Raises:
        ApiError: there is none.
    """
    number, item = _the_model(services, project, asked)
    version = version_of(services, project, number, item)
    if item["status"] not in _MOVING:
        return version, item
    return version, {**item, "status": services.backend.state(version, item["status"])[0]}


def settle_hosting(services: Services, project: str) -> None:
    """Brings what is left of starts and stops of a project's versions to its end, though nobody asks about them."""
    for _, item in list(services.table.below(f"PROJECT#{project}", "MODEL#")):
        if item["status"] in _MOVING:
            settled(services, project, str(item["number"]))


def version_of(services: Services, project: str, number: int, item: Mapping[str, Any]) -> Version:
    """A version as backends and trainings need it."""
    place = services.place
    name = job_name(services.place.PREFIX, project, number, float(item["created"]))
    units = int(item.get("units") or 1)
    arn, archive = model_arn(place, project, number), archive_uri(place, project, number)
    return Version(project, number, arn, archive, name, units, int(item.get("most_units") or units))


def _the_model(services: Services, project: str, asked: str) -> tuple[int, Item]:
    the_project(services, project)
    if asked == "latest":
        found = services.table.last(f"PROJECT#{project}", "MODEL#")
        item = found[1] if found else None
    else:
        item = services.table.get(model_key(project, int(asked)))
    if item is None:
        message = f"Project {project} has no model version {asked}. ListModels tells which there are."
        raise missing("MODEL", f"{project}/{asked}", message)
    return int(item["number"]), item


def _manifests(services: Services, project: str) -> dict[str, str]:
    """The labelled lines of the project's datasets, by type.

    Raises:
        ApiError: a dataset is missing, is just being changed or has too few photographs.
    """
    item = datasets.the_dataset(services, project, "train")
    if services.table.get(dataset_key(project, "test")) is None:
        kinds = {"train": item}
    else:
        kinds = {"train": item, "test": datasets.the_dataset(services, project, "test")}
    found: dict[str, str] = {}
    for kind, dataset in kinds.items():
        if dataset["status"] not in datasets.COMPLETE:
            raise datasets.unready(project, kind, dataset)
        lines = list(datasets.lines(services, project, kind))
        normals = sum(label == "normal" for label, _ in lines)
        if kind == "train" and normals < limits.NORMALS_TO_TRAIN:
            raise invalid(
                f"The train dataset of project {project} has {normals} photographs labelled normal; a training needs "
                f"{limits.NORMALS_TO_TRAIN}. Add some with UpdateDatasetEntries."
            )
        if not lines:
            raise invalid(
                f"The test dataset of project {project} has no labelled photograph. Label some, or delete it."
            )
        found[kind] = "".join(f"{line}\n" for _, line in lines)
    return found


def _settings(services: Services, project: str) -> Document:
    """The project's own settings of the detector, which its training is told.

    Raises:
        ApiError: they cannot be used.
    """
    try:
        given = training.settings(services, project)
        DetectorSettings.model_validate(given)
    except ValueError as error:
        uri = f"s3://{services.place.BUCKET}/{training.settings_key(project)}"
        raise invalid(f"The project's settings {uri} cannot be used: {_words(error)}. Mend or delete them.") from error
    return given


def _words(error: ValueError) -> str:
    """What is wrong, on one line."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return str(error)


def _take(services: Services, request: Mapping[str, Any]) -> tuple[int, Item]:
    """A version's number, its item and a place among the trainings, taken in one transaction.

    Raises:
        ApiError: as many trainings as may are under way.
    """
    name = request["ProjectName"]
    for _ in range(_ATTEMPTS):
        project = the_project(services, name)
        number = int(project["next_version"])
        slot = training.free_slot(services)
        if slot is None:
            message = (
                f"{limits.CONCURRENT_TRAININGS} trainings are under way; no more run at once. Wait for one to end."
            )
            raise over_quota("concurrent-trainings", "MODEL", f"{name}/{number}", message)
        item = {
            "number": number,
            "slot": slot,
            "status": "TRAINING",
            "message": "The model is being trained.",
            "created": services.today,
            "description": request.get("Description"),
            "output": request["OutputConfig"],
            "kms_key": request.get("KmsKeyId"),
        }
        taken = {"project": name, "number": number, "created": item["created"]}
        put = Put(model_key(name, number), item), Put(slot_key(slot), taken)
        if not services.table.commit(*put, touch(services, project, next_version=number + 1)):
            return number, item
    raise conflict("PROJECT", name, f"Project {name} is changed by others all the time. Try again.")


def _move(
    services: Services, version: Version, item: Item, before: tuple[str, ...], changes: Mapping[str, Any]
) -> None:
    """Takes a version from one of some states to the next."""
    key = model_key(version.project, version.number)
    if item["status"] in before:
        told = {"message": _MESSAGES[changes["status"]], **changes}
        if not services.table.commit(Change(key, told, {"status": [item["status"]]})):
            return
    named = f"{version.project}/{version.number}"
    now = _the_model(services, version.project, str(version.number))[1]["status"]
    message = f"Version {named} is {now}; it would have to be {' or '.join(before)}."
    raise conflict("MODEL", named, message)


def _arrive(services: Services, version: Version, before: str, state: str, told: str) -> None:
    if state != before:
        changes = {"status": state, "message": told or _MESSAGES[state]}
        services.table.commit(Change(model_key(version.project, version.number), changes, {"status": [before]}))


_MESSAGES = {
    "STARTING_HOSTING": "The model's hosting is being started.",
    "HOSTED": "The model is hosted.",
    "HOSTING_FAILED": "The model could not be hosted.",
    "STOPPING_HOSTING": "The model's hosting is being stopped.",
    "TRAINED": training.TRAINED,
}

_SIGNATURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


def _photograph(body: bytes, content_type: str) -> tuple[bytes, str]:
    if not body:
        raise invalid("Body is empty, 0 bytes. Send the bytes of one photograph, JPEG or PNG: open(file, 'rb').read().")
    told = content_type.partition(";")[0].strip().lower()
    if told not in _SIGNATURES.values():
        raise invalid(f"ContentType is {content_type!r}. Photographs are image/jpeg or image/png.")
    if len(body) > limits.PHOTOGRAPH_BYTES:
        raise invalid(f"The photograph has {len(body)} bytes; it has at most {limits.PHOTOGRAPH_BYTES} (8 MB).")
    found = next((kind for signature, kind in _SIGNATURES.items() if body.startswith(signature)), None)
    if found != told:
        raise invalid(f"ContentType is {told}, but the body is {found or 'neither a JPEG nor a PNG file'}.")
    return body, told


def _metadata(version: Version, item: Mapping[str, Any]) -> Document:
    return {
        "CreationTimestamp": item["created"],
        "ModelVersion": str(version.number),
        "ModelArn": version.arn,
        "Description": item.get("description"),
        "Status": item["status"],
        "StatusMessage": item["message"],
        "Performance": item.get("performance"),
    }


def _refused(error: ClientError | ApiError, what: str) -> ApiError:
    if isinstance(error, ApiError):
        return error
    code, told = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code == "ResourceLimitExceeded":
        return over_quota("sagemaker-instances", "MODEL", what, f"{what} found no instance of SageMaker free: {told}")
    return internal(f"{what} could not be started ({error.operation_name}: {code}) {told}")
