"""The states of the slides' state machine as documents: each is one SageMaker job that Step Functions waits for.

Their input is what `sextant.slides.start` gives an execution: `run` (its name), `root` (the run's folder in S3),
`table` (the cohort's slides.csv) and `slides` (its folder). SageMaker takes each job's name once, so it holds how often
the execution was redriven and the step tried again. JSONPath could not say that: Step Functions tells the number of
redrives only once there was one, and a missing value needs an expression (JSONata) that can ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import aws_cdk as cdk

if TYPE_CHECKING:
    from collections.abc import Sequence

State: TypeAlias = dict[str, Any]

_HOUR = 3600
_THROTTLED = {
    "ErrorEquals": ["SageMaker.AmazonSageMakerException", "SageMaker.ResourceLimitExceededException"],
    "IntervalSeconds": 5,  # a wrong request has the first name, too: it must not be tried for hours
    "MaxAttempts": 4,
    "BackoffRate": 3,
}
# A job that lost an instance goes on where it was; one that fails for its input fails again, and tells so.
_AGAIN = {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 10, "MaxAttempts": 1}


@dataclass(frozen=True)
class Cluster:
    """On what a job runs."""

    instance_type: str
    instances: int = 1
    volume_gb: int = 50


@dataclass(frozen=True)
class Torch:
    """SageMaker's container of PyTorch, and where this repository's code for it lies in S3 (a zip)."""

    image: str
    code: str


@dataclass(frozen=True)
class Jobs:
    """What all jobs share. `network` is SageMaker's VpcConfig, or None."""

    image: str
    role: str
    network: State | None


def text(*parts: str) -> str:
    """A JSONata expression for text made of constants and, where a part begins with `$`, of values."""
    return expression(" & ".join(part if part.startswith("$") else f"'{part}'" for part in parts))


def expression(jsonata: str) -> str:
    """Text that Step Functions evaluates."""
    return f"{{% {jsonata} %}}"


RUN, ROOT, TABLE, SLIDES = (f"$states.input.{name}" for name in ("run", "root", "table", "slides"))
MODEL = "$states.input.model.data"
_REDRIVES = "$string($exists($states.context.Execution.RedriveCount) ? $states.context.Execution.RedriveCount : 0)"
_RETRIES = "$states.context.State.RetryCount"
_UNCHANGED = expression("$states.input")


def job_name(step: str) -> str:
    """`{run}-{step}-{redrives}-{retries}`: at most 63 characters, for a run's name has at most 40.

    sextant/slides/operation.py finds a job's log by it.
    """
    return text(RUN, f"-{step}-", _REDRIVES, "-", _RETRIES)


def processing(step: str, arguments: Sequence[str], jobs: Jobs, cluster: Cluster) -> State:
    """`python3 -m processing.slides.{step} --run {root} …`; further arguments may be expressions."""
    return {
        "Type": "Task",
        "Resource": _integration("createProcessingJob.sync"),
        "Arguments": {
            "ProcessingJobName": job_name(step),
            "AppSpecification": {
                "ImageUri": jobs.image,
                "ContainerEntrypoint": ["python3", "-m", f"processing.slides.{step}"],
                "ContainerArguments": ["--run", expression(ROOT), *arguments],
            },
            "ProcessingResources": {"ClusterConfig": _instances(cluster)},
            "RoleArn": jobs.role,
            "StoppingCondition": {"MaxRuntimeInSeconds": 24 * _HOUR},
            "NetworkConfig": {
                "EnableInterContainerTrafficEncryption": True,
                **({"VpcConfig": jobs.network} if jobs.network else {}),
            },
        },
        "Output": _UNCHANGED,
        "Retry": [_THROTTLED, _AGAIN],
    }


def training(jobs: Jobs, cluster: Cluster, hyperparameters: dict[str, str], metrics: Sequence[State]) -> State:
    """The head's training on features; `model.data` of the state's output is where its artefact lies."""
    channels = [_channel(name, f"features/{name}/", "FastFile") for name in ("train", "valid")]
    channels.append(_channel("accounts", "features/accounts/", "File"))  # of which encoder the features are
    algorithm = {"TrainingImage": jobs.image, "TrainingInputMode": "FastFile", "MetricDefinitions": list(metrics)}
    return _training(jobs, cluster, algorithm, hyperparameters, channels)


