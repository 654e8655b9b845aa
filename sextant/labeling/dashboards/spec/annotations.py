"""Annotations: what was labeled, how good audits found it, and what of the output cannot be used.

Data sets stand on the pre-aggregates of `sextant.labeling.tables`, so that a page over ten million annotations reads
thousands of rows, and any label or frame attribute can be a filter.
"""

from sextant.labeling.dashboards.model import Dashboard, Dataset, Dimension, Filter, Measure, Visual
from sextant.labeling.dashboards.spec.common import (
    BATCH,
    DAY,
    FRAME_FILTER,
    FRAME_NO,
    JOB,
    JOB_CONTROLS,
    JOB_FILTERS,
    JOB_OPTIONS,
    JOBS,
    LABEL,
    LABEL_CONTROL,
    LABEL_FILTER,
    MODALITY,
    OBJECT,
    OBJECT_FILTER,
    attribute_share,
    days,
    options,
    with_job,
)
from sextant.labeling.views import AUDIT_ATTRIBUTE

VEHICLE_TYPE, MOVING, AUDIT = (
    "label_attribute.vehicle_type",
    "label_attribute.moving",
    f"label_attribute.{AUDIT_ATTRIBUTE}",
)
FRAME_QUALITY, VEHICLES = "frame_attribute.quality_of_the_frame", "frame_attribute.number_of_vehicles"

_OF_LABELS = {
    **JOB_FILTERS,
    **LABEL_FILTER,
    **days("created_on"),
    "label_attribute": "element_at(attributes, {name}) IN ({values})",
}
_OF_FRAMES = {
    **JOB_FILTERS,
    **days("created_on"),
    "frame_attribute": "element_at(attributes, {name}) IN ({values})",
}

