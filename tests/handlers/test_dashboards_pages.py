"""Every report's SQL on the Athena engine, over rows that can be added up by hand (`tests.handlers.insight`)."""

import datetime as dt
from collections import Counter

import pytest

from sextant.labeling.dashboards.athena import Lake, run
from sextant.labeling.dashboards.model import Filters, Specification
from sextant.labeling.dashboards.query import query
from sextant.labeling.dashboards.spec import SPECIFICATION
from sextant.labeling.insight.intervals import p_chart, wilson
from tests.handlers import lake
from tests.handlers.insight import AUDIT, FIRST, HARBOUR, MARCH
from tests.handlers.lake import DATABASE, WORKGROUP, LakeAthena, truth

LAKE = Lake(DATABASE=DATABASE, WORKGROUP=WORKGROUP)
EVERYTHING = Filters(
    batch=("street",),
    job=(FIRST, AUDIT),
    modality=("VideoObjectTracking", "VideoObjectTrackingAudit"),
    level=("first", "second"),
    label=("vehicle",),
    worker=("ada", "grace"),
    auditor=("grace",),
    change=("moved", "removed"),
    issue=("jump",),
    finding=("outside_image",),
    since="2026-03-01",
    until="2026-04-01",
    label_attribute={"moving": ("yes",)},
    frame_attribute={"quality_of_the_frame": ("good",)},
    object_id=("0",),
    instance_id=("id-1",),
    frame_no=(1,),
)


@pytest.fixture(scope="module")
def ask():
    athena = LakeAthena(truth())

    def asked(dashboard, visual, **chosen):
        """Rows as dicts by column."""
        answer = run(athena, LAKE, query(SPECIFICATION, dashboard, visual, Filters(**chosen)))
        return [dict(zip([each.name for each in answer.columns], row, strict=True)) for row in answer.rows]

    asked.athena = athena
    yield asked
    athena.close()


VISUALS = [(each, visual) for each in SPECIFICATION.dashboards for visual in each.visuals]


@pytest.mark.parametrize(("dashboard", "visual"), VISUALS, ids=[f"{d.id}-{v.id}" for d, v in VISUALS])
def test_every_report_is_answered_with_and_without_every_filter(ask, dashboard, visual):
    rows = ask(dashboard.id, visual.id)
    assert rows, "the lake has a row for every report"
    dataset = SPECIFICATION.datasets[visual.dataset]
    for name in visual.measures:
        assert {name, *dataset.measures[name].companions} <= set(rows[0])
    assert any(row[visual.measures[0]] is not None for row in rows)
    answer = run(ask.athena, LAKE, query(SPECIFICATION, dashboard.id, visual.id, EVERYTHING))
    assert set(answer.not_applied) >= {
        each for each in ("auditor", "change", "issue", "finding") if each not in dataset.filters
    } - ({"auditor", "change", "issue", "finding"} if visual.type == "options" else set())


def bounds(hits, n):
    return pytest.approx(tuple(map(float, wilson(hits, n))))


def test_first_pass_yield_with_wilsons_interval(ask):
    (row,) = ask("overview", "first-pass")
    assert (row["first_pass_yield"], row["seen"], row["accepted"]) == (130 / 150, 150, 130)
    assert (row["first_pass_yield_lower"], row["first_pass_yield_upper"]) == bounds(130, 150)
    (row,) = ask("audits", "first-pass", worker=("katherine",))
    assert row["first_pass_yield"] == 1
    assert (row["first_pass_yield_lower"], row["first_pass_yield_upper"]) == bounds(50, 50)
    assert ask("audits", "first-pass", worker=("nobody",))[0]["first_pass_yield"] is None


def test_pass_rates_by_worker_and_by_attribute(ask):
    rows = {row["worker"]: row for row in ask("audits", "pass-rate-per-worker")}
    assert (rows["ada"]["pass_rate"], rows["ada"]["audited"]) == (0.86, 100)
    assert (rows["ada"]["pass_rate_lower"], rows["ada"]["pass_rate_upper"]) == bounds(86, 100)
    assert rows["grace"]["pass_rate"] == 1
    values = {(row["attribute"], row["value"]): row["pass_rate"] for row in ask("audits", "pass-rate-per-attribute")}
    assert values == {("moving", "yes"): 1.0, ("moving", "no"): 0.8}
    assert [ask("audits", "pass-rate")[0][name] for name in ("audited", "passed", "failed")] == [110, 96, 14]
    assert ask("audits", "self-audits")[0] == {"self_audited": 10, "audited": 110}


