"""The labeling dashboards: the two of the original post, and the other reports of the same tables.

Data sets stand on the pre-aggregates of `sextant.labeling.tables`, so that a page over ten million annotations reads
thousands of rows, and any label or frame attribute can be a filter.
"""

from sextant.labeling.dashboards.model import Dashboard, Dataset, Dimension, Filter, Measure, Specification, Visual
from sextant.labeling.views import AUDIT_ATTRIBUTE

VEHICLE_TYPE, MOVING, AUDIT = (
    "label_attribute.vehicle_type",
    "label_attribute.moving",
    f"label_attribute.{AUDIT_ATTRIBUTE}",
)
FRAME_QUALITY, VEHICLES = "frame_attribute.quality_of_the_frame", "frame_attribute.number_of_vehicles"

JOB = Dimension(title="Job", sql="job_name")
MODALITY = Dimension(title="Modality", sql="modality")
LABEL = Dimension(title="Label", sql="label")

JOB_FILTERS = {
    "job": "job_name IN ({values})",
    "modality": "modality IN ({values})",
    "level": "job_name IN (SELECT job_name FROM job WHERE level IN ({values}))",
}
LABEL_FILTERS = {
    **JOB_FILTERS,
    "label": "label IN ({values})",
    "since": "created_on >= {values}",
    "until": "created_on <= {values}",
    "label_attribute": "element_at(attributes, {name}) IN ({values})",
}
FRAME_FILTERS = {
    **JOB_FILTERS,
    "since": "created_on >= {values}",
    "until": "created_on <= {values}",
    "frame_attribute": "element_at(attributes, {name}) IN ({values})",
}


def share(of: str, count: str, attribute: str, good: str) -> dict[str, Measure]:
    """A share of cases whose attribute has the value `good`, among those that have the attribute, and its n."""
    value = f"element_at(attributes, '{attribute}')"
    among = f"sum({count}) FILTER (WHERE {value} IS NOT NULL)"
    # NULL, not 0 %, when there is nothing to divide by; 0 when there are cases and none is good.
    hits = f"CAST(coalesce(sum({count}) FILTER (WHERE lower({value}) = '{good}'), 0) AS double)"
    return {
        f"{good}_share": Measure(title=f"{good} share", unit="share", n=f"{attribute}_n", sql=f"{hits} / {among}"),
        f"{attribute}_n": Measure(title=of, adds=True, sql=among),
    }


