"""training/slides/submit.py, with the official SDK unmodified, against the embedded SageMaker: a fine-tuning on two
hosts whose model this environment, without PyTorch, serves.
"""

import hashlib
import json
import os
import re
import socket
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import boto3
import numpy as np
import pytest
import simplejpeg

from localaws import deploy, emulator
from localaws.engines.sagemaker.container import isolation
from sextant.slides import model, serving, tfrecord
from sextant.slides.evaluation import METRIC_DEFINITIONS
from sextant.slides.pack import pack
from sextant.slides.plan import Plan, PlannedSlide
from sextant.slides.records import Tile, to_record
from sextant.slides.settings import TileSettings
from sextant.slides.store import TiledSlide
from sextant.slides.tiling import TileSummary

pytestmark = pytest.mark.sagemaker

CHECKOUT = Path(deploy.__file__).parents[1]
SDK_PYTHON = CHECKOUT / ".venv-sagemaker" / "bin" / "python"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13-cpu-amzn2023-sagemaker"
CLASSES = ("luad", "lusc")
SETTINGS = TileSettings(size=64)
SLIDES = {"train": 12, "valid": 6, "test": 2}
TILES = 2
HOSTS = 2
EPOCHS = 2
GRANTS = (
    {"Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "Resource": "*"},
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::slides/*"},
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::slides"},
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def aws(tmp_path):
    state = tmp_path / "state"
    running = emulator.start(state, port=free_port(), console_port=free_port())

    def client(service):
        keys = {"aws_access_key_id": emulator.ACCOUNT, "aws_secret_access_key": "local"}
        return boto3.client(service, endpoint_url=running.endpoint, region_name=emulator.REGION, **keys)

    try:
        client("s3").create_bucket(Bucket="slides")
        trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        iam = client("iam")
        role = iam.create_role(RoleName="job", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]
        policy = json.dumps({"Version": "2012-10-17", "Statement": GRANTS})
        iam.put_role_policy(RoleName="job", PolicyName="p", PolicyDocument=policy)
        yield SimpleNamespace(client=client, running=running, role=role["Arn"])
    finally:
        emulator.stop(state)


def tile(planned, place):
    """A square in the colour of its class, with grain of its own."""
    grain = np.random.default_rng([*planned.slide.encode(), place]).normal(size=(SETTINGS.size, SETTINGS.size, 3))
    colour = np.full(3, 110.0)
    colour[planned.label_index] += 70
    return Tile(
        slide=planned.slide,
        patient=planned.patient,
        label=planned.label_index,
        label_name=planned.label,
        x=place * SETTINGS.size,
        y=0,
        span=SETTINGS.size,
        size=SETTINGS.size,
        mpp=0.5,
        background=0.0,
        grid=(1, 1),
        parts=(simplejpeg.encode_jpeg(np.clip(colour + grain * 30, 0, 255).astype(np.uint8), quality=90),),
    )


def packed(run):
    """A run as the plan, tile and pack steps leave it in a folder; its plan."""
    planned = tuple(
        PlannedSlide(
            slide=f"{split}{n:02}",
            key=f"{split}{n:02}.svs",
            patient=f"{split}-p{n}",
            label=CLASSES[n % 2],
            label_index=n % 2,
            split=split,
            host=0,
            bytes=1,
        )
        for split in sorted(SLIDES)
        for n in range(SLIDES[split])
    )
    plan = Plan(classes=CLASSES, tiles=SETTINGS, slides=planned)
    (run / "tiles").mkdir(parents=True)
    (run / "plan.json").write_text(plan.model_dump_json())
    for each in planned:
        place = run.parent / "tiles" / hashlib.sha256(each.slide.encode()).hexdigest()
        place.mkdir(parents=True)
        path = place / "tiles.tfrecord"
        with path.open("wb") as file:
            tfrecord.write(file, (to_record(tile(each, place)) for place in range(TILES)))
        body = path.read_bytes()
        summary = TileSummary(
            slide=each.slide,
            engine="native",
            width=TILES * SETTINGS.size,
            height=SETTINGS.size,
            objective_power=20,
            mpp=0.5,
            magnification=20,
            columns=TILES,
            rows=1,
            tiles=TILES,
            kept=TILES,
            dropped=0,
            rechecked=0,
            seconds_cpu=0.1,
            bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            settings=SETTINGS,
        )
        told = TiledSlide(tiles=place.name, summary=summary)
        (run / "tiles" / f"{each.slide}.json").write_text(told.model_dump_json())
    pack(str(run), HOSTS)
    return plan


def submitted(aws, folder, *arguments):
    """The script in a process of its own, as a person in a shell has it: any folder, no path to the checkout."""
    opted_out = {"SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
    (folder / "sdk.yaml").write_text(json.dumps({"SchemaVersion": "1.0", **opted_out}))  # JSON is YAML
    kept = {name: each for name, each in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    own = {"SAGEMAKER_VALIDATE_ROLE": "false", "SAGEMAKER_USER_CONFIG_OVERRIDE": str(folder / "sdk.yaml")}
    return subprocess.run(
        [str(SDK_PYTHON), str(CHECKOUT / "training/slides/submit.py"), *arguments],
        env=kept | aws.running.environment() | own,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.skipif(isolation() is None, reason="the SDK's scripts want /opt/ml itself: a mount namespace")
def test_the_sdk_fine_tunes_a_packed_run_on_two_hosts(aws, tmp_path):
    run, s3, sagemaker = tmp_path / "run", aws.client("s3"), aws.client("sagemaker")
    plan = packed(run)
    for path in run.rglob("*"):
        if path.is_file():
            s3.put_object(Bucket="slides", Key=f"runs/one/{path.relative_to(run)}", Body=path.read_bytes())
    asked = ("--run", "s3://slides/runs/one/", "--role", aws.role, "--image", IMAGE, "--instance-type", "ml.c5.xlarge")

    # 8 shards cannot be dealt to 3 ranks: nothing is uploaded, no job is made.
    refused = submitted(aws, tmp_path, *asked, "--instances", "3")
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "s3://slides/runs/one/records/manifest.json: 8 training shards cannot be dealt to 3"
    )
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
    assert "Contents" not in s3.list_objects_v2(Bucket="slides", Prefix="runs/one/finetune/")

    done = submitted(aws, tmp_path, *asked, "--instances", str(HOSTS), "--epochs", str(EPOCHS), "--batch-size", "4")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Installing collected packages" not in done.stderr  # the image lacks nothing that requirements.txt names
    [name] = [each["TrainingJobName"] for each in sagemaker.list_training_jobs()["TrainingJobSummaries"]]
    job = sagemaker.describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Completed"
    assert job["ResourceConfig"]["InstanceCount"] == HOSTS
    modes = {each["ChannelName"]: each["InputMode"] for each in job["InputDataConfig"]}
    assert modes == dict.fromkeys(("train", "valid"), "FastFile") | dict.fromkeys(
        ("manifest", "code", "sm_drivers"), "File"
    )

    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://slides/runs/one/finetune/model/{name}/output/model.tar.gz"
    assert done.stdout.splitlines()[-1] == uri
    archive = tmp_path / "model.tar.gz"
    s3.download_file("slides", uri.removeprefix("s3://slides/"), str(archive))
    trained = model.load_archive(str(archive))
    assert (trained.facts.classes, trained.facts.plan_digest) == (CLASSES, plan.digest())
    assert trained.facts.encoder.name == model.FINETUNED
    validation = trained.facts.validation
    assert (validation.slides, validation.tiles) == (SLIDES["valid"], SLIDES["valid"] * TILES)

    # What the log told is what SageMaker found in it, and what the model says of itself.
    found = {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}
    assert found.keys() == {each["Name"] for each in METRIC_DEFINITIONS}
    aucs = [float(each) for each in re.findall(r"#quality_metric: val_slide_auc=(\S+)", done.stderr)]
    assert len(aucs) == EPOCHS
    assert found["val_slide_auc"] == aucs[-1]
    assert validation.slide_auc == pytest.approx(max(aucs), rel=1e-5)
    assert max(aucs) > 0.8

    # As the endpoint serves it, the network orders the validation slides as it did in training.
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path / "model", filter="data")
    service = serving.service(trained, 1, tmp_path / "model")
    margins = ([], [])
    for each in (each for each in plan.slides if each.split == "valid"):
        tiles = (to_record(tile(each, place)) for place in range(TILES))
        answers = [serving.answer(service, "application/x-tfrecord", "", record).body for record in tiles]
        luad, lusc = np.mean([json.loads(answer)["logits"] for answer in answers], axis=0)
        margins[each.label_index].append(lusc - luad)
    ordered = np.mean(np.subtract.outer(margins[1], margins[0]) > 0)
    # A pair of the nine may be too close: features pass through float16.
    assert ordered == pytest.approx(validation.slide_auc, abs=0.12)

    # Code and checkpoints are the run's own, and there is no other bucket.
    assert s3.head_object(Bucket="slides", Key="runs/one/finetune/checkpoints/finetune.pt")["ContentLength"] > 1 << 20
    keys = {each["Key"] for each in s3.list_objects_v2(Bucket="slides", Prefix="runs/one/finetune/code/")["Contents"]}
    assert f"runs/one/finetune/code/{name}/input/code/training/slides/finetune.py" in keys
    assert not any("__pycache__" in each for each in keys)
    assert [each["Name"] for each in s3.list_buckets()["Buckets"] if "sagemaker" in each["Name"]] == []
