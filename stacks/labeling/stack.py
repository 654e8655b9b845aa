"""Labeling reports: Ground Truth output in, typed tables and report views out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_cognito as cognito
import aws_cdk.aws_kms as kms
import aws_cdk.aws_s3 as s3

from stacks.building_blocks.alarms import alarm_topic
from stacks.building_blocks.data_lake import access_log_bucket, data_key, private_bucket
from stacks.building_blocks.user_pool import closed_user_pool
from stacks.labeling.alarms import watch
from stacks.labeling.catalog import Catalog
from stacks.labeling.dashboards import dashboards_function
from stacks.labeling.mailing import Mailing
from stacks.labeling.operation import operation_function
from stacks.labeling.pipeline import Pipeline
from stacks.labeling.reports import Reports

if TYPE_CHECKING:
    from constructs import Construct

    from stacks.config import EnvironmentConfig


class LabelingStack(cdk.Stack):
    """Batch bucket → Glue workflow → processed bucket → Athena → dashboards function.

    `dashboards` is the function that answers `POST /api/dashboards/{id}/query`; a console puts an API before it.
    """

    def __init__(self, scope: Construct, construct_id: str, environment: EnvironmentConfig) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Sextant: reports over SageMaker Ground Truth output",
            termination_protection=environment.termination_protection,
            synthesizer=cdk.DefaultStackSynthesizer(qualifier=environment.bootstrap_qualifier),
        )
        labeling = environment.labeling
        key = data_key(self, environment)
        access_logs = access_log_bucket(self, environment)
        batch = self._batch_bucket(environment, key, access_logs)
        self.processed = private_bucket(
            self,
            "Processed",
            environment=environment,
            access_logs=access_logs,
            key=key,
            unversioned_because="Every object is rebuilt from the batch bucket by one run of the workflow.",
        )

        user_pool_id = self._workforce(environment)
        self.catalog = Catalog(self, "Catalog", config=labeling, processed=self.processed)
        pipeline = Pipeline(
            self,
            "Pipeline",
            environment=environment,
            catalog=self.catalog,
            batch=batch,
            processed=self.processed,
            key=key,
            user_pool_id=user_pool_id,
        )
        self.reports = Reports(self, "Reports", environment=environment, access_logs=access_logs, key=key)
        self.dashboards = dashboards_function(
            self,
            environment=environment,
            catalog=self.catalog,
            reports=self.reports,
            processed=self.processed,
            key=key,
        ).function
        alarms = alarm_topic(self, environment, key)
        mailing = Mailing(
            self,
            "Mailing",
            environment=environment,
            catalog=self.catalog,
            reports=self.reports,
            pipeline=pipeline,
            processed=self.processed,
            key=key,
            alarms=alarms,
        )
        watch(
            self,
            topic=alarms,
            pipeline=pipeline,
            function=self.dashboards,
            workflow=labeling.workflow_name,
            metrics=environment.metrics_namespace,
        )

        self.operation = operation_function(
            self,
            environment=environment,
            pipeline=pipeline,
            catalog=self.catalog,
            reports=self.reports,
            batch=batch,
            processed=self.processed,
            alarms=alarms,
            key=key,
        )

        cdk.CfnOutput(self, "BatchBucket", value=batch.bucket_name, description="Put Ground Truth output here")
        cdk.CfnOutput(self, "ProcessedBucket", value=self.processed.bucket_name)
        cdk.CfnOutput(self, "InputUrl", value=f"s3://{batch.bucket_name}/{labeling.input_prefix}")
        cdk.CfnOutput(self, "DatabaseName", value=self.catalog.name)
        cdk.CfnOutput(self, "WorkflowName", value=pipeline.workflow.ref)
        cdk.CfnOutput(self, "WorkgroupName", value=self.reports.workgroup.ref)
        cdk.CfnOutput(self, "JobName", value=pipeline.job.ref)
        cdk.CfnOutput(self, "SummariesTopicArn", value=mailing.topic.topic_arn)
        cdk.CfnOutput(self, "DashboardsFunction", value=self.dashboards.function_name)

    def _workforce(self, environment: EnvironmentConfig) -> str | None:
        """The id of the private workforce's user pool: the environment's own, a new one, or none."""
        labeling = environment.labeling
        if labeling.create_workforce == "none":
            return labeling.cognito_user_pool_id
        pool = closed_user_pool(
            self,
            "Workforce",
            environment=environment,
            mfa="required" if labeling.create_workforce == "mfa-required" else "optional",
            sign_in=cognito.SignInAliases(username=True, email=True),
        )
        cdk.CfnOutput(self, "WorkforceUserPoolId", value=pool.user_pool_id)
        return pool.user_pool_id

    def _batch_bucket(self, environment: EnvironmentConfig, key: kms.Key, access_logs: s3.IBucket) -> s3.IBucket:
        """The bucket with Ground Truth output: the environment's own, or a new one."""
        labeling = environment.labeling
        if labeling.input_bucket is None:
            return private_bucket(self, "Batch", environment=environment, access_logs=access_logs, key=key)
        return s3.Bucket.from_bucket_attributes(
            self,
            "Batch",
            bucket_name=labeling.input_bucket,
            encryption_key=kms.Key.from_key_arn(self, "BatchKey", labeling.input_key_arn)
            if labeling.input_key_arn
            else None,
        )
