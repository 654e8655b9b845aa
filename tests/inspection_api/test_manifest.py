"""Manifests mean what their class names say, however their attributes are called."""

import datetime as dt
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sextant.inspection import manifest, mask_image
from sextant.inspection.manifest import ManifestError

AT = dt.datetime(2026, 11, 21, 17, 30, 5, 123456, tzinfo=dt.UTC)
COOKIES = Path(os.environ.get("SEXTANT_DATA", Path(__file__).resolve().parents[3] / "shared/data")) / "vision/cookies"


def line(klass, integer, attribute="anomaly-label", **more):
    metadata = {"class-name": klass, "type": "groundtruth/image-classification", "human-annotated": "yes"} | more
    return json.dumps({"source-ref": "s3://bucket/a.jpg", attribute: integer, f"{attribute}-metadata": metadata})


@pytest.mark.parametrize("attribute", ["anomaly-label", "auto-label", "x"])
@pytest.mark.parametrize("integer", [0, 1, 7])
def test_the_class_name_decides_and_the_integer_follows(attribute, integer):
    for klass, normalised in (("normal", 0), ("anomaly", 1)):
        entry = manifest.read(line(klass, integer, attribute))
        assert entry.label == klass
        assert json.loads(entry.line)[attribute] == normalised


@pytest.mark.parametrize("klass", ["Normal", "good", "", None])
def test_any_other_class_name_is_an_unlabelled_photograph(klass):
    assert manifest.read(line(klass, 1)).label is None


def test_a_line_with_a_source_only_is_unlabelled():
    assert manifest.read('{"source-ref": "s3://bucket/a.jpg"}').label is None


def test_creation_dates_are_read_in_utc_and_strange_ones_are_none():
    assert manifest.read(line("normal", 0, **{"creation-date": "2020-11-10T03:37:09.600"})).created == dt.datetime(
        2020, 11, 10, 3, 37, 9, 600_000, dt.UTC
    )
    assert manifest.read(line("normal", 0, **{"creation-date": "2020-11-10T05:00:00+02:00"})).created == dt.datetime(
        2020, 11, 10, 3, tzinfo=dt.UTC
    )
    odd = manifest.read(line("normal", 0, **{"creation-date": "Mon Aug 22 2022 13:52:52 GMT-0700"}))
    assert odd.created is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "line 3: no JSON"),
        ("[1]", "line 3: list instead of a JSON object"),
        ("{}", 'line 3: no "source-ref"'),
        (b"\xff\xfe", "line 3: no JSON"),
        ('{"source-ref": 5}', 'line 3: no "source-ref"'),
        ("[" * 100_000, "line 3: no JSON"),
    ],
)
def test_a_bad_line_is_told_by_its_number(text, told):
    with pytest.raises(ManifestError, match=told):
        manifest.read(text, 3)


def test_a_dataset_takes_photographs_in_s3_only():
    with pytest.raises(ManifestError, match="no s3://bucket/key"):
        manifest.stored('{"source-ref": "training-images/a.jpg"}')
    with pytest.raises(ManifestError, match="at most 8192"):
        manifest.stored(json.dumps({"source-ref": "s3://bucket/" + "a" * 9000}))
    assert manifest.stored('{"source-ref": "s3://bucket/a.jpg"}').source == "s3://bucket/a.jpg"


def test_an_exported_manifest_moves_to_where_its_photographs_are():
    exported = {
        "source-ref": "images/a.jpg",
        "m-ref": "masks/a.png",
        "m-ref-metadata": {"type": manifest.SEGMENTATION, "internal-color-map": {}},
    }
    moved = manifest.stored(manifest.under(json.dumps(exported), "s3://old-project/export/"))
    assert (moved.source, moved.mask) == ("s3://old-project/export/images/a.jpg", "s3://old-project/export/masks/a.png")
    assert manifest.read(manifest.under(line("normal", 0), "s3://other")).source == "s3://bucket/a.jpg"


