"""QuickSight's dashboards: valid in the API's own model, whole in themselves, and equal in numbers to the console's."""

import copy
import json
import math
import re

import botocore.session
import pytest
import sqlglot
from botocore.validate import ParamValidator

from sextant.labeling.dashboards.athena import Lake, run
from sextant.labeling.dashboards.model import Dimension, Filters, Measure
from sextant.labeling.dashboards.query import query
from sextant.labeling.dashboards.spec import SPECIFICATION
from sextant.labeling.interval_sql import wilson_sql
from sextant.labeling.quicksight.datasets import UntranslatableError, column_of, in_database, spice
from sextant.labeling.quicksight.definition import definition, measures_of, spices_of
from tests.handlers.insight import HARBOUR, MARCH
from tests.handlers.lake import DATABASE, WORKGROUP, LakeAthena, truth

LAKE = Lake(DATABASE=DATABASE, WORKGROUP=WORKGROUP)
SPICES = spices_of(SPECIFICATION)
ARNS = {name: f"arn:aws:quicksight:eu-west-1:222222222222:dataset/{name}" for name in SPICES}
DEFINITIONS = {each.id: definition(SPECIFICATION, each, SPICES, ARNS) for each in SPECIFICATION.dashboards}
SHOWN = [
    (dashboard, visual)
    for dashboard in SPECIFICATION.dashboards
    for visual in dashboard.visuals
    if visual.type != "options"
]
OPERATIONS = {
    "AWS::QuickSight::DataSource": "CreateDataSource",
    "AWS::QuickSight::DataSet": "CreateDataSet",
    "AWS::QuickSight::RefreshSchedule": "CreateRefreshSchedule",
    "AWS::QuickSight::Dashboard": "CreateDashboard",
}


@pytest.fixture(scope="module")
def api():
    return botocore.session.get_session().get_service_model("quicksight")


def faults(api, operation, request):
    """What botocore finds wrong in a request, and enum values it does not know, which it lets pass."""
    shape = api.operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    return [*([report.generate_report()] if report.has_errors() else []), *enum_faults(shape, request, operation)]


def enum_faults(shape, value, where):
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, part in value.items():
            if name in shape.members:
                yield from enum_faults(shape.members[name], part, f"{where}.{name}")
            else:
                yield f"{where}.{name}: unknown member"
    elif shape.type_name == "list" and isinstance(value, list):
        for n, part in enumerate(value):
            yield from enum_faults(shape.member, part, f"{where}[{n}]")
    elif shape.type_name == "map" and isinstance(value, dict):
        for name, part in value.items():
            yield from enum_faults(shape.value, part, f"{where}.{name}")
    elif shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            yield f"{where}: {value!r} is none of {shape.enum}"
        pattern, longest = shape.metadata.get("pattern"), shape.metadata.get("max")
        if isinstance(value, str) and pattern and not re.search(pattern, value):
            yield f"{where}: {value!r} does not match {pattern}"
        if isinstance(value, str) and longest and len(value) > longest:
            yield f"{where}: longer than {longest}"


def resolved(value):
    """A template's value as a request would have it: references become plausible text."""
    match value:
        case {"Fn::GetAtt": [name, _]}:
            return f"arn:aws:quicksight:eu-west-1:222222222222:dataset/{name}"
        case {"Fn::GetStackOutput": {"OutputName": name}}:
            return f"arn:aws:iam::222222222222:role/{name}"
        case {"Ref": name}:
            return str(name)
        case {"Fn::Join": [separator, parts]}:
            return separator.join(resolved(each) for each in parts)
        case dict():
            return {name: resolved(part) for name, part in value.items()}
        case list():
            return [resolved(part) for part in value]
        case _:
            return value


@pytest.mark.parametrize("kind", OPERATIONS)
def test_every_resource_is_a_valid_request(api, production, kind):
    resources = [each for each in production["LabelingQuickSight"]["Resources"].values() if each["Type"] == kind]
    assert resources
    for resource in resources:
        properties = resolved(resource["Properties"])
        # CloudFormation makes a call of its own of these.
        if refresh := properties.pop("DataSetRefreshProperties", None):
            asked = {"AwsAccountId": properties["AwsAccountId"], "DataSetId": properties["DataSetId"]}
            asked["DataSetRefreshProperties"] = refresh
            assert faults(api, "PutDataSetRefreshProperties", asked) == []
        assert faults(api, OPERATIONS[kind], properties) == []


