"""The commands and the program that the original post prints, against the API with nothing changed but the endpoint.

S3, DynamoDB and signatures are the embedded AWS's; the API's function answers on loopback, with the real detector.
"""

import datetime as dt
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import boto3
import numpy as np
import pytest
from PIL import Image

from localaws import emulator
from sextant.inspection import archive, client, saving
from sextant.inspection import training as detector_training
from sextant.inspection.api import backends, datasets, operations, training
from sextant.inspection.api.services import Services
from sextant.inspection.api.store import Table
from sextant.inspection.examples import Example
from sextant.inspection.settings import DetectorSettings
from tests.conftest import free_port
from tests.inspection_api.stand import PLACE, Jobs, serving

POSTS = Path(os.environ.get("SEXTANT_POSTS", Path(__file__).resolve().parents[3] / "shared/posts"))
CLI = shutil.which("aws")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the embedded AWS runs on Unix")

needs_cli = pytest.mark.skipif(CLI is None, reason="no AWS CLI is installed: pip install awscli")
# What the post's program does, in its modules' and its arguments' own names.
PROGRAM = """
import boto3
from picamera import PiCamera
import my_break_bream_sensor
import my_pusher

service = boto3.client('lookoutvision')
photograph = '/home/pi/Desktop/my_image.jpg'
with PiCamera() as camera:
    while True:
        if my_break_bream_sensor.isBroken():
            camera.capture(photograph)
            with open(photograph, 'rb') as file:
                answer = service.detect_anomalies(
                    ProjectName='lego-demo', ContentType='image/jpeg', Body=file.read(), ModelVersion='2'
                )
            if answer['DetectAnomalyResult']['IsAnomalous']:
                my_pusher.push()
"""


def brick(rng, *, scratched):
    """A JPEG of a blue brick on a belt, with a scratch or without."""
    pixels = np.full((160, 160, 3), 205.0)
    left, top = 40 + rng.integers(-3, 4, 2)
    pixels[top : top + 80, left : left + 80] = (60, 90, 170)
    for row, column in itertools.product(range(10, 70, 20), repeat=2):
        pixels[top + row : top + row + 10, left + column : left + column + 10] = (80, 115, 200)
    if scratched:
        for step in range(40):
            y, x = top + 15 + step, left + 20 + step // 2 + rng.integers(0, 3)
            pixels[y : y + 3, x : x + 4] = (225, 225, 215)
    pixels = pixels * rng.uniform(0.93, 1.07) + rng.normal(0, 3, pixels.shape)
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=92)
    return out.getvalue()