def test_a_control_chart_has_the_limits_of_each_days_own_n(ask):
    rows = ask("audits", "pass-rate-control")
    chart = p_chart([86, 10], [90, 20])
    assert [row["day"] for row in rows] == ["2026-03-02", "2026-03-03"]
    assert [row["pass_rate"] for row in rows] == pytest.approx(list(chart.share))
    assert [row["centre"] for row in rows] == pytest.approx([96 / 110] * 2)
    assert [row["lower_limit"] for row in rows] == pytest.approx(list(chart.lower))
    assert [row["upper_limit"] for row in rows] == pytest.approx(list(chart.upper))
    assert rows[1]["pass_rate"] < rows[1]["lower_limit"], "the bad day is a signal"
    # Limits are those of what is shown: under a filter the days are held against their own mean.
    (row,) = ask("audits", "pass-rate-control", since="2026-03-03")
    assert row["centre"] == row["pass_rate"] == 0.5


def test_auditors_are_weighed_by_what_they_audited(ask):
    rows = {row["modality"]: row for row in ask("audits", "auditors")}
    row = rows["VideoObjectTrackingAudit"]
    assert (row["pass_rate"], row["expected"], row["deviation"], row["self_audited"]) == (0.9, 0.8, 2.5, 5)
    # Beside what others pass stands what this one passes of the same: 57 of 60.
    assert (row["compared_rate"], row["compared"]) == (57 / 60, 60)
    assert (row["compared_rate_lower"], row["compared_rate_upper"]) == bounds(57, 60)
    assert (row["double_agreement"], row["double"]) == (0.9, 20)
    assert (row["double_agreement_lower"], row["double_agreement_upper"]) == bounds(18, 20)
    assert rows["VideoObjectTracking"]["expected"] is None


def test_changes_overlaps_and_rework(ask):
    assert {row["change"]: row["labels"] for row in ask("audits", "changes")} == {
        "unchanged": 70, "moved": 10, "removed": 3, "relabelled": 2,
    }  # fmt: skip
    assert {(row["overlap"], row["change"]): row["labels"] for row in ask("audits", "overlap")} == {
        ("0.9", "unchanged"): 70, ("0.9", "moved"): 6, ("0.3", "moved"): 4,
    }  # fmt: skip
    (row,) = ask("audits", "tasks-changed")
    assert (row["changed_share"], row["tasks"], row["rework"]) == (0.5, 2, 100.0)
    (row,) = ask("audits", "rework-per-job")
    assert (row["moved"], row["removed"], row["unchanged"], row["overlap"]) == (10, 3, 70, 0.9)


def test_agreement_of_several_jobs_is_never_one_number(ask):
    rows = {(row["job"], row["metric"]): row for row in ask("workers", "agreement-per-job")}
    assert rows[FIRST, "Krippendorff alpha"]["agreement"] == 0.8
    assert rows[HARBOUR, "Krippendorff alpha"]["agreement_upper"] == pytest.approx(0.3)
    assert rows[FIRST, "IoU F1"]["objects"] == 40
    assert not any(metric == "HOTA" for _, metric in rows), "a level agrees with what it started from"
    assert [(row["metric"], row["agreement"]) for row in ask("audits", "level-agreement")] == [("HOTA", 0.95)]
    pairs = {(row["worker"], row["other_worker"]): row for row in ask("workers", "agreement-pairs")}
    assert pairs["ada", "grace"]["mean"] == pairs["grace", "ada"]["mean"] == (0.9 * 30 + 0.3 * 10) / 40
    assert len(pairs) == 4
    (row,) = ask("workers", "agreement-pairs", worker=("katherine",))
    assert (row["other_worker"], row["mean"], row["pairs"]) == ("ada", 0.5, 20)


