"""Workers: who labeled, how long it took, how good it is and how far they agree."""

from sextant.labeling.dashboards.model import Dashboard, Dataset, Dimension, Measure, Visual
from sextant.labeling.dashboards.spec.common import (
    JOB,
    JOB_CONTROLS,
    JOB_FILTERS,
    JOB_OPTIONS,
    JOBS,
    LABEL,
    LABEL_FILTER,
    MODALITY,
    OBJECT,
    OBJECT_FILTER,
    USERNAME_FILTER,
    WORKER_CONTROL,
    WORKER_FILTER,
    days,
    options,
    statistic,
)

_WORKER = Dimension(title="Worker", filter="worker", sql="username")
_METRIC = Dimension(
    title="Metric",
    sql="CASE metric WHEN 'alpha' THEN 'Krippendorff alpha' WHEN 'iou_alpha' THEN 'IoU alpha'"
    " WHEN 'iou_f1' THEN 'IoU F1' WHEN 'span_f1' THEN 'Span F1' ELSE upper(replace(metric, 'level_', '')) END",
)

WORK = Dataset(
    counts="answers",
    source="worker_count",
    dimensions={
        "worker": _WORKER,
        "job": JOB,
        "modality": MODALITY,
        "day": Dimension(title="Day (UTC)", kind="day", filter="day", sql="submitted_on"),
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
        **USERNAME_FILTER,
        **days("submitted_on"),
    },
)


def _agreement(condition: str, **filters: str) -> Dataset:
    """Rows of table agreement. Over several jobs only `mean` may be read, never the statistics."""
    return Dataset(
        counts="answers",
        source=f"(SELECT * FROM agreement WHERE {condition}) AS agreement",  # noqa: S608  our text
        dimensions={
            "job": JOB,
            "modality": MODALITY,
            "metric": _METRIC,
            "label": LABEL if "label" in filters else Dimension(title="Label", sql="label"),
            "worker": Dimension(title="Worker", filter="worker" if "worker" in filters else None, sql="worker"),
            "other_worker": Dimension(
                title="And worker", filter="worker" if "worker" in filters else None, sql="other_worker"
            ),
            "day": Dimension(title="Day (UTC)", kind="day", filter="day" if "since" in filters else None, sql="day"),
        },
        measures={
            **statistic("agreement", "Agreement", "value", unit="number", n="objects"),
            "objects": Measure(title="Data objects with several answers", sql="sum(object_count)"),
            "mean": Measure(
                title="Agreement, mean over jobs by pairs of answers",
                unit="number",
                n="pairs",
                sql="sum(value * pair_count) / nullif(sum(CASE WHEN value IS NOT NULL THEN pair_count END), 0)",
            ),
            "pairs": Measure(title="Pairs of answers", sql="sum(pair_count)"),
        },
        filters={**JOB_FILTERS, **filters},
    )


