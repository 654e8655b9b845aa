"""Reads Ground Truth's output documents, of every task type, into staged rows.

Formats: the developer guide's "Output data" and the real files it does not mention. What real files do and this parser
expects: frame numbers and class ids that are text in one file and numbers in another, frames out of order, attributes
missing altogether, metadata under a key that does not match the label's, several jobs' labels in one manifest line,
answers without times or identity, invisible characters in a source reference.

Whatever cannot be read becomes a rejected row with its source and reason, and the rest goes on. Nothing raises for the
sake of an input's content.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import blake2b
from itertools import chain, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sextant.labeling import staging
from sextant.labeling.chunk import Chunk, as_text, pairs, parsed
from sextant.labeling.json_text import dumps, encoded, loads
from sextant.labeling.layout import TASK_TYPES, Place, modality_of
from sextant.labeling.staging import NO_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

AUDIT_ATTRIBUTE = "audit"
BACKGROUND = "BACKGROUND"
_SIDES = itemgetter("left", "top", "width", "height")
LAST_FRAME = 2**31 - 1
LONGEST_SECONDS = 1e10
"""Over 300 years: a mistake, and sums of it would leave the decimals that they are counted in."""

_LISTS = (("annotations", ""), ("polylines", "polyline"), ("polygons", "polygon"), ("keypoints", "keypoint"))
_SEQUENCES = {"tracking-annotations": "video-object-tracking", "detection-annotations": "video-object-detection"}
_NAMED = frozenset(
    {"class-id", "label-category-attributes", "object-id", "object-name", "label"}
    | {"labelCategoryAttributes", "objectId", "objectName"}  # as answers of workers spell them
)
_FRAMED = ("trackingAnnotations", "detectionAnnotations")
_WORKER_LISTS = (
    ("boundingBoxes", ""),
    ("polylines", "polyline"),
    ("polygons", "polygon"),
    ("keypoints", "keypoint"),
    ("boundingCuboids", "cuboid"),
    ("annotations", ""),
)
INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff]")
_SINGLE_CHOICE = frozenset({"image-classification", "text-classification", "label-verification"})


def _moment(value: Any) -> datetime | None:
    """An ISO instant, in UTC; without a zone it is UTC already."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the first or last hours of the calendar may lie outside it in UTC
        return None


def _number(value: Any) -> float | None:
    """A number, or text that is one; None for anything else, infinities and NaN included."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _hash(*parts: str) -> str:
    return blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


# --- answers of workers ---------------------------------------------------------------------------------------------


def parse_response(chunk: Chunk, place: Place, source: str, body: bytes) -> None:
    """One worker response: every answer of every worker for one data object."""
    document = parsed(chunk, source, body, dict)
    if document is None:
        return
    answers = document.get("answers")
    if not isinstance(answers, list) or not answers:
        chunk.reject(source, "no answers", "a worker response holds a list `answers`", len(body))
        return
    for position, answer in enumerate(answers):
        if not isinstance(answer, dict) or not isinstance(answer.get("workerId"), str) or "answerContent" not in answer:
            chunk.reject(f"{source}#{position}", "not an answer", "workerId or answerContent is missing", len(body))
            continue
        _parse_answer(chunk, place, source, position, answer)


def _parse_answer(chunk: Chunk, place: Place, source: str, position: int, answer: dict[str, Any]) -> None:
    content = answer["answerContent"]
    if isinstance(content, str):  # some templates of custom jobs submit text that is JSON
        try:
            content = loads(content)
        except (ValueError, RecursionError):
            content = {"text": content}
    metadata = answer.get("workerMetadata")
    identity = metadata.get("identityData") if isinstance(metadata, dict) else None
    identity = identity if isinstance(identity, dict) else {}
    worker, sub = answer["workerId"], _optional(identity.get("sub"))
    accepted, submitted = _moment(answer.get("acceptanceTime")), _moment(answer.get("submissionTime"))
    for name, read in (("acceptanceTime", accepted), ("submissionTime", submitted)):
        if read is None and answer.get(name) is not None:
            chunk.reject(f"{source}#{position}", "not a time", f"{name}: the answer is kept without", 0)
    seconds = _number(answer.get("timeSpentInSeconds"))
    if seconds is None and accepted and submitted:
        seconds = (submitted - accepted).total_seconds()
    if seconds is not None and not 0 <= seconds <= LONGEST_SECONDS:
        chunk.reject(f"{source}#{position}", "not a time", f"{seconds} seconds: the answer is kept without", 0)
        seconds = None
    text = dumps(_without_images(content))
    found = _answered(chunk, source, content)
    document = f"{source}#{position:06d}"
    _write_answer_shapes(chunk, document, found.shapes)
    chunk.new_facts.append((place.job_name, 2, found.task_type, place.modality or modality_of(found.task_type), ""))
    chunk.sheet(staging.PARSED_ANSWER).add(
        _hash(place.job_name, place.object_id, str(place.iteration), worker, str(answer.get("submissionTime")), text),
        document,
        place.job_name,
        place.object_id,
        place.iteration,
        worker,
        sub,
        _optional(identity.get("identityProviderType")) or ("Cognito" if sub else "public"),
        _optional(identity.get("issuer")),
        accepted,
        submitted,
        None if seconds is None else round(seconds, 6),
        found.labels,
        1 if found.entries is None else len(found.entries),
        found.choice,
        text,
        found.framed,
        found.entries,
        found.prefix,
        found.prefix.rstrip("/").rpartition("/")[2] if found.prefix else None,
        *found.size,
        source,
    )


def _optional(value: Any) -> str | None:
    return None if value is None or value == "" else as_text(value)


@dataclass(frozen=True)
class _Answered:
    """What an answer's content tells. `labels` is None where they lie in per-frame files, or nobody knows."""

    task_type: str
    shapes: _Shapes
    labels: int | None = None
    choice: str | None = None
    framed: str | None = None
    entries: list[str] | None = None
    prefix: str | None = None
    size: tuple[float | None, float | None] = (None, None)