def test_nothing_of_it_is_deployed_unless_asked_for(local):
    assert "LabelingQuickSight" not in local


def test_each_data_set_is_in_spice_and_refreshed_every_hour(production):
    resources = production["LabelingQuickSight"]["Resources"].values()
    sets = [each["Properties"] for each in resources if each["Type"] == "AWS::QuickSight::DataSet"]
    schedules = [each["Properties"] for each in resources if each["Type"] == "AWS::QuickSight::RefreshSchedule"]
    assert {each["ImportMode"] for each in sets} == {"SPICE"}
    assert {each["DataSetId"] for each in sets} == {each["DataSetId"] for each in schedules}
    assert {each["Schedule"]["ScheduleFrequency"]["Interval"] for each in schedules} == {"HOURLY"}
    exports = [
        each["Properties"]["DashboardPublishOptions"]["ExportToCSVOption"]["AvailabilityStatus"]
        for each in resources
        if each["Type"] == "AWS::QuickSight::Dashboard"
    ]
    assert set(exports) == {"ENABLED"}
    assert len(exports) == len(SPECIFICATION.dashboards)


def test_a_definition_fits_a_template(production):
    # CloudFormation takes 1 MB; every stack of an environment is one template.
    assert len(json.dumps(production["LabelingQuickSight"])) < 1_000_000


def _wrong_enum(made):
    _first(made, "BarChartVisual")["ChartConfiguration"]["Orientation"] = "UPWARDS"


def _no_visual_id(made):
    del _first(made, "PieChartVisual")["VisualId"]


def _bogus_member(made):
    _first(made, "TableVisual")["ChartConfiguration"]["Colour"] = "red"


def _wrong_type(made):
    made["Sheets"][0]["Visuals"] = {"all": made["Sheets"][0]["Visuals"]}


def _no_column_name(made):
    del made["FilterGroups"][0]["Filters"][0]["CategoryFilter"]["Column"]["ColumnName"]


def _wrong_span(made):
    made["Sheets"][0]["Layouts"][0]["Configuration"]["GridLayout"]["Elements"][0]["ColumnSpan"] = "wide"


def _first(made, kind):
    return next(each[kind] for each in made["Sheets"][0]["Visuals"] if kind in each)


@pytest.mark.parametrize(
    "mutate", [_wrong_enum, _no_visual_id, _bogus_member, _wrong_type, _no_column_name, _wrong_span]
)
def test_the_validation_finds_a_broken_definition(api, mutate):
    made = copy.deepcopy(
        next(
            each
            for each in DEFINITIONS.values()
            if {"BarChartVisual", "PieChartVisual", "TableVisual"}
            <= {kind for visual in each["Sheets"][0]["Visuals"] for kind in visual}
        )
    )
    request = {"AwsAccountId": "222222222222", "DashboardId": "a", "Name": "a", "Definition": made}
    assert faults(api, "CreateDashboard", request) == []
    mutate(made)
    assert faults(api, "CreateDashboard", request) != []


def test_the_validation_finds_a_wrong_interval(api):
    schedule = {"ScheduleId": "hourly", "RefreshType": "FULL_REFRESH", "ScheduleFrequency": {"Interval": "SOMETIMES"}}
    request = {"AwsAccountId": "222222222222", "DataSetId": "a", "Schedule": schedule}
    assert faults(api, "CreateRefreshSchedule", request) != []