LABELS = Dataset(
    counts="labels",
    source="label_count",
    attributes="label_attribute",
    dimensions={
        "job": JOB,
        "modality": MODALITY,
        "label": LABEL,
        "day": Dimension(title="Day (UTC)", kind="day", sql="created_on"),
    },
    measures={
        "labels": Measure(title="Labels", adds=True, sql="sum(annotation_count)"),
        "jobs": Measure(title="Jobs", sql="count(DISTINCT job_name)"),
        "newest": Measure(title="Newest label", unit="day", sql="max(created_on)"),
        **share("audited labels", "annotation_count", AUDIT_ATTRIBUTE, "pass"),
    },
    filters=LABEL_FILTERS,
)
LABEL_ATTRIBUTES = Dataset(
    counts="labels",
    source="label_count CROSS JOIN UNNEST(attributes) AS pair (attribute, value)",
    dimensions={
        "attribute": Dimension(title="Attribute", sql="attribute"),
        "value": Dimension(title="Value", sql="value"),
    },
    measures={"labels": LABELS.measures["labels"]},
    filters=LABEL_FILTERS,
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
        **share("judged frames", "frame_count", "quality_of_the_frame", "good"),
    },
    filters=FRAME_FILTERS,
)
FRAME_ATTRIBUTES = Dataset(
    counts="frames",
    source="frame_count CROSS JOIN UNNEST(attributes) AS pair (attribute, value)",
    dimensions=LABEL_ATTRIBUTES.dimensions,
    measures={"frames": FRAMES.measures["frames"]},
    filters=FRAME_FILTERS,
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
    filters={**JOB_FILTERS, "label": "label IN ({values})", "since": "day >= {values}", "until": "day <= {values}"},
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
        "since": "CAST(created_at AS date) >= {values}",
        "until": "CAST(created_at AS date) <= {values}",
    },
)
WORK = Dataset(
    counts="answers",
    source="worker_count",
    dimensions={
        "worker": Dimension(title="Worker", sql="username"),
        "job": JOB,
        "modality": MODALITY,
        "day": Dimension(title="Day (UTC)", kind="day", sql="submitted_on"),
    },
    measures={
        "workers": Measure(title="Workers", sql="count(DISTINCT worker_id)"),
        "jobs": Measure(title="Jobs", sql="count(DISTINCT job_name)"),
        "answers": Measure(title="Answers", adds=True, sql="sum(answer_count)"),
        "timed": Measure(title="Timed answers", adds=True, sql="sum(timed_count)"),
        "frames": Measure(title="Frames (tasks)", adds=True, sql="sum(frame_count)"),
        "labels": Measure(title="Labels", adds=True, sql="sum(label_count)"),
        "seconds": Measure(title="Total time", unit="seconds", n="timed", adds=True, sql="sum(seconds)"),
        "mean": Measure(
            title="Mean time per answer",
            unit="seconds",
            n="timed",
            sql="sum(seconds) / CAST(nullif(sum(timed_count), 0) AS double)",
        ),
        "minimum": Measure(title="Shortest answer", unit="seconds", n="timed", sql="min(minimum_seconds)"),
        "maximum": Measure(title="Longest answer", unit="seconds", n="timed", sql="max(maximum_seconds)"),
        # Only groups in which every answer tells its time: labels without a time would inflate the rate.
        "rate": Measure(
            title="Labels per hour",
            unit="rate",
            n="rated",
            sql="3600E0 * CAST(sum(label_count) FILTER (WHERE timed_count = answer_count) AS double)"
            " / nullif(sum(seconds) FILTER (WHERE timed_count = answer_count), 0E0)",
        ),
        "rated": Measure(
            title="Answers of wholly timed days", sql="sum(answer_count) FILTER (WHERE timed_count = answer_count)"
        ),
        "newest": Measure(title="Newest answer", unit="day", sql="max(submitted_on)"),
    },
    filters={
        **JOB_FILTERS,
        "worker": "username IN ({values})",
        "since": "submitted_on >= {values}",
        "until": "submitted_on <= {values}",
    },
)
JOBS = Dataset(
    counts="jobs",
    source="job",
    dimensions={"job": JOB, "modality": MODALITY, "level": Dimension(title="Level", sql="level")},
    measures={"jobs": Measure(title="Jobs", adds=True, sql="count(*)")},
    filters={},
)
REJECTED = Dataset(
    counts="inputs",
    source="rejected",
    dimensions={"reason": Dimension(title="Reason", sql="reason"), "source": Dimension(title="Input", sql="source")},
    measures={"inputs": Measure(title="Findings", adds=True, sql="count(*)")},
    filters={},
)

JOB_CONTROLS = (
    Filter(id="job", title="Job", type="values", options="options-job"),
    Filter(id="modality", title="Modality", type="values", options="options-modality"),
    Filter(id="level", title="Level", type="values", options="options-level"),
    Filter(id="since", title="From", type="since"),
    Filter(id="until", title="To", type="until"),
)


def options(name: str, dataset: str, measure: str, *rows: str) -> Visual:
    """The values a filter offers, with how often each occurs."""
    return Visual(
        id=f"options-{name.replace('_', '-')}",
        type="options",
        title=f"Values of {name}",
        dataset=dataset,
        rows=rows or (name,),
        measures=(measure,),
        sort="group",
    )


PER_LABEL = "One label is one object on one frame: a car on ten frames counts ten times, once for each level's output."

