"""The three statements of the original post, and the scalar views that say the same without nested types."""

import pytest
import sqlglot

from samples.labeling import generate
from tests.labeling.pipeline import catalog, run_job

WORKERS = """
SELECT *, cardinality(ans.trackingannotations.framedata.entries) as tasks FROM
"smgt-gluedatabase"."worker_metrics_processed_worker_metrics", unnest(answercontent) as t(ans);
"""
LABELS = """
SELECT
job_name,each_ann.height,each_ann.width,each_ann.top,each_ann."left",each_ann."label-category-attributes".moving,
each_ann."label-category-attributes".vehicle_type,each_ann."label-category-attributes".audit,each_ann."object-name",each_ann
from (SELECT ann.annotations, partition_1 as job_name FROM "smgt-gluedatabase"."annotations_batch_manifests",
unnest("tracking-annotations") as t(ann) where cardinality(ann.annotations) != 0) as data,
unnest(data.annotations) as t(each_ann);
"""
FRAMES = """
SELECT
ann."frame-no",ann.frame,ann."frame-attributes"."number_of_vehicles",ann."frame-attributes"."quality_of_the_frame",
ann.annotations, cardinality(ann.annotations) as num_labels, partition_1 as job_name, ann FROM
"smgt-gluedatabase"."annotations_batch_manifests", unnest("tracking-annotations") as t(ann) where
cardinality(ann.annotations) != 0
"""
SEQUENCE = """
STRUCT(annotations STRUCT(height DOUBLE, width DOUBLE, top DOUBLE, "left" DOUBLE, "object-name" VARCHAR,
"label-category-attributes" STRUCT(moving VARCHAR, vehicle_type VARCHAR, audit VARCHAR))[], "frame-no"
VARCHAR, frame VARCHAR, "frame-attributes" STRUCT(number_of_vehicles VARCHAR, quality_of_the_frame VARCHAR))[]
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The views, and beside them the original's tables, of the tracking jobs of the sample."""
    folder = tmp_path_factory.mktemp("post")
    generate(folder / "batch", 7)
    run_job(folder / "batch" / "batch_manifests", folder / "out")
    connection = catalog(folder / "out")
    connection.execute('CREATE SCHEMA "smgt-gluedatabase"')
    files = f"{folder}/batch/batch_manifests/VideoObjectTracking*/**/SeqLabel.json"
    connection.execute(
        f"""CREATE VIEW "smgt-gluedatabase".annotations_batch_manifests AS
        SELECT "tracking-annotations", regexp_extract(filename, 'batch_manifests/[^/]+/([^/]+)/', 1) AS partition_1
        FROM read_json('{files}', columns = {{'tracking-annotations': '{SEQUENCE.strip()}'}}, filename = true)"""
    )
    connection.execute(
        f"""CREATE VIEW "smgt-gluedatabase".worker_metrics_processed_worker_metrics AS
        SELECT * FROM read_parquet('{folder}/out/processed_worker_metrics/*.parquet')"""
    )
    return connection


def rows(connection, statement, columns):
    """Chosen columns of an Athena statement, sorted; where a name occurs twice the first is meant."""
    (translated,) = sqlglot.transpile(statement, read="athena", write="duckdb")
    found = connection.execute(translated)
    names = [each[0] for each in found.description]
    places = [names.index(each) for each in columns]
    return sorted(([row[place] for place in places] for row in found.fetchall()), key=repr)


def test_the_label_rows_are_the_posts(both):
    post = rows(
        both, LABELS, ["job_name", "height", "width", "top", "left", "moving", "vehicle_type", "audit", "object-name"]
    )
    columns = [
        "job_name",
        "height",
        "width",
        "top_edge",
        "left_edge",
        "moving",
        "vehicle_type",
        "audit",
        "instance_name",
    ]
    where = "shape = 'box' AND task_type = 'video-object-tracking'"
    assert rows(both, f"SELECT * FROM report_label_rows WHERE {where}", columns) == post
    assert len(post) > 300


def test_the_frame_rows_are_the_posts(both):
    columns = ["frame-no", "frame", "number_of_vehicles", "quality_of_the_frame", "num_labels", "job_name"]
    post = rows(both, FRAMES, columns)
    where = "task_type = 'video-object-tracking' AND num_labels > 0 AND number_of_vehicles IS NOT NULL"
    mine = f"SELECT *, CAST(frame_no AS varchar) AS number FROM report_frame_rows WHERE {where}"
    assert rows(both, mine, ["number", *columns[1:]]) == post
    assert len(post) > 100


def test_the_answer_rows_are_the_posts(both):
    post = rows(both, WORKERS, ["username", "jobname", "modality", "submissiontime", "timespentinseconds", "workerid"])
    columns = ["username", "job_name", "modality", "submitted_at", "seconds", "worker_id"]
    assert rows(both, "SELECT * FROM report_answer_rows", columns) == post
    tasks = [each for (each,) in rows(both, WORKERS, ["tasks"]) if each is not None]
    where = "task_type LIKE '%tracking'"
    assert sorted(tasks) == sorted(
        each for (each,) in rows(both, f"SELECT tasks FROM report_answer_rows WHERE {where}", ["tasks"])
    )