LABELS = Dataset(
    counts="labels",
    source="label_count",
    attributes="label_attribute",
    dimensions={
        "job": JOB,
        "modality": MODALITY,
        "label": LABEL,
        "day": DAY,
    },
    measures={
        "labels": Measure(title="Labels", adds=True, sql="sum(annotation_count)"),
        "jobs": Measure(title="Jobs", sql="count(DISTINCT job_name)"),
        "newest": Measure(title="Newest label", unit="day", sql="max(created_on)"),
        **attribute_share("audited labels", "annotation_count", AUDIT_ATTRIBUTE, "pass"),
    },
    filters=_OF_LABELS,
)
LABEL_ATTRIBUTES = Dataset(
    counts="labels",
    source="label_count CROSS JOIN UNNEST(attributes) AS pair (attribute, value)",
    dimensions={
        "attribute": Dimension(title="Attribute", sql="attribute"),
        "value": Dimension(title="Value", filter="label_attribute", sql="value"),
    },
    measures={"labels": LABELS.measures["labels"]},
    filters=_OF_LABELS,
)
FRAMES = Dataset(
    counts="frames",
    source="frame_count",
    attributes="frame_attribute",
    dimensions={
        "job": JOB,
        "modality": MODALITY,
        "labels": Dimension(title="Labels on the frame", kind="number", sql="label_count"),
    },
    measures={
        "frames": Measure(title="Frames", adds=True, sql="sum(frame_count)"),
        "maximum": Measure(title="Most labels on one frame", n="frames", sql="max(label_count)"),
        "vehicles": Measure(
            title="Most vehicles on one frame",
            n="vehicles_n",
            sql="max(try_cast(element_at(attributes, 'number_of_vehicles') AS integer))",
        ),
        "vehicles_n": Measure(
            title="Frames with a number of vehicles",
            adds=True,
            sql="sum(frame_count) FILTER (WHERE element_at(attributes, 'number_of_vehicles') IS NOT NULL)",
        ),
        **attribute_share("judged frames", "frame_count", "quality_of_the_frame", "good"),
    },
    filters=_OF_FRAMES,
)
FRAME_ATTRIBUTES = Dataset(
    counts="frames",
    source="frame_count CROSS JOIN UNNEST(attributes) AS pair (attribute, value)",
    dimensions={
        "attribute": LABEL_ATTRIBUTES.dimensions["attribute"],
        "value": Dimension(title="Value", filter="frame_attribute", sql="value"),
    },
    measures={"frames": FRAMES.measures["frames"]},
    filters=_OF_FRAMES,
)
AUDITS = Dataset(
    counts="labels",
    source="report_audit_by_label",
    dimensions={
        "job": JOB,
        "label": LABEL,
        "verdict": Dimension(title="Verdict", sql="verdict"),
    },
    measures={"labels": Measure(title="Labels", adds=True, sql="sum(annotations)")},
    filters={**JOB_FILTERS, **LABEL_FILTER, **days("day")},
)
TASKS = Dataset(
    counts="tasks",
    source="task",
    dimensions={"job": JOB, "modality": MODALITY},
    measures={
        "tasks": Measure(title="Tasks", adds=True, sql="count(*)"),
        "labeled": Measure(title="Labeled", adds=True, sql="count_if(status = 'labeled')"),
        "failed": Measure(title="Failed", adds=True, sql="count_if(status = 'failed')"),
        "waiting": Measure(title="Waiting for consolidation", adds=True, sql="count_if(status = 'answered')"),
        "audited": Measure(title="Audited", n="tasks", adds=True, sql="count_if(audited)"),
        "adjusted": Measure(title="Adjusted", n="tasks", adds=True, sql="count_if(adjusted)"),
    },
    filters={
        **JOB_FILTERS,
        **days("CAST(created_at AS date)"),
    },
)
REJECTED = Dataset(
    counts="inputs",
    source="rejected",
    dimensions={
        "reason": Dimension(title="Reason", sql="reason"),
        "source": Dimension(title="Input", sql="source"),
        "detail": Dimension(title="What was found", sql="detail"),
    },
    measures={
        "inputs": Measure(title="Findings", adds=True, sql="count(*)"),
        "sources": Measure(title="Inputs", sql="count(DISTINCT source)"),
    },
    filters={},
)
FINDINGS = Dataset(
    counts="defects",
    source=with_job("finding"),
    dimensions={
        "finding": Dimension(title="Defect", filter="finding", sql="finding"),
        "severity": Dimension(title="Severity", sql="severity"),
        "job": JOB,
        "batch": BATCH,
        "modality": MODALITY,
        "object": OBJECT,
        "frame_no": FRAME_NO,
        "detail": Dimension(title="What was found", sql="detail"),
        "source": Dimension(title="Source", sql="source"),
    },
    measures={
        "defects": Measure(title="Defects", adds=True, sql="count(*)"),
        "errors": Measure(title="Errors", n="defects", adds=True, sql="count_if(severity = 'error')"),
        "jobs": Measure(title="Jobs with defects", sql="count(DISTINCT job_name)"),
    },
    filters={**JOB_FILTERS, **OBJECT_FILTER, **FRAME_FILTER, "finding": "finding IN ({values})"},
)

PER_LABEL = "One label is one object on one frame: a car on ten frames counts ten times, once for each level's output."

