"""One run of the reports over Ground Truth output: upload, the Glue workflow, the report views as files.

`sextant run labeling` and the demo use it at home and on AWS alike: it needs the deployed stack's outputs and nothing
else. On AWS the workflow also runs by itself, hourly.
"""

from __future__ import annotations

import csv
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sextant.pipeline import PipelineError, Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# A run's graph is a large answer: asked often at first, for runs at home take seconds, then ever more rarely.
_POLL_SECONDS = (0.3, 10.0)
# Glue needs minutes to start on AWS; a workflow of five steps that takes longer than this hangs.
_WORKFLOW_SECONDS = 3600.0


@dataclass(frozen=True)
class Deployed:
    """Where the labeling stack is: names from its outputs."""

    batch_bucket: str
    input_prefix: str
    database: str
    workgroup: str
    workflow: str

    @classmethod
    def of(cls, outputs: Mapping[str, str]) -> Deployed:
        """From the outputs of the CloudFormation stack `{environment}-Labeling`."""
        return cls(
            batch_bucket=outputs["BatchBucket"],
            input_prefix=outputs["InputUrl"].removeprefix(f"s3://{outputs['BatchBucket']}/"),
            database=outputs["DatabaseName"],
            workgroup=outputs["WorkgroupName"],
            workflow=outputs["WorkflowName"],
        )


@dataclass(frozen=True)
class Step:
    """One step of the workflow's run; `state` is Glue's, such as SUCCEEDED or FAILED."""

    name: str
    state: str
    error: str = ""


def run_workflow(glue: Any, workflow: str, report: Report | None = None) -> list[Step]:
    """Runs the Glue workflow to its end and returns its steps.

    Raises:
        PipelineError: a step failed, or the run did not end within an hour.
    """
    run_id = glue.start_workflow_run(Name=workflow)["RunId"]
    started = time.monotonic()
    deadline = started + _WORKFLOW_SECONDS
    while True:
        run = glue.get_workflow_run(Name=workflow, RunId=run_id, IncludeGraph=True)["Run"]
        steps = list(_steps(run))
        if report:
            total = max(len([node for node in run["Graph"]["Nodes"] if node["Type"] != "TRIGGER"]), 1)
            report(workflow, len([step for step in steps if step.state in _ENDED]), total)
        if run["Status"] != "RUNNING":
            break
        if time.monotonic() > deadline:
            glue.stop_workflow_run(Name=workflow, RunId=run_id)
            raise PipelineError(f"Workflow {workflow} did not end within an hour; run {run_id} was stopped.")
        time.sleep(min(max(_POLL_SECONDS[0], (time.monotonic() - started) / 20), _POLL_SECONDS[1]))
    failed = [step for step in steps if step.state != "SUCCEEDED"]
    if failed or run["Status"] != "COMPLETED":
        first = failed[0] if failed else Step(workflow, run["Status"])
        reason = first.error or "Glue gives no reason; look into /aws-glue/jobs/error and /aws-glue/crawlers"
        raise PipelineError(f"{first.name} ended as {first.state}: {reason}")
    return steps


_ENDED = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "CANCELLED"}


def _steps(run: Mapping[str, Any]) -> Iterator[Step]:
    for node in run.get("Graph", {}).get("Nodes", []):
        attempts = node.get("JobDetails", {}).get("JobRuns", [])
        if attempts:
            # A job that failed may have been retried: its last attempt is what it came to.
            last = max(attempts, key=lambda attempt: attempt.get("Attempt", 0))
            yield Step(node["Name"], last["JobRunState"], last.get("ErrorMessage", ""))
        for crawl in node.get("CrawlerDetails", {}).get("Crawls", []):
            yield Step(node["Name"], crawl["State"], crawl.get("ErrorMessage", ""))


def query(
    athena: Any, deployed: Deployed, sql: str, parameters: Sequence[str] = (), *, seconds: float = math.inf
) -> list[dict[str, str | None]]:
    """The rows of an Athena query, as text by column name. A query that runs longer than `seconds` is stopped.

    Raises:
        PipelineError: the query failed or was stopped; the message has the reason.
    """
    request = {
        "QueryString": sql,
        "WorkGroup": deployed.workgroup,
        "QueryExecutionContext": {"Database": deployed.database},
        **({"ExecutionParameters": list(parameters)} if parameters else {}),
    }
    deadline = time.monotonic() + seconds
    query_id = athena.start_query_execution(**request)["QueryExecutionId"]
    pause = 0.02
    while True:
        status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
        if status["State"] in {"SUCCEEDED", "FAILED", "CANCELLED"}:
            break
        if time.monotonic() + pause > deadline:
            athena.stop_query_execution(QueryExecutionId=query_id)
            raise PipelineError(f"Athena query stopped: it ran longer than {seconds:g} s\n{sql}")
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)
    if status["State"] != "SUCCEEDED":
        raise PipelineError(f"Athena query {status['State'].lower()}: {status.get('StateChangeReason', '')}\n{sql}")
    names: list[str] = []
    rows: list[dict[str, str | None]] = []
    for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id):
        found = page["ResultSet"]["Rows"]
        if not names:
            names = [column["Name"] for column in page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]]
            found = found[1:]
        rows += [dict(zip(names, (cell.get("VarCharValue") for cell in row["Data"]), strict=True)) for row in found]
    return rows


def export_reports(
    athena: Any, deployed: Deployed, views: Sequence[str], folder: Path, report: Report | None = None
) -> list[Path]:
    """Writes each report view as `{view}.csv` into `folder`. A view without rows gives a file with its header only."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for done, view in enumerate(views, start=1):
        columns = [row["column_name"] or "" for row in query(athena, deployed, _COLUMNS, [_quoted(view)])]
        rows = query(athena, deployed, f'SELECT * FROM "{view}"')  # noqa: S608 - a name from views.py
        path = folder / f"{view}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns or list(rows[0]))
            writer.writeheader()
            writer.writerows({name: _harmless(cell) for name, cell in row.items()} for row in rows)
        written.append(path)
        if report:
            report(view, done, len(views))
    return written


def _harmless(cell: str | None) -> str | None:
    """A spreadsheet runs what begins like a formula: such text gets an apostrophe before it; numbers stay numbers."""
    if cell and cell[0] in "=+-@\t\r":
        try:
            float(cell)
        except ValueError:
            return f"'{cell}"
    return cell


_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name = ? ORDER BY ordinal_position"


def _quoted(text: str) -> str:
    """An Athena execution parameter is SQL text: a string needs its quotes."""
    return "'" + text.replace("'", "''") + "'"
