"""The state of the machine in which a model is trained: a head on features, or the network on tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stacks.slides.steps import LONGEST_SECONDS, RETRIES, ROOT, expression, instances, integration, job_name, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stacks.slides.steps import Cluster, Jobs, State


@dataclass(frozen=True)
class Torch:
    """SageMaker's container of PyTorch, and where this repository's code for it lies in S3 (a zip)."""

    image: str
    code: str


def head(jobs: Jobs, cluster: Cluster, hyperparameters: dict[str, str], metrics: Sequence[State]) -> State:
    """The head's training on features; `model.data` of the state's output is where its artefact lies."""
    channels = [_channel(name, f"features/{name}/", "FastFile") for name in ("train", "valid")]
    channels.append(_channel("accounts", "features/accounts/", "File"))  # of which encoder the features are
    algorithm = {"TrainingImage": jobs.image, "TrainingInputMode": "FastFile", "MetricDefinitions": list(metrics)}
    return _training(jobs, cluster, algorithm, hyperparameters, channels)


def finetuning(
    jobs: Jobs, torch: Torch, cluster: Cluster, hyperparameters: dict[str, str], metrics: Sequence[State]
) -> State:
    """The network's training on tiles, in SageMaker's container of PyTorch; its output is that of `head`.

    The container unpacks the code and hands over to its training/slides/start.sh.
    """
    unpack = "python3 -m zipfile -e /opt/ml/input/data/code/*.zip /opt/ml/program"
    algorithm = {
        "TrainingImage": torch.image,
        "TrainingInputMode": "FastFile",
        "MetricDefinitions": list(metrics),
        "ContainerEntrypoint": ["/bin/sh", "-c", f"{unpack} && exec sh /opt/ml/program/training/slides/start.sh"],
    }
    channels = [_channel(name, f"records/{name}/", "FastFile") for name in ("train", "valid")]
    code = {"S3DataType": "S3Prefix", "S3Uri": torch.code, "S3DataDistributionType": "FullyReplicated"}
    channels.append({"ChannelName": "code", "InputMode": "File", "DataSource": {"S3DataSource": code}})
    return _training(jobs, cluster, algorithm, hyperparameters, channels)


def _training(
    jobs: Jobs,
    cluster: Cluster,
    algorithm: State,
    hyperparameters: dict[str, str],
    channels: list[State],
) -> State:
    return {
        "Type": "Task",
        "Resource": integration("createTrainingJob.sync"),
        "Arguments": {
            "TrainingJobName": job_name("train"),
            "AlgorithmSpecification": algorithm,
            "HyperParameters": hyperparameters,
            "InputDataConfig": [*channels, _channel("manifest", "records/manifest.json", "File")],
            "OutputDataConfig": {"S3OutputPath": text(ROOT, "/model/")},
            "CheckpointConfig": {"S3Uri": text(ROOT, "/checkpoints/")},
            "ResourceConfig": instances(cluster),
            "RoleArn": jobs.role,
            "StoppingCondition": {"MaxRuntimeInSeconds": LONGEST_SECONDS},
            "EnableInterContainerTrafficEncryption": True,
            **({"VpcConfig": jobs.network} if jobs.network else {}),
        },
        "Output": expression(
            "$merge([$states.input, {'model': {'data': $states.result.ModelArtifacts.S3ModelArtifacts}}])"
        ),
        "Retry": RETRIES,
    }


def _channel(name: str, place: str, mode: str) -> State:
    where = {"S3DataType": "S3Prefix", "S3Uri": text(ROOT, f"/{place}")}
    source = {**where, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": mode, "DataSource": {"S3DataSource": source}}
