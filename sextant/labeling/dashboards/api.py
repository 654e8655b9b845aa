"""The dashboards' HTTP API without HTTP: requests and answers as models, and every fault as one shape."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from sextant.console.http import fault as request_fault
from sextant.console.model import Error
from sextant.labeling.dashboards.annotations import CursorError, UnknownAnnotationError
from sextant.labeling.dashboards.athena import MOST_AT_ONCE, Answer, Lake, QueryError, run, run_all
from sextant.labeling.dashboards.model import Dashboard, Dataset, Filters, Frozen
from sextant.labeling.dashboards.query import UnknownReportError, query
from sextant.labeling.dashboards.spec import SPECIFICATION

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient

FAULTS = (UnknownReportError, UnknownAnnotationError, CursorError, QueryError)
"""What the functions here raise; `fault` turns them into the API's error shape."""


Failed = Callable[[str, QueryError], None]
"""Told of each visual that Athena gave no rows for, and why."""


class Summary(Frozen):
    id: str
    title: str
    description: str


class Listing(Frozen):
    dashboards: tuple[Summary, ...]


class Page(Frozen):
    """All that a page needs to lay itself out: the dashboard and the data sets it names (their SQL stays here)."""

    dashboard: Dashboard
    datasets: dict[str, Dataset]


class Question(Frozen):
    """`fresh` asks Athena anew instead of reusing a result of the last minutes."""

    visual: Annotated[str, Field(max_length=100)]
    filters: Filters = Filters()
    fresh: bool = False


class Questions(Frozen):
    """No more visuals than are asked at the same time, so that none waits for another's turn.

    `compare` asks each of them a second time, under these filters instead: two batches side by side.
    """

    visuals: Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(min_length=1, max_length=MOST_AT_ONCE)]
    filters: Filters = Filters()
    compare: Filters | None = None
    fresh: bool = False


class Outcome(Frozen):
    """Either `answer` or `error` is there; with an answer to a question that compares, `compared` too."""

    visual: str
    answer: Answer | None = None
    compared: Answer | None = None
    error: Error | None = None


class Answers(Frozen):
    outcomes: tuple[Outcome, ...]


def listing() -> Listing:
    return Listing(
        dashboards=tuple(
            Summary(id=each.id, title=each.title, description=each.description) for each in SPECIFICATION.dashboards
        )
    )


def page(dashboard_id: str) -> Page:
    """Raises `UnknownReportError`."""
    dashboard = SPECIFICATION.dashboard(dashboard_id)
    if dashboard is None:
        known = ", ".join(each.id for each in SPECIFICATION.dashboards)
        raise UnknownReportError(f"no dashboard {dashboard_id!r}: there are {known}")
    named = {each.dataset for each in dashboard.visuals}
    return Page(dashboard=dashboard, datasets={k: v for k, v in SPECIFICATION.datasets.items() if k in named})


def answer(athena: "AthenaClient", lake: Lake, dashboard_id: str, question: Question, failed: Failed) -> Answer:
    """Raises `UnknownReportError` and `QueryError`; the latter is told to `failed` too."""
    wanted = query(SPECIFICATION, dashboard_id, question.visual, question.filters)
    try:
        return run(athena, lake, wanted, fresh=question.fresh)
    except QueryError as error:
        failed(question.visual, error)
        raise


def answers(athena: "AthenaClient", lake: Lake, dashboard_id: str, questions: Questions, failed: Failed) -> Answers:
    """Raises `UnknownReportError`; what goes wrong in Athena is in the outcome of its visual and told to `failed`."""
    sides = [each for each in (questions.filters, questions.compare) if each is not None]
    wanted = [query(SPECIFICATION, dashboard_id, each, side) for side in sides for each in questions.visuals]
    results = run_all(athena, lake, wanted, fresh=questions.fresh)
    count = len(questions.visuals)
    outcomes = []
    for place, visual in enumerate(questions.visuals):
        found = results[place::count]
        broken = next((each for each in found if isinstance(each, QueryError)), None)
        if broken:
            failed(visual, broken)
            outcomes.append(Outcome(visual=visual, error=fault(broken)))
        else:
            answer, *compared = (each for each in found if isinstance(each, Answer))
            outcomes.append(Outcome(visual=visual, answer=answer, compared=compared[0] if compared else None))
    return Answers(outcomes=tuple(outcomes))


def fault(error: Exception) -> Error:
    """Any fault of a request as the API tells it.

    404 unknown report or annotation, 422 unusable request, 502 and 504 from Athena or Glue; the rest as everywhere in
    the console (`sextant.console.http.fault`).
    """
    if isinstance(error, QueryError):
        return Error(
            status=error.status,
            code=error.code,
            message=str(error),
            remedy=error.remedy,
            query_execution_id=error.query_execution_id,
        )
    if isinstance(error, UnknownReportError):
        return Error(
            status=404, code="UnknownReport", message=str(error.args[0]), remedy="Open the report from the navigation."
        )
    if isinstance(error, UnknownAnnotationError):
        return Error(
            status=404,
            code="UnknownAnnotation",
            message=str(error.args[0]),
            remedy="Open it from the list of annotations: a later run of the workflow may have made new ones.",
        )
    if isinstance(error, CursorError):
        return Error(status=422, code="BadRequest", message=str(error), remedy="Ask for the first page, without it.")
    return request_fault(error, "Remove the filter that it names.")
