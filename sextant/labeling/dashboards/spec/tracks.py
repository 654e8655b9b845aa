"""Tracks: what looks wrong in tracked objects without any truth, and the audit that looks only there."""

from sextant.labeling.dashboards.model import Dashboard, Dataset, Dimension, Filter, Measure, Visual
from sextant.labeling.dashboards.spec.common import (
    BATCH,
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
    WORKER,
    WORKER_CONTROL,
    WORKER_FILTER,
    options,
    with_job,
)

_INSTANCE = Dimension(title="Object", filter="instance_id", sql="instance_id")
_NAME = Dimension(title="Name", sql="instance_name")
_OF_TRACKS = {
    **JOB_FILTERS,
    **LABEL_FILTER,
    **WORKER_FILTER,
    **OBJECT_FILTER,
    "instance_id": "instance_id IN ({values})",
}
_KINDS = ("jump", "size_change", "gap", "frozen", "identity_swap", "missing_attribute")
_FINDINGS = " + ".join(f"{kind}_count" for kind in _KINDS)

TRACKS = Dataset(
    counts="tracks",
    source=with_job("track"),
    dimensions={
        "job": JOB,
        "batch": BATCH,
        "modality": MODALITY,
        "label": LABEL,
        "worker": WORKER,
        "object": OBJECT,
        "instance": _INSTANCE,
        "name": _NAME,
    },
    measures={
        "tracks": Measure(title="Tracked objects", adds=True, sql="count(*)"),
        "frames": Measure(title="Frames they are in", adds=True, sql="sum(frame_count)"),
        "clean": Measure(title="Without a finding", n="tracks", adds=True, sql=f"count_if({_FINDINGS} = 0)"),
        "findings": Measure(title="Findings", adds=True, sql=f"sum({_FINDINGS})"),
        **{
            kind: Measure(title=kind.replace("_", " ").capitalize(), adds=True, sql=f"sum({kind}_count)")
            for kind in _KINDS
        },
        "mean_overlap": Measure(
            title="Mean overlap (IoU) from frame to frame",
            unit="number",
            n="steps",
            sql="sum(mean_iou * step_count) / nullif(sum(CASE WHEN mean_iou IS NOT NULL THEN step_count END), 0)",
        ),
        "steps": Measure(title="Pairs of frames compared", adds=True, sql="sum(step_count)"),
        "least_overlap": Measure(title="Least overlap", unit="number", sql="min(minimum_iou)"),
        "first": Measure(title="First frame", unit="number", sql="min(first_frame_no)"),
        "last": Measure(title="Last frame", unit="number", sql="max(last_frame_no)"),
    },
    filters=_OF_TRACKS,
)
ISSUES = Dataset(
    counts="findings",
    source=with_job("track_issue"),
    dimensions={
        "issue": Dimension(title="Finding", filter="issue", sql="issue"),
        "job": JOB,
        "batch": BATCH,
        "modality": MODALITY,
        "label": LABEL,
        "worker": WORKER,
        "object": OBJECT,
        "instance": _INSTANCE,
        "name": _NAME,
        "frame_no": FRAME_NO,
        "detail": Dimension(title="What was found", sql="detail"),
    },
    measures={
        "findings": Measure(title="Findings", adds=True, sql="count(*)"),
        "tracks": Measure(
            title="Tracked objects with a finding",
            sql="count(DISTINCT concat(job_name, '/', object_id, '/', instance_id))",
        ),
        "value": Measure(title="Measured", unit="number", sql="max(value)"),
        "last": Measure(title="Last frame", unit="number", sql="max(last_frame_no)"),
    },
    filters={**_OF_TRACKS, **FRAME_FILTER, "issue": "issue IN ({values})"},
)
# One row per sequence: one without a finding needs no audit at all and is the largest saving of all.
_SEQUENCES = """(SELECT task.job_name, task.modality, task.object_id, told.batch,
  coalesce(found.sequence_frames, task.frame_count) AS sequence_frames,
  coalesce(found.window_frames, 0) AS window_frames,
  coalesce(found.windows, 0) AS windows,
  coalesce(found.issues, 0) AS issues,
  found.manifest
FROM task
LEFT JOIN (SELECT job_name AS of_job, batch FROM job) AS told ON task.job_name = told.of_job
LEFT JOIN (
  SELECT job_name AS in_job, object_id AS in_object, max(sequence_frame_count) AS sequence_frames,
    sum(frame_count) AS window_frames, count(*) AS windows, sum(issue_count) AS issues, max(manifest) AS manifest
  FROM directed_audit
  GROUP BY job_name, object_id
) AS found ON task.job_name = found.in_job AND task.object_id = found.in_object
WHERE task.job_name IN (SELECT job_name FROM track)) AS sequences"""
SEQUENCES = Dataset(
    counts="sequences",
    source=_SEQUENCES,
    dimensions={
        "job": JOB,
        "batch": BATCH,
        "modality": MODALITY,
        "object": OBJECT,
        "manifest": Dimension(title="Manifest", sql="manifest"),
    },
    measures={
        "saved_share": Measure(
            title="Frames that a directed audit spares",
            unit="share",
            n="frames",
            sql="CAST(sum(sequence_frames) - sum(window_frames) AS double)"
            " / CAST(nullif(sum(sequence_frames), 0) AS double)",
        ),
        "frames": Measure(title="Frames", adds=True, sql="sum(sequence_frames)"),
        "to_see": Measure(title="Frames to see", adds=True, sql="sum(window_frames)"),
        "windows": Measure(title="Windows", adds=True, sql="sum(windows)"),
        "issues": Measure(title="Findings in them", adds=True, sql="sum(issues)"),
        "sequences": Measure(title="Sequences", adds=True, sql="count(*)"),
    },
    filters={**JOB_FILTERS, **OBJECT_FILTER},
)

