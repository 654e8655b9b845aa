"""The reports: Athena SQL views over the tables of `tables.py`, as data.

Every column is a scalar, so that any BI tool can use any view. Two kinds:

- `report_*_rows`, one row per annotation, frame or answer, for a filter or an export;
- all others read the small pre-aggregates and answer in a fraction of a second at ten million annotations.

Names of attributes belong to the data (the label category configuration), not to SQL: `report_label_attribute` and
`report_frame_attribute` carry them in long form (attribute, value). `report_views` adds, for the attributes it is
given, one column each in the row and cube views and one view each by value; the defaults are those of the street
clips: `vehicle_type`, `moving`, `audit`, `quality_of_the_frame`, `number_of_vehicles`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sextant.labeling.tables import Column

LABEL_ATTRIBUTES = ("vehicle_type", "moving", "audit")
FRAME_ATTRIBUTES = ("quality_of_the_frame", "number_of_vehicles")
AUDIT_ATTRIBUTE = "audit"


@dataclass(frozen=True)
class View:
    """One view: `sql` is Athena's dialect with unqualified table names; `columns` are in the order of the SELECT."""

    name: str
    sql: str
    columns: tuple[Column, ...]
    doc: str


def _view(name: str, doc: str, body: str, *columns: tuple[str, str, str]) -> View:
    """A view from its SELECT list as (column, type, expression) and the rest of the statement."""
    listed = ",\n  ".join(
        expression if expression == column else f"{expression} AS {column}" for column, _, expression in columns
    )
    described = tuple(Column(column, kind, "") for column, kind, _ in columns)
    return View(name, f"SELECT\n  {listed}\n{body}", described, doc)


_JOB = (
    ("job_name", "string", "job_name"),
    ("modality", "string", "modality"),
    ("task_type", "string", "task_type"),
)
_DAY = ("day", "date", "created_on")
_ANNOTATIONS = ("annotations", "bigint", "annotation_count")
_FRAMES = ("frames", "bigint", "frame_count")
_INSTANCES = ("instances", "bigint", "instance_count")