_COUNTED = (
    ("boundingBoxes", "object-detection", "box"),
    ("entities", "text-span", "span"),
    ("labelMappings", "semantic-segmentation", "mask"),
    ("polygons", "custom", "polygon"),
    ("polylines", "custom", "polyline"),
    ("keypoints", "custom", "keypoint"),
    ("instances", "custom", "mask"),
)


def _answered(chunk: Chunk, source: str, content: Any) -> _Answered:
    """Templates name their elements as they like, so an answer is known by its members, not by its name."""
    shapes = _Shapes()
    if not isinstance(content, dict):
        return _Answered("custom", shapes)
    for key in _FRAMED:
        frames = content.get(key)
        data = frames.get("frameData") if isinstance(frames, dict) else None
        if isinstance(data, dict):
            listed = data.get("entries")
            entries = [as_text(each) for each in listed] if isinstance(listed, list) else []
            task_type = "video-object-tracking" if key == "trackingAnnotations" else "video-object-detection"
            return _Answered(task_type, shapes, None, None, key, entries, _optional(data.get("s3Prefix")))
    for name, value in content.items():
        if not isinstance(value, dict):
            continue
        image = "text" if name.startswith("crowd-classifier") else "image"
        if isinstance(value.get("label"), str):
            shapes.one(None, value["label"], "class")
            return _Answered(f"{image}-classification", shapes, 1, value["label"])
        if isinstance(value.get("labels"), list):
            for label in value["labels"]:
                shapes.one(None, as_text(label), "class")
            return _Answered(f"{image}-classification-multilabel", shapes, len(value["labels"]))
        for member, task_type, shape in _COUNTED:
            counted = value.get(member)
            if isinstance(counted, Collection) and not isinstance(counted, str):
                _read_answer(chunk, source, shapes, shape, counted)
                size = _image_size(value.get("inputImageProperties"))
                return _Answered(task_type, shapes, len(counted), size=size)
    return _Answered("custom", shapes)


def _read_answer(chunk: Chunk, source: str, shapes: _Shapes, shape: str, counted: Collection[Any]) -> None:
    """Shapes or spans of an answer to one image or text; a mask is one label with its color, without its pixels."""
    if isinstance(counted, dict):
        found = [
            {"label": label, **(told if isinstance(told, dict) else {"value": told})} for label, told in counted.items()
        ]
    else:
        found = [each if isinstance(each, dict) else {"value": each} for each in counted]
    count = len(found)
    shapes.frame_no.extend([0] * count)
    shapes.position.extend(range(count))
    for column in (shapes.frame, shapes.instance_id, shapes.instance_name):
        column.extend([None] * count)
    shapes.label = [_worker_label(each) for each in found]
    shapes.attributes = chunk.attributes_of([each.get("labelCategoryAttributes") for each in found])
    _read_places(chunk, source, shapes, found, ["" if shape == "box" else shape] * count)


def _without_images(content: Any) -> Any:
    """The content with the pixels of segmentation answers replaced by their size."""
    if not isinstance(content, dict):
        return content
    trimmed = dict(content)
    for name, value in content.items():
        image = value.get("labeledImage") if isinstance(value, dict) else None
        if isinstance(image, dict) and isinstance(image.get("pngImageData"), str):
            size = len(image["pngImageData"])
            trimmed[name] = {**value, "labeledImage": {**image, "pngImageData": f"{size} characters of base64"}}
    return trimmed


def parse_worker_frame(chunk: Chunk, place: Place, source: str, body: bytes) -> None:
    """One worker's labels of one frame."""
    document = parsed(chunk, source, body, dict, list)
    if document is None:
        return
    shapes = _Shapes()
    found: list[dict[str, Any]] = []
    kinds: list[str] = []
    for frame in document if isinstance(document, list) else [document]:
        inner = frame
        if isinstance(frame, dict):
            inner = next((frame[key] for key in _FRAMED if key in frame), frame)
        for each in inner if isinstance(inner, list) else [inner]:
            if not isinstance(each, dict):
                chunk.reject(source, "unexpected JSON", "a frame of labels was expected", len(body))
                return
            before = len(found)
            for key, kind in _WORKER_LISTS:
                listed = each.get(key)
                if isinstance(listed, list):
                    good = [shape for shape in listed if isinstance(shape, dict)]
                    found += good
                    kinds += repeat(kind, len(good))
                    if len(good) < len(listed):
                        chunk.reject(source, "not an annotation", f"{key}: {len(listed) - len(good)}", len(body))
            number = _number(each.get("frameNumber", each.get("frameNo")))
            count = len(found) - before
            shapes.frame_no += repeat(None if number is None or abs(number) > LAST_FRAME else int(number), count)
            shapes.frame += repeat(_optional(each.get("frame", each.get("frameName"))), count)
    shapes.position = list(range(len(found)))
    shapes.instance_id = _identities([each.get("objectId") for each in found])
    shapes.instance_name = _identities([each.get("objectName") for each in found])
    shapes.label = [_worker_label(each) for each in found]
    shapes.attributes = chunk.attributes_of([each.get("labelCategoryAttributes") for each in found])
    _read_places(chunk, source, shapes, found, kinds)
    _write_answer_shapes(chunk, source, shapes)
    name = source.rpartition("/")[2]
    chunk.sheet(staging.PARSED_WORKER_FRAME).add(
        place.job_name, place.object_id, place.folder, name, len(found), source
    )