def test_folders_label_what_lies_directly_in_them():
    keys = [
        "normal/1.jpg",
        "anomaly/2.PNG",
        "anomaly/normal/3.jpeg",
        "4.jpg",
        "other/normal/5.jpg",
        "normal/readme.txt",
    ]
    made = [manifest.stored(each) for each in manifest.of_folder("s3://bucket/train/", keys, AT)]
    assert {entry.source.removeprefix("s3://bucket/train/"): entry.label for entry in made} == {
        "normal/1.jpg": "normal",
        "anomaly/2.PNG": "anomaly",
        "anomaly/normal/3.jpeg": "anomaly",
        "4.jpg": None,
        "other/normal/5.jpg": None,
    }
    assert made[0].created == AT.replace(microsecond=123_000)
    unlabelled = manifest.of_folder("s3://bucket/train", keys, AT, labelled=False)
    assert {manifest.read(each).label for each in unlabelled} == {None}


COLORS = {"scratch": "#2CA02C", "dent": "#1F77B4"}
LABELS = mask_image.labels_of(COLORS)
TRUTH = np.array([[0, 0, 1, 1], [0, 2, 2, 0]], np.uint8)


def test_labels_are_numbered_by_name_from_one():
    assert LABELS == {1: ("dent", "#1F77B4"), 2: ("scratch", "#2CA02C")}


def test_palette_masks_are_read_by_colour_not_by_index():
    other = np.choose(TRUTH, [5, 9, 7]).astype(np.uint8)
    palette = [255, 255, 255] * 7 + [0x2C, 0xA0, 0x2C] + [0, 0, 0] + [0x1F, 0x77, 0xB4] + [0] * 738
    image = Image.new("P", (4, 2))
    image.putdata(other.ravel().tolist())
    image.putpalette(palette)
    out = io.BytesIO()
    image.save(out, "PNG")
    assert (mask_image.read(out.getvalue(), LABELS) == TRUTH).all()


def test_transparent_paint_is_background_and_smoothed_edges_belong_to_their_label():
    pixels = np.zeros((2, 4, 4), np.uint8)
    pixels[TRUTH == 1] = (0x1F, 0x77, 0xB4, 255)
    pixels[TRUTH == 2] = (0x2C, 0xA0, 0x2C, 140)
    pixels[0, 0] = (0x2C, 0xA0, 0x2C, 90)
    pixels[0, 1] = (0x1F + 20, 0x77 + 20, 0xB4 + 20, 255)
    truth = TRUTH.copy()
    truth[0, 1] = 1
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    assert (mask_image.read(out.getvalue(), LABELS) == truth).all()


def test_paint_that_the_manifest_does_not_name_is_told():
    pixels = np.full((8, 8, 3), 255, np.uint8)
    pixels[:5] = (250, 10, 200)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    with pytest.raises(ManifestError, match=r"s3://b/m\.png: it paints in #FA0AC8, which"):
        mask_image.read(out.getvalue(), LABELS, "s3://b/m.png")


def test_more_labels_than_a_project_may_have_are_told():
    colors = {f"kind {number}": "#23A436" for number in range(300)}
    with pytest.raises(ManifestError, match="name 300 anomaly labels; there are at most 100"):
        mask_image.labels_of(colors)
    assert len(mask_image.labels_of(dict(list(colors.items())[:100]))) == 100


def test_what_is_no_png_is_told():
    with pytest.raises(ManifestError, match="no readable PNG"):
        mask_image.read(b"\x89PNG\r\n\x1a\n broken", LABELS)
    whole = io.BytesIO()
    Image.new("RGB", (2, 2)).save(whole, "PNG")
    with pytest.raises(ManifestError, match="names no anomaly"):
        mask_image.read(whole.getvalue(), {})


@pytest.mark.realdata
@pytest.mark.skipif(not COOKIES.is_dir(), reason=f"no real photographs in {COOKIES}")
def test_the_services_own_cookies_manifest_and_masks():
    found = list(manifest.entries((COOKIES / "template.manifest").read_bytes().splitlines()))
    assert [entry.label for entry in found].count("anomaly") == 32
    assert [entry.label for entry in found].count("normal") == 31
    labels = mask_image.labels_of({name: c for entry in found for name, c in entry.colors.items()})
    assert labels == {1: ("cracked", "#23A436")}
    for entry in found:
        if entry.mask:
            mask = mask_image.read((COOKIES / entry.mask).read_bytes(), labels, entry.mask)
            with Image.open(COOKIES / entry.source) as photograph:
                assert mask.shape == (photograph.height, photograph.width)
            alpha = np.asarray(Image.open(COOKIES / entry.mask).convert("RGBA"))[..., 3]
            assert ((mask == 1) == (alpha >= 128)).mean() > 0.999, entry.mask
