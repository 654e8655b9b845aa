"""The saved queries are the original's statements."""

from stacks.labeling.config import LabelingConfig
from stacks.labeling.queries import saved_queries

# The statements as the original names tables and fields.
ORIGINAL = {
    "Worker metrics": """
SELECT *, cardinality(ans.trackingannotations.framedata.entries) as tasks FROM
"smgt-gluedatabase"."worker_metrics_processed_worker_metrics", unnest(answercontent) as t(ans)""",
    "Label annotations": """
SELECT job_name,each_ann.height,each_ann.width,each_ann.top,each_ann."left",
each_ann."label-category-attributes".moving,each_ann."label-category-attributes".vehicle_type,
each_ann."label-category-attributes".audit,each_ann."object-name",each_ann from
(SELECT ann.annotations, partition_1 as job_name FROM "smgt-gluedatabase"."annotations_batch_manifests",
unnest("tracking-annotations") as t(ann) where cardinality(ann.annotations) != 0) as data,
unnest(data.annotations) as t(each_ann)""",
    "Frame annotations": """
SELECT ann."frame-no",ann.frame,ann."frame-attributes"."number_of_vehicles",
ann."frame-attributes"."quality_of_the_frame",ann.annotations, cardinality(ann.annotations) as num_labels,
partition_1 as job_name, ann FROM "smgt-gluedatabase"."annotations_batch_manifests",
unnest("tracking-annotations") as t(ann) where cardinality(ann.annotations) != 0""",
}
CHECKS = (
    "annotations_batch_manifests",
    "worker_metrics_processed_worker_metrics",
    "output_manifest_videoobjecttracking",
    "output_manifest_videoobjecttrackingaudit",
)


def squeezed(sql):
    return "".join(sql.split())


def test_with_the_originals_attributes_the_queries_are_the_originals():
    config = LabelingConfig(
        label_attributes=("moving", "vehicle_type", "audit"),
        frame_attributes=("number_of_vehicles", "quality_of_the_frame"),
    )
    saved = {query.name: query.sql for query in saved_queries(config)}
    for name, sql in ORIGINAL.items():
        assert squeezed(saved[name]) == squeezed(sql)
    for table in CHECKS:
        assert saved[f"Check {table}"] == f'SELECT * FROM "smgt-gluedatabase"."{table}" limit 10'


def test_every_report_view_has_a_saved_query_and_ids_are_unique():
    from sextant.labeling.views import VIEWS

    queries = saved_queries(LabelingConfig())
    assert {view.name for view in VIEWS} <= {query.name for query in queries}
    assert len({query.construct_id for query in queries}) == len(queries)
