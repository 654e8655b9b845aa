"""Cost: what labels cost that hold, how far the work is, when it will be done."""

from sextant.labeling.dashboards.model import Dashboard, Dataset, Dimension, Measure, Visual
from sextant.labeling.dashboards.spec.common import (
    BATCH,
    JOB,
    JOB_CONTROLS,
    JOB_FILTERS,
    JOB_OPTIONS,
    JOBS,
    LEVEL,
    MODALITY,
    USERNAME_FILTER,
    WORKER_CONTROL,
    days,
    options,
)

COST = Dataset(
    counts="US dollars",
    source="cost",
    dimensions={
        "job": JOB,
        "batch": BATCH,
        "modality": MODALITY,
        "worker": Dimension(title="Worker", filter="worker", sql="username"),
        "kind": Dimension(title="Kind", sql="kind"),
        "rework": Dimension(title="Spent on", sql="CASE WHEN rework THEN 'rework' ELSE 'first level' END"),
        "day": Dimension(title="Day (UTC)", kind="day", filter="day", sql="spent_on"),
    },
    measures={
        "usd": Measure(title="Cost", unit="usd", adds=True, sql="sum(amount_usd)"),
        "rework_usd": Measure(
            title="Rework", unit="usd", n="usd", adds=True, sql="sum(amount_usd) FILTER (WHERE rework)"
        ),
        "units": Measure(title="Units", unit="number", sql="sum(unit_count)"),
        "burn": Measure(
            title="Spent per working day",
            unit="usd",
            n="days",
            sql="sum(amount_usd) / CAST(nullif(count(DISTINCT spent_on), 0) AS double)",
        ),
        "days": Measure(title="Days with work", sql="count(DISTINCT spent_on)"),
        "prices_of": Measure(title="Prices of", unit="day", sql="max(prices_of)"),
    },
    filters={**JOB_FILTERS, **USERNAME_FILTER, **days("spent_on")},
)
BATCHES = Dataset(
    counts="batches",
    source="accepted_cost",
    dimensions={"batch": BATCH},
    measures={
        "usd_per_label": Measure(
            title="Cost per accepted label",
            unit="usd",
            n="accepted",
            sql="sum(amount_usd) / CAST(nullif(sum(accepted_count), 0) AS double)",
        ),
        "accepted": Measure(title="Accepted labels", adds=True, sql="sum(accepted_count)"),
        "labels": Measure(title="First-level labels", adds=True, sql="sum(label_count)"),
        "usd": Measure(title="Spent", unit="usd", adds=True, sql="sum(amount_usd)"),
        "rework_usd": Measure(title="Of that, rework", unit="usd", adds=True, sql="sum(rework_usd)"),
        "budget_usd": Measure(title="Budget", unit="usd", adds=True, sql="sum(budget_usd)"),
        "burned": Measure(
            title="Budget used",
            unit="share",
            n="budgeted",
            sql="sum(CASE WHEN budget_usd IS NOT NULL THEN amount_usd END) / nullif(sum(budget_usd), 0E0)",
        ),
        "budgeted": Measure(title="Batches with a budget", adds=True, sql="count(budget_usd)"),
        # Of one batch: a visual that shows it groups by batch. Data set cost has that of several.
        "burn": Measure(title="Spent per working day", unit="usd", sql="max(burn_usd_per_day)"),
        "exhausted_on": Measure(title="Budget ends on", unit="day", sql="min(exhausted_on)"),
    },
    filters={"batch": "batch IN ({values})"},
)
PROGRESS = Dataset(
    counts="answers",
    source="progress",
    dimensions={
        "job": JOB,
        "modality": MODALITY,
        "day": Dimension(title="Day (UTC)", kind="day", filter="day", sql="CAST(hour AS date)"),
        "hour": Dimension(title="Hour (UTC)", kind="time", sql="hour"),
    },
    measures={
        "labels": Measure(title="Labels", adds=True, sql="sum(label_count)"),
        "answers": Measure(title="Answers", adds=True, sql="sum(answer_count)"),
        "tasks": Measure(title="Tasks begun", adds=True, sql="sum(task_count)"),
        "workers": Measure(title="Most workers in an hour", sql="max(worker_count)"),
        "seconds": Measure(title="Time", unit="seconds", n="answers", adds=True, sql="sum(seconds)"),
    },
    filters={**JOB_FILTERS, **days("CAST(hour AS date)")},
)


def _last(end: str = "") -> str:
    """When the last of the jobs shown is done, for which there is a simulation: one job, a batch, or all there are.

    Of any other choice the largest of their times would be too early, so there is none. Finished jobs have null in all
    of these columns.
    """
    waiting = "count(unfinished_count)"
    return (
        f"CASE WHEN {waiting} = 1 THEN max(eta{end})"
        f" WHEN {waiting} = max(all_unfinished_count) THEN max(all_eta{end})"
        f" WHEN {waiting} = max(unfinished_count) THEN"
        f" CASE WHEN count(DISTINCT waiting) = 1 THEN max(last_eta{end}) END END"
    )


