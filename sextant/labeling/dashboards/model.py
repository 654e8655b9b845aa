"""What a dashboard is made of: data sets, visuals and filters, as data.

The SQL of a data set is ours and fixed; everything a reader chooses is a value, and `query` binds values as Athena
execution parameters only. The page reads the same models as JSON, without the SQL.
"""

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Reference = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$")]
"""A dimension of the data set, or `label_attribute.vehicle_type`, `frame_attribute.…`: one attribute of its map."""
Value = Annotated[str, Field(max_length=400, pattern=r"^[^\x00]*$")]
"""At most 400 characters: with every quote doubled it still fits Athena's 1,024 for one execution parameter."""

Unit = Literal["count", "number", "seconds", "share", "rate", "usd", "day", "timestamp"]
"""`number` is any real number, such as an agreement; `share` is one from 0 to 1 to print as per cent."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Dimension(Frozen):
    """Something to group by. `kind` tells the page how to sort and print its values.

    `filter` names the filter that a click on a value sets; None: there is none. `day` stands for `since` and `until`
    together, both the clicked day. `label_attribute` and `frame_attribute` stand for the attribute whose name is the
    value of the dimension `attribute` in the same row.
    """

    title: str
    kind: Literal["text", "number", "day", "time"] = "text"
    filter: Name | None = None
    sql: str = Field(exclude=True)


class Measure(Frozen):
    """An aggregate. `n` names the measure that says how many cases it rests on, `lower` and `upper` those that hold the
    bounds of its 95 % interval: a visual that shows the measure is answered with all of them.

    `adds` tells whether the measure of a whole is the sum over its parts: only such measures get totals.
    """

    title: str
    unit: Unit = "count"
    n: Name | None = None
    lower: Name | None = None
    upper: Name | None = None
    adds: bool = False
    sql: str = Field(exclude=True)

    @property
    def companions(self) -> tuple[str, ...]:
        """The measures without which this one must not be read: its interval, then its n."""
        return tuple(each for each in (self.lower, self.upper, self.n) if each)


class Dataset(Frozen):
    """A FROM clause with its dimensions and measures.

    `filters` maps the name of a filter to its condition: `{values}` stands for the values, `{name}` for the name of an
    attribute. A filter that is not in the map cannot be applied, and the answer says so.
    `attributes` is the attribute filter that its column `attributes` (a map) belongs to.
    """

    counts: str
    source: str = Field(exclude=True)
    attributes: Literal["label_attribute", "frame_attribute"] | None = None
    dimensions: dict[Name, Dimension] = {}
    measures: dict[Name, Measure]
    filters: dict[Name, str] = Field(exclude=True)


class Visual(Frozen):
    """One report. `rows` and `columns` are dimensions or attributes; `columns` are series, or columns of a pivot.

    What the newer types draw, by position:

    - `line`: `rows` is one day or number, `columns` its series, the first measure the height.
    - `control`: a p-chart. `rows` is one day or batch; the measures are share, centre, lower and upper control limit.
    - `interval`: a dot with whiskers for each of `rows`, in the colour of `columns`: the first measure has bounds.
    - `heat`: a matrix of `rows` by `columns`, coloured by the first measure.
    - `scatter`: a point for each of `rows`, the last of which names it: the measures are x and y, each with whiskers
      where it has bounds.

    `drill` says that a row or mark stands for single annotations, which `POST /api/annotations` lists.
    `pick` names the row dimension of which the page shows one value at a time. `limit` caps rows; an answer that was
    cut says so. `span` is the width in quarters of the page.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    type: Literal[
        "kpi",
        "pie",
        "donut",
        "bar",
        "hbar",
        "line",
        "control",
        "interval",
        "heat",
        "scatter",
        "table",
        "pivot",
        "options",
    ]
    title: str
    note: str = ""
    dataset: Name
    rows: tuple[Reference, ...] = ()
    columns: Reference | None = None
    measures: tuple[Name, ...]
    sort: Literal["value", "group"] = "value"
    pick: Name | None = None
    limit: Annotated[int, Field(gt=0, le=5000)] = 1000
    span: Annotated[int, Field(ge=1, le=4)] = 2
    ignores: tuple[Reference, ...] = ()
    drill: bool = False

    @property
    def unfiltered(self) -> frozenset[str]:
        """Filters this visual must not apply to itself.

        Shares of a whole lose their meaning when the whole is cut down to one part (an audit pass rate among passed
        labels is always 100 %), so a pie never applies the filter of the attribute it divides by.
        """
        own = self.rows if self.type in ("pie", "donut") else ()
        return frozenset((*self.ignores, *(each for each in own if "." in each)))


class Filter(Frozen):
    """A control of the page. `options` names the visual that lists its values; dates have none."""

    id: Name
    title: str
    type: Literal["values", "since", "until", "attributes"]
    options: str | None = None