@pytest.mark.parametrize("dashboard", DEFINITIONS)
def test_a_definition_names_only_what_is_there(dashboard):
    made = DEFINITIONS[dashboard]
    there = {
        (each["Identifier"], column)
        for each in made["DataSetIdentifierDeclarations"]
        for column in SPICES[each["Identifier"]].columns
    }
    for field in made["CalculatedFields"]:
        for column in re.findall(r"\{([^}]+)\}", field["Expression"]):
            assert (field["DataSetIdentifier"], column) in there, field
    there |= {(each["DataSetIdentifier"], each["Name"]) for each in made["CalculatedFields"]}
    named = list(_columns(made))
    assert named
    assert {each for each in named if each not in there} == set()
    [sheet] = made["Sheets"]
    filters = {each["Filters"][0][kind]["FilterId"] for each in made["FilterGroups"] for kind in each["Filters"][0]}
    assert {control[kind]["SourceFilterId"] for control in sheet["FilterControls"] for kind in control} == filters
    fields = [field for visual in sheet["Visuals"] for field in _values(visual, "FieldId")]
    assert len(set(fields)) == len(fields)


def _columns(made):
    if isinstance(made, dict):
        if "DataSetIdentifier" in made and "ColumnName" in made:
            yield made["DataSetIdentifier"], made["ColumnName"]
        for part in made.values():
            yield from _columns(part)
    elif isinstance(made, list):
        for part in made:
            yield from _columns(part)


def _values(made, name):
    if isinstance(made, dict):
        if name in made:
            yield made[name]
        for part in made.values():
            yield from _values(part, name)
    elif isinstance(made, list):
        for part in made:
            yield from _values(part, name)


@pytest.mark.parametrize("dashboard", DEFINITIONS)
def test_every_visual_has_a_place_of_its_own(dashboard):
    [sheet] = DEFINITIONS[dashboard]["Sheets"]
    placed = sheet["Layouts"][0]["Configuration"]["GridLayout"]["Elements"]
    ids = [each["VisualId"] for visual in sheet["Visuals"] for each in visual.values()]
    assert [each["ElementId"] for each in placed] == ids
    cells = set()
    for each in placed:
        own = {
            (row, column)
            for row in range(each["RowIndex"], each["RowIndex"] + each["RowSpan"])
            for column in range(each["ColumnIndex"], each["ColumnIndex"] + each["ColumnSpan"])
        }
        assert not own & cells, each
        assert max(column for _, column in own) < 36
        cells |= own


POST = {
    # visual: (kind, arrangement, group, colour or column, values), as the two tables of the post list them
    "time-per-worker": ("BarChartVisual", "VERTICAL STACKED", ["worker"], ["modality"], ["seconds"]),
    "time-per-modality": ("BarChartVisual", "HORIZONTAL CLUSTERED", ["modality"], [], ["seconds"]),
    "worker-metrics": ("TableVisual", "", ["worker"], [], ["seconds", "frames", "maximum", "minimum", "mean"]),
    "vehicle-type": ("PieChartVisual", "WHOLE", ["label_attribute_vehicle_type"], [], ["labels"]),
    "label-quality": ("PieChartVisual", "MEDIUM", ["label_attribute_audit"], [], ["labels"]),
    "frame-quality": ("PieChartVisual", "MEDIUM", ["frame_attribute_quality_of_the_frame"], [], ["frames"]),
    "moving": ("PieChartVisual", "MEDIUM", ["label_attribute_moving"], [], ["labels"]),
    "vehicles-per-frame": (
        "BarChartVisual",
        "HORIZONTAL CLUSTERED",
        ["frame_attribute_number_of_vehicles"],
        [],
        ["frames"],
    ),
    "frame-quality-per-job": (
        "PivotTableVisual",
        "",
        ["job"],
        ["frame_attribute_quality_of_the_frame"],
        ["frames"],
    ),
    "label-quality-per-job": ("PivotTableVisual", "", ["job"], ["label_attribute_audit"], ["labels"]),
}


