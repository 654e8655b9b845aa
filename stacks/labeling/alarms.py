"""What is watched in the labeling reports, and what to do when it goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_cloudwatch as cloudwatch
import aws_cdk.aws_events as events
import aws_cdk.aws_events_targets as targets

from stacks.building_blocks.alarms import alarm

if TYPE_CHECKING:
    import aws_cdk.aws_lambda as lambda_
    import aws_cdk.aws_sns as sns
    from constructs import Construct

    from stacks.labeling.pipeline import Pipeline


def watch(
    scope: Construct,
    *,
    topic: sns.Topic,
    pipeline: Pipeline,
    function: lambda_.Function,
    workflow: str,
    metrics: str,
) -> None:
    """Tells the topic of a failed job or crawler at once, and of a function that fails; `metrics` is their namespace.

    A workflow fails exactly when one of its jobs or crawlers does, and Glue has no event of its own for it. The job is
    tried again once after FAILED, each attempt with its own event. That no run succeeds at all, `Mailing` watches.
    """
    state, reason = events.EventField.from_path("$.detail.state"), events.EventField.from_path("$.detail.message")
    job = events.EventField.from_path("$.detail.jobName")
    run = events.EventField.from_path("$.detail.jobRunId")
    events.Rule(
        scope,
        "JobFailed",
        description="An attempt of the ETL job did not succeed",
        event_pattern=events.EventPattern(
            source=["aws.glue"],
            detail_type=["Glue Job State Change"],
            detail={"jobName": [pipeline.job.ref], "state": ["FAILED", "TIMEOUT", "STOPPED"]},
        ),
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        targets=[
            targets.SnsTopic(
                # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
                topic,
                message=events.RuleTargetInput.from_text(
                    f"Glue job {job}, run {run}: {state}. {reason} "
                    "Tables may be of two runs: each is replaced by itself. Glue tries once more after FAILED, and a "
                    "second message tells if that fails too. If it does, or after TIMEOUT or STOPPED: read the run's "
                    f"error log, mend the input or the role, then start the workflow {workflow} again. A rerun "
                    "overwrites every table, nothing is counted twice."
                ),
            )
        ],
    )
    crawler = events.EventField.from_path("$.detail.crawlerName")
    error = events.EventField.from_path("$.detail.errorMessage")
    crawlers = pipeline.crawlers
    events.Rule(
        scope,
        "CrawlerFailed",
        description="A crawler did not succeed",
        event_pattern=events.EventPattern(
            source=["aws.glue"],
            detail_type=["Glue Crawler State Change"],
            detail={
                "crawlerName": [
                    crawlers.video_objects.ref,
                    crawlers.audit.ref,
                    crawlers.worker_metrics.ref,
                    crawlers.annotations.ref,
                ],
                "state": ["Failed"],
            },
        ),
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        targets=[
            targets.SnsTopic(
                # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
                topic,
                message=events.RuleTargetInput.from_text(
                    f"Glue crawler {crawler} failed: {error} Its table keeps the schema it had; new folders are not "
                    f"seen yet. Mend the cause, then start the workflow {workflow} again."
                ),
            )
        ],
    )
    alarm(
        scope,
        "DashboardErrors",
        topic=topic,
        metric=function.metric_errors(period=cdk.Duration.minutes(5)),
        threshold=1,
        description="The dashboards function failed. Look for level ERROR in its log; reports that Athena gave no rows "
        "for have an alarm of their own.",
    )
    alarm(
        scope,
        "DashboardQueries",
        topic=topic,
        metric=cloudwatch.Metric(
            namespace=metrics,
            metric_name="FailedQueries",  # of sextant.labeling.dashboards.failures
            dimensions_map={"service": "labeling-dashboards"},
            statistic="Sum",
            period=cdk.Duration.minutes(5),
        ),
        threshold=1,
        description="Athena gave a dashboard no rows; the page shows which report. The function's log has the reason "
        "and the query's id at level ERROR: a missing table or view means that the workflow has not run yet, a denied "
        "permission that the function's role lacks a grant, a time-out that the report reads too much.",
    )
    alarm(
        scope,
        "DashboardThrottles",
        topic=topic,
        metric=function.metric_throttles(period=cdk.Duration.minutes(5)),
        threshold=1,
        description="Lambda refused dashboard requests: the account's concurrency is used up. Raise its quota or find "
        "the function that uses it.",
    )
