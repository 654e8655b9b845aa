"""A detector as files: what a training leaves in model.tar.gz and every runtime loads.

| file | content |
| --- | --- |
| settings.json | format version, settings, crop, input size, facts |
| backbone.onnx | the network |
| bank.npz | scaling and normal patches |
| heads.npz | heads, labels' heads, weights of the score |
| calibration.json | probability, threshold, guarantee |
| metrics.json | out-of-fold and test numbers, with every photograph's row |
| model_card.md | the same for people |
| evaluation_manifest.jsonl, evaluation_result.json | as Lookout for Vision wrote them |

Loading needs the first five. Nothing is unpickled.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from sextant.inspection import patches
from sextant.inspection.calibration import Calibration
from sextant.inspection.crop import Crop
from sextant.inspection.detector import Detector, Facts
from sextant.inspection.model import LabelHead, Linear, Model, PooledHead, Scaling
from sextant.inspection.settings import DetectorSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FORMAT = 3
"""2: maps of surfaces are no longer averaged over 3 x 3 cells, an older archive would compare what is not alike; and it
tells from where on a photograph is strange."""
NEEDED = ("settings.json", "backbone.onnx", "bank.npz", "heads.npz", "calibration.json")
LARGEST = 512 << 20
"""Bytes of a file in an archive; a backbone of one's own may be large."""

_DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error, tarfile.TarError, zipfile.BadZipFile)


class ArchiveError(ValueError):
    """An archive that is no detector: truncated, of another program, or of a newer version. The message tells which."""


def files(detector: Detector) -> dict[str, bytes]:
    """The files that `load` needs, by name; the same detector gives the same bytes."""
    model = detector.model
    described = {
        "format": FORMAT,
        "settings": detector.settings.model_dump(mode="json"),
        "crop": detector.crop.model_dump(mode="json"),
        "size": list(detector.size),
        "facts": detector.facts.model_dump(mode="json"),
        "backbone_sha256": hashlib.sha256(detector.graph).hexdigest(),
        "labels": [[each.name, each.colour] for each in model.labels],
    }
    bank: dict[str, NDArray[Any]] = {
        "mean": model.scaling.mean,
        "deviation": model.scaling.deviation,
        "projection": model.scaling.projection,
        "bank": model.bank,
        "distance": np.array(model.distance, np.float64),
        "sizes": model.sizes,
        "suspicious": np.array(model.suspicious, np.float64),
        "strange": np.array(model.strange, np.float64),
    }
    if model.scaling.contrast is not None:
        bank["contrast"] = model.scaling.contrast
    heads: dict[str, NDArray[Any]] = {"columns": model.columns, "weights": model.weights}
    if model.patch is not None and model.pooled is not None:
        heads |= {
            "patch": _flat(model.patch),
            "pooled": _flat(model.pooled.linear),
            "pooled_mean": model.pooled.mean,
            "pooled_deviation": model.pooled.deviation,
        }
    if model.labels:
        heads["labels"] = np.stack([_flat(each.linear) for each in model.labels])
    return {
        "settings.json": json.dumps(described, indent=1).encode(),
        "backbone.onnx": detector.graph,
        "bank.npz": _npz(bank),
        "heads.npz": _npz(heads),
        "calibration.json": model.calibration.model_dump_json(indent=1).encode(),
    }


def load(source: bytes | str | Path) -> Detector:
    """The detector of a model.tar.gz's bytes, of such a file, or of a folder with its files.

    Raises:
        ArchiveError: it is none, or a file is missing, damaged or of a newer version.
    """
    content = _content(source)
    missing = [name for name in NEEDED if name not in content]
    if missing:
        raise ArchiveError(
            f"the archive has no {missing[0]}: it is no detector of this product. Give the model.tar.gz of a training"
        )
    try:
        described = json.loads(content["settings.json"])
        version = described["format"]
        whole = hashlib.sha256(content["backbone.onnx"]).hexdigest() == described["backbone_sha256"]
        detector = _detector(content, described) if version == FORMAT and whole else None
    except patches.BackboneError as error:
        raise ArchiveError(f"the archive's backbone cannot be used: {error}") from error
    except (*_DAMAGED, ValidationError) as error:
        raise ArchiveError(f"the archive is damaged ({error}): fetch it again") from error
    if version != FORMAT:
        raise ArchiveError(
            f"the archive has format {version}, and this version of the product reads {FORMAT}: train again, or update "
            "the product"
        )
    if detector is None:
        raise ArchiveError("the archive's backbone.onnx is not the one it was trained with: fetch the archive again")
    _check(detector)
    return detector


