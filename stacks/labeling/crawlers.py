"""The four crawlers of the original system: same targets, prefixes and exclusions, so the same table names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aws_cdk.aws_glue as glue
from constructs import Construct

from stacks.building_blocks.glue import glue_role
from stacks.building_blocks.grants import grant_read

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_s3 as s3

    from stacks.labeling.catalog import Catalog

_CONFIGURATION = json.dumps(
    {
        "Version": 1.0,
        "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}},
        "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"},
    }
)

_PREFIXES = _MANIFESTS, _METRICS, _ANNOTATIONS = "output_manifest_", "worker_metrics_", "annotations_"
"""What the names of the crawlers' tables begin with."""

_WORKER_METRICS = "processed_worker_metrics/"
_NEVER = ("**/temp/**", "**/intermediate/**", "**/activelearning/**", "**/inference/**", "**/training/**")
_NOT_MANIFESTS = ("**/annotations/**", *_NEVER)
_NOT_ANNOTATIONS = (
    "**/worker-response/**",
    "**/manifests/**",
    "**.manifest",  # copied beside the folders: another schema
    "**/processed/**",
    # The original swept these into the annotations table, and masks as tables of their own.
    "**/consolidation-request/**",
    "**/consolidation-response/**",
    "**.png",
    "**.zlib",
    *_NEVER,
)


class Crawlers(Construct):
    """One role and four crawlers; they infer schemas and add folders as partitions.

    | crawler | reads | makes table |
    | --- | --- | --- |
    | video_objects | manifests of `VideoObjectTracking/` | output_manifest_videoobjecttracking |
    | audit | manifests of `VideoObjectTrackingAudit/` | output_manifest_videoobjecttrackingaudit |
    | worker_metrics | what the job wrote of answers | worker_metrics_processed_worker_metrics |
    | annotations | consolidated annotations of all jobs | annotations_batch_manifests |
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        input_prefix: str,
        catalog: Catalog,
        batch: s3.IBucket,
        processed: s3.IBucket,
        key: kms.Key,
        encryption: glue.CfnSecurityConfiguration,
    ) -> None:
        super().__init__(scope, construct_id)
        self._database = catalog.name
        self._encryption = encryption
        self._role = glue_role(self, "Role", key)
        grant_read(self._role, batch, input_prefix)
        grant_read(self._role, processed, _WORKER_METRICS)
        catalog.grant_crawl(self._role, _PREFIXES)

        source = f"s3://{batch.bucket_name}/{input_prefix}"
        self.video_objects = self._crawler("VideoObjects", f"{source}VideoObjectTracking/", _MANIFESTS, _NOT_MANIFESTS)
        self.audit = self._crawler("Audit", f"{source}VideoObjectTrackingAudit/", _MANIFESTS, _NOT_MANIFESTS)
        self.worker_metrics = self._crawler(
            "WorkerMetrics", f"s3://{processed.bucket_name}/{_WORKER_METRICS}", _METRICS, ()
        )
        self.annotations = self._crawler("Annotations", source, _ANNOTATIONS, _NOT_ANNOTATIONS)
        for crawler in (self.video_objects, self.audit, self.worker_metrics, self.annotations):
            crawler.add_resource_dependency(catalog.database)

    def _crawler(self, construct_id: str, path: str, table_prefix: str, exclusions: tuple[str, ...]) -> glue.CfnCrawler:
        return glue.CfnCrawler(
            self,
            construct_id,
            role=self._role.role_arn,
            database_name=self._database,
            table_prefix=table_prefix,
            targets=glue.CfnCrawler.TargetsProperty(
                s3_targets=[glue.CfnCrawler.S3TargetProperty(path=path, exclusions=list(exclusions))]
            ),
            configuration=_CONFIGURATION,
            # A partition whose folder is gone would keep the columns of old: Athena then refuses the whole table
            # (HIVE_PARTITION_SCHEMA_MISMATCH), though nothing is there to read.
            schema_change_policy=glue.CfnCrawler.SchemaChangePolicyProperty(
                update_behavior="UPDATE_IN_DATABASE", delete_behavior="DELETE_FROM_DATABASE"
            ),
            recrawl_policy=glue.CfnCrawler.RecrawlPolicyProperty(recrawl_behavior="CRAWL_EVERYTHING"),
            crawler_security_configuration=self._encryption.ref,
        )