@pytest.mark.parametrize("visual_id", POST)
def test_the_posts_visuals_are_there_exactly(visual_id):
    kind, arrangement, groups, colours, values = POST[visual_id]
    made = next(
        visual
        for each in DEFINITIONS.values()
        for visual in each["Sheets"][0]["Visuals"]
        if visual_id in {inner["VisualId"] for inner in visual.values()}
    )
    assert list(made) == [kind]
    chart = made[kind]["ChartConfiguration"]
    told = [chart[each] for each in ("Orientation", "BarsArrangement") if each in chart]
    told += _values(chart, "ArcThickness")
    assert " ".join(told) == arrangement
    [wells] = chart["FieldWells"].values()
    grouped = [column for well in ("Category", "Rows", "GroupBy") for _, column in _columns(wells.get(well, []))]
    coloured = [column for well in ("Colors", "Columns") for _, column in _columns(wells.get(well, []))]
    measured = [column.removeprefix("measure ") for _, column in _columns(wells["Values"])]
    assert (grouped, coloured) == (groups, colours)
    assert set(values) <= set(measured)


def test_hours_stay_hours():
    [line] = [
        visual["LineChartVisual"]
        for visual in DEFINITIONS["cost"]["Sheets"][0]["Visuals"]
        if visual.get("LineChartVisual", {}).get("VisualId") == "throughput"
    ]
    [category] = line["ChartConfiguration"]["FieldWells"]["LineChartAggregatedFieldWells"]["Category"]
    assert category["DateDimensionField"]["DateGranularity"] == "HOUR"


@pytest.fixture(scope="module")
def athena():
    lake = LakeAthena(truth())
    yield lake
    lake.close()


def calculated(expression):
    """QuickSight's expression as Athena SQL; its numbers are decimals wherever it computes."""
    sql = re.sub(r"\b(sum|count|avg)\(\{([^}]+)\}\)", r'CAST(\1("\2") AS double)', expression)
    sql = re.sub(r"distinct_count\(\{([^}]+)\}\)", r'CAST(count(DISTINCT "\1") AS double)', sql)
    sql = re.sub(r"\{([^}]+)\}", r'"\1"', sql)
    sql = re.sub(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)\^\(([^()]*)\)", r"power(\1, \2)", sql)
    assert "^" not in sql
    return sqlglot.transpile(sql.replace("ifelse(", "IF("), write="athena")[0]


@pytest.mark.parametrize(("dashboard", "visual"), SHOWN, ids=[f"{a.id}-{b.id}" for a, b in SHOWN])
def test_quicksight_computes_the_numbers_of_the_console(athena, dashboard, visual):
    compare(athena, dashboard, visual, Filters())


def compare(athena, dashboard, visual, filters, *conditions):
    """The page's numbers under filters, and QuickSight's of the rows that meet the conditions. Returns the page's."""
    wanted = query(SPECIFICATION, dashboard.id, visual.id, filters)
    page = run(athena, LAKE, wanted, fresh=True)
    dataset = SPECIFICATION.datasets[visual.dataset]
    held = SPICES[visual.dataset]
    groups = [each for each in (*visual.rows, visual.columns) if each]
    shown = measures_of(visual, dataset)
    columns = [f'"{column_of(each)}" AS g{n}' for n, each in enumerate(groups)]
    columns += [f'{calculated(held.measures[each])} AS "{each}"' for each in shown]
    grouping = f" GROUP BY {', '.join(str(n + 1) for n in range(len(groups)))}" if groups else ""
    where = f" WHERE {' AND '.join(f'({each})' for each in conditions)}" if conditions else ""
    sql = f"SELECT {', '.join(columns)} FROM ({in_database(held.sql, DATABASE)}) spice{where}{grouping}"
    mine = run(athena, LAKE, wanted._replace(sql=sql, parameters=()), fresh=True)
    names = [each.name for each in page.columns]
    at = [*range(len(groups)), *(names.index(each) for each in shown)]
    theirs = {tuple(map(str, row[: len(groups)])): [row[n] for n in at[len(groups) :]] for row in page.rows}
    assert theirs or not page.rows
    ours = {tuple(map(str, row[: len(groups)])): row[len(groups) :] for row in mine.rows}
    assert ours.keys() == theirs.keys()
    for group, values in theirs.items():
        for name, one, other in zip(shown, values, ours[group], strict=True):
            assert same(one, other), (visual.id, group, name, one, other)
    return theirs


