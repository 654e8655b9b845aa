import json
import os
import time

import pytest

from localaws.engines.sagemaker import container
from localaws.engines.sagemaker.engine import SageMaker
from localaws.home import ServiceError

SHOW = """
import json, os, sys
from pathlib import Path
ml = Path(os.environ["OPT_ML"])
config = json.loads((ml / "config/resourceconfig.json").read_text())
names = sorted(p.relative_to(ml / "processing/in").as_posix() for p in (ml / "processing/in").rglob("*") if p.is_file())
print("arguments", sys.argv[1:], flush=True)
print("to the error stream", file=sys.stderr)
job = json.loads((ml / "config/processingjobconfig.json").read_text())
report = {"names": names, "config": config, "job": job, "cwd": os.getcwd(), "env": dict(os.environ)}
(ml / f"processing/out/{config['current_host']}.json").write_text(json.dumps(report))
"""


def request(aws, image, name="j", *, inputs=(), outputs=(), count=1, **members):
    return {
        "ProcessingJobName": name,
        "RoleArn": aws.role,
        "AppSpecification": {"ImageUri": image, **members.pop("app", {})},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": count, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 10}
        },
        "ProcessingInputs": list(inputs),
        "ProcessingOutputConfig": {"Outputs": list(outputs)},
        **members,
    }


def source(uri, path="/opt/ml/processing/in", name="in", **members):
    given = {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File", **members}
    return {"InputName": name, "S3Input": given}


def sink(uri, path="/opt/ml/processing/out", mode="EndOfJob", name="out"):
    return {"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": mode}}


def run(aws, *arguments, **members):
    made = request(aws, *arguments, **members)
    aws.sagemaker.create_processing_job(aws.call, made)
    return aws.finished("Processing", made["ProcessingJobName"])


def states(aws):
    return [
        (event["detail-type"], event["detail"]["ProcessingJobStatus"])
        for event in aws.home.events
        if "Processing" in event["detail-type"]
    ]


def test_two_hosts_share_the_input_and_leave_their_outputs(aws):
    for name in ("a.txt", "b/c.txt", "d.txt"):
        aws.put(f"in/{name}", name)
    job = run(
        aws,
        aws.image(SHOW),
        inputs=[source("s3://data/in/", S3DataDistributionType="ShardedByS3Key")],
        outputs=[sink("s3://data/out")],
        count=2,
        app={"ContainerArguments": ["--word", "x y"]},
        Environment={"SETTING": "1"},
    )
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ProcessingJobArn"] == "arn:aws:sagemaker:eu-west-1:111122223333:processing-job/j"
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    first, second = (json.loads(aws.read(f"out/algo-{i}.json")) for i in (1, 2))
    assert (first["names"], second["names"]) == (["a.txt", "d.txt"], ["b/c.txt"])  # sorted(keys)[i::2]
    assert second["config"] == {
        "current_host": "algo-2", "hosts": ["algo-1", "algo-2"], "current_instance_type": "ml.m5.xlarge",
        "network_interface_name": "lo",
    }  # fmt: skip
    assert first["job"]["ProcessingJobName"] == "j"
    assert first["job"]["AppSpecification"]["ContainerArguments"] == ["--word", "x y"]
    assert first["env"]["SETTING"] == "1"
    assert first["env"]["AWS_ACCESS_KEY_ID"] == "111122223333"
    logs = aws.log("ProcessingJobs")
    assert [stream.rpartition("-")[0] for stream in sorted(logs)] == ["j/algo-1", "j/algo-2"]
    assert logs[min(logs)] == "arguments ['--word', 'x y']\nto the error stream"
    assert states(aws) == [
        ("SageMaker Processing Job State Change", "InProgress"),
        ("SageMaker Processing Job State Change", "Completed"),
    ]


