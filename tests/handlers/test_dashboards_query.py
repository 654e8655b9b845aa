"""Queries: identifiers come from the specification, values travel as execution parameters, numbers equal the truth."""

import datetime as dt
import re
from collections import Counter

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from sextant.labeling.dashboards.athena import Lake, run
from sextant.labeling.dashboards.model import Dashboard, Filters, Specification, Value, Visual
from sextant.labeling.dashboards.query import UnknownReportError, literal, query
from sextant.labeling.dashboards.spec import SPECIFICATION
from sextant.labeling.dashboards.spec.workers import WORK
from sextant.labeling.insight.intervals import wilson
from tests.handlers.lake import AUDIT_JOBS, DATABASE, JOBS, TRACKING, WORKGROUP, LakeAthena, truth

VISUALS = [(each.id, visual.id) for each in SPECIFICATION.dashboards for visual in each.visuals]
LAKE = Lake(DATABASE=DATABASE, WORKGROUP=WORKGROUP)

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
hostile = st.sampled_from(["'", "''; DROP TABLE job; --", "a' OR '1'='1", "?", "{values}", "{name}", '"', "\\'", "';"])
values = st.lists(text | hostile, min_size=1, max_size=3).map(tuple)
attributes = st.dictionaries(text | hostile, values, max_size=2)
LISTS = [name for name, field in Filters.model_fields.items() if field.annotation == tuple[Value, ...]]
filters = st.builds(
    Filters,
    **{name: values | st.just(()) for name in LISTS},
    frame_no=st.lists(st.integers(0, 2**31 - 1), max_size=3).map(tuple),
    since=st.none() | st.dates(max_value=dt.date(2020, 1, 1)),
    until=st.none() | st.dates(min_value=dt.date(2020, 1, 2)),
    label_attribute=attributes,
    frame_attribute=attributes,
)


@given(filters, st.sampled_from(VISUALS))
def test_no_user_text_reaches_the_sql(chosen, names):
    built = query(SPECIFICATION, *names, chosen)

    # The same choice with every value replaced by another one: the text may depend on how many there are, only.
    def other(found):
        return tuple(f"v{i}" for i in range(len(found)))

    neutral = chosen.model_copy(
        update={
            **{name: other(getattr(chosen, name)) for name in LISTS},
            "frame_no": tuple(range(len(chosen.frame_no))),
            "since": chosen.since and dt.date(2001, 2, 3),
            "until": chosen.until and dt.date(2021, 2, 3),
            **{
                name: {f"a{i}": other(found) for i, found in enumerate(getattr(chosen, name).values())}
                for name in ("label_attribute", "frame_attribute")
            },
        }
    )
    assert query(SPECIFICATION, *names, neutral).sql == built.sql
    assert built.sql.count("?") == len(built.parameters)
    assert all(len(each) <= 1024 for each in built.parameters)


@given(text | hostile)
def test_a_text_parameter_is_one_string_literal_and_nothing_else(value):
    parsed = sqlglot.parse_one(f"SELECT {literal(value)}", read="trino").expressions
    assert [type(each).__name__ for each in parsed] == ["Literal"]
    assert parsed[0].this == value
    assert parsed[0].is_string


@given(st.dates())
def test_a_day_parameter_is_a_date_literal(value):
    assert sqlglot.parse_one(literal(value), read="trino").find(sqlglot.exp.Literal).this == value.isoformat()


@pytest.mark.parametrize(("dashboard", "visual"), VISUALS)
def test_every_column_of_an_answer_has_its_own_name(dashboard, visual):
    sql = query(SPECIFICATION, dashboard, visual, Filters()).sql
    names = re.findall(r'AS "([a-z0-9_]+)"', sql)
    assert len(names) == len(set(names)) > 0


@pytest.fixture(scope="module")
def facts():
    return truth()


