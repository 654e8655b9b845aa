"""The endpoint follows the model registry: it serves the package that was approved last, and grows with its load.

SageMaker changes an endpoint for minutes and refuses other changes meanwhile, and events come late, twice and out of
order. So no event is obeyed: each has the endpoint compared with the registry and brought one step nearer to it. An
approval during a change is taken up when the endpoint tells that the change is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Json, PositiveFloat, PositiveInt

if TYPE_CHECKING:
    import datetime as dt

Done: TypeAlias = Literal["created", "updated", "unchanged", "waiting", "not approved"]

VARIANT = "main"
CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})
TRIED = "slides:tried"  # the endpoint's tag with the version it was last brought to, whether or not that came up
DELETION = {"Delay": 5, "MaxAttempts": 24}
COOLDOWN_OUT_SECONDS = 60  # a new instance takes minutes to come up; SageMaker counts it in meanwhile
COOLDOWN_IN_SECONDS = 300


class DeploymentError(RuntimeError):
    """An approved model that the endpoint does not serve, and why. A person has to decide."""


class Serving(BaseModel):
    """The environment of the function. `NETWORK` is SageMaker's VpcConfig, empty for none."""

    model_config = ConfigDict(frozen=True)

    ENDPOINT: str
    MODEL_PACKAGE_GROUP: str
    ROLE_ARN: str
    INSTANCE_TYPE: str
    INSTANCES: PositiveInt
    INSTANCES_MAX: PositiveInt
    INVOCATIONS_PER_MINUTE: PositiveFloat
    NETWORK: Json[dict[str, list[str]]] = {}

    @property
    def scales(self) -> bool:
        return self.INSTANCES_MAX > self.INSTANCES


def deploy(sagemaker: Any, scaling: Any, serving: Serving, asked: str | None = None) -> Done:
    """Makes the endpoint serve the package that a person approved last, and scale.

    Args:
        sagemaker: boto3's client.
        scaling: boto3's client of application-autoscaling.
        serving: on what it is served.
        asked: ARN of the package whose approval is the event; None where it is a rejection, or
            the endpoint's own change.

    Raises:
        DeploymentError: the endpoint has failed, or went on with the model it had. That is tried again when the package
            is approved again, not by itself.
        ClientError: SageMaker refused; the event is tried again.
    """
    endpoint = _endpoint(sagemaker, serving.ENDPOINT)
    status = endpoint["EndpointStatus"] if endpoint else None
    if status in CHANGING:
        return "waiting"
    wanted = _approved_last(sagemaker, serving.MODEL_PACKAGE_GROUP)
    if wanted is None:
        return "not approved"
    version = wanted.rpartition("/")[2]
    name = f"{serving.ENDPOINT}-{version}"
    if endpoint is None:
        if asked is None:  # somebody has deleted it since
            return "unchanged"
        _make(sagemaker, serving, wanted, name)
        return _create(sagemaker, serving.ENDPOINT, name, version)
    if status not in {"InService", "Failed"}:
        raise DeploymentError(f"The endpoint {serving.ENDPOINT} is {status}: version {version} is tried again")
    serves = status == "InService" and endpoint["EndpointConfigName"] == name
    failed = not serves and asked != wanted and (status == "Failed" or _tried(sagemaker, endpoint) == version)
    if status == "InService" and (serves or failed):
        _scale(scaling, serving)
    if serves:
        return "unchanged"
    if failed:
        raise DeploymentError(
            f"Version {version} is approved, and the endpoint {serving.ENDPOINT} ({status}) does not serve it: "
            f"{endpoint.get('FailureReason', 'see its log')}. Reject it, or mend the reason and approve it again."
        )
    _make(sagemaker, serving, wanted, name)
    if status == "Failed":  # all that SageMaker lets one do with it is to delete it
        sagemaker.delete_endpoint(EndpointName=serving.ENDPOINT)
        sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=serving.ENDPOINT, WaiterConfig=DELETION)
        return _create(sagemaker, serving.ENDPOINT, name, version)
    return _update(sagemaker, scaling, serving, endpoint, name=name, version=version)


