"""The dashboard's counts, from Athena: of a window as a whole, by line and camera, and by hour or day."""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, get_args

from sextant.console.operation import OperationError, told
from sextant.inspection import pages_model as model
from sextant.inspection.api.services import the_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from sextant.inspection.pages_desk import Desk

DAYS = dict(zip(get_args(model.Span), (1, 3, 7, 14, 30, 90, 180), strict=True))
_BY_HOUR = 3
"""Days up to which the graph has a point per hour."""
_PATIENCE = 24.0
"""Seconds; API Gateway gives up after 30."""
_REUSED_MINUTES = 1
_PAUSE = 0.25


def dashboard(
    desk: Desk,
    name: str,
    span: model.Span,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> model.Dashboard:
    """Items, anomalies and their ratio in the last days of a project.

    Args:
        desk: of the pages.
        name: of the project; its characters are those of `pages_model.Name`, so it stands in SQL as it is.
        span: how far back.
        clock: seconds, for tests.
        sleep: as `time.sleep`, for tests.

    Raises:
        ApiError: there is no such project.
        OperationError: Athena did not answer.
    """
    the_project(desk.services, name)
    now = dt.datetime.fromtimestamp(desk.services.now(), dt.UTC)
    end = clock() + _PATIENCE
    with ThreadPoolExecutor(2) as pool:
        asked = (
            pool.submit(_rows, desk, sql, end, (clock, sleep)) for sql in (_places(name, span), _hours(name, span))
        )
        places, hours = (each.result() for each in tuple(asked))
    return model.Dashboard(
        span=span,
        as_of=now.isoformat(timespec="seconds"),
        places=tuple(
            model.Ratio(
                line=line or "",
                camera=camera or "",
                items=int(items),
                anomalies=int(anomalies),
                rejects=int(rejects),
                reviews=int(reviews),
                ratio=float(ratio),
                low=float(low),
                high=float(high),
            )
            for line, camera, items, anomalies, rejects, reviews, ratio, low, high in places
        ),
        hours=tuple(model.Hour(at=_begin(at), items=int(items), anomalies=int(found)) for at, items, found in hours),
    )


def _places(name: str, span: model.Span) -> str:
    return f"""SELECT line, camera, items, anomalies, rejects, reviews, ratio, ratio_low, ratio_high
FROM anomaly_ratio
WHERE project = '{name}' AND span = '{span}'
ORDER BY line, camera"""  # noqa: S608 - of a checked name and a constant


def _hours(name: str, span: model.Span) -> str:
    days = DAYS[span]
    length = len("2026-11-21T12") if days <= _BY_HOUR else len("2026-11-21")
    return f"""SELECT substr(at, 1, {length}) AS begin, count(*) AS items, count_if(is_anomalous) AS anomalies
FROM verdicts
WHERE project = '{name}'
  AND day >= date_format(current_timestamp - INTERVAL '{days + 1}' DAY, '%Y-%m-%d')
  AND from_iso8601_timestamp(at) > current_timestamp - INTERVAL '{days}' DAY
GROUP BY substr(at, 1, {length})
ORDER BY 1"""  # noqa: S608 - of a checked name and constants


def _begin(at: str) -> str:
    return f"{at}:00:00Z" if "T" in at else f"{at}T00:00:00Z"


def _rows(
    desk: Desk, sql: str, end: float, clocks: tuple[Callable[[], float], Callable[[float], None]]
) -> list[list[Any]]:
    """The rows of a query as Athena's texts, without its header."""
    clock, sleep = clocks
    with told("Athena"):
        query = desk.athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": desk.place.DATABASE},
            WorkGroup=desk.place.WORKGROUP,
            ResultReuseConfiguration={
                "ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": _REUSED_MINUTES}
            },
        )["QueryExecutionId"]
        while True:
            status = desk.athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
            if status["State"] not in {"QUEUED", "RUNNING"}:
                break
            if clock() > end:
                desk.athena.stop_query_execution(QueryExecutionId=query)
                message = f"Athena has not answered query {query} in {_PATIENCE:.0f} seconds"
                raise OperationError(504, "TooSlow", message, "Choose a shorter window, or try again.")
            sleep(_PAUSE)
        if status["State"] != "SUCCEEDED":
            message = f"Athena failed with query {query}: {status.get('StateChangeReason', 'it gives no reason')}"
            raise OperationError(502, "QueryFailed", message, "Try again.")
        pages = desk.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query)
        rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
    return [[each.get("VarCharValue") for each in row] for row in rows[1:]]
