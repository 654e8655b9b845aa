import functools
import hashlib
import http.client
import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from sextant import container, model_server, storage
from sextant.slides import features, measuring, model, scores, serving, tfrecord, training_input
from sextant.slides.manifest import Manifest, ManifestSplit, Shard
from sextant.slides.plan import Plan, PlannedSlide
from sextant.slides.records import Tile, to_record
from sextant.slides.settings import TileSettings
from training.slides import entry, serve

CLASSES = ("luad", "lusc", "normal")
SIZE = 64
ENCODER = f"python:{__name__}:means"


class Means:
    """Six features that tell a tile's colour."""

    name, sha256, dim, input_px, mpp = ENCODER, "a" * 64, 6, 16, None

    def encode(self, batch):
        return np.concatenate([batch.mean((1, 2)), batch.std((1, 2))], 1).astype(np.float32)


def means():
    return Means()


def picture(label, seed):
    """A tile whose colour leans to its class's channel, with noise that hides it now and then."""
    rng = np.random.default_rng([label, seed])
    colour = 128 + rng.normal(size=3) * 14
    colour[label] += 30
    small = np.clip(colour + rng.normal(size=(8, 8, 3)) * 20, 0, 255).astype(np.uint8)
    return small.repeat(SIZE // 8, 0).repeat(SIZE // 8, 1)


def jpeg(image):
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=90)


def tile(slide, patient, label, place, **changed):
    seed = sum(map(ord, slide)) * 100 + place
    given = {
        "slide": slide,
        "patient": patient,
        "label": label,
        "label_name": CLASSES[label],
        "x": place * SIZE,
        "y": 0,
        "span": SIZE,
        "size": SIZE,
        "mpp": 0.5,
        "background": 0.0,
        "grid": (1, 1),
        "parts": (jpeg(picture(label, seed)),),
    }
    return Tile(**given | changed)


