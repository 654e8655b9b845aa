"""The Ground Truth reports' SQL, letter by letter as its users have it, on data in Ground Truth's form."""

# ruff: noqa: E501 - the SQL stands as it was printed

from __future__ import annotations

import pytest

DATABASE = "smgt-gluedatabase"

WORKERS = """SELECT *, cardinality(ans.trackingannotations.framedata.entries) as tasks FROM "smgt-gluedatabase"."worker_metrics_processed_worker_metrics", unnest(answercontent) as t(ans);"""
LABELS = """SELECT job_name,each_ann.height,each_ann.width,each_ann.top,each_ann."left",each_ann."label-category-attributes".moving,each_ann."label-category-attributes".vehicle_type,each_ann."label-category-attributes".audit,each_ann."object-name",each_ann from
(SELECT ann.annotations, partition_1 as job_name FROM "smgt-gluedatabase"."annotations_batch_manifests", unnest("tracking-annotations") as t(ann) where cardinality(ann.annotations) != 0) as data, unnest(data.annotations) as t(each_ann);"""
FRAMES = """SELECT ann."frame-no",ann.frame,ann."frame-attributes"."number_of_vehicles",ann."frame-attributes"."quality_of_the_frame",ann.annotations, cardinality(ann.annotations) as num_labels, partition_1 as job_name, ann FROM "smgt-gluedatabase"."annotations_batch_manifests", unnest("tracking-annotations") as t(ann) where cardinality(ann.annotations) != 0"""


def test_workers(lake):
    answer = lake.run(WORKERS)
    assert answer.columns == ["username", "timespentinseconds", "answercontent", "ans", "tasks"]
    assert [(row[0], row[1], row[4]) for row in sorted(answer.rows)] == [("ann", "12.5", "2"), ("bo", "3.0", "0")]


def test_labels(lake):
    answer = lake.run(LABELS)
    assert answer.columns == [
        "job_name", "height", "width", "top", "left", "moving", "vehicle_type", "audit", "object-name", "each_ann",
    ]  # fmt: skip
    assert sorted(row[:9] for row in answer.rows) == [
        ["day-vehicle", "1", "2", "3", "4", None, None, None, "Vehicle:1"],
        ["night-vehicle", "10", "20", "30", "40", None, "Van", None, "Vehicle:2"],
        ["night-vehicle", "66", "83", "545", "952", "Dynamic", "Car", "Pass", "Vehicle:1"],
    ]
    assert next(row[9] for row in answer.rows if row[1] == "10") == (
        "{height=10, width=20, top=30, left=40, class-id=0, label-category-attributes={moving=null, vehicle_type=Van, "
        "audit=null}, object-id=u2, object-name=Vehicle:2}"
    )


def test_frames(lake):
    answer = lake.run(FRAMES)
    assert answer.columns == [
        "frame-no", "frame", "number_of_vehicles", "quality_of_the_frame", "annotations", "num_labels", "job_name", "ann",
    ]  # fmt: skip
    assert sorted((row[:4], row[5:7]) for row in answer.rows) == [
        (["0", "000001.jpg", "2", "Pass"], ["2", "night-vehicle"]),
        (["7", "000008.jpg", None, "Fail"], ["1", "day-vehicle"]),
    ]
    assert answer.types == ["varchar", "varchar", "varchar", "varchar", "array", "bigint", "varchar", "row"]


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("annotations_batch_manifests", 2),
        ("worker_metrics_processed_worker_metrics", 3),
        ("output_manifest_videoobjecttracking", 1),
        ("output_manifest_videoobjecttrackingaudit", 1),
    ],
)
def test_verification_queries(lake, table, rows):
    answer = lake.run(f'SELECT * FROM "smgt-gluedatabase"."{table}" limit 10;')
    assert answer.state == "SUCCEEDED", answer.reason
    assert len(answer.rows) == rows
