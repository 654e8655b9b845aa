"""A dashboard of the specification as a QuickSight Definition: plain data in the API's own spelling.

Shapes and limits are those of botocore's `quicksight` model (CreateDashboard); the tests hold every Definition to it.
One sheet per dashboard; a click on a chart filters the sheet; what has no counterpart in QuickSight is drawn as the
nearest thing that shows the same numbers (`_FALLBACK`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sextant.labeling.quicksight.datasets import column_of, spice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sextant.labeling.dashboards.model import Dashboard, Dataset, Specification, Visual
    from sextant.labeling.quicksight.datasets import Spice

_QUARTER = 9  # of QuickSight's grid of 36 columns
_HEIGHT = {"kpi": 6}
_TALL = 12
_FALLBACK = {"control": "line", "interval": "table", "scatter": "table"}
"""Limits of a control chart and whiskers would be series of their own in QuickSight: instead the line shows the share
and the table both bounds."""
_FALLBACK_OF_SEVERAL = {"pie": "table", "donut": "table", "bar": "table", "hbar": "table", "line": "table"} | {
    "heat": "pivot"
}
"""For charts of two fields or more in their rows: QuickSight takes further fields of an axis for steps to drill down to
and shows the first alone, added up over what the page keeps apart."""

Field = dict[str, Any]


def definition(
    specification: Specification, dashboard: Dashboard, spices: Mapping[str, Spice], data_sets: Mapping[str, str]
) -> Field:
    """The Definition of one dashboard.

    Args:
        specification: holds the data sets' titles and units.
        dashboard: which one.
        spices: its data sets as SPICE holds them, by name.
        data_sets: their ARNs by name.
    """
    shown = [each for each in dashboard.visuals if each.type != "options"]
    used = list(dict.fromkeys(each.dataset for each in shown))
    sheet = f"{dashboard.id}-sheet"
    filters = _filters(dashboard, spices, used, sheet)
    return {
        "DataSetIdentifierDeclarations": [{"Identifier": each, "DataSetArn": data_sets[each]} for each in used],
        "CalculatedFields": [
            {"DataSetIdentifier": name, "Name": _field_name(measure), "Expression": spices[name].measures[measure]}
            for name in used
            for measure in sorted(spices[name].measures)
        ],
        "Sheets": [
            {
                "SheetId": sheet,
                "Name": dashboard.title,
                "Title": dashboard.title,
                "Description": dashboard.description,
                "Visuals": [
                    _visual(each, specification.datasets[each.dataset], spices[each.dataset]) for each in shown
                ],
                "FilterControls": [control for _, control in filters],
                "Layouts": [{"Configuration": {"GridLayout": {"Elements": _layout(shown)}}}],
                "ContentType": "INTERACTIVE",
            }
        ],
        "FilterGroups": [group for group, _ in filters],
    }


def spices_of(specification: Specification) -> Mapping[str, Spice]:
    """Every data set that a visual shows, with the columns and measures its visuals and filters need."""
    references: dict[str, set[str]] = {}
    measures: dict[str, set[str]] = {}
    for dashboard in specification.dashboards:
        for visual in dashboard.visuals:
            if visual.type == "options":
                continue
            dataset = specification.datasets[visual.dataset]
            found = references.setdefault(visual.dataset, set(dataset.dimensions))
            found.update(each for each in (*visual.rows, visual.columns) if each)
            measures.setdefault(visual.dataset, set()).update(measures_of(visual, dataset))
    return {
        name: spice(name, specification.datasets[name], references[name], measures[name]) for name in sorted(references)
    }


def measures_of(visual: Visual, dataset: Dataset) -> tuple[str, ...]:
    """The measures QuickSight shows of a visual: its own, and in a table the bounds of their intervals and their n."""
    if _kind(visual) == "pivot":
        return visual.measures
    if _kind(visual) != "table":
        return visual.measures[:1]
    return tuple(dict.fromkeys(each for name in visual.measures for each in (name, *dataset.measures[name].companions)))


def _kind(visual: Visual) -> str:
    kind = _FALLBACK.get(visual.type, visual.type)
    return _FALLBACK_OF_SEVERAL.get(kind, kind) if len(visual.rows) > 1 else kind


def _field_name(measure: str) -> str:
    """The calculated field of a measure: no column of a data set has such a name."""
    return f"measure {measure}"


def _visual(visual: Visual, dataset: Dataset, spice: Spice) -> Field:
    rows = [_dimension(visual, dataset, spice, each) for each in visual.rows]
    columns = [_dimension(visual, dataset, spice, visual.columns)] if visual.columns else []
    values = [_measure(visual, dataset, spice, each) for each in measures_of(visual, dataset)]
    match _kind(visual):
        case "kpi":
            return _titled(visual, "KPIVisual", {"FieldWells": {"Values": values}}, click=False)
        case "pie" | "donut":
            thickness = "WHOLE" if visual.type == "pie" else "MEDIUM"
            wells = {"PieChartAggregatedFieldWells": {"Category": rows, "Values": values}}
            donut = {"ArcOptions": {"ArcThickness": thickness}}
            return _titled(visual, "PieChartVisual", {"FieldWells": wells, "DonutOptions": donut})
        case "bar" | "hbar":
            wells = {"BarChartAggregatedFieldWells": {"Category": rows, "Values": values, "Colors": columns}}
            chart = {
                "FieldWells": wells,
                "Orientation": "VERTICAL" if visual.type == "bar" else "HORIZONTAL",
                "BarsArrangement": "STACKED" if columns else "CLUSTERED",
            }
            return _titled(visual, "BarChartVisual", chart)
        case "line":
            wells = {"LineChartAggregatedFieldWells": {"Category": rows, "Values": values, "Colors": columns}}
            return _titled(visual, "LineChartVisual", {"FieldWells": wells, "Type": "LINE"})
        case "heat":
            wells = {"HeatMapAggregatedFieldWells": {"Rows": rows, "Columns": columns, "Values": values}}
            return _titled(visual, "HeatMapVisual", {"FieldWells": wells})
        case "pivot":
            wells = {"PivotTableAggregatedFieldWells": {"Rows": rows, "Columns": columns, "Values": values}}
            return _titled(visual, "PivotTableVisual", {"FieldWells": wells})
        case "table":
            wells = {"TableAggregatedFieldWells": {"GroupBy": [*rows, *columns], "Values": values}}
            return _titled(visual, "TableVisual", {"FieldWells": wells})
        case other:
            raise ValueError(f"visual {visual.id}: QuickSight has no counterpart of type {other!r}; add one here")


def _titled(visual: Visual, kind: str, chart: Field, *, click: bool = True) -> Field:
    made: Field = {
        "VisualId": visual.id,
        "Title": {"Visibility": "VISIBLE", "FormatText": {"PlainText": visual.title}},
        "Subtitle": {"Visibility": "VISIBLE", "FormatText": {"PlainText": visual.note}}
        if visual.note
        else {"Visibility": "HIDDEN"},
        "ChartConfiguration": chart,
    }
    if click and visual.rows:
        made["Actions"] = [_filter_the_sheet(visual)]
    return {kind: made}


def _filter_the_sheet(visual: Visual) -> Field:
    target = {"SameSheetTargetVisualConfiguration": {"TargetVisualOptions": "ALL_VISUALS"}}
    operation = {
        "SelectedFieldsConfiguration": {"SelectedFieldOptions": "ALL_FIELDS"},
        "TargetVisualsConfiguration": target,
    }
    return {
        "CustomActionId": f"{visual.id}-click",
        "Name": "Filter this sheet",
        "Status": "ENABLED",
        "Trigger": "DATA_POINT_CLICK",
        "ActionOperations": [{"FilterOperation": operation}],
    }


def _column(visual: Visual, name: str) -> Field:
    return {"DataSetIdentifier": visual.dataset, "ColumnName": name}


def _dimension(visual: Visual, dataset: Dataset, spice: Spice, reference: str) -> Field:
    column = column_of(reference)
    role = "column" if reference == visual.columns else "row"
    field: Field = {"FieldId": f"{visual.id}.{role}.{column}", "Column": _column(visual, column)}
    match spice.columns[column]:
        case "DATETIME":
            known = dataset.dimensions.get(reference)
            granularity = "HOUR" if known and known.kind == "time" else "DAY"
            return {"DateDimensionField": {**field, "DateGranularity": granularity}}
        case "INTEGER" | "DECIMAL":
            return {"NumericalDimensionField": field}
        case _:
            return {"CategoricalDimensionField": field}


def _measure(visual: Visual, dataset: Dataset, spice: Spice, name: str) -> Field:
    """A calculated field that aggregates already takes no aggregation function."""
    field: Field = {"FieldId": f"{visual.id}.value.{name}", "Column": _column(visual, _field_name(name))}
    if name in spice.dates:
        return {"DateMeasureField": field}
    return {"NumericalMeasureField": {**field, "FormatConfiguration": {"FormatConfiguration": _format(dataset, name)}}}


def _format(dataset: Dataset, name: str) -> Field:
    match dataset.measures[name].unit:
        case "share":
            return {"PercentageDisplayFormatConfiguration": {"DecimalPlacesConfiguration": {"DecimalPlaces": 1}}}
        case "usd":
            return {
                "CurrencyDisplayFormatConfiguration": {
                    "Symbol": "USD",
                    "DecimalPlacesConfiguration": {"DecimalPlaces": 2},
                }
            }
        case "count":
            return {
                "NumberDisplayFormatConfiguration": {
                    "SeparatorConfiguration": {"ThousandsSeparator": {"Symbol": "COMMA", "Visibility": "VISIBLE"}},
                    "DecimalPlacesConfiguration": {"DecimalPlaces": 0},
                }
            }
        case "seconds":
            return {
                "NumberDisplayFormatConfiguration": {
                    "Suffix": " s",
                    "DecimalPlacesConfiguration": {"DecimalPlaces": 1},
                }
            }
        case _:
            return {"NumberDisplayFormatConfiguration": {"DecimalPlacesConfiguration": {"DecimalPlaces": 2}}}


def _filters(
    dashboard: Dashboard,
    spices: Mapping[str, Spice],
    used: list[str],
    sheet: str,
) -> list[tuple[Field, Field]]:
    """Filter groups with their controls: the dashboard's own filters, where a data set in use has such a column.

    From and To are one control of a range of days. A group of attributes is one control for each attribute in use.
    """
    wanted: dict[str, str] = {}
    for control in dashboard.filters:
        match control.type:
            case "since":
                wanted["day"] = "Days (UTC)"
            case "until":
                pass
            case "attributes":
                columns = [c for name in used for c in spices[name].columns if c.startswith(f"{control.id}_")]
                wanted |= {c: _attribute_title(c, control.id) for c in sorted(set(columns))}
            case _:
                wanted[control.id] = control.title
    made = []
    for column, title in wanted.items():
        name = next((each for each in used if column in spices[each].columns), None)
        if name:
            made.append(
                _filter(dashboard.id, sheet, name, column, title, days=spices[name].columns[column] == "DATETIME")
            )
    return made


def _attribute_title(column: str, prefix: str) -> str:
    return column.removeprefix(f"{prefix}_").replace("_", " ").capitalize()


def _filter(dashboard: str, sheet: str, dataset: str, column: str, title: str, *, days: bool) -> tuple[Field, Field]:
    """One filter over every data set of the sheet that has the column, and its control.

    Rows without a day are in no range of days, as on the page.
    """
    filter_id = f"{dashboard}-{column}"
    where = {"FilterId": filter_id, "Column": {"DataSetIdentifier": dataset, "ColumnName": column}}
    if days:
        condition = {"TimeRangeFilter": {**where, "NullOption": "NON_NULLS_ONLY", "TimeGranularity": "DAY"}}
        control = {"DateTimePicker": {"Type": "DATE_RANGE"}}
    else:
        listed = {"MatchOperator": "CONTAINS", "SelectAllOptions": "FILTER_ALL_VALUES"}
        condition = {"CategoryFilter": {**where, "Configuration": {"FilterListConfiguration": listed}}}
        control = {"Dropdown": {"Type": "MULTI_SELECT"}}
    group = {
        "FilterGroupId": f"{filter_id}-group",
        "CrossDataset": "ALL_DATASETS",
        "Status": "ENABLED",
        "ScopeConfiguration": {
            "SelectedSheets": {"SheetVisualScopingConfigurations": [{"SheetId": sheet, "Scope": "ALL_VISUALS"}]}
        },
        "Filters": [condition],
    }
    [(kind, options)] = control.items()
    named = {"FilterControlId": f"{filter_id}-control", "Title": title, "SourceFilterId": filter_id}
    return group, {kind: {**named, **options}}


def _layout(visuals: list[Visual]) -> list[Field]:
    """Places visuals from left to right in rows of four quarters, each row as high as its highest visual."""
    rows: list[list[Visual]] = [[]]
    for visual in visuals:
        if sum(each.span for each in rows[-1]) + visual.span > 4:
            rows.append([])
        rows[-1].append(visual)
    placed: list[Field] = []
    top = 0
    for row in rows:
        left, height = 0, max((_HEIGHT.get(each.type, _TALL) for each in row), default=0)
        for visual in row:
            placed.append(
                {
                    "ElementId": visual.id,
                    "ElementType": "VISUAL",
                    "ColumnIndex": left,
                    "ColumnSpan": visual.span * _QUARTER,
                    "RowIndex": top,
                    "RowSpan": height,
                }
            )
            left += visual.span * _QUARTER
        top += height
    return placed
