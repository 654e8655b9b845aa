"""Kills in mid-run, on the whole embedded AWS: the next run gives the same rows."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import boto3
import pytest

from localaws import deploy, emulator
from samples.labeling import demo, generate
from sextant import pipeline
from sextant.labeling import client
from sextant.labeling.client import Deployed
from sextant.pipeline import PipelineError

from .test_adapter_contract import function, invoke, role


def jobs_of(running):
    """Process ids of the Glue jobs of one emulator, and of no other: their endpoint is its own."""
    endpoint = f"AWS_ENDPOINT_URL={running.endpoint}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                settings = (folder / "environ").read_bytes().split(b"\0")
                if endpoint in settings and b"glue/launch.py" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    return pytest.fail("what the test waits for did not come about")


def wrong_reports(session, deployed, truth):
    checks = [demo._compare(session.client("athena"), deployed, name, rows) for name, rows in truth["reports"].items()]
    return {check.name: (check.measured, check.expected) for check in checks if not check.ok}


@pytest.mark.slow
def test_kill_9_of_a_running_job_is_retried_and_the_rows_are_the_same(labeled):
    """The job's own retry (MaxRetries 1 in the stack) makes up for the kill: the workflow run still completes."""
    glue = labeled.embedded.client("glue")
    job = labeled.embedded.outputs["local-Labeling"]["JobName"]
    before = {run["Id"] for run in glue.get_job_runs(JobName=job)["JobRuns"]}
    failure = []

    def run():
        try:
            client.run_workflow(glue, labeled.deployed.workflow)
        except PipelineError as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: [r for r in glue.get_job_runs(JobName=job)["JobRuns"] if r["Id"] not in before])
    victim = until(lambda: jobs_of(labeled.embedded.emulator))
    os.kill(victim[0], signal.SIGKILL)
    thread.join(120)

    runs = [run for run in glue.get_job_runs(JobName=job)["JobRuns"] if run["Id"] not in before]
    states = sorted(run["JobRunState"] for run in runs)
    assert states == ["FAILED", "SUCCEEDED"], [(run["JobRunState"], run.get("ErrorMessage")) for run in runs]
    assert failure == []
    assert wrong_reports(labeled.embedded.session, labeled.deployed, labeled.truth) == {}


@pytest.mark.slow
def test_kill_9_of_the_emulator_in_mid_run_then_up_and_run_again(tmp_path, cloud_assembly, monkeypatch):
    monkeypatch.setenv("SEXTANT_SNAPSHOT_SECONDS", "0.5")
    state = tmp_path / "state"
    running = emulator.start(state)
    try:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        session = boto3.session.Session(
            aws_access_key_id=emulator.ACCOUNT, aws_secret_access_key="local", region_name=emulator.REGION
        )
        outputs = deploy.deploy(cloud_assembly, session)
        deployed = Deployed.of(outputs["local-Labeling"])
        pool = outputs["local-Labeling"]["WorkforceUserPoolId"]
        subs = demo._workforce(session, pool, tmp_path, lambda *_: None)
        issuer = f"https://cognito-idp.{emulator.REGION}.amazonaws.com/{pool}"
        generate(tmp_path / "sample", subs=subs, issuer=issuer)
        source = tmp_path / "sample" / "batch_manifests"
        pipeline.upload(session.client("s3"), source, deployed.batch_bucket, deployed.input_prefix)
        until(lambda: max(subs.values()) in (state / "services" / "cognito.json").read_text())
        session.client("glue").start_workflow_run(Name=deployed.workflow)
        until(lambda: jobs_of(running))
        os.killpg(running.pid, signal.SIGKILL)
        until(lambda: emulator.running(state) is None)

        emulator.start(state, port=running.port, console_port=running.console_port)
        outputs = deploy.deploy(cloud_assembly, session)
        client.run_workflow(session.client("glue"), Deployed.of(outputs["local-Labeling"]).workflow)

        truth = json.loads((tmp_path / "sample" / "truth.json").read_text())
        assert wrong_reports(session, Deployed.of(outputs["local-Labeling"]), truth) == {}
    finally:
        emulator.stop(state)


@pytest.mark.slow
def test_kill_9_of_a_function_in_mid_run_then_invoke_again(embedded):
    code = (
        "import os, pathlib, time\n"
        "def handler(event, context):\n"
        "    marker = pathlib.Path(event['marker'])\n"
        "    if not marker.exists():\n"
        "        marker.write_text(str(os.getpid()))\n"
        "        time.sleep(30)\n"
        "    return 'done'\n"
    )
    name = function(embedded, "killed", code, role(embedded, "killed"))
    marker = embedded.emulator.state / "marker"
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(invoke(embedded, name, {"marker": str(marker)})))
    thread.start()
    until(lambda: marker.exists() and marker.read_text())
    os.kill(int(marker.read_text()), signal.SIGKILL)
    thread.join(60)

    assert outcome
    assert outcome[0][0], "the killed invocation reports an error"
    assert invoke(embedded, name, {"marker": str(marker)}) == (None, "done")
