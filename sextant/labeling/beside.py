"""What lies beside Ground Truth's output and tells of its jobs: gold labels, label categories, the size of the input.

Gold labels of a job are what an expert says is right. Two forms are read:
- `gold/{job}.jsonl`, our own: JSON Lines, each with the data object (`object-id`, the number of its manifest line; or
  `source-ref`; or `source`, a text) and its `label`, a class name or a list of them;
- `true_labels.json` in the job's folder: a list of `{"ImageId": …, "Label": …}`, where the id is the name of the image
  without folder and suffix.

Label category configurations are those of the developer guide ("Create a labeling category configuration file with
label category and frame attributes") and of AWS's samples, which spell some names differently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sextant.labeling import staging
from sextant.labeling.chunk import Chunk, as_text, parsed
from sextant.labeling.ground_truth import INVISIBLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sextant.labeling.layout import Place

_NAMES = {"object-id": "object_id", "source-ref": "source_ref", "source": "source_ref", "ImageId": "stem"}
"""How gold labels name a data object, best first, and what the SQL calls it."""
_ATTRIBUTES = ("categoryAttributes", "attributes")
_EVERY_CLASS = ("categoryGlobalAttributes", "labelCategoryAttributes")


def parse_gold(chunk: Chunk, place: Place, source: str, body: bytes) -> None:
    """Gold labels of one job, in either form."""
    for where, size, entry in _gold_entries(chunk, source, body):
        told = entry.get("label", entry.get("Label"))
        labels = told if isinstance(told, list) else [told]
        named_by = next((each for each in _NAMES if entry.get(each) is not None), None)
        if named_by is None or not labels or None in labels:
            detail = "an object with label, and object-id or source-ref, was expected"
            chunk.reject(where, "not a gold label", detail, size)
            continue
        for label in labels:
            chunk.sheet(staging.PARSED_GOLD).add(
                place.job_name,
                _NAMES[named_by],
                INVISIBLE.sub("", as_text(entry[named_by])),
                as_text(label),
                where,
                size,
            )


def _gold_entries(chunk: Chunk, source: str, body: bytes) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(source, bytes, entry) of every entry; what is none is rejected."""
    if source.endswith(".jsonl"):
        lines = body.splitlines()
        for number, line in enumerate(lines):
            if line.strip():
                entry = parsed(chunk, f"{source}#{number}", line, dict)
                if entry is not None:
                    yield f"{source}#{number}", len(line), entry
        if not any(line.strip() for line in lines):
            chunk.reject(source, "empty object", "there is nothing in it", len(body))
        return
    for number, entry in enumerate(parsed(chunk, source, body, list) or ()):
        if isinstance(entry, dict):
            yield f"{source}#{number}", len(body), entry
        else:
            chunk.reject(f"{source}#{number}", "not a gold label", as_text(entry), len(body))


def parse_categories(chunk: Chunk, place: Place, source: str, body: bytes) -> None:
    """The label category configuration of one job."""
    document = parsed(chunk, source, body, dict)
    if document is None:
        return
    labels = document.get("labels")
    if not isinstance(labels, list):
        chunk.reject(source, "not label categories", "an object with a list `labels` was expected", len(body))
        return
    rows: list[tuple[str, str | None, str | None, str | None]] = []
    for each in labels:
        if not isinstance(each, dict) or not isinstance(each.get("label"), str):
            chunk.reject(source, "not a label category", as_text(each), len(body))
            continue
        rows.append(("label", each["label"], None, None))
        for key in _ATTRIBUTES:
            rows += [("label_attribute", each["label"], *pair) for pair in _allowed(each.get(key))]
    for key in _EVERY_CLASS:
        rows += [("label_attribute", None, *pair) for pair in _allowed(document.get(key))]
    rows += [("frame_attribute", None, *pair) for pair in _allowed(document.get("frameAttributes"))]
    for row in rows:
        chunk.new_categories.append(((place.job_name, *row), source))


def _allowed(attributes: Any) -> Iterator[tuple[str, str | None]]:
    """(name, value) of every value of every attribute; value None for one that takes any."""
    for each in attributes if isinstance(attributes, list) else ():
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            values = each.get("enum")
            for value in values if isinstance(values, list) and values else (None,):
                yield each["name"].lower(), None if value is None else as_text(value)


def count_input(chunk: Chunk, place: Place, source: str, objects: int) -> None:
    """The number of data objects of a job's input manifest."""
    chunk.sheet(staging.PARSED_INPUT).add(place.job_name, objects, source)
