import io
import json
import logging
import tarfile

import numpy as np
import pytest

from sextant.slides import heads, metrics, model, training
from sextant.slides.aggregate import tempered
from sextant.slides.manifest import Manifest, ManifestSplit, Shard
from sextant.slides.model import EncoderFacts
from sextant.slides.records import TileFeatures
from sextant.slides.settings import TileSettings
from sextant.slides.training import HeadSettings, TrainingError

CLASSES = ("luad", "lusc", "normal")
DIM = 12
ENCODER = EncoderFacts(name="made", sha256="e" * 64, dim=DIM, input_px=16)


def split(records, shards=1):
    each = records // shards
    return ManifestSplit(
        shards=tuple(Shard(name=f"train/{n}", records=each, bytes=1, sha256="0") for n in range(shards)),
        records=records,
        per_class={"luad": records, "lusc": 0, "normal": 0},
        slides=1,
        patients=1,
    )


MANIFEST = Manifest(
    classes=CLASSES,
    plan_digest="p" * 64,
    settings=TileSettings(),
    world_size_multiple=1,
    splits={"train": split(9), "valid": split(9)},
)


def tiles(slides, prefix, *, tiles_each=12, signal=1.6, classes=3, seed=0):
    rng = np.random.default_rng([seed, len(prefix)])
    made = []
    for number in range(slides):
        label = number % classes
        shift = rng.normal(size=DIM) * 0.6
        for place in range(tiles_each):
            feature = (np.eye(3, DIM)[label] * signal + shift + rng.normal(size=DIM)).astype(np.float32)
            made.append(
                TileFeatures(
                    f"{prefix}{number:02}",
                    f"{prefix}-p{number // 2}",
                    label,
                    CLASSES[label],
                    place * 512,
                    0,
                    512,
                    feature,
                )
            )
    return made


def both(**given):
    return (
        training.read_split(tiles(30, "train", **given), "train", 3),
        training.read_split(tiles(24, "valid", **given), "valid", 3),
    )


LINEAR = HeadSettings()


def fit(tmp_path, settings=LINEAR, splits=None, encoder=ENCODER):
    train, valid = splits or both()
    return training.train_head(train, valid, MANIFEST, settings, encoder=encoder, checkpoints=tmp_path / "checkpoints")


def test_split_is_the_same_in_any_order_and_counts_repeated_tiles_once():
    made = tiles(6, "train")
    first = training.read_split(made, "train", 3)
    shuffled = [made[each] for each in np.random.default_rng(0).permutation(len(made))] + made[:7]
    second = training.read_split(shuffled, "train", 3)
    assert first.digest() == second.digest()
    assert first.features.shape == (72, DIM)
    assert first.slides == tuple(f"train{n:02}" for n in range(6))
    assert first.tiles(2) == slice(24, 36)
    assert np.array_equal(first.features[24], made[24].feature)
    assert first.tile_labels()[24:36].tolist() == [2] * 12
    assert training.read_split(tiles(6, "train", seed=1), "train", 3).digest() != first.digest()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": 2}, "slide train00 has label and patient"),
        ({"patient": "other"}, "slide train00 has label and patient"),
        ({"label": 7, "slide": "x"}, "label 7, but there are 3 classes"),
        ({"feature": np.zeros(5, np.float32), "x": 1}, "shards of two encoders are mixed"),
    ],
)
def test_features_that_contradict_each_other_are_refused(change, reason):
    made = tiles(3, "train")
    wrong = TileFeatures(**{**vars(made[0]), **change})
    with pytest.raises(TrainingError, match=reason):
        training.read_split([*made, wrong], "train", 3)


def test_empty_channel_is_named():
    with pytest.raises(TrainingError, match="train has no tiles: check the channel's prefix"):
        training.read_split([], "train", 3)


