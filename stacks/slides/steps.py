"""The states of the slides' state machine as documents: each is one SageMaker job that Step Functions waits for.

Their input is what `sextant.slides.start` gives an execution: `run` (its name), `root` (the run's folder in S3),
`table` (the cohort's slides.csv) and `slides` (its folder). A job's name holds the attempt: SageMaker takes each once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import aws_cdk as cdk
import aws_cdk.aws_stepfunctions as sfn

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
class Jobs:
    """What all jobs share. `network` is SageMaker's VpcConfig, or None."""

    image: str
    role: str
    network: State | None


def path(*parts: str) -> str:
    """A JSONPath expression for text made of constants and, where a part begins with `$`, of the input."""
    template = "".join("{}" if part.startswith("$") else part for part in parts)
    return f"States.Format('{template}', {', '.join(part for part in parts if part.startswith('$'))})"


def job_name(step: str) -> str:
    """`{run}-{step}-{attempt}`: at most 63 characters, for a run's name has at most 40."""
    return path("$.run", f"-{step}-", "$$.State.RetryCount")


def processing(step: str, arguments: Sequence[str], jobs: Jobs, cluster: Cluster) -> State:
    """`python3 -m processing.slides.{step} --run {root} …`; further arguments as `path` takes its parts."""
    given = ", ".join(each if each.startswith(("$", "States.")) else f"'{each}'" for each in arguments)
    return {
        "Type": "Task",
        "Resource": _integration("createProcessingJob.sync"),
        "Parameters": {
            "ProcessingJobName.$": job_name(step),
            "AppSpecification": {
                "ImageUri": jobs.image,
                "ContainerEntrypoint": ["python3", "-m", f"processing.slides.{step}"],
                "ContainerArguments.$": f"States.Array('--run', $.root{', ' if given else ''}{given})",
            },
            "ProcessingResources": {"ClusterConfig": _instances(cluster)},
            "RoleArn": jobs.role,
            "StoppingCondition": {"MaxRuntimeInSeconds": 24 * _HOUR},
            "NetworkConfig": {
                "EnableInterContainerTrafficEncryption": True,
                **({"VpcConfig": jobs.network} if jobs.network else {}),
            },
        },
        "ResultPath": sfn.JsonPath.DISCARD,
        "Retry": [_THROTTLED, _AGAIN],
    }


def training(jobs: Jobs, cluster: Cluster, hyperparameters: dict[str, str], metrics: Sequence[State]) -> State:
    """The head's training on features; `$.model` becomes where its artefact lies."""
    channels = [_channel(name, f"features/{name}/", "FastFile") for name in ("train", "valid")]
    channels.append(_channel("accounts", "features/accounts/", "File"))  # of which encoder the features are
    return {
        "Type": "Task",
        "Resource": _integration("createTrainingJob.sync"),
        "Parameters": {
            "TrainingJobName.$": job_name("train"),
            "AlgorithmSpecification": {
                "TrainingImage": jobs.image,
                "TrainingInputMode": "FastFile",
                "MetricDefinitions": list(metrics),
            },
            "HyperParameters": hyperparameters,
            "InputDataConfig": [*channels, _channel("manifest", "records/manifest.json", "File")],
            "OutputDataConfig": {"S3OutputPath.$": path("$.root", "/model/")},
            "CheckpointConfig": {"S3Uri.$": path("$.root", "/checkpoints/")},
            "ResourceConfig": _instances(cluster),
            "RoleArn": jobs.role,
            "StoppingCondition": {"MaxRuntimeInSeconds": 24 * _HOUR},
            "EnableInterContainerTrafficEncryption": True,
            **({"VpcConfig": jobs.network} if jobs.network else {}),
        },
        "ResultSelector": {"data.$": "$.ModelArtifacts.S3ModelArtifacts"},
        "ResultPath": "$.model",
        "Retry": [_THROTTLED, _AGAIN],
    }


def model(jobs: Jobs) -> State:
    """The trained model in the image that serves it, named as the run."""
    return {
        "Type": "Task",
        "Resource": _integration("createModel"),
        "Parameters": {
            "ModelName.$": "$.run",
            "PrimaryContainer": {"Image": jobs.image, "ModelDataUrl.$": "$.model.data"},
            "ExecutionRoleArn": jobs.role,
            **({"VpcConfig": jobs.network} if jobs.network else {}),
        },
        "ResultPath": sfn.JsonPath.DISCARD,
        "Retry": [_THROTTLED],
    }


def transform(cluster: Cluster) -> State:
    """Scores of every tile of the test slides: `scores/{slide}.tfrecord.out`, a JSON line per tile."""
    return {
        "Type": "Task",
        "Resource": _integration("createTransformJob.sync"),
        "Parameters": {
            "TransformJobName.$": job_name("score"),
            "ModelName.$": "$.run",
            "BatchStrategy": "MultiRecord",
            "MaxPayloadInMB": 6,
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri.$": path("$.root", "/records/test/")}},
                "ContentType": "application/x-tfrecord",
                "SplitType": "TFRecord",
            },
            "TransformOutput": {
                "S3OutputPath.$": path("$.root", "/scores/"),
                "Accept": "application/jsonlines",
                "AssembleWith": "Line",
            },
            "TransformResources": {"InstanceType": cluster.instance_type, "InstanceCount": cluster.instances},
        },
        "ResultPath": sfn.JsonPath.DISCARD,
        "Retry": [_THROTTLED, _AGAIN],
    }


def called(function: str) -> State:
    """A function that takes the state's input and is waited for."""
    return {
        "Type": "Task",
        "Resource": f"arn:{cdk.Aws.PARTITION}:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        "ResultSelector": {"package.$": "$.Payload.package"},
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
    where = {"S3DataType": "S3Prefix", "S3Uri.$": path("$.root", f"/{place}")}
    source = {**where, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": mode, "DataSource": {"S3DataSource": source}}


def _integration(operation: str) -> str:
    return f"arn:{cdk.Aws.PARTITION}:states:::sagemaker:{operation}"
