"""Writes the simulated world in Ground Truth's own layout and formats, as its real outputs show them.

Kept on purpose: `frame-no` and `class-id` of video sequences are strings while those of point clouds are numbers, one
sequence is out of frame order, boxes consolidated from several workers are no whole numbers, classes are integers, per
frame answers are named `frame_0001.jpeg.json`, file names hold colons, jobs of public workers tell no times, a chained
manifest carries the earlier job's label too, and two worker responses are damaged.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from samples.labeling.world import Annotation, Answer, Frame, Job, Task, World

COLORS = ("#ffffff", "#2ca02c", "#1f77b4")
SEQUENCES = ("video-object-tracking", "video-object-detection", "point_cloud_object_tracking")


def write_batch(world: World, out: Path, bucket: str) -> list[tuple[str, int]]:
    """Writes every object below `out`; returns (key, bytes) of the damaged ones."""
    files: dict[str, bytes] = {}
    for job in world.jobs:
        _write_job(files, job, world.issuer, bucket)
    victim = next(each for each in world.jobs if each.folder == "street-b-first_level-vehicle")
    responses = f"{_root(victim)}/annotations/worker-response/iteration-1/0"
    damaged = {
        f"{responses}/2026-09-18_09:00:00.json": b"",
        f"{responses}/2026-09-18_09:00:01.json": b'{"answers":[{"acceptanceTime":"2026-09-18T08:59',
    }
    files.update(damaged)
    files["users.json"] = _json(list(world.pool))
    for folder in sorted({key.rpartition("/")[0] for key in files}):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for key, body in files.items():
        (out / key).write_bytes(body)
    return [(key, len(body)) for key, body in damaged.items()]


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _lines(documents: list[dict[str, Any]]) -> bytes:
    """JSON Lines."""
    return b"\n".join(map(_json, documents)) + b"\n"


def _root(job: Job) -> str:
    return f"batch_manifests/{job.modality}/{job.folder}/output/{job.name}"


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write_job(files: dict[str, bytes], job: Job, issuer: str, bucket: str) -> None:
    if job.classes:
        files[f"label_category_input/{job.folder}/category-file.json"] = _json(_categories(job))
    if job.gold:
        named = [{"object-id": object_id, "label": label} for object_id, label in job.gold.items()]
        files[f"batch_manifests/gold/{job.folder}.jsonl"] = _lines(named)
    if job.waiting:
        inputs = [*(each.source for each in job.tasks), *job.waiting]
        files[f"batch_manifests/{job.modality}/{job.folder}/processed/data.manifest"] = _lines(
            [{"source-ref": f"s3://{bucket}/{each}"} for each in inputs]
        )
    for task in job.tasks:
        if task.answers:
            _write_answers(files, job, task, issuer, bucket)
    if not job.unfinished:
        _write_output(files, job, bucket)


def _write_output(files: dict[str, bytes], job: Job, bucket: str) -> None:
    """What is there once a job has ended."""
    root = _root(job)
    lines = []
    for task in job.tasks:
        if job.task_type in SEQUENCES and task.frames:
            files[f"{root}/{_sequence_key(task)}"] = _json(_sequence(job, task))
        if job.task_type == "semantic-segmentation":
            files[f"{root}/{_mask_key(job, task)}"] = _png()
        if job.task_type == "point_cloud_single_frame_semantic_segmentation":
            files[f"{root}/{_mask_key(job, task)}"] = zlib.compress(bytes(16))
        lines.append(_manifest_line(job, task, bucket))
    manifest = _lines(lines)
    files[f"{root}/manifests/output/output.manifest"] = manifest
    files[f"{root}/annotations/intermediate/1/annotations.json"] = manifest
    if job.task_type in ("image-classification", "object-detection", "text-span"):
        consolidation = (
            f"{root}/annotations/consolidated-annotation/consolidation-{{}}/iteration-1/2026-09-10_12:00:00.json"
        )
        files[consolidation.format("request")] = _json(
            [{"datasetObjectId": each.object_id, "dataObject": {"s3Uri": each.source}} for each in job.tasks]
        )
        files[consolidation.format("response")] = _json([{"datasetObjectId": each.object_id} for each in job.tasks])


def _categories(job: Job) -> dict[str, Any]:
    """The label category configuration file, with the spelling of AWS's own samples."""
    attributes = [
        {"name": name, "type": "string", "enum": list(values)} for name, values in job.label_attributes.items()
    ]
    frame_attributes: list[dict[str, Any]] = [
        {"name": name, "type": "string", "enum": list(values)}
        if values
        else {"name": name, "type": "number", "minimum": 0, "maximum": 100}
        for name, values in job.frame_attributes.items()
    ]
    document: dict[str, Any] = {"document-version": "2020-07-01"}
    if frame_attributes:
        document["frameAttributes"] = frame_attributes
    document["labels"] = [{"label": each, **({"attributes": attributes} if attributes else {})} for each in job.classes]
    if job.chained:
        document["auditLabelAttributeName"] = job.chained.label_attribute
    return document


