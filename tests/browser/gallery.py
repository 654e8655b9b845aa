"""A dashboard with every type of visual over a few rows of known numbers, answered by the real handler and Athena.

Its rows are in the SQL itself, so that the tests count the same rows again in Python.
"""

import datetime as dt
import random
from types import SimpleNamespace

from sextant.labeling.dashboards.model import Dashboard, Dataset, Dimension, Filter, Measure, Specification, Visual
from sextant.labeling.dashboards.spec.common import control, days, share

BATCHES = ["spring", "summer"]
WORKERS = ["ada", "grace", "katherine", "mary"]
LABELS = ["car", "lane", "truck"]
FIRST = dt.date(2026, 3, 2)
SKILL = {"ada": 0.97, "grace": 0.9, "katherine": 0.82, "mary": 0.6}


def facts(seed=11):
    """Audited labels: one dict each of batch, worker, label, day, audited, passed. The sixth day is plainly worse."""
    rng = random.Random(seed)
    found = []
    for d in range(10):
        for worker in WORKERS:
            for label in LABELS:
                audited = rng.randint(6, 20)
                skill = SKILL[worker] * (0.4 if d == 5 else 1) * (0.94 if d >= 5 else 1)
                found.append(
                    {
                        "batch": BATCHES[d >= 5],
                        "worker": worker,
                        "label": label,
                        "day": FIRST + dt.timedelta(days=d),
                        "audited": audited,
                        "passed": sum(rng.random() < skill for _ in range(audited)),
                    }
                )
    return found


PACE = [
    # worker, seconds with its interval, accuracy with its interval, answers
    ("ada", 31.0, 28.0, 35.0, 0.97, 0.94, 0.99, 210),
    ("grace", 22.5, 20.0, 24.0, 0.90, 0.86, 0.93, 180),
    ("katherine", 22.0, 17.5, 27.0, 0.895, 0.79, 0.9, 90),
    ("mary", 12.0, 11.0, 13.5, 0.60, 0.52, 0.67, 140),
    ("sub-0d6c", None, None, None, 0.7, 0.6, 0.8, 30),
]
CONFUSION = [
    ("car", "car", 91), ("car", "truck", 7), ("car", "lane", 2),
    ("truck", "truck", 40), ("truck", "car", 12),
    ("lane", "lane", 77), ("lane", "car", 1), ("lane", "truck", 1),
]  # fmt: skip


def _literal(value):
    if value is None:
        return "CAST(NULL AS double)"
    if isinstance(value, dt.date):
        return f"DATE '{value}'"
    return f"'{value}'" if isinstance(value, str) else f"{value!r}E0" if isinstance(value, float) else str(value)


def _table(name, columns, rows):
    values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
    return f"(SELECT * FROM (VALUES {values}) AS given ({', '.join(columns)})) AS {name}"