class Dashboard(Frozen):
    """One page of reports."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    title: str
    description: str
    filters: tuple[Filter, ...]
    visuals: tuple[Visual, ...]

    def visual(self, visual_id: str) -> Visual | None:
        return next((each for each in self.visuals if each.id == visual_id), None)


class Specification(Frozen):
    """Every dashboard of a system with the data sets they share. Construction fails where a name leads nowhere."""

    datasets: dict[Name, Dataset]
    dashboards: tuple[Dashboard, ...]

    def dashboard(self, dashboard_id: str) -> Dashboard | None:
        return next((each for each in self.dashboards if each.id == dashboard_id), None)

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> "Specification":
        for name, dataset in self.datasets.items():
            _check_dataset(name, dataset)
        for dashboard in self.dashboards:
            ids = [each.id for each in dashboard.visuals]
            if len(set(ids)) < len(ids):
                raise ValueError(f"dashboard {dashboard.id}: two visuals share an id, of {ids}")
            for control in dashboard.filters:
                if control.id not in Filters.model_fields:
                    raise ValueError(f"dashboard {dashboard.id}: there is no filter {control.id}")
                if control.options and control.options not in ids:
                    raise ValueError(f"dashboard {dashboard.id}: filter {control.id} has no visual {control.options}")
            for visual in dashboard.visuals:
                self._check(dashboard.id, visual)
        return self

    def _check(self, dashboard_id: str, visual: Visual) -> None:
        where = f"dashboard {dashboard_id}, visual {visual.id}"
        dataset = self.datasets.get(visual.dataset)
        if dataset is None:
            raise ValueError(f"{where}: no data set {visual.dataset}")
        for reference in (*visual.rows, *((visual.columns,) if visual.columns else ())):
            kind, _, attribute = reference.partition(".")
            if kind not in dataset.dimensions and not (attribute and kind == dataset.attributes):
                raise ValueError(f"{where}: data set {visual.dataset} has no dimension {reference}")
        for measure in visual.measures:
            if measure not in dataset.measures:
                raise ValueError(f"{where}: data set {visual.dataset} has no measure {measure}")
        if reason := _misshapen(visual, dataset):
            raise ValueError(f"{where}: a {visual.type} {reason}")


def _check_dataset(name: str, dataset: Dataset) -> None:
    for each in dataset.filters:
        if each not in Filters.model_fields:
            raise ValueError(f"data set {name}: there is no filter {each}")
    for key, dimension in dataset.dimensions.items():
        needs = {None: (), "day": ("since", "until")}.get(dimension.filter, (dimension.filter,))
        if missing := [each for each in needs if each not in dataset.filters]:
            raise ValueError(f"data set {name}: dimension {key} sets the filter {missing[0]}, which it does not apply")
    for key, measure in dataset.measures.items():
        for each in measure.companions:
            if each not in dataset.measures:
                raise ValueError(f"data set {name}: measure {key} names a measure {each} that is not there")
        if (measure.lower is None) != (measure.upper is None):
            raise ValueError(f"data set {name}: measure {key} has one bound of an interval and not the other")


def _misshapen(visual: Visual, dataset: Dataset) -> str | None:
    """What a visual of its type lacks to be drawn; None when nothing."""
    first = dataset.measures[visual.measures[0]] if visual.measures else None
    if first is None:
        return "shows no measure"
    if visual.type == "kpi" and (visual.rows or visual.columns):
        return "has no rows or columns"
    if visual.type not in ("kpi", "table") and not visual.rows:
        return "needs rows"
    if visual.type == "control" and (len(visual.measures) != 4 or first.n is None):
        return "needs four measures, share, centre and two limits, the first with an n"
    if visual.type == "interval" and first.lower is None:
        return "needs a measure with bounds"
    if visual.type == "scatter" and len(visual.measures) != 2:
        return "needs two measures, x and y"
    if visual.type in ("heat", "pivot") and visual.columns is None:
        return "needs columns"
    return None


Values = Annotated[tuple[Value, ...], Field(max_length=50)]
Attributes = Annotated[dict[Value, Values], Field(max_length=20)]


class Filters(Frozen):
    """What a reader chose: for each filter any of these values; dates are UTC days, both included.

    `object_id`, `instance_id` and `frame_no` narrow single annotations down: no page offers them as a control.
    """

    batch: Values = ()
    job: Values = ()
    modality: Values = ()
    level: Values = ()
    label: Values = ()
    worker: Values = ()
    auditor: Values = ()
    change: Values = ()
    issue: Values = ()
    finding: Values = ()
    since: dt.date | None = None
    until: dt.date | None = None
    label_attribute: Attributes = {}
    frame_attribute: Attributes = {}
    object_id: Values = ()
    instance_id: Values = ()
    frame_no: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], Field(max_length=50)] = ()

    @model_validator(mode="after")
    def _usable(self) -> "Filters":
        if self.since and self.until and self.since > self.until:
            raise ValueError(f"since {self.since} is after until {self.until}: swap them, or leave one out")
        return self