DASHBOARD = Dashboard(
    id="annotations",
    title="Annotations",
    description="What was labeled, and how good audits found it.",
    filters=(
        *JOB_CONTROLS,
        LABEL_CONTROL,
        Filter(id="finding", title="Defect", type="values", options="options-finding"),
        Filter(id="label_attribute", title="Label attributes", type="attributes", options="options-label-attribute"),
        Filter(id="frame_attribute", title="Frame attributes", type="attributes", options="options-frame-attribute"),
    ),
    visuals=(
        Visual(
            id="labels", type="kpi", title="Labels", dataset="labels", measures=("labels", "jobs", "newest"), span=1
        ),
        Visual(
            id="frames",
            type="kpi",
            title="Frames",
            note="An image or a text is one frame.",
            dataset="frames",
            measures=("frames", "maximum"),
            span=1,
        ),
        Visual(
            id="audit-share",
            type="kpi",
            title="Labels that passed their audit",
            dataset="labels",
            measures=("pass_share",),
            ignores=(AUDIT,),
            span=1,
        ),
        Visual(
            id="good-frames",
            type="kpi",
            title="Frames judged good",
            dataset="frames",
            measures=("good_share",),
            ignores=(FRAME_QUALITY,),
            span=1,
        ),
        Visual(
            id="vehicle-type",
            type="pie",
            title="Vehicles by type",
            note=PER_LABEL,
            dataset="labels",
            rows=(VEHICLE_TYPE,),
            measures=("labels",),
            drill=True,
        ),
        Visual(
            id="label-quality",
            type="donut",
            title="Annotation quality",
            note="Verdict of the audit on each label.",
            dataset="labels",
            rows=(AUDIT,),
            measures=("labels",),
            drill=True,
        ),
        Visual(
            id="frame-quality",
            type="donut",
            title="Frame quality",
            note="The worker's judgement of each frame.",
            dataset="frames",
            rows=(FRAME_QUALITY,),
            measures=("frames",),
        ),
        Visual(
            id="moving",
            type="donut",
            title="Parked or moving",
            note=PER_LABEL,
            dataset="labels",
            rows=(MOVING,),
            measures=("labels",),
            drill=True,
        ),
        Visual(
            id="most-vehicles",
            type="kpi",
            title="Most vehicles on one frame",
            note="As the worker entered it in number_of_vehicles.",
            dataset="frames",
            measures=("vehicles",),
            span=1,
        ),
        Visual(
            id="most-labels",
            type="kpi",
            title="Most labels on one frame",
            note="Counted from the labels themselves.",
            dataset="frames",
            measures=("maximum",),
            span=1,
        ),
        Visual(
            id="tasks",
            type="kpi",
            title="Tasks",
            dataset="tasks",
            measures=("tasks", "audited", "adjusted"),
            span=2,
        ),
        Visual(
            id="vehicles-per-frame",
            type="hbar",
            title="Frames by number of vehicles",
            note="As the worker entered it in number_of_vehicles.",
            dataset="frames",
            rows=(VEHICLES,),
            measures=("frames",),
            sort="group",
        ),
        Visual(
            id="labels-per-frame",
            type="hbar",
            title="Frames by number of labels",
            note="Counted from the labels themselves; includes frames without any.",
            dataset="frames",
            rows=("labels",),
            measures=("frames",),
            sort="group",
        ),
        Visual(
            id="frame-quality-per-job",
            type="pivot",
            title="Quality of the frames per job",
            dataset="frames",
            rows=("job",),
            columns=FRAME_QUALITY,
            measures=("frames",),
            sort="group",
        ),
        Visual(
            id="label-quality-per-job",
            type="pivot",
            title="Quality of the labels per job",
            dataset="labels",
            rows=("job",),
            columns=AUDIT,
            measures=("labels",),
            sort="group",
            drill=True,
        ),
        Visual(
            id="labels-per-day",
            type="bar",
            title="Labels per day",
            note="UTC day of the consolidated label.",
            dataset="labels",
            rows=("day",),
            columns="modality",
            measures=("labels",),
            sort="group",
            span=4,
            drill=True,
        ),
        Visual(
            id="label-attribute",
            type="hbar",
            title="Labels by any attribute",
            note=PER_LABEL,
            dataset="label_attributes",
            rows=("attribute", "value"),
            measures=("labels",),
            sort="group",
            pick="attribute",
            drill=True,
        ),
        Visual(
            id="frame-attribute",
            type="hbar",
            title="Frames by any attribute",
            dataset="frame_attributes",
            rows=("attribute", "value"),
            measures=("frames",),
            sort="group",
            pick="attribute",
        ),
        Visual(
            id="audit-per-label",
            type="pivot",
            title="Audit results per label class",
            note="Audit attributes of labels, and the verdicts of verification jobs (label left empty).",
            dataset="audits",
            rows=("label",),
            columns="verdict",
            measures=("labels",),
            sort="group",
        ),
        Visual(
            id="task-states",
            type="table",
            title="Tasks audited or adjusted, per job",
            dataset="tasks",
            rows=("job",),
            measures=("tasks", "labeled", "failed", "waiting", "audited", "adjusted"),
            sort="group",
            span=4,
        ),
        Visual(
            id="findings",
            type="hbar",
            title="Defects of the output, by kind",
            note="What Ground Truth wrote, held against itself and against the job's label categories.",
            dataset="findings",
            rows=("finding",),
            columns="severity",
            measures=("defects",),
        ),
        Visual(
            id="rejected-reasons",
            type="hbar",
            title="Input that could not be used, by reason",
            note="Or not wholly: answers and labels that are kept with a remark count in the numbers above.",
            dataset="rejected",
            rows=("reason",),
            measures=("inputs",),
        ),
        Visual(
            id="finding-list",
            type="table",
            title="Every defect with its source",
            dataset="findings",
            rows=("job", "object", "frame_no", "finding", "severity", "detail", "source"),
            measures=("defects",),
            sort="group",
            limit=500,
            span=4,
            drill=True,
        ),
        Visual(
            id="rejected",
            type="table",
            title="Every input that could not be used",
            dataset="rejected",
            rows=("reason", "source", "detail"),
            measures=("inputs",),
            sort="group",
            limit=500,
            span=4,
        ),
        *JOB_OPTIONS,
        options("finding", "findings", "defects"),
        options("label", "labels", "labels"),
        options("label_attribute", "label_attributes", "labels", "attribute", "value"),
        options("frame_attribute", "frame_attributes", "frames", "attribute", "value"),
    ),
)


