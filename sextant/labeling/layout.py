"""What an object is, told from its key: the folder knowledge about Ground Truth's output.

Two layouts are known: the batch workflow's `{modality}/{batch}-{level}-{job}/output/{job}/…`, and anybody's
`{anything}/{job}/…`; below the job's folder both have `annotations/…` and `manifests/…`. Parts of an output that were
copied somewhere are recognised too: a folder with `worker-response/` and `output.manifest`, or a lone `SeqLabel.json`.

Beside them may lie, of a job in the same input:
- gold labels: `gold/{job}.jsonl` anywhere, or `true_labels.json` in the job's folder;
- its input manifest, as the batch workflow leaves it: `processed/data.manifest` in the job's folder;
- its label category configuration: `category-file.json` (the batch workflow's name), `label-categories.json` or
  `label_category_config.json` in a folder called like the job, or `annotation-tool/data.json` in the job's folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

TASK_TYPES = (
    "image-classification",
    "image-classification-multilabel",
    "text-classification",
    "text-classification-multilabel",
    "object-detection",
    "semantic-segmentation",
    "text-span",
    "label-verification",
    "video-object-detection",
    "video-object-tracking",
    "point_cloud_object_detection",
    "point_cloud_object_tracking",
    "point_cloud_single_frame_semantic_segmentation",
    "custom",
)
"""The types of Ground Truth's metadata (`groundtruth/{type}`) that have a parser of their own."""


def modality_of(task_type: str) -> str:
    """The modality as the batch workflow names it: `point_cloud_object_tracking` is `PointCloudObjectTracking`."""
    words = re.split(r"[-_ ]+", task_type.replace("single_frame_", ""))
    return "".join(word[:1].upper() + word[1:] for word in words)


MODALITIES = frozenset(modality_of(each) + audit for each in TASK_TYPES for audit in ("", "Audit"))

_WORKINGS = frozenset({"activelearning", "inference", "training", "temp", "processed"})
_SECTIONS = frozenset({"annotations", "manifests", "worker-response", "annotation-tool", *_WORKINGS})
_CATEGORIES = re.compile(r"category-file\.json|label[-_]categor(y|ies)([-_](file|config|configuration))?\.json")
_LEVEL = re.compile(r"-(first|second|third)_level-")


class Kind(StrEnum):
    """What an object holds."""

    MANIFEST = "manifest"  # output.manifest: one line per data object
    SEQUENCE = "sequence"  # SeqLabel.json: consolidated labels of one sequence of frames
    RESPONSE = "response"  # the answers of all workers for one data object
    WORKER_FRAME = "worker frame"  # one worker's labels of one frame
    GOLD = "gold labels"  # what an expert says is right
    CATEGORIES = "label categories"  # the label category configuration of a job
    INPUT = "input manifest"  # what the batch workflow gave a job to label
    WORKINGS = "workings"  # known parts of an output that hold nothing a report needs
    FOREIGN = "foreign"  # not part of a Ground Truth output


@dataclass(frozen=True)
class Place:
    """Where an object belongs. `job` is Ground Truth's own name of the job, `job_name` the name in reports.

    `home` is the job's folder below the input, and `path` the object's key below that.
    """

    kind: Kind
    job_name: str = ""
    job: str = ""
    modality: str = ""
    object_id: str = ""
    iteration: int = 1
    folder: str = ""
    home: str = ""
    path: str = ""


BESIDE = frozenset({Kind.GOLD, Kind.CATEGORIES, Kind.INPUT})
"""What is no output of Ground Truth, but tells of a job's."""


def batch_of(job_name: str) -> str:
    """The batch of a job of the batch workflow; any other job is a batch of its own."""
    found = _LEVEL.search(job_name)
    return job_name[: found.start()] if found else job_name


def level_of(job_name: str) -> str:
    """first, second or third for a job of the batch workflow; empty for any other."""
    found = _LEVEL.search(job_name)
    return found[1] if found else ""


def place_of(key: str, root_name: str) -> Place:
    """Recognises an object by its key relative to the input; `root_name` names the job of objects without a folder."""
    parts = key.split("/")
    if not parts[-1] or parts[-1].endswith("_$folder$"):
        return Place(Kind.WORKINGS)  # a folder marker of the S3 console or of Hadoop
    start = next((n for n, part in enumerate(parts[:-1]) if part in _SECTIONS), len(parts) - 1)
    root, tail = parts[:start], parts[start:]
    job = root[-1] if root else root_name
    job_name, modality = job, ""
    if len(root) >= 4 and root[-2] == "output" and root[-4] in MODALITIES:
        job_name, modality = root[-3], root[-4]
    if not root and len(tail) == 1 and tail[0].endswith(".output.manifest"):
        job = job_name = tail[0].removesuffix(".output.manifest")
    if parts[-2:-1] == ["gold"] and tail[-1].endswith(".jsonl"):
        job = job_name = tail[-1].removesuffix(".jsonl")
        return Place(Kind.GOLD, job_name, job, path=parts[-1])
    return replace(_recognise(tail, job_name, job, modality), home="/".join(root), path="/".join(tail))


def _recognise(tail: list[str], job_name: str, job: str, modality: str) -> Place:
    """`tail` is the key below the job's folder."""
    if tail[0] == "annotations":
        tail = tail[1:]
    match tail:
        case ["worker-response", iteration, object_id, file] if file.endswith(".json"):
            return Place(Kind.RESPONSE, job_name, job, modality, object_id, _iteration(iteration))
        case ["worker-response", iteration, object_id, folder, file] if file.endswith(".json"):
            return Place(Kind.WORKER_FRAME, job_name, job, modality, object_id, _iteration(iteration), folder)
        case ["worker-response", *_]:
            return Place(Kind.WORKINGS)  # masks that a worker drew
        case ["consolidated-annotation", "output", object_id, "SeqLabel.json"]:
            return Place(Kind.SEQUENCE, job_name, job, modality, object_id)
        case ["consolidated-annotation" | "intermediate", *_]:
            return Place(Kind.WORKINGS)
        case ["manifests", "output", "output.manifest"]:
            return Place(Kind.MANIFEST, job_name, job, modality)
        case ["manifests", *_]:
            return Place(Kind.WORKINGS)
        case ["processed", "data.manifest"]:
            return Place(Kind.INPUT, job_name, job, modality)
        case [section, _, *_] if section in _WORKINGS:
            return Place(Kind.WORKINGS)
        case ["annotation-tool", "data.json"]:
            return Place(Kind.CATEGORIES, job_name, job, modality)
        case ["annotation-tool", *_]:
            return Place(Kind.WORKINGS)
        case ["true_labels.json"]:
            return Place(Kind.GOLD, job_name, job, modality)
        case [file] if _CATEGORIES.fullmatch(file):
            return Place(Kind.CATEGORIES, job_name, job, modality)
        case ["SeqLabel.json"]:
            return Place(Kind.SEQUENCE, job_name, job, modality, "0")
        case [file] if file == "output.manifest" or file.endswith(".output.manifest"):
            return Place(Kind.MANIFEST, job_name, job, modality)
    return Place(Kind.FOREIGN, job_name, job, modality)


def _iteration(folder: str) -> int:
    number = folder.removeprefix("iteration-")
    return int(number) if number.isdecimal() and len(number) < 6 else 1