def _write_answers(files: dict[str, bytes], job: Job, task: Task, issuer: str, bucket: str) -> None:
    folder = f"{_root(job)}/annotations/worker-response/iteration-1/{task.object_id}"
    written = []
    for n, answer in enumerate(task.answers):
        content = answer.content
        if answer.frames:
            prefix = f"{folder}/{zlib.crc32(f'{folder}{n}'.encode()):08x}"
            key, entry = _framed(job)
            entries = []
            for frame in answer.frames:
                name = f"{frame.name or f'frame_{frame.number:04d}.bin'}.json"
                files[f"{prefix}/{name}"] = _json({key: entry(frame)})
                entries.append(name)
            content = {key: {"frameData": {"entries": entries, "s3Prefix": f"s3://{bucket}/{prefix}/"}}}
        elif "crowd-semantic-segmentation" in content:
            content = {
                "crowd-semantic-segmentation": {
                    "inputImageProperties": {"height": 16, "width": 16},
                    "labelMappings": {each: {"color": COLORS[i + 1]} for i, each in enumerate(job.classes)},
                    "labeledImage": {"pngImageData": base64.b64encode(_png()).decode()},
                }
            }
        written.append(_answer(answer, content, issuer))
    last = max(each.submitted for each in task.answers)
    files[f"{folder}/{last:%Y-%m-%d_%H:%M:%S}.json"] = _json({"answers": written})


def _answer(answer: Answer, content: dict[str, Any], issuer: str) -> dict[str, Any]:
    worker = answer.worker
    if not answer.timed:
        return {
            "answerContent": content,
            "submissionTime": f"{answer.submitted:%Y-%m-%dT%H:%M:%SZ}",
            "workerId": worker.worker_id,
        }
    identity = {
        "identityProviderType": worker.provider,
        "issuer": issuer if worker.provider == "Cognito" else "https://street.example.com/",
        "sub": worker.sub,
    }
    return {
        "acceptanceTime": _instant(answer.accepted),
        "answerContent": content,
        "submissionTime": _instant(answer.submitted),
        "timeSpentInSeconds": answer.seconds,
        "workerId": worker.worker_id,
        "workerMetadata": {"identityData": identity},
    }


def _framed(job: Job) -> tuple[str, Any]:
    """Key and entry of the files in which a worker's labels of one frame are kept."""
    if job.task_type == "video-object-detection":
        return "detectionAnnotations", _video_entry
    if job.task_type.startswith("point_cloud"):
        return "trackingAnnotations" if "tracking" in job.task_type else "detectionAnnotations", _cloud_entry
    return "trackingAnnotations", _video_entry


def _video_entry(frame: Frame) -> dict[str, Any]:
    shapes: dict[str, list[dict[str, Any]]] = {}
    for annotation in frame.annotations:
        named = {"label": annotation.label, "labelCategoryAttributes": annotation.attributes}
        if annotation.instance:
            named |= {"objectId": annotation.instance[0], "objectName": annotation.instance[1]}
        key = "boundingBoxes" if annotation.shape == "box" else "polylines"
        shapes.setdefault(key, []).append({**named, **annotation.geometry})
    return {
        "frameNumber": frame.number,
        "frame": frame.name,
        **(shapes or {"boundingBoxes": []}),
        "frameAttributes": frame.attributes,
    }


def _cloud_entry(frame: Frame) -> dict[str, Any]:
    cuboids = []
    for annotation in frame.annotations:
        geometry = {
            key.replace("center-", "center").replace("x", "X"): value for key, value in annotation.geometry.items()
        }
        name = annotation.instance[1] if annotation.instance else ""
        cuboids.append(
            {
                "objectName": name,
                "label": annotation.label,
                **geometry,
                "labelCategoryAttributes": annotation.attributes,
            }
        )
    return {"frameName": frame.name, "boundingCuboids": cuboids, "frameAttributes": frame.attributes}


def _sequence_key(task: Task) -> str:
    return f"annotations/consolidated-annotation/output/{task.object_id}/SeqLabel.json"


def _mask_key(job: Job, task: Task) -> str:
    suffix = "png" if job.task_type == "semantic-segmentation" else "zlib"
    return f"annotations/consolidated-annotation/output/{task.object_id}_{task.created:%Y-%m-%dT%H:%M:%S}.{suffix}"


def _sequence(job: Job, task: Task) -> dict[str, Any]:
    """SeqLabel.json. A shuffled sequence begins in its middle, as one of the real ones does."""
    frames = list(task.frames)
    if task.frames_shuffled:
        half = len(frames) // 2
        frames = frames[half:] + frames[:half]
    cloud = job.task_type.startswith("point_cloud")
    key = "detection-annotations" if "detection" in job.task_type else "tracking-annotations"
    return {key: [_sequence_frame(job, each, cloud=cloud) for each in frames]}