@pytest.fixture(scope="module")
def ask(facts):
    athena = LakeAthena(facts, page_size=3)

    def asked(dashboard, visual, **chosen):
        return run(athena, LAKE, query(SPECIFICATION, dashboard, visual, Filters(**chosen)))

    yield asked
    athena.close()


@pytest.mark.parametrize(
    ("dashboard", "visual", "cut"),
    [("cost", "throughput", 1), ("workers", "answers-per-day", 4)],
)
def test_a_long_series_loses_its_oldest_end(ask, monkeypatch, dashboard, visual, cut):
    whole = ask(dashboard, visual)
    assert [row[0] for row in whole.rows] == sorted(row[0] for row in whole.rows)
    assert not whole.truncated
    shown = SPECIFICATION.dashboard(dashboard).visual(visual)
    monkeypatch.setitem(shown.__dict__, "limit", len(whole.rows) - cut)
    newest = ask(dashboard, visual)
    assert newest.rows == whole.rows[cut:]
    assert newest.truncated


def test_vehicles_by_type_under_filters(facts, ask):
    job = '=harbour, "north"'
    expected = Counter(
        x["attributes"].get("vehicle_type")
        for x in facts.labels
        if x["job"] == job and x["attributes"].get("moving") == "yes"
    )
    answer = ask("annotations", "vehicle-type", job=(job,), label_attribute={"moving": ("yes",)})
    assert dict(answer.rows) == dict(expected)
    assert answer.not_applied == ()


def test_a_pie_keeps_the_whole_it_divides(facts, ask):
    whole = ask("annotations", "label-quality")
    filtered = ask("annotations", "label-quality", label_attribute={"audit": ("pass",)})
    assert filtered.rows == whole.rows
    assert filtered.not_applied == ("label_attribute.audit",)
    assert dict(whole.rows) == Counter(x["attributes"].get("audit") for x in facts.labels)


def test_the_audit_share_is_of_audited_labels_and_ignores_its_own_filter(facts, ask):
    audited = [x["attributes"]["audit"] for x in facts.labels if "audit" in x["attributes"]]
    for chosen in ({}, {"label_attribute": {"audit": ("pass",)}}):
        ((share, lower, upper, n),) = ask("annotations", "audit-share", **chosen).rows
        assert (share, n) == (audited.count("pass") / len(audited), len(audited))
        assert (lower, upper) == pytest.approx(tuple(map(float, wilson(audited.count("pass"), len(audited)))))


def test_a_share_of_nothing_is_unknown_not_zero(ask):
    assert ask("annotations", "audit-share", modality=(TRACKING,)).rows == ((None, None, None, None),)


def test_a_filter_a_report_does_not_know_is_told(ask):
    answer = ask("annotations", "frames", label_attribute={"moving": ("yes",)}, label=("vehicle",), worker=("ada",))
    assert answer.not_applied == ("label", "worker", "label_attribute.moving")


def test_time_is_summed_over_timed_answers_and_others_are_unknown(facts, ask):
    answer = ask("workers", "worker-metrics")
    rows = {row[0]: dict(zip([c.name for c in answer.columns], row, strict=True)) for row in answer.rows}
    for worker in {x["worker"] for x in facts.answers}:
        mine = [x for x in facts.answers if x["worker"] == worker]
        times = [x["seconds"] for x in mine if x["seconds"] is not None]
        row = rows[worker]
        assert (row["answers"], row["frames"], row["timed"]) == (len(mine), sum(x["frames"] for x in mine), len(times))
        if times:
            assert row["seconds"] == pytest.approx(sum(times))
            assert row["mean"] == pytest.approx(sum(times) / len(times))
            assert (row["minimum"], row["maximum"]) == (min(times), max(times))
        else:
            assert [row[name] for name in ("seconds", "mean", "minimum", "maximum")] == [None] * 4


