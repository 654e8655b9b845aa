"""Packaging jobs: a version as a component for edge devices, an archive in the bucket that the request names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sextant.inspection.api import models
from sextant.inspection.api.errors import conflict, invalid, missing
from sextant.inspection.api.services import after, job_key, model_key, page, split, the_project
from sextant.inspection.api.store import Change, Put, Remove

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sextant.inspection.api.services import Document, Services
    from sextant.inspection.api.store import Item, Key

_USABLE = {"TRAINED", "STARTING_HOSTING", "HOSTED", "HOSTING_FAILED", "STOPPING_HOSTING", "SYSTEM_UPDATING"}
_LOST_AFTER = 2 * 3600.0


def start_model_packaging_job(services: Services, request: Mapping[str, Any]) -> Document:
    """StartModelPackagingJob."""
    name = request["ProjectName"]
    version, item = models.settled(services, name, request["ModelVersion"])
    if item["status"] not in _USABLE:
        named = f"{name}/{version.number}"
        raise conflict("MODEL", named, f"Version {named} is {item['status']}; only a trained one can be packed.")
    settings = request["Configuration"]["Greengrass"]
    _check(settings)
    component = settings["ComponentName"], settings.get("ComponentVersion", f"{version.number}.0.0")
    now = services.today
    job = request.get("JobName") or services.identifier()
    made = {
        "name": job,
        "model": version.number,
        "configuration": {"Greengrass": {**settings, "ComponentVersion": component[1]}},
        "description": request.get("Description"),
        "status": "CREATED",
        "message": "The job waits to be run.",
        "created": now,
        "updated": now,
    }
    taken = Put(_component(name, *component), {"job": job})
    refused = services.table.commit(Put(job_key(name, job), made), taken)
    if 0 in refused:
        raise conflict(
            "MODEL_PACKAGE_JOB", job, f"Project {name} has a packaging job {job} already. Choose another name."
        )
    if refused:
        told = f"There is a component {component[0]} {component[1]} already. Choose another ComponentVersion."
        raise conflict("MODEL_PACKAGE_JOB", component[0], told)
    services.later("packaging", {"project": name, "job": job})
    return {"JobName": job}


def describe_model_packaging_job(services: Services, request: Mapping[str, Any]) -> Document:
    """DescribeModelPackagingJob."""
    name, job = request["ProjectName"], request["JobName"]
    the_project(services, name)
    item = services.table.get(job_key(name, job))
    if item is None:
        told = f"Project {name} has no packaging job {job}. ListModelPackagingJobs tells which there are."
        raise missing("MODEL_PACKAGE_JOB", job, told)
    more = {"ModelPackagingConfiguration": item["configuration"], "ModelPackagingOutputDetails": item.get("output")}
    return {"ModelPackagingDescription": {**_metadata(services, name, item), **more}}


def list_model_packaging_jobs(services: Services, request: Mapping[str, Any]) -> Document:
    """ListModelPackagingJobs."""
    name = request["ProjectName"]
    the_project(services, name)
    results, token = page(services.table.below(f"PROJECT#{name}", "JOB#", after(request, "JOB#")), request)
    return {"ModelPackagingJobs": [_metadata(services, name, item) for item in results], "NextToken": token}


def pack(services: Services, project: str, job: str, bundle: Callable[[bytes, str], bytes]) -> str:
    """Runs a packaging job and returns the state it then has. The same job again, or one that has ended, is no fault.

    Args:
        services: of the API.
        project: of the job.
        job: its name.
        bundle: makes of a model's archive (model.tar.gz) and the project's name what a device installs, a zip.
    """
    key = job_key(project, job)
    item = services.table.get(key)
    if item is None or item["status"] in {"SUCCEEDED", "FAILED"}:
        return "unchanged" if item is None else str(item["status"])
    settings = item["configuration"]["Greengrass"]
    services.table.commit(Change(key, {"status": "RUNNING", "message": "The model is being packed."}))
    try:
        state, told = _packed(services, project, item, bundle)
    except Exception as error:  # it would fail again: whoever waits for it must know, and the log must have it
        told = {"message": f"The packaging failed for a fault of its own ({type(error).__name__}): see its log."}
        services.table.commit(Change(key, {"status": "FAILED", "updated": services.today, **told}))
        services.table.commit(Remove(_component(project, settings["ComponentName"], settings["ComponentVersion"])))
        raise
    services.table.commit(Change(key, {"status": state, "updated": services.today, **told}))
    if state == "FAILED":  # the component is not there: another job may make it
        services.table.commit(Remove(_component(project, settings["ComponentName"], settings["ComponentVersion"])))
    return state


def _packed(
    services: Services, project: str, item: Item, bundle: Callable[[bytes, str], bytes]
) -> tuple[str, Document]:
    settings = item["configuration"]["Greengrass"]
    component, number = settings["ComponentName"], settings["ComponentVersion"]
    model = services.table.get(model_key(project, int(item["model"])))
    if model is None:
        return "FAILED", {"message": f"Model version {item['model']} has been deleted meanwhile."}
    bucket, source = split(models.version_of(services, project, int(item["model"]), model).archive)
    target = settings["S3OutputLocation"]
    prefix = f"{target['Prefix'].rstrip('/')}/" if target.get("Prefix") else ""
    where = f"{prefix}{component}/{number}/{component}.zip"
    try:
        body = bundle(services.s3.get_object(Bucket=bucket, Key=source)["Body"].read(), project)
        services.s3.put_object(Bucket=target["Bucket"], Key=where, Body=body, ContentType="application/zip")
    except ClientError as error:
        code, reason = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        return "FAILED", {"message": f"{error.operation_name} was refused: {code} {reason}"}
    except ValueError as error:
        return "FAILED", {"message": f"The model cannot be packed: {error}"}
    arn = f"arn:aws:greengrass:{services.place.AWS_REGION}:aws:components:{component}"
    output = {"ComponentVersionArn": arn, "ComponentName": component, "ComponentVersion": number}
    return "SUCCEEDED", {
        "message": f"The component is s3://{target['Bucket']}/{where}",
        "output": {"Greengrass": output},
    }


def _component(project: str, component: str, number: str) -> Key:
    return f"PROJECT#{project}", f"COMPONENT#{component}#{number}"


def _check(settings: Mapping[str, Any]) -> None:
    device, platform = settings.get("TargetDevice"), settings.get("TargetPlatform")
    if (device is None) == (platform is None):
        raise invalid("Give either TargetDevice or TargetPlatform.")
    options = settings.get("CompilerOptions")
    if options is None:
        return
    if device is not None:
        raise invalid("CompilerOptions belong to a TargetPlatform; a TargetDevice has none.")
    try:
        known = isinstance(json.loads(options), dict)
    except ValueError:
        known = False
    if not known:
        raise invalid(f'CompilerOptions is {options!r}: give a JSON object such as {{"mcpu": "core-avx2"}}.')


def _metadata(services: Services, project: str, item: Item) -> Document:
    lost = item["status"] in {"CREATED", "RUNNING"} and services.now() - float(item["updated"]) > _LOST_AFTER
    return {
        "JobName": item["name"],
        "ProjectName": project,
        "ModelVersion": str(item["model"]),
        "ModelPackagingJobDescription": item.get("description"),
        "ModelPackagingMethod": "GreenGrass",
        "Status": "FAILED" if lost else item["status"],
        "StatusMessage": "It did not come to an end within two hours." if lost else item["message"],
        "CreationTimestamp": item["created"],
        "LastUpdatedTimestamp": item["updated"],
    }
