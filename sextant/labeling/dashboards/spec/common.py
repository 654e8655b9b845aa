"""What several pages share: dimensions, conditions of filters, controls, and shares with their intervals."""

from sextant.labeling.dashboards.model import Dataset, Dimension, Filter, Measure, Unit, Visual
from sextant.labeling.interval_sql import p_chart_sql, wilson_sql

JOB = Dimension(title="Job", filter="job", sql="job_name")
BATCH = Dimension(title="Batch", filter="batch", sql="batch")
MODALITY = Dimension(title="Modality", filter="modality", sql="modality")
LEVEL = Dimension(title="Level", filter="level", sql="level")
LABEL = Dimension(title="Label", filter="label", sql="label")
WORKER = Dimension(title="Worker", filter="worker", sql="worker")
AUDITOR = Dimension(title="Auditor", filter="auditor", sql="auditor")
DAY = Dimension(title="Day (UTC)", kind="day", filter="day", sql="created_on")
OBJECT = Dimension(title="Data object", filter="object_id", sql="object_id")
FRAME_NO = Dimension(title="Frame", kind="number", filter="frame_no", sql="frame_no")

JOB_FILTERS = {
    "batch": "job_name IN (SELECT job_name FROM job WHERE batch IN ({values}))",
    "job": "job_name IN ({values})",
    "modality": "modality IN ({values})",
    "level": "job_name IN (SELECT job_name FROM job WHERE level IN ({values}))",
}
OBJECT_FILTER = {"object_id": "object_id IN ({values})"}
FRAME_FILTER = {"frame_no": "frame_no IN ({values})"}
LABEL_FILTER = {"label": "label IN ({values})"}
WORKER_FILTER = {"worker": "worker IN ({values})"}
USERNAME_FILTER = {"worker": "username IN ({values})"}
AUDITOR_FILTER = {"auditor": "auditor IN ({values})"}


def days(column: str) -> dict[str, str]:
    """Conditions of the filters `since` and `until` on a date column, or an expression of one."""
    return {"since": f"{column} >= {{values}}", "until": f"{column} <= {{values}}"}


def with_job(table: str, where: str = "true") -> str:
    """A table with the batch and level of its jobs, as a FROM clause; `where` is a condition on its columns."""
    jobs = "SELECT job_name AS of_job, batch, level FROM job"
    joined = f"{table} LEFT JOIN ({jobs}) AS told ON {table}.job_name = told.of_job"
    return f"(SELECT {table}.*, told.batch, told.level FROM {joined} WHERE {where}) AS {table}"  # noqa: S608  our text


def share(name: str, title: str, hits: str, among: str, *, n: str, n_title: str) -> dict[str, Measure]:
    """A share with Wilson's interval and the measure that counts its cases.

    Args:
        name: of the share; its bounds are `{name}_lower` and `{name}_upper`.
        title: of the share.
        hits: SQL aggregate, never more than `among`.
        among: SQL aggregate of the cases.
        n: name of the measure of `among`.
        n_title: its title.
    """
    lower, upper = wilson_sql(hits, among)
    # NULL, not 0 %, when there is nothing to divide by; 0 when there are cases and none is a hit.
    return {
        name: Measure(
            title=title,
            unit="share",
            n=n,
            lower=f"{name}_lower",
            upper=f"{name}_upper",
            sql=f"CAST({hits} AS double) / CAST(nullif({among}, 0) AS double)",
        ),
        f"{name}_lower": Measure(title=f"{title}, lower bound", unit="share", sql=lower),
        f"{name}_upper": Measure(title=f"{title}, upper bound", unit="share", sql=upper),
        n: Measure(title=n_title, adds=True, sql=among),
    }


def attribute_share(of: str, count: str, attribute: str, good: str) -> dict[str, Measure]:
    """The share of cases whose attribute has the value `good`, among those that have the attribute: `{good}_share`."""
    value = f"element_at(attributes, '{attribute}')"
    among = f"sum({count}) FILTER (WHERE {value} IS NOT NULL)"
    hits = f"coalesce(sum({count}) FILTER (WHERE lower({value}) = '{good}'), 0)"
    return share(f"{good}_share", f"{good} share", hits, among, n=f"{attribute}_n", n_title=of)


def control(hits: str, among: str) -> dict[str, Measure]:
    """Centre and limits of a p-chart: `centre`, `lower_limit`, `upper_limit`, in this order after the share."""
    centre, lower, upper = p_chart_sql(hits, among)
    return {
        "centre": Measure(title="Mean of all", unit="share", sql=centre),
        "lower_limit": Measure(title="Lower control limit", unit="share", sql=lower),
        "upper_limit": Measure(title="Upper control limit", unit="share", sql=upper),
    }


CONTROL = ("centre", "lower_limit", "upper_limit")


def statistic(name: str, title: str, column: str, *, unit: Unit, n: str, bounds: str = "") -> dict[str, Measure]:
    """A statistic that does not add up, with its interval: a visual that shows it must group by the table's key.

    Args:
        name: of the measure; its bounds are `{name}_lower` and `{name}_upper`.
        title: of the measure.
        column: that holds it; of a group of several rows it would be the largest.
        unit: of all three.
        n: the measure of its cases.
        bounds: what precedes `lower` and `upper` in the names of the bounds' columns.
    """
    made = {
        name: Measure(title=title, unit=unit, n=n, lower=f"{name}_lower", upper=f"{name}_upper", sql=f"max({column})")
    }
    for end in ("lower", "upper"):
        made[f"{name}_{end}"] = Measure(title=f"{title}, {end} bound", unit=unit, sql=f"max({bounds}{end})")
    return made


WHISKERS = (
    "Whiskers are 95 % intervals (Wilson): where they overlap, the difference may be chance. They take each label as a"
    " case of its own; frames of one track are not, so of tracked objects they are too short."
)
TRACKED = "Frames of one track pass and fail together: of tracked objects the interval is too short."

JOBS = Dataset(
    counts="jobs",
    source="job",
    dimensions={"job": JOB, "batch": BATCH, "modality": MODALITY, "level": LEVEL},
    measures={"jobs": Measure(title="Jobs", adds=True, sql="count(*)")},
    filters=JOB_FILTERS,
)

JOB_CONTROLS = (
    Filter(id="batch", title="Batch", type="values", options="options-batch"),
    Filter(id="job", title="Job", type="values", options="options-job"),
    Filter(id="modality", title="Modality", type="values", options="options-modality"),
    Filter(id="level", title="Level", type="values", options="options-level"),
    Filter(id="since", title="From", type="since"),
    Filter(id="until", title="To", type="until"),
)
WORKER_CONTROL = Filter(id="worker", title="Worker", type="values", options="options-worker")
LABEL_CONTROL = Filter(id="label", title="Label", type="values", options="options-label")


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


JOB_OPTIONS = tuple(options(name, "jobs", "jobs") for name in ("batch", "job", "modality", "level"))
