"""Features come from the manifest's records and from no others, are made once, and are told apart by what made them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from processing.slides import features as step
from sextant import container
from sextant.container import InputError
from sextant.slides import features, tfrecord
from sextant.slides.errors import RecordError
from sextant.slides.manifest import Manifest, ManifestSplit, Shard
from sextant.slides.records import Tile, features_from_record, to_record
from sextant.slides.settings import TileSettings

CLASSES = ("a", "b")


def jpeg(image):
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=95, colorsubsampling="444")


def tile(x=0, slide="s1", label=1, parts=None):
    small = np.random.default_rng(x).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Tile(
        slide=slide,
        patient=f"p-{slide}",
        label=label,
        label_name=CLASSES[label],
        x=x,
        y=0,
        span=64,
        size=64,
        mpp=0.5,
        background=0.1,
        grid=(1, 1),
        parts=parts or (jpeg(small.repeat(16, 0).repeat(16, 1)),),
    )


class Means:
    """Features are the means of the colours: known from the picture alone."""

    name, dim, input_px, mpp = "means", 3, 16, None

    def __init__(self, sha256="0" * 64):
        self.sha256 = sha256
        self.calls = 0

    def encode(self, batch):
        self.calls += 1
        return batch.mean((1, 2), dtype=np.float32)


def means():
    return Means()


def pack(run, train=None, valid=None):
    """A run's records and their manifest, as the pack step leaves them: shards of tiles."""
    given = {
        "train": train or [[tile(x=64 * n) for n in range(40)], [tile(x=64 * n) for n in range(40, 80)]],
        "valid": valid or [[tile(x=9, slide="s2", label=0)], []],
    }
    splits = {}
    for split, of_split in given.items():
        shards = []
        for n, tiles in enumerate(of_split):
            name = f"{split}/part-{n:05}-of-{len(of_split):05}.tfrecord"
            body = b"".join(tfrecord.frame(to_record(each)) for each in tiles)
            (run / "records" / split).mkdir(parents=True, exist_ok=True)
            (run / "records" / name).write_bytes(body)
            shards.append(
                Shard(name=name, records=len(tiles), bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
            )
        tiles = [each for some in of_split for each in some]
        splits[split] = ManifestSplit(
            shards=tuple(shards),
            records=len(tiles),
            per_class={name: sum(each.label_name == name for each in tiles) for name in CLASSES},
            slides=1,
            patients=1,
        )
    made = Manifest(
        classes=CLASSES, plan_digest="d", settings=TileSettings(size=64), world_size_multiple=1, splits=splits
    )
    (run / "records/manifest.json").write_text(made.model_dump_json())
    return made


@pytest.fixture
def run(tmp_path):
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    return run


def read(path):
    with path.open("rb") as stream:
        return [features_from_record(each) for each in tfrecord.read(stream, path.name)]


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PARTS = [f"{split}/part-0000{n}-of-00002.tfrecord" for split in ("train", "valid") for n in (0, 1)]


def test_shards_keep_order_and_identity(run):
    pack(run)
    first = features.encode_run(str(run), Means(), host=0, hosts=2, threads=2)
    second = features.encode_run(str(run), Means(), host=1, hosts=2)
    assert [(each.shard, each.records) for each in first + second] == [
        (PARTS[0], 40), (PARTS[2], 1), (PARTS[1], 40), (PARTS[3], 0)
    ]  # fmt: skip
    made = read(run / "features" / PARTS[0]) + read(run / "features" / PARTS[1])
    assert [each.x for each in made] == [64 * n for n in range(80)]
    for each in made[::9]:
        colours = np.random.default_rng(each.x).integers(0, 255, (4, 4, 3), dtype=np.uint8)
        assert np.allclose(each.feature, colours.mean((0, 1)), atol=1.5)  # JPEG and float16 round
    (other,) = read(run / "features" / PARTS[2])
    assert (other.slide, other.patient, other.label, other.x) == ("s2", "p-s2", 0, 9)
    # Pipe mode streams whatever lies below a channel's prefix: nothing but shards may lie there.
    assert {each.suffix for each in (run / "features/train").iterdir()} == {".tfrecord"}


def test_entry_point_of_the_feature_step(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPT_ML", str(tmp_path / "ml"))
    monkeypatch.setattr("sys.argv", ["features", "--run", str(run), "--encoder", f"python:{__name__}:means"])
    assert container.failing(step.main) == 1
    assert "manifest.json is not there: run the pack step first" in (tmp_path / "ml/output/failure").read_text()
    pack(run)
    assert container.failing(step.main) == 0
    assert "81 tiles of 4 shards encoded by means into 3 features each" in capsys.readouterr().out
    assert len(read(run / "features" / PARTS[0])) == 40


def test_shards_that_are_done_are_skipped_until_records_or_encoder_change(run):
    pack(run)
    made = features.encode_run(str(run), Means())
    again = Means()
    assert features.encode_run(str(run), again) == made
    assert again.calls == 0
    features.encode_run(str(run), other := Means("1" * 64))
    assert other.calls == 11  # 5 batches of each training shard, 1 of the other
    pack(run, valid=[[tile(x=2, slide="s2", label=0)], []])
    features.encode_run(str(run), changed := Means("1" * 64))
    assert changed.calls == 1


def test_another_run_over_the_same_records_encodes_nothing(run):
    pack(run)
    features.encode_run(str(run), Means())
    two = run.with_name("two")
    pack(two)
    features.encode_run(str(two), again := Means())
    assert again.calls == 0
    assert content(two / "features") == content(run / "features")
    # What is stored is taken only as it was made.
    three = run.with_name("three")
    pack(three)
    for path in (run.parent / "features").rglob("*.tfrecord"):
        path.write_bytes(path.read_bytes()[:-1] + b"?") if path.stat().st_size else None
    features.encode_run(str(three), once_more := Means())
    assert once_more.calls == 11
    assert content(three / "features") == content(run / "features")


@pytest.mark.parametrize(
    "change",
    [
        lambda of: Path(of / PARTS[1]).unlink(),
        lambda of: Path(of / f"accounts/{PARTS[1]}.json").unlink(),
        lambda of: Path(of / f"accounts/{PARTS[1]}.json").write_text("{}"),
        lambda of: Path(of / f"accounts/{PARTS[1]}.json").rename(of / "accounts/copy.json"),
        lambda of: Path(of / PARTS[1]).write_bytes(Path(of / PARTS[0]).read_bytes()),  # of the same size
        lambda of: Path(of / "train/foreign.tfrecord").write_bytes(b""),
    ],
)
def test_the_step_mends_whatever_training_refuses(run, change):
    pack(run)
    features.encode_run(str(run), Means())
    whole = content(run / "features")
    change(run / "features")
    assert content(run / "features") != whole
    features.encode_run(str(run), Means())
    assert content(run / "features") == whole


def test_what_another_pack_left_is_removed(run):
    pack(run, train=[[tile(x=64 * n)] for n in range(3)])
    features.encode_run(str(run), Means())
    assert (run / "features/train/part-00002-of-00003.tfrecord").exists()
    pack(run)
    features.encode_run(str(run), Means())
    assert set(content(run / "features")) == {*PARTS, *(f"accounts/{each}.json" for each in PARTS)}


def test_records_that_are_damaged_missing_or_not_the_manifest_s_are_named(run):
    with pytest.raises(InputError, match="run the pack step first"):
        features.encode_run(str(run), Means())
    half = tile(x=3, parts=(jpeg(np.zeros((64, 64, 3), np.uint8))[:300],))
    pack(run, train=[[tile(), half], [tile(x=4), tile(x=5)]])
    with pytest.raises(RecordError, match="x=3"):
        features.encode_run(str(run), Means())
    assert not (run / "features").exists()
    pack(run)
    (run / "records" / PARTS[0]).write_bytes((run / "records" / PARTS[1]).read_bytes())
    with pytest.raises(InputError, match=f"{PARTS[0]} has other bytes than the manifest tells: pack again"):
        features.encode_run(str(run), Means())
    (run / "records" / PARTS[0]).unlink()
    with pytest.raises(InputError, match=f"{PARTS[0]} is not there, though the manifest has it: pack again"):
        features.encode_run(str(run), Means())


# What training takes.


@pytest.fixture
def made(run):
    manifest = pack(run)
    features.encode_run(str(run), Means())
    return run, manifest


def check(made):
    return features.check_accounts(made[0] / "features/accounts", made[1], Means())


def rewritten(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda of: (of / f"{PARTS[1]}.json").unlink(), f"{PARTS[1]} has no features: run the feature step again"),
        (
            lambda of: (of / "copy.json").write_bytes((of / f"{PARTS[0]}.json").read_bytes()),
            f"{PARTS[0]} has two accounts of features",
        ),
        (lambda of: (of / "x.json").write_text("{}"), "x.json is no account of features: run the feature step again"),
        (
            lambda of: rewritten(of / f"{PARTS[0]}.json", shard="train/part-7.tfrecord"),
            "features train/part-7.tfrecord are of no shard of the manifest: run the feature step again",
        ),
        (
            lambda of: rewritten(of / f"{PARTS[0]}.json", source="5" * 64),
            f"{PARTS[0]}: its features were made of 40 records with sha256 555555555555, the manifest has 40 with",
        ),
        (lambda of: rewritten(of / f"{PARTS[2]}.json", records=7), "were made of 7 records .* the manifest has 1 with"),
        (
            lambda of: rewritten(of / f"{PARTS[3]}.json", encoder_sha256="6" * 64, encoder="lite0"),
            f"{PARTS[3]} was made by lite0 666666666666, not by means 000000000000: give hyperparameter encoder=lite0",
        ),
    ],
)
def test_accounts_that_are_lost_stale_or_foreign(made, change, reason):
    assert list(check(made)) == PARTS
    change(made[0] / "features/accounts")
    with pytest.raises(InputError, match=reason):
        check(made)