DATASETS = {
    "labels": LABELS,
    "label_attributes": LABEL_ATTRIBUTES,
    "frames": FRAMES,
    "frame_attributes": FRAME_ATTRIBUTES,
    "audits": AUDITS,
    "tasks": TASKS,
    "jobs": JOBS,
    "rejected": REJECTED,
    "findings": FINDINGS,
}

# Conditions that look into another table compare one text with those of a subquery that stands by itself, the one form
# that Athena and the engine at home both answer by hashing: no comparison of rows, no subquery for each row.
_OBJECT_KEY = "concat(job_name, '/', object_id)"
_FRAME_KEY = "concat(job_name, '/', object_id, '/', CAST(frame_no AS varchar))"
_SEEN_BY = f"""{_OBJECT_KEY} IN (
  SELECT concat(seen.job_name, '/', seen.object_id)
  FROM task AS seen
  JOIN task AS answered
    ON coalesce(seen.source_ref, concat(seen.job_name, '/', seen.object_id))
      = coalesce(answered.source_ref, concat(answered.job_name, '/', answered.object_id))
  JOIN answer ON answer.job_name = answered.job_name AND answer.object_id = answered.object_id
  WHERE answer.username IN ({{values}})
)"""  # noqa: S608  every text here is ours
ANNOTATION_FILTERS = {
    **_OF_LABELS,
    # The column stands alone, so that Athena can skip what its statistics rule out.
    "since": "created_at >= CAST({values} AS timestamp)",
    "until": "created_at < CAST({values} AS timestamp) + INTERVAL '1' DAY",
    **OBJECT_FILTER,
    **FRAME_FILTER,
    "instance_id": "instance_id IN ({values})",
    "frame_attribute": f"{_FRAME_KEY} IN (SELECT {_FRAME_KEY} FROM frame"  # noqa: S608
    " WHERE element_at(attributes, {name}) IN ({values}))",
    # The data objects that the person had in hand, at any level: a label of an audit has a worker and an auditor.
    "worker": _SEEN_BY,
    "auditor": _SEEN_BY,
    "change": "annotation_id IN (SELECT coalesce(annotation_id, base_annotation_id) FROM adjustment"
    " WHERE change IN ({values}))",
    "issue": "concat(job_name, '/', object_id, '/', instance_id, '/', CAST(frame_no AS varchar)) IN"
    " (SELECT concat(job_name, '/', object_id, '/', instance_id, '/', CAST(number AS varchar)) FROM track_issue"
    " CROSS JOIN UNNEST(sequence(frame_no, coalesce(last_frame_no, frame_no))) AS numbers (number)"
    " WHERE issue IN ({values}))",
    # A defect of a whole data object is one of all its labels.
    "finding": f"({_FRAME_KEY} IN (SELECT {_FRAME_KEY} FROM finding WHERE finding IN ({{values}}))"  # noqa: S608
    f" OR {_OBJECT_KEY} IN (SELECT {_OBJECT_KEY} FROM finding"
    " WHERE frame_no IS NULL AND finding IN ({values})))",
}
"""Conditions of the filters on single annotations: columns of table annotation."""
