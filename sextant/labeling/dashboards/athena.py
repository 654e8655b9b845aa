"""Runs report queries on Athena and types their rows."""

import datetime as dt
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field

from sextant.labeling.dashboards.model import Frozen
from sextant.labeling.dashboards.query import Query

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient

MOST_AT_ONCE = 32
"""Queries of one request, each on a thread and a connection of its own."""

Cell = str | int | float | bool | None


class Lake(BaseModel):
    """Where the reports' tables are and how patiently to ask: the environment of the function.

    A report may be `RESULT_REUSE_MINUTES` old (0 asks anew each time). `QUERY_TIMEOUT_SECONDS` is for a whole request
    and must stay below the 30 seconds in which API Gateway gives up.
    """

    model_config = ConfigDict(frozen=True)

    DATABASE: Annotated[str, Field(min_length=1)]
    WORKGROUP: Annotated[str, Field(min_length=1)]
    CATALOG: Annotated[str, Field(min_length=1)] = "AwsDataCatalog"
    RESULT_REUSE_MINUTES: Annotated[int, Field(ge=0, le=10080)] = 5
    QUERY_TIMEOUT_SECONDS: Annotated[float, Field(gt=0, le=29)] = 25


class Column(Frozen):
    """`type` is Athena's: varchar, bigint, double, date, timestamp or boolean."""

    name: str
    type: str


class Answer(Frozen):
    """Rows of one query. `as_of` is when Athena was asked; a `cached` answer is older by up to `max_age_minutes`."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    truncated: bool
    not_applied: tuple[str, ...]
    as_of: dt.datetime
    cached: bool
    max_age_minutes: int
    bytes_scanned: int
    query_execution_id: str


class QueryError(Exception):
    """Athena did not answer. `status` is the HTTP status to pass on; `remedy` says what the reader can do."""

    def __init__(
        self, status: int, code: str, message: str, remedy: str, query_execution_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.remedy = remedy
        self.query_execution_id = query_execution_id


def run(
    athena: "AthenaClient",
    lake: Lake,
    query: Query,
    *,
    fresh: bool = False,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Runs one query and waits for its rows.

    Args:
        athena: a boto3 client.
        lake: database, workgroup and limits.
        query: text and parameters.
        fresh: never reuse an earlier result.
        deadline: when to give up, by `clock`; None gives the query the lake's whole time limit.
        clock: seconds, for tests.
        sleep: as `time.sleep`, for tests.

    Raises:
        QueryError: the query failed or was cancelled (502), took too long (504), or Athena refused it (502).
    """
    if deadline is None:
        deadline = clock() + lake.QUERY_TIMEOUT_SECONDS
    max_age = 0 if fresh else lake.RESULT_REUSE_MINUTES
    request: dict[str, Any] = {
        "QueryString": query.sql,
        "QueryExecutionContext": {"Database": lake.DATABASE, "Catalog": lake.CATALOG},
        "WorkGroup": lake.WORKGROUP,
    }
    if query.parameters:
        request["ExecutionParameters"] = list(query.parameters)
    if max_age:
        request["ResultReuseConfiguration"] = {
            "ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": max_age}
        }
    try:
        execution_id = athena.start_query_execution(**request)["QueryExecutionId"]
        execution = _finished(athena, execution_id, lake, deadline, clock=clock, sleep=sleep)
        columns, rows = _rows(athena, execution_id, query.limit)
    except ClientError as error:
        fault = error.response["Error"]
        raise QueryError(
            502,
            fault["Code"],
            f"Athena refused the request: {fault['Message']}",
            "Try again; if it stays, the operator finds the cause in the function's log and role.",
        ) from error
    except BotoCoreError as error:
        raise QueryError(502, type(error).__name__, f"Athena cannot be reached: {error}", "Try again later.") from error
    statistics = execution.get("Statistics", {})
    kept = rows[: query.limit]
    return Answer(
        columns=columns,
        rows=kept[::-1] if query.newest_first else kept,
        truncated=len(rows) > query.limit,
        not_applied=query.not_applied,
        as_of=execution["Status"]["SubmissionDateTime"],
        cached=statistics.get("ResultReuseInformation", {}).get("ReusedPreviousResult", False),
        max_age_minutes=max_age,
        bytes_scanned=statistics.get("DataScannedInBytes", 0),
        query_execution_id=execution_id,
    )


def run_all(
    athena: "AthenaClient",
    lake: Lake,
    queries: Sequence[Query],
    *,
    fresh: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> list[Answer | QueryError]:
    """Runs queries at the same time; a failure takes its place in the list instead of failing the others.

    All share one deadline, and there are at most `MOST_AT_ONCE`.
    """
    deadline = clock() + lake.QUERY_TIMEOUT_SECONDS

    def attempt(query: Query) -> Answer | QueryError:
        try:
            return run(athena, lake, query, fresh=fresh, deadline=deadline, clock=clock)
        except QueryError as error:
            return error

    with ThreadPoolExecutor(max_workers=max(1, min(MOST_AT_ONCE, len(queries)))) as pool:
        return list(pool.map(attempt, queries))


def _finished(
    athena: "AthenaClient",
    execution_id: str,
    lake: Lake,
    deadline: float,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Any:
    """The execution once it succeeded. Asks at growing intervals, from 50 ms to 1 s."""
    pause = 0.05
    while True:
        execution = athena.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]
        status = execution["Status"]
        if status["State"] == "SUCCEEDED":
            return execution
        if status["State"] in ("FAILED", "CANCELLED"):
            reason = status.get("StateChangeReason") or "Athena gives no reason"
            raise QueryError(
                502,
                f"Query{status['State'].capitalize()}",
                f"the report's query {status['State'].lower()}: {reason}",
                "Try again; if it stays, look at the query in the Athena console.",
                execution_id,
            )
        if clock() + pause > deadline:
            # Nobody will read the result: stop paying for it.
            athena.stop_query_execution(QueryExecutionId=execution_id)
            raise QueryError(
                504,
                "QueryTimeout",
                f"the report's query was stopped {lake.QUERY_TIMEOUT_SECONDS:g} s after the request",
                "Choose a shorter time range or fewer jobs, then try again.",
                execution_id,
            )
        sleep(pause)
        pause = min(1.0, pause * 1.6)


def _rows(
    athena: "AthenaClient", execution_id: str, limit: int
) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    columns: tuple[Column, ...] = ()
    rows: list[tuple[Cell, ...]] = []
    for page in athena.get_paginator("get_query_results").paginate(QueryExecutionId=execution_id):
        found = page["ResultSet"]["Rows"]
        if not columns:
            described = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
            columns = tuple(Column(name=each["Name"], type=each["Type"]) for each in described)
            found = found[1:]  # the first row of the first page repeats the names
        types = [each.type for each in columns]
        rows += [
            tuple(cell(data.get("VarCharValue"), kind) for data, kind in zip(row["Data"], types, strict=True))
            for row in found
        ]
        if len(rows) > limit:
            break
    return columns, tuple(rows)


def cell(text: str | None, kind: str) -> Cell:
    """A value of Athena's result, which is always text, by its column type. NaN and infinities become None.

    A timestamp, in UTC in every table, becomes ISO 8601: `2026-03-02T12:00:00.000Z`.
    """
    if text is None:
        return None
    if kind in ("bigint", "integer", "int", "smallint", "tinyint"):
        return int(text)
    if kind in ("double", "float", "real", "decimal"):
        number = float(text)
        return number if math.isfinite(number) else None
    if kind == "boolean":
        return text == "true"
    if kind == "timestamp":
        return f"{text.replace(' ', 'T')}Z"
    return text
