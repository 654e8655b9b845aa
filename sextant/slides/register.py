"""A run's model in the model registry, waiting for a person's approval, with what it was measured at."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from sextant import storage
from sextant.slides.evaluation import Evaluation

CONTENT_TYPES = ("application/x-tfrecord", "image/jpeg", "image/png", "application/json")


class Registry(BaseModel):
    """The environment of the function: the group of packages, and the image that serves them."""

    model_config = ConfigDict(frozen=True)

    MODEL_PACKAGE_GROUP: str
    IMAGE: str


class Trained(BaseModel):
    """What the state machine hands on: the run, its folder and its model's archive."""

    model_config = ConfigDict(frozen=True)

    run: str
    root: str
    data: str


def register(sagemaker: Any, registry: Registry, trained: Trained) -> str:
    """Makes the package and returns its ARN. The same run again makes no second one."""
    measured = f"{trained.root}/evaluation/metrics.json"
    evaluation = Evaluation.model_validate_json(storage.read(measured))
    answer = sagemaker.create_model_package(
        ModelPackageGroupName=registry.MODEL_PACKAGE_GROUP,
        ClientToken=trained.run,
        ModelPackageDescription=f"Run {trained.run}: {evaluation.sentence()}",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": registry.IMAGE, "ModelDataUrl": trained.data}],
            "SupportedContentTypes": list(CONTENT_TYPES),
            "SupportedResponseMIMETypes": ["application/json", "application/jsonlines"],
        },
        ModelMetrics={"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": measured}}},
        CustomerMetadataProperties={"run": trained.run, "root": trained.root},
        ModelCard={"ModelCardStatus": "Draft", "ModelCardContent": json.dumps(card(trained, evaluation))},
    )
    return str(answer["ModelPackageArn"])


def card(trained: Trained, evaluation: Evaluation) -> dict[str, Any]:
    """The model card's content, as the schema of SageMaker's model cards names its parts."""
    return {
        "model_overview": {"model_artifact": [trained.data]},
        "intended_uses": {
            "purpose_of_model": "Research: classifies whole-slide images by their tiles. "
            "Not a medical device: no score of it may decide about a patient.",
        },
        "evaluation_details": [
            {
                "name": "test split, patients unseen in training",
                "evaluation_observation": evaluation.sentence(),
                "metadata": {"run": trained.run},
            }
        ],
    }
