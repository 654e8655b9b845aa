"""The Glue workflow: the ETL job, the four crawlers, and the triggers that order them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_glue as glue
import aws_cdk.aws_iam as iam
import aws_cdk.aws_s3_assets as assets
from constructs import Construct

from stacks.building_blocks.glue import glue_connection, glue_encryption, glue_role
from stacks.building_blocks.grants import grant_read, grant_read_write
from stacks.building_blocks.python_code import ROOT, archive
from stacks.labeling.crawlers import Crawlers

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_s3 as s3

    from stacks.config import EnvironmentConfig
    from stacks.labeling.catalog import Catalog


_CATEGORIES = "label_category_input/"
"""Where the batch workflow keeps the label category configurations of its jobs."""


class Pipeline(Construct):
    """Workflow, job, crawlers and triggers.

    The schedule starts the job and the first crawler; the audit crawler follows the first; the crawlers of what the
    job wrote and of the annotations follow the job. The workflow can be started by hand at any time as well.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        catalog: Catalog,
        batch: s3.IBucket,
        processed: s3.IBucket,
        key: kms.Key,
        user_pool_id: str | None,
    ) -> None:
        super().__init__(scope, construct_id)
        labeling = environment.labeling
        encryption = glue_encryption(self, key)
        self.crawlers = Crawlers(
            self,
            "Crawlers",
            input_prefix=labeling.input_prefix,
            catalog=catalog,
            batch=batch,
            processed=processed,
            key=key,
            encryption=encryption,
        )
        role = _job_role(self, environment, batch=batch, processed=processed, key=key, user_pool_id=user_pool_id)
        self.job = _job(
            self,
            environment,
            role=role,
            batch=batch,
            processed=processed,
            encryption=encryption,
            user_pool_id=user_pool_id,
        )
        self.workflow = glue.CfnWorkflow(
            self,
            "Workflow",
            name=labeling.workflow_name,
            description="Ground Truth output to report tables",
            max_concurrent_runs=1,  # two runs would write the same objects
        )
        self._triggers(labeling.glue_cron)

    def _triggers(self, cron: str) -> None:
        crawlers = self.crawlers
        run_job = glue.CfnTrigger.ActionProperty(job_name=self.job.ref)
        self._trigger("ScheduledJobTrigger", schedule=cron, actions=[_crawl(crawlers.video_objects), run_job])
        self._trigger(
            "ConditionalJobTriggerForAudit",
            predicate=_succeeded(crawler_name=crawlers.video_objects.ref, crawl_state="SUCCEEDED"),
            actions=[_crawl(crawlers.audit)],
        )
        self._trigger(
            "ConditionalJobTriggerForOutputCrawler",
            predicate=_succeeded(job_name=self.job.ref, state="SUCCEEDED"),
            actions=[_crawl(crawlers.worker_metrics), _crawl(crawlers.annotations)],
        )

    def _trigger(
        self,
        construct_id: str,
        *,
        actions: list[glue.CfnTrigger.ActionProperty],
        schedule: str | None = None,
        predicate: glue.CfnTrigger.PredicateProperty | None = None,
    ) -> None:
        """A trigger of the workflow, active at once: Glue leaves a new trigger switched off unless told."""
        glue.CfnTrigger(
            self,
            construct_id,
            type="SCHEDULED" if schedule else "CONDITIONAL",
            actions=actions,
            schedule=schedule,
            predicate=predicate,
            workflow_name=self.workflow.ref,
            start_on_creation=True,
        )


def _crawl(crawler: glue.CfnCrawler) -> glue.CfnTrigger.ActionProperty:
    return glue.CfnTrigger.ActionProperty(crawler_name=crawler.ref)


def _succeeded(**condition: str) -> glue.CfnTrigger.PredicateProperty:
    return glue.CfnTrigger.PredicateProperty(
        conditions=[glue.CfnTrigger.ConditionProperty(logical_operator="EQUALS", **condition)]
    )


def _job_role(
    scope: Construct,
    environment: EnvironmentConfig,
    *,
    batch: s3.IBucket,
    processed: s3.IBucket,
    key: kms.Key,
    user_pool_id: str | None,
) -> iam.Role:
    role = glue_role(scope, "JobRole", key)
    grant_read(role, batch, environment.labeling.input_prefix)
    grant_read(role, batch, _CATEGORIES)
    grant_read_write(role, processed)
    if user_pool_id:
        arn = cdk.Stack.of(scope).format_arn(service="cognito-idp", resource="userpool", resource_name=user_pool_id)
        role.add_to_policy(iam.PolicyStatement(actions=["cognito-idp:ListUsers"], resources=[arn]))
    return role


def _job(
    scope: Construct,
    environment: EnvironmentConfig,
    *,
    role: iam.Role,
    batch: s3.IBucket,
    processed: s3.IBucket,
    encryption: glue.CfnSecurityConfiguration,
    user_pool_id: str | None,
) -> glue.CfnJob:
    labeling = environment.labeling
    script = assets.Asset(scope, "Script", path=str(ROOT / "glue_scripts" / "labeling" / "label_reports.py"))
    package = assets.Asset(scope, "Package", path=str(archive("sextant", "glue_scripts/labeling")))
    for asset in (script, package):
        role.add_to_policy(
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[asset.bucket.arn_for_objects(asset.s3_object_key)])
        )
    connection = glue_connection(scope, environment, role)
    return glue.CfnJob(
        scope,
        "Job",
        description="Ground Truth output to typed Parquet tables",
        role=role.role_arn,
        glue_version="5.1",
        command=glue.CfnJob.JobCommandProperty(
            name="glueetl", python_version="3", script_location=script.s3_object_url
        ),
        worker_type="G.1X",
        number_of_workers=2,
        timeout=120,
        max_retries=1,
        execution_property=glue.CfnJob.ExecutionPropertyProperty(max_concurrent_runs=1),
        security_configuration=encryption.ref,
        connections=glue.CfnJob.ConnectionsListProperty(connections=[connection.ref]) if connection else None,
        default_arguments={
            # Every run reads everything and overwrites: a bookmark would make the result depend on the runs before.
            "--job-bookmark-option": "job-bookmark-disable",
            "--extra-py-files": package.s3_object_url,
            "--INPUT_PATH": f"s3://{batch.bucket_name}/{labeling.input_prefix}",
            "--OUTPUT_PATH": f"s3://{processed.bucket_name}/",
            "--CATEGORIES_PATH": f"s3://{batch.bucket_name}/{_CATEGORIES}",
            "--DATABASE": labeling.database_name,
            "--AUDIT_ATTRIBUTE": labeling.audit_attribute,
            "--COST": labeling.cost.model_dump_json(exclude_none=True),
            **({"--USER_POOL_ID": user_pool_id} if user_pool_id else {}),
        },
    )