_FIXED = (
    _view(
        "report_annotations_per_day",
        "Annotations per time frame: by job, label and UTC day.",
        "FROM attribute_count\nWHERE attribute = ''",
        *_JOB,
        ("label", "string", "label"),
        _DAY,
        _ANNOTATIONS,
        _FRAMES,
        _INSTANCES,
    ),
    _view(
        "report_label_attribute",
        "Annotations, frames and tracked objects by any label attribute and value.",
        "FROM attribute_count\nWHERE attribute <> ''",
        *_JOB,
        ("label", "string", "label"),
        ("attribute", "string", "attribute"),
        ("value", "string", "value"),
        _DAY,
        _ANNOTATIONS,
        _FRAMES,
        _INSTANCES,
    ),
    _view(
        "report_frame_attribute",
        "Frames by any frame attribute and value, such as good and bad frames.",
        "FROM frame_count\nCROSS JOIN UNNEST(map_keys(attributes)) AS keys (attribute)\n"
        "GROUP BY job_name, modality, task_type, attribute, element_at(attributes, attribute), created_on",
        *_JOB,
        ("attribute", "string", "attribute"),
        ("value", "string", "element_at(attributes, attribute)"),
        _DAY,
        ("frames", "bigint", "sum(frame_count)"),
    ),
    _view(
        "report_tasks",
        "Tasks of each job: labeled, failed, audited, adjusted, with work and time.",
        "FROM job",
        *_JOB,
        ("level", "string", "level"),
        ("started_at", "timestamp", "started_at"),
        ("finished_at", "timestamp", "finished_at"),
        ("tasks", "bigint", "task_count"),
        ("labeled", "bigint", "labeled_count"),
        ("failed", "bigint", "failed_count"),
        ("audited", "bigint", "audited_count"),
        ("adjusted", "bigint", "adjusted_count"),
        ("answers", "bigint", "answer_count"),
        ("annotations", "bigint", "annotation_count"),
        _FRAMES,
        ("workers", "bigint", "worker_count"),
        ("seconds", "double", "seconds"),
    ),
    _view(
        "report_labels_per_frame",
        "Histogram of labels (vehicles) per frame.",
        "FROM frame_count\nGROUP BY job_name, modality, task_type, label_count, created_on",
        *_JOB,
        ("labels", "bigint", "label_count"),
        _DAY,
        ("frames", "bigint", "sum(frame_count)"),
    ),
    _view(
        "report_maximum_labels_per_frame",
        "Maximum and mean of labels (vehicles) per frame, by job.",
        "FROM frame_count\nGROUP BY job_name, modality, task_type",
        *_JOB,
        ("maximum", "bigint", "max(label_count)"),
        ("mean", "double", "CAST(sum(label_count * frame_count) AS double) / CAST(sum(frame_count) AS double)"),
        ("frames", "bigint", "sum(frame_count)"),
    ),
    _view(
        "report_jobs_per_worker",
        "Jobs of each worker, with first and last sign of life.",
        "FROM worker",
        ("worker_id", "string", "worker_id"),
        ("username", "string", "username"),
        ("email", "string", "email"),
        ("provider", "string", "provider"),
        ("jobs", "bigint", "job_count"),
        ("answers", "bigint", "answer_count"),
        ("labels", "bigint", "label_count"),
        ("seconds", "double", "seconds"),
        ("first_seen", "timestamp", "first_seen"),
        ("last_seen", "timestamp", "last_seen"),
    ),
    _view(
        "report_time_per_worker_and_job",
        "Answers, labels and total, minimum, mean and maximum time by worker and job.",
        "FROM worker_count\nGROUP BY worker_id, username, job_name, modality, task_type",
        ("worker_id", "string", "worker_id"),
        ("username", "string", "username"),
        *_JOB,
        ("answers", "bigint", "sum(answer_count)"),
        ("labels", "bigint", "sum(label_count)"),
        ("frames", "bigint", "sum(frame_count)"),
        ("seconds", "double", "sum(seconds)"),
        ("minimum_seconds", "double", "min(minimum_seconds)"),
        ("mean_seconds", "double", "sum(seconds) / CAST(nullif(sum(timed_count), 0) AS double)"),
        ("maximum_seconds", "double", "max(maximum_seconds)"),
    ),
    _view(
        "report_labels_per_worker",
        "Answers, labels, frames and total, minimum, mean and maximum time of each worker.",
        "FROM worker_count\nGROUP BY worker_id, username",
        ("worker_id", "string", "worker_id"),
        ("username", "string", "username"),
        ("answers", "bigint", "sum(answer_count)"),
        ("labels", "bigint", "sum(label_count)"),
        ("frames", "bigint", "sum(frame_count)"),
        ("seconds", "double", "sum(seconds)"),
        ("minimum_seconds", "double", "min(minimum_seconds)"),
        ("mean_seconds", "double", "sum(seconds) / CAST(nullif(sum(timed_count), 0) AS double)"),
        ("maximum_seconds", "double", "max(maximum_seconds)"),
    ),
    _view(
        "report_time_by_modality",
        "Time spent by modality.",
        "FROM worker_count\nGROUP BY modality",
        ("modality", "string", "modality"),
        ("workers", "bigint", "count(DISTINCT worker_id)"),
        ("answers", "bigint", "sum(answer_count)"),
        ("labels", "bigint", "sum(label_count)"),
        ("seconds", "double", "sum(seconds)"),
        ("minimum_seconds", "double", "min(minimum_seconds)"),
        ("mean_seconds", "double", "sum(seconds) / CAST(nullif(sum(timed_count), 0) AS double)"),
        ("maximum_seconds", "double", "max(maximum_seconds)"),
    ),
    _view(
        "report_team",
        "The whole team in one row. Labels per hour are those of the answers that tell their time.",
        "FROM worker_count",
        ("workers", "bigint", "count(DISTINCT worker_id)"),
        ("jobs", "bigint", "count(DISTINCT job_name)"),
        ("days", "bigint", "count(DISTINCT submitted_on)"),
        ("answers", "bigint", "coalesce(sum(answer_count), 0)"),
        ("labels", "bigint", "coalesce(sum(label_count), 0)"),
        ("seconds", "double", "sum(seconds)"),
        ("mean_seconds", "double", "sum(seconds) / CAST(nullif(sum(timed_count), 0) AS double)"),
        (
            "labels_per_hour",
            "double",
            "3600.0E0 * CAST(sum(timed_label_count) AS double) / nullif(sum(seconds), 0.0E0)",
        ),
    ),
    _view(
        "report_work_cube",
        "Work by worker, job and day, for dashboards that filter: counts and seconds add up.",
        "FROM worker_count",
        ("worker_id", "string", "worker_id"),
        ("username", "string", "username"),
        *_JOB,
        ("day", "date", "submitted_on"),
        ("answers", "bigint", "answer_count"),
        ("timed_answers", "bigint", "timed_count"),
        ("labels", "bigint", "label_count"),
        _FRAMES,
        ("seconds", "double", "seconds"),
        ("minimum_seconds", "double", "minimum_seconds"),
        ("maximum_seconds", "double", "maximum_seconds"),
    ),
    _view(
        "report_answer_rows",
        "Every answer with its worker: the scalar form of the post's worker metrics query.",
        "FROM answer",
        ("username", "string", "username"),
        ("worker_id", "string", "worker_id"),
        ("sub", "string", "sub"),
        *_JOB,
        ("object_id", "string", "object_id"),
        ("accepted_at", "timestamp", "accepted_at"),
        ("submitted_at", "timestamp", "submitted_at"),
        ("seconds", "double", "seconds"),
        ("tasks", "bigint", "frame_count"),
        ("labels", "bigint", "label_count"),
    ),
    _view(
        "report_rejected",
        "Input that could not be used, by reason.",
        "FROM rejected\nGROUP BY reason",
        ("reason", "string", "reason"),
        ("inputs", "bigint", "count(DISTINCT source)"),
        ("bytes", "bigint", "sum(bytes)"),
        ("example", "string", "min(source)"),
    ),
)


