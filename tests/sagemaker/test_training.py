import gzip
import io
import json
import random
import struct
import tarfile
import time

import pytest

from localaws.engines.sagemaker.container import isolation
from localaws.engines.sagemaker.engine import SageMaker
from localaws.engines.sagemaker.images import CHECKOUT
from localaws.home import ServiceError

# What every script of these tests begins with.
HEAD = """
import json, os, signal, sys, time
from pathlib import Path
ml = Path(os.environ["OPT_ML"])
host = os.environ["SM_CURRENT_HOST"]
def leave(name, value):
    (ml / "output/data" / name).write_text(json.dumps(value))
"""


def script(text):
    import textwrap

    return HEAD + textwrap.dedent(text)


def channel(name, uri, mode="File", distribution="FullyReplicated", **members):
    source = {"S3Uri": uri, "S3DataType": members.pop("kind", "S3Prefix"), "S3DataDistributionType": distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": mode, **members}


def request(aws, image, name="t", *, channels=(), count=1, algorithm=None, seconds=600, **members):
    return {
        "TrainingJobName": name,
        "RoleArn": aws.role,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File", **(algorithm or {})},
        **({"InputDataConfig": list(channels)} if channels else {}),
        "OutputDataConfig": {"S3OutputPath": "s3://data/models"},
        "ResourceConfig": {"InstanceCount": count, "InstanceType": "ml.g5.xlarge", "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
        **members,
    }


def start(aws, text, **members):
    aws.sagemaker.create_training_job(aws.call, request(aws, aws.image(script(text)), **members))


def run(aws, text, **members):
    start(aws, text, **members)
    return aws.finished("Training", members.get("name", "t"))


def completed(aws, text, **members):
    job = run(aws, text, **members)
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), aws.log("TrainingJobs"))
    return job


