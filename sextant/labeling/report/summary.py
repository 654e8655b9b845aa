"""A batch in a few lines: what its owner wants to know when a workflow has finished, as text for an SNS topic."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sextant.labeling.dashboards.athena import run
from sextant.labeling.dashboards.query import Query
from sextant.labeling.interval_sql import wilson_sql
from sextant.labeling.report.document import records
from sextant.labeling.report.words import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_athena import AthenaClient

    from sextant.labeling.dashboards.athena import Lake

MOST_BATCHES = 1000
HORIZON_DAYS = 90
"""How far forecasts look: `insight.progress.HORIZON_HOURS`, which needs numpy."""
_LOWER, _UPPER = wilson_sql("accepted", "seen")

LEVELS_SQL = """
SELECT
  forecast.batch, forecast.level, count(*) AS jobs, sum(forecast.task_count) AS tasks,
  sum(forecast.labeled_count) AS done, sum(failed_count) AS failed, sum(in_progress_count) AS in_progress,
  count_if(open_count IS NULL) AS unsized
FROM forecast JOIN job ON forecast.job_name = job.job_name
GROUP BY forecast.batch, forecast.level
""".strip()
BATCHES_SQL = f"""
SELECT
  b.batch, b.newest, seen, accepted, {_LOWER} AS lower, {_UPPER} AS upper,
  issues, flags, findings, usd_per_accepted, amount_usd, budget_usd,
  unfinished_count, last_eta, last_eta_lower, last_eta_upper
FROM (
  SELECT batch, max(finished_at) AS newest FROM job GROUP BY batch
) b
LEFT JOIN (
  SELECT batch, sum(label_count) AS seen, sum(accepted_count) AS accepted
  FROM first_pass JOIN job ON first_pass.job_name = job.job_name GROUP BY batch
) f ON b.batch = f.batch
LEFT JOIN (
  SELECT batch, count(*) AS issues FROM track_issue JOIN job ON track_issue.job_name = job.job_name GROUP BY batch
) i ON b.batch = i.batch
LEFT JOIN (
  SELECT batch, count(*) AS flags FROM answer_flag JOIN job ON answer_flag.job_name = job.job_name GROUP BY batch
) a ON b.batch = a.batch
LEFT JOIN (
  SELECT batch, count(*) AS findings FROM finding JOIN job ON finding.job_name = job.job_name GROUP BY batch
) d ON b.batch = d.batch
LEFT JOIN batch_forecast e ON b.batch = e.batch
LEFT JOIN accepted_cost c ON b.batch = c.batch
ORDER BY b.newest DESC, b.batch
""".strip()  # noqa: S608  the interval's SQL is ours


class Summary(NamedTuple):
    """What is published of a batch. SNS takes a subject of up to 100 ASCII characters without line breaks."""

    batch: str
    subject: str
    body: str


def summaries(athena: AthenaClient, lake: Lake) -> list[Summary]:
    """One summary for each batch, the one with the newest work first.

    Raises:
        QueryError: Athena gave no rows.
    """
    found = run(athena, lake, Query(BATCHES_SQL, (), (), MOST_BATCHES), fresh=True)
    levels = run(athena, lake, Query(LEVELS_SQL, (), (), 4 * MOST_BATCHES), fresh=True)
    by_batch: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in sorted(records(levels), key=lambda each: each["level"] or ""):
        by_batch[each["batch"]].append(each)
    return [summary(each, by_batch[each["batch"]]) for each in records(found)]


def summary(row: dict[str, Any], levels: Sequence[dict[str, Any]]) -> Summary:
    """The words for one row of `BATCHES_SQL` and the batch's rows of `LEVELS_SQL`, the first level first.

    Lines about what nobody measured are left out. The subject names the level that is worked on: the first that is not
    done, else the last.
    """
    lines = [(told := _told(each))[0].upper() + told[1:] + _besides(each) for each in levels]
    if row["seen"]:
        bounds = f"{text(row['lower'], 'share')} to {text(row['upper'], 'share')}"
        share = text(row["accepted"] / row["seen"], "share")
        lines.append(f"First-pass yield {share} (95 % interval {bounds}, n = {text(row['seen'], 'count')} labels)")
    if row["usd_per_accepted"] is not None:
        spent = f"{text(row['amount_usd'], 'usd')} spent"
        budget = f" of {text(row['budget_usd'], 'usd')}" if row["budget_usd"] is not None else ""
        lines.append(f"Cost per accepted label ${row['usd_per_accepted']:.4f}, {spent}{budget}")
    if row["unfinished_count"]:
        lines.append(_end(row))
    kinds = (("issues", "places in tracks"), ("flags", "answers that stand out"), ("findings", "defects of the output"))
    looks = [f"{text(row[name], 'count')} {noun}" for name, noun in kinds if row[name]]
    lines.append(f"To look at: {', '.join(looks) if looks else 'nothing'}")
    now = next((each for each in levels if each["done"] < each["tasks"]), levels[-1] if levels else None)
    subject = f"Labeling {row['batch']}" + (f": {_told(now)}" if now else "")
    subject = " ".join(subject.encode("ascii", "replace").decode().split())
    return Summary(row["batch"], subject[:100], "\n".join([f"Batch {row['batch']}", *lines]))


def _told(level: dict[str, Any]) -> str:
    """How far a level is. Without its input manifest nobody knows how many tasks a job has that nobody has begun."""
    least = "at least " if level["unsized"] else ""
    done = f"{text(level['done'], 'count')} of {least}{text(level['tasks'], 'count')} tasks done"
    return f"{level['level']} level, {done}" if level["level"] else done


def _besides(level: dict[str, Any]) -> str:
    counts = ((level["failed"], "of them failed"), (level["in_progress"], "begun"))
    more = "".join(f", {text(count, 'count')} {noun}" for count, noun in counts if count)
    return f"{more} ({text(level['jobs'], 'count')} {'job' if level['jobs'] == 1 else 'jobs'})"


def _end(row: dict[str, Any]) -> str:
    """When the last job begun is done. A time beyond what is simulated is null."""
    if row["last_eta"] is None:
        return f"Expected end: not within {HORIZON_DAYS} days, or too little is known"
    later = f"more than {HORIZON_DAYS} days ahead"
    upper = text(row["last_eta_upper"], "timestamp") if row["last_eta_upper"] else later
    lower = text(row["last_eta_lower"], "timestamp")
    return f"Expected end {text(row['last_eta'], 'timestamp')} (95 % interval {lower} to {upper})"
