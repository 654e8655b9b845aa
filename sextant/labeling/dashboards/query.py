"""From a visual and a reader's filters to Athena SQL and its execution parameters."""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from sextant.labeling.dashboards.model import Dataset, Filters, Specification, Visual

_PLACE = re.compile(r"\{(name|values)\}")


class UnknownReportError(LookupError):
    """No dashboard or visual of that name. The message names those there are."""


class Query(NamedTuple):
    """`sql` holds one `?` for each of `parameters`. `not_applied` are the chosen filters that this visual lacks or must
    not apply to itself, as `worker` or `label_attribute.audit`. `limit` is one less than the rows the SQL asks for: one
    row more means that the answer was cut. With `newest_first` rows arrive from the newest to the oldest, so that the
    oldest are cut; readers get them the other way around.
    """

    sql: str
    parameters: tuple[str, ...]
    not_applied: tuple[str, ...]
    limit: int
    newest_first: bool = False


class Condition(NamedTuple):
    """A condition on rows, with a `?` for each of `parameters`."""

    sql: str
    parameters: tuple[str, ...]


def query(spec: Specification, dashboard_id: str, visual_id: str, filters: Filters) -> Query:
    """The query of one visual. Its text depends on the specification and on how many values were chosen, never on them.

    Raises:
        UnknownReportError: no such dashboard or visual.
    """
    dashboard = spec.dashboard(dashboard_id)
    if dashboard is None:
        known = ", ".join(each.id for each in spec.dashboards)
        raise UnknownReportError(f"no dashboard {dashboard_id!r}: there are {known}")
    visual = dashboard.visual(visual_id)
    if visual is None:
        known = ", ".join(each.id for each in dashboard.visuals)
        raise UnknownReportError(f"no visual {visual_id!r} in dashboard {dashboard_id!r}: there are {known}")
    dataset = spec.datasets[visual.dataset]

    # The values a filter offers stay the same whatever is chosen, or a second choice would be impossible.
    chosen = Filters() if visual.type == "options" else filters
    applied, not_applied = conditions(dataset.filters, chosen, visual.unfiltered)

    groups = [each for each in (*visual.rows, visual.columns) if each]
    measures = list(
        dict.fromkeys(
            (*visual.measures, *(other for each in visual.measures for other in dataset.measures[each].companions))
        )
    )
    columns = [f'{_expression(dataset, each)} AS "{_alias(each)}"' for each in groups]
    columns += [f'{dataset.measures[each].sql} AS "{each}"' for each in measures]
    lines = ["SELECT", "  " + ",\n  ".join(columns), f"FROM {dataset.source}"]
    if applied:
        lines.append("WHERE " + "\n  AND ".join(each.sql for each in applied))
    if groups:
        positions = [str(1 + i) for i in range(len(groups))]
        lines.append(f"GROUP BY {', '.join(positions)}")
        by_value = [f"{len(groups) + 1} DESC"] if visual.sort == "value" else []
        # Turned around, missing values come last again.
        by_group = [f"{each} DESC NULLS FIRST" for each in positions] if over_time(dataset, visual) else positions
        lines.append(f"ORDER BY {', '.join(by_value + by_group)}")
        lines.append(f"LIMIT {visual.limit + 1}")
    parameters = tuple(value for each in applied for value in each.parameters)
    return Query("\n".join(lines), parameters, not_applied, visual.limit, over_time(dataset, visual))


def over_time(dataset: Dataset, visual: Visual) -> bool:
    """Whether the rows go from old to new: of a long series the newest matter."""
    first = dataset.dimensions.get(visual.rows[0]) if visual.rows and visual.sort == "group" else None
    return first is not None and first.kind in ("day", "time")


def conditions(
    templates: Mapping[str, str], filters: Filters, without: Collection[str] = ()
) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
    """The conditions of the chosen filters, and the names of those that have no template or are in `without`.

    Args:
        templates: by name of filter, as `Dataset.filters`.
        filters: what a reader chose.
        without: names not to apply, as `label` or `label_attribute.audit`.
    """
    applied: list[Condition] = []
    not_applied: list[str] = []
    for name, condition in _conditions(templates, filters):
        if condition is None or name in without:
            not_applied.append(name)
        else:
            applied.append(condition)
    return tuple(applied), tuple(not_applied)


def _conditions(templates: Mapping[str, str], filters: Filters) -> Iterator[tuple[str, Condition | None]]:
    """Each chosen filter with its condition, or with None where there is no template."""
    for name, chosen in filters:
        if not chosen:
            continue
        template = templates.get(name)
        if isinstance(chosen, dict):
            for attribute, values in chosen.items():
                if values:
                    yield f"{name}.{attribute}", _bind(template, values, attribute)
        else:
            yield name, _bind(template, chosen if isinstance(chosen, tuple) else (chosen,))


def _bind(
    template: str | None, values: tuple[str | int | dt.date, ...], attribute: str | None = None
) -> Condition | None:
    if template is None:
        return None
    named = () if attribute is None else (literal(attribute),)
    bound = {"name": named, "values": tuple(map(literal, values))}
    sql = _PLACE.sub(lambda place: ", ".join("?" * len(bound[place[1]])), template)
    parameters = tuple(each for place in _PLACE.findall(template) for each in bound[place])
    return Condition(sql, parameters)


def literal(value: str | int | dt.date) -> str:
    """A value as an Athena execution parameter: Athena reads each parameter as an SQL expression, so text is quoted.

    Trino's strings know no escape but the doubled quote.
    """
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dt.date):
        return f"DATE '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"


def _expression(dataset: Dataset, reference: str) -> str:
    kind, _, attribute = reference.partition(".")
    return f"element_at(attributes, '{attribute}')" if attribute else dataset.dimensions[kind].sql


def _alias(reference: str) -> str:
    return reference.rpartition(".")[2]
