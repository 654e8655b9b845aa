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

Unit = Literal["count", "seconds", "share", "rate", "day"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Dimension(Frozen):
    """Something to group by. `kind` tells the page how to sort and print its values."""

    title: str
    kind: Literal["text", "number", "day"] = "text"
    sql: str = Field(exclude=True)


class Measure(Frozen):
    """An aggregate. `n` names the measure that says how many cases it rests on.

    `adds` tells whether the measure of a whole is the sum over its parts: only such measures get totals.
    """

    title: str
    unit: Unit = "count"
    n: Name | None = None
    adds: bool = False
    sql: str = Field(exclude=True)


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

    `pick` names the row dimension of which the page shows one value at a time. `limit` caps rows; an answer that was
    cut says so. `span` is the width in quarters of the page.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    type: Literal["kpi", "pie", "donut", "bar", "hbar", "table", "pivot", "options"]
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
        for dashboard in self.dashboards:
            ids = [each.id for each in dashboard.visuals]
            if len(set(ids)) < len(ids):
                raise ValueError(f"dashboard {dashboard.id}: two visuals share an id, of {ids}")
            for control in dashboard.filters:
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


Values = Annotated[tuple[Value, ...], Field(max_length=50)]
Attributes = Annotated[dict[Value, Values], Field(max_length=20)]


class Filters(Frozen):
    """What a reader chose: for each filter any of these values; dates are UTC days, both included."""

    job: Values = ()
    modality: Values = ()
    level: Values = ()
    label: Values = ()
    worker: Values = ()
    since: dt.date | None = None
    until: dt.date | None = None
    label_attribute: Attributes = {}
    frame_attribute: Attributes = {}

    @model_validator(mode="after")
    def _usable(self) -> "Filters":
        if self.since and self.until and self.since > self.until:
            raise ValueError(f"since {self.since} is after until {self.until}: swap them, or leave one out")
        return self