def cohort():
    splits = ["train"] * 8 + ["valid"] * 4 + ["test"] * 3
    return [
        PlannedSlide(
            slide=f"s{number:02}",
            key=f"s{number:02}.svs",
            patient=f"p{number:02}",
            label=CLASSES[number % 3],
            label_index=number % 3,
            split=splits[number // 3],
            host=0,
            bytes=1,
        )
        for number in range(45)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run up to its features: plan, records of 45 slides with 6 tiles each, manifest."""
    root = tmp_path_factory.mktemp("runs") / "run"
    plan = Plan(classes=CLASSES, slides=tuple(cohort()), tiles=TileSettings(size=SIZE))
    storage.write(plan.model_dump_json().encode(), f"{root}/plan.json")
    packed = {}
    for split, count in (("train", 2), ("valid", 2), ("test", 0)):
        of_split = [each for each in plan.slides if each.split == split]
        tiles = [tile(each.slide, each.patient, each.label_index, n) for each in of_split for n in range(6)]
        names = [f"{split}/part-{n:05}-of-{count:05}.tfrecord" for n in range(count)]
        shards = [tiles[n::count] for n in range(count)]
        if split == "test":
            names = [f"test/{each.slide}.tfrecord" for each in of_split]
            shards = [[each for each in tiles if each.slide == slide.slide] for slide in of_split]
        bodies = [b"".join(tfrecord.frame(to_record(each)) for each in shard) for shard in shards]
        for name, body in zip(names, bodies, strict=True):
            storage.write(body, f"{root}/records/{name}")
        packed[split] = ManifestSplit(
            shards=tuple(
                Shard(name=name, records=len(shard), bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
                for name, shard, body in zip(names, shards, bodies, strict=True)
            ),
            records=len(tiles),
            per_class={name: sum(each.label_name == name for each in tiles) for name in CLASSES},
            slides=len(of_split),
            patients=len(of_split),
        )
    manifest = Manifest(
        classes=CLASSES,
        plan_digest=plan.digest(),
        settings=plan.tiles,
        feature_dim=None,
        world_size_multiple=2,
        splits=packed,
    )
    storage.write(manifest.model_dump_json().encode(), f"{root}/records/manifest.json")
    features.encode_run(str(root), Means())
    return root


def job(root, run, mode, **hyperparameters):
    """The contract's files of a training job, with its channels as folders or as pipes that are fed."""
    config = root / "input/config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps({"encoder": ENCODER, **hyperparameters}))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
    channels = {each: {"TrainingInputMode": mode} for each in ("train", "valid")}
    (config / "inputdataconfig.json").write_text(json.dumps({**channels, "manifest": {"TrainingInputMode": "File"}}))
    data = root / "input/data"
    (data / "manifest").mkdir(parents=True)
    (data / "manifest/manifest.json").write_bytes((run / "records/manifest.json").read_bytes())
    (data / "accounts").symlink_to(run / "features/accounts")
    feeders = []
    for each in ("train", "valid"):
        if mode == "File":
            (data / each).symlink_to(run / "features" / each)
            continue
        os.mkfifo(data / f"{each}_0")
        feeders.append(threading.Thread(target=feed, args=(run / "features" / each, data / f"{each}_0")))
        feeders[-1].start()
    return feeders


def feed(folder, pipe):
    with pipe.open("wb") as stream:
        for shard in sorted(folder.iterdir(), reverse=True):  # SageMaker shuffles objects
            stream.write(shard.read_bytes())


def trained(root, run, monkeypatch, mode="File", **hyperparameters):
    monkeypatch.setenv("OPT_ML", str(root))
    feeders = job(root, run, mode, **hyperparameters)
    monkeypatch.setattr("sys.argv", ["entry", "train"])
    assert entry.main() == 0
    for each in feeders:
        each.join()
    return model.load(root / "model")


@pytest.fixture(scope="module")
def fitted(run, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return trained(tmp_path_factory.mktemp("ml"), run, patch)


@pytest.fixture(scope="module")
def service(fitted):
    return serving.service(fitted, 1)


def test_training_reads_pipes_and_folders_alike(tmp_path, run, fitted, monkeypatch, caplog):
    with caplog.at_level(logging.INFO):
        piped = trained(tmp_path, run, monkeypatch, "Pipe")
    assert piped.digest() == fitted.digest()
    assert piped.facts.validation.slides == 12
    assert piped.facts.validation.slide_auc > 0.9
    assert piped.facts.encoder.name == ENCODER
    assert piped.facts.tiles.size == SIZE
    assert "#quality_metric: val_slide_auc=" in caplog.text


@pytest.mark.parametrize(
    ("hyperparameters", "reason"),
    [
        ({"epochs": "many"}, "HeadSettings: epochs: Input should be a valid integer"),
        ({"learning_rate": "0.1"}, "HeadSettings: learning_rate: Extra inputs are not permitted"),
        ({"encoder": "resnet50"}, "resnet50 is no encoder"),
        ({"encoder": "lite0"}, "train/part-00000-of-00002.tfrecord was made by python:"),
        ({"aggregation": "attention"}, "aggregation attention needs head attention"),
    ],
)
def test_training_that_cannot_be_done_leaves_its_reason(tmp_path, run, monkeypatch, hyperparameters, reason):
    monkeypatch.setenv("OPT_ML", str(tmp_path / "ml"))
    monkeypatch.setenv("SEXTANT_CACHE", str(tmp_path / "cache"))
    job(tmp_path / "ml", run, "File", **hyperparameters)
    monkeypatch.setattr("sys.argv", ["entry", "train"])
    assert entry.main() == 1
    assert reason in (tmp_path / "ml/output/failure").read_text()


def test_features_of_another_encoder_of_the_same_size_are_refused(tmp_path, run, monkeypatch):
    monkeypatch.setenv("OPT_ML", str(tmp_path))
    job(tmp_path, run, "File")
    monkeypatch.setattr(Means, "sha256", "b" * 64)
    monkeypatch.setattr("sys.argv", ["entry", "train"])
    assert entry.main() == 1
    reason = (tmp_path / "output/failure").read_text()
    assert "part-00000-of-00002.tfrecord was made by python:" in reason
    assert "run the feature step again" in reason


def test_entry_without_a_program_tells_its_use(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["entry", "evaluate"])
    assert entry.main() == 2
    assert "usage: python -m training.slides.entry train|serve" in capsys.readouterr().err


def test_ranks_share_a_folder_and_get_every_record_once(tmp_path, run, monkeypatch):
    monkeypatch.setenv("OPT_ML", str(tmp_path))
    job(tmp_path, run, "File")
    whole = sorted(training_input.records("train"))
    parts = [list(training_input.records("train", rank=rank, ranks=2)) for rank in (0, 1)]
    assert sorted(parts[0] + parts[1]) == whole
    assert len(whole) == 24 * 6
    with pytest.raises(container.InputError, match=r"channel manifest has no \.tfrecord"):
        training_input.shards("manifest")
    monkeypatch.setattr(training_input, "PIPE_SECONDS", 0.1)
    (tmp_path / "input/config/inputdataconfig.json").write_text('{"train": {"TrainingInputMode": "Pipe"}}')
    with pytest.raises(container.InputError, match="train_3 did not appear"):
        next(training_input.records("train", epoch=3))


def ask(service, kind, body, accept=""):
    answer = serving.answer(service, kind, accept, body)
    return answer, [json.loads(line) for line in answer.body.splitlines()]


def framed(tiles):
    return b"".join(tfrecord.frame(to_record(each)) for each in tiles)


def test_framed_and_bare_records_score_the_same(service):
    tiles = [tile("s99", "p", n % 3, n) for n in range(40)]
    answer, lines = ask(service, "application/x-tfrecord", framed(tiles))
    assert answer.content_type == "application/jsonlines"
    assert [(each["slide"], each["x"]) for each in lines] == [("s99", n * SIZE) for n in range(40)]
    for each in lines:
        assert sum(each["scores"].values()) == pytest.approx(1, abs=1e-5)
    _, bare = ask(service, "application/x-tfrecord", to_record(tiles[7]))
    assert bare == [lines[7]]
    right = sum(max(each["scores"], key=each["scores"].get) == CLASSES[n % 3] for n, each in enumerate(lines))
    assert right >= 30


def test_single_pictures_and_accepted_types(service):
    image = picture(1, 5)
    sent, (line,) = ask(service, "image/jpeg", jpeg(image))
    assert (line["slide"], line["span"]) == ("", SIZE)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    _, (lossless,) = ask(service, "image/png", stream.getvalue())
    assert lossless["logits"] == pytest.approx(line["logits"], abs=0.2)  # JPEG changes a little
    listed, _ = ask(service, "image/jpeg", jpeg(image), "application/json")
    assert listed.content_type == "application/json"
    assert json.loads(listed.body) == [line]
    assert ask(service, "image/jpeg", jpeg(image), "application/jsonlines")[0].body == sent.body


def test_instances_are_answered_as_tensorflow_serving_did(service):
    images = [picture(n, 5) for n in range(3)]
    body = json.dumps({"instances": np.float32(images).tolist()}).encode()
    answered = serving.answer(service, "application/json", "", body)
    assert answered.content_type == "application/json"
    predictions = json.loads(answered.body)["predictions"]
    for image, found in zip(images, predictions, strict=True):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        _, (line,) = ask(service, "image/png", stream.getvalue())
        assert found == pytest.approx([line["scores"][each] for each in CLASSES], abs=1e-6)


def instances(image):
    return json.dumps({"instances": [np.asarray(image, float).tolist()]}).encode()


BIG = jpeg(np.zeros((128, 128, 3), np.uint8))
TRUNCATED = jpeg(picture(0, 0))[:-200]


@pytest.mark.parametrize(
    ("kind", "body", "status", "reason"),
    [
        ("text/csv", b"1", 415, "text/csv: send application/x-tfrecord"),
        ("", b"1", 415, "content type none"),
        ("application/x-tfrecord", b"", 400, "the body is empty"),
        ("application/x-tfrecord", b"garbage", 400, "xample"),
        ("application/x-tfrecord", framed([tile("s", "p", 0, 0)])[:-9], 400, "record 0 at byte 0 is cut off"),
        ("application/x-tfrecord", framed([tile("s", "p", 0, 3, parts=(b"x",))]), 400, "x=192 .* no whole JPEG"),
        ("application/x-tfrecord", framed([tile("s", "p", 0, 3, parts=(TRUNCATED,))]), 400, "x=192"),
        (
            "application/x-tfrecord",
            framed([tile("s", "p", 0, 0, size=128, parts=(BIG,))]),
            400,
            "trained on tiles of 64",
        ),
        ("image/jpeg", b"no jpeg", 400, "no whole JPEG"),
        ("image/jpeg", TRUNCATED, 400, "no whole JPEG"),
        ("image/jpeg", BIG, 400, "128 x 128 px: the model was trained on tiles of 64 x 64"),
        ("image/png", jpeg(picture(0, 0)), 400, "no whole PNG"),
        ("application/json", b"[]", 400, "slide_records"),
        ("application/json", b'{"slide_records": "/etc/passwd"}', 400, "give the s3:// URI"),
        ("application/json", b'{"slide_records": 5}', 400, "give the s3:// URI"),
        ("application/json", b"[" * 100_000, 400, "not JSON"),
        ("application/json", b'{"instances": []}', 400, r"shape \(0,\): send \(tiles, 64, 64, 3\)"),
        ("application/json", b'{"instances": [[1], [1, 2]]}', 400, "not tiles of one size"),
        ("application/json", b'{"instances": [{"b64": "x"}]}', 400, "not tiles of one size"),
        ("application/json", b'{"instances": [1' + b"0" * 400 + b"]}", 400, "not tiles of one size"),
        ("application/json", instances(np.zeros((64, 63, 3))), 400, r"\(1, 64, 63, 3\)"),
        ("application/json", instances(np.full((64, 64, 3), 256)), 400, "outside of 0 to 255"),
        ("application/json", instances(np.full((64, 64, 3), np.nan)), 400, "outside of 0 to 255"),
    ],
)
def test_requests_that_cannot_be_answered_say_why(service, kind, body, status, reason):
    with pytest.raises(serving.RequestError, match=reason) as refused:
        serving.answer(service, kind, "", body)
    assert refused.value.status == status


def test_slide_in_s3(service, run, monkeypatch):
    path = run / "records/test/s36.tfrecord"
    objects = {
        "s3://bucket/s36.tfrecord": path.read_bytes(),
        "s3://bucket/cut.tfrecord": path.read_bytes()[:-5],
        "s3://bucket/empty.tfrecord": b"",
        "s3://bucket/several.tfrecord": b"".join(each.read_bytes() for each in sorted(path.parent.iterdir())[:2]),
    }

    def download(uri, target):
        if uri not in objects:
            raise storage.GoneError(uri)
        target.write_bytes(objects[uri])

    monkeypatch.setattr(storage, "download", download)

    def asked(uri, **more):
        return json.loads(
            serving.answer(service, "application/json", "", json.dumps({"slide_records": uri, **more}).encode()).body
        )

    result = asked("s3://bucket/s36.tfrecord")
    assert (result["slide"], result["n_tiles"], result["predicted"]) == ("s36", 6, "luad")
    assert "tiles" not in result
    assert len(asked("s3://bucket/s36.tfrecord", tiles=True)["tiles"]) == 6
    for name, status in (("cut", 422), ("empty", 422), ("several", 422), ("gone", 404)):
        with pytest.raises(serving.RequestError) as refused:
            asked(f"s3://bucket/{name}.tfrecord")
        assert refused.value.status == status


def test_transform_and_evaluation_end_in_the_truth(service, fitted, run):
    """What a transform job does: each object's records to the server, answers joined by lines; then the evaluation."""
    for number, path in enumerate(sorted((run / "records/test").iterdir())):
        with path.open("rb") as stream:
            payloads = list(tfrecord.read(stream, path.name))
        single = number % 2
        bodies = payloads if single else [b"".join(map(tfrecord.frame, payloads))]
        lines = b"".join(
            serving.answer(service, "application/x-tfrecord", "application/jsonlines", each).body for each in bodies
        )
        storage.write(lines, f"{run}/scores/{path.name}.out")
    evaluation = measuring.measure_run(str(run), fitted)
    assert evaluation.slides.n == 9
    assert evaluation.slides.patients == 9
    assert evaluation.slides.auc.value > 0.9
    assert evaluation.tiles.n == 54
    for each in cohort()[36:]:
        result = json.loads((run / f"evaluation/slides/{each.slide}.json").read_text())
        asked = scores.from_lines(io.BytesIO((run / f"scores/{each.slide}.tfrecord.out").read_bytes()), fitted, "")
        assert result["n_tiles"] == len(asked) == 6
        assert result["label"] == each.label


def test_model_is_refused_where_its_encoder_is_another(fitted, monkeypatch):
    monkeypatch.setattr(Means, "sha256", "b" * 64)
    with pytest.raises(model.ModelError, match="trained on features of python:"):
        serving.service(fitted, 1)


@pytest.fixture
def listening(service):
    answer = functools.partial(serve.answer, service)
    running = model_server.Server(("127.0.0.1", 0), answer, max_bytes=1 << 20, at_once=1)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running.server_address[1]
    running.shutdown()
    thread.join()
    running.server_close()


def sent(port, method, path, body=None, **headers):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_server_answers_pings_invocations_and_mistakes(listening):
    assert sent(listening, "GET", "/ping") == (200, b"{}")
    kind = {"Content-Type": "application/x-tfrecord"}
    tiles = [tile("s50", "p", 0, n) for n in range(3)]
    status, body = sent(listening, "POST", "/invocations", framed(tiles), **kind)
    assert (status, len(body.splitlines())) == (200, 3)
    assert sent(listening, "POST", "/invocations", b"x", **kind)[0] == 400
    assert sent(listening, "POST", "/elsewhere", b"x", **kind)[0] == 404
    assert sent(listening, "GET", "/", b"x")[0] == 404
    status, body = sent(listening, "POST", "/invocations", bytes((1 << 20) + 1), **kind)
    assert status == 413
    assert b"1048577 bytes of 1048576 allowed" in body
    assert sent(listening, "GET", "/ping")[0] == 200


def test_server_survives_what_it_did_not_expect(listening, monkeypatch):
    monkeypatch.setattr(serving, "answer", lambda *_: 1 / 0)
    status, body = sent(listening, "POST", "/invocations", b"x")
    assert status == 500
    assert b"ZeroDivision" not in body
    with socket.create_connection(("127.0.0.1", listening), 5) as half:
        half.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 100\r\n\r\nonly this")
    with socket.create_connection(("127.0.0.1", listening), 5) as strange:
        strange.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert strange.recv(100)
    assert sent(listening, "GET", "/ping")[0] == 200


def test_requests_at_once_get_their_own_answers(listening):
    answers = {}

    def one(number):
        body = framed([tile(f"s{number}", "p", number % 3, 0)])
        answers[number] = sent(listening, "POST", "/invocations", body, **{"Content-Type": "application/x-tfrecord"})

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {number: json.loads(body)["slide"] for number, (_, body) in answers.items()} == {
        n: f"s{n}" for n in range(12)
    }


def test_container_serves_until_sigterm(tmp_path, fitted, monkeypatch):
    """The image's own command in a process of its own, with the default encoder."""
    from sextant.slides import encoder
    from sextant.slides.heads import Head

    monkeypatch.setenv("SEXTANT_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    arrays = {"mean": np.zeros(1280), "scale": np.ones(1280), "W": rng.normal(size=(1280, 3)), "b": np.zeros(3)}
    facts = fitted.facts.model_copy(update={"encoder": model.encoder_facts(encoder.load())})
    model.save(
        model.Model(facts, Head("linear", {name: each.astype(np.float32) for name, each in arrays.items()})),
        tmp_path / "model",
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "OPT_ML": str(tmp_path),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SAGEMAKER_BIND_TO_HOST": "127.0.0.1",
    }
    command = [sys.executable, "-m", "training.slides.entry", "serve"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == f"serving on port {port}\n".encode()
            assert sent(port, "GET", "/ping") == (200, b"{}")
            status, body = sent(port, "POST", "/invocations", jpeg(picture(0, 0)), **{"Content-Type": "image/jpeg"})
            assert (status, len(json.loads(body)["logits"])) == (200, 3)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(("told", "megabytes"), [(None, 6), ("20", 20), ("0", 100)])
def test_limit_is_the_endpoints_or_the_transform_jobs(tmp_path, fitted, monkeypatch, told, megabytes):
    model.save(fitted, tmp_path / "model")
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "model"))
    monkeypatch.setenv("SAGEMAKER_BIND_TO_HOST", "127.0.0.1")
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "0")
    if told:
        monkeypatch.setenv("SAGEMAKER_MAX_PAYLOAD_IN_MB", told)
    with serve.server() as made:
        assert made.max_bytes == megabytes << 20


def test_server_without_a_model_tells_so(tmp_path, monkeypatch):
    monkeypatch.setenv("OPT_ML", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["entry", "serve"])
    assert entry.main() == 1
    assert "holds no model of this version" in (tmp_path / "output/failure").read_text()
