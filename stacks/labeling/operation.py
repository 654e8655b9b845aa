"""What the console's function needs to operate the labeling reports: names, titles and grants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_iam as iam

from stacks.building_blocks.grants import grant_read, grant_read_write

if TYPE_CHECKING:
    import aws_cdk.aws_s3 as s3

    from stacks.config import LabelingConfig
    from stacks.labeling.catalog import Catalog
    from stacks.labeling.pipeline import Pipeline
    from stacks.labeling.reports import Reports


@dataclass(frozen=True)
class LabelingOperation:
    """See `stacks.console.api.Operable`."""

    settings: LabelingConfig
    pipeline: Pipeline
    catalog: Catalog
    reports: Reports
    batch: s3.IBucket
    processed: s3.IBucket

    @property
    def place(self) -> dict[str, object]:
        """The function's variable LABELING, as `sextant.console.systems.LabelingPlace` reads it."""
        crawlers = self.pipeline.crawlers
        return {
            "deployed": {
                "batch_bucket": self.batch.bucket_name,
                "input_prefix": self.settings.input_prefix,
                "database": self.settings.database_name,
                "workgroup": self.settings.workgroup_name,
                "workflow": self.settings.workflow_name,
            },
            "titles": {
                self.pipeline.job.ref: "Read all output, write the tables",
                crawlers.video_objects.ref: "Crawl tracking manifests",
                crawlers.audit.ref: "Crawl audit manifests",
                crawlers.worker_metrics.ref: "Crawl worker metrics",
                crawlers.annotations.ref: "Crawl annotations",
            },
        }

    def grant(self, role: iam.Role) -> None:
        """Lets a role run the workflow, query the tables and read the input: quarantined objects lie among it."""
        workflow = cdk.Stack.of(self.pipeline).format_arn(
            service="glue", resource="workflow", resource_name=self.settings.workflow_name
        )
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[
                    "glue:GetWorkflowRun",
                    "glue:GetWorkflowRuns",
                    "glue:StartWorkflowRun",
                    "glue:StopWorkflowRun",
                ],
                resources=[workflow],
            )
        )
        self.reports.grant_query(role)
        self.catalog.grant_read(role)
        grant_read(role, self.processed, "labels/")
        grant_read_write(role, self.reports.results)
        grant_read(role, self.batch, self.settings.input_prefix)