def _approved_last(sagemaker: Any, group: str) -> str | None:
    """ARN of the package that a person approved last; None where none is approved."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, ModelApprovalStatus="Approved"
    )
    decided: list[tuple[dt.datetime, str]] = []
    for page in pages:
        for summary in page["ModelPackageSummaryList"]:
            found = sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
            decided.append((found.get("LastModifiedTime") or found["CreationTime"], summary["ModelPackageArn"]))
    return max(decided)[1] if decided else None


def _endpoint(sagemaker: Any, name: str) -> dict[str, Any] | None:
    try:
        described: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":  # so SageMaker says that there is none
            raise
        return None
    return described


def _tried(sagemaker: Any, endpoint: dict[str, Any]) -> str | None:
    tags = sagemaker.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
    return {tag["Key"]: tag["Value"] for tag in tags}.get(TRIED)


def _make(sagemaker: Any, serving: Serving, package: str, name: str) -> None:
    """Model and endpoint configuration of a version, each made once."""
    _unless(
        "already exist",
        sagemaker.create_model,
        ModelName=name,
        ExecutionRoleArn=serving.ROLE_ARN,
        PrimaryContainer={"ModelPackageName": package},
        **({"VpcConfig": serving.NETWORK} if serving.NETWORK else {}),
    )
    variant = {
        "VariantName": VARIANT,
        "ModelName": name,
        "InstanceType": serving.INSTANCE_TYPE,
        "InitialInstanceCount": serving.INSTANCES,
    }
    _unless("already exist", sagemaker.create_endpoint_config, EndpointConfigName=name, ProductionVariants=[variant])


def _create(sagemaker: Any, endpoint: str, config: str, version: str) -> Done:
    tags = [{"Key": TRIED, "Value": version}]
    made = _unless(
        "already exist", sagemaker.create_endpoint, EndpointName=endpoint, EndpointConfigName=config, Tags=tags
    )
    return "created" if made else "waiting"


def _update(
    sagemaker: Any, scaling: Any, serving: Serving, endpoint: dict[str, Any], *, name: str, version: str
) -> Done:
    """Updates the endpoint; the instances that scaling has set stay as many as they are.

    SageMaker refuses another type of instance while the variant is registered for scaling: it is registered again when
    the endpoint tells that it serves.
    """
    now = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    if not serving.scales or now["ProductionVariants"][0]["InstanceType"] != serving.INSTANCE_TYPE:
        _deregister(scaling, serving)
    begun = _unless(
        "in-progress",
        sagemaker.update_endpoint,
        EndpointName=serving.ENDPOINT,
        EndpointConfigName=name,
        RetainAllVariantProperties=serving.scales,
    )
    if not begun:  # another approval's change has just begun
        return "waiting"
    sagemaker.add_tags(ResourceArn=endpoint["EndpointArn"], Tags=[{"Key": TRIED, "Value": version}])
    return "updated"


def _scale(scaling: Any, serving: Serving) -> None:
    """Has the endpoint's instances follow its requests; registering again changes nothing but the numbers."""
    if not serving.scales:
        _deregister(scaling, serving)
        return
    variant = _variant(serving)
    scaling.register_scalable_target(**variant, MinCapacity=serving.INSTANCES, MaxCapacity=serving.INSTANCES_MAX)
    scaling.put_scaling_policy(
        **variant,
        PolicyName="invocations",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": serving.INVOCATIONS_PER_MINUTE,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            "ScaleOutCooldown": COOLDOWN_OUT_SECONDS,
            "ScaleInCooldown": COOLDOWN_IN_SECONDS,
        },
    )


def _deregister(scaling: Any, serving: Serving) -> None:
    try:
        scaling.deregister_scalable_target(**_variant(serving))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ObjectNotFoundException":
            raise


def _variant(serving: Serving) -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{serving.ENDPOINT}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def _unless(refusal: str, operation: Any, **request: Any) -> bool:
    """Whether the operation did it; False where SageMaker refuses with these words: another delivery was first."""
    try:
        operation(**request)
    except ClientError as error:
        if refusal not in error.response["Error"].get("Message", ""):
            raise
        return False
    return True