def finetuning(
    jobs: Jobs, torch: Torch, cluster: Cluster, hyperparameters: dict[str, str], metrics: Sequence[State]
) -> State:
    """The network's training on tiles, in SageMaker's container of PyTorch; its output is that of `training`.

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
        "Resource": _integration("createTrainingJob.sync"),
        "Arguments": {
            "TrainingJobName": job_name("train"),
            "AlgorithmSpecification": algorithm,
            "HyperParameters": hyperparameters,
            "InputDataConfig": [*channels, _channel("manifest", "records/manifest.json", "File")],
            "OutputDataConfig": {"S3OutputPath": text(ROOT, "/model/")},
            "CheckpointConfig": {"S3Uri": text(ROOT, "/checkpoints/")},
            "ResourceConfig": _instances(cluster),
            "RoleArn": jobs.role,
            "StoppingCondition": {"MaxRuntimeInSeconds": 24 * _HOUR},
            "EnableInterContainerTrafficEncryption": True,
            **({"VpcConfig": jobs.network} if jobs.network else {}),
        },
        "Output": expression(
            "$merge([$states.input, {'model': {'data': $states.result.ModelArtifacts.S3ModelArtifacts}}])"
        ),
        "Retry": [_THROTTLED, _AGAIN],
    }


def model(jobs: Jobs) -> State:
    """The trained model in the image that serves it, named as the run."""
    return {
        "Type": "Task",
        "Resource": _integration("createModel"),
        "Arguments": {
            "ModelName": expression(RUN),
            "PrimaryContainer": {"Image": jobs.image, "ModelDataUrl": expression(MODEL)},
            "ExecutionRoleArn": jobs.role,
            **({"VpcConfig": jobs.network} if jobs.network else {}),
        },
        "Output": _UNCHANGED,
        "Retry": [_THROTTLED],
    }


def transform(cluster: Cluster) -> State:
    """Scores of every tile of the test slides: `scores/{slide}.tfrecord.out`, a JSON line per tile."""
    return {
        "Type": "Task",
        "Resource": _integration("createTransformJob.sync"),
        "Arguments": {
            "TransformJobName": job_name("score"),
            "ModelName": expression(RUN),
            "BatchStrategy": "MultiRecord",
            "MaxPayloadInMB": 6,
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": text(ROOT, "/records/test/")}},
                "ContentType": "application/x-tfrecord",
                "SplitType": "TFRecord",
            },
            "TransformOutput": {
                "S3OutputPath": text(ROOT, "/scores/"),
                "Accept": "application/jsonlines",
                "AssembleWith": "Line",
            },
            "TransformResources": {"InstanceType": cluster.instance_type, "InstanceCount": cluster.instances},
        },
        "Output": _UNCHANGED,
        "Retry": [_THROTTLED, _AGAIN],
    }


def called(function: str) -> State:
    """A function that takes the state's input and is waited for."""
    return {
        "Type": "Task",
        "Resource": f"arn:{cdk.Aws.PARTITION}:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": expression("$states.input")},
        "Output": {"package": expression("$states.result.Payload.package")},
        "Retry": [
            {
                "ErrorEquals": [
                    "Lambda.ServiceException",
                    "Lambda.TooManyRequestsException",
                    "Lambda.SdkClientException",
                ],
                "IntervalSeconds": 2,
                "MaxAttempts": 5,
                "BackoffRate": 2,
            }
        ],
    }


def _instances(cluster: Cluster) -> State:
    return {
        "InstanceType": cluster.instance_type,
        "InstanceCount": cluster.instances,
        "VolumeSizeInGB": cluster.volume_gb,
    }


def _channel(name: str, place: str, mode: str) -> State:
    where = {"S3DataType": "S3Prefix", "S3Uri": text(ROOT, f"/{place}")}
    source = {**where, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": mode, "DataSource": {"S3DataSource": source}}


def _integration(operation: str) -> str:
    return f"arn:{cdk.Aws.PARTITION}:states:::sagemaker:{operation}"
