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
from sextant.container import InputError
from sextant.slides import pack as packing
from sextant.slides import tfrecord
from sextant.slides.manifest import Manifest
from sextant.slides.pack import _passes, _shard_count, pack
from sextant.slides.plan import Plan, PlannedSlide
from sextant.slides.records import Tile, from_record, to_record
from sextant.slides.settings import TileSettings
from sextant.slides.store import TiledSlide, stored_tiles
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


def stored(run, slide):
    """The folder beside the run that holds a slide's tiles."""
    return run.parent / "tiles" / hashlib.sha256(slide.encode()).hexdigest()


def write_tiles(run, planned, made, settings=SETTINGS):
    """A slide's tiles in the store and their account in the run, as the tile step leaves them."""
    place = stored(run, planned.slide)
    place.mkdir(parents=True, exist_ok=True)
    path = place / "tiles.tfrecord"
    with path.open("wb") as file:
        count = tfrecord.write(file, map(to_record, made))
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
    told = TiledSlide(tiles=place.name, summary=summary).model_dump_json()
    (place / "tiles.json").write_text(told)
    (run / "tiles").mkdir(exist_ok=True)
    (run / "tiles" / f"{planned.slide}.json").write_text(told)


def planned_slide(split, n):
    """Of each split, slides 0, 1, 2, …: every other is of the second class, two are of a patient."""
    return PlannedSlide(
        slide=f"{split}{n}",
        key=f"{split}{n}.svs",
        patient=f"P{split}{n // 2}",
        label=CLASSES[n % 2],
        label_index=n % 2,
        split=split,
        host=0,
        bytes=1,
    )


@pytest.fixture
def run(tmp_path):
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    slides = [planned_slide(split, n) for split, counts in SPLITS.items() for n in range(len(counts))]
    plan = Plan(classes=CLASSES, slides=tuple(sorted(slides, key=lambda each: each.slide)))
    (run / "plan.json").write_text(plan.model_dump_json())
    for each in plan.slides:
        count = SPLITS[each.split][int(each.slide[-1])]
        write_tiles(run, each, tiles(each.slide, each.patient, each.label_index, count))
    return run


def reject(run, *slides):
    """As the tile step does with a slide that it cannot use."""
    for slide in slides:
        (run / f"tiles/{slide}.json").unlink()
        storage.write(b"{}", str(run / f"quarantine/{slide}.json"))


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
        payload
        for n in range(len(SPLITS[split]))
        for payload in payloads(stored(run, f"{split}{n}") / "tiles.tfrecord")
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
                lengths = [len(payload) + 16 for payload in payloads(path)]
                assert text == "".join(f"{sum(lengths[:n])} {length}\n" for n, length in enumerate(lengths))
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
    (run / "tiles/train2.json").unlink()
    with pytest.raises(InputError, match=r"1 slides are not tiled yet \(train2\): run the tile step again"):
        pack(str(run))
    storage.write(b"{}", str(run / "quarantine/train2.json"))
    manifest = pack(str(run), world_size=1)
    assert manifest.splits["train"].slides == 2
    assert manifest.splits["train"].records - manifest.splits["train"].repeated == 20


@pytest.mark.parametrize(
    ("rejected", "fault"),
    [
        (("train1",), r"no patient of LUSC is in train\. Patients in train/valid/test: LUAD 2/1/1, LUSC 0/1/1\."),
        (("valid0",), r"valid has patients of LUSC only, and needs two classes\."),
        (("valid0", "valid1"), r"valid has no patient, and needs two classes\."),
        (("test0", "test1"), r"no patient is in test\. Patients in train/valid/test: LUAD 2/1/0, LUSC 1/1/0\."),
    ],
)
def test_what_quarantine_leaves_cannot_be_trained(run, rejected, fault):
    reject(run, *rejected)
    with pytest.raises(
        InputError, match=rf"{fault}.* Add patients, mend the slides in quarantine \({len(rejected)}\), or plan"
    ):
        pack(str(run))
    assert not (run / "records").exists()