def specification(found):
    """The specification over these facts, under the id of a page that the console has."""
    conditions = {
        "batch": "batch IN ({values})",
        "worker": "worker IN ({values})",
        "label": "label IN ({values})",
        **days("day"),
    }
    checks = Dataset(
        counts="labels",
        source=_table("checks", tuple(found[0]), [tuple(each.values()) for each in found]),
        dimensions={
            "batch": Dimension(title="Batch", filter="batch", sql="batch"),
            "worker": Dimension(title="Worker", filter="worker", sql="worker"),
            "label": Dimension(title="Label", filter="label", sql="label"),
            "day": Dimension(title="Day (UTC)", kind="day", filter="day", sql="day"),
        },
        measures={
            "labels": Measure(title="Labels", adds=True, sql="sum(audited)"),
            **share("pass_share", "Passed", "sum(passed)", "sum(audited)", n="audited", n_title="Audited labels"),
            **control("sum(passed)", "sum(audited)"),
            "spent": Measure(title="Cost", unit="usd", adds=True, sql="sum(audited) * 0.08E0"),
        },
        filters=conditions,
    )
    columns = ("worker", "seconds", "low", "high", "quality", "quality_low", "quality_high", "answers")
    pace = Dataset(
        counts="workers",
        source=_table("pace", columns, PACE),
        dimensions={"worker": Dimension(title="Worker", filter="worker", sql="worker")},
        measures={
            "seconds": Measure(
                title="Seconds per label", unit="seconds", n="n", lower="low", upper="high", sql="max(seconds)"
            ),
            "low": Measure(title="Seconds per label, lower bound", unit="seconds", sql="max(low)"),
            "high": Measure(title="Seconds per label, upper bound", unit="seconds", sql="max(high)"),
            "quality": Measure(
                title="Accuracy", unit="share", n="n", lower="worse", upper="better", sql="max(quality)"
            ),
            "worse": Measure(title="Accuracy, lower bound", unit="share", sql="max(quality_low)"),
            "better": Measure(title="Accuracy, upper bound", unit="share", sql="max(quality_high)"),
            "n": Measure(title="Answers", adds=True, sql="sum(answers)"),
        },
        filters={"worker": conditions["worker"]},
    )
    confusion = Dataset(
        counts="answers",
        source=_table("confusion", ("right_label", "given_label", "answers"), CONFUSION),
        dimensions={
            "right": Dimension(title="Right class", filter="label", sql="right_label"),
            "given": Dimension(title="Given class", sql="given_label"),
        },
        measures={"answers": Measure(title="Answers", adds=True, sql="sum(answers)")},
        filters={"label": "right_label IN ({values})"},
    )

    def show(name, kind, title, *measures, dataset="checks", **options):
        return Visual(id=name, type=kind, title=title, dataset=dataset, measures=measures, **options)

    def options(name):
        return Visual(
            id=f"options-{name}",
            type="options",
            title=name,
            dataset="checks",
            rows=(name,),
            measures=("labels",),
            sort="group",
        )

    limits, by_day = ("pass_share", "centre", "lower_limit", "upper_limit"), {"rows": ("day",), "sort": "group"}
    per_worker = {"rows": ("worker",)}
    lists = ("batch", "worker", "label")
    dashboard = Dashboard(
        id="workers",
        title="Gallery",
        description="Every type of visual.",
        filters=(
            *(Filter(id=each, title=each.capitalize(), type="values", options=f"options-{each}") for each in lists),
            Filter(id="since", title="From", type="since"),
            Filter(id="until", title="To", type="until"),
        ),
        visuals=(
            show("passed", "kpi", "Labels that passed", "pass_share", "labels", "spent", span=1),
            show("cost", "kpi", "Cost", "spent", span=1),
            show("volume", "kpi", "Labels audited", "labels", span=1),
            show("speed", "kpi", "Slowest worker", "seconds", dataset="pace", span=1),
            show("trend", "line", "Pass share by day and label", "pass_share", columns="label", **by_day),
            show("control", "control", "Pass share by day, control chart", *limits, **by_day),
            show("by-batch", "control", "Pass share by batch, control chart", *limits, rows=("batch",), sort="group"),
            show("per-worker", "interval", "Pass share by worker", "pass_share", drill=True, **per_worker),
            show("per-worker-and-label", "interval", "Pass share by both", "pass_share", columns="label", **per_worker),
            show("matrix", "heat", "Confusion", "answers", dataset="confusion", rows=("right",), columns="given"),
            show("shares", "heat", "Worker by label", "pass_share", columns="label", drill=True, **per_worker),
            show(
                "frontier",
                "scatter",
                "Time against quality",
                "seconds",
                "quality",
                dataset="pace",
                span=4,
                **per_worker,
            ),
            show("volumes", "bar", "Labels per day", "labels", columns="worker", **by_day),
            show("by-label", "hbar", "Labels by class", "labels", rows=("label",), drill=True),
            show("slices", "donut", "Share of classes", "labels", rows=("label",)),
            show("trend-all", "line", "Pass share by day", "pass_share", **by_day),
            show(
                "all",
                "table",
                "Worker and class",
                "labels",
                "pass_share",
                "spent",
                rows=("worker", "label"),
                sort="group",
                drill=True,
                span=4,
            ),
            *map(options, lists),
        ),
    )
    return Specification(datasets={"checks": checks, "pace": pace, "confusion": confusion}, dashboards=(dashboard,))


def gallery():
    found = facts()
    return SimpleNamespace(facts=found, specification=specification(found))