def archive(aws, name, job="t"):
    """Names and texts of the files of one of a job's results."""
    body = aws.objects.read("data", f"models/{job}/output/{name}.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(body)) as files:
        return {member.name: files.extractfile(member).read().decode() for member in files if member.isfile()}


def outputs(aws, job="t"):
    return {name: json.loads(text) for name, text in archive(aws, "output", job).items()}


def secondary(job):
    return [entry["Status"] for entry in job["SecondaryStatusTransitions"]]


def test_a_job_finds_its_files_and_variables_and_leaves_a_model(aws):
    aws.put("train/a.txt", "a")
    aws.put("train/deep/b.txt", "b")
    text = """
    config = {name: json.loads((ml / f"input/config/{name}.json").read_text())
              for name in ("hyperparameters", "resourceconfig", "inputdataconfig")}
    files = sorted(p.relative_to(ml).as_posix() for p in (ml / "input/data").rglob("*.txt"))
    leave(host + ".json", {"config": config, "files": files, "argv": sys.argv[1:], "env": dict(os.environ)})
    (ml / "model/part").mkdir()
    (ml / f"model/part/{host}").write_text("weights")
    (ml / "model/config").write_text(host)
    print("epoch=1 auc=0.5;", flush=True)
    print("epoch=2 auc=0.75;")
    """
    job = completed(
        aws,
        text,
        count=2,
        channels=[channel("train", "s3://data/train")],
        algorithm={"MetricDefinitions": [{"Name": "auc", "Regex": r"auc=([0-9.]+)"}]},
        HyperParameters={"epochs": "5", "learning-rate": "0.1", "name": "x y"},
        Environment={"SETTING": "on"},
    )
    assert archive(aws, "model") == {"config": "algo-1", "part/algo-1": "weights", "part/algo-2": "weights"}
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": "s3://data/models/t/output/model.tar.gz"}
    found = outputs(aws)["algo-2.json"]
    assert found["files"] == ["input/data/train/a.txt", "input/data/train/deep/b.txt"]
    assert found["argv"] == ["train"]
    assert found["config"] == {
        "hyperparameters": {"epochs": "5", "learning-rate": "0.1", "name": "x y"},
        "inputdataconfig": {
            "train": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
        },
        "resourceconfig": {
            "current_host": "algo-2",
            "current_instance_type": "ml.g5.xlarge",
            "current_group_name": "homogeneousCluster",
            "hosts": ["algo-1", "algo-2"],
            "instance_groups": [
                {
                    "instance_group_name": "homogeneousCluster",
                    "instance_type": "ml.g5.xlarge",
                    "hosts": ["algo-1", "algo-2"],
                }
            ],
            "network_interface_name": "lo",
        },
    }
    env = found["env"]
    assert (env["TRAINING_JOB_NAME"], env["SETTING"], env["AWS_ACCESS_KEY_ID"]) == ("t", "on", "111122223333")
    assert json.loads(env["SM_HOSTS"]) == ["algo-1", "algo-2"]
    assert (env["SM_CURRENT_HOST_RANK"], env["SM_MASTER_ADDR"]) == ("1", "127.0.0.1")
    assert json.loads(env["SM_HPS"]) == {"epochs": 5, "learning-rate": 0.1, "name": "x y"}
    assert (env["SM_HP_LEARNING_RATE"], env["SM_HP_NAME"], env["SM_CHANNELS"]) == ("0.1", "x y", '["train"]')
    assert env["SM_CHANNEL_TRAIN"].endswith("/opt/ml/input/data/train")
    assert json.loads(env["SM_USER_ARGS"]) == ["--epochs", "5", "--learning-rate", "0.1", "--name", "x y"]
    [metric] = job["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("auc", 0.75)
    named = {"TrainingJobName": "t"}
    told = [("/aws/sagemaker/TrainingJobs", "auc", value, named) for value in (0.5, 0.5, 0.75, 0.75)]  # of both hosts
    assert sorted(aws.home.metrics, key=str) == told
    assert secondary(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(entry["EndTime"] >= entry["StartTime"] for entry in job["SecondaryStatusTransitions"])
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1
    told = [e["detail"]["SecondaryStatus"] for e in aws.home.events if "Training" in e["detail-type"]]
    assert told == secondary(job)


@pytest.mark.skipif(isolation() is None, reason="this system gives no mount namespaces")
def test_absolute_paths_and_host_names_work_as_in_the_cloud(aws):
    text = """
    import socket
    assert Path("/opt/ml/input/config/resourceconfig.json").is_file()
    assert os.environ["SM_MODEL_DIR"] == "/opt/ml/model"
    Path("/opt/ml/model/weights").write_text(socket.gethostbyname("algo-2"))
    """
    completed(aws, text, count=2)
    assert archive(aws, "model") == {"weights": "127.0.0.1"}
    from pathlib import Path

    assert not Path("/opt/ml").exists()  # nothing of it is seen outside


READ_EPOCHS = """
def epochs(name, count):
    found = []
    for epoch in range(count):
        path = ml / f"input/data/{name}_{epoch}"
        while not path.exists():
            time.sleep(0.01)
        with path.open("rb") as pipe:
            content = pipe.read()
        assert (ml / f"input/data/{name}_{epoch + 1}").exists()  # the next one is there before this one's end
        found.append(content.decode("latin-1"))
    return found
"""


def test_pipe_mode_feeds_each_host_its_shards_epoch_by_epoch(aws):
    for letter in "abcde":
        aws.put(f"shards/{letter}", letter * 300_000)
    text = READ_EPOCHS + "leave(host, [[t[::300_000] for t in epochs(n, 3)] for n in ('plain', 'mixed')])"
    sharded = {"mode": "Pipe", "distribution": "ShardedByS3Key"}
    completed(
        aws,
        text,
        count=2,
        channels=[
            channel("plain", "s3://data/shards/", **sharded),
            channel("mixed", "s3://data/shards/", **sharded, ShuffleConfig={"Seed": 7}),
        ],
    )
    found = outputs(aws)
    assert found["algo-1"][0] == ["ace"] * 3  # sorted(keys)[i::N]
    assert found["algo-2"][0] == ["bd"] * 3
    expected = []
    for epoch in range(3):
        order = list("abcde")
        random.Random(f"7/{epoch}").shuffle(order)
        expected.append("".join(order))
    assert [found["algo-1"][1], found["algo-2"][1]] == [[o[0::2] for o in expected], [o[1::2] for o in expected]]
    assert len(set(expected)) > 1


def test_pipe_mode_unpacks_and_wraps(aws):
    aws.put("zipped/a.gz", gzip.compress(b"hello"))
    aws.put("loose/a", b"12345")
    aws.put("loose/b", b"1234")
    text = READ_EPOCHS + "leave('all', epochs('zip', 1) + epochs('records', 1))"
    channels = [
        channel("zip", "s3://data/zipped/", "Pipe", CompressionType="Gzip"),
        channel("records", "s3://data/loose/", "Pipe", RecordWrapperType="RecordIO"),
    ]
    completed(aws, text, channels=channels)
    zipped, records = outputs(aws)["all"]
    magic = struct.pack("<I", 0xCED7230A)
    assert zipped == "hello"
    assert records.encode("latin-1") == magic + b"\5\0\0\0" + b"12345\0\0\0" + magic + b"\4\0\0\0" + b"1234"


def test_readers_that_leave_early_or_never_come_hold_nothing_up(aws):
    aws.put("big/a", b"x" * 3_000_000)
    text = READ_EPOCHS + (
        "with (ml / 'input/data/left_0').open('rb') as pipe:\n    pipe.read(10)\n"
        "while not (ml / 'input/data/left_1').exists(): time.sleep(0.01)\n"
        "with (ml / 'input/data/left_1').open('rb') as pipe:\n    leave('size', len(pipe.read()))\n"
    )
    begin = time.monotonic()
    completed(aws, text, channels=[channel(n, "s3://data/big/", "Pipe") for n in ("left", "unread")])
    assert outputs(aws)["size"] == 3_000_000
    assert time.monotonic() - begin < 20


def test_fast_file_copies_nothing_and_a_manifest_names_its_objects(aws):
    aws.put("train/a.bin", b"abc")
    aws.put("train/sub/b.bin", b"defg")
    aws.put("train/c.bin", b"not listed")
    aws.put("list.manifest", json.dumps([{"prefix": "s3://data/train/"}, "a.bin", "sub/b.bin"]))
    aws.put("packed/one.txt.gz", gzip.compress(b"unpacked"))
    text = """
    fast = {p.relative_to(ml / "input/data/fast").as_posix(): [p.is_symlink(), p.read_text()]
            for p in (ml / "input/data/fast").rglob("*.bin")}
    listed = ml / "input/data/listed"
    files = sorted(p.relative_to(listed).as_posix() for p in listed.rglob("*.bin"))
    leave("all", [fast, files, (ml / "input/data/zip/one.txt").read_text()])
    """
    channels = [
        channel("fast", "s3://data/train/", "FastFile"),
        channel("listed", "s3://data/list.manifest", kind="ManifestFile"),
        channel("zip", "s3://data/packed/", CompressionType="Gzip"),
    ]
    completed(aws, text, channels=channels)
    assert outputs(aws)["all"] == [
        {"a.bin": [True, "abc"], "sub/b.bin": [True, "defg"], "c.bin": [True, "not listed"]},
        ["a.bin", "sub/b.bin"],
        "unpacked",
    ]


def test_checkpoints_go_up_while_it_runs_and_come_down_to_the_next_job(aws):
    text = """
    kept = ml / "checkpoints/epoch"
    done = int(kept.read_text()) if kept.exists() else 0
    def stop(*_):
        kept.write_text(str(done + 10))
        (ml / "model/last").write_text(str(done))
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    if done >= 11:
        (ml / "model/final").write_text(str(done))
        sys.exit(0)
    done += 1
    kept.write_text(str(done))
    print("ready", flush=True)
    time.sleep(60)
    """
    checkpoints = {"CheckpointConfig": {"S3Uri": "s3://data/checkpoints"}}
    start(aws, text, **checkpoints)
    aws.wait(lambda: aws.keys("checkpoints/") == ["checkpoints/epoch"])
    assert aws.read("checkpoints/epoch") == "1"
    aws.sagemaker.stop_training_job(aws.call, {"TrainingJobName": "t"})
    job = aws.finished("Training", "t")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert secondary(job)[-3:] == ["Stopping", "Uploading", "Stopped"]
    assert archive(aws, "model") == {"last": "1"}  # what it saved when asked to stop is kept
    assert aws.read("checkpoints/epoch") == "11"
    completed(aws, text, name="again", **checkpoints)
    assert archive(aws, "model", "again") == {"final": "11"}


def test_a_job_that_runs_too_long_is_stopped(aws):
    job = run(aws, "(ml / 'model/half').write_text('1')\ntime.sleep(60)", seconds=1)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    last = job["SecondaryStatusTransitions"][-1]
    assert last["StatusMessage"] == "Training job runtime exceeded MaxRuntimeInSeconds provided"
    assert archive(aws, "model") == {"half": "1"}


def test_a_failure_keeps_its_reason_and_its_output_data(aws):
    text = """
    leave("seen", 7)
    (ml / "output/failure").write_text("shards of unequal length")
    sys.exit(2)
    """
    job = run(aws, text)
    assert job["FailureReason"] == "AlgorithmError: shards of unequal length, exit code: 2"
    assert secondary(job)[-1] == "Failed"
    assert outputs(aws) == {"seen": 7}
    assert "ModelArtifacts" not in job


def test_aws_pytorch_images_run_the_script_of_the_hyperparameters(aws, monkeypatch):
    import sys

    monkeypatch.setenv("SEXTANT_TORCH_PYTHON", sys.executable)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as code:
        for name, text in (
            ("helper.py", "WORD = 'w'"),
            ("train.py", script("from helper import WORD\nleave('x', [WORD, sys.argv[1:]])")),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            code.addfile(info, io.BytesIO(text.encode()))
    aws.put("code/source.tar.gz", buffer.getvalue())
    image = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.10.0-cpu-py313"
    given = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": '"s3://data/code/source.tar.gz"',
        "epochs": "3",
        "name": '"n"',
    }
    aws.sagemaker.create_training_job(aws.call, request(aws, image, HyperParameters=given))
    job = aws.finished("Training", "t")
    assert job["TrainingJobStatus"] == "Completed", (job["FailureReason"], aws.log("TrainingJobs"))
    assert outputs(aws)["x"] == ["w", ["--epochs", "3", "--name", "n"]]

    monkeypatch.setenv("SEXTANT_TORCH_PYTHON", str(CHECKOUT / "none"))
    aws.sagemaker.create_training_job(aws.call, request(aws, image, "u", HyperParameters=given))
    assert "set SEXTANT_TORCH_PYTHON" in aws.finished("Training", "u")["FailureReason"]


def test_a_job_without_data_or_with_a_bad_request_is_refused(aws):
    job = run(aws, "pass", channels=[channel("train", "s3://data/nothing/")])
    assert "No S3 objects found" in job["FailureReason"]
    image = aws.image("pass")
    bad = [
        ({"algorithm": {"MetricDefinitions": [{"Name": "m", "Regex": "("}]}}, "The Regex of metric m is invalid"),
        ({"channels": [channel("a", "s3://data/x")] * 2}, "must have different names"),
        ({"channels": [channel("a", "s3://data/x", kind="AugmentedManifestFile")]}, "AugmentedManifestFile"),
        ({"CheckpointConfig": {"S3Uri": "s3://data/c", "LocalPath": "/tmp/c"}}, "CheckpointConfig.LocalPath"),
    ]
    for change, text in bad:
        with pytest.raises(ServiceError, match=text.replace("(", r"\(")):
            aws.sagemaker.create_training_job(aws.call, request(aws, image, "bad", **change))
    [listed] = aws.sagemaker.list_training_jobs(aws.call, {})["TrainingJobSummaries"]
    assert (listed["TrainingJobName"], listed["TrainingJobStatus"]) == ("t", "Failed")


def test_a_job_that_waits_for_a_place_is_pending_and_can_be_stopped(aws, home):
    engine = SageMaker(home, slots=1, grace=1.0)
    image = aws.image(script("time.sleep(60)"))
    status = lambda name: engine.describe_training_job(aws.call, {"TrainingJobName": name})  # noqa: E731
    try:
        for name in ("first", "second"):
            engine.create_training_job(aws.call, request(aws, image, name))
        aws.wait(lambda: status("first")["SecondaryStatus"] == "Training")
        aws.wait(lambda: status("second")["SecondaryStatus"] == "Pending")
        for name in ("second", "first"):
            engine.stop_training_job(aws.call, {"TrainingJobName": name})
            job = aws.wait(lambda name=name: status(name) if status(name)["TrainingJobStatus"] == "Stopped" else None)
    finally:
        engine.close()
    assert secondary(status("second")) == ["Starting", "Pending", "Stopping", "Stopped"]
    assert "TrainingStartTime" not in status("second")
    assert secondary(job)[-1] == "Stopped"