def swapped(body):
    """The first two records the other way round: every one of them is sound."""
    ends = [0]
    for _ in range(2):
        ends.append(ends[-1] + int.from_bytes(body[ends[-1] : ends[-1] + 8], "little") + tfrecord.FRAME_BYTES)
    return body[ends[1] : ends[2]] + body[: ends[1]] + body[ends[2] :]


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
        (lambda body: body.clear(), "are 0 at 0 places"),
        (lambda body: body.extend(body[: len(body)]), "places where"),
        (lambda body: body.__setitem__(slice(None), swapped(body)), "other bytes than were made"),
    ],
)
def test_damaged_tiles_name_the_slide_and_leave_no_manifest(run, split, change, told):
    pack(str(run))
    place = stored(run, f"{split}0")
    assert stored_tiles(str(run), place.name)
    spoil(place / "tiles.tfrecord", change)
    with pytest.raises(InputError, match=f"slide {split}0.*{told}.*run the tile step again"):
        pack(str(run))
    assert not (run / "records/manifest.json").exists()
    assert stored_tiles(str(run), place.name) is None, "or every further run would take it"
    with pytest.raises(InputError, match=f"not tiled yet \\({split}0\\)"):
        pack(str(run))


@pytest.mark.parametrize("change", [lambda body: body[:-20], lambda body: body[:30] + b"?" + body[31:], None])
def test_tiles_that_change_or_go_between_the_passes(run, monkeypatch, change):
    copy = packing._copy

    def changed(*given):
        path = stored(run, "train0") / "tiles.tfrecord"
        if change:
            path.write_bytes(change(path.read_bytes()))
        else:
            path.unlink()
        copy(*given)

    monkeypatch.setattr(packing, "_copy", changed)
    with pytest.raises(InputError, match=r"slide train0: its tiles \w+ (changed|went) while they were packed: run"):
        pack(str(run))
    assert not (run / "records/manifest.json").exists()


def test_tiles_of_another_slide_under_its_name(run):
    shutil.copy(stored(run, "train0") / "tiles.tfrecord", stored(run, "train1") / "tiles.tfrecord")
    with pytest.raises(InputError, match=r"slide train1: record 0 of its tiles \w+ is of slide train0"):
        pack(str(run))


def test_a_missing_file_of_a_tiled_slide(run):
    (stored(run, "test1") / "tiles.tfrecord").unlink()
    with pytest.raises(InputError, match=r"slide test1: its tiles \w+ are not there any more: run the tile step again"):
        pack(str(run))


def test_tiles_of_another_label_or_of_other_settings(run):
    plan = Plan.model_validate_json((run / "plan.json").read_text())
    told = json.loads((run / "tiles/valid1.json").read_text())
    told["summary"]["settings"]["quality"] = 50
    (run / "tiles/valid1.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="tiles of valid1 were made under another plan: run the tile step again"):
        pack(str(run))
    valid1 = next(each for each in plan.slides if each.slide == "valid1")
    write_tiles(run, valid1, tiles("valid1", valid1.patient, 0, 4))
    with pytest.raises(InputError, match=r"slide valid1: record 0 .* LUAD, not as planned: run the tile step again"):
        pack(str(run))


def test_an_account_of_an_earlier_version_is_as_good_as_none(run):
    (run / "tiles/train0.json").write_text('{"plan_digest": "0", "summary": {}}')
    with pytest.raises(InputError, match=r"not tiled yet \(train0\)"):
        pack(str(run))


def test_a_small_disk_costs_passes_and_changes_nothing(run, monkeypatch):
    pack(str(run), world_size=4)
    whole = content(run / "records")
    read = []
    opened = storage.opened
    monkeypatch.setattr(storage, "opened", lambda uri, block: read.append(uri) or opened(uri, block))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 2000}))
    pack(str(run), world_size=4)
    assert content(run / "records") == whole
    assert sum(stored(run, "train0").name in uri for uri in read) > 3, "the first pass and several of the second"


def test_passes_by_hand():
    assert list(_passes([3, 3, 3, 9, 1], 6)) == [range(2), range(2, 3), range(3, 4), range(4, 5)]
    assert list(_passes([1] * 600, 10_000)) == [range(256), range(256, 512), range(512, 600)]


def test_no_plan_and_no_world(run):
    with pytest.raises(InputError, match="world size 0"):
        pack(str(run), world_size=0)
    (run / "plan.json").unlink()
    with pytest.raises(InputError, match="run the plan step first"):
        pack(str(run))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_tiles(run):
    plan = Plan.model_validate_json((run / "plan.json").read_text())
    blob = os.urandom(1 << 20)
    for planned in plan.slides:
        tile = tiles(planned.slide, planned.patient, planned.label_index, 1)[0]
        write_tiles(run, planned, (replace(tile, x=512 * n, parts=(blob,)) for n in range(60)))
    program = (
        "import sys\n"
        "from sextant.slides.pack import pack\n"
        "pack(sys.argv[1])\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    command = [sys.executable, "-c", program, str(run)]
    peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert peak < 200 * 1024  # KiB, for 420 MB of tiles