def _sequence_frame(job: Job, frame: Frame, *, cloud: bool) -> dict[str, Any]:
    listed = [_sequence_shape(job, each, cloud=cloud) for each in frame.annotations]
    kind = "polylines" if any(each.shape == "polyline" for each in frame.annotations) else "annotations"
    if cloud:
        return {
            "frame-number": frame.number,
            "frame-name": frame.name,
            kind: listed,
            "frame-attributes": frame.attributes,
        }
    return {kind: listed, "frame-no": str(frame.number), "frame": frame.name, "frame-attributes": frame.attributes}


def _sequence_shape(job: Job, annotation: Annotation, *, cloud: bool) -> dict[str, Any]:
    number = job.classes.index(annotation.label)
    shape = {
        **annotation.geometry,
        "class-id": number if cloud else str(number),
        "label-category-attributes": annotation.attributes,
    }
    if annotation.instance:
        shape |= {"object-id": annotation.instance[0], "object-name": annotation.instance[1]}
    return shape


def _manifest_line(job: Job, task: Task, bucket: str) -> dict[str, Any]:
    if job.chained:
        earlier = next(each for each in job.chained.tasks if each.object_id == task.object_id)
        line = _manifest_line(job.chained, earlier, bucket)
    elif job.task_type.startswith("text"):
        line = {"source": task.source}
    else:
        line = {"source-ref": f"s3://{bucket}/{task.source}"}
    metadata: dict[str, Any] = {
        "type": f"groundtruth/{job.task_type}",
        "job-name": f"labeling-job/{job.name}",
        "human-annotated": "yes" if task.human else "no",
        "creation-date": task.created.strftime("%Y-%m-%dT%H:%M:%S.%f"),
    }
    if task.adjusted is not None:
        metadata["adjustment-status"] = "adjusted" if task.adjusted else "unadjusted"
    if task.failure:
        return {**line, f"{job.label_attribute}-metadata": {"failure-reason": task.failure, **metadata}}
    value, more = _consolidated(job, task, bucket)
    return {**line, job.label_attribute: value, f"{job.label_attribute}-metadata": {**more, **metadata}}


def _consolidated(job: Job, task: Task, bucket: str) -> tuple[Any, dict[str, Any]]:
    """The label's value and the metadata that only its task type has."""
    uri = f"s3://{bucket}/{_root(job)}"
    annotations = task.frames[0].annotations
    confidences = [{"confidence": each.confidence} for each in annotations]
    numbers = [job.classes.index(each.label) for each in annotations if each.label in job.classes]
    if job.task_type in SEQUENCES:
        return f"{uri}/{_sequence_key(task)}", {"class-map": {str(i): each for i, each in enumerate(job.classes)}}
    if job.task_type in ("image-classification", "text-classification"):
        return numbers[0], {"class-name": annotations[0].label, "confidence": annotations[0].confidence}
    if job.task_type == "label-verification":
        return str(numbers[0]), {
            "class-name": annotations[0].label,
            "confidence": 0.0,
            "worker-feedback": [{"comment": ""}],
        }
    if job.task_type.endswith("-multilabel"):
        named = {str(number): job.classes[number] for number in numbers}
        return numbers, {"class-map": named, "confidence-map": dict.fromkeys(named, 0.95)}
    if job.task_type == "object-detection":
        boxes = [{"class_id": number, **each.geometry} for number, each in zip(numbers, annotations, strict=True)]
        value = {"image_size": [{"width": 640, "height": 400, "depth": 3}], "annotations": boxes}
        return value, {"objects": confidences, "class-map": {str(n): job.classes[n] for n in sorted(set(numbers))}}
    if job.task_type == "text-span":
        entities = [{"label": each.label, **each.geometry} for each in annotations]
        labels = [{"label": each} for each in job.classes]
        return {"annotations": {"labels": labels, "entities": entities}}, {"entities": confidences}
    if job.task_type == "point_cloud_object_detection":
        value = {"annotations": [_sequence_shape(job, each, cloud=True) for each in annotations]}
        return value, {
            "class_map": {str(i): each for i, each in enumerate(job.classes)},
            "dataset-object-attributes": {},
        }
    if job.task_type.endswith("segmentation"):
        colors: dict[str, dict[str, Any]] = {
            str(i + 1): {"class-name": each, "hex-color": COLORS[i + 1]} for i, each in enumerate(job.classes)
        }
        background = {"0": {"class-name": "BACKGROUND", "hex-color": COLORS[0]}}
        confident = {number: {**each, "confidence": 0.0} for number, each in (background | colors).items()}
        key = "internal-color-map" if job.task_type == "semantic-segmentation" else "color-map"
        return f"{uri}/{_mask_key(job, task)}", {key: confident}
    return annotations[0].geometry, {}


def _png() -> bytes:
    """A 16 by 16 RGB image, half road, half sky."""
    rows = b"".join(b"\0" + (b"\x1f\x77\xb4" if y < 8 else b"\x2c\xa0\x2c") * 16 for y in range(16))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