def condition(group, dataset, chosen):
    """What a filter group lets through of a data set once these values are chosen in its control; None: everything."""
    [made] = group["Filters"]
    [(kind, told)] = made.items()
    column = told["Column"]["ColumnName"]
    reached = {"ALL_DATASETS": dataset, "SINGLE_DATASET": told["Column"]["DataSetIdentifier"]}[group["CrossDataset"]]
    assert group["Status"] == "ENABLED"
    if reached != dataset or column not in SPICES[dataset].columns:
        return None
    if kind == "TimeRangeFilter":
        empty = {"ALL_VALUES": "OR {0} IS NULL", "NON_NULLS_ONLY": "", "NULLS_ONLY": "AND {0} IS NULL"}
        return f"\"{column}\" BETWEEN DATE '{chosen}' AND DATE '{chosen}' {empty[told['NullOption']].format(column)}"
    listed = told["Configuration"]["FilterListConfiguration"]
    assert listed["SelectAllOptions"] == "FILTER_ALL_VALUES"
    operator = {"CONTAINS": "IN", "DOES_NOT_CONTAIN": "NOT IN"}[listed["MatchOperator"]]
    return f"\"{column}\" {operator} ('{chosen}')"


CHOSEN = {
    "job": HARBOUR,
    "modality": "Image",
    "level": "first",
    "label": "car",
    "worker": "ada",
    "auditor": "nobody",
    "change": "moved",
    "issue": "gap",
    "finding": "missing_label",
    "day": MARCH,
}
SAME_EVERYWHERE = {"cost": {"day"}, "tracks": {"level", "worker"}}
"""Filters whose chosen value all rows of a dashboard's data sets have."""


@pytest.mark.parametrize("dashboard", SPECIFICATION.dashboards, ids=lambda each: each.id)
def test_a_filter_gives_the_numbers_of_the_console(athena, dashboard):
    """Every filter but those of attributes, on the first visual of every data set that the page filters by it."""
    groups = {
        told["Column"]["ColumnName"]: group
        for group in DEFINITIONS[dashboard.id]["FilterGroups"]
        for told in group["Filters"][0].values()
    }
    tried, narrowed = set(), set()
    for name, group in groups.items():
        if name not in CHOSEN:
            continue
        chosen = CHOSEN[name]
        filters = Filters(since=chosen, until=chosen) if name == "day" else Filters(**{name: (chosen,)})
        seen = set()
        for visual in dashboard.visuals:
            if (
                visual.type == "options"
                or visual.dataset in seen
                or query(SPECIFICATION, dashboard.id, visual.id, filters).not_applied
            ):
                continue
            kept = condition(group, visual.dataset, chosen)
            assert kept, (visual.id, name)
            seen.add(visual.dataset)
            tried.add(name)
            if compare(athena, dashboard, visual, filters, kept) != compare(athena, dashboard, visual, Filters()):
                narrowed.add(name)
    assert tried == groups.keys() & CHOSEN.keys()
    assert narrowed >= tried - SAME_EVERYWHERE.get(dashboard.id, set())


def test_the_filters_of_a_sheet_say_what_they_do():
    made = {each["FilterGroupId"]: each for each in DEFINITIONS["workers"]["FilterGroups"]}
    sheet = {"SheetId": "workers-sheet", "Scope": "ALL_VISUALS"}
    every = {
        "CrossDataset": "ALL_DATASETS",
        "Status": "ENABLED",
        "ScopeConfiguration": {"SelectedSheets": {"SheetVisualScopingConfigurations": [sheet]}},
    }
    column = {"DataSetIdentifier": "work"}
    assert made["workers-day-group"] == every | {
        "FilterGroupId": "workers-day-group",
        "Filters": [
            {
                "TimeRangeFilter": {
                    "FilterId": "workers-day",
                    "Column": column | {"ColumnName": "day"},
                    "NullOption": "NON_NULLS_ONLY",
                    "TimeGranularity": "DAY",
                }
            }
        ],
    }
    assert made["workers-worker-group"] == every | {
        "FilterGroupId": "workers-worker-group",
        "Filters": [
            {
                "CategoryFilter": {
                    "FilterId": "workers-worker",
                    "Column": column | {"ColumnName": "worker"},
                    "Configuration": {
                        "FilterListConfiguration": {
                            "MatchOperator": "CONTAINS",
                            "SelectAllOptions": "FILTER_ALL_VALUES",
                        }
                    },
                }
            }
        ],
    }