def report_views(
    label_attributes: tuple[str, ...] = LABEL_ATTRIBUTES,
    frame_attributes: tuple[str, ...] = FRAME_ATTRIBUTES,
    audit_attribute: str = AUDIT_ATTRIBUTE,
) -> tuple[View, ...]:
    """Every report view, with one column and one view for each named attribute.

    Args:
        label_attributes: names from the label category configuration, in any case.
        frame_attributes: names of frame attributes, in any case.
        audit_attribute: the label attribute in which an audit job records its verdict.

    Raises:
        ValueError: a name is no attribute name, or is used twice.
    """
    labels, frames = [_name(each) for each in label_attributes], [_name(each) for each in frame_attributes]
    doubled = {each for each in labels + frames if (labels + frames).count(each) > 1}
    if doubled:
        raise ValueError(f"attribute {min(doubled)!r} is named twice: give each label or frame attribute once")
    return (
        *_FIXED,
        _audit_by_label(_name(audit_attribute)),
        *(_by_label_attribute(each) for each in labels),
        *(_by_frame_attribute(each) for each in frames),
        _label_cube(labels),
        _frame_cube(frames),
        _label_rows(labels),
        _frame_rows(frames),
    )


def _name(attribute: str) -> str:
    name = attribute.strip().lower()
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise ValueError(
            f"attribute {attribute!r} cannot be a column: use letters, digits and _, starting with a letter"
        )
    return name


def _attribute_columns(names: list[str]) -> tuple[tuple[str, str, str], ...]:
    return tuple((each, "string", f"element_at(attributes, '{each}')") for each in names)


def _audit_by_label(audit: str) -> View:
    verdicts = f"""FROM (
  SELECT job_name, modality, task_type, label, value AS verdict, created_on, annotation_count
  FROM attribute_count WHERE attribute = '{audit}'
  UNION ALL
  SELECT job_name, modality, task_type, '' AS label, label AS verdict, created_on, annotation_count
  FROM attribute_count WHERE attribute = '' AND task_type = 'label-verification'
) AS verdicts"""  # noqa: S608  `_name` admits identifiers only
    return _view(
        "report_audit_by_label",
        "Audit results by label class: the audit attribute of audit jobs, and the verdicts of verification jobs.",
        verdicts,
        *_JOB,
        ("label", "string", "label"),
        ("verdict", "string", "verdict"),
        _DAY,
        _ANNOTATIONS,
    )


def _by_label_attribute(name: str) -> View:
    return _view(
        f"report_{name}",
        f"Annotations, frames and tracked objects by the label attribute {name}.",
        f"FROM attribute_count\nWHERE attribute = '{name}'",
        *_JOB,
        ("label", "string", "label"),
        (name, "string", "value"),
        _DAY,
        _ANNOTATIONS,
        _FRAMES,
        _INSTANCES,
    )


def _by_frame_attribute(name: str) -> View:
    value = f"element_at(attributes, '{name}')"
    return _view(
        f"report_{name}",
        f"Frames by the frame attribute {name}.",
        f"FROM frame_count\nWHERE {value} IS NOT NULL\nGROUP BY job_name, modality, task_type, {value}, created_on",
        *_JOB,
        (name, "string", value),
        _DAY,
        ("frames", "bigint", "sum(frame_count)"),
    )


def _label_cube(names: list[str]) -> View:
    return _view(
        "report_label_cube",
        "Annotations by job, label, day and the named attributes, for dashboards that filter: annotations add up.",
        "FROM label_count",
        *_JOB,
        ("label", "string", "label"),
        _DAY,
        *_attribute_columns(names),
        _ANNOTATIONS,
    )


def _frame_cube(names: list[str]) -> View:
    return _view(
        "report_frame_cube",
        "Frames by job, number of labels, day and the named attributes, for dashboards that filter: frames add up.",
        "FROM frame_count",
        *_JOB,
        ("labels", "bigint", "label_count"),
        _DAY,
        *_attribute_columns(names),
        _FRAMES,
    )


def _label_rows(names: list[str]) -> View:
    return _view(
        "report_label_rows",
        "Every annotation: the scalar form of the post's label-level query.",
        "FROM annotation",
        *_JOB,
        ("object_id", "string", "object_id"),
        ("frame_no", "int", "frame_no"),
        ("frame", "string", "frame"),
        ("label", "string", "label"),
        ("shape", "string", "shape"),
        ("instance_name", "string", "instance_name"),
        ("height", "double", "height_px"),
        ("width", "double", "width_px"),
        ("top_edge", "double", "top_px"),
        ("left_edge", "double", "left_px"),
        *_attribute_columns(names),
    )


def _frame_rows(names: list[str]) -> View:
    return _view(
        "report_frame_rows",
        "Every labeled frame: the scalar form of the post's frame-level query.",
        "FROM frame",
        *_JOB,
        ("object_id", "string", "object_id"),
        ("frame_no", "int", "frame_no"),
        ("frame", "string", "frame"),
        ("num_labels", "bigint", "label_count"),
        *_attribute_columns(names),
    )


VIEWS = report_views()
"""The views of the street clips' attributes: what the stack declares unless the environment names others."""
