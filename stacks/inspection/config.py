"""What an environment file may say of the inspection system."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from stacks.building_blocks.section import Arn, BucketName, Section

InstanceType: TypeAlias = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
Cron: TypeAlias = Annotated[str, Field(pattern=r"^cron\((\S+ ){5}\S+\)$")]
Project: TypeAlias = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}$")]


class ShiftConfig(Section):
    """`[[inspection.shifts]]`: when a project's model is hosted. EventBridge Scheduler's cron, in a time zone."""

    project: Project
    start: Cron
    """Such as `cron(45 5 ? * MON-FRI *)`: a quarter of an hour before the belt."""
    stop: Cron
    timezone: Annotated[str, Field(pattern=r"^[A-Za-z_]+(/[A-Za-z_+-]+)*$")] = "UTC"
    units: Annotated[int, Field(ge=1, le=10)] = 1
    """Inference units to start with."""


class InspectionConfig(Section):
    """`[inspection]`: photographs of products in, verdicts and masks out, behind the API of Lookout for Vision."""

    backend: Annotated[str, Field(pattern=r"^(lambda|sagemaker|lookoutvision|marketplace:[a-zA-Z0-9-]{1,63})$")] = (
        "lambda"
    )
    """What answers photographs. `lambda`: this system's detector in the API's own function. `sagemaker`: the same in an
    endpoint that runs while a model is started. `marketplace:NAME`: AWS's algorithm of the Marketplace, by the endpoint
    configuration of a model that it has trained. `lookoutvision`: the service itself, which AWS ended on 2025-10-31."""
    source_buckets: tuple[BucketName, ...] = ()
    """Existing buckets whose photographs and manifests the system may read, besides its own."""
    source_key_arns: tuple[Arn, ...] = ()
    """The KMS keys of such buckets, where they have ones of their own."""
    output_buckets: tuple[BucketName, ...] = ()
    """Existing buckets into which evaluations and packages may be put, where a request names them."""
    training_instance_type: InstanceType = "ml.m5.xlarge"
    hosting_instance_type: InstanceType = "ml.c5.large"
    """Of `backend = "sagemaker"`: one instance per inference unit."""
    shifts: tuple[ShiftConfig, ...] = ()
    """When models are started and stopped by themselves. Without it a person does both."""
    promotion: Literal["automatic", "manual"] = "automatic"
    """Whether a new model that is better on the frozen test set takes the line over by itself."""

    @model_validator(mode="after")
    def _keys_need_buckets(self) -> InspectionConfig:
        if self.source_key_arns and not self.source_buckets:
            raise ValueError("source_key_arns are the keys of existing buckets: name these in source_buckets")
        return self