ANNOTATIONS = Dashboard(
    id="annotations",
    title="Annotations",
    description="What was labeled, and how good audits found it.",
    filters=(
        *JOB_CONTROLS,
        Filter(id="label", title="Label", type="values", options="options-label"),
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
        ),
        Visual(
            id="label-quality",
            type="donut",
            title="Annotation quality",
            note="Verdict of the audit on each label.",
            dataset="labels",
            rows=(AUDIT,),
            measures=("labels",),
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
            id="rejected",
            type="table",
            title="Input that could not be used",
            note="Or not wholly: answers and labels that are kept with a remark count in the numbers above.",
            dataset="rejected",
            rows=("reason", "source"),
            measures=("inputs",),
            limit=200,
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
        options("job", "jobs", "jobs"),
        options("modality", "jobs", "jobs"),
        options("level", "jobs", "jobs"),
        options("label", "labels", "labels"),
        options("label_attribute", "label_attributes", "labels", "attribute", "value"),
        options("frame_attribute", "frame_attributes", "frames", "attribute", "value"),
    ),
)

WORKERS = Dashboard(
    id="workers",
    title="Workers",
    description="Who labeled, how much, and how long it took.",
    filters=(*JOB_CONTROLS, Filter(id="worker", title="Worker", type="values", options="options-worker")),
    visuals=(
        Visual(id="team", type="kpi", title="Workers", dataset="work", measures=("workers", "jobs", "newest"), span=1),
        Visual(id="answers", type="kpi", title="Answers", dataset="work", measures=("answers", "labels"), span=1),
        Visual(id="time", type="kpi", title="Time spent labeling", dataset="work", measures=("seconds",), span=1),
        Visual(id="pace", type="kpi", title="Mean time per answer", dataset="work", measures=("mean",), span=1),
        Visual(
            id="time-per-worker",
            type="bar",
            title="Total time spent labeling, by worker",
            dataset="work",
            rows=("worker",),
            columns="modality",
            measures=("seconds",),
            span=4,
        ),
        Visual(
            id="time-per-modality",
            type="hbar",
            title="Total time by modality",
            dataset="work",
            rows=("modality",),
            measures=("seconds",),
        ),
        Visual(
            id="labels-per-worker",
            type="hbar",
            title="Labels per worker",
            note="Labels in the worker's answers, before consolidation.",
            dataset="work",
            rows=("worker",),
            measures=("labels",),
        ),
        Visual(
            id="worker-metrics",
            type="table",
            title="Worker metrics",
            note="Tasks are frames, as in a video task. Times are of single answers.",
            dataset="work",
            rows=("worker",),
            measures=("seconds", "frames", "answers", "maximum", "minimum", "mean"),
            span=4,
        ),
        Visual(
            id="team-per-modality",
            type="table",
            title="Team by modality",
            dataset="work",
            rows=("modality",),
            measures=("workers", "jobs", "answers", "labels", "seconds", "mean", "rate"),
            sort="group",
            span=4,
        ),
        Visual(
            id="jobs-per-worker",
            type="hbar",
            title="Jobs per worker",
            dataset="work",
            rows=("worker",),
            measures=("jobs",),
        ),
        Visual(
            id="answers-per-day",
            type="bar",
            title="Answers per day",
            note="UTC day of submission.",
            dataset="work",
            rows=("day",),
            columns="modality",
            measures=("answers",),
            sort="group",
        ),
        Visual(
            id="time-per-worker-and-job",
            type="table",
            title="Time per worker and job",
            dataset="work",
            rows=("worker", "job"),
            measures=("seconds", "minimum", "mean", "maximum", "answers", "labels"),
            sort="group",
            span=4,
        ),
        options("job", "jobs", "jobs"),
        options("modality", "jobs", "jobs"),
        options("level", "jobs", "jobs"),
        options("worker", "work", "answers"),
    ),
)

SPECIFICATION = Specification(
    datasets={
        "labels": LABELS,
        "label_attributes": LABEL_ATTRIBUTES,
        "frames": FRAMES,
        "frame_attributes": FRAME_ATTRIBUTES,
        "audits": AUDITS,
        "tasks": TASKS,
        "work": WORK,
        "jobs": JOBS,
        "rejected": REJECTED,
    },
    dashboards=(ANNOTATIONS, WORKERS),
)