DASHBOARD = Dashboard(
    id="tracks",
    title="Tracks",
    description="Where tracked objects look wrong, without any truth to hold them against.",
    filters=(
        *(each for each in JOB_CONTROLS if each.type == "values"),
        LABEL_CONTROL,
        WORKER_CONTROL,
        Filter(id="issue", title="Finding", type="values", options="options-issue"),
    ),
    visuals=(
        Visual(
            id="tracks",
            type="kpi",
            title="Tracked objects",
            dataset="tracks",
            measures=("tracks", "clean", "frames"),
            span=1,
        ),
        Visual(
            id="issues",
            type="kpi",
            title="Findings",
            dataset="track_issues",
            measures=("findings", "tracks"),
            span=1,
        ),
        Visual(
            id="overlap",
            type="kpi",
            title="Overlap from frame to frame",
            note="Mean intersection over union of a box with itself one frame later.",
            dataset="tracks",
            measures=("mean_overlap", "least_overlap"),
            span=1,
        ),
        Visual(
            id="saved",
            type="kpi",
            title="Spared by a directed audit",
            note="Frames nobody has to see when an audit looks only around findings.",
            dataset="sequences",
            measures=("saved_share", "to_see", "windows"),
            span=1,
        ),
        Visual(
            id="issue-kinds",
            type="hbar",
            title="Findings by kind",
            dataset="track_issues",
            rows=("issue",),
            measures=("findings",),
            drill=True,
        ),
        Visual(
            id="issues-per-worker",
            type="bar",
            title="Findings per worker",
            dataset="track_issues",
            rows=("worker",),
            columns="issue",
            measures=("findings",),
            drill=True,
        ),
        Visual(
            id="issue-list",
            type="table",
            title="Every finding",
            note="Open a row to see the frame.",
            dataset="track_issues",
            rows=("job", "object", "instance", "name", "frame_no", "issue", "worker", "detail"),
            measures=("value", "last"),
            sort="group",
            limit=500,
            span=4,
            drill=True,
        ),
        Visual(
            id="track-list",
            type="table",
            title="Tracked objects, most findings first",
            dataset="tracks",
            rows=("job", "object", "instance", "name", "label", "worker"),
            measures=("findings", "frames", "first", "last", "mean_overlap", "least_overlap", *_KINDS),
            limit=500,
            span=4,
            drill=True,
        ),
        Visual(
            id="directed-audits",
            type="table",
            title="Directed audits",
            note="Manifests of the frames that an audit should see, below the processed bucket.",
            dataset="sequences",
            rows=("job", "object", "manifest"),
            measures=("to_see", "frames", "saved_share", "windows", "issues"),
            span=4,
        ),
        *(each for each in JOB_OPTIONS),
        options("label", "tracks", "tracks"),
        options("worker", "tracks", "tracks"),
        options("issue", "track_issues", "findings"),
    ),
)

DATASETS = {"jobs": JOBS, "tracks": TRACKS, "track_issues": ISSUES, "sequences": SEQUENCES}
