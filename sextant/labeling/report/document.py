"""All reports of the dashboards as one HTML page: no script, no link to anything, charts as SVG.

The page is the specification's, like the console's and QuickSight's: a visual added there appears here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from xml.etree import ElementTree as ET

from sextant.labeling.dashboards.athena import Answer, QueryError
from sextant.labeling.dashboards.query import over_time
from sextant.labeling.report import figures
from sextant.labeling.report.words import alias, group, moment, natural, text

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from sextant.labeling.dashboards.model import Dashboard, Dataset, Specification, Visual

T = TypeVar("T")
MOST_ROWS = 15
"""Rows of one chart or table; the page says how many there are beside them."""

_STYLE = """
body { font: 15px/1.5 Inter, system-ui, sans-serif; color: #17202b; background: #fff; margin: 0 auto; max-width: 760px;
  padding: 24px 16px }
h1 { font-size: 24px; margin: 0 } h2 { font-size: 19px; margin: 36px 0 4px; border-bottom: 1px solid #d5dbe2 }
h3 { font-size: 15px; margin: 22px 0 2px } p { margin: 2px 0 6px } .quiet { color: #4d5966; font-size: 13px }
table { border-collapse: collapse; font-size: 13px; margin: 6px 0 } th, td { text-align: left; padding: 3px 10px 3px 0;
  border-bottom: 1px solid #e6eaee; vertical-align: top }
.number { text-align: right; font-variant-numeric: tabular-nums } td.number { white-space: nowrap }
.name { min-width: 9em; max-width: 22em; overflow-wrap: anywhere } .wide { overflow-x: auto }
.figures td { border: 0; padding: 6px 22px 6px 0 } .figure { font-size: 22px } svg { max-width: 100%; height: auto }
"""


class Section(NamedTuple):
    """One dashboard with the outcome of each of its visuals, in order."""

    dashboard: Dashboard
    outcomes: Sequence[tuple[Visual, Answer | QueryError]]


def html(specification: Specification, sections: Iterable[Section], *, title: str, made: dt.datetime) -> str:
    """The page as text, to be written as UTF-8.

    Args:
        specification: holds the data sets' titles and units.
        sections: the dashboards in order.
        title: of the page.
        made: when the numbers were asked for, UTC.
    """
    page = ET.Element("html", {"lang": "en"})
    head = ET.SubElement(page, "head")
    ET.SubElement(head, "meta", {"charset": "utf-8"})
    ET.SubElement(head, "meta", {"name": "viewport", "content": "width=device-width"})
    ET.SubElement(head, "title").text = title
    ET.SubElement(head, "style").text = _STYLE
    body = ET.SubElement(page, "body")
    ET.SubElement(body, "h1").text = title
    _quiet(body, f"As of {made:%d %b %Y, %H:%M} UTC. Intervals are 95 %.")
    for section in sections:
        ET.SubElement(body, "h2").text = section.dashboard.title
        _quiet(body, section.dashboard.description)
        figures_row = None
        for visual, outcome in section.outcomes:
            dataset = specification.datasets[visual.dataset]
            if visual.type == "kpi":
                if figures_row is None or len(figures_row) == 4:
                    figures_row = ET.SubElement(ET.SubElement(body, "table", {"class": "figures"}), "tr")
                _figure(figures_row, visual, dataset, outcome)
            else:
                figures_row = None
                _report(body, visual, dataset, outcome)
    return "<!doctype html>\n" + ET.tostring(page, encoding="unicode", method="html")


def _figure(row: ET.Element, visual: Visual, dataset: Dataset, outcome: Answer | QueryError) -> None:
    cell = ET.SubElement(row, "td")
    ET.SubElement(cell, "div").text = visual.title
    if isinstance(outcome, QueryError):
        _quiet(cell, f"Failed: {outcome}")
        return
    found = records(outcome)[0] if outcome.rows else {}
    name = visual.measures[0]
    measure = dataset.measures[name]
    ET.SubElement(cell, "div", {"class": "figure"}).text = text(found.get(name), measure.unit)
    if interval := _interval(found, dataset, name):
        _quiet(cell, interval)
    if measure.n and found.get(measure.n) is not None:
        _quiet(cell, f"n = {text(found.get(measure.n), 'count')}")


def _report(body: ET.Element, visual: Visual, dataset: Dataset, outcome: Answer | QueryError) -> None:
    ET.SubElement(body, "h3").text = visual.title
    if visual.note:
        _quiet(body, visual.note)
    if isinstance(outcome, QueryError):
        _quiet(body, f"This report failed: {outcome} {outcome.remedy}")
        return
    found = records(outcome)
    if visual.sort == "group":  # Athena sorts text as text: 12 before 3
        found.sort(key=lambda each: [natural(each[alias(name)]) for name in visual.rows])
    if not found:
        _quiet(body, f"No {dataset.counts}.")
        return
    measure = visual.measures[0] if visual.measures else ""
    if visual.type in _DRAWN and all(each[measure] is None for each in found):
        _quiet(body, f"{dataset.measures[measure].title}: not recorded.")
        return
    drawn = _DRAWN.get(visual.type)
    chart = drawn(visual, dataset, found) if drawn else None
    if visual.type in ("pivot", "heat"):
        shown = _matrix(body, visual, dataset, found)
    elif chart is None:
        listed = _most(found, visual, dataset)
        _table(body, visual, dataset, listed)
        shown = len(listed)
    else:
        body.append(chart[0])
        shown = chart[1]
        if chart[2]:
            _legend(body, chart[2])
    if shown < len(found) or outcome.truncated:
        more = "more than " if outcome.truncated else ""
        which = "The newest " if over_time(dataset, visual) else ""
        _quiet(body, f"{which}{shown} of {more}{len(found):,} rows; the console has all.")


def _most(rows: list[T], visual: Visual, dataset: Dataset) -> list[T]:
    """As many as one chart or table holds: the first, of a series the newest."""
    return rows[-MOST_ROWS:] if over_time(dataset, visual) else rows[:MOST_ROWS]


Drawn = tuple[ET.Element, int, "Sequence[str]"]
"""A chart, how many of the rows it shows, and the names of its series where it has some."""


def _bars(visual: Visual, dataset: Dataset, found: list[dict[str, Any]]) -> Drawn | None:
    name, unit = visual.measures[0], dataset.measures[visual.measures[0]].unit
    keys = [alias(each) for each in visual.rows]
    series = _series(visual, found)
    rows: dict[str, dict[str, float]] = {}
    for each in found:
        part = group(each[alias(visual.columns)]) if visual.columns else ""
        parts = rows.setdefault(" · ".join(group(each[key]) for key in keys), {})
        if each[name] is not None:
            parts[part] = parts.get(part, 0.0) + float(each[name])
    shown = _most(list(rows.items()), visual, dataset)
    made = [
        figures.Bar(key, [parts.get(each, 0.0) for each in series], text(sum(parts.values()) if parts else None, unit))
        for key, parts in shown
    ]
    kept = dict(shown)
    counted = sum(" · ".join(group(each[key]) for key in keys) in kept for each in found)
    return figures.bars(made, visual.title), counted, series if visual.columns else ()


def _lines(visual: Visual, dataset: Dataset, found: list[dict[str, Any]]) -> Drawn | None:
    key = alias(visual.rows[0])
    time = dataset.dimensions[key].kind == "time" if key in dataset.dimensions else False
    found = [each | {key: moment(each[key])} for each in found if each[key]] if time else found
    places = list(dict.fromkeys(group(each[key]) for each in found))
    if visual.type == "control":
        series: Sequence[str] = [dataset.measures[each].title for each in visual.measures]
        values = {group(each[key]): [each[name] for name in visual.measures] for each in found}
        limits = frozenset(series[1:])
    else:
        series, limits = _series(visual, found), frozenset[str]()
        values = {place: [None] * len(series) for place in places}
        for each in found:
            part = group(each[alias(visual.columns)]) if visual.columns else ""
            values[group(each[key])][series.index(part)] = each[visual.measures[0]]
    points = [figures.Point(place, values[place]) for place in places]
    return figures.lines(points, series, visual.title, limits), len(found), series if len(series) > 1 else ()


def _dots(visual: Visual, dataset: Dataset, found: list[dict[str, Any]]) -> Drawn | None:
    name = visual.measures[0]
    measure = dataset.measures[name]
    keys = [alias(each) for each in (*visual.rows, *((visual.columns,) if visual.columns else ()))]
    measured = _most([each for each in found if each[name] is not None], visual, dataset)
    if not measured:
        return None
    made = [
        figures.Dot(
            " · ".join(group(each[key]) for key in keys),
            each[name],
            each.get(measure.lower or ""),
            each.get(measure.upper or ""),
            text(each[name], measure.unit) + (f", n {text(each[measure.n], 'count')}" if measure.n else ""),
        )
        for each in measured
    ]
    return figures.dots(made, visual.title), len(made), ()


_DRAWN = {
    "pie": _bars,
    "donut": _bars,
    "bar": _bars,
    "hbar": _bars,
    "line": _lines,
    "control": _lines,
    "interval": _dots,
}
"""How a visual is drawn; a type that is not here is a table. A pie is bars: shares compare better by length."""


def _series(visual: Visual, found: list[dict[str, Any]]) -> list[str]:
    if not visual.columns:
        return [""]
    return sorted({group(each[alias(visual.columns)]) for each in found})


def _legend(body: ET.Element, series: Sequence[str]) -> None:
    line = ET.SubElement(body, "p", {"class": "quiet"})
    for n, name in enumerate(series):
        mark = ET.SubElement(line, "span", {"style": f"color: {figures.COLOURS[n % len(figures.COLOURS)]}"})
        mark.text = "■ "
        mark.tail = f"{name}   "


def _table(body: ET.Element, visual: Visual, dataset: Dataset, found: list[dict[str, Any]]) -> None:
    groups = [alias(each) for each in (*visual.rows, visual.columns) if each]
    measures = [each for each in found[0] if each in dataset.measures and each not in groups]
    table = ET.SubElement(ET.SubElement(body, "div", {"class": "wide"}), "table")
    row = ET.SubElement(table, "tr")
    for each in groups:
        ET.SubElement(row, "th").text = dataset.dimensions[each].title if each in dataset.dimensions else group(each)
    for each in measures:
        ET.SubElement(row, "th", {"class": "number"}).text = dataset.measures[each].title
    for record in found:
        row = ET.SubElement(table, "tr")
        for each in groups:
            ET.SubElement(row, "td", {"class": "name"}).text = group(record[each])
        for each in measures:
            ET.SubElement(row, "td", {"class": "number"}).text = text(record[each], dataset.measures[each].unit)


def _matrix(body: ET.Element, visual: Visual, dataset: Dataset, found: list[dict[str, Any]]) -> int:
    """Rows by columns of the first measure; the number of answers' rows it shows."""
    name = visual.measures[0]
    keys, across = [alias(each) for each in visual.rows], alias(visual.columns or "")
    columns = _series(visual, found)
    cells: dict[str, dict[str, Any]] = {}
    for each in found:
        cells.setdefault(" · ".join(group(each[key]) for key in keys), {})[group(each[across])] = each[name]
    shown = _most(list(cells.items()), visual, dataset)
    table = ET.SubElement(ET.SubElement(body, "div", {"class": "wide"}), "table")
    row = ET.SubElement(table, "tr")
    ET.SubElement(row, "th")
    for column in columns:
        ET.SubElement(row, "th", {"class": "number"}).text = column
    for key, values in shown:
        row = ET.SubElement(table, "tr")
        ET.SubElement(row, "td", {"class": "name"}).text = key
        for column in columns:
            told = text(values[column], dataset.measures[name].unit) if column in values else ""
            ET.SubElement(row, "td", {"class": "number"}).text = told
    return sum(len(values) for _, values in shown)


def _interval(found: Mapping[str, Any], dataset: Dataset, name: str) -> str:
    measure = dataset.measures[name]
    if not (measure.lower and measure.upper) or found.get(measure.lower) is None:
        return ""
    if measure.unit == "timestamp" and found[measure.upper] is None:
        return f"{text(found[measure.lower], measure.unit)} or later"
    return f"{text(found[measure.lower], measure.unit)} to {text(found[measure.upper], measure.unit)}"


def _quiet(parent: ET.Element, told: str) -> None:
    ET.SubElement(parent, "p", {"class": "quiet"}).text = told


def records(answer: Answer) -> list[dict[str, Any]]:
    """An answer's rows by column."""
    names = [each.name for each in answer.columns]
    return [dict(zip(names, row, strict=True)) for row in answer.rows]