def test_linear_head_is_chosen_on_validation_slides_and_repeats_itself(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        made = fit(tmp_path / "a")
    train, valid = both()
    aucs = []
    for strength in training.STRENGTHS["linear"]:
        scaling = heads.standard(train.features)
        x = heads.standardised(train.features, scaling)
        head = heads.fit_linear(x, train.tile_labels(), classes=3, strength=strength, start=None, scaling=scaling)
        aucs.append(metrics.macro_auc(valid.labels, training.slides_scored(head, valid, "mean")))
    assert made.facts.validation.slide_auc == pytest.approx(max(aucs), abs=0.01)
    assert made.facts.validation.slides == 24
    assert made.facts.validation.patients == 12
    assert made.facts.strength in training.STRENGTHS["linear"]
    assert f"#quality_metric: val_slide_auc={made.facts.validation.slide_auc:.6g}" in caplog.text
    assert fit(tmp_path / "b").digest() == made.digest()


def test_attention_head(tmp_path):
    settings = HeadSettings(head="attention", epochs=6)
    made = fit(tmp_path, settings)
    assert (made.facts.head, made.facts.aggregation) == ("attention", "attention")
    assert made.facts.validation.slide_auc > 0.9
    outputs = made.head.outputs(both()[1].features)
    assert outputs.attention.shape == (24 * 12,)


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("kind", "after"), [("linear", 3), ("attention", 4)])
def test_training_goes_on_where_it_was_killed(tmp_path, monkeypatch, kind, after):
    settings = HeadSettings(head=kind, epochs=3)
    whole = fit(tmp_path / "whole", settings)
    name = "fit_linear" if kind == "linear" else "epoch"
    original = getattr(heads, name)
    calls = []

    def dying(*args, **kwargs):
        if len(calls) == after:
            raise KilledError
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(heads, name, dying)
    with pytest.raises(KilledError):
        fit(tmp_path / "part", settings)
    total = len(training.STRENGTHS[kind]) * (1 if kind == "linear" else 3)

    def counting(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(heads, name, counting)
    assert fit(tmp_path / "part", settings).digest() == whole.digest()
    assert len(calls) == total
    # Checkpoints of other data or settings are not used.
    fit(tmp_path / "part", settings.model_copy(update={"seed": 1}))
    assert len(calls) > total


@pytest.mark.parametrize(
    ("settings", "named"),
    [(LINEAR, "val_slide_auc"), (HeadSettings(head="attention", epochs=3), "train_loss, decay 0.1")],
)
def test_each_step_is_told_to_the_history_that_the_console_draws(tmp_path, settings, named):
    fit(tmp_path, settings)
    lines = (tmp_path / "checkpoints" / "history.jsonl").read_text().splitlines()
    steps = [json.loads(each) for each in lines if named in each]
    assert [each["step"] for each in steps] == list(range(1, len(steps) + 1))
    assert all(isinstance(each[named], float) for each in steps)


def half(content):
    return content[: len(content) // 2]


def turned(content):
    """A byte of the last array's data has another value: the archive's own sum no longer fits."""
    place = content.rfind(b"NUMPY") + 130 if b"NUMPY" in content else len(content) // 2
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def npy(_content):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def npz(_content):
    buffer = io.BytesIO()
    np.savez(buffer, W=np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize("damage", [half, turned, npy, npz, lambda _: b"", lambda _: b"half a fi"])
def test_damaged_checkpoint_is_made_again_and_told(tmp_path, caplog, damage):
    whole = fit(tmp_path)
    path = tmp_path / "checkpoints" / "linear-2.npz"
    path.write_bytes(damage(path.read_bytes()))
    assert fit(tmp_path).digest() == whole.digest()
    assert "checkpoint linear-2.npz cannot be used" in caplog.text
    caplog.clear()
    fit(tmp_path)
    assert "cannot be used" not in caplog.text


def test_where_the_newest_checkpoint_is_damaged_training_goes_on_from_the_one_before(tmp_path, monkeypatch, caplog):
    settings = HeadSettings(head="attention", epochs=4)
    whole = fit(tmp_path, settings)
    path = tmp_path / "checkpoints" / "attention-1.npz"
    path.write_bytes(half(path.read_bytes()))
    epochs, original = [], heads.epoch

    def counted(state, slides, weights, strength, seed):
        epochs.append(seed[1])
        return original(state, slides, weights, strength, seed)

    monkeypatch.setattr(heads, "epoch", counted)

    assert fit(tmp_path, settings).digest() == whole.digest()
    assert epochs == [3], "the last of four: what the checkpoint before it holds is not done again"
    assert "checkpoint attention-1.npz cannot be used, an earlier one is looked for: attention-1.npz" in caplog.text


def test_temperature_makes_scores_honest():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2000)
    # The true probability of the class is 0.7; the scores claim 0.7 ** 3 / (0.7 ** 3 + 0.3 ** 3).
    says = np.where(rng.random(2000) < 0.7, truth, 1 - truth)
    honest = np.where(np.eye(2)[says] == 1, 0.7, 0.3)
    certain = tempered(honest, 1 / 3)
    assert training.fitted_temperature(certain, truth) == pytest.approx(3, abs=0.3)
    assert training.fitted_temperature(honest, truth) == pytest.approx(1, abs=0.1)
    assert training.fitted_temperature(certain[:19], truth[:19]) == 1
    # Thirty slides told right do not make anything certain: 31 of 32 is what they can say.
    right = np.tile([[0.9, 0.1], [0.1, 0.9]], (15, 1))
    temperature = training.fitted_temperature(right, np.tile([0, 1], 15))
    assert tempered(right, temperature).max() == pytest.approx(31 / 32, abs=1e-3)


def test_what_cannot_be_trained_is_told_first(tmp_path):
    train, valid = both()
    with pytest.raises(TrainingError, match="features of 12 numbers, but encoder made makes 99"):
        fit(tmp_path, encoder=ENCODER.model_copy(update={"dim": 99}))
    with pytest.raises(TrainingError, match="patients in train and in valid: train-p0"):
        fit(tmp_path, splits=(train, train))
    one = training.read_split(tiles(4, "valid", classes=1), "valid", 3)
    with pytest.raises(TrainingError, match=r"valid has slides of one class only \(luad\)"):
        fit(tmp_path, splits=(train, one))
    two = training.read_split(tiles(4, "train", classes=2), "train", 3)
    with pytest.raises(TrainingError, match="train has no slide of normal"):
        fit(tmp_path, splits=(two, valid))
    with pytest.raises(TrainingError, match="aggregation attention needs head attention"):
        fit(tmp_path, HeadSettings(aggregation="attention"))
    assert not (tmp_path / "checkpoints").exists()


def test_model_comes_back_as_it_was_saved(tmp_path):
    made = fit(tmp_path, HeadSettings(aggregation="topk"))
    model.save(made, tmp_path / "model")
    loaded = model.load(tmp_path / "model")
    assert loaded.facts == made.facts
    assert loaded.facts.aggregation == "topk"
    assert loaded.digest() == made.digest()
    features = both()[1].features
    assert np.array_equal(loaded.head.outputs(features).logits, made.head.outputs(features).logits)
    facts = json.loads((tmp_path / "model/model.json").read_text())
    assert facts["classes"] == list(CLASSES)
    assert facts["encoder"]["sha256"] == "e" * 64
    (tmp_path / "model/model.json").write_text(json.dumps(facts | {"schema_version": 2}))
    with pytest.raises(model.ModelError, match="no model of this version"):
        model.load(tmp_path / "model")


@pytest.fixture(scope="module", params=["linear", "attention"])
def fitted(request, tmp_path_factory):
    return fit(tmp_path_factory.mktemp("fitted"), HeadSettings(head=request.param, epochs=1))


def twice_as_wide(_content):
    buffer = io.BytesIO()
    np.savez(buffer, mean=np.zeros(24), scale=np.ones(24), W=np.zeros((24, 3)), b=np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (half, r"head\.npz is no \.npz file, or its end is missing \(\d+ bytes\)"),
        (turned, r"head\.npz is damaged \(Bad CRC-32"),
        (npy, r"head\.npz is no \.npz file"),
        (lambda _: b"", r"head\.npz is no \.npz file, or its end is missing \(0 bytes\)"),
        (npz, r"head\.npz holds arrays \{'W': \(3,\)\} where model\.json tells \{'mean': \(12,\)"),
        (twice_as_wide, r"head\.npz holds arrays \{'mean': \(24,\)"),
    ],
)
def test_damaged_or_foreign_heads_are_named_with_reason_and_remedy(tmp_path, fitted, damage, reason):
    model.save(fitted, tmp_path / "model")
    path = tmp_path / "model" / "head.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(model.ModelError, match=f"{reason}.*: give the model.tar.gz of a training job that completed"):
        model.load(tmp_path / "model")


def test_model_of_an_archive_and_of_another_encoder(tmp_path):
    made = fit(tmp_path)
    model.save(made, tmp_path / "model")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        for each in (tmp_path / "model").iterdir():
            archive.add(each, each.name)
    assert model.load_archive(str(tmp_path / "model.tar.gz")).digest() == made.digest()
    assert model.load_archive(str(tmp_path / "model")).digest() == made.digest()
    content = (tmp_path / "model.tar.gz").read_bytes()
    for bad in (b"no archive", b"", half(content), turned(content)):
        (tmp_path / "bad.tar.gz").write_bytes(bad)
        with pytest.raises(model.ModelError, match=r"bad\.tar\.gz is no archive of a model, or damaged .*train again"):
            model.load_archive(str(tmp_path / "bad.tar.gz"))
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "model" / "model.json", "model.json")
    with pytest.raises(model.ModelError, match=r"bad\.tar\.gz: .*No such file.*head\.npz.*train again"):
        model.load_archive(str(tmp_path / "bad.tar.gz"))

    class Other:
        name, sha256, dim, input_px, mpp = "other", "f" * 64, DIM, 16, None

    with pytest.raises(model.ModelError, match="trained on features of made eeeeeeeeeeee, and other here is ffff"):
        made.check_encoder(Other())
