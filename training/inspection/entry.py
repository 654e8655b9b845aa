"""The image's entry point: SageMaker starts a container with `train` for a training job, with `serve` for a model.

`train` reads the manifest of channel `training` and, where there is one, of channel `test`; hyperparameters are the
fields of `DetectorSettings`, and `project_name`, `model_version` and `model_arn` for the evaluation files.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sextant import container, storage
from sextant.inspection import manifest, mask_image, photograph, saving, training
from sextant.inspection.examples import Example, InputError
from sextant.inspection.patches import BackboneError
from sextant.inspection.settings import DetectorSettings
from training.inspection import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from sextant.inspection.manifest import Entry
    from sextant.inspection.mask_image import Labels
    from sextant.inspection.training import Trained

NAMES = ("project_name", "model_version", "model_arn")

_log = logging.getLogger(__name__)


def train() -> None:
    """Trains a detector and leaves the content of its archive in /opt/ml/model."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    given = container.hyperparameters()
    project, version, arn = (given.pop(name, "") for name in NAMES)
    with tempfile.TemporaryDirectory(prefix="sextant-backbone-") as folder:
        try:
            settings = _settings(given, Path(folder))
            entries = {name: _entries(name) for name in ("training", "test")}
            labels = mask_image.labels_of(
                {name: colour for each in entries.values() for one in each for name, colour in one.colors.items()}
            )
            examples, test = ([_example(each, labels) for each in entries[name] if each.label] for name in entries)
            trained = training.train(examples, settings, report=_progress(), test=test)
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise container.InputError(f"{error.title}: {told}") from error
        except (InputError, BackboneError, manifest.ManifestError) as error:
            raise container.InputError(str(error)) from error
    saving.save(trained, container.opt_ml() / "model", project=project, version=version, model_arn=arn)
    _tell(trained)


def _settings(given: dict[str, str], folder: Path) -> DetectorSettings:
    values: dict[str, Any] = dict(given)
    if "rules" in values:
        try:
            values["rules"] = json.loads(values["rules"])
        except ValueError as error:
            raise container.InputError(f"hyperparameter rules is no JSON: {error}") from error
    settings = DetectorSettings.model_validate(values)
    if not storage.is_s3(settings.backbone):
        return settings
    path = folder / "backbone.onnx"
    try:
        storage.download(settings.backbone, path)
    except storage.GoneError as error:
        raise container.InputError(f"backbone {settings.backbone} is not there: give an object that exists") from error
    return settings.model_copy(update={"backbone": f"file:{path}"})


def _entries(channel: str) -> list[Entry]:
    folder = container.opt_ml() / "input" / "data" / channel
    files = sorted(each for each in folder.rglob("*") if each.is_file()) if folder.is_dir() else []
    if not files and channel == "test":
        return []
    if len(files) != 1:
        raise container.InputError(f"channel {channel} has {len(files)} files: give it one manifest")
    with files[0].open("rb") as lines:
        return [_placed(each, folder) for each in manifest.entries(lines)]


def _placed(entry: Entry, folder: Path) -> Entry:
    """Relative paths are below the manifest's folder."""
    if "://" in entry.source or Path(entry.source).is_absolute():
        return entry
    return manifest.read(manifest.under(entry.line, str(folder)))


def _example(entry: Entry, labels: Labels) -> Example:
    if entry.label is None:  # the caller left those out
        raise container.InputError(f"{entry.source} has no label")
    mask = _mask(entry, labels) if entry.mask and labels else None
    return Example(entry.source, entry.label, _body(entry.source), mask, labels if mask else {})


def _body(source: str) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            return storage.read(source)
        except storage.GoneError as error:
            raise photograph.PhotographError("gone", f"{source} is not there") from error

    return read


def _mask(entry: Entry, labels: Labels) -> Callable[[], NDArray[np.uint8]]:
    uri = entry.mask or ""

    def read() -> NDArray[np.uint8]:
        try:
            return mask_image.read(storage.read(uri), labels, uri)
        except storage.GoneError as error:
            raise InputError(f"the mask {uri} of {entry.source} is not there: correct the manifest") from error

    return read


def _progress() -> Callable[[str, int, int], None]:
    """Tells every tenth of a step."""

    def report(what: str, done: int, whole: int) -> None:
        if done == whole or done * 10 // whole != (done - 1) * 10 // whole:
            _log.info("%s: %d of %d", what, done, whole)

    return report


def _tell(trained: Trained) -> None:
    """The numbers as lines that SageMaker's metric definitions find (`#quality_metric: name=value`)."""
    for kind, told in (("out_of_fold", trained.out_of_fold), ("test", trained.test)):
        for name in ("f1", "auroc", "ece", "false_reject_rate"):
            value = getattr(told, name) if told else None
            if value is not None:
                _log.info("#quality_metric: %s_%s=%.4f", kind, name, value)
    for each in trained.notes:
        _log.info("%s", each)
    for source, reason in trained.skipped:
        _log.info("not read: %s: %s", source, reason)


def main() -> int:
    """Does what the container was started for."""
    programs = {"train": train, "serve": serve.main}
    program = programs.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if program is None:
        sys.stderr.write(f"usage: python -m training.inspection.entry {'|'.join(programs)}\n")
        return 2
    return container.failing(program)


if __name__ == "__main__":
    sys.exit(main())
