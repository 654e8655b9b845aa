"""The SageMaker job behind a model version, brought to its end by an event or by whoever asks first."""

from __future__ import annotations

import datetime as dt
import json
import tarfile
import zlib
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sextant.inspection.api import limits
from sextant.inspection.api.errors import ApiError, invalid
from sextant.inspection.api.services import (
    Version,
    archive_uri,
    job_name,
    model_arn,
    model_key,
    model_root,
    slot_key,
    split,
)
from sextant.inspection.api.store import Change, Remove

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sextant.inspection.api.services import Document, Services
    from sextant.inspection.api.store import Item

TRAINED = "Training completed successfully."
MANIFEST, RESULT = "evaluation_manifest.jsonl", "evaluation_result.json"
"""What a model's archive holds of its evaluation."""

_ENDED = {"Completed", "Failed", "Stopped"}
_STARTS_WITHIN = 120.0
"""Seconds from a version's item to its job: the function that makes both ends within 30."""
_LARGEST_FILE = 256 << 20
_OF_NOTHING_THAT_IS_SENT = "1B2M2Y8AsgTpgAmY7PhCfg=="
"""The MD5 of no bytes, in base64."""
_UNREADABLE = (tarfile.TarError, zlib.error, EOFError, ValueError, LookupError, TypeError, AttributeError)
"""What reading an archive or an evaluation raises that is not as a training of ours leaves it."""
_GONE = frozenset({"NoSuchKey", "NoSuchBucket", "InvalidRequest", "InvalidObjectState", "404"})
"""What S3 answers of an archive that is not there or cannot be copied, whoever asks and however often. A refusal for
want of rights is none of it: another function has them, or somebody gives them."""


def start(
    services: Services, version: Version, kinds: Iterable[str], kms_key: str | None, given: Mapping[str, Any]
) -> None:
    """Starts the training job of a version whose manifests lie below its root as `{kind}.manifest`.

    `given` are the project's `settings`, the job's hyperparameters.

    Raises:
        ClientError: SageMaker refused.
    """
    root = model_root(services.place, version.project, version.number)
    channels = {"train": "training", "test": "test"}
    named = {"project_name": version.project, "model_version": str(version.number), "model_arn": version.arn}
    told = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    services.sagemaker.create_training_job(
        TrainingJobName=version.name,
        AlgorithmSpecification={"TrainingImage": services.place.IMAGE, "TrainingInputMode": "File"},
        HyperParameters={**told, **named},
        InputDataConfig=[_channel(channels[kind], f"{root}/{kind}.manifest") for kind in kinds],
        OutputDataConfig={"S3OutputPath": f"{root}/output"},
        ResourceConfig={
            "InstanceType": services.place.TRAINING_INSTANCE_TYPE,
            "InstanceCount": 1,
            "VolumeSizeInGB": 50,
            **({"VolumeKmsKeyId": kms_key} if kms_key else {}),
        },
        RoleArn=services.place.ROLE_ARN,
        StoppingCondition={"MaxRuntimeInSeconds": limits.TRAINING_SECONDS},
        **({"VpcConfig": services.place.NETWORK} if services.place.NETWORK else {}),
    )


def writable(services: Services, project: str, target: Mapping[str, str]) -> None:
    """Makes sure, before hours of training, that an evaluation can be put into the bucket that a request names.

    S3 is asked to put an object whose checksum is wrong: it tells first whether the bucket is there and may be written
    to, by the rights that the evaluation will need and no others, and then refuses the object, so that nothing is left.

    Raises:
        ApiError: it is not there, or may not be written to.
    """
    bucket = target["Bucket"]
    if bucket == services.place.BUCKET:
        return
    key = _below(target.get("Prefix", ""), f"EvaluationResult-{project}.json")
    try:
        services.s3.put_object(Bucket=bucket, Key=key, ContentMD5=_OF_NOTHING_THAT_IS_SENT, Body=b"{}")
    except ClientError as error:
        remedy = (
            f"Name a bucket that is there and that output_buckets of the environment's [inspection] lists, "
            f"or the system's own, {services.place.BUCKET}."
        )
        match error.response["Error"]["Code"]:
            case "NoSuchBucket":
                raise invalid(f"There is no bucket {bucket}, which OutputConfig names. {remedy}") from error
            case "AccessDenied":
                message = f"The bucket {bucket}, which OutputConfig names, may not be written to. {remedy}"
                raise ApiError("AccessDeniedException", 403, message) from error
            case _:  # the checksum; or a fault of S3, which will have passed when the training has ended
                return


