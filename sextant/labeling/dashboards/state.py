"""How fresh the data is: what the Glue workflow that makes the tables did last."""

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field

from sextant.labeling.dashboards.athena import QueryError
from sextant.labeling.dashboards.model import Frozen

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

_RUNS = 25


class Refresh(BaseModel):
    """Which workflow makes the tables: the environment of the function."""

    model_config = ConfigDict(frozen=True)

    WORKFLOW: Annotated[str, Field(min_length=1)]


class Failure(Frozen):
    """A run that did not bring new data. `at` is when it ended; `reason` names the step and what Glue says of it."""

    at: dt.datetime
    reason: str


class State(Frozen):
    """How fresh the tables are, and what becomes of them.

    `as_of` is when the newest run brought them: of a failed one whose job succeeded that job's end, for no report
    depends on the crawlers after it. None: there was no such run among the last 25. `running_since` is set while a run
    is under way, `failure` if the newest ended run failed.
    """

    as_of: dt.datetime | None
    running_since: dt.datetime | None
    failure: Failure | None


def state(glue: "GlueClient", workflow: str) -> State:
    """Asks Glue for the workflow's newest runs.

    Raises:
        QueryError: Glue refuses (502) or cannot be reached (502).
    """
    try:
        runs = sorted(
            glue.get_workflow_runs(Name=workflow, MaxResults=_RUNS).get("Runs", []),
            key=lambda run: run["StartedOn"],
            reverse=True,
        )
        ended = [run for run in runs if "CompletedOn" in run and run.get("Status") != "RUNNING"]
        newest = ended[0] if ended else None
        failure = published = None
        if newest and not _succeeded(newest):
            graph = glue.get_workflow_run(Name=workflow, RunId=newest["WorkflowRunId"], IncludeGraph=True)["Run"]
            failure = Failure(at=newest["CompletedOn"], reason=_reason(graph))
            published = _published(graph)
    except ClientError as error:
        told = error.response["Error"]
        raise QueryError(
            502,
            told["Code"],
            f"Glue does not tell the state of {workflow}: {told['Message']}",
            "The reports are not affected; the operator finds the cause in the function's log and role.",
        ) from error
    except BotoCoreError as error:
        raise QueryError(502, type(error).__name__, f"Glue cannot be reached: {error}", "Try again later.") from error
    return State(
        as_of=published or next((run["CompletedOn"] for run in ended if _succeeded(run)), None),
        running_since=next((run["StartedOn"] for run in runs if run.get("Status") == "RUNNING"), None),
        failure=failure,
    )


def _succeeded(run: Mapping[str, Any]) -> bool:
    """A run is COMPLETED when its last step ended, however it ended: its statistics tell."""
    told = run.get("Statistics", {})
    bad = ("FailedActions", "ErroredActions", "TimeoutActions", "StoppedActions")
    return run.get("Status") == "COMPLETED" and not any(told.get(each) for each in bad)


def _published(run: Mapping[str, Any]) -> dt.datetime | None:
    """When the job of a run succeeded."""
    runs = [
        each for node in run.get("Graph", {}).get("Nodes", []) for each in node.get("JobDetails", {}).get("JobRuns", [])
    ]
    return next((each.get("CompletedOn") for each in runs if each["JobRunState"] == "SUCCEEDED"), None)


def _reason(run: Mapping[str, Any]) -> str:
    """What stopped a run, from its graph: the steps that did not succeed, each with Glue's reason."""
    told: list[str] = []
    for node in run.get("Graph", {}).get("Nodes", []):
        attempts = node.get("JobDetails", {}).get("JobRuns", [])
        # A job may have been tried again: its last attempt is what it came to.
        steps = [(each["JobRunState"], each) for each in sorted(attempts, key=lambda each: each.get("Attempt", 0))[-1:]]
        steps += [(each["State"], each) for each in node.get("CrawlerDetails", {}).get("Crawls", [])]
        told += [
            f"{node['Name']} ended as {ended}: {each.get('ErrorMessage') or 'Glue gives no reason'}"
            for ended, each in steps
            if ended != "SUCCEEDED"
        ]
    return "; ".join(told) or run.get("ErrorMessage") or f"the run ended as {run.get('Status', 'unknown')}"