def test_worker_quality_confusion_pace_and_flags(ask):
    rows = {(row["worker"], row["method"]): row for row in ask("workers", "accuracy")}
    assert rows["ada", "gold labels"]["accuracy"] == 0.9
    assert (rows["grace", "Dawid-Skene (no gold)"]["accuracy_lower"], rows["ada", "gold labels"]["answers"]) == (
        pytest.approx(0.65),
        50,
    )
    cells = {(row["method"], row["right"], row["given"]): row["answers"] for row in ask("workers", "confusion")}
    assert cells["Dawid-Skene (no gold)", "car", "van"] == 3.5
    assert cells["gold labels", "car", "car"] == 20
    points = {row["worker"]: row for row in ask("workers", "pace-and-quality")}
    ada = points["ada"]
    assert (ada["seconds_per_label"], ada["seconds_per_label_lower"], ada["seconds_per_label_upper"]) == (12, 11, 13)
    assert (ada["quality"], ada["quality_lower"], ada["judged"]) == (0.86, pytest.approx(0.76), 40)
    assert (ada["efficient"], points["katherine"]["efficient"]) == ("nobody is faster and better", "somebody is")
    assert ask("overview", "flags") == [{"flagged": 2, "workers": 2}]
    assert {(row["worker"], row["flag"]): row["flags"] for row in ask("workers", "flags")} == {
        ("ada", "rush"): 1, ("ada", "straight_lining"): 1, ("katherine", "idle"): 1,
    }  # fmt: skip
    assert ask("workers", "flag-list")[0]["submitted"] == "2026-03-02T12:00:00.000Z"
    assert [row["item"] for row in ask("workers", "drift")] == ["grace", "ada"], "what drifted most comes first"
    assert [row["object"] for row in ask("workers", "doubtful")] == ["1", "0"]
    assert ask("workers", "job-quality")[0]["cases"] == 302


def test_tracks_findings_and_what_a_directed_audit_spares(ask):
    (row,) = ask("tracks", "tracks")
    assert (row["tracks"], row["clean"], row["frames"]) == (3, 1, 41)
    (row,) = ask("tracks", "overlap")
    assert (row["mean_overlap"], row["steps"]) == (pytest.approx((0.9 * 29 + 0.7 * 9) / 38), 38)
    assert row["least_overlap"] == 0.05
    assert {row["issue"]: row["findings"] for row in ask("tracks", "issue-kinds")} == {"jump": 2, "gap": 1}
    assert ask("tracks", "issues", issue=("jump",))[0] == {"findings": 2, "tracks": 2}
    first = ask("tracks", "track-list")[0]
    assert (first["name"], first["findings"], first["jump"], first["gap"]) == ("Vehicle:1", 2, 1, 1)
    # Three sequences of 300 frames each; one has windows of 20 frames, of the others nobody has to see any.
    (row,) = ask("tracks", "saved")
    assert (row["frames"], row["to_see"], row["windows"]) == (900, 20, 2)
    assert row["saved_share"] == 880 / 900
    rows = {row["object"]: row for row in ask("tracks", "directed-audits")}
    assert rows["0"]["manifest"] == "audits/street-first-vehicles.manifest"
    assert (rows["1"]["to_see"], rows["1"]["saved_share"], rows["1"]["manifest"]) == (0, 1, None)


def test_cost_budget_progress_and_forecast(ask):
    (row,) = ask("cost", "accepted-cost")
    assert (row["usd_per_label"], row["accepted"]) == (60 / 200, 200)
    (row,) = ask("cost", "accepted-cost", batch=("street",))
    assert row["usd_per_label"] == 0.5
    (row,) = ask("cost", "budget")
    assert (row["burned"], row["budgeted"]) == (50 / 200, 1)
    ends = {row["batch"]: row["exhausted_on"] for row in ask("cost", "batches")}
    assert ends["street"] == "2026-03-08"
    (row,) = ask("cost", "spent")
    assert (row["usd"], row["rework_usd"], row["prices_of"]) == (50, 12, "2026-10-01")
    (row,) = ask("cost", "spent", worker=("ada",))
    assert (row["usd"], row["rework_usd"]) == (30, None)
    (row,) = ask("cost", "eta", batch=("street",))
    assert (row["done_share"], row["tasks"], row["open"], row["unfinished"]) == (0.6, 20, 5, 1)
    assert (row["eta"], row["eta_lower"], row["eta_upper"]) == (
        "2026-03-02T20:00:00.000Z",
        "2026-03-02T18:00:00.000Z",
        "2026-03-03T18:00:00.000Z",
    )
    assert [(row["hour"], row["labels"]) for row in ask("cost", "throughput")] == [
        ("2026-03-02T12:00:00.000Z", 40),
        ("2026-03-02T13:00:00.000Z", 90),
    ]
    rows = {row["job"]: row for row in ask("cost", "forecast")}
    assert (rows[FIRST]["eta"], rows[AUDIT]["done_share"]) == (None, 0.2)
    assert {job: row["rate"] for job, row in rows.items()} == {FIRST: 2, AUDIT: 1, HARBOUR: 4}


