"""Real H&E tiles of the original's three classes, split by the field that they were cut from."""

import csv
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from sextant.slides import encoder, heads, metrics
from sextant.slides.aggregate import softmax

DATA = Path(os.environ.get("SEXTANT_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "slides"

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA / "lc25000-lung-mini.tar").exists(), reason=f"no real lung tiles in {DATA}"),
]

STRENGTH = 0.1
FOLDS = 5


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """Features (2,220, 1,280) of the default encoder, labels and groups."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEXTANT_CACHE", str(tmp_path_factory.mktemp("cache")))
        lite0 = encoder.load(threads=2)
    with (DATA / "lc25000-lung-mini.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with tarfile.open(DATA / "lc25000-lung-mini.tar") as archive:
        images = {each.name: archive.extractfile(each).read() for each in archive if each.name.endswith(".jpeg")}
    features = [
        encoder.encode(lite0, [simplejpeg.decode_jpeg(images[row["file"]]) for row in rows[start : start + 32]])
        for start in range(0, len(rows), 32)
    ]
    names = sorted({row["label"] for row in rows})
    labels = np.array([names.index(row["label"]) for row in rows])
    return (
        np.concatenate(features).astype(np.float16).astype(np.float32),
        labels,
        np.array([row["group"] for row in rows]),
    )


def out_of_fold(features, labels, units):
    """Every tile's scores by a head that saw no tile of its unit: five folds, stratified by class."""
    rng = np.random.default_rng(0)
    fold = np.empty(len(labels), int)
    for label in np.unique(labels):
        of_class = np.unique(units[labels == label])
        rng.shuffle(of_class)
        place = {unit: number % FOLDS for number, unit in enumerate(of_class.tolist())}
        fold[labels == label] = [place[each] for each in units[labels == label].tolist()]
    scores = np.empty((len(labels), 3))
    for number in range(FOLDS):
        seen = fold != number
        scaling = heads.standard(features[seen])
        x = heads.standardised(features[seen], scaling)
        head = heads.fit_linear(x, labels[seen], classes=3, strength=STRENGTH, start=None, scaling=scaling)
        scores[~seen] = softmax(head.outputs(features[~seen]).logits)
    return scores


def test_frozen_encoder_and_linear_head_by_group(tiles):
    features, labels, groups = tiles
    assert features.shape == (2220, 1280)
    safe = out_of_fold(features, labels, groups)
    leaky = out_of_fold(features, labels, np.arange(len(labels)).astype(str))
    measured = metrics.balanced_accuracy(labels, safe), metrics.macro_auc(labels, safe)
    leaked = metrics.balanced_accuracy(labels, leaky), metrics.macro_auc(labels, leaky)
    assert measured[0] >= 0.94, measured
    assert measured[1] >= 0.99, measured
    # What a split by tile would claim: the same tissue in training and test.
    assert leaked[0] > measured[0] + 0.01