# A level starts from the labels of the level before: that both agree says nothing of how workers agree.
_WORKERS = "substr(metric, 1, 6) <> 'level_'"
AGREEMENT = _agreement(f"scope = 'job' AND {_WORKERS}")
LEVEL_AGREEMENT = _agreement("scope = 'job' AND substr(metric, 1, 6) = 'level_'")
HEADLINE_AGREEMENT = _agreement("scope = 'job' AND metric IN ('alpha', 'iou_f1', 'span_f1', 'hota')")
"""One metric for each type of task."""
AGREEMENT_BY_LABEL = _agreement(f"scope = 'label' AND {_WORKERS}", **LABEL_FILTER)
# Both sides of a pair, so that the matrix is whole.
_PAIR = (
    "SELECT job_name, modality, metric, value, {} AS worker, {} AS other_worker, object_count, pair_count"  # noqa: S608
    f" FROM agreement WHERE scope = 'pair' AND {_WORKERS}"
)
AGREEMENT_BY_PAIR = Dataset(
    counts="pairs of workers",
    source=f"({_PAIR.format('worker', 'other_worker')} UNION ALL {_PAIR.format('other_worker', 'worker')}) AS pair",
    dimensions={
        "metric": _METRIC,
        "worker": Dimension(title="Worker", filter="worker", sql="worker"),
        "other_worker": Dimension(title="And worker", filter="worker", sql="other_worker"),
    },
    measures={name: AGREEMENT.measures[name] for name in ("mean", "pairs")},
    filters={**JOB_FILTERS, **WORKER_FILTER},
)
AGREEMENT_BY_DAY = _agreement(f"scope = 'day' AND {_WORKERS}", **days("day"))
QUALITY = Dataset(
    counts="answers",
    source="worker_quality",
    dimensions={
        "worker": _WORKER,
        "job": JOB,
        "modality": MODALITY,
        "method": Dimension(
            title="Measured by",
            sql="CASE method WHEN 'dawid-skene' THEN 'Dawid-Skene (no gold)' WHEN 'gold' THEN 'gold labels'"
            " WHEN 'consensus' THEN 'majority' ELSE method END",
        ),
    },
    measures={
        **statistic("accuracy", "Accuracy", "accuracy", unit="share", n="answers"),
        "answers": Measure(title="Answers", sql="sum(answer_count)"),
    },
    filters={**JOB_FILTERS, **USERNAME_FILTER},
)
CONFUSION = Dataset(
    counts="answers",
    source="confusion",
    dimensions={
        "worker": _WORKER,
        "job": JOB,
        "method": QUALITY.dimensions["method"],
        "right": Dimension(title="Right class", sql="right_label"),
        "given": Dimension(title="Given class", sql="given_label"),
    },
    measures={"answers": Measure(title="Answers", unit="number", adds=True, sql="sum(answer_count)")},
    filters={**JOB_FILTERS, **USERNAME_FILTER},
)
JOB_QUALITY = Dataset(
    counts="cases",
    source="job_quality",
    dimensions={
        "job": JOB,
        "measure": Dimension(
            title="Measure",
            sql="CASE measure WHEN 'single_answer_accuracy' THEN 'one answer' WHEN 'majority_accuracy' THEN 'majority'"
            " WHEN 'output_accuracy' THEN 'Ground Truth' WHEN 'dawid_skene_accuracy' THEN 'Dawid-Skene'"
            " WHEN 'worker_correlation' THEN 'predicted and true accuracy, r' ELSE measure END",
        ),
    },
    measures={
        **statistic("value", "Value", "value", unit="number", n="cases"),
        "cases": Measure(title="Answers, data objects or workers", sql="sum(case_count)"),
    },
    filters=JOB_FILTERS,
)
CONSENSUS = Dataset(
    counts="data objects",
    source="consensus",
    dimensions={
        "job": JOB,
        "object": OBJECT,
        "label": LABEL,
        "majority": Dimension(title="Majority", sql="majority_label"),
        "output": Dimension(title="Ground Truth", sql="output_label"),
        "gold": Dimension(title="Gold", sql="gold_label"),
    },
    measures={
        "doubt": Measure(
            title="Probability that it is another class", unit="share", n="answers", sql="max(1E0 - probability)"
        ),
        "agreeing": Measure(title="Answers with the majority", n="answers", adds=True, sql="sum(agreeing_count)"),
        "answers": Measure(title="Answers", adds=True, sql="sum(answer_count)"),
        "objects": Measure(title="Data objects", adds=True, sql="count(*)"),
    },
    filters={**JOB_FILTERS, **LABEL_FILTER, **OBJECT_FILTER},
)
PACE = Dataset(
    counts="workers",
    source="pace",
    dimensions={
        "worker": _WORKER,
        "job": JOB,
        "modality": MODALITY,
        "efficient": Dimension(
            title="Frontier", sql="CASE WHEN efficient THEN 'nobody is faster and better' ELSE 'somebody is' END"
        ),
        "method": Dimension(title="Quality by", sql="quality_method"),
    },
    measures={
        **statistic("seconds_per_label", "Seconds per label", "seconds_per_label", unit="seconds", n="answers"),
        "answers": Measure(title="Timed answers", adds=True, sql="sum(answer_count)"),
        **statistic("quality", "Quality", "quality", unit="share", n="judged", bounds="quality_"),
        "judged": Measure(title="Labels or answers judged", adds=True, sql="sum(quality_count)"),
    },
    filters={**JOB_FILTERS, **USERNAME_FILTER},
)
FLAGS = Dataset(
    counts="answers",
    source="answer_flag",
    dimensions={
        "flag": Dimension(title="Flag", sql="flag"),
        "worker": _WORKER,
        "job": JOB,
        "modality": MODALITY,
        "object": OBJECT,
        "day": Dimension(title="Day (UTC)", kind="day", filter="day", sql="CAST(submitted_at AS date)"),
    },
    measures={
        "flags": Measure(title="Flags", adds=True, sql="count(*)"),
        "flagged": Measure(title="Flagged answers", sql="count(DISTINCT answer_id)"),
        "workers": Measure(title="Workers", sql="count(DISTINCT worker_id)"),
        "value": Measure(title="Measured", unit="number", sql="max(value)"),
        "reference": Measure(title="Limit", unit="number", sql="max(reference)"),
        "submitted": Measure(title="Submitted", unit="timestamp", sql="max(submitted_at)"),
    },
    filters={
        **JOB_FILTERS,
        **USERNAME_FILTER,
        **OBJECT_FILTER,
        **days("CAST(submitted_at AS date)"),
    },
)
DRIFT = Dataset(
    counts="comparisons",
    source="drift",
    dimensions={
        "task_type": Dimension(title="Task type", sql="task_type"),
        "subject": Dimension(title="Of", sql="subject"),
        "scope": Dimension(title="By", sql="scope"),
        "item": Dimension(title="Which", sql="item"),
        "largest": Dimension(title="Moved most", sql="largest"),
    },
    measures={
        "comparisons": Measure(title="Comparisons", adds=True, sql="count(*)"),
        "drifted": Measure(title="Drifted", n="comparisons", adds=True, sql="count_if(drifted)"),
        "psi": Measure(title="PSI", unit="number", n="cases", sql="max(psi)"),
        "threshold": Measure(title="By chance up to", unit="number", sql="max(threshold)"),
        "js": Measure(title="JS distance", unit="number", n="cases", sql="max(js)"),
        "cases": Measure(title="Labels", sql="sum(case_count)"),
    },
    # A comparison with all others has no meaning once others are filtered away.
    filters={},
)