def _worker_label(shape: dict[str, Any]) -> str:
    label = shape.get("label")
    return label if isinstance(label, str) else "" if label is None else as_text(label)


def _write_answer_shapes(chunk: Chunk, document: str, shapes: _Shapes) -> None:
    """Labels of an answer, or of one frame of it, to the sheet."""
    if shapes.label:
        chunk.sheet(staging.PARSED_ANSWER_ANNOTATION).extend(
            len(shapes.label),
            (
                document,
                shapes.frame_no,
                shapes.frame,
                shapes.position,
                shapes.instance_id,
                shapes.instance_name,
                shapes.label,
                shapes.shape,
                shapes.left,
                shapes.top,
                shapes.width,
                shapes.height,
                shapes.geometry,
                shapes.attributes,
            ),
        )


# --- consolidated labels --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """What holds for all annotations of one data object."""

    job_name: str
    modality: str
    task_type: str
    object_id: str
    source_ref: str | None
    human: bool | None
    created_at: datetime | None
    source: str
    names: dict[str, str] = field(default_factory=dict)
    part: str = ""

    @property
    def head(self) -> tuple[str, str, str]:
        """The job's columns."""
        return (self.job_name, self.modality, self.task_type)

    @property
    def day(self) -> date | None:
        """The day that counts are kept by."""
        return self.created_at.date() if self.created_at else None


@dataclass
class _Shapes:
    """Annotations of one document by column, in frame order. An entry of `attributes` is a staged map's text."""

    frame_no: list[int | None] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    frame: list[str | None] = field(default_factory=list)
    instance_id: list[str | None] = field(default_factory=list)
    instance_name: list[str | None] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    shape: list[str] = field(default_factory=list)
    left: list[float | None] = field(default_factory=list)
    top: list[float | None] = field(default_factory=list)
    width: list[float | None] = field(default_factory=list)
    height: list[float | None] = field(default_factory=list)
    geometry: list[str | None] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    confidence: list[float | None] = field(default_factory=list)

    def one(
        self,
        frame: str | None,
        label: str,
        shape: str,
        *,
        geometry: str | None = None,
        confidence: float | None = None,
        box: tuple[float | None, ...] = (None, None, None, None),
    ) -> None:
        """One annotation of a data object that is a single frame."""
        self.frame_no.append(0)
        self.position.append(len(self.position))
        self.frame.append(frame)
        self.instance_id.append(None)
        self.instance_name.append(None)
        self.label.append(label)
        self.shape.append(shape)
        for column, value in zip((self.left, self.top, self.width, self.height), box, strict=True):
            column.append(value)
        self.geometry.append(geometry)
        self.attributes.append(NO_ATTRIBUTES)
        self.confidence.append(confidence)


def _write_shapes(chunk: Chunk, document: Document, shapes: _Shapes) -> None:
    """Annotations of a document to the sheet and into the tallies."""
    count = len(shapes.label)
    if not count:
        return
    chunk.sheet(staging.PARSED_ANNOTATION).extend(
        count,
        (
            _hash(*document.head, document.object_id, document.part),
            *document.head,
            document.object_id,
            document.source_ref,
            shapes.frame_no,
            shapes.position,
            shapes.frame,
            shapes.instance_id,
            shapes.instance_name,
            shapes.label,
            shapes.shape,
            shapes.left,
            shapes.top,
            shapes.width,
            shapes.height,
            shapes.geometry,
            shapes.attributes,
            shapes.confidence,
            document.human,
            document.created_at,
            document.source,
        ),
    )
    _tally(chunk, document, shapes)


def _tally(chunk: Chunk, document: Document, shapes: _Shapes) -> None:
    """Adds to the pre-aggregates. Frames and tracked objects belong to one document, so its distinct counts add up."""
    if len(shapes.label) == 1:  # an image or text has mostly one label
        head, label, attributes, day = document.head, shapes.label[0], shapes.attributes[0], document.day
        chunk.new_counts.append((chunk.labels, (head, label, attributes, day), (1, 1, 1)))
        for name, value in (("", ""), *(loads(attributes) if attributes != NO_ATTRIBUTES else ())):
            chunk.new_counts.append((chunk.attributes, (head, label, (name, value), day), (1, 1, 1)))
        return
    groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row, key in enumerate(zip(shapes.label, shapes.attributes, strict=True)):
        groups[key].append(row)
    frame_no, instance_id = shapes.frame_no, shapes.instance_id
    by_pair: dict[tuple[str, tuple[str, str]], tuple[int, set[Any], set[Any]]] = {}
    for (label, attributes), rows in groups.items():
        frames = {frame_no[row] for row in rows}
        # An annotation that is not tracked is an object of its own, known by its row.
        instances = {row if instance_id[row] is None else instance_id[row] for row in rows}
        cell = (document.head, label, attributes, document.day)
        chunk.new_counts.append((chunk.labels, cell, (len(rows), len(frames), len(instances))))
        for name, value in (("", ""), *loads(attributes)):
            known = by_pair.get((label, (name, value)), (0, set(), set()))
            by_pair[label, (name, value)] = (known[0] + len(rows), known[1] | frames, known[2] | instances)
    for (label, pair), (count, frames, instances) in by_pair.items():
        chunk.new_counts.append(
            (chunk.attributes, (document.head, label, pair, document.day), (count, len(frames), len(instances)))
        )


