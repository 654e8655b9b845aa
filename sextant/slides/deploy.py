"""An approved model package on the endpoint: model, endpoint configuration, endpoint, each made once per version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Json, PositiveInt

if TYPE_CHECKING:
    import datetime as dt

Done: TypeAlias = Literal["created", "updated", "unchanged", "superseded", "not approved"]


class Serving(BaseModel):
    """The environment of the function. `NETWORK` is SageMaker's VpcConfig, empty for none."""

    model_config = ConfigDict(frozen=True)

    ENDPOINT: str
    ROLE_ARN: str
    INSTANCE_TYPE: str
    INSTANCES: PositiveInt
    NETWORK: Json[dict[str, list[str]]] = {}


def deploy(sagemaker: Any, serving: Serving, package: str) -> Done:
    """Makes the endpoint serve a package, unless it is not approved any more or another was approved since.

    Events come late, twice and out of order: what counts is when a person last decided about each package.

    Args:
        sagemaker: boto3's client.
        serving: on what it is served.
        package: ARN of the model package's version.

    Raises:
        ClientError: SageMaker refused; an endpoint that is just changing refuses, and the event is tried again.
    """
    decided = _approved_at(sagemaker, package)
    if decided is None:
        return "not approved"
    group = package.rpartition("/")[0]
    name = f"{serving.ENDPOINT}-{package.rpartition('/')[2]}"
    serves = _served(sagemaker, serving.ENDPOINT)
    if serves == name:
        return "unchanged"
    if serves is not None:
        since = _approved_at(sagemaker, f"{group}/{serves.rpartition('-')[2]}")
        if since is not None and since > decided:
            return "superseded"
    _once(
        sagemaker.create_model,
        ModelName=name,
        ExecutionRoleArn=serving.ROLE_ARN,
        PrimaryContainer={"ModelPackageName": package},
        **({"VpcConfig": serving.NETWORK} if serving.NETWORK else {}),
    )
    _once(
        sagemaker.create_endpoint_config,
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "main",
                "ModelName": name,
                "InstanceType": serving.INSTANCE_TYPE,
                "InitialInstanceCount": serving.INSTANCES,
            }
        ],
    )
    if serves is None:
        sagemaker.create_endpoint(EndpointName=serving.ENDPOINT, EndpointConfigName=name)
        return "created"
    sagemaker.update_endpoint(EndpointName=serving.ENDPOINT, EndpointConfigName=name)
    return "updated"


def _approved_at(sagemaker: Any, package: str) -> dt.datetime | None:
    """When a person last decided about a package that is approved; None for one that is not, or is not there."""
    try:
        found = sagemaker.describe_model_package(ModelPackageName=package)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":  # so SageMaker says that there is none
            raise
        return None
    if found["ModelApprovalStatus"] != "Approved":
        return None
    decided: dt.datetime = found.get("LastModifiedTime") or found["CreationTime"]
    return decided


def _served(sagemaker: Any, endpoint: str) -> str | None:
    """The name of the endpoint's configuration; None where there is no endpoint."""
    try:
        return str(sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return None


def _once(create: Any, **request: Any) -> None:
    """Creates something that an earlier delivery of the event may have created."""
    try:
        create(**request)
    except ClientError as error:
        if "already exist" not in error.response["Error"].get("Message", ""):
            raise
