# ruff: noqa: S608  names come from the checked environment, whose patterns admit identifiers only
"""The saved queries of the workgroup: the statements people know from the original system, and the report views.

The two annotation queries are the original's, with the attribute columns of the environment's label categories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sextant.labeling.views import report_views

if TYPE_CHECKING:
    from stacks.labeling.config import LabelingConfig


@dataclass(frozen=True)
class SavedQuery:
    construct_id: str
    name: str
    description: str
    sql: str


CRAWLED_TABLES = (
    "annotations_batch_manifests",
    "worker_metrics_processed_worker_metrics",
    "output_manifest_videoobjecttracking",
    "output_manifest_videoobjecttrackingaudit",
)
"""The tables that the crawlers make."""


def saved_queries(config: LabelingConfig) -> tuple[SavedQuery, ...]:
    """Every saved query for a configuration."""
    database = config.database_name
    first_rows = (
        SavedQuery(_construct_id("check", table), f"Check {table}", "First rows.", _first_rows(database, table))
        for table in CRAWLED_TABLES
    )
    views = (
        SavedQuery(_construct_id("view", view.name), view.name, view.doc, f'SELECT * FROM "{database}"."{view.name}"')
        for view in report_views(config.label_attributes, config.frame_attributes, config.audit_attribute)
    )
    return (
        *first_rows,
        SavedQuery("WorkerMetrics", "Worker metrics", "Every answer with its worker.", _worker_metrics(database)),
        SavedQuery(
            "LabelAnnotations",
            "Label annotations",
            "Every tracked object of every frame with its attributes.",
            _label_annotations(database, config.label_attributes),
        ),
        SavedQuery(
            "FrameAnnotations",
            "Frame annotations",
            "Every frame with its attributes and number of labels.",
            _frame_annotations(database, config.frame_attributes),
        ),
        *views,
    )


def _construct_id(kind: str, name: str) -> str:
    return "".join(part.title() for part in (kind, *name.split("_")))


def _first_rows(database: str, table: str) -> str:
    return f'SELECT * FROM "{database}"."{table}" limit 10'


def _worker_metrics(database: str) -> str:
    return (
        "SELECT *, cardinality(ans.trackingannotations.framedata.entries) as tasks "
        f'FROM "{database}"."worker_metrics_processed_worker_metrics", unnest(answercontent) as t(ans)'
    )


def _label_annotations(database: str, attributes: tuple[str, ...]) -> str:
    columns = "".join(f'each_ann."label-category-attributes".{attribute},' for attribute in attributes)
    return (
        f'SELECT job_name,each_ann.height,each_ann.width,each_ann.top,each_ann."left",{columns}'
        'each_ann."object-name",each_ann from (SELECT ann.annotations, partition_1 as job_name '
        f'FROM "{database}"."annotations_batch_manifests", unnest("tracking-annotations") as t(ann) '
        "where cardinality(ann.annotations) != 0) as data, unnest(data.annotations) as t(each_ann)"
    )


def _frame_annotations(database: str, attributes: tuple[str, ...]) -> str:
    columns = "".join(f'ann."frame-attributes"."{attribute}",' for attribute in attributes)
    return (
        f'SELECT ann."frame-no",ann.frame,{columns}ann.annotations, cardinality(ann.annotations) as num_labels, '
        f'partition_1 as job_name, ann FROM "{database}"."annotations_batch_manifests", '
        'unnest("tracking-annotations") as t(ann) where cardinality(ann.annotations) != 0'
    )
