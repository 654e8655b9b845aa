"""Groups of rows as `levels.sql` gives them, and lakes of chains of jobs for that SQL itself."""

from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa

from tests.labeling.insight.lake import lake

TEXT = ("kind", "root_job", "bucket", "data_object", "job_name", "modality", "task_type", "base_job", "object_id")
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in (*TEXT, "source_ref")),
        ("created_on", pa.date32()),
        ("adjusted", pa.bool_()),
        ("seconds", pa.float64()),
        *((name, pa.string()) for name in ("known", "counted", "audit_attribute", "worker_id", "sub", "username")),
        ("frame_no", pa.int32()),
        *((name, pa.string()) for name in ("frame", "row_id", "instance_id", "instance_name", "label", "shape")),
        *((name, pa.float64()) for name in ("left_px", "top_px", "width_px", "height_px")),
        ("geometry", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
    ]
)


def chain_table(rows):
    """Rows as dicts of columns; attributes as a dict."""
    filled = []
    for row in rows:
        attributes = row.get("attributes")
        filled.append({**row, "attributes": list(attributes.items()) if isinstance(attributes, dict) else attributes})
    return pa.Table.from_pylist(filled, schema=COLUMNS)


KIND = {"modality": "VideoObjectTracking", "task_type": "video-object-tracking"}
DAY = datetime(2026, 9, 1, 10, tzinfo=UTC)


def job(name, base=None, **more):
    return {"job_name": name, "batch": "b", "base_job": base, **KIND, **more}


def task(name, at, source, workers=1, **more):
    placed = {"job_name": name, "object_id": str(at), "source_ref": source, "status": "labeled", "created_at": DAY}
    return {**placed, "worker_count": workers, "annotation_count": 1, "frame_count": 1, **KIND, **more}


def answer(name, at, who):
    said = {"answer_id": f"{name}-{at}-{who}", "job_name": name, "object_id": str(at), "submitted_at": DAY}
    return {**said, "worker_id": f"id-{who}", "username": who}


def label(name, at, number, source, left=0.0, *, frame=0, **attributes):
    sides = {"left_px": left, "top_px": 0.0, "width_px": 10.0, "height_px": 10.0, "shape": "box", "label": "Car"}
    placed = {"job_name": name, "object_id": str(at), "source_ref": source, "frame_no": frame, "frame": f"{frame}.jpg"}
    named = {"annotation_id": f"{name}-{at}-{frame}-{number}", "instance_id": f"car-{number}", "attributes": attributes}
    return {**placed, **sides, **named, "created_at": DAY}


def frames(name, at, *numbers):
    return [{"job_name": name, "object_id": str(at), "frame_no": n, "frame": f"{n}.jpg"} for n in numbers]


def tallies(labels):
    """The tables label_count and attribute_count of some labels."""
    whole, each = Counter(), Counter()
    for row in labels:
        whole[row["job_name"], row["label"], tuple(sorted(row["attributes"].items()))] += 1
        each.update((row["job_name"], row["label"], *pair) for pair in [("", ""), *row["attributes"].items()])
    on = DAY.date()
    return {
        "label_count": [
            {"job_name": name, "label": of, "attributes": dict(said), "annotation_count": n, "created_on": on}
            for (name, of, said), n in whole.items()
        ],
        "attribute_count": [
            {"job_name": name, "label": of, "attribute": key, "value": value, "annotation_count": n, "created_on": on}
            for (name, of, key, value), n in each.items()
        ],
    }


def chain(*levels):
    """A lake of jobs: each (name, base, worker, tasks, task type or none), a task (source, frame numbers, labels)."""
    lake_of = {"job": [], "task": [], "answer": [], "annotation": [], "frame": []}
    for name, base, worker, tasks, *kind in levels:
        more = {"task_type": kind[0]} if kind else {}
        lake_of["job"].append(job(name, base, **more))
        for at, (source, numbers, labels) in enumerate(tasks):
            shown = {"frame_count": len(numbers), "annotation_count": len(labels), **more}
            lake_of["task"].append(task(name, at, source, **shown))
            lake_of["answer"].append(answer(name, at, worker))
            lake_of["frame"] += frames(name, at, *numbers)
            lake_of["annotation"] += [{**each, "job_name": name, "object_id": str(at)} for each in labels]
    return lake(**lake_of, **tallies(lake_of["annotation"]))


def track(*numbers, left=0.0, verdict=None):
    """One car in some frames."""
    said = {"audit": verdict} if verdict else {}
    return [label("", "", 0, "", left, frame=number, **said) for number in numbers]


VERDICT = "label-verification"


def said(verdict):
    return [{**label("", "", 0, ""), "shape": "verdict", "label": verdict, "instance_id": None, "left_px": None}]
