"""The labeling system as the console operates it: a Glue workflow that runs, and the table of what it rejected."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Json

from sextant.console.model import (
    Content,
    LogPlace,
    Need,
    NeedKind,
    Quarantine,
    Reason,
    Rejected,
    Run,
    RunPage,
    RunState,
    Step,
    StepState,
)
from sextant.console.operation import OperationError, told
from sextant.labeling.client import Deployed, query
from sextant.pipeline import PipelineError

SHOWN_BYTES = 2048
_SEARCHED_BYTES = 4 * 2**20  # of a manifest, for one of its lines
_QUERY_SECONDS = 20.0  # API Gateway gives up after 30

_NEEDS: tuple[tuple[NeedKind, str], ...] = (
    ("quarantine", "SELECT count(DISTINCT source) AS n FROM rejected"),
    ("finding", "SELECT count(*) AS n FROM finding WHERE severity = 'error'"),
    ("directed_audit", "SELECT count(DISTINCT object_id) AS n FROM directed_audit"),
    ("answer_flag", "SELECT count(*) AS n FROM answer_flag"),
    ("expiry", "SELECT count(*) AS n FROM forecast WHERE expiry_risk >= 0.05"),
)
_STEP_STATES: Mapping[str, StepState] = {
    "STARTING": "running",
    "RUNNING": "running",
    "WAITING": "waiting",
    "STOPPING": "stopping",
    "CANCELLING": "stopping",
    "SUCCEEDED": "succeeded",
    "STOPPED": "stopped",
    "CANCELLED": "stopped",
}  # any other of Glue's states is a failure: FAILED, TIMEOUT, ERROR, EXPIRED
_LINE = re.compile(r"#(\d+)$")


class Place(BaseModel):
    """Where the labeling stack is: the environment of the function. `TITLES` are what people call its steps."""

    model_config = ConfigDict(frozen=True)

    BATCH_BUCKET: Annotated[str, Field(min_length=1)]
    INPUT_PREFIX: str = ""
    DATABASE: Annotated[str, Field(min_length=1)]
    WORKGROUP: Annotated[str, Field(min_length=1)]
    WORKFLOW: Annotated[str, Field(min_length=1)]
    TITLES: Json[dict[str, str]] = {}

    @property
    def deployed(self) -> Deployed:
        return Deployed(
            batch_bucket=self.BATCH_BUCKET,
            input_prefix=self.INPUT_PREFIX,
            database=self.DATABASE,
            workgroup=self.WORKGROUP,
            workflow=self.WORKFLOW,
        )


@dataclass(frozen=True)
class Labeling:
    """See `sextant.console.operation.Operation`. The clients are boto3's."""

    place: Place
    glue: Any
    athena: Any
    s3: Any

    def runs(self, limit: int, after: str | None = None) -> RunPage:
        """Newest first within the page; Glue keeps runs for 90 days."""
        with told("Glue"):
            page = self.glue.get_workflow_runs(
                Name=self.place.WORKFLOW, MaxResults=limit, **({"NextToken": after} if after else {})
            )
        found = sorted((_run(each) for each in page["Runs"]), key=lambda each: each.started_at, reverse=True)
        return RunPage(runs=tuple(found), next=page.get("NextToken"))

    def run(self, run_id: str) -> tuple[Run, tuple[Step, ...]]:
        with told("Glue"):
            found = self.glue.get_workflow_run(Name=self.place.WORKFLOW, RunId=run_id, IncludeGraph=True)["Run"]
        run = _run(found)
        return run, _steps(found, self.place.TITLES, ended=run.state not in ("running", "stopping"))

    def start(self) -> str:
        with told("Glue"):
            return str(self.glue.start_workflow_run(Name=self.place.WORKFLOW)["RunId"])

    replay = start  # every run reads the whole input: what was mended is read then, nothing is counted twice

    def stop(self, run_id: str) -> None:
        with told("Glue"):
            self.glue.stop_workflow_run(Name=self.place.WORKFLOW, RunId=run_id)

    def quarantine(self, reason: str, find: str, offset: int, limit: int) -> Quarantine:
        where, values = _filters(reason, find)
        rejected, page = f"FROM rejected{where}", f"OFFSET {offset:d} LIMIT {limit:d}"
        questions = (
            # Fixed text: what readers wrote is bound.
            f"SELECT source, reason, detail, bytes {rejected} ORDER BY source, reason, detail {page}",
            f"SELECT count(*) AS total, count(DISTINCT source) AS objects {rejected}",
            "SELECT reason, count(*) AS n FROM rejected GROUP BY reason ORDER BY n DESC, reason",
        )
        with ThreadPoolExecutor(len(questions)) as pool:
            entries, totals, reasons = pool.map(self._rows, questions, (values, values, ()))
        return Quarantine(
            system="labeling",
            entries=tuple(
                Rejected(
                    source=row["source"] or "",
                    reason=row["reason"] or "",
                    detail=row["detail"] or "",
                    size_bytes=None if row["bytes"] is None else int(row["bytes"]),
                )
                for row in entries
            ),
            total=int(totals[0]["total"] or 0),
            objects=int(totals[0]["objects"] or 0),
            reasons=tuple(Reason(reason=row["reason"] or "", count=int(row["n"] or 0)) for row in reasons),
            offset=offset,
        )

    def content(self, source: str) -> Content:
        """The first bytes of a quarantined object, or of the manifest line that `source` names with `#n`.

        Only what the quarantine lists is shown: whoever may read reports need not be able to read every answer.
        """
        listed = self._rows("SELECT count(*) AS n FROM rejected WHERE source = ?", (source,))
        if not int(listed[0]["n"] or 0):
            raise OperationError(404, "NotQuarantined", f"{source!r} is not in quarantine", "Reload the list.")
        line = _LINE.search(source)
        bucket, key = self.place.BATCH_BUCKET, self.place.INPUT_PREFIX + _LINE.sub("", source)
        wanted = _SEARCHED_BYTES if line else SHOWN_BYTES
        try:
            with told("S3"):
                answer = self.s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{wanted - 1}")
        except OperationError as error:
            if error.code == "InvalidRange":  # S3 has no first byte of an empty object
                return Content(source=source, state="same", size_bytes=0, text="")
            if error.status == 404:
                return Content(source=source, state="gone")
            raise
        with closing(answer["Body"]) as body:
            begin: bytes = body.read()
        whole = int(answer["ContentRange"].rpartition("/")[2])
        found = _line(begin, int(line[1]), whole=whole <= wanted) if line else begin
        size = (None if found is None else len(found)) if line else whole
        return Content(
            source=source,
            state="changed" if self._unseen(answer["LastModified"]) else "same",
            size_bytes=size,
            modified_at=answer["LastModified"],
            text=None if found is None else _text(found[:SHOWN_BYTES]),
            truncated=size is not None and size > SHOWN_BYTES,
        )

    def needs(self) -> tuple[Need, ...]:
        with ThreadPoolExecutor(len(_NEEDS)) as pool:
            return tuple(pool.map(self._need, _NEEDS))

    def _need(self, each: tuple[NeedKind, str]) -> Need:
        kind, sql = each
        try:
            return Need(kind=kind, count=int(self._rows(sql)[0]["n"] or 0))
        except OperationError as error:
            return Need(kind=kind, count=None, fault=str(error))

    def _unseen(self, modified: dt.datetime) -> bool:
        """Whether the last run began before this moment, and so has not seen what was written then."""
        runs = self.runs(1).runs
        return bool(runs) and runs[0].started_at < modified

    def _rows(self, sql: str, values: Sequence[str] = ()) -> list[dict[str, str | None]]:
        quoted = ["'" + each.replace("'", "''") + "'" for each in values]  # an execution parameter is SQL text
        try:
            with told("Athena"):
                return query(self.athena, self.place.deployed, sql, quoted, seconds=_QUERY_SECONDS)
        except PipelineError as error:
            reason = str(error).partition("\n")[0]
            raise OperationError(
                502, "QueryFailed", reason, "If no run has ended yet, start one; else look at the query in Athena."
            ) from error