def _write_frame(
    chunk: Chunk,
    document: Document,
    number: int,
    name: str | None,
    *,
    labels: int,
    attributes: str,
    size: tuple[float | None, float | None] = (None, None),
) -> None:
    chunk.sheet(staging.PARSED_FRAME).add(
        *document.head,
        document.object_id,
        document.source_ref,
        number,
        name,
        *size,
        labels,
        attributes,
        document.created_at,
        document.source,
    )
    key = (document.head, labels, attributes, document.day)
    chunk.new_counts.append((chunk.frames, key, (1,)))


def parse_sequence(chunk: Chunk, document: Document, label_attribute: str, body: bytes) -> None:
    """SeqLabel.json: the labels of a sequence of video frames or point clouds, also of several linked sensors."""
    content = parsed(chunk, document.source, body, dict)
    if content is None:
        return
    parts = _sequence_parts(content)
    if not parts:
        reason = "no tracking-annotations or detection-annotations in it"
        chunk.reject(document.source, "not a sequence", reason, len(body))
        return
    counts = [0, 0]
    audited = False
    for sensor, key, frames in parts:
        task_type = document.task_type or _sequence_type(key, frames)
        modality = document.modality or modality_of(task_type)
        source = f"{document.source}#{sensor}" if sensor else document.source
        part = Document(
            document.job_name,
            modality,
            task_type,
            document.object_id,
            document.source_ref,
            document.human,
            document.created_at,
            source,
            document.names,
            sensor,
        )
        chunk.new_facts.append((part.job_name, 1, part.task_type, part.modality, label_attribute))
        shapes, frame_count = _parse_frames(chunk, part, frames, len(body))
        counts[0] += len(shapes.label)
        counts[1] += frame_count
        audited = audited or any(
            name == AUDIT_ATTRIBUTE for attributes in set(shapes.attributes) for name, _ in loads(attributes)
        )
        document = part if not document.task_type else document
        _write_shapes(chunk, part, shapes)
    chunk.sheet(staging.PARSED_TASK).add(
        *document.head,
        document.object_id,
        document.source_ref,
        label_attribute or None,
        "labeled",
        None,
        None,
        None,
        None,
        *counts,
        audited,
        document.created_at,
    )


def _sequence_parts(content: dict[str, Any]) -> list[tuple[str, str, list[Any]]]:
    """(sensor, key, frames) of every list of frames: one, or one per sensor of linked lidar and cameras."""
    found = [("", key, content[key]) for key in _SEQUENCES if isinstance(content.get(key), list)]
    for sensor, inner in content.items():
        if isinstance(inner, dict):
            found += [(sensor, key, inner[key]) for key in _SEQUENCES if isinstance(inner.get(key), list)]
    return found


def _sequence_type(key: str, frames: list[Any]) -> str:
    """The task type of a sequence that no manifest describes."""
    for frame in frames:
        for shape in _listed(frame):
            if "center-x" in shape:
                return _SEQUENCES[key].replace("video-", "point-cloud-").replace("-", "_")
            return _SEQUENCES[key]
    cloud = any(isinstance(each, dict) and "frame-number" in each for each in frames)
    return "point_cloud_object_tracking" if cloud else _SEQUENCES[key]


def _listed(frame: Any) -> Iterable[dict[str, Any]]:
    if isinstance(frame, dict):
        for key, _ in _LISTS:
            shapes = frame.get(key)
            if isinstance(shapes, list):
                yield from (each for each in shapes if isinstance(each, dict))


def _parse_frames(chunk: Chunk, document: Document, frames: list[Any], size: int) -> tuple[_Shapes, int]:
    """The annotations in order of frame numbers, and the number of frames, each of which is written."""
    numbered = _numbered(chunk, document, frames, size)
    found: list[dict[str, Any]] = []
    kinds: list[str] = []
    shapes = _Shapes()
    names: list[str | None] = []
    counts: list[int] = []
    frame_attributes: list[Any] = []
    for number, same in numbered:
        name = _optional(same[0].get("frame", same[0].get("frame-name")))
        before = len(found)
        for frame in same:
            _list_shapes(chunk, document, frame, number, found=found, kinds=kinds)
        count = len(found) - before
        shapes.frame_no += repeat(number, count)
        shapes.position += range(count)
        shapes.frame += repeat(name, count)
        names.append(name)
        counts.append(count)
        frame_attributes.append(_joined_attributes(same))
    _read_shapes(chunk, document, shapes, found, kinds)
    for (number, _), name, count, attributes in zip(
        numbered, names, counts, chunk.attributes_of(frame_attributes), strict=True
    ):
        _write_frame(chunk, document, number, name, labels=count, attributes=attributes)
    return shapes, len(numbered)


