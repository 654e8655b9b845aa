"""The image's program as SageMaker starts it: a process with a folder for /opt/ml."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sextant.inspection import archive, detector, photograph
from tests.inspection.made import jpeg, plate

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "training" / "inspection"
COLOURS = {"scratch": "#23A436", "hole": "#A02020"}


def line(source, label, mask=None, kind=None):
    document = {
        "source-ref": source,
        "label": 7,
        "label-metadata": {"class-name": label, "type": "groundtruth/image-classification"},
    }
    if mask:
        document |= {
            "mask-ref": mask,
            "mask-ref-metadata": {
                "type": "groundtruth/semantic-segmentation",
                "internal-color-map": {"1": {"class-name": kind, "hex-color": COLOURS[kind]}},
            },
        }
    return json.dumps(document)


def photographs(folder, start, normals, anomalies):
    """Files with masks, and the lines of their manifest with paths below the folder."""
    lines = []
    for n in range(normals):
        (folder / f"n{start + n}.jpg").write_bytes(jpeg(plate(start + n)[0]))
        lines.append(line(f"{folder}/n{start + n}.jpg", "normal"))
    for n in range(anomalies):
        kind = list(COLOURS)[n % 2]
        pixels, mask = plate(start + 700 + n, defect=kind)
        (folder / f"a{start + n}.jpg").write_bytes(jpeg(pixels))
        painted = Image.fromarray(mask).convert("P")
        painted.putpalette([255, 255, 255, *bytes.fromhex(COLOURS[kind][1:])])
        painted.save(folder / f"m{start + n}.png")
        lines.append(line(f"{folder}/a{start + n}.jpg", "anomaly", f"{folder}/m{start + n}.png", kind))
    return lines


def job(root, lines, test=(), **hyperparameters):
    (root / "input/config").mkdir(parents=True)
    (root / "input/config/hyperparameters.json").write_text(json.dumps(hyperparameters))
    for channel, content in (("training", lines), ("test", test)):
        if content:
            (root / f"input/data/{channel}").mkdir(parents=True)
            (root / f"input/data/{channel}/{channel}.manifest").write_text("\n".join(content) + "\n")


def started(root, program, **more):
    environment = {**os.environ, "OPT_ML": str(root), "PYTHONPATH": str(ROOT), **more}
    return subprocess.Popen(
        [sys.executable, "-m", "training.inspection.entry", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root, files = tmp_path_factory.mktemp("ml"), tmp_path_factory.mktemp("files")
    lines = photographs(files, 0, 11, 6)
    unlabelled = json.dumps({"source-ref": f"{files}/gone.jpg"})
    missing = line(f"{files}/gone.jpg", "normal")
    job(
        root,
        [*lines, unlabelled, missing],
        photographs(files, 100, 4, 4),
        input_px="192",
        bank_patches="500",
        rules='{"min_confidence": 0.6}',
        false_reject_budget="0.1",
        project_name="plates",
        model_version="2",
        model_arn="arn:aws:lookoutvision:eu-central-1:000000000000:model/plates/2",
        sagemaker_region="eu-central-1",
    )
    process = started(root, "train")
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    return root, printed


def test_training_leaves_an_archive_and_tells_its_numbers(trained):
    root, printed = trained
    made = archive.load(root / "model")
    assert made.settings.false_reject_budget == 0.1
    assert made.settings.rules.min_confidence == 0.6
    assert [each.name for each in made.model.labels] == ["hole", "scratch"]
    assert made.model.labels[0].colour == "#A02020"
    assert (made.facts.normals, made.facts.anomalies) == (11, 6)
    assert float(re.search(r"#quality_metric: test_auroc=([0-9.]+)", printed)[1]) >= 0.9
    assert "not read" in printed
    assert "gone" in printed
    lines = (root / "model/evaluation_manifest.jsonl").read_text().splitlines()
    assert len(lines) == 8
    assert json.loads(lines[0])["anomaly-label-detected-metadata"]["model-version"] == "2"
    result = json.loads((root / "model/evaluation_result.json").read_text())
    assert result["EvaluationDetails"]["ModelArn"].endswith("model/plates/2")


def test_server_answers_as_detect_does(trained):
    root, _ = trained
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = started(root, "serve", SAGEMAKER_BIND_TO_HOST="127.0.0.1", SAGEMAKER_BIND_TO_PORT=str(port))
    try:
        for _ in range(300):
            try:
                if sent(port, "GET", "/ping")[0] == 200:
                    break
            except ConnectionRefusedError:
                time.sleep(0.2)
        body = jpeg(plate(400, defect="hole")[0])
        status, answer = sent(port, "POST", "/invocations", body, **{"Content-Type": "image/jpeg"})
        assert status == 200
        own = detector.response(detector.detect(archive.load(root / "model"), photograph.read(body)))
        result, expected = (each["DetectAnomalyResult"] for each in (answer, own))
        assert result["Confidence"] == pytest.approx(expected["Confidence"], abs=1e-4)
        assert result["IsAnomalous"] == expected["IsAnomalous"]
        assert result["AnomalyMask"] == expected["AnomalyMask"]
        for kind, sent_body, code, reason in (
            ("text/plain", body, 415, "send image/jpeg or image/png"),
            ("image/jpeg", b"no picture", 400, "not_an_image"),
            ("image/png", body[:300], 400, "truncated"),
            ("image/jpeg", bytes((8 << 20) + 1), 413, "allowed"),
        ):
            status, answer = sent(port, "POST", "/invocations", sent_body, **{"Content-Type": kind})
            assert (status, reason in json.dumps(answer)) == (code, True)
        assert sent(port, "GET", "/nothing")[0] == 404
        assert sent(port, "GET", "/ping")[0] == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0


def sent(port, method, path, body=None, **headers):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    ("hyperparameters", "lines", "reason"),
    [
        ({"input_px": "many"}, None, "DetectorSettings: input_px: Input should be a valid integer"),
        ({"epochs": "3"}, None, "epochs: Extra inputs are not permitted"),
        ({"rules": "{"}, None, "hyperparameter rules is no JSON"),
        ({"backbone": "file:/nowhere.onnx"}, None, "give the path of an ONNX file"),
        ({}, ["{"], "line 1: no JSON"),
        ({}, [], "channel training has 0 files"),
    ],
)
def test_jobs_that_cannot_be_done_leave_their_reason(tmp_path, monkeypatch, hyperparameters, lines, reason):
    from training.inspection import entry

    if lines is None:
        lines = []
        for n in range(10):
            pixels = np.random.default_rng(n).integers(0, 255, (64, 64, 3), np.uint8)
            (tmp_path / f"{n}.jpg").write_bytes(jpeg(pixels))
            lines.append(line(f"{tmp_path}/{n}.jpg", "normal"))
    job(tmp_path / "ml", lines, **hyperparameters)
    monkeypatch.setenv("OPT_ML", str(tmp_path / "ml"))
    monkeypatch.setattr("sys.argv", ["entry", "train"])
    assert entry.main() == 1
    assert reason in (tmp_path / "ml/output/failure").read_text()


def test_without_a_program_it_tells_its_use(monkeypatch, capsys):
    from training.inspection import entry

    monkeypatch.setattr("sys.argv", ["entry"])
    assert entry.main() == 2
    assert "train|serve" in capsys.readouterr().err


def test_the_lock_has_what_is_asked_for_by_hash_and_no_address():
    def names(text):
        found = (each.partition("#")[0].split("==")[0].strip() for each in text.splitlines())
        return {each.lower().replace("_", "-") for each in found if each and not each.startswith("--")}

    locked = (IMAGE / "requirements.txt").read_text()
    assert names((IMAGE / "requirements.in").read_text()) <= names(locked)
    assert "://" not in locked
    for entry in re.split(r"\n(?=\S)", locked.strip()):
        assert "--hash=sha256:" in entry
    assert "--require-hashes" in (IMAGE / "Dockerfile").read_text()