def test_a_container_sees_only_its_image_and_its_role(aws, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the emulator's own")
    monkeypatch.setenv("SOME_SETTING", "of the emulator")
    script = """
    import os, helper
    print(helper.WORD, "SOME_SETTING" in os.environ, os.environ["AWS_SECRET_ACCESS_KEY"])
    import localaws
    """
    job = run(aws, aws.image(script, helper="WORD = 'from the image'"))
    assert job["ProcessingJobStatus"] == "Failed"
    [log] = aws.log("ProcessingJobs").values()
    assert log.startswith("from the image False local\n")
    assert "No module named 'localaws'" in log


def test_the_failure_file_and_the_message_are_told(aws):
    script = """
    import os, sys
    from pathlib import Path
    out = Path(os.environ["OPT_ML"], "output")
    (out / "failure").write_text("slide 7 is no TIFF")
    (out / "message").write_text("6 of 7 done")
    sys.exit(3)
    """
    job = run(aws, aws.image(script), outputs=[sink("s3://data/out")])
    assert (job["ProcessingJobStatus"], job["FailureReason"], job["ExitMessage"]) == (
        "Failed", "AlgorithmError: slide 7 is no TIFF, exit code: 3", "6 of 7 done",
    )  # fmt: skip
    assert states(aws)[-1][1] == "Failed"


def test_a_host_that_fails_takes_the_others_with_it(aws):
    script = """
    import json, os, sys, time
    from pathlib import Path
    host = json.loads(Path(os.environ["OPT_ML"], "config/resourceconfig.json").read_text())["current_host"]
    sys.exit(9) if host == "algo-2" else time.sleep(60)
    """
    start = time.monotonic()
    job = run(aws, aws.image(script), count=2)
    assert "stream j/algo-2), exit code: 9" in job["FailureReason"]
    assert time.monotonic() - start < 20


def test_a_continuous_output_is_stored_while_the_job_runs_and_a_stop_ends_it(aws):
    script = """
    import os, time
    from pathlib import Path
    out = Path(os.environ["OPT_ML"], "processing/out")
    (out / "deep").mkdir()
    (out / "deep/one").write_text("1")
    while True: time.sleep(0.1)
    """
    aws.sagemaker.create_processing_job(
        aws.call, request(aws, aws.image(script), outputs=[sink("s3://data/out/", mode="Continuous")])
    )
    aws.wait(lambda: aws.keys("out/") == ["out/deep/one"])
    aws.sagemaker.stop_processing_job(aws.call, {"ProcessingJobName": "j"})
    job = aws.finished("Processing", "j")
    assert job["ProcessingJobStatus"] == "Stopped"
    assert [state for _, state in states(aws)] == ["InProgress", "Stopping", "Stopped"]
    with pytest.raises(ServiceError, match="in status Stopped"):
        aws.sagemaker.stop_processing_job(aws.call, {"ProcessingJobName": "j"})


def test_who_does_not_end_in_time_is_killed_with_all_it_started(aws):
    script = """
    import os, signal, subprocess, sys, time
    from pathlib import Path
    signal.signal(signal.SIGTERM, lambda *_: print("asked to end", flush=True))
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], start_new_session=True)
    Path(os.environ["OPT_ML"], "processing/out/pid").write_text(str(child.pid))
    while True: time.sleep(0.1)
    """
    output = sink("s3://data/out", mode="Continuous")
    made = request(aws, aws.image(script), outputs=[output], StoppingCondition={"MaxRuntimeInSeconds": 1})
    aws.sagemaker.create_processing_job(aws.call, made)
    job = aws.finished("Processing", "j")
    assert (job["ProcessingJobStatus"], "MaxRuntimeInSeconds of 1" in job["FailureReason"]) == ("Stopped", True)
    assert list(aws.log("ProcessingJobs").values()) == ["asked to end"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(aws.read("out/pid")), 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"inputs": [source("s3://data/none/")]}, 'No S3 objects found under S3 URL "s3://data/none/"'),
        ({"image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/none:1"}, "none:1 does not exist here: deploy"),
        ({"image": "busybox"}, "'busybox' is not the URI of an image in ECR"),
        ({"app": {"ContainerEntrypoint": ["no-such-program"]}}, "exit code: 127"),
    ],
)
def test_what_cannot_start_says_why(aws, change, reason):
    job = run(aws, change.pop("image", None) or aws.image("pass"), **change)
    assert job["ProcessingJobStatus"] == "Failed"
    assert reason in job["FailureReason"]


