"""The commands and the program that the original post prints, against the deployed system with nothing changed."""

import datetime as dt
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import boto3
import numpy as np
import pytest
from gpiozero import Button, DigitalOutputDevice
from gpiozero.pins.mock import MockFactory
from PIL import Image

from sextant.inspection import client, manifest

POSTS = Path(os.environ.get("SEXTANT_POSTS", Path(__file__).resolve().parents[3] / "shared/posts"))
CLI = shutil.which("aws")

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
    """The post's folder `data`: normal and anomaly to train on, test, new-data."""
    folder, rng = tmp_path_factory.mktemp("post") / "data", np.random.default_rng(7)
    for name, count, scratched in (("normal", 16, False), ("anomaly", 6, True), ("test/good", 3, False),
                                   ("test/bad", 3, True), ("new-data", 2, True)):  # fmt: skip
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number}.jpg").write_bytes(brick(rng, scratched=scratched))
    return folder


@pytest.fixture(scope="module")
def demo(embedded, bricks):
    """The post's bucket and its project with two trained versions: the second after its new data was added."""
    session = boto3.session.Session()  # the default one may be of before the embedded AWS and its data path
    s3, lookout = session.client("s3"), session.client("lookoutvision")
    if CLI is None:
        s3.create_bucket(Bucket="l4vdemo")
        for path in bricks.rglob("*.jpg"):
            s3.upload_file(str(path), "l4vdemo", path.relative_to(bricks).as_posix())
    else:
        aws("s3", "mb", "s3://l4vdemo")
        aws("s3", "sync", "data", "s3://l4vdemo", cwd=bricks.parent)
    settings = {"Bucket": embedded.outputs["local-Inspection"]["DataBucket"], "Key": "projects/lego-demo/settings.json"}
    s3.put_object(**settings, Body=json.dumps({"input_px": 160}).encode())  # bricks are small here
    lookout.create_project(ProjectName="lego-demo")
    where = {"project": "lego-demo", "kind": "train", "target": "s3://l4vdemo/train.manifest"}
    assert client.import_folder(lookout, s3, "s3://l4vdemo/", **where) == 30
    dataset = {"ProjectName": "lego-demo", "DatasetType": "train"}
    output = {"S3Location": {"Bucket": "l4vdemo", "Prefix": "evaluation"}}
    settled(lambda: lookout.describe_dataset(**dataset)["DatasetDescription"])
    lookout.create_model(ProjectName="lego-demo", OutputConfig=output)
    # Trial detection, verified by a person, added to the dataset.
    now = dt.datetime.now(dt.UTC)
    lines = (manifest.line_of(f"s3://l4vdemo/new-data/{n}.jpg", "anomaly", now) for n in range(2))
    lookout.update_dataset_entries(**dataset, Changes="\n".join(lines))
    settled(lambda: lookout.describe_dataset(**dataset)["DatasetDescription"])
    lookout.create_model(ProjectName="lego-demo", OutputConfig=output)
    for version in ("1", "2"):
        model = {"ProjectName": "lego-demo", "ModelVersion": version}
        told = settled(lambda: lookout.describe_model(**model)["ModelDescription"])  # noqa: B023 - called at once
        assert told["Status"] == "TRAINED", told["StatusMessage"]
    return SimpleNamespace(s3=s3, client=lookout)


def settled(describe, seconds=300):
    """What is described, once nothing is under way any more."""
    end = time.monotonic() + seconds
    while (told := describe())["Status"] in {"TRAINING", "CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}:
        assert time.monotonic() < end, told
        time.sleep(0.3)
    return told


def aws(*command, cwd=None):
    """A command of the AWS CLI, in the environment that `sextant env` exports."""
    done = subprocess.run([CLI, *command], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


@needs_cli
def test_the_posts_s3_commands_bring_the_dataset_into_the_bucket(demo, bricks):
    keys = {each["Key"] for each in demo.s3.list_objects_v2(Bucket="l4vdemo")["Contents"]}
    assert {path.relative_to(bricks).as_posix() for path in bricks.rglob("*.jpg")} < keys


def test_labels_come_from_the_folders_and_new_data_from_verification(demo):
    told = demo.client.describe_dataset(ProjectName="lego-demo", DatasetType="train")["DatasetDescription"]
    assert told["ImageStats"] == {"Total": 30, "Labeled": 24, "Normal": 16, "Anomaly": 8}
    versions = demo.client.list_models(ProjectName="lego-demo")["Models"]
    assert [(each["ModelVersion"], each["Status"]) for each in versions] == [("1", "TRAINED"), ("2", "TRAINED")]
    assert all(set(each["Performance"]) == {"F1Score", "Recall", "Precision"} for each in versions)
    evaluation = demo.s3.get_object(Bucket="l4vdemo", Key="evaluation/EvaluationResult-lego-demo-2.json")
    assert json.loads(evaluation["Body"].read())["EvaluationDetails"]["NumberOfTrainingImages"] == 24


@needs_cli
@pytest.mark.usefixtures("demo")
def test_the_posts_commands_start_the_model_detect_and_stop_it(bricks):
    model = ("--project-name", "lego-demo", "--model-version", "1")
    assert aws("lookoutvision", "start-model", *model, "--min-inference-units", "1") == {"Status": "STARTING_HOSTING"}
    detect = ("lookoutvision", "detect-anomalies", *model, "--content-type", "image/jpeg", "--body")
    for kind, truth in (("good", False), ("bad", True)):
        answer = aws(*detect, f"test/{kind}/0.jpg", cwd=bricks)
        result = answer.pop("DetectAnomalyResult")
        assert answer == {}
        assert set(result) == {"Source", "IsAnomalous", "Confidence"}
        assert result["Source"] == {"Type": "direct"}
        assert result["IsAnomalous"] is truth
        assert 0.5 <= result["Confidence"] <= 1
    assert aws("lookoutvision", "stop-model", *model) == {"Status": "STOPPING_HOSTING"}
    told = aws("lookoutvision", "describe-model", *model)["ModelDescription"]
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
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # as in a process of its own
    belt = [("good", 0), ("bad", 0), ("good", 1), ("bad", 1), ("bad", 2), ("good", 2)]
    demo.client.start_model(ProjectName="lego-demo", ModelVersion="2", MinInferenceUnits=1)
    coming, pushed, seen = iter(belt), [], []
    pins = MockFactory()
    beam, pusher = Button(17, pin_factory=pins), DigitalOutputDevice(27, pin_factory=pins)

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
        if beam.is_pressed:  # the brick leaves the beam
            pins.pin(17).drive_high()
        elif (brick := next(coming, None)) is None:
            raise BeltEnds
        else:
            seen.append(brick)
            pins.pin(17).drive_low()
        return beam.is_pressed

    def push():
        pushed.append(seen[-1])
        pusher.on()
        pusher.off()

    for name, members in (
        ("picamera", {"PiCamera": PiCamera}),
        ("my_break_bream_sensor", {"isBroken": is_broken}),
        ("my_pusher", {"push": push}),
    ):
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(BeltEnds):
        exec(program, {"open": lambda path, mode: here(path).open(mode)})
    demo.client.stop_model(ProjectName="lego-demo", ModelVersion="2")
    assert pushed == [brick for brick in belt if brick[0] == "bad"]
    assert [state.state for state in pins.pin(27).states].count(True) == 3
    beam.close()
    pusher.close()
