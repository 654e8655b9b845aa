"""The reports' numbers: every visual of the specification, asked in rounds of as many queries as go at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sextant.labeling.dashboards.athena import MOST_AT_ONCE, run_all
from sextant.labeling.dashboards.model import Filters
from sextant.labeling.dashboards.query import query
from sextant.labeling.report.document import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_athena import AthenaClient

    from sextant.labeling.dashboards.athena import Answer, Lake, QueryError
    from sextant.labeling.dashboards.model import Specification


def sections(
    athena: AthenaClient,
    lake: Lake,
    specification: Specification,
    report: Callable[[str, int, int], None] | None = None,
) -> list[Section]:
    """Each dashboard with the outcome of each visual. A query that fails is an outcome, too: the rest goes on.

    Args:
        athena: a boto3 client.
        lake: database, workgroup and limits.
        specification: the dashboards.
        report: told about progress as (what, done, total).
    """
    made = []
    for done, dashboard in enumerate(specification.dashboards, start=1):
        visuals = [each for each in dashboard.visuals if each.type != "options"]
        outcomes: list[Answer | QueryError] = []
        for start in range(0, len(visuals), MOST_AT_ONCE):
            asked = visuals[start : start + MOST_AT_ONCE]
            queries = [query(specification, dashboard.id, each.id, Filters()) for each in asked]
            outcomes += run_all(athena, lake, queries, fresh=True)
        made.append(Section(dashboard, list(zip(visuals, outcomes, strict=True))))
        if report:
            report("report", done, len(specification.dashboards))
    return made