def test_level_dates_and_histogram(facts, ask):
    since, until = dt.date(2026, 3, 4), dt.date(2026, 3, 7)
    expected = Counter(x["labels"] for x in facts.frames if JOBS[x["job"]][1] == "first" and since <= x["day"] <= until)
    answer = ask("annotations", "labels-per-frame", level=("first",), since=since, until=until)
    assert dict(answer.rows) == dict(expected)
    assert [row[0] for row in answer.rows] == sorted(expected)


def test_maximum_number_of_vehicles_is_numeric(facts, ask):
    numbers = [int(x["attributes"]["number_of_vehicles"]) for x in facts.frames if x["attributes"]]
    assert max(numbers) >= 10, "the text order would give another answer"
    assert ask("annotations", "most-vehicles").rows == ((max(numbers), len(numbers)),)


def test_pivot_audits_tasks_and_labels_per_day(facts, ask):
    rows = ask("annotations", "frame-quality-per-job").rows
    assert {(j, q): n for j, q, n in rows} == Counter(
        (x["job"], x["attributes"].get("quality_of_the_frame")) for x in facts.frames
    )
    audits = ask("annotations", "audit-per-label").rows
    assert {(label, v): n for label, v, n in audits} == Counter(
        (x["label"], x["attributes"]["audit"]) for x in facts.labels if "audit" in x["attributes"]
    )
    assert ask("annotations", "tasks").rows == (
        (len(facts.tasks), sum(x["audited"] for x in facts.tasks), sum(x["adjusted"] for x in facts.tasks)),
    )
    days = ask("annotations", "labels-per-day", modality=(AUDIT_JOBS,)).rows
    assert {d: n for d, _, n in days} == Counter(
        x["day"].isoformat() for x in facts.labels if x["modality"] == AUDIT_JOBS
    )


def test_options_stay_whatever_is_chosen(ask):
    assert (
        ask("annotations", "options-job", job=("nowhere",), since=dt.date(2030, 1, 1)).rows
        == ask("annotations", "options-job").rows
    )


def test_a_cut_answer_says_so(ask, facts):
    answer = ask("workers", "worker-metrics")
    assert not answer.truncated
    visual = Visual(
        id="few", type="table", title="Few", dataset="work", rows=("worker",), measures=("answers",), limit=2
    )
    small = Specification(
        datasets={"work": WORK},
        dashboards=(Dashboard(id="d", title="D", description="", filters=(), visuals=(visual,)),),
    )
    athena = LakeAthena(facts)
    cut = run(athena, LAKE, query(small, "d", "few", Filters()))
    athena.close()
    assert cut.truncated
    assert (
        cut.rows
        == tuple(
            sorted(
                ((w, n) for w, n in Counter(x["worker"] for x in facts.answers).items()),
                key=lambda each: (-each[1], each[0]),
            )
        )[:2]
    )


@pytest.mark.parametrize(
    ("dashboard", "visual", "named"), [("nope", "labels", "annotations"), ("workers", "labels", "team")]
)
def test_unknown_names_say_what_there_is(dashboard, visual, named):
    with pytest.raises(UnknownReportError, match=named):
        query(SPECIFICATION, dashboard, visual, Filters())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": "nope"}, "no data set nope"),
        ({"rows": ("wages",)}, "no dimension wages"),
        ({"rows": ("label_attribute.audit",)}, "no dimension label_attribute.audit"),
        ({"columns": "wages"}, "no dimension wages"),
        ({"measures": ("wages",)}, "no measure wages"),
    ],
)
def test_a_specification_that_leads_nowhere_is_refused(change, reason):
    visual = {
        "id": "v",
        "type": "table",
        "title": "V",
        "dataset": "work",
        "rows": ("worker",),
        "measures": ("answers",),
        **change,
    }
    dashboard = {"id": "d", "title": "D", "description": "", "filters": (), "visuals": (visual,)}
    with pytest.raises(ValueError, match=reason):
        Specification(datasets={"work": WORK}, dashboards=(Dashboard.model_validate(dashboard),))
