"""Fine-tuning of a run's records as one SageMaker training job, submitted with SageMaker's own Python SDK (version 3).

The pipeline does not need it and nothing imports it: the SDK is a gigabyte, and puts code in S3 under names that change
from call to call. It is for trying other settings on records that a run has packed. From a shell, where
`pip install "sagemaker>=3.27"` was done:

    python training/slides/submit.py --run s3://BUCKET/runs/RUN --role ROLE_ARN --image IMAGE --instances 2 --ranks 4

or, with this checkout on `sys.path`, from a notebook:

    from training.slides.submit import Submission, submit
    submit(Submission(run="s3://BUCKET/runs/RUN", role=ROLE_ARN, image=IMAGE, instances=2, ranks=4))

IMAGE is SageMaker's PyTorch training image of your region, as the list of its Deep Learning Containers tells it. Code,
checkpoints and the model go below RUN/finetune/, so ROLE_ARN needs what a run's other jobs need (to list the bucket,
read and write its objects, tell logs and metrics), and to pull IMAGE. A submission with the settings of a stopped one
goes on from its checkpoint.

Before anything else the SDK asks IAM what the role may do, and refuses one that may not make network interfaces, which
only a job inside a VPC needs. `SAGEMAKER_VALIDATE_ROLE=false` in the environment leaves that question out; SageMaker
authorizes the job's requests in any case.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.shapes import (
    Channel,
    CheckpointConfig,
    DataSource,
    MetricDefinition,
    OutputDataConfig,
    S3DataSource,
    StoppingCondition,
)
from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.distributed import Torchrun

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # of a program started by its path, Python knows the file's own folder only

from sextant import storage  # noqa: E402
from sextant.container import InputError  # noqa: E402
from sextant.slides.evaluation import METRIC_DEFINITIONS  # noqa: E402
from sextant.slides.manifest import Manifest, steps_per_epoch  # noqa: E402

CODE = "/opt/ml/input/data/code"
"""Where the SDK puts the code in a container."""

LONGEST_SECONDS = 24 * 60 * 60
"""SageMaker's own limit where none is asked for; the SDK's would end a training after an hour."""


@dataclass(frozen=True)
class Submission:
    """A fine-tuning to submit.

    `run` is the run's S3 URI, `role` the ARN of the job's role, `image` the URI of SageMaker's PyTorch training image.
    `ranks` is the number of processes per instance, one for each of its GPUs; `batch_size` counts tiles per rank.
    """

    run: str
    role: str
    image: str
    instance_type: str = "ml.g5.2xlarge"
    instances: int = 1
    ranks: int = 1
    epochs: int = 5
    batch_size: int = 16


def submit(asked: Submission) -> str:
    """Submits the job and waits for its end, with its log; the URI of its model.tar.gz.

    Raises:
        InputError: the run is not in S3 or was not packed, or its shards cannot be dealt to so many ranks equally.
        FailedStatusError: of the SDK, with the job's reason; others of it where the job cannot be created.
    """
    run = asked.run.rstrip("/")
    _check(asked, run)
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder)
        for package in ("sextant", "training"):
            shutil.copytree(REPOSITORY / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
        trainer = _trainer(asked, run, code)
        trainer.train(
            input_data_config=[
                _channel("train", f"{run}/records/train/", "FastFile"),
                _channel("valid", f"{run}/records/valid/", "FastFile"),
                _channel("manifest", f"{run}/records/manifest.json", "File"),
            ]
        )
    job = trainer._latest_training_job  # noqa: SLF001  the SDK's own examples: it has no public name
    return str(job.model_artifacts.s3_model_artifacts)


def _check(asked: Submission, run: str) -> None:
    """What the job would find too, minutes later, on instances that are paid for."""
    if not storage.is_s3(run):
        raise InputError(f"run {run}: SageMaker reads from S3 only: give s3://BUCKET/runs/RUN")
    uri = f"{run}/records/manifest.json"
    try:
        manifest = Manifest.model_validate_json(storage.read(uri))
        steps_per_epoch(manifest, asked.batch_size, asked.instances * asked.ranks)
    except storage.GoneError:
        raise InputError(f"{uri} is not there: pack the run first") from None
    except ValueError as error:
        raise InputError(f"{uri}: {error}") from error


def _trainer(asked: Submission, run: str, code: Path) -> ModelTrainer:
    """The job, with torchrun on every instance, and the folder's packages as its code."""
    place = urlsplit(run)
    return ModelTrainer(
        # Without a bucket for the code, the SDK makes one for the whole account and region.
        sagemaker_session=Session(boto_session=boto3.session.Session(), default_bucket=place.netloc),
        input_s3_key_prefix=f"{place.path.strip('/')}/finetune/code",
        base_job_name="slides-finetune",
        role=asked.role,
        training_image=asked.image,
        source_code=SourceCode(
            source_dir=str(code),
            entry_script="training/slides/finetune.py",
            requirements="training/slides/requirements.txt",
        ),
        distributed=Torchrun(process_count_per_node=asked.ranks),
        compute=Compute(instance_type=asked.instance_type, instance_count=asked.instances),
        environment={"PYTHONPATH": CODE, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        hyperparameters={"mode": "finetune", "epochs": asked.epochs, "batch_size": asked.batch_size},
        output_data_config=OutputDataConfig(s3_output_path=f"{run}/finetune/model/"),
        checkpoint_config=CheckpointConfig(s3_uri=f"{run}/finetune/checkpoints/"),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=LONGEST_SECONDS),
    ).with_metric_definitions([MetricDefinition(name=each["Name"], regex=each["Regex"]) for each in METRIC_DEFINITIONS])


def _channel(name: str, uri: str, mode: str) -> Channel:
    """A channel that every host sees whole; the SDK's InputData cannot say how it is read."""
    source = S3DataSource(s3_data_type="S3Prefix", s3_uri=uri, s3_data_distribution_type="FullyReplicated")
    return Channel(channel_name=name, data_source=DataSource(s3_data_source=source), input_mode=mode)


def main() -> None:
    """Submits what the arguments ask for, and tells where its model is."""
    parser = argparse.ArgumentParser(prog="submit", description=__doc__.partition("\n")[0])
    parser.add_argument("--run", required=True, help="S3 URI of the run")
    parser.add_argument("--role", required=True, help="ARN of the role of the job")
    parser.add_argument("--image", required=True, help="URI of SageMaker's PyTorch training image in your region")
    parser.add_argument("--instance-type", default=Submission.instance_type)
    parser.add_argument("--instances", type=int, default=Submission.instances)
    parser.add_argument("--ranks", type=int, default=Submission.ranks, help="processes per instance: its GPUs")
    parser.add_argument("--epochs", type=int, default=Submission.epochs)
    parser.add_argument("--batch-size", type=int, default=Submission.batch_size, help="tiles per rank and step")
    given = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("sagemaker").setLevel(logging.INFO)  # it tells the job's log
    try:
        print(submit(Submission(**vars(given))))  # noqa: T201  the answer
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
