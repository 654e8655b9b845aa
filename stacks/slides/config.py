"""What an environment file may say of the slides system."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

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
    background: Annotated[float, Field(ge=0, le=1)] = 0.5
    """A tile is dropped when more than this share of its pixels is background."""
    encoding: Literal["native", "jpeg"] = "native"
    """`native` copies a slide's own JPEG tiles where they fit; `jpeg` makes one JPEG of every tile, for readers that
    are not of this system."""
    salt: Annotated[str, Field(max_length=256, pattern=r"^[^-{]")] = "sextant"
    """Decides which patients are in which split: another salt is another split. With `-` at its beginning the plan step
    would take it for an option, and with `{%` Step Functions for an expression."""
    tiling_instances: Annotated[int, Field(ge=1, le=100)] = 2
    tiling_instance_type: InstanceType = "ml.m5.4xlarge"
    tiling_volume_gb: Annotated[int, Field(ge=1, le=16_384)] = 200
    """Holds the slides an instance works on at the same time, not all of its slides."""
    feature_instances: Annotated[int, Field(ge=1, le=100)] = 1
    feature_instance_type: InstanceType = "ml.c5.4xlarge"
    training: Literal["head", "finetune"] = "head"
    """`head` trains a classifier on the features of a frozen encoder, without PyTorch; `finetune` trains the network
    EfficientNet-Lite0 itself, with PyTorch under torchrun."""
    encoder: Annotated[
        str,
        Field(max_length=256, pattern=r"^(lite0|onnx:s3://[a-z0-9][a-z0-9.-]+[a-z0-9]/\S+|timm:.+|python:[\w.]+:\w+)$"),
    ] = "lite0"
    """Of `training = "head"`: what turns a tile into features. An ONNX graph in S3, which the model's archive then
    holds; a model of timm, or a function of a module, where the image of the jobs has them (as it is, it has not)."""
    aggregation: Literal["mean", "majority", "topk", "attention"] = "mean"
    """How the scores of a slide's tiles become the slide's: mean, majority, topk, or attention, which is learnt with
    the head."""
    training_instances: Annotated[int, Field(ge=1, le=64)] = 1
    """More than one: of `training = "finetune"` only."""
    training_epochs: Annotated[int, Field(ge=1, le=1000)] = 5
    """Of `training = "finetune"`, at most: it ends after three without a better validation."""
    training_instance_type: InstanceType = "ml.m5.2xlarge"
    """Fine-tuning wants one with GPUs, such as ml.g5.2xlarge; it has a process for each of them."""
    serving_instance_type: InstanceType = "ml.c5.2xlarge"
    serving_instances: Annotated[int, Field(ge=1, le=20)] = 1
    """Of the endpoint of an approved model, at least."""
    serving_instances_max: Annotated[int, Field(ge=1, le=100)] = 4
    """At most, under load. The same as the least: nothing scales."""
    serving_invocations_per_minute: Annotated[float, Field(gt=0)] = 60.0
    """Requests that one instance is to answer; more or fewer of them make the endpoint larger or smaller."""

    @model_validator(mode="after")
    def _key_needs_bucket(self) -> SlidesConfig:
        if self.slides_key_arn and not self.slides_bucket:
            raise ValueError("slides_key_arn is the key of an existing bucket: name it in slides_bucket")
        return self

    @model_validator(mode="after")
    def _least_and_most(self) -> SlidesConfig:
        if self.serving_instances_max < self.serving_instances:
            raise ValueError(
                f"serving_instances_max is {self.serving_instances_max}, fewer than the {self.serving_instances} of "
                "serving_instances: give at least as many, the same for an endpoint that does not scale"
            )
        return self

    @model_validator(mode="after")
    def _training_fits(self) -> SlidesConfig:
        if self.training == "head" and self.training_instances > 1:
            raise ValueError('a head is trained on one instance: set training_instances = 1, or training = "finetune"')
        if self.training == "finetune" and self.encoder != "lite0":
            raise ValueError('fine-tuning trains lite0: leave encoder out, or set training = "head"')
        if self.training == "finetune" and self.aggregation == "attention":
            raise ValueError('attention is learnt with a head: set aggregation to another, or training = "head"')
        return self