def channels(root, made, monkeypatch):
    monkeypatch.setenv("OPT_ML", str(root))
    (root / "input/data").mkdir(parents=True)
    for split in ("train", "valid"):
        (root / "input/data" / split).symlink_to(made[0] / "features" / split)


def test_a_channel_gives_the_accounted_shards(tmp_path, made, monkeypatch):
    channels(tmp_path / "ml", made, monkeypatch)
    accounts = check(made)
    assert [each.x for each in features.of_channel("train", accounts)] == [64 * n for n in range(80)]
    assert [each.x for each in features.of_channel("valid", accounts)] == [9]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda of: Path(of / PARTS[1]).unlink(), "part-00001-of-00002.tfrecord is missing"),
        (lambda of: Path(of / "train/old.tfrecord").write_bytes(b""), "old.tfrecord is of no shard of the manifest"),
        (
            lambda of: Path(of / PARTS[1]).write_bytes(Path(of / PARTS[0]).read_bytes()),
            "part-00001-of-00002.tfrecord has other bytes than were made",
        ),
    ],
)
def test_a_channel_that_holds_something_else(tmp_path, made, monkeypatch, change, reason):
    channels(tmp_path / "ml", made, monkeypatch)
    accounts = check(made)
    change(made[0] / "features")
    with pytest.raises(InputError, match=f"channel train: {reason}: run the feature step again"):
        list(features.of_channel("train", accounts))


def test_a_pipe_that_ends_too_early(tmp_path, made, monkeypatch):
    channels(tmp_path / "ml", made, monkeypatch)
    accounts = check(made)
    (tmp_path / "ml/input/config").mkdir()
    piped = json.dumps({"train": {"TrainingInputMode": "Pipe"}})
    (tmp_path / "ml/input/config/inputdataconfig.json").write_text(piped)
    # A file reads as a pipe does.
    (tmp_path / "ml/input/data/train_0").write_bytes((made[0] / "features" / PARTS[0]).read_bytes())
    with pytest.raises(InputError, match="channel train gave 40 records of 80: run the feature step again"):
        list(features.of_channel("train", accounts))