def pack(folder: Path) -> bytes:
    """The folder's files as model.tar.gz; the same files give the same bytes."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for path in sorted(each for each in folder.iterdir() if each.is_file()):
            member = tarfile.TarInfo(path.name)
            body = path.read_bytes()
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return stream.getvalue()


def _content(source: bytes | str | Path) -> dict[str, bytes]:
    if not isinstance(source, bytes):
        path = Path(source)
        if path.is_dir():
            return {name: (path / name).read_bytes() for name in NEEDED if (path / name).is_file()}
        try:
            source = path.read_bytes()
        except OSError as error:
            raise ArchiveError(f"{path}: {error.strerror}: give a model.tar.gz or a folder with its files") from error
    content: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(source), mode="r:gz") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name in NEEDED and member.isfile() and member.size <= LARGEST:
                    file = archive.extractfile(member)
                    content[name] = file.read() if file else b""
    except _DAMAGED as error:
        raise ArchiveError(
            f"{len(source)} bytes that are no whole .tar.gz ({error}): fetch the archive again"
        ) from error
    return content


def _detector(content: Mapping[str, bytes], described: Mapping[str, Any]) -> Detector:
    bank, heads = (_arrays(content[name]) for name in ("bank.npz", "heads.npz"))
    pooled = (
        PooledHead(heads["pooled_mean"], heads["pooled_deviation"], _linear(heads["pooled"]))
        if "pooled" in heads
        else None
    )
    named = [(str(name), str(colour)) for name, colour in described["labels"]]
    labels = tuple(
        LabelHead(name, colour, _linear(flat))
        for (name, colour), flat in zip(named, heads.get("labels", ()), strict=True)
    )
    model = Model(
        scaling=Scaling(bank["mean"], bank["deviation"], bank["projection"], bank.get("contrast")),
        bank=bank["bank"],
        distance=(float(bank["distance"][0]), float(bank["distance"][1])),
        sizes=bank["sizes"],
        patch=_linear(heads["patch"]) if "patch" in heads else None,
        pooled=pooled,
        labels=labels,
        columns=heads["columns"],
        weights=heads["weights"],
        suspicious=float(bank["suspicious"]),
        strange=float(bank["strange"]),
        calibration=Calibration.model_validate_json(content["calibration.json"]),
    )
    width, height = described["size"]
    return Detector(
        settings=DetectorSettings.model_validate(described["settings"]),
        crop=Crop.model_validate(described["crop"]),
        size=(int(width), int(height)),
        graph=content["backbone.onnx"],
        network=patches.session(content["backbone.onnx"]),
        model=model,
        facts=Facts.model_validate(described["facts"]),
    )


def _check(detector: Detector) -> None:
    """Refuses numbers that do not belong together, before a photograph finds it out."""
    model = detector.model
    channels, short = model.scaling.projection.shape
    parts = len(model.weights)
    right = (
        model.scaling.mean.shape == model.scaling.deviation.shape == (channels,)
        and (model.scaling.contrast is None or model.scaling.contrast.shape == (channels,))
        and model.bank.ndim == 2
        and model.bank.shape[1] == short + 2
        and model.columns.shape == (2, parts)
        and parts == (3 if model.patch is not None else 1)
        and all(each.linear.weights.shape == (channels + 1,) for each in model.labels)
        and (model.patch is None or model.patch.weights.shape == (channels + 1,))
        and (model.pooled is None or model.pooled.linear.weights.shape == (3 * channels,))
    )
    if not right:
        raise ArchiveError("the archive's arrays do not fit together: it was put together from several trainings")


def _flat(linear: Linear) -> NDArray[np.float32]:
    return np.append(linear.weights, np.float32(linear.bias))


def _linear(flat: NDArray[np.float32]) -> Linear:
    return Linear(flat[:-1], float(flat[-1]))


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """As numpy writes it, without the time of day."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, values in sorted(arrays.items()):
            one = io.BytesIO()
            np.lib.format.write_array(one, np.asarray(values, order="C"), allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), one.getvalue(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    # Comparisons with NaN are False: a model with one would find everything normal.
    for name, values in found.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds what is no finite number")
    return found
