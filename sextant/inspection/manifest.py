"""Manifests of labelled photographs: one JSON line for each, as Lookout for Vision and Ground Truth write them.

A line is read by what it says, not by what its keys are called: the classification is the attribute whose metadata has
the type `groundtruth/image-classification`, the mask the one with `groundtruth/semantic-segmentation`. The class name
alone decides: the integer beside it means one thing in one tool and its opposite in the next, so it is never read.

Format: Amazon Lookout for Vision Developer Guide, "Defining JSON lines for image classification" and "… segmentation".
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Label: TypeAlias = Literal["normal", "anomaly"]

CLASSIFICATION = "groundtruth/image-classification"
SEGMENTATION = "groundtruth/semantic-segmentation"
LONGEST_LINE = 8192
"""Characters of a dataset's entry, as the service limits them."""
MOST_LABELS = 100
"""Anomaly labels of a project, as the service limits them."""

_PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
_URI = re.compile(r"s3://[0-9A-Za-z._-]{3,63}/.+")  # old buckets have names that new ones may not have
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class ManifestError(ValueError):
    """A line that cannot be used. The message names the line, the reason and the remedy."""


@dataclass(frozen=True)
class Entry:
    """One photograph and what people said of it.

    `source` is where it lies (s3:// in a dataset; relative in manifests that travel with their photographs), `label` is
    None while nobody has labelled it, `mask` is where its mask image lies, `colors` the mask's colours (`#RRGGBB` in
    upper case) by the name of the anomaly, without the background. `created` is when it was labelled, in UTC. `line` is
    the JSON line as the service keeps it: on one line, the integer in step with the class name.
    """

    source: str
    label: Label | None
    mask: str | None
    created: dt.datetime | None
    line: str
    colors: Mapping[str, str] = field(default_factory=dict)


def read(line: str | bytes, number: int = 1) -> Entry:
    """One line of a manifest.

    Args:
        line: the JSON.
        number: of the line, from 1, for messages.

    Raises:
        ManifestError: no JSON object, no source-ref, or a mask whose colours are not told.
    """
    document = _document(line, number)
    source = document.get("source-ref")
    if not isinstance(source, str) or not source.strip():
        raise ManifestError(f'line {number}: no "source-ref": give where the photograph lies, s3://bucket/key')
    label: Label | None = None
    mask: str | None = None
    colors: dict[str, str] = {}
    created: dt.datetime | None = None
    for attribute, metadata in _attributes(document):
        kind = metadata.get("type")
        if kind == CLASSIFICATION:
            label = _label(metadata.get("class-name"))
            created = _time(metadata.get("creation-date"))
            if label is not None:
                document[attribute] = 1 if label == "anomaly" else 0
        elif kind == SEGMENTATION and isinstance(document.get(attribute), str):
            mask, colors = document[attribute], _colors(metadata, number)
    kept = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return Entry(source=source, label=label, mask=mask, colors=colors, created=created, line=kept)


def entries(lines: Iterable[str | bytes]) -> Iterator[Entry]:
    """Every entry of a manifest in its order; empty lines are none.

    Raises:
        ManifestError: as for `read`, at the first bad line.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield read(line, number)


def stored(line: str | bytes, number: int = 1) -> Entry:
    """A line for a dataset: `read`, and its photograph and mask lie in S3 and it is as short as the service wants it.

    Raises:
        ManifestError: as for `read`, or one of these does not hold.
    """
    entry = read(line, number)
    for key, uri in (("source-ref", entry.source), ("the mask", entry.mask)):
        if uri is not None and not _URI.fullmatch(uri):
            raise ManifestError(
                f"line {number}: {key} is {uri[:200]!r}, which is no s3://bucket/key. Put the photographs into a "
                "bucket and write their URIs into the manifest"
            )
    if len(entry.line) > LONGEST_LINE:
        raise ManifestError(f"line {number}: {len(entry.line)} characters; an entry has at most {LONGEST_LINE}")
    return entry


def under(line: str | bytes, root: str, number: int = 1) -> str:
    """A line whose relative paths are below `root`, a URI: of a manifest that was exported with its photographs.

    Raises:
        ManifestError: as for `read`.
    """
    entry = read(line, number)
    document = json.loads(entry.line)
    for attribute in ("source-ref", *(name for name, _ in _attributes(document) if name.endswith("-ref"))):
        path = document[attribute]
        if isinstance(path, str) and "://" not in path:
            document[attribute] = f"{root.rstrip('/')}/{path.lstrip('/')}"
    return read(json.dumps(document), number).line


def line_of(source: str, label: Label | None, created: dt.datetime, job: str = "labeling-job/auto-label") -> str:
    """The line of a photograph without a mask, as the service's own labelling wrote it."""
    document: dict[str, Any] = {"source-ref": source}
    if label is not None:
        document["anomaly-label"] = 1 if label == "anomaly" else 0
        document["anomaly-label-metadata"] = {
            "confidence": 1,
            "job-name": job,
            "class-name": label,
            "human-annotated": "yes",
            "creation-date": created.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
            "type": CLASSIFICATION,
        }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def of_folder(root: str, keys: Iterable[str], created: dt.datetime, *, labelled: bool = True) -> Iterator[str]:
    """Lines for the photographs of a folder, labelled by the names of its folders as the service's console did it.

    Args:
        root: the folder's URI.
        keys: what lies in it, relative to it. What is no .jpg, .jpeg or .png is left out.
        created: when they are labelled.
        labelled: whether `normal/` and `anomaly/`, directly below the root, label what they hold. The names of deeper
            folders label nothing.
    """
    for key in keys:
        if key.lower().endswith(_PHOTOGRAPHS):
            folder = key.partition("/")[0].lower() if "/" in key else ""
            yield line_of(f"{root.rstrip('/')}/{key}", _label(folder) if labelled else None, created)


def _document(line: str | bytes, number: int) -> dict[str, Any]:
    try:
        text = line.decode("utf-8-sig") if isinstance(line, bytes) else line
        document = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ManifestError(f"line {number}: no JSON ({error}). Write one JSON object on each line, in UTF-8") from None
    if not isinstance(document, dict):
        raise ManifestError(f"line {number}: {type(document).__name__} instead of a JSON object")
    return document


def _attributes(document: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The label attributes of a line with their metadata."""
    suffix = "-metadata"
    found = [(key.removesuffix(suffix), value) for key, value in document.items() if key.endswith(suffix)]
    return [(name, metadata) for name, metadata in found if isinstance(metadata, dict) and name in document]


def _label(name: object) -> Label | None:
    match name:
        case "normal" | "anomaly":
            return name
        case _:
            return None


def _colors(metadata: Mapping[str, Any], number: int) -> dict[str, str]:
    given = metadata.get("internal-color-map")
    colors: dict[str, str] = {}
    for each in given.values() if isinstance(given, dict) else ():
        name, color = (each.get("class-name"), each.get("hex-color")) if isinstance(each, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(color, str) or not _COLOR.fullmatch(color):
            raise ManifestError(
                f"line {number}: the mask's internal-color-map has an entry without class-name or hex-color #RRGGBB"
            )
        if name.upper() != "BACKGROUND":
            colors[name] = color.upper()
    return colors


def _time(text: object) -> dt.datetime | None:
    """A creation-date. Tools write it in several ways; one that nobody can read is none."""
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or dt.UTC).astimezone(dt.UTC)