def _numbered(chunk: Chunk, document: Document, frames: list[Any], size: int) -> list[tuple[int, list[dict[str, Any]]]]:
    """Frames by number in order; a number that occurs twice has two."""
    numbered: dict[int, list[dict[str, Any]]] = {}
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict):
            chunk.reject(f"{document.source}#{index}", "not a frame", dumps(frame), size)
            continue
        number = _number(frame.get("frame-no", frame.get("frame-number")))
        if number is None or abs(number) > LAST_FRAME:
            chunk.reject(f"{document.source}#{index}", "frame without number", "its place in the list is taken", size)
            number = index
        same = numbered.setdefault(int(number), [])
        if same:
            chunk.reject(f"{document.source}#{index}", "frame number twice", f"frames {int(number)} are joined", size)
        same.append(frame)
    return sorted(numbered.items(), key=itemgetter(0))


def _joined_attributes(same: list[dict[str, Any]]) -> Any:
    if len(same) == 1:
        return same[0].get("frame-attributes")
    return dict(pair for each in same for pair in pairs(each.get("frame-attributes")))


def _list_shapes(
    chunk: Chunk,
    document: Document,
    frame: dict[str, Any],
    number: int,
    *,
    found: list[dict[str, Any]],
    kinds: list[str],
) -> None:
    """Appends the shapes of one frame, and what their lists tell of their kinds."""
    for key, kind in _LISTS:
        listed = frame.get(key)
        if not listed:
            continue
        listed = listed if isinstance(listed, list) else [listed]
        good = [each for each in listed if isinstance(each, dict)]
        if len(good) < len(listed):
            for each in listed:
                if not isinstance(each, dict):
                    chunk.reject(f"{document.source}#{number}", "not an annotation", dumps(each), 0)
        found += good
        kinds += repeat(kind, len(good))


def _read_shapes(
    chunk: Chunk, document: Document, shapes: _Shapes, found: list[dict[str, Any]], kinds: list[str]
) -> None:
    """All annotations of a document, column by column: the loops that decide how fast the whole job is."""
    shapes.instance_id = _identities([each.get("object-id") for each in found])
    shapes.instance_name = _identities([each.get("object-name") for each in found])
    shapes.label = _labels_of(found, document.names)
    shapes.attributes = chunk.attributes_of([each.get("label-category-attributes") for each in found])
    shapes.confidence = [None] * len(found)
    _read_places(chunk, document.source, shapes, found, kinds)


def _read_places(chunk: Chunk, source: str, shapes: _Shapes, found: list[dict[str, Any]], kinds: list[str]) -> None:
    """Shape, box and geometry of annotations, column by column."""
    sides: list[tuple[Any, ...]] = []
    try:
        sides = list(zip(*map(_SIDES, found), strict=True))
        boxes = not any(kinds) and not any("center-x" in each for each in found)
    except KeyError:
        boxes = False
    if boxes:
        shapes.shape = ["box"] * len(found)
        shapes.geometry = [None] * len(found)
    else:
        shapes.shape = [kind or _kind_of(each) for kind, each in zip(kinds, found, strict=True)]
        whole = [kind == "box" for kind in shapes.shape]
        shapes.geometry = [None if box else _geometry_of(each) for box, each in zip(whole, found, strict=True)]
        placed = [_SIDES(each) if box else (None, None, None, None) for box, each in zip(whole, found, strict=True)]
        sides = list(zip(*placed, strict=True))
    if sides:
        shapes.left = _pixels(chunk, source, shapes, "left", sides[0])
        shapes.top = _pixels(chunk, source, shapes, "top", sides[1])
        shapes.width = _pixels(chunk, source, shapes, "width", sides[2])
        shapes.height = _pixels(chunk, source, shapes, "height", sides[3])


def _labels_of(found: list[dict[str, Any]], names: dict[str, str]) -> list[str]:
    """The class name of every shape; few differ, so each is worked out once."""
    numbers: list[Any] = [each.get("class-id") for each in found]
    with suppress(TypeError):  # a list is no class id, and cannot be looked up
        if set(numbers) <= names.keys():
            return list(map(names.__getitem__, numbers))
    keys: list[Any] = [(each.get("class-id"), each.get("object-name")) for each in found]
    if not set(map(type, chain.from_iterable(keys))) <= {
        str,
        int,
    }:  # None leaves it to the label; True is 1 to a dict; a list cannot be a key
        keys = [encoded([*key, each.get("label")]) for key, each in zip(keys, found, strict=True)]
    labels = {key: _label_of(each, names) for key, each in dict(zip(keys, found, strict=True)).items()}
    return [labels[key] for key in keys]


def _kind_of(shape: dict[str, Any]) -> str:
    """The kind of a shape in a list that does not tell it."""
    if "center-x" in shape or "centerX" in shape:
        return "cuboid"
    return "box" if all(side in shape for side in ("left", "top", "width", "height")) else "custom"


def _geometry_of(shape: dict[str, Any]) -> str:
    """All of a shape but its name and attributes, as JSON."""
    return dumps({key: value for key, value in shape.items() if key not in _NAMED})


