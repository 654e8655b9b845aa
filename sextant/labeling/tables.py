"""The tables of the labeling reports, as data: what the Glue job writes, what the stack declares, what Athena reads.

Types are Hive's, as the Glue Data Catalog spells them. Importing this module costs nothing: pyarrow is imported only by
`arrow_schema`. Every table is unpartitioned Parquet: the largest holds one row per shape per frame, which is a few
hundred megabytes at ten million annotations, and every report reads a pre-aggregate instead.

Names of label and frame attributes are lower-cased as Glue does (`Vehicle_Type` becomes `vehicle_type`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """One column: `type` is a Hive type name (string, bigint, int, double, boolean, timestamp, date, map<…>).

    `doc` is its comment in Glue's catalog, which takes 255 characters.
    """

    name: str
    type: str
    doc: str


@dataclass(frozen=True)
class Table:
    """One table. `key` names the columns that identify a row; the Glue job never writes two rows with one key."""

    name: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_keys: tuple[Column, ...] = ()


_JOB = (
    Column(
        "job_name",
        "string",
        "Labeling job: the folder `{batch}-{level}-{job}` of the batch workflow, or the job's own folder; its path "
        "where several jobs have one name.",
    ),
    Column(
        "modality", "string", "Folder such as `VideoObjectTrackingAudit`, or the same name derived from the task type."
    ),
    Column(
        "task_type",
        "string",
        "Ground Truth's type without `groundtruth/`, such as `video-object-tracking`; `custom` if it has none.",
    ),
)
_OBJECT = Column(
    "object_id", "string", "Data object of the job: the index of its manifest line, which names its folders."
)
_SOURCE_REF = Column("source_ref", "string", "The data object itself: its S3 URI, or the text of a text task.")
_SOURCE = Column("source", "string", "Object the row was read from; `#n` appended names line n (from 0) of a manifest.")
_FRAME_NO = Column(
    "frame_no", "int", "Number of the frame in its sequence; 0 where the data object is a single image or text."
)
_FRAME = Column("frame", "string", "File name of the frame.")
_ATTRIBUTES = "map<string,string>"
_CREATED_ON = Column("created_on", "date", "UTC day of the consolidated label (its creation-date).")

ANSWER = Table(
    "answer",
    "What one worker submitted for one data object. All answers of all workers.",
    (
        Column(
            "answer_id",
            "string",
            "Hash of job, object, iteration, worker, submission time and content: an answer read twice is one row.",
        ),
        *_JOB,
        _OBJECT,
        Column("iteration", "int", "Active-learning iteration the answer belongs to, from 1."),
        Column("worker_id", "string", "Ground Truth's worker id: one per worker, account and region."),
        Column("sub", "string", "Subject of the worker's identity token; null for public workers."),
        Column("username", "string", "As in table worker."),
        Column("provider", "string", "Cognito, Oidc or public."),
        Column("issuer", "string", "Issuer of the worker's identity; null for public workers."),
        Column("accepted_at", "timestamp", "UTC. Null in jobs of the public workforce before 2020."),
        Column("submitted_at", "timestamp", "UTC."),
        Column(
            "seconds", "double", "Time spent on the task: timeSpentInSeconds, else submitted minus accepted, else null."
        ),
        Column(
            "label_count",
            "bigint",
            "Shapes, spans or classes in the answer, over all frames. Null when the answer's shape is unknown.",
        ),
        Column("frame_count", "bigint", "Frames of the answer: entries of frameData, or 1."),
        Column("label", "string", "The chosen class of a single-choice task; null otherwise."),
        Column("content", "string", "answerContent as JSON, unchanged; images in it are replaced by their size."),
        _SOURCE,
    ),
    key=("answer_id",),
)

ANSWER_ANNOTATION = Table(
    "answer_annotation",
    "One shape, span or class in one worker's answer, before consolidation.",
    (
        Column("answer_id", "string", "As in table answer."),
        *_JOB,
        _OBJECT,
        Column("worker_id", "string", "As in table answer."),
        Column("username", "string", "As in table worker."),
        Column("frame_no", "int", "As in table annotation; null where the answer's per-frame file does not tell it."),
        _FRAME,
        Column("position", "int", "Place in the answer's frame, from 0."),
        Column("instance_id", "string", "Identity of a tracked object, as the worker's answer has it."),
        Column("instance_name", "string", "Name of a tracked object such as `Vehicle:1`."),
        Column("label", "string", "Class name."),
        Column("shape", "string", "box, polyline, polygon, keypoint, cuboid, mask, span, class or custom."),
        Column("left_px", "double", "Pixels from the image's left edge; boxes only."),
        Column("top_px", "double", "Pixels from the image's top edge; boxes only."),
        Column("width_px", "double", "Pixels; boxes only."),
        Column("height_px", "double", "Pixels; boxes only."),
        Column("geometry", "string", "Any other shape as JSON: vertices, cuboid, span offsets, a mask's color."),
        Column("attributes", _ATTRIBUTES, "Label attributes, names lower-cased, values as text."),
        Column("source", "string", "Object the row was read from: the answer's, or its per-frame file."),
    ),
    key=("answer_id", "frame_no", "frame", "position"),
)

ANNOTATION = Table(
    "annotation",
    "One consolidated label: a shape in a frame, a span, a class or a verdict.",
    (
        Column(
            "annotation_id",
            "string",
            "Hash of job, label attribute and object, then frame number and position: stable across runs.",
        ),
        *_JOB,
        _OBJECT,
        _SOURCE_REF,
        _FRAME_NO,
        _FRAME,
        Column("instance_id", "string", "object-id of a tracked object; null where the task does not track."),
        Column("instance_name", "string", "object-name of a tracked object, such as `Vehicle:1`."),
        Column("label", "string", "Class name; the class id where the job tells no name."),
        Column("shape", "string", "box, polyline, polygon, keypoint, cuboid, mask, span, class, verdict or custom."),
        Column("left_px", "double", "Pixels from the image's left edge; boxes only."),
        Column("top_px", "double", "Pixels from the image's top edge; boxes only."),
        Column("width_px", "double", "Pixels; boxes only."),
        Column("height_px", "double", "Pixels; boxes only."),
        Column("geometry", "string", "Any other shape as JSON: vertices, cuboid, span offsets, mask URI."),
        Column("attributes", _ATTRIBUTES, "Label attributes, names lower-cased, values as text."),
        Column("confidence", "double", "0 to 1 as Ground Truth gives it (0 with one worker); null when it gives none."),
        Column("human", "boolean", "True: labeled by people; false: by the active-learning model; null: not told."),
        Column("created_at", "timestamp", "UTC creation-date; for a sequence file alone, its object's time."),
        _SOURCE,
    ),
    key=("annotation_id",),
)

FRAME = Table(
    "frame",
    "One frame of a sequence, or one image, text or point cloud, that was labeled.",
    (
        *_JOB,
        _OBJECT,
        _SOURCE_REF,
        _FRAME_NO,
        _FRAME,
        Column("width_px", "double", "Pixels of the image; null where neither manifest nor answer tells them."),
        Column("height_px", "double", "As width_px."),
        Column("label_count", "bigint", "Annotations in the frame."),
        Column("attributes", _ATTRIBUTES, "Frame attributes, names lower-cased, values as text."),
        Column("created_at", "timestamp", "As in table annotation."),
        _SOURCE,
    ),
    key=("job_name", "object_id", "frame_no", "source"),
)

GOLD_LABEL = Table(
    "gold_label",
    "The right label of a data object: what an expert said, not the workers. Several rows of one that has several.",
    (
        Column("job_name", "string", "As in table answer."),
        _OBJECT,
        Column("label", "string", "Class name."),
        _SOURCE,
    ),
    key=("job_name", "object_id", "label"),
)

CATEGORY = Table(
    "category",
    "What labels and attributes a job allows, by its label category configuration and its manifest's class maps.",
    (
        Column("job_name", "string", "As in table answer."),
        Column("kind", "string", "label, label_attribute or frame_attribute."),
        Column("label", "string", "Class name; null for attributes of frames and of every class."),
        Column("name", "string", "Name of the attribute, lower-cased; null for kind label."),
        Column("value", "string", "One value it allows; null where any is allowed, and for kind label."),
        Column(
            "source", "string", "The configuration file; where there is none, the first manifest line that tells it."
        ),
    ),
    key=("job_name", "kind", "label", "name", "value"),
)

TASK = Table(
    "task",
    "One data object of one job.",
    (
        *_JOB,
        _OBJECT,
        _SOURCE_REF,
        Column(
            "status",
            "string",
            "labeled; failed (the manifest gives a failure-reason); answered (answers, but no consolidated label yet).",
        ),
        Column("reason", "string", "failure-reason, null otherwise."),
        Column("answer_count", "bigint", "Answers."),
        Column("worker_count", "bigint", "Workers who answered."),
        Column("annotation_count", "bigint", "Consolidated annotations, over all frames."),
        Column("frame_count", "bigint", "Labeled frames."),
        Column("seconds", "double", "Time all workers spent; null when no answer tells it."),
        Column(
            "audited",
            "boolean",
            "Passed an audit or verification: the job is one, or its annotations carry the audit attribute.",
        ),
        Column("adjusted", "boolean", "The manifest's adjustment-status says so."),
        Column("label", "string", "Class or verdict of a single-choice task; null otherwise."),
        Column("confidence", "double", "Of that class."),
        Column("created_at", "timestamp", "UTC creation-date."),
    ),
    key=("job_name", "object_id"),
)

JOB = Table(
    "job",
    "One labeling job.",
    (
        *_JOB,
        Column(
            "level", "string", "first, second or third, from the batch workflow's folder name; empty for other jobs."
        ),
        Column(
            "batch", "string", "Batch of the batch workflow: its folder's name before the level; else the job's name."
        ),
        Column(
            "base_job",
            "string",
            "The job whose labels this one audited, adjusted or verified; null when it is none or not known.",
        ),
        Column(
            "label_attribute", "string", "Label attribute name in the output manifest; null when there is no manifest."
        ),
        Column("started_at", "timestamp", "First acceptance, else first submission, else first creation-date. UTC."),
        Column("finished_at", "timestamp", "Last submission or creation-date. UTC."),
        Column("input_count", "bigint", "Data objects of its input manifest; null where that is not in the input."),
        Column("task_count", "bigint", "Data objects with an answer or a label."),
        Column("labeled_count", "bigint", "Data objects with a consolidated label."),
        Column("failed_count", "bigint", "Data objects with a failure reason."),
        Column("audited_count", "bigint", "Data objects audited or verified."),
        Column("adjusted_count", "bigint", "Data objects whose label was adjusted."),
        Column("answer_count", "bigint", "Answers."),
        Column("annotation_count", "bigint", "Consolidated annotations."),
        Column("frame_count", "bigint", "Labeled frames."),
        Column("worker_count", "bigint", "Workers who answered."),
        Column("seconds", "double", "Time all workers spent; null when no answer tells it."),
    ),
    key=("job_name",),
)

WORKER = Table(
    "worker",
    "One worker, as the answers and the user pool know them.",
    (
        Column("worker_id", "string", "Ground Truth's worker id."),
        Column("sub", "string", "Subject of the identity token; null for public workers."),
        Column(
            "username",
            "string",
            "Cognito user name; the sub when the user is unknown or deleted; the worker id of a public worker.",
        ),
        Column("email", "string", "Null when not known."),
        Column("provider", "string", "Cognito, Oidc or public."),
        Column("issuer", "string", "Issuer of the identity; null for public workers."),
        Column("first_seen", "timestamp", "First acceptance or submission, UTC."),
        Column("last_seen", "timestamp", "Last submission, UTC."),
        Column("job_count", "bigint", "Jobs answered in."),
        Column("answer_count", "bigint", "Answers."),
        Column("label_count", "bigint", "Labels in those answers."),
        Column("seconds", "double", "Time spent; null when no answer tells it."),
    ),
    key=("worker_id",),
)

LABEL_COUNT = Table(
    "label_count",
    "Annotations by job, label, combination of attribute values and day. Of the counts only annotation_count adds up.",
    (
        *_JOB,
        Column("label", "string", "Class name."),
        Column("attributes", _ATTRIBUTES, "One combination of label attribute values."),
        _CREATED_ON,
        Column("annotation_count", "bigint", "Annotations with exactly this label and these values."),
        Column("frame_count", "bigint", "Frames with at least one of them."),
        Column("instance_count", "bigint", "Tracked objects among them (annotations, where the task does not track)."),
    ),
    key=("job_name", "task_type", "label", "attributes", "created_on"),
)

ATTRIBUTE_COUNT = Table(
    "attribute_count",
    "Annotations by job, label, one attribute value and day; an empty attribute stands for the whole label.",
    (
        *_JOB,
        Column("label", "string", "Class name."),
        Column("attribute", "string", "Name of a label attribute, lower-cased; empty: every annotation of the label."),
        Column("value", "string", "Its value; empty with an empty attribute."),
        _CREATED_ON,
        Column("annotation_count", "bigint", "Annotations of the label with this value."),
        Column("frame_count", "bigint", "Frames with at least one of them."),
        Column("instance_count", "bigint", "Tracked objects among them (annotations, where the task does not track)."),
    ),
    key=("job_name", "task_type", "label", "attribute", "value", "created_on"),
)

FRAME_COUNT = Table(
    "frame_count",
    "Frames by job, number of labels, combination of frame attribute values and day. frame_count adds up.",
    (
        *_JOB,
        Column("label_count", "bigint", "Annotations in each of these frames."),
        Column("attributes", _ATTRIBUTES, "One combination of frame attribute values."),
        _CREATED_ON,
        Column("frame_count", "bigint", "Frames."),
    ),
    key=("job_name", "task_type", "label_count", "attributes", "created_on"),
)

WORKER_COUNT = Table(
    "worker_count",
    "Work by worker, job and day. Counts and seconds may be summed, minimum and maximum combined.",
    (
        Column("worker_id", "string", "Ground Truth's worker id."),
        Column("username", "string", "As in table worker."),
        *_JOB,
        Column("submitted_on", "date", "UTC day of submission; null when no answer of the group tells it."),
        Column("answer_count", "bigint", "Answers."),
        Column("timed_count", "bigint", "Answers that tell their time: the divisor of a mean of seconds."),
        Column("label_count", "bigint", "Labels in those answers."),
        Column("frame_count", "bigint", "Frames in those answers."),
        Column("seconds", "double", "Time spent; null when no answer tells it."),
        Column("minimum_seconds", "double", "Shortest answer."),
        Column("maximum_seconds", "double", "Longest answer."),
        Column("timed_label_count", "bigint", "Labels in the answers that tell their time: for labels per hour."),
    ),
    key=("worker_id", "job_name", "submitted_on"),
)

REJECTED = Table(
    "rejected",
    "Input that could not be used, or not wholly, with the reason: nothing is dropped in silence.",
    (
        _SOURCE,
        Column("reason", "string", "Short fixed wording, to group by."),
        Column("detail", "string", "What exactly was found there."),
        Column("bytes", "bigint", "Size of the object or of the manifest line."),
    ),
    key=("source", "reason", "detail"),
)

TABLES = (
    ANSWER,
    ANSWER_ANNOTATION,
    ANNOTATION,
    FRAME,
    TASK,
    JOB,
    WORKER,
    GOLD_LABEL,
    CATEGORY,
    LABEL_COUNT,
    ATTRIBUTE_COUNT,
    FRAME_COUNT,
    WORKER_COUNT,
    REJECTED,
)
"""Every table the Glue job writes below `{OUTPUT_PATH}labels/{table}/`, in the order it writes them."""


def table(name: str) -> Table:
    """The table of that name; KeyError when there is none."""
    for each in TABLES:
        if each.name == name:
            return each
    raise KeyError(f"no labeling table {name!r}: there are {', '.join(each.name for each in TABLES)}")


def glue_columns(columns: tuple[Column, ...]) -> list[dict[str, str]]:
    """Columns as the Glue API takes them: Name, Type, Comment."""
    return [{"Name": each.name, "Type": each.type, "Comment": each.doc} for each in columns]


def spark_schema(table: Table) -> str:
    """The schema as a Spark DDL string, for `spark.read.schema` and `createDataFrame`."""
    return ", ".join(f"{each.name} {each.type}" for each in table.columns)


def arrow_schema(table: Table) -> pa.Schema:
    """The schema of the table's Parquet files. Timestamps are UTC microseconds."""
    import pyarrow as pa  # noqa: PLC0415  the stack reads these tables without pyarrow

    types = {
        "string": pa.string(),
        "bigint": pa.int64(),
        "int": pa.int32(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
        _ATTRIBUTES: pa.map_(pa.string(), pa.string()),
        "array<string>": pa.list_(pa.string()),
    }
    return pa.schema([pa.field(each.name, types[each.type]) for each in table.columns])