def test_requests_are_checked_as_on_aws(aws):
    good = request(aws, aws.image("pass"))
    aws.sagemaker.create_processing_job(aws.call, good)
    for change, code, text in (
        ({}, "ResourceInUse", "already exists"),
        ({"ProcessingJobName": "a_b"}, "ValidationException", "at 'processingJobName' failed to satisfy"),
        ({"AppSpecification": {}}, "ValidationException", 'Missing required parameter in AppSpecification: "ImageUri"'),
        ({"ProcessingInputs": [source("s3://data/x", path="/data")]}, "ValidationException", "must be below /opt/ml"),
        ({"ProcessingInputs": [source("s3://data/x", S3InputMode="Pipe")]}, "ValidationException", "S3InputMode Pipe"),
    ):
        with pytest.raises(ServiceError) as refused:
            aws.sagemaker.create_processing_job(aws.call, {**good, **change})
        assert refused.value.code == code
        assert text in refused.value.message
    with pytest.raises(ServiceError, match="ResourceNotFound: Could not find requested job with name: none"):
        aws.sagemaker.describe_processing_job(aws.call, {"ProcessingJobName": "none"})


def test_jobs_wait_for_a_place_and_are_listed(aws, home):
    engine = SageMaker(home, slots=1, grace=1.0)
    script = "import time; print(time.time(), flush=True); time.sleep(0.4); print(time.time())"
    image = aws.image(script)
    try:
        for name in ("one", "two"):
            engine.create_processing_job(aws.call, request(aws, image, name))
        for name in ("one", "two"):
            assert aws.finished("Processing", name)["ProcessingJobStatus"] == "Completed"
    finally:
        engine.close()
    spans = sorted([float(t) for t in text.split()] for text in aws.log("ProcessingJobs").values())
    assert spans[0][1] <= spans[1][0]
    listed = lambda **p: engine.list_processing_jobs(aws.call, p)  # noqa: E731
    assert [job["ProcessingJobName"] for job in listed()["ProcessingJobSummaries"]] == ["two", "one"]
    page = listed(MaxResults=1, SortBy="Name")
    assert [job["ProcessingJobName"] for job in page["ProcessingJobSummaries"]] == ["one"]
    assert [
        j["ProcessingJobName"] for j in listed(NextToken=page["NextToken"], SortBy="Name")["ProcessingJobSummaries"]
    ] == ["two"]
    assert listed(StatusEquals="Failed")["ProcessingJobSummaries"] == []
    assert listed(NameContains="TW")["ProcessingJobSummaries"][0]["ProcessingJobName"] == "two"


def test_a_job_of_a_killed_emulator_has_failed(aws, home):
    running = {
        "ProcessingJobName": "old", "ProcessingJobArn": "arn", "ProcessingJobStatus": "InProgress", "CreationTime": 0,
    }  # fmt: skip
    home.records("sagemaker_processing_jobs")["111122223333/eu-west-1/old"] = running
    engine = SageMaker(home, slots=1)
    job = engine.describe_processing_job(aws.call, {"ProcessingJobName": "old"})
    engine.close()
    assert (job["ProcessingJobStatus"], "was stopped while the job ran" in job["FailureReason"]) == ("Failed", True)


@pytest.mark.parametrize("isolated", [True, False])
def test_paths_in_arguments_lead_to_the_container_s_own_files(aws, monkeypatch, isolated):
    if not isolated:
        monkeypatch.setattr(container, "isolation", lambda: None)
    elif container.isolation() is None:
        pytest.skip("this system gives no mount namespaces")
    aws.put("in/a.txt", "content of a")
    command = ["/bin/sh", "-c", "cat /opt/ml/processing/in/a.txt > /opt/ml/processing/out/b.txt; echo kept:/x/opt/ml"]
    job = run(
        aws,
        aws.image("pass"),
        inputs=[source("s3://data/in/")],
        outputs=[sink("s3://data/out")],
        app={"ContainerEntrypoint": command},
    )
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert aws.read("out/b.txt") == "content of a"
    assert list(aws.log("ProcessingJobs").values()) == ["kept:/x/opt/ml"]
