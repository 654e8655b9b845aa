"""An approved model package on the endpoint: model, endpoint configuration, endpoint, each made once per version."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Json, PositiveInt

Done: TypeAlias = Literal["created", "updated", "unchanged", "not approved"]


class Serving(BaseModel):
    """The environment of the function. `NETWORK` is SageMaker's VpcConfig, empty for none."""

    model_config = ConfigDict(frozen=True)

    ENDPOINT: str
    ROLE_ARN: str
    INSTANCE_TYPE: str
    INSTANCES: PositiveInt
    NETWORK: Json[dict[str, list[str]]] = {}


def deploy(sagemaker: Any, serving: Serving, package: str) -> Done:
    """Makes the endpoint serve a package, which must still be approved: events may come late.

    Args:
        sagemaker: boto3's client.
        serving: on what it is served.
        package: ARN of the model package's version.

    Raises:
        ClientError: SageMaker refused; an endpoint that is just changing refuses, and the event is tried again.
    """
    if sagemaker.describe_model_package(ModelPackageName=package)["ModelApprovalStatus"] != "Approved":
        return "not approved"
    name = f"{serving.ENDPOINT}-{package.rpartition('/')[2]}"
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
    try:
        there = sagemaker.describe_endpoint(EndpointName=serving.ENDPOINT)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":  # so SageMaker says that there is none
            raise
        sagemaker.create_endpoint(EndpointName=serving.ENDPOINT, EndpointConfigName=name)
        return "created"
    if there["EndpointConfigName"] == name:
        return "unchanged"
    sagemaker.update_endpoint(EndpointName=serving.ENDPOINT, EndpointConfigName=name)
    return "updated"


def _once(create: Any, **request: Any) -> None:
    """Creates something that an earlier delivery of the event may have created."""
    try:
        create(**request)
    except ClientError as error:
        if "already exist" not in error.response["Error"].get("Message", ""):
            raise