def _pixels(chunk: Chunk, source: str, shapes: _Shapes, key: str, values: Sequence[Any]) -> list[float | None]:
    """One side of every box: text that is a number is read, anything else is rejected and left out."""
    if set(map(type, values)) <= {int, float}:
        with suppress(OverflowError):
            return list(map(float, values))
    numbers = [_number(each) for each in values]
    for number, value, frame in zip(numbers, values, shapes.frame_no, strict=True):
        if number is None and value is not None:
            chunk.reject(f"{source}#{frame}", "not a number", f"{key}: {dumps(value)}", 0)
    return numbers


def _identities(values: list[Any]) -> list[str | None]:
    if set(map(type, values)) <= {str, type(None)}:
        return values
    return [_identity(each) for each in values]


def _identity(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else as_text(value)


def _label_of(shape: dict[str, Any], names: dict[str, str]) -> str:
    """The class name by the job's class map, else by the object's own name (`Vehicle:1`), else the class id."""
    number = shape.get("class-id")
    label = names.get(number if isinstance(number, str) else as_text(number))
    if label is not None:
        return label
    name = shape.get("object-name")
    if isinstance(name, str) and ":" in name:
        return name.rpartition(":")[0]
    given = shape.get("label", number)
    return "" if given is None else as_text(given)


# --- manifests ------------------------------------------------------------------------------------------------------


def parse_manifest_line(chunk: Chunk, place: Place, source: str, number: int, line: bytes) -> bool:
    """One line of an output manifest: one data object with its labels. False if it had to be rejected whole."""
    where = f"{source}#{number}"
    record = parsed(chunk, where, line, dict)
    if record is None:
        return False
    found_pairs = _labels_with_metadata(record)
    own = _own(found_pairs, place.job)
    chained = [each for each in found_pairs if each not in own] if len(own) < len(found_pairs) else []
    for attribute, metadata in chained or [("", {})]:
        chunk.new_chains.append((place.job_name, place.job.lower(), attribute, _job_named(metadata)))
    if not own:
        detail = f"of {', '.join(sorted(map(str, record)))[:200]} none is a label with metadata"
        chunk.reject(where, "label attribute missing", detail, len(line))
        return False
    reference = record.get("source-ref", record.get("source"))
    source_ref = INVISIBLE.sub("", as_text(reference)) if reference is not None else None
    labeled: list[_Labeled] = []
    pointed = any(_is_pointer(record.get(attribute)) for attribute, _ in own)
    for attribute, metadata in own:
        task_type = as_text(metadata.get("type") or "").removeprefix("groundtruth/").lower()
        if task_type and task_type not in TASK_TYPES:
            chunk.reject(where, "unknown task type", f"{task_type}: kept as a custom label", len(line))
        task_type = task_type or _inferred_type(record.get(attribute))
        document = Document(
            place.job_name,
            place.modality or modality_of(task_type),
            task_type,
            str(number),
            source_ref,
            {"yes": True, "no": False}.get(as_text(metadata.get("human-annotated", "")).lower()),
            _moment(metadata.get("creation-date")),
            where,
            _class_names(metadata),
            attribute,
        )
        chunk.new_facts.append((place.job_name, 0, task_type, document.modality, attribute))
        for name in document.names.values():
            chunk.new_categories.append(((place.job_name, "label", name, None, None), where))
        found = _parse_label(
            chunk, document, record.get(attribute), metadata, len(line), first=not labeled and not pointed
        )
        if found:
            labeled.append(found)
    if labeled and not pointed:  # else the frames are those of the sequence
        _write_frame(
            chunk,
            labeled[0].document,
            0,
            labeled[0].frame,
            labels=sum(each.count for each in labeled),
            attributes=chunk.attributes_of([_merged([each.attributes for each in labeled])])[0],
            size=next((each.size for each in labeled if each.size != (None, None)), (None, None)),
        )
    return True


@dataclass(frozen=True)
class _Labeled:
    """What one label in a manifest line tells about its frame: all labels of a line are of one."""

    document: Document
    frame: str | None
    count: int
    attributes: Any
    size: tuple[float | None, float | None]


def _merged(attributes: list[Any]) -> Any:
    told = [each for each in attributes if each]
    return told[0] if len(told) == 1 else dict(pair for each in told for pair in pairs(each)) or None


def _is_pointer(value: Any) -> bool:
    """Whether a label is the URI of a sequence file."""
    return isinstance(value, str) and value.endswith(".json") and "annotation" in value


def _labels_with_metadata(record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(label attribute, metadata) pairs. A failed object has metadata alone; real files also misname the metadata."""
    metadata = {key: value for key, value in record.items() if key.endswith("-metadata") and _is_metadata(value)}
    labels = [key for key in record if not key.endswith("metadata") and key not in ("source", "source-ref")]
    paired = [
        (key.removesuffix("-metadata"), value)
        for key, value in metadata.items()
        if key.removesuffix("-metadata") in record
    ]
    known = {attribute for attribute, _ in paired}
    loose = [(key, value) for key, value in metadata.items() if key.removesuffix("-metadata") not in known]
    free = [key for key in labels if key not in known]
    for key, value in loose:
        attribute = key.removesuffix("-metadata")
        if "failure-reason" in value or len(loose) > 1 or len(free) != 1:
            paired.append((attribute, value))
        else:
            paired.append((free[0], value))
    return paired


def _is_metadata(value: Any) -> bool:
    """Ground Truth's metadata, and not some other member that a customer named like it."""
    return isinstance(value, dict) and bool(value.keys() & {"type", "job-name", "failure-reason", "creation-date"})


def _own(found: list[tuple[str, dict[str, Any]]], job: str) -> list[tuple[str, dict[str, Any]]]:
    """The labels that this job made: a chained manifest carries those of the jobs before it, too.

    They are told by the job's name in the metadata; where none of them bears the folder's name (a copied or renamed
    output), all are this job's.
    """
    own = [each for each in found if _job_named(each[1]) in ("", job.lower())]
    return own if any(_job_named(each[1]) for each in own) else found


def _job_named(metadata: dict[str, Any]) -> str:
    """Ground Truth's name of the job that made a label, lower-cased as it often is there; empty when not told."""
    return as_text(metadata.get("job-name", "")).rpartition("/")[2].lower()


def _parse_label(
    chunk: Chunk, document: Document, value: Any, metadata: dict[str, Any], size: int, *, first: bool
) -> _Labeled | None:
    """One label of one data object; `document.part` is the label attribute.

    The `first` label of a frame counts it. The label is returned if it lies in the manifest line itself.
    """
    labeled = None
    task_type, where = document.task_type, document.source
    failure = metadata.get("failure-reason")
    adjusted = {"adjusted": True, "unadjusted": False}.get(as_text(metadata.get("adjustment-status", "")).lower())
    shapes, pointed = _Shapes(), False
    if failure is None and value is None:
        chunk.reject(where, "label attribute missing", f"{document.part} has metadata, but no value", size)
        failure = "label attribute missing"
    if failure is None:
        frame = _file_name(document.source_ref) if not task_type.startswith("text") else None
        pointed = _is_pointer(value)
        if pointed:
            chunk.sheet(staging.REFERENCE).add(
                *document.head,
                document.object_id,
                document.source_ref,
                _target(value),
                dumps(document.names),
                document.human,
                document.created_at,
            )
        else:
            reader: Callable[..., bool] = _READERS.get(task_type, _read_custom)
            if not reader(shapes, frame, value, metadata, document.names):
                chunk.reject(where, "unexpected label", f"{task_type}: {dumps(value)[:200]}", size)
                shapes = _Shapes()
                _read_custom(shapes, frame, value)
            _add_inline_attributes(chunk, shapes, value)
            _write_shapes(chunk, document, shapes)
            told = value.get("image_size") if isinstance(value, dict) else None
            image = _image_size(told[0] if isinstance(told, list) and told else None)
            labeled = _Labeled(document, frame, len(shapes.label), _inline_frame_attributes(value), image)
    single = task_type in _SINGLE_CHOICE and len(shapes.label) == 1
    chunk.sheet(staging.PARSED_TASK).add(
        *document.head,
        document.object_id,
        document.source_ref,
        document.part,
        "labeled" if failure is None else "failed",
        _optional(failure),
        adjusted,
        shapes.label[0] if single else None,
        shapes.confidence[0] if single else None,
        None if pointed else len(shapes.label),
        None if pointed else int(first and failure is None),
        task_type == "label-verification" and failure is None,
        document.created_at,
    )
    return labeled


def _image_size(told: Any) -> tuple[float | None, float | None]:
    """Width and height in pixels; both or none."""
    if not isinstance(told, dict):
        return None, None
    width, height = _number(told.get("width")), _number(told.get("height"))
    return (width, height) if width and height and width > 0 and height > 0 else (None, None)


def _file_name(source_ref: str | None) -> str | None:
    return source_ref.rpartition("/")[2] if source_ref else None


def _target(uri: str) -> str:
    """The key of a sequence file below its job's folder: jobs are copied to other buckets, their inside stays."""
    start = uri.find("/annotations/")
    return uri[start + 1 :] if start >= 0 else uri.rpartition("/")[2]


def _class_names(metadata: dict[str, Any]) -> dict[str, str]:
    for key in ("class-map", "class_map"):
        names = metadata.get(key)
        if isinstance(names, dict):
            return {str(number): as_text(name) for number, name in names.items()}
    return {}


def _inferred_type(value: Any) -> str:
    """The task type of a label whose metadata does not tell it."""
    if isinstance(value, dict) and isinstance(value.get("annotations"), list) and "image_size" in value:
        return "object-detection"
    if isinstance(value, dict) and isinstance(value.get("annotations"), dict) and "entities" in value["annotations"]:
        return "text-span"
    return "custom"


def _confidences(metadata: dict[str, Any], key: str, count: int) -> list[float | None]:
    listed = metadata.get(key)
    if not isinstance(listed, list) or len(listed) != count:
        return [None] * count
    return [_number(each.get("confidence")) if isinstance(each, dict) else None for each in listed]


def _read_class(
    shapes: _Shapes,
    frame: str | None,
    value: Any,
    metadata: dict[str, Any],
    names: dict[str, str],
    *,
    shape: str = "class",
) -> bool:
    """image-classification, text-classification: a class number (text in the manuals, an integer in real files)."""
    if not isinstance(value, int | str):
        return False
    name = metadata.get("class-name")
    label = as_text(name) if name is not None else names.get(as_text(value), as_text(value))
    shapes.one(frame, label, shape, confidence=_number(metadata.get("confidence")))
    return True


def _read_verdict(
    shapes: _Shapes, frame: str | None, value: Any, metadata: dict[str, Any], names: dict[str, str]
) -> bool:
    """label-verification: a class, with what the workers remarked."""
    if not _read_class(shapes, frame, value, metadata, names, shape="verdict"):
        return False
    feedback = metadata.get("worker-feedback")
    shapes.geometry[-1] = dumps({"worker-feedback": feedback}) if feedback else None
    return True


def _read_classes(
    shapes: _Shapes, frame: str | None, value: Any, metadata: dict[str, Any], names: dict[str, str]
) -> bool:
    """Multi-label classification: a list of class numbers with maps of names and confidences."""
    if not isinstance(value, list):
        return False
    confidences = metadata.get("confidence-map")
    confidences = confidences if isinstance(confidences, dict) else {}
    for each in value:
        number = as_text(each)
        shapes.one(frame, names.get(number, number), "class", confidence=_number(confidences.get(number)))
    return True


def _read_boxes(
    shapes: _Shapes, frame: str | None, value: Any, metadata: dict[str, Any], names: dict[str, str]
) -> bool:
    """object-detection: boxes in pixels, no whole numbers when several workers' boxes were joined."""
    boxes = value.get("annotations") if isinstance(value, dict) else None
    if not isinstance(boxes, list) or not all(isinstance(each, dict) for each in boxes):
        return False
    for box, confidence in zip(boxes, _confidences(metadata, "objects", len(boxes)), strict=True):
        number = as_text(box.get("class_id", ""))
        place = tuple(_number(box.get(key)) for key in ("left", "top", "width", "height"))
        shapes.one(frame, names.get(number, number), "box", confidence=confidence, box=place)
    return True


def _read_mask(shapes: _Shapes, frame: str | None, value: Any, metadata: dict[str, Any], names: dict[str, str]) -> bool:
    """Semantic segmentation of images and point clouds: one annotation per class of the file's color map."""
    colors = next((metadata[key] for key in ("internal-color-map", "color-map") if key in metadata), None)
    if not isinstance(value, str) or not isinstance(colors, dict):
        return False
    for number, color in colors.items():
        if not isinstance(color, dict):
            return False
        label = as_text(color.get("class-name", names.get(number, number)))
        if label != BACKGROUND:
            geometry = dumps({"mask": value, "color": color.get("hex-color")})
            shapes.one(frame, label, "mask", geometry=geometry, confidence=_number(color.get("confidence")))
    return True


def _read_spans(shapes: _Shapes, frame: str | None, value: Any, metadata: dict[str, Any], _: dict[str, str]) -> bool:
    """text-span: named entities by character offsets."""
    inner = value.get("annotations") if isinstance(value, dict) else None
    spans = inner.get("entities") if isinstance(inner, dict) else None
    if not isinstance(spans, list) or not all(isinstance(each, dict) for each in spans):
        return False
    for span, confidence in zip(spans, _confidences(metadata, "entities", len(spans)), strict=True):
        geometry = dumps({key: each for key, each in span.items() if key != "label"})
        shapes.one(frame, as_text(span.get("label", "")), "span", geometry=geometry, confidence=confidence)
    return True


def _read_cuboids(shapes: _Shapes, frame: str | None, value: Any, _: dict[str, Any], names: dict[str, str]) -> bool:
    """point_cloud_object_detection: cuboids in the line itself."""
    cuboids = value.get("annotations") if isinstance(value, dict) else None
    if not isinstance(cuboids, list) or not all(isinstance(each, dict) for each in cuboids):
        return False
    for cuboid in cuboids:
        geometry = dumps({key: each for key, each in cuboid.items() if key not in _NAMED})
        shapes.one(frame, _label_of(cuboid, names), "cuboid", geometry=geometry)
        shapes.instance_id[-1] = _identity(cuboid.get("object-id"))
        shapes.instance_name[-1] = _identity(cuboid.get("object-name"))
    return True


def _read_custom(shapes: _Shapes, frame: str | None, value: Any, *_: Any) -> bool:
    """A custom task: only its owner knows what the label means, so it is kept as it is."""
    shapes.one(frame, "", "custom", geometry=dumps(value))
    return True


_READERS: dict[str, Callable[..., bool]] = {
    "image-classification": _read_class,
    "text-classification": _read_class,
    "image-classification-multilabel": _read_classes,
    "text-classification-multilabel": _read_classes,
    "object-detection": _read_boxes,
    "semantic-segmentation": _read_mask,
    "point_cloud_single_frame_semantic_segmentation": _read_mask,
    "text-span": _read_spans,
    "label-verification": _read_verdict,
    "point_cloud_object_detection": _read_cuboids,
    "custom": _read_custom,
}


def _add_inline_attributes(chunk: Chunk, shapes: _Shapes, value: Any) -> None:
    """Label attributes of shapes that a manifest line holds itself."""
    listed = value.get("annotations") if isinstance(value, dict) else None
    if isinstance(listed, list) and len(listed) == len(shapes.attributes):
        shapes.attributes = chunk.attributes_of(
            [each.get("label-category-attributes") if isinstance(each, dict) else None for each in listed]
        )


def _inline_frame_attributes(value: Any) -> Any:
    return value.get("frame-attributes") if isinstance(value, dict) else None