def settings(services: Services, project: str) -> Document:
    """The fields of DetectorSettings that a project has of its own: `projects/{project}/settings.json`, if it is there.

    Raises:
        ValueError: it is no JSON object.
        ClientError: of S3.
    """
    key = settings_key(project)
    try:
        body = services.s3.get_object(Bucket=services.place.BUCKET, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        return {}
    given = json.loads(body)
    if not isinstance(given, dict):
        raise ValueError(f"a JSON object is wanted, not {type(given).__name__}")  # noqa: TRY004 - as of other content
    return given


def settings_key(project: str) -> str:
    """The object of a project's own settings in the API's bucket."""
    return f"projects/{project}/settings.json"


def free_slot(services: Services) -> int | None:
    """A place for one more training, or None. Places whose training has ended unnoticed are cleared first."""
    for number in range(1, limits.CONCURRENT_TRAININGS + 1):
        held = services.table.get(slot_key(number))
        if held is None:
            return number
        if settle(services, _version(services, held)) != "TRAINING":
            return number
    return None


def ended(services: Services, job: str) -> str:
    """Brings the version of a training job to its end, once SageMaker tells that the job has one; returns its state.

    A job that is no version's training, or whose version is settled, changes nothing.
    """
    for number in range(1, limits.CONCURRENT_TRAININGS + 1):
        held = services.table.get(slot_key(number))
        if held is not None and _version(services, held).name == job:
            return settle(services, _version(services, held))
    return "unchanged"


def settle(services: Services, version: Version) -> str:
    """The state of a version that was TRAINING: that of its job, with everything that the job left put in its place.

    Called by events, which come twice and late, and by whoever asks: each step is the same the second time.

    What a job left that cannot be read makes the training failed: it would be no better next time, and the version
    would keep its place among the trainings for ever.

    Raises:
        ClientError: of the table, of SageMaker, and of S3 in the API's own bucket; it is tried again then.
    """
    key = model_key(version.project, version.number)
    item = services.table.get(key)
    if item is None or item["status"] != "TRAINING":
        _leave(services, version, item)
        return "gone" if item is None else str(item["status"])
    job = _job(services, version, item)
    if job["TrainingJobStatus"] not in _ENDED:
        return "TRAINING"
    if job["TrainingJobStatus"] == "Completed":
        state, told = _completed(services, version, item, job)
    else:
        reason = job.get("FailureReason") or f"The training job was {job['TrainingJobStatus'].lower()}."
        state, told = "TRAINING_FAILED", {"message": reason}
    change = Change(key, {"status": state, **told}, {"status": ["TRAINING"]})
    services.table.commit(change)
    _leave(services, version, item)
    return state


def _job(services: Services, version: Version, item: Item) -> Mapping[str, Any]:
    """The training job as SageMaker tells it; one that is not there was never started, unless it is just about to."""
    try:
        found: Mapping[str, Any] = services.sagemaker.describe_training_job(TrainingJobName=version.name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
            raise
        if services.now() - float(item["created"]) < _STARTS_WITHIN:
            return {"TrainingJobStatus": "InProgress"}
        return {"TrainingJobStatus": "Failed", "FailureReason": "The training job was never started. Train again."}
    return found


def _leave(services: Services, version: Version, item: Item | None) -> None:
    """Frees the version's place among the trainings."""
    for number in [int(item["slot"])] if item else range(1, limits.CONCURRENT_TRAININGS + 1):
        held = services.table.get(slot_key(number))
        if held is not None and _version(services, held).name == version.name:
            services.table.commit(Remove(slot_key(number), {"created": [held["created"]]}))


def _version(services: Services, held: Mapping[str, Any]) -> Version:
    project, number = held["project"], int(held["number"])
    name = job_name(services.place.PREFIX, project, number, float(held["created"]))
    place = services.place
    return Version(project, number, model_arn(place, project, number), archive_uri(place, project, number), name)


def _completed(services: Services, version: Version, item: Item, job: Mapping[str, Any]) -> tuple[str, Document]:
    """The state of a version whose job was completed, and what is told of it."""
    uri = job.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
    try:
        return "TRAINED", _evaluated(services, version, item, job)
    except _UNREADABLE as error:
        reason = f"{type(error).__name__}: {error}"
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise
        reason = f"{error.operation_name}: {error.response['Error']['Code']}"
    told = f"The training job was completed, but what it put out, {uri or 'nothing'}, cannot be used ({reason})."
    return "TRAINING_FAILED", {"message": f"{told} Train again; the job's log tells more."}


def _evaluated(services: Services, version: Version, item: Item, job: Mapping[str, Any]) -> Document:
    """Puts the archive to its place, once it is read, and the evaluation where the request asked for it."""
    source = split(job["ModelArtifacts"]["S3ModelArtifacts"])
    files = _evaluation(services.s3.get_object(Bucket=source[0], Key=source[1])["Body"])
    whole = RESULT in files and MANIFEST in files
    performance = _performance(files[RESULT]) if whole else None
    bucket, key = split(version.archive)
    services.s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": source[0], "Key": source[1]})
    if not whole:
        return {"message": f"{TRAINED} Its archive holds no evaluation."}
    counts = _counts(files[MANIFEST])
    told: Document = {"message": TRAINED, "performance": performance, "counts": counts, "evaluated": _end(job)}
    target = item["output"]["S3Location"]
    own = model_root(services.place, version.project, version.number)
    for kept, name, body in (
        ("evaluation_manifest", f"EvaluationManifest-{version.project}-{version.number}.json", files[MANIFEST]),
        ("evaluation_result", f"EvaluationResult-{version.project}-{version.number}.json", files[RESULT]),
    ):
        told[kept] = {"Bucket": target["Bucket"], "Key": _below(target.get("Prefix", ""), name)}
        try:
            services.s3.put_object(**told[kept], Body=body, ContentType="application/json")
        except ClientError as error:
            # A bucket that we may not write to must not cost the model.
            own_bucket, own_key = split(f"{own}/{name}")
            services.s3.put_object(Bucket=own_bucket, Key=own_key, Body=body, ContentType="application/json")
            told[kept] = {"Bucket": own_bucket, "Key": own_key}
            reason = error.response["Error"]["Code"]
            told["message"] = f"{TRAINED} Its evaluation is in {own_bucket}: {target['Bucket']} refused it ({reason})."
    return told


def _evaluation(body: Any) -> dict[str, bytes]:
    """The evaluation's files of an archive, read as a stream."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=body, mode="r|gz") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if name in {MANIFEST, RESULT} and member.isfile() and member.size <= _LARGEST_FILE:
                file = archive.extractfile(member)
                found[name] = file.read() if file else b""
    return found


def _performance(result: bytes) -> Document | None:
    """F1 score, recall and precision; None where the test had no anomalies to measure them on."""
    metrics = json.loads(result)["AggregatedEvaluationResults"]["Metrics"]
    told = {name: metrics.get(name) for name in ("F1Score", "Recall", "Precision")}
    return None if any(value is None for value in told.values()) else told


def _counts(evaluated: bytes) -> Document | None:
    """Of how many photographs the performance is: all, anomalies among them, found ones, and normal ones that were
    called anomalous. None where the lines do not tell, as those of a model that others made.
    """
    try:
        rows = [json.loads(line) for line in evaluated.splitlines()]
        pairs = [(bool(each["anomaly-label"]), bool(each["anomaly-label-detected"])) for each in rows]
    except (ValueError, LookupError, TypeError):
        return None
    return {
        "photographs": len(pairs),
        "anomalies": sum(anomalous for anomalous, _ in pairs),
        "hits": pairs.count((True, True)),
        "false": pairs.count((False, True)),
    }


def _end(job: Mapping[str, Any]) -> float:
    at = job.get("TrainingEndTime") or dt.datetime.now(dt.UTC)
    return round(float(at.timestamp()), 3)


def _below(prefix: str, name: str) -> str:
    return f"{prefix.rstrip('/')}/{name}" if prefix else name


def _channel(name: str, uri: str) -> Document:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}