@pytest.fixture(scope="module")
def bricks(tmp_path_factory):
    """The post's folder: normal and anomaly to train on, test, new-data."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(7)
    for name, count, scratched in (("normal", 16, False), ("anomaly", 6, True), ("test/good", 3, False),
                                   ("test/bad", 3, True), ("new-data", 2, True)):  # fmt: skip
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number}.jpg").write_bytes(brick(rng, scratched=scratched))
    return folder


@pytest.fixture(scope="module")
def model(bricks):
    """model.tar.gz of a detector trained on them."""
    examples = [
        Example(f"{label}/{path.name}", label, path.read_bytes())
        for label in ("normal", "anomaly")
        for path in sorted((bricks / label).iterdir())
    ]
    trained = detector_training.train(examples, DetectorSettings(input_px=160))
    folder = bricks.parent / "model"
    saving.save(trained, folder)
    return archive.pack(folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An embedded AWS with nothing deployed."""
    state = tmp_path_factory.mktemp("embedded")
    try:
        yield emulator.start(state, port=free_port(), console_port=free_port())
    finally:
        emulator.stop(state)
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="module")
def aws(home):
    """Clients of it that also reach the API; `run(*command)` is the AWS CLI."""
    answer, tasks = [], []

    def answered(event):
        return answer[0](event)

    with pytest.MonkeyPatch.context() as patch, serving(answered) as url:
        settings = {**home.environment(), "AWS_ENDPOINT_URL_LOOKOUTVISION": url}
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        for name, value in settings.items():
            patch.setenv(name, value)
        dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
        dynamodb.create_table(
            TableName=PLACE.TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        )
        s3.create_bucket(Bucket=PLACE.BUCKET)
        services = Services(
            place=PLACE, table=Table(dynamodb, PLACE.TABLE), s3=s3, sagemaker=Jobs(), backend=backends.Lambda(s3),
            later=lambda _, document: tasks.append(document),
        )  # fmt: skip
        answer.append(lambda event: operations.answer(services, event))

        def run(*command, cwd=None):
            done = subprocess.run(
                [CLI, *command], env={**os.environ, **settings}, cwd=cwd, capture_output=True, text=True, timeout=60,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

        def work():
            while tasks:
                task = tasks.pop()
                datasets.ingest(services, task["project"], task["type"], task["ticket"])

        yield SimpleNamespace(run=run, s3=s3, services=services, work=work, client=boto3.client("lookoutvision"))


@pytest.fixture(scope="module")
def demo(aws, bricks, model):
    """The post's project with two trained versions: the second after its new data was added."""
    bucket = "l4vdemo"
    aws.s3.create_bucket(Bucket=bucket)
    for path in bricks.rglob("*.jpg"):
        aws.s3.upload_file(str(path), bucket, path.relative_to(bricks).as_posix())
    lookout = aws.client
    lookout.create_project(ProjectName="lego-demo")
    where = {"project": "lego-demo", "kind": "train", "target": f"s3://{bucket}/train.manifest"}
    assert client.import_folder(lookout, aws.s3, f"s3://{bucket}/", **where) == 30
    aws.work()
    train(aws, model)
    # Trial detection, verified by a person, added to the dataset.
    now = dt.datetime.now(dt.UTC)
    lines = (client.manifest.line_of(f"s3://{bucket}/new-data/{n}.jpg", "anomaly", now) for n in range(2))
    lookout.update_dataset_entries(ProjectName="lego-demo", DatasetType="train", Changes="\n".join(lines))
    aws.work()
    train(aws, model)
    return aws


def train(aws, model):
    output = {"S3Location": {"Bucket": "l4vdemo", "Prefix": "evaluation"}}
    aws.client.create_model(ProjectName="lego-demo", OutputConfig=output)
    name, job = list(aws.services.sagemaker.jobs.items())[-1]
    uri = f"{job['OutputDataConfig']['S3OutputPath']}/{name}/output/model.tar.gz"
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    aws.s3.put_object(Bucket=bucket, Key=key, Body=model)
    job |= {"TrainingJobStatus": "Completed", "ModelArtifacts": {"S3ModelArtifacts": uri}}
    assert training.ended(aws.services, name) == "TRAINED"


@needs_cli
def test_the_posts_s3_commands_bring_the_dataset_into_a_bucket(aws, bricks, tmp_path):
    shutil.copytree(bricks, tmp_path / "data")
    aws.run("s3", "mb", "s3://l4vdemo-cli")
    aws.run("s3", "sync", "data", "s3://l4vdemo-cli", cwd=tmp_path)
    keys = {each["Key"] for each in aws.s3.list_objects_v2(Bucket="l4vdemo-cli")["Contents"]}
    assert keys == {path.relative_to(bricks).as_posix() for path in bricks.rglob("*.jpg")}


def test_labels_come_from_the_folders_and_new_data_from_verification(demo):
    told = demo.client.describe_dataset(ProjectName="lego-demo", DatasetType="train")["DatasetDescription"]
    assert told["ImageStats"] == {"Total": 30, "Labeled": 24, "Normal": 16, "Anomaly": 8}
    versions = demo.client.list_models(ProjectName="lego-demo")["Models"]
    assert [(each["ModelVersion"], each["Status"]) for each in versions] == [("1", "TRAINED"), ("2", "TRAINED")]
    assert all(set(each["Performance"]) == {"F1Score", "Recall", "Precision"} for each in versions)


@needs_cli
def test_the_posts_commands_start_the_model_detect_and_stop_it(demo, bricks):
    model = ("--project-name", "lego-demo", "--model-version", "1")
    assert demo.run("lookoutvision", "start-model", *model, "--min-inference-units", "1") == {
        "Status": "STARTING_HOSTING"
    }
    detect = ("lookoutvision", "detect-anomalies", *model, "--content-type", "image/jpeg", "--body")
    for kind, truth in (("good", False), ("bad", True)):
        answer = demo.run(*detect, f"test/{kind}/0.jpg", cwd=bricks)
        result = answer.pop("DetectAnomalyResult")
        assert answer == {}
        assert set(result) == {"Source", "IsAnomalous", "Confidence"}
        assert result["Source"] == {"Type": "direct"}
        assert result["IsAnomalous"] is truth
        assert 0.5 <= result["Confidence"] <= 1
    assert demo.run("lookoutvision", "stop-model", *model) == {"Status": "STOPPING_HOSTING"}
    told = demo.run("lookoutvision", "describe-model", *model)["ModelDescription"]
    assert told["Status"] == "TRAINED"


def printed():
    """The program as the post prints it."""
    for path in sorted(POSTS.glob("000_*.txt")):
        text = path.read_text(encoding="utf-8")
        start = text.find("import boto3\nfrom picamera")
        if start >= 0:
            return text[start : text.index("\nMonitoring the model", start)]
    return None


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(PROGRAM, id="its names and calls"),
        pytest.param(
            printed(),
            id="its very words",
            marks=[pytest.mark.realdata, pytest.mark.skipif(not printed(), reason=f"the post is not in {POSTS}")],
        ),
    ],
)
def test_the_posts_program_pushes_the_bad_bricks_off_the_belt(demo, bricks, program, monkeypatch, tmp_path):
    belt = [("good", 0), ("bad", 0), ("good", 1), ("bad", 1), ("bad", 2), ("good", 2)]
    demo.client.start_model(ProjectName="lego-demo", ModelVersion="2", MinInferenceUnits=1)
    coming, pushed, seen = iter(belt), [], []

    class BeltEnds(Exception):  # noqa: N818 - it is the end, no error
        pass

    class PiCamera:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

        def capture(self, path):
            kind, number = seen[-1]
            shutil.copyfile(bricks / "test" / kind / f"{number}.jpg", here(path))

    def here(path):
        return tmp_path / Path(path).name

    def is_broken():
        brick = next(coming, None)
        if brick is None:
            raise BeltEnds
        seen.append(brick)
        return True

    for name, members in (
        ("picamera", {"PiCamera": PiCamera}),
        ("my_break_bream_sensor", {"isBroken": is_broken}),
        ("my_pusher", {"push": lambda: pushed.append(seen[-1])}),
    ):
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(BeltEnds):
        exec(program, {"open": lambda path, mode: here(path).open(mode)})
    demo.client.stop_model(ProjectName="lego-demo", ModelVersion="2")
    assert pushed == [brick for brick in belt if brick[0] == "bad"]
