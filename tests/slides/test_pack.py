"""Packing moves every tile's bytes exactly once, but for the repeats that equal shards need; nothing is made anew."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from sextant import storage
from sextant.slides import tfrecord
from sextant.slides.container import InputError
from sextant.slides.manifest import Manifest
from sextant.slides.pack import TiledSlide, _shard_count, pack, tiled_slide
from sextant.slides.plan import Plan, PlannedSlide
from sextant.slides.records import Tile, from_record, to_record
from sextant.slides.settings import TileSettings
from sextant.slides.tiling import TileSummary

CLASSES = ("LUAD", "LUSC")
SETTINGS = TileSettings()
SPLITS = {"train": (13, 7, 11), "valid": (9, 4), "test": (5, 3)}
"""Tiles of each slide of each split."""


def tiles(slide, patient, label, count):
    return [
        Tile(
            slide=slide,
            patient=patient,
            label=label,
            label_name=CLASSES[label],
            x=512 * (n % 4),
            y=512 * (n // 4),
            span=512,
            size=512,
            mpp=0.5,
            background=0.25,
            grid=(1, 1),
            parts=(f"{slide} {n}".encode() * (n + 1),),
        )
        for n in range(count)
    ]


def write_tiles(run, planned, count, digest, settings=SETTINGS):
    path = run / "tiles" / f"{planned.slide}.tfrecord"
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        tfrecord.write(file, map(to_record, tiles(planned.slide, planned.patient, planned.label_index, count)))
    body = path.read_bytes()
    summary = TileSummary(
        slide=planned.slide,
        engine="native",
        width=2048,
        height=2048,
        objective_power=20,
        mpp=0.5,
        magnification=20,
        columns=4,
        rows=4,
        tiles=16,
        kept=count,
        dropped=16 - count,
        rechecked=0,
        seconds_cpu=0.1,
        bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        settings=settings,
    )
    told = TiledSlide(plan_digest=digest, summary=summary)
    path.with_suffix(".json").write_text(told.model_dump_json())


@pytest.fixture
def run(tmp_path):
    slides = []
    for split, counts in SPLITS.items():
        for n in range(len(counts)):
            label = n % 2
            slides.append(
                PlannedSlide(
                    slide=f"{split}{n}",
                    key=f"{split}{n}.svs",
                    patient=f"P{split}{n // 2}",
                    label=CLASSES[label],
                    label_index=label,
                    split=split,
                    host=0,
                    bytes=1,
                )
            )
    plan = Plan(classes=CLASSES, slides=tuple(sorted(slides, key=lambda each: each.slide)))
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    for planned in plan.slides:
        write_tiles(tmp_path, planned, SPLITS[planned.split][int(planned.slide[-1])], plan.digest())
    return tmp_path


def payloads(path):
    with path.open("rb") as file:
        return list(tfrecord.read(file, path.name))


def content(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def of_slides(run, split):
    return Counter(
        payload for n in range(len(SPLITS[split])) for payload in payloads(run / "tiles" / f"{split}{n}.tfrecord")
    )


def in_shards(run, manifest, split):
    return Counter(
        payload for shard in manifest.splits[split].shards for payload in payloads(run / "records" / shard.name)
    )


def test_every_tile_is_in_its_split_with_its_bytes(run):
    manifest = pack(str(run), world_size=4)
    for split in SPLITS:
        there = in_shards(run, manifest, split)
        assert there.keys() == of_slides(run, split).keys()
        assert there.total() - of_slides(run, split).total() == manifest.splits[split].repeated
    assert [manifest.splits[split].repeated for split in SPLITS] == [1, 0, 0]  # 31 tiles in 8 shards of 4


def test_counts_of_the_manifest_by_hand(run):
    manifest = pack(str(run), world_size=4)
    train, valid, test = (manifest.splits[split] for split in SPLITS)
    assert [shard.records for shard in train.shards] == [4] * 8
    assert [shard.records for shard in valid.shards] == [2, 2, 2, 2, 2, 1, 1, 1]
    assert [(shard.name, shard.records) for shard in test.shards] == [
        ("test/test0.tfrecord", 5),
        ("test/test1.tfrecord", 3),
    ]
    assert train.per_class == {"LUAD": 24, "LUSC": 7}
    assert valid.per_class == {"LUAD": 9, "LUSC": 4}
    assert [(each.slides, each.patients) for each in (train, valid, test)] == [(3, 2), (2, 1), (2, 1)]
    assert train.shards[0].name == "train/part-00000-of-00008.tfrecord"
    assert manifest == Manifest.model_validate_json((run / "records/manifest.json").read_text())


def test_hashes_and_indexes_tell_of_the_files(run):
    manifest = pack(str(run), world_size=2)
    for split in SPLITS:
        for shard in manifest.splits[split].shards:
            path = run / "records" / shard.name
            assert (shard.bytes, shard.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
            if split != "test":
                text = (run / "records" / "index" / shard.name).with_suffix(".idx").read_text()
                assert [tuple(map(int, line.split())) for line in text.splitlines()] == tfrecord.index(path)
    below = {path.suffix for split in SPLITS for path in (run / "records" / split).iterdir()}
    assert below == {".tfrecord"}, "a channel takes all that lies there for records"


def test_order_is_by_hash_of_salt_slide_and_place(run):
    manifest = pack(str(run), world_size=2)
    shards = [payloads(run / "records" / shard.name) for shard in manifest.splits["train"].shards]
    dealt = [shard[position] for position in range(4) for shard in shards]
    hashes = [
        hashlib.sha256(f"sextant\n{tile.slide}\n{tile.x}\n{tile.y}".encode()).hexdigest()
        for tile in map(from_record, dealt[:31])
    ]
    assert hashes == sorted(hashes)
    assert dealt[31] == dealt[0], "the repeat is the first in order"


def test_again_gives_the_same_bytes_and_removes_what_another_count_left(run):
    pack(str(run), world_size=3)
    first = content(run / "records")
    assert any("of-00009" in name for name in first)
    pack(str(run), world_size=5)
    assert not any("of-00009" in name for name in content(run / "records"))
    pack(str(run), world_size=3)
    assert content(run / "records") == first


def test_more_shards_than_tiles_still_are_equal(run):
    manifest = pack(str(run), world_size=40)
    assert [shard.records for shard in manifest.splits["train"].shards] == [1] * 40
    assert manifest.splits["train"].repeated == 9
    assert Counter(shard.records for shard in manifest.splits["valid"].shards) == {1: 13, 0: 27}


def test_shard_counts():
    assert [_shard_count(0, world) for world in (1, 2, 3, 8, 16)] == [8, 8, 9, 8, 16]
    assert _shard_count(10 << 30, 16) == 48  # 40 of 256 MiB, and the next multiple of 16


def test_a_slide_in_quarantine_is_left_out_and_a_missing_one_is_told(run):
    for suffix in ("json", "tfrecord"):
        (run / f"tiles/train2.{suffix}").unlink()
    with pytest.raises(InputError, match=r"1 slides are not tiled yet \(train2\): run the tile step again"):
        pack(str(run))
    (run / "quarantine").mkdir()
    (run / "quarantine/train2.json").write_text("{}")
    manifest = pack(str(run), world_size=1)
    assert manifest.splits["train"].slides == 2
    assert manifest.splits["train"].records - manifest.splits["train"].repeated == 20


def spoil(path, change):
    body = bytearray(path.read_bytes())
    change(body)
    path.write_bytes(body)


@pytest.mark.parametrize("split", ["train", "valid", "test"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda body: body.__setitem__(30, body[30] ^ 1), "is damaged"),
        (lambda body: body.__delitem__(slice(-20, None)), "is cut off"),
        (lambda body: body.clear(), "has 0 tiles"),
        (lambda body: body.extend(body[: len(body)]), "places where"),
    ],
)
def test_damaged_tiles_name_the_slide_and_leave_no_manifest(run, split, change, told):
    pack(str(run))
    spoil(run / f"tiles/{split}0.tfrecord", change)
    with pytest.raises(InputError, match=f"slide {split}0.*{told}.*run the tile step again"):
        pack(str(run))
    assert not (run / "records/manifest.json").exists()


def test_tiles_of_another_slide_under_its_name(run):
    shutil.copy(run / "tiles/train0.tfrecord", run / "tiles/train1.tfrecord")
    with pytest.raises(InputError, match=r"tiles/train1\.tfrecord: record 0 is of slide train0"):
        pack(str(run))


def test_a_missing_file_of_a_tiled_slide(run):
    (run / "tiles/test1.tfrecord").unlink()
    with pytest.raises(InputError, match=r"slide test1: .* is not there, though its"):
        pack(str(run))


def test_tiles_of_another_plan_or_of_other_settings(run):
    path = run / "tiles/valid1.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"plan_digest": "another"}))
    assert tiled_slide(str(run), "valid1", told["plan_digest"]) is None
    with pytest.raises(InputError, match="tiles of valid1 were made under another plan"):
        pack(str(run))


def test_no_plan_no_tiles_no_world(run):
    with pytest.raises(InputError, match="world size 0"):
        pack(str(run), world_size=0)
    plan = Plan.model_validate_json((run / "plan.json").read_text())
    for planned in plan.slides:
        (run / f"tiles/{planned.slide}.json").unlink()
        storage.write(b"{}", str(run / f"quarantine/{planned.slide}.json"))
    with pytest.raises(InputError, match="no tile is left to train with"):
        pack(str(run))
    (run / "plan.json").unlink()
    with pytest.raises(InputError, match="run the plan step first"):
        pack(str(run))


def test_no_validation_slide_gives_empty_shards(run):
    plan = Plan.model_validate_json((run / "plan.json").read_text())
    for planned in plan.slides:
        if planned.split == "valid":
            (run / f"tiles/{planned.slide}.json").unlink()
            storage.write(b"{}", str(run / f"quarantine/{planned.slide}.json"))
    manifest = pack(str(run))
    assert manifest.splits["valid"].records == 0
    assert manifest.splits["valid"].per_class == {"LUAD": 0, "LUSC": 0}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_tiles(run):
    plan = Plan.model_validate_json((run / "plan.json").read_text())
    blob = os.urandom(1 << 20)
    for planned in plan.slides:
        path = run / "tiles" / f"{planned.slide}.tfrecord"
        tile = tiles(planned.slide, planned.patient, planned.label_index, 1)[0]
        with path.open("wb") as file:
            tfrecord.write(file, (to_record(replace(tile, x=512 * n, parts=(blob,))) for n in range(60)))
        told = TiledSlide.model_validate_json(path.with_suffix(".json").read_text())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        changes = {"kept": 60, "tiles": 60, "dropped": 0, "bytes": path.stat().st_size, "sha256": digest}
        again = told.model_copy(update={"summary": told.summary.model_copy(update=changes)})
        path.with_suffix(".json").write_text(again.model_dump_json())
    program = (
        "import sys\n"
        "from sextant.slides.pack import pack\n"
        "pack(sys.argv[1])\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    command = [sys.executable, "-c", program, str(run)]
    peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert peak < 200 * 1024  # KiB, for 420 MB of tiles