DASHBOARD = Dashboard(
    id="workers",
    title="Workers",
    description="Who labeled, how much, how long it took and how good it is.",
    filters=(*JOB_CONTROLS, WORKER_CONTROL),
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
        Visual(
            id="accuracy",
            type="interval",
            title="Accuracy of each worker",
            note="Whiskers are 95 % intervals. Dawid-Skene needs no gold: it learns from who agrees with whom, which"
            " takes three answers to a data object; with fewer it says nothing.",
            dataset="quality",
            rows=("worker", "job"),
            columns="method",
            measures=("accuracy",),
        ),
        Visual(
            id="pace-and-quality",
            type="scatter",
            title="Time against quality",
            note="Median time per label, and audit pass share or predicted accuracy, with 95 % intervals.",
            dataset="pace",
            rows=("job", "worker"),
            columns="efficient",
            measures=("seconds_per_label", "quality"),
        ),
        Visual(
            id="confusion",
            type="heat",
            title="What workers say when something else is right",
            note="By Dawid-Skene the right class is a posterior, so answers come in parts.",
            dataset="confusion",
            rows=("method", "right"),
            columns="given",
            measures=("answers",),
            sort="group",
            pick="method",
        ),
        Visual(
            id="agreement-per-job",
            type="interval",
            title="Agreement per job",
            note="1 is full agreement; an alpha of 0 is what chance gives.",
            dataset="agreement",
            rows=("job",),
            columns="metric",
            measures=("agreement",),
            sort="group",
        ),
        Visual(
            id="agreement-pairs",
            type="heat",
            title="Agreement of worker pairs",
            dataset="agreement_by_pair",
            rows=("metric", "worker"),
            columns="other_worker",
            measures=("mean",),
            sort="group",
            pick="metric",
        ),
        Visual(
            id="agreement-per-label",
            type="interval",
            title="Agreement per class",
            dataset="agreement_by_label",
            rows=("label", "job"),
            columns="metric",
            measures=("agreement",),
            sort="group",
        ),
        Visual(
            id="agreement-per-day",
            type="line",
            title="Agreement over time",
            note="Day of the later answer; mean over jobs by pairs of answers.",
            dataset="agreement_by_day",
            rows=("day",),
            columns="metric",
            measures=("mean",),
            sort="group",
        ),
        Visual(
            id="job-quality",
            type="interval",
            title="What consolidation is worth",
            note="Against gold labels, where there are any.",
            dataset="job_quality",
            rows=("measure", "job"),
            measures=("value",),
        ),
        Visual(
            id="flags",
            type="bar",
            title="Answers that stand out",
            note="Rush: faster than 1 % of the peers. Idle: far beyond them. Straight-lining: always the same answer.",
            dataset="flags",
            rows=("worker",),
            columns="flag",
            measures=("flags",),
        ),
        Visual(
            id="flag-list",
            type="table",
            title="Every answer that stands out",
            dataset="flags",
            rows=("worker", "flag", "job", "object"),
            measures=("value", "reference", "submitted"),
            sort="group",
            limit=500,
            span=4,
            drill=True,
        ),
        Visual(
            id="drift",
            type="table",
            title="Drift of labels",
            note="How far one day, worker or batch differs from all others; beyond chance and above 0.1 it drifted.",
            dataset="drift",
            rows=("task_type", "subject", "scope", "item", "largest"),
            measures=("psi", "threshold", "js", "drifted"),
            limit=200,
            span=4,
        ),
        Visual(
            id="doubtful",
            type="table",
            title="Data objects the workers disagree on",
            dataset="consensus",
            rows=("job", "object", "label", "majority", "output", "gold"),
            measures=("doubt", "agreeing", "answers"),
            limit=200,
            span=4,
            drill=True,
        ),
        *JOB_OPTIONS,
        options("worker", "work", "answers"),
    ),
)


DATASETS = {
    "jobs": JOBS,
    "work": WORK,
    "quality": QUALITY,
    "confusion": CONFUSION,
    "agreement": AGREEMENT,
    "headline_agreement": HEADLINE_AGREEMENT,
    "agreement_by_label": AGREEMENT_BY_LABEL,
    "agreement_by_pair": AGREEMENT_BY_PAIR,
    "agreement_by_day": AGREEMENT_BY_DAY,
    "job_quality": JOB_QUALITY,
    "consensus": CONSENSUS,
    "pace": PACE,
    "flags": FLAGS,
    "drift": DRIFT,
}