FORECAST = Dataset(
    counts="jobs",
    source=(
        "(SELECT forecast.*, told.unfinished_count, told.last_eta, told.last_eta_lower, told.last_eta_upper,"
        " told.all_unfinished_count, told.all_eta, told.all_eta_lower, told.all_eta_upper, told.batch AS waiting"
        " FROM forecast LEFT JOIN batch_forecast AS told"
        " ON forecast.batch = told.batch AND (in_progress_count > 0 OR open_count > 0)) AS forecast"
    ),
    dimensions={"job": JOB, "batch": BATCH, "level": LEVEL, "modality": MODALITY},
    measures={
        "done_share": Measure(
            title="Done",
            unit="share",
            n="tasks",
            sql="CAST(sum(labeled_count) AS double) / CAST(nullif(sum(task_count), 0) AS double)",
        ),
        "tasks": Measure(title="Tasks", adds=True, sql="sum(task_count)"),
        "labeled": Measure(title="Done tasks", adds=True, sql="sum(labeled_count)"),
        "in_progress": Measure(title="In progress", adds=True, sql="sum(in_progress_count)"),
        "open": Measure(title="Not begun", adds=True, sql="sum(open_count)"),
        "rate": Measure(title="Tasks per hour", unit="rate", sql="max(tasks_per_hour)"),
        "unfinished": Measure(title="Unfinished jobs", adds=True, sql="count(unfinished_count)"),
        "eta": Measure(
            title="Done by", unit="timestamp", n="unfinished", lower="eta_lower", upper="eta_upper", sql=_last()
        ),
        "seen_from": Measure(title="Newest work", unit="timestamp", sql="max(as_of)"),
        "eta_lower": Measure(title="Done by, at the earliest", unit="timestamp", sql=_last("_lower")),
        "eta_upper": Measure(title="Done by, at the latest", unit="timestamp", sql=_last("_upper")),
        "expires_at": Measure(title="Expires, at the latest", unit="timestamp", sql="min(expires_at)"),
        "expiry_risk": Measure(title="Risk of expiry, at least", unit="share", sql="max(expiry_risk)"),
        "as_of": Measure(title="Forecast from", unit="timestamp", sql="max(as_of)"),
    },
    filters=JOB_FILTERS,
)

LAST_JOB = (
    "Seen from the newest work: by then all are done in half of the simulated futures, 95 % of them end within the"
    " interval. Told of one job, a batch or all of them, within 90 days."
)

DASHBOARD = Dashboard(
    id="cost",
    title="Cost and progress",
    description="What accepted labels cost, and when the work will be done.",
    filters=(*JOB_CONTROLS, WORKER_CONTROL),
    visuals=(
        Visual(
            id="accepted-cost",
            type="kpi",
            title="Cost per accepted label",
            note="Everything spent, rework too, by the labels that hold after every level.",
            dataset="batches",
            measures=("usd_per_label", "labels"),
            span=1,
        ),
        Visual(
            id="spent",
            type="kpi",
            title="Spent",
            dataset="cost",
            measures=("usd", "rework_usd", "burn", "prices_of"),
            span=1,
        ),
        Visual(
            id="budget",
            type="kpi",
            title="Budget used",
            dataset="batches",
            measures=("burned", "usd", "budget_usd"),
            span=1,
        ),
        Visual(
            id="eta",
            type="kpi",
            title="Last job done by",
            note=LAST_JOB,
            dataset="forecast",
            measures=("eta", "seen_from", "done_share", "open", "expiry_risk"),
            span=1,
        ),
        Visual(
            id="cost-per-day",
            type="bar",
            title="Cost per day",
            dataset="cost",
            rows=("day",),
            columns="kind",
            measures=("usd",),
            sort="group",
            span=4,
        ),
        Visual(
            id="cost-per-batch",
            type="hbar",
            title="Cost per batch",
            dataset="cost",
            rows=("batch",),
            columns="rework",
            measures=("usd",),
        ),
        Visual(
            id="cost-per-worker",
            type="hbar",
            title="Cost per worker",
            note="Ground Truth's own price per object belongs to nobody.",
            dataset="cost",
            rows=("worker",),
            columns="kind",
            measures=("usd",),
        ),
        Visual(
            id="batches",
            type="table",
            title="Cost per accepted label, by batch",
            dataset="batches",
            rows=("batch",),
            measures=(
                "usd_per_label",
                "usd",
                "rework_usd",
                "labels",
                "accepted",
                "budget_usd",
                "burned",
                "burn",
                "exhausted_on",
            ),
            span=4,
        ),
        Visual(
            id="throughput",
            type="line",
            title="Labels per hour",
            note="Labels in submitted answers, by UTC hour of submission.",
            dataset="progress",
            rows=("hour",),
            columns="modality",
            measures=("labels",),
            sort="group",
            limit=5000,
            span=4,
        ),
        Visual(
            id="forecast",
            type="table",
            title="Progress and forecast per job",
            note="Ground Truth ends a job 30 days after its creation: at the latest, 30 days after its first answer.",
            dataset="forecast",
            rows=("job", "level"),
            measures=(
                "done_share",
                "tasks",
                "labeled",
                "in_progress",
                "open",
                "rate",
                "eta",
                "expires_at",
                "expiry_risk",
            ),
            sort="group",
            span=4,
        ),
        *JOB_OPTIONS,
        options("worker", "cost", "usd"),
    ),
)

DATASETS = {"jobs": JOBS, "cost": COST, "batches": BATCHES, "progress": PROGRESS, "forecast": FORECAST}
