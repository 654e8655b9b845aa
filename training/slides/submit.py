"""Fine-tuning of a run's records as one SageMaker training job, submitted with SageMaker's own Python SDK (version 3).

From the repository, in an environment with `pip install "sagemaker>=3.27"`:

    python -m training.slides.submit --run s3://BUCKET/runs/RUN --role ROLE_ARN --image IMAGE --instances 2 --ranks 4

IMAGE is SageMaker's PyTorch 2.13 training image of your region, as the list of its Deep Learning Containers tells it.
The pipeline does not need it, and nothing imports it: the SDK is a gigabyte, and puts code in S3 under names that
change from call to call. It is for trying other settings on records that a run has packed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from sagemaker.core.shapes import (
    Channel,
    CheckpointConfig,
    DataSource,
    MetricDefinition,
    OutputDataConfig,
    S3DataSource,
)
from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.distributed import Torchrun

from sextant.slides.evaluation import METRIC_DEFINITIONS

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = "/opt/ml/input/data/code"  # where the SDK puts source_dir in a container


def channel(name: str, uri: str, mode: str = "FastFile") -> Channel:
    """A channel that every host sees whole; the SDK's InputData cannot say how it is read."""
    source = S3DataSource(s3_data_type="S3Prefix", s3_uri=uri, s3_data_distribution_type="FullyReplicated")
    return Channel(channel_name=name, data_source=DataSource(s3_data_source=source), input_mode=mode)


def trainer(given: argparse.Namespace, code: Path) -> ModelTrainer:
    """The job, with the code folder's packages and the fine-tuning script as torchrun's program."""
    for package in ("sextant", "training"):
        shutil.copytree(REPOSITORY / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    return ModelTrainer(
        base_job_name="slides-finetune",
        role=given.role,
        training_image=given.image,
        source_code=SourceCode(
            source_dir=str(code),
            entry_script="training/slides/finetune.py",
            requirements="training/slides/requirements.txt",
        ),
        distributed=Torchrun(process_count_per_node=given.ranks),
        compute=Compute(instance_type=given.instance_type, instance_count=given.instances),
        environment={"PYTHONPATH": CODE},
        hyperparameters={"mode": "finetune", "epochs": given.epochs, "batch_size": given.batch_size},
        output_data_config=OutputDataConfig(s3_output_path=f"{given.run}/finetune/model/"),
        checkpoint_config=CheckpointConfig(s3_uri=f"{given.run}/finetune/checkpoints/"),
    ).with_metric_definitions([MetricDefinition(name=each["Name"], regex=each["Regex"]) for each in METRIC_DEFINITIONS])


def main() -> None:
    """Submits the job and waits for its end, with its log."""
    parser = argparse.ArgumentParser(prog="submit", description=__doc__.partition("\n")[0])
    parser.add_argument("--run", required=True, help="S3 URI of the run, without a slash at its end")
    parser.add_argument("--role", required=True, help="ARN of the role of the job")
    parser.add_argument("--image", required=True, help="URI of SageMaker's PyTorch training image in your region")
    parser.add_argument("--instance-type", default="ml.g5.2xlarge")
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--ranks", type=int, default=1, help="processes per instance: its GPUs")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=16, help="tiles per rank and step")
    given = parser.parse_args()
    channels = [
        channel("train", f"{given.run}/records/train/"),
        channel("valid", f"{given.run}/records/valid/"),
        channel("manifest", f"{given.run}/records/manifest.json", "File"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainer(given, Path(folder)).train(input_data_config=channels)


if __name__ == "__main__":
    main()