@pytest.mark.parametrize(("dashboard", "visual"), SHOWN, ids=[f"{a.id}-{b.id}" for a, b in SHOWN])
def test_no_chart_hides_a_field_behind_a_drill_down(dashboard, visual):
    """QuickSight shows the first field of an axis only; tables and pivots show all."""
    [made] = [
        each
        for each in DEFINITIONS[dashboard.id]["Sheets"][0]["Visuals"]
        if next(iter(each.values()))["VisualId"] == visual.id
    ]
    [(kind, told)] = made.items()
    if kind == "KPIVisual":
        return
    [wells] = told["ChartConfiguration"]["FieldWells"].values()
    dimensions = {name: [column for _, column in _columns(part)] for name, part in wells.items() if name != "Values"}
    shown = [each for columns in dimensions.values() for each in columns]
    assert shown == [column_of(each) for each in (*visual.rows, visual.columns) if each]
    if kind not in ("TableVisual", "PivotTableVisual"):
        assert all(len(columns) <= 1 for columns in dimensions.values())


def same(one, other):
    if one is None or other is None:
        return one is other
    try:
        return math.isclose(float(one), float(other), rel_tol=1e-9)
    except ValueError:
        return str(one)[:10] == str(other)[:10]


@pytest.mark.parametrize(
    "sql", ["approx_percentile(seconds, 0.5)", "max_by(job_name, seconds)", "sum(sum(x)) OVER ()", "array_agg(x)"]
)
def test_a_measure_that_quicksight_cannot_say_is_refused_by_name(sql):
    dataset = SPECIFICATION.datasets["labels"].model_copy(update={"measures": {"odd": Measure(title="Odd", sql=sql)}})
    with pytest.raises(UntranslatableError, match="data set labels, measure odd"):
        spice("labels", dataset, [], ["odd"])


def test_an_interval_is_an_expression_of_quicksights_own():
    lower, upper = wilson_sql("sum(annotation_count) FILTER (WHERE label = 'a')", "sum(annotation_count)")
    dataset = SPECIFICATION.datasets["labels"].model_copy(
        update={"measures": {"lower": Measure(title="l", sql=lower), "upper": Measure(title="u", sql=upper)}}
    )
    held = spice("labels", dataset, [], ["lower", "upper"])
    assert held.measures["lower"].startswith("ifelse(")
    assert not re.search(r"CASE|CAST|greatest|least|FILTER", " ".join(held.measures.values()))


def test_a_count_of_nothing_is_zero():
    counts = {"hits": "count_if(label = 'a' OR label = 'b') FILTER (WHERE level = 1)", "all": "count(*)"}
    dataset = SPECIFICATION.datasets["labels"].model_copy(
        update={"measures": {name: Measure(title=name, sql=sql) for name, sql in counts.items()}, "filters": {}}
    )
    held = spice("labels", dataset, [], counts)
    assert held.measures == {"hits": "coalesce(sum({hits_1}), 0)", "all": "coalesce(sum({all_1}), 0)"}
    assert "CASE WHEN (label = 'a' OR label = 'b') AND level = 1 THEN 1 ELSE 0 END" in held.sql


def test_a_condition_becomes_a_column_and_no_filter():
    dataset = SPECIFICATION.datasets["labels"].model_copy(
        update={
            "measures": {
                "share": Measure(
                    title="s", sql="sum(annotation_count) FILTER (WHERE label = 'a') / sum(annotation_count)"
                )
            },
            "dimensions": {"job": Dimension(title="Job", sql="job_name")},
        }
    )
    held = spice("labels", dataset, ["job"], ["share"])
    assert held.measures == {"share": "sum({share_1}) / sum({share_2})"}
    assert "CASE WHEN label = 'a' THEN annotation_count END" in held.sql
    assert "WHERE" not in held.sql
