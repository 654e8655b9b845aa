"""A model on an encoder of the user's own: its archive alone is enough to serve it, in an empty folder."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import urllib.request

import numpy as np
import onnx
import pytest
import simplejpeg
from onnx import TensorProto, helper

from sextant.slides import encoder, model, serving, training
from sextant.slides.manifest import Manifest, ManifestSplit, Shard
from sextant.slides.records import TileFeatures
from sextant.slides.settings import TileSettings

CLASSES = ("red", "green")
SIZE = 64


def written_graph(path, factor=1.0):
    """Its features are the channels' means times a factor: known from the picture alone."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["m", "f"], ["y"]),
    ]
    made = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor("f", TensorProto.FLOAT, [1], [factor])],
    )
    whole = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(whole, {"mean": "[0, 0, 0]", "std": "[1, 1, 1]"})
    onnx.save(whole, path)
    return f"onnx:{path}"


def picture(label, seed):
    rng = np.random.default_rng([label, seed])
    image = np.full((SIZE, SIZE, 3), 90.0) + rng.normal(size=3) * 8
    image[..., label] += 60
    return np.clip(image, 0, 255).astype(np.uint8)


def split_of(network, name, slides):
    tiles = []
    for number in range(slides):
        images = [picture(number % 2, 10 * number + place + len(name)) for place in range(4)]
        for place, feature in enumerate(encoder.encode(network, images)):
            label = number % 2
            tiles.append(
                TileFeatures(f"{name}{number}", f"{name}{number}", label, CLASSES[label], place, 0, SIZE, feature)
            )
    return training.read_split(tiles, name, 2)


def trained(network, folder):
    shard = Shard(name="train/0", records=32, bytes=1, sha256="0")
    packed = ManifestSplit(shards=(shard,), records=32, per_class=dict.fromkeys(CLASSES, 16), slides=8, patients=8)
    manifest = Manifest(
        classes=CLASSES,
        plan_digest="p" * 64,
        settings=TileSettings(size=SIZE),
        world_size_multiple=1,
        splits={"train": packed, "valid": packed},
    )
    return training.train_head(
        split_of(network, "train", 8),
        split_of(network, "valid", 6),
        manifest,
        training.HeadSettings(encoder=network.name),
        encoder=model.encoder_facts(network),
        checkpoints=folder,
    )


@pytest.fixture
def archived(tmp_path):
    """A model and its archive; the graph that it was trained with is gone."""
    network = encoder.load(written_graph(tmp_path / "own.onnx"))
    made = trained(network, tmp_path / "checkpoints")
    model.save(made, tmp_path / "model", encoder.graph(network))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for each in (tmp_path / "model").iterdir():
            archive.add(each, each.name)
    (tmp_path / "own.onnx").unlink()
    return made, buffer.getvalue()


def test_the_archive_alone_is_served_in_an_empty_folder(archived, tmp_path):
    made, archive = archived
    root = tmp_path / "container"
    (root / "model").mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        opened.extractall(root / "model", filter="data")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"OPT_ML": str(root), "SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_BIND_TO_HOST": "127.0.0.1"}
    command = [sys.executable, "-m", "training.slides.entry", "serve"]
    image = picture(1, 7)
    # The features by hand: means of the channels, after the values were brought between 0 and 1.
    body = simplejpeg.encode_jpeg(image, quality=95, colorsubsampling="444")
    seen = simplejpeg.decode_jpeg(body).mean((0, 1), dtype=np.float64)[None] / 255
    with subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == f"serving on port {port}\n".encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "image/jpeg"}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                told = json.loads(answer.read())
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
    assert told["logits"] == pytest.approx(made.head.outputs(seen).logits[0].tolist(), abs=0.05)
    assert told["logits"][1] > told["logits"][0]


def test_an_archive_without_its_encoder_or_with_another_is_refused(archived, tmp_path):
    made, _ = archived
    model.save(made, tmp_path / "bare")
    with pytest.raises(encoder.EncoderError, match=r"there is no .*own\.onnx"):
        serving.service(made, 1, tmp_path / "bare")
    written_graph(tmp_path / "bare" / model.ENCODER_FILE, factor=2.0)
    with pytest.raises(model.ModelError, match="trained on features of onnx:"):
        serving.service(made, 1, tmp_path / "bare")


def test_a_graph_that_changed_during_training_is_not_shipped(tmp_path):
    network = encoder.load(written_graph(tmp_path / "own.onnx"))
    written_graph(tmp_path / "own.onnx", factor=2.0)
    with pytest.raises(encoder.EncoderError, match=r"own\.onnx has changed since it was loaded"):
        encoder.graph(network)
    (tmp_path / "own.onnx").unlink()
    with pytest.raises(encoder.EncoderError, match=r"own\.onnx is gone since it was loaded"):
        encoder.graph(network)


def test_encoders_of_the_image_are_not_shipped(tmp_path, monkeypatch):
    monkeypatch.setenv("SEXTANT_CACHE", str(tmp_path))
    assert encoder.graph(encoder.load()) is None
