"""A batch in a few lines: what its owner wants to know when a workflow has finished, as text for an SNS topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sextant.labeling.dashboards.athena import run
from sextant.labeling.dashboards.query import Query
from sextant.labeling.interval_sql import wilson_sql
from sextant.labeling.report.document import records
from sextant.labeling.report.words import text

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient

    from sextant.labeling.dashboards.athena import Lake

MOST_BATCHES = 1000
_LOWER, _UPPER = wilson_sql("accepted", "seen")

BATCHES_SQL = f"""
SELECT
  b.batch, b.jobs, b.tasks, b.labeled, b.failed, b.newest,
  seen, accepted, {_LOWER} AS lower, {_UPPER} AS upper,
  issues, flags, findings, usd_per_accepted, amount_usd, budget_usd, eta, eta_lower, eta_upper
FROM (
  SELECT batch, count(*) AS jobs, sum(task_count) AS tasks, sum(labeled_count) AS labeled, sum(failed_count) AS failed,
    max(finished_at) AS newest
  FROM job GROUP BY batch
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
LEFT JOIN (
  SELECT batch, max(eta) AS eta, max(eta_lower) AS eta_lower, max(eta_upper) AS eta_upper FROM forecast GROUP BY batch
) e ON b.batch = e.batch
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
    answer = run(athena, lake, Query(BATCHES_SQL, (), (), MOST_BATCHES), fresh=True)
    return [summary(each) for each in records(answer)]


def summary(row: dict[str, Any]) -> Summary:
    """The words for one row of `BATCHES_SQL`. Lines about what nobody measured are left out."""
    done = f"{text(row['labeled'], 'count')} of {text(row['tasks'], 'count')} tasks labeled"
    lines = [f"{done} in {text(row['jobs'], 'count')} jobs, {text(row['failed'], 'count')} failed"]
    if row["seen"]:
        bounds = f"{text(row['lower'], 'share')} to {text(row['upper'], 'share')}"
        share = text(row["accepted"] / row["seen"], "share")
        lines.append(f"First-pass yield {share} (95 % interval {bounds}, n = {text(row['seen'], 'count')} labels)")
    if row["usd_per_accepted"] is not None:
        spent = f"{text(row['amount_usd'], 'usd')} spent"
        budget = f" of {text(row['budget_usd'], 'usd')}" if row["budget_usd"] is not None else ""
        lines.append(f"Cost per accepted label ${row['usd_per_accepted']:.4f}, {spent}{budget}")
    if row["eta"]:
        lines.append(f"Expected end {row['eta']} UTC (95 % interval {row['eta_lower']} to {row['eta_upper']})")
    kinds = (("issues", "places in tracks"), ("flags", "answers that stand out"), ("findings", "defects of the output"))
    looks = [f"{text(row[name], 'count')} {noun}" for name, noun in kinds if row[name]]
    lines.append(f"To look at: {', '.join(looks) if looks else 'nothing'}")
    subject = f"Labeling {row['batch']}: {done}".encode("ascii", "replace").decode()
    return Summary(row["batch"], " ".join(subject.split())[:100], f"Batch {row['batch']}\n" + "\n".join(lines))