def _filters(reason: str, find: str) -> tuple[str, tuple[str, ...]]:
    """A WHERE clause with placeholders, and their values."""
    conditions: list[str] = []
    values: list[str] = []
    if reason:
        conditions.append("reason = ?")
        values.append(reason)
    if find:
        conditions.append("(strpos(lower(source), lower(?)) > 0 OR strpos(lower(detail), lower(?)) > 0)")
        values += [find, find]
    return (" WHERE " + " AND ".join(conditions) if conditions else ""), tuple(values)


def _run(found: Mapping[str, Any]) -> Run:
    counted = {name: int(found.get("Statistics", {}).get(f"{name}Actions", 0)) for name in _COUNTED}
    failed = counted["Failed"] + counted["Timeout"] + counted["Errored"]
    state: RunState
    match found["Status"]:
        case "RUNNING":
            state = "running"
        case "STOPPING":
            state = "stopping"
        case "STOPPED":
            state = "stopped"
        case "COMPLETED" if not failed:
            state = "stopped" if counted["Stopped"] else "succeeded"
        case _:
            state = "failed"
    ended = None if state in ("running", "stopping") else found.get("CompletedOn")
    return Run(
        system="labeling",
        id=found["WorkflowRunId"],
        state=state,
        started_at=found["StartedOn"],
        ended_at=ended,
        seconds=_seconds(found["StartedOn"], ended),
        done=failed + counted["Stopped"] + counted["Succeeded"],
        total=counted["Total"],
    )


