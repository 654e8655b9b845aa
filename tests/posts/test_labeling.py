"""The SQL printed in the original post, word for word, against the deployed pipeline; and its names."""

import pytest

# Each with columns that the post's readers go on to use.
VERIFICATIONS = (
    (
        'SELECT * FROM "smgt-gluedatabase"."annotations_batch_manifests" limit 10;',
        {"tracking-annotations", "partition_0", "partition_1"},
    ),
    (
        'SELECT * FROM "smgt-gluedatabase"."worker_metrics_processed_worker_metrics" limit 10;',
        {"username", "email", "timespentinseconds", "modality", "jobname", "answercontent"},
    ),
    (
        'SELECT * FROM "smgt-gluedatabase"."output_manifest_videoobjecttracking" limit 10;',
        {"source-ref", "partition_0"},
    ),
    (
        'SELECT * FROM "smgt-gluedatabase"."output_manifest_videoobjecttrackingaudit" limit 10;',
        {"source-ref", "partition_0"},
    ),
)
WORKER_METRICS = (
    "SELECT *, cardinality(ans.trackingannotations.framedata.entries) as tasks FROM "
    '"smgt-gluedatabase"."worker_metrics_processed_worker_metrics", unnest(answercontent) as t(ans);'
)
LABEL_LEVEL = (
    'SELECT job_name,each_ann.height,each_ann.width,each_ann.top,each_ann."left",'
    'each_ann."label-category-attributes".moving,each_ann."label-category-attributes".vehicle_type,'
    'each_ann."label-category-attributes".audit,each_ann."object-name",each_ann from\n'
    '(SELECT ann.annotations, partition_1 as job_name FROM "smgt-gluedatabase"."annotations_batch_manifests", '
    'unnest("tracking-annotations") as t(ann) where cardinality(ann.annotations) != 0) as data, '
    "unnest(data.annotations) as t(each_ann);"
)
FRAME_LEVEL = (
    'SELECT ann."frame-no",ann.frame,ann."frame-attributes"."number_of_vehicles",'
    'ann."frame-attributes"."quality_of_the_frame",ann.annotations, cardinality(ann.annotations) as num_labels, '
    'partition_1 as job_name, ann FROM "smgt-gluedatabase"."annotations_batch_manifests", '
    'unnest("tracking-annotations") as t(ann) where cardinality(ann.annotations) != 0'
)


@pytest.mark.parametrize(("sql", "columns"), VERIFICATIONS)
def test_a_verification_query_shows_rows_of_the_table_it_names(labeled, sql, columns):
    rows = labeled.rows(sql)
    table = sql.split('"')[3]
    everything = labeled.rows(f'SELECT count(*) AS n FROM "smgt-gluedatabase"."{table}"')

    assert len(rows) == min(10, int(everything[0]["n"])) > 0
    assert columns <= set(rows[0])


def test_the_worker_metrics_dataset_has_every_answer(labeled):
    rows = labeled.rows(WORKER_METRICS)

    truth = labeled.truth["queries"]["worker_metrics"]
    assert len(rows) == truth["rows"]
    assert sum(int(row["tasks"] or 0) for row in rows) == truth["tasks"]
    assert {"timespentinseconds", "modality", "jobname", "username", "email"} <= set(rows[0])


def test_the_label_level_dataset_has_every_box(labeled):
    rows = labeled.rows(LABEL_LEVEL)

    assert len(rows) == labeled.truth["queries"]["label_level"]["rows"]
    vehicles = {row["vehicle_type"] for row in rows} - {None}
    expected = {row[4] for row in labeled.truth["reports"]["report_vehicle_type"]}
    assert vehicles == expected


def test_the_frame_level_dataset_has_every_frame_with_a_box(labeled):
    rows = labeled.rows(FRAME_LEVEL)

    truth = labeled.truth["queries"]["frame_level"]
    assert len(rows) == truth["rows"]
    assert sum(int(row["num_labels"]) for row in rows) == truth["num_labels"]


def test_the_posts_names_are_there(labeled):
    glue, athena = labeled.embedded.client("glue"), labeled.embedded.client("athena")

    assert glue.get_workflow(Name="SMGT-Glue-Workflow")["Workflow"]["Name"] == "SMGT-Glue-Workflow"
    tables = {table["Name"] for table in glue.get_tables(DatabaseName="smgt-gluedatabase")["TableList"]}
    assert {
        "annotations_batch_manifests",
        "output_manifest_videoobjecttracking",
        "output_manifest_videoobjecttrackingaudit",
        "worker_metrics_processed_worker_metrics",
    } <= tables
    groups = {group["Name"] for group in athena.list_work_groups()["WorkGroups"]}
    assert "SMGTReportsWorkGroup" in groups
