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

LONGEST_SECONDS = 24 * 3600
_THROTTLED = {
    "ErrorEquals": ["SageMaker.AmazonSageMakerException", "SageMaker.ResourceLimitExceededException"],
    "IntervalSeconds": 5,  # a wrong request has the first name, too: it must not be tried for hours
    "MaxAttempts": 4,
    "BackoffRate": 3,
}
# A job that lost an instance goes on where it was; one that fails for its input fails again, and tells so.
_AGAIN = {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 10, "MaxAttempts": 1}
RETRIES = [_THROTTLED, _AGAIN]
"""Of a state that is a job."""


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
        "Resource": integration("createProcessingJob.sync"),
        "Arguments": {
            "ProcessingJobName": job_name(step),
            "AppSpecification": {
                "ImageUri": jobs.image,
                "ContainerEntrypoint": ["python3", "-m", f"processing.slides.{step}"],
                "ContainerArguments": ["--run", expression(ROOT), *arguments],
            },
            "ProcessingResources": {"ClusterConfig": instances(cluster)},
            "RoleArn": jobs.role,
            "StoppingCondition": {"MaxRuntimeInSeconds": LONGEST_SECONDS},
            "NetworkConfig": {
                "EnableInterContainerTrafficEncryption": True,
                **({"VpcConfig": jobs.network} if jobs.network else {}),
            },
        },
        "Output": _UNCHANGED,
        "Retry": RETRIES,
    }


def model(jobs: Jobs) -> State:
    """The trained model in the image that serves it, named as the run."""
    return {
        "Type": "Task",
        "Resource": integration("createModel"),
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
        "Resource": integration("createTransformJob.sync"),
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
        "Retry": RETRIES,
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


def instances(cluster: Cluster) -> State:
    """A cluster as SageMaker's ClusterConfig and ResourceConfig have it."""
    return {
        "InstanceType": cluster.instance_type,
        "InstanceCount": cluster.instances,
        "VolumeSizeInGB": cluster.volume_gb,
    }


def integration(operation: str) -> str:
    """The resource of a state that calls SageMaker."""
    return f"arn:{cdk.Aws.PARTITION}:states:::sagemaker:{operation}"