def test_the_last_of_two_jobs_has_a_time_of_its_own(ask):
    """The largest of their medians would be 21:00: too early, for both have to be done."""
    for page in ("overview", "cost"):
        (row,) = ask(page, "eta")
        assert (row["eta"], row["eta_lower"], row["eta_upper"], row["unfinished"]) == (
            "2026-03-02T23:00:00.000Z", "2026-03-02T20:00:00.000Z", None, 2,
        )  # fmt: skip
    rows = {row["batch"]: row for row in ask("overview", "progress")}
    assert (rows["street"]["eta"], rows["harbour"]["eta"]) == ("2026-03-02T20:00:00.000Z", "2026-03-02T21:00:00.000Z")
    (row,) = ask("cost", "eta", job=(FIRST,))
    assert (row["eta"], row["unfinished"]) == (None, 0)


def forecast(job, batch, unfinished, eta):
    """A job and its forecast; `eta` are hours from midnight: its own, that of its batch's last job, that of all."""
    own, last, every = (each and dt.datetime(2026, 3, 2, each, tzinfo=dt.UTC) for each in eta)
    return {"job_name": job, "batch": batch, "modality": f"of {job}"}, {
        "job_name": job, "batch": batch, "in_progress_count": 0, "open_count": unfinished, "eta": own,
        "task_count": 10, "labeled_count": 10 - (unfinished or 0),
    }, {"batch": batch, "last_eta": last, "all_eta": every}  # fmt: skip


@pytest.fixture
def told(monkeypatch):
    """Asks when the last job is done, in a lake of these forecasts."""
    opened = []

    def asked(*rows):
        waiting = Counter(one["batch"] for _, one, _ in rows if one["open_count"])
        batches = {
            each["batch"]: each | {"unfinished_count": waiting[each["batch"]], "all_unfinished_count": waiting.total()}
            for _, _, each in rows
            if waiting[each["batch"]]
        }
        given = {"forecast": [each for _, each, _ in rows], "batch_forecast": list(batches.values())}
        monkeypatch.setattr(lake, "INSIGHTS", given)
        monkeypatch.setattr(lake, "_rows", lambda _: [("job", [each for each, _, _ in rows])])
        opened.append(athena := LakeAthena(truth()))

        def when(**chosen):
            answer = run(athena, LAKE, query(SPECIFICATION, "cost", "eta", Filters(**chosen)))
            row = dict(zip([each.name for each in answer.columns], answer.rows[0], strict=True))
            return row["eta"] and int(row["eta"][11:13]), row["unfinished"]

        return when

    yield asked
    for each in opened:
        each.close()


def test_a_time_is_told_of_what_was_simulated_together_and_of_nothing_else(told):
    when = told(
        forecast("a1", "a", 5, (10, 12, 18)),
        forecast("a2", "a", 5, (11, 12, 18)),
        forecast("a3", "a", 0, (None, 12, 18)),
        forecast("b1", "b", 5, (13, 15, 18)),
        forecast("b2", "b", 5, (14, 15, 18)),
        forecast("b3", "b", 5, (9, 15, 18)),
        forecast("c1", "c", 5, (16, 16, 18)),
    )
    assert when() == (18, 6)
    assert when(batch=("a",)) == (12, 2)
    assert when(batch=("a",), job=("a2", "a3")) == (11, 1)
    assert when(batch=("b",), job=("b1", "b2")) == (None, 2)
    assert when(batch=("a", "b")) == (None, 5)
    assert when(batch=("a", "b"), job=("a3", "b1", "b2", "b3")) == (15, 3), "a finished job of a changes nothing"
    assert when(job=("a1", "b1", "b2")) == (None, 3), "as many as b has, and not of b alone"


def test_an_unknown_end_of_one_job_is_no_end_of_the_others(told):
    when = told(forecast("a1", "a", 5, (None, None, None)), forecast("a2", "a", 5, (11, None, None)))
    assert when() == (None, 2)
    assert when(job=("a2",)) == (11, 1)


