"""Inspection on endpoints: a stopped model costs nothing, and a kill in mid-run loses no photograph."""

import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
import numpy as np
import pytest
from PIL import Image, ImageDraw

from localaws import deploy, emulator
from sextant.inspection import manifest
from sextant.inspection.api.store import Table
from sextant.inspection.client import lookoutvision
from sextant.inspection.loop.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import runpy, stacks.environments, tomllib
from stacks.config import EnvironmentConfig
local = tomllib.loads(open("environments/local.toml").read())
local.pop("console")
local |= {"systems": ["inspection"], "inspection": {"backend": "sagemaker"}}
stacks.environments.load_environments = lambda **_: [EnvironmentConfig.model_validate(local)]
runpy.run_path("app.py")
"""
PROJECT = "washer"


def photograph(seed):
    """A washer on a belt, a little elsewhere each time; odd ones from 1000 on have a burr."""
    random_ = np.random.default_rng(seed)
    image = Image.new("RGB", (320, 240), (62, 66, 70))
    draw = ImageDraw.Draw(image)
    x, y = 100 + random_.integers(-6, 6), 60 + random_.integers(-6, 6)
    draw.ellipse([x, y, x + 120, y + 120], fill=(182, 184, 188))
    draw.ellipse([x + 40, y + 40, x + 80, y + 80], fill=(62, 66, 70))
    if seed >= 1000 and seed % 2:
        draw.polygon([(x + 100, y + 20), (x + 150, y - 10), (x + 120, y + 60)], fill=(220, 120, 40))
    noisy = np.asarray(image) + random_.normal(0, 4, (240, 320, 3))
    written = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(written, "JPEG", quality=92)
    return written.getvalue()


def until(found, seconds=300):
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.5)
    return result


@pytest.mark.slow
def test_a_stopped_model_has_no_endpoint_and_a_killed_belt_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SEXTANT_SNAPSHOT_SECONDS", "0.5")
    bare = {**os.environ, "CDK_OUTDIR": str(tmp_path / "assembly"), "CDK_VALIDATION": "false"}
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=bare, check=True, capture_output=True)
    state = tmp_path / "state"
    running = emulator.start(state)
    try:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        keys = {"aws_access_key_id": emulator.ACCOUNT, "aws_secret_access_key": "local", "region_name": emulator.REGION}
        session = boto3.session.Session(**keys)
        outputs = deploy.deploy(tmp_path / "assembly", session)["local-Inspection"]
        api, s3, bucket = lookoutvision(**keys), session.client("s3"), outputs["DataBucket"]
        sagemaker = session.client("sagemaker")
        journal = Journal(Table(session.client("dynamodb"), outputs["TableName"]))

        # Twelve normal photographs, no anomaly, are enough to train on.
        for number in range(12):
            s3.put_object(Bucket=bucket, Key=f"washers/{number}.jpg", Body=photograph(number))
        now = dt.datetime.now(dt.UTC)
        lines = [manifest.line_of(f"s3://{bucket}/washers/{number}.jpg", "normal", now) for number in range(12)]
        s3.put_object(Bucket=bucket, Key="washers/train.manifest", Body="\n".join(lines).encode())
        api.create_project(ProjectName=PROJECT)
        place = {"GroundTruthManifest": {"S3Object": {"Bucket": bucket, "Key": "washers/train.manifest"}}}
        api.create_dataset(ProjectName=PROJECT, DatasetType="train", DatasetSource=place)

        def dataset():
            found = api.describe_dataset(ProjectName=PROJECT, DatasetType="train")["DatasetDescription"]
            return found["Status"] == "CREATE_COMPLETE"

        def model():
            return api.describe_model(ProjectName=PROJECT, ModelVersion="1")["ModelDescription"]

        until(dataset)
        api.create_model(ProjectName=PROJECT, OutputConfig={"S3Location": {"Bucket": bucket, "Prefix": "out/"}})
        until(lambda: model()["Status"] != "TRAINING")
        assert model()["Status"] == "TRAINED", model()["StatusMessage"]
        assert sagemaker.list_endpoints()["Endpoints"] == []
        api.start_model(ProjectName=PROJECT, ModelVersion="1", MinInferenceUnits=1)
        until(lambda: model()["Status"] != "STARTING_HOSTING")
        assert model()["Status"] == "HOSTED", model()["StatusMessage"]
        assert len(sagemaker.list_endpoints()["Endpoints"]) == 1

        # The belt brings eight photographs, and everything dies while they are looked at.
        names = {f"incoming/{PROJECT}/a/top/{number}.jpg" for number in range(1000, 1008)}
        for number in range(1000, 1008):
            s3.put_object(Bucket=bucket, Key=f"incoming/{PROJECT}/a/top/{number}.jpg", Body=photograph(number))

        def verdicts():
            days = {dt.datetime.now(dt.UTC).date() - dt.timedelta(days=back) for back in (0, 1)}
            return [each for day in days for each in journal.items(PROJECT, day)]

        until(verdicts)
        os.killpg(running.pid, signal.SIGKILL)
        until(lambda: emulator.running(state) is None)
        emulator.start(state, port=running.port, console_port=running.console_port)
        until(lambda: model()["Status"] == "HOSTED")
        functions = session.client("lambda")
        sweep = {"FunctionName": outputs["SweepFunction"], "Payload": json.dumps({"settled": 0}).encode()}
        assert "FunctionError" not in functions.invoke(**sweep)
        until(lambda: len(verdicts()) >= len(names))
        found = verdicts()
        assert {each.source.removeprefix(f"s3://{bucket}/") for each in found} == names
        assert len(found) == len(names), "each once"
        until(lambda: not list(journal.quarantined()))  # a run of the sweep may still be about to find the verdict

        body = photograph(1001)
        told = api.detect_anomalies(ProjectName=PROJECT, ModelVersion="1", ContentType="image/jpeg", Body=body)
        assert told["DetectAnomalyResult"]["IsAnomalous"] is True

        api.stop_model(ProjectName=PROJECT, ModelVersion="1")
        until(lambda: model()["Status"] == "TRAINED")
        assert sagemaker.list_endpoints()["Endpoints"] == []
        assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
        assert sagemaker.list_models()["Models"] == []
    finally:
        emulator.stop(state)