_COUNTED = ("Total", "Timeout", "Failed", "Stopped", "Succeeded", "Errored")


def _seconds(began: dt.datetime | None, ended: dt.datetime | None) -> float | None:
    """None until both are known: an answer that counts on would be new to every poll."""
    return round(max(0.0, (ended - began).total_seconds()), 1) if began and ended else None


def _steps(run: Mapping[str, Any], titles: Mapping[str, str], *, ended: bool) -> tuple[Step, ...]:
    graph = run.get("Graph", {})
    nodes = {node["UniqueId"]: node for node in graph.get("Nodes", [])}
    before: dict[str, list[str]] = {}
    for edge in graph.get("Edges", []):
        before.setdefault(edge["DestinationId"], []).append(edge["SourceId"])

    def depth(node: str, path: tuple[str, ...] = ()) -> int:
        # Glue's graphs have no cycles; `path` keeps a malformed one from recursing for ever.
        return 1 + max((depth(each, (*path, node)) for each in before.get(node, []) if each not in path), default=0)

    ordered = sorted((depth(key), key) for key, node in nodes.items() if node["Type"] != "TRIGGER")
    return tuple(_step(nodes[key], titles, ended=ended) for _, key in ordered)


def _step(node: Mapping[str, Any], titles: Mapping[str, str], *, ended: bool) -> Step:
    is_job = node["Type"] == "JOB"
    attempts = node.get("JobDetails", {}).get("JobRuns", []) if is_job else node.get("CrawlerDetails", {}).get("Crawls")
    name = node["Name"]
    kind: Literal["job", "crawler"] = "job" if is_job else "crawler"
    if not attempts:
        return Step(name=name, title=titles.get(name, name), kind=kind, state="skipped" if ended else "waiting")
    # A job that failed may have been retried: its last attempt is what it came to.
    last = max(attempts, key=lambda each: each.get("Attempt", 0))
    state = _STEP_STATES.get(last["JobRunState" if is_job else "State"], "failed")
    began = last.get("StartedOn")
    done = last.get("CompletedOn") if state not in ("running", "stopping", "waiting") else None
    return Step(
        name=name,
        title=titles.get(name, name),
        kind=kind,
        state=state,
        started_at=began,
        ended_at=done,
        seconds=_seconds(began, done),
        attempts=len(attempts),
        error=last.get("ErrorMessage") or None,
        log=_log(last, is_job=is_job, failed=state == "failed"),
    )


def _log(attempt: Mapping[str, Any], *, is_job: bool, failed: bool) -> LogPlace | None:
    """A job's streams lie in `{group}/error` and `{group}/output`, named after the run; a crawler tells its own."""
    if is_job:
        group = str(attempt.get("LogGroupName") or "/aws-glue/jobs").rstrip("/")
        return LogPlace(group=f"{group}/{'error' if failed else 'output'}", stream=attempt.get("Id"))
    if not attempt.get("LogGroup"):
        return None
    return LogPlace(group=attempt["LogGroup"], stream=attempt.get("LogStream"))


def _text(body: bytes) -> str | None:
    """The bytes as text, without what a cut left of the last character; None where they are something else."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(body) - 3:
            return None
        text = body[: error.start].decode("utf-8")
    return None if any(character < " " and character not in "\t\r\n\f" for character in text) else text


def _line(begin: bytes, number: int, *, whole: bool) -> bytes | None:
    """Line `number`, counted from 0, of what an object begins with; None when it does not end within that."""
    lines = begin.split(b"\n")
    complete = len(lines) if whole else len(lines) - 1
    return lines[number].removesuffix(b"\r") if number < complete else None