def test_spent_per_working_day_is_of_days_and_no_sum_of_rates(monkeypatch):
    cost = [
        {"job_name": job, "batch": job, "username": "ada", "spent_on": MARCH + dt.timedelta(days=day),
         "amount_usd": 100.0, "kind": "labor", "rework": False}
        for job, day in (("a", 0), ("b", 1))
    ]  # fmt: skip
    monkeypatch.setattr(lake, "INSIGHTS", {"cost": cost})
    athena = LakeAthena(truth())
    answer = run(athena, LAKE, query(SPECIFICATION, "cost", "spent", Filters()))
    row = dict(zip([each.name for each in answer.columns], answer.rows[0], strict=True))
    athena.close()
    assert (row["usd"], row["burn"], row["days"]) == (200, 100, 2)
    assert not any(
        "burn" in visual.measures and not visual.rows
        for dashboard in SPECIFICATION.dashboards
        for visual in dashboard.visuals
        if visual.dataset == "batches"
    ), "a batch's rate does not add up"


def test_what_needs_a_person(ask):
    assert ask("overview", "issues") == [{"findings": 3, "tracks": 2}]
    assert ask("overview", "findings") == [{"defects": 2, "errors": 1, "jobs": 1}]
    assert ask("overview", "rejected") == [{"sources": 1, "inputs": 1}]
    rows = ask("annotations", "finding-list")
    assert [(row["frame_no"], row["finding"]) for row in rows] == [(1, "outside_image"), (None, "missing_answer")]


def test_a_whole_is_not_cut_down_to_one_of_its_parts():
    """A pass rate, a yield or a share never follows a filter that picks one of its outcomes."""
    outcomes = {"label_attribute.audit", "change", "finding", "issue", "frame_attribute.quality_of_the_frame"}
    for dashboard in SPECIFICATION.dashboards:
        for visual in dashboard.visuals:
            dataset = SPECIFICATION.datasets[visual.dataset]
            if dataset.measures[visual.measures[0]].unit != "share":
                continue
            chosen = Filters(
                label_attribute={"audit": ("pass",)},
                frame_attribute={"quality_of_the_frame": ("good",)},
                change=("moved",),
                finding=("x",),
                issue=("jump",),
            )
            told = set(query(SPECIFICATION, dashboard.id, visual.id, chosen).not_applied)
            shared = {"pass_share": "label_attribute.audit", "good_share": "frame_attribute.quality_of_the_frame"}
            own = shared.get(visual.measures[0])
            assert (own in told) if own else (outcomes <= told), (dashboard.id, visual.id)


@pytest.mark.parametrize(
    ("where", "change", "reason"),
    [
        ("dimension", {"filter": "wages"}, "sets the filter wages"),
        ("dimension", {"filter": "day"}, "sets the filter since"),
        ("measure", {"n": "wages"}, "names a measure wages"),
        ("measure", {"lower": "labels", "upper": None}, "one bound of an interval"),
        ("filters", {"wages": "x IN ({values})"}, "there is no filter wages"),
        ("visual", {"type": "interval"}, "needs a measure with bounds"),
        ("visual", {"type": "control"}, "needs four measures"),
        ("visual", {"type": "scatter"}, "needs two measures"),
        ("visual", {"type": "heat"}, "needs columns"),
        ("visual", {"type": "kpi"}, "has no rows"),
        ("visual", {"type": "bar", "rows": []}, "needs rows"),
        ("visual", {"measures": []}, "shows no measure"),
        ("control", {"id": "wages"}, "there is no filter wages"),
    ],
)
def test_a_specification_that_leads_nowhere_is_refused(where, change, reason):
    parts = {
        "dimension": {"title": "Change", "sql": "change"},
        "measure": {"title": "Labels", "sql": "sum(label_count)"},
        "filters": {},
        "visual": {
            "id": "v", "type": "table", "title": "V", "dataset": "d", "rows": ["change"], "measures": ["labels"],
        },
        "control": {"id": "job", "title": "Job", "type": "values"},
    }  # fmt: skip
    given = {name: part | (change if name == where else {}) for name, part in parts.items()}
    dataset = {
        "counts": "labels",
        "source": "adjustment_count",
        "dimensions": {"change": given["dimension"]},
        "measures": {"labels": given["measure"]},
        "filters": given["filters"],
    }
    page = {"id": "p", "title": "P", "description": "", "filters": [given["control"]], "visuals": [given["visual"]]}
    with pytest.raises(ValueError, match=reason):
        Specification.model_validate({"datasets": {"d": dataset}, "dashboards": [page]})
