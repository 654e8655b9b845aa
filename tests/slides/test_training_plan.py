"""What is refused before ranks form a group: pipes that several would read, or that bring all of them the same."""

import json

import pytest

from sextant.container import InputError
from sextant.slides import training_plan
from sextant.slides.manifest import Manifest, ManifestSplit, Shard
from sextant.slides.settings import TileSettings


def split(name, shards):
    return ManifestSplit(
        shards=tuple(Shard(name=f"{name}/part-{n}.tfrecord", records=6, bytes=9, sha256="0") for n in range(shards)),
        records=6 * shards,
        per_class={"a": 6 * shards},
        slides=1,
        patients=1,
    )


MANIFEST = Manifest(
    classes=("a",),
    plan_digest="d",
    settings=TileSettings(),
    world_size_multiple=4,
    splits={"train": split("train", 4), "valid": split("valid", 4)},
)
PIPE = {"TrainingInputMode": "Pipe", "S3DistributionType": "FullyReplicated"}
SHARED = PIPE | {"S3DistributionType": "ShardedByS3Key"}


@pytest.fixture
def job(tmp_path, monkeypatch):
    def made(hosts, **channels):
        monkeypatch.setenv("OPT_ML", str(tmp_path))
        config = tmp_path / "input/config"
        config.mkdir(parents=True)
        names = [f"algo-{n + 1}" for n in range(hosts)]
        (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": names}))
        (config / "inputdataconfig.json").write_text(json.dumps(channels))

    return made


@pytest.mark.parametrize(
    ("hosts", "ranks", "channels", "steps"),
    [
        (1, 1, {"train": PIPE, "valid": PIPE}, 8),
        (2, 2, {"train": SHARED, "valid": SHARED}, 4),
        (1, 2, {"train_0": PIPE, "train_1": PIPE, "valid_0": PIPE, "valid_1": PIPE}, 4),
    ],
)
def test_a_pipe_for_each_rank_is_enough(job, hosts, ranks, channels, steps):
    job(hosts, **channels)
    assert training_plan.check(MANIFEST, 3, ranks) == steps


@pytest.mark.parametrize(
    ("hosts", "ranks", "channels", "reason"),
    [
        (1, 2, {"train": PIPE, "valid": PIPE}, "channel train is a pipe, .* 2 ranks per host share it: use input mode"),
        (1, 4, {"train": SHARED, "valid": SHARED}, "4 ranks per host share it: use input mode FastFile"),
        (1, 2, {"train_0": PIPE, "train_1": PIPE, "valid": PIPE}, "channel valid is a pipe"),
        (2, 2, {"train": PIPE, "valid": PIPE}, "channel train brings the same records to each of 2 hosts"),
        (2, 2, {"train": SHARED, "valid": PIPE}, "channel valid brings the same .*, or S3DataDistributionType Sharded"),
        (2, 4, {"train": SHARED, "valid": SHARED}, "2 ranks per host share it"),
    ],
)
def test_pipes_that_ranks_would_share_are_refused(job, hosts, ranks, channels, reason):
    job(hosts, **channels)
    with pytest.raises(InputError, match=reason):
        training_plan.check(MANIFEST, 3, ranks)


@pytest.mark.parametrize("channel", ["train", "valid"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda of: (of / "part-2.tfrecord").unlink(), "part-2.tfrecord has None bytes of 9"),
        (lambda of: (of / "part-9.tfrecord").write_bytes(b""), "part-9.tfrecord has 0 bytes of None"),
        (lambda of: (of / "part-1.tfrecord").write_bytes(b"short"), "part-1.tfrecord has 5 bytes of 9"),
    ],
)
def test_folders_hold_the_manifest_s_shards(job, tmp_path, channel, change, reason):
    file = {"TrainingInputMode": "File"}
    job(1, train=file, valid=file)
    for name in ("train", "valid"):
        (tmp_path / "input/data" / name).mkdir(parents=True)
        for n in range(4):
            (tmp_path / "input/data" / name / f"part-{n}.tfrecord").write_bytes(b"123456789")
    assert training_plan.check(MANIFEST, 3, 4) == 2
    change(tmp_path / "input/data" / channel)
    with pytest.raises(InputError, match=f"channel {channel} does not hold the manifest's shards: {reason}"):
        training_plan.check(MANIFEST, 3, 4)
