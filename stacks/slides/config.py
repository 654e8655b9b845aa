"""What an environment file may say of the slides system."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from stacks.building_blocks.section import Arn, BucketName, Section

InstanceType: TypeAlias = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]


class SlidesConfig(Section):
    """`[slides]`: from whole-slide images to slide-level scores. A cohort is a folder of a bucket with `slides.csv`."""

    slides_bucket: BucketName | None = None
    """An existing bucket with slides, in the same account, that sends its events to EventBridge. None creates one."""
    slides_key_arn: Arn | None = None
    """The KMS key of the existing bucket, where it has one of its own."""
    magnification: Annotated[float, Field(gt=0, le=100)] = 20.0
    """Tiles are made at this objective power."""
    tile_px: Annotated[int, Field(ge=64, le=2048, multiple_of=16)] = 512
    unknown_magnification: Annotated[float, Field(gt=0, le=100)] | None = None
    """Power of slides that tell neither objective power nor resolution. None: they are quarantined."""
    salt: str = "sextant"
    """Decides which patients are in which split: another salt is another split."""
    tiling_instances: Annotated[int, Field(ge=1, le=100)] = 2
    tiling_instance_type: InstanceType = "ml.m5.4xlarge"
    tiling_volume_gb: Annotated[int, Field(ge=1, le=16_384)] = 200
    """Holds the slides an instance works on at the same time, not all of its slides."""
    feature_instances: Annotated[int, Field(ge=1, le=100)] = 1
    feature_instance_type: InstanceType = "ml.c5.4xlarge"
    training_instance_type: InstanceType = "ml.m5.2xlarge"
    serving_instance_type: InstanceType = "ml.c5.2xlarge"
    serving_instances: Annotated[int, Field(ge=1, le=20)] = 1
    """Of the endpoint of an approved model."""

    @model_validator(mode="after")
    def _key_needs_bucket(self) -> SlidesConfig:
        if self.slides_key_arn and not self.slides_bucket:
            raise ValueError("slides_key_arn is the key of an existing bucket: name it in slides_bucket")
        return self
