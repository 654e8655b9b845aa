"""The report by mail: after each successful run of the ETL job a page in the processed bucket, messages to a topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_events as events
import aws_cdk.aws_events_targets as targets
import aws_cdk.aws_iam as iam
import aws_cdk.aws_sns as sns
import aws_cdk.aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.function import PythonFunction, lost_events
from stacks.building_blocks.grants import grant_read, grant_read_write

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_s3 as s3

    from stacks.config import EnvironmentConfig
    from stacks.labeling.catalog import Catalog
    from stacks.labeling.pipeline import Pipeline
    from stacks.labeling.reports import Reports


class Mailing(Construct):
    """Glue job succeeded → function → `reports/labeling.html`, and one message per batch that changed."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        catalog: Catalog,
        reports: Reports,
        pipeline: Pipeline,
        processed: s3.IBucket,
        key: kms.Key,
        alarms: sns.Topic,
    ) -> None:
        super().__init__(scope, construct_id)
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        self.topic = sns.Topic(self, "Summaries", master_key=key, enforce_ssl=True)
        if environment.labeling.summary_email:
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            self.topic.add_subscription(subscriptions.EmailSubscription(environment.labeling.summary_email))
        lost = lost_events(self, "Lost", key)
        made = PythonFunction(
            self,
            "Report",
            environment=environment,
            handler="lambdas.labeling.report.handler",
            description="Makes the labeling report and tells a topic of each batch that changed",
            key=key,
            variables={
                "DATABASE": catalog.name,
                "WORKGROUP": environment.labeling.workgroup_name,
                "REPORT_BUCKET": processed.bucket_name,
                "TOPIC_ARN": self.topic.topic_arn,
            },
            timeout_seconds=300,  # every report once, in rounds
            lost_events=lost,
        )
        reports.grant_query(made.role)
        catalog.grant_read(made.role)
        grant_read(made.role, processed, "labels/")
        grant_read_write(made.role, processed, "reports/")
        grant_read_write(made.role, reports.results)
        # The CDK's own grant gives a pattern of actions on the key; messages need the one that granting S3 gave.
        publish = iam.PolicyStatement(actions=["sns:Publish"], resources=[self.topic.topic_arn])
        made.role.add_to_principal_policy(publish)
        self.function = made.function
        events.Rule(
            self,
            "JobSucceeded",
            description="The ETL job has published new tables",
            event_pattern=events.EventPattern(
                source=["aws.glue"],
                detail_type=["Glue Job State Change"],
                detail={"jobName": [pipeline.job.ref], "state": ["SUCCEEDED"]},
            ),
            # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
            targets=[
                # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
                targets.LambdaFunction(made.function)
            ],
        )
        alarm(
            self,
            "ReportErrors",
            topic=alarms,
            metric=made.function.metric_errors(period=cdk.Duration.minutes(5)),
            threshold=1,
            description="The report after an ETL run failed; Lambda tries an event twice more, then it goes to the "
            "queue of lost events. The function's log has the reason at level ERROR. The next run of the workflow "
            "makes the report anew; `aws lambda invoke` with any event makes it at once.",
        )
        alarm(
            self,
            "ReportsLost",
            topic=alarms,
            metric=lost.metric_approximate_number_of_messages_visible(period=cdk.Duration.minutes(5)),
            threshold=1,
            description="Runs of the ETL job were not reported: their events lie in the queue LostReportsUrl. Find the "
            "reason in the function's log, invoke the function once, then purge the queue.",
        )
        if environment.labeling.stale_after_hours:
            alarm(
                self,
                "NothingNew",
                topic=alarms,
                metric=made.function.metric_invocations(period=cdk.Duration.hours(1)),
                threshold=1,
                periods=environment.labeling.stale_after_hours,
                silence=True,
                description=f"The ETL job has not succeeded for {environment.labeling.stale_after_hours} hours: so old "
                "are tables, dashboards and report. Look at the workflow's last runs in Glue; if there is none, its "
                "trigger is switched off or the schedule is rarer than `stale_after_hours` of the environment file.",
            )
        cdk.CfnOutput(cdk.Stack.of(self), "LostReportsUrl", value=lost.queue_url)
