"""The function behind the console's slides pages: it reads runs, and slides by ranges for the deep zoom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from stacks.building_blocks.alarms import alarm
from stacks.building_blocks.function import PythonFunction
from stacks.building_blocks.grants import grant_read

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_lambda as lambda_
    import aws_cdk.aws_s3 as s3
    import aws_cdk.aws_sns as sns
    from constructs import Construct

    from stacks.config import EnvironmentConfig


def pages_function(
    scope: Construct,
    *,
    environment: EnvironmentConfig,
    slides: s3.IBucket,
    runs: s3.IBucket,
    alarms: sns.Topic,
    key: kms.Key,
) -> lambda_.Function:
    """A function that may read runs and slides, and do nothing else."""
    made = PythonFunction(
        scope,
        "Pages",
        environment=environment,
        handler="lambdas.slides.pages.handler",
        description="Answers the console's slides pages: cohorts, metrics, tiles of slides",
        key=key,
        variables={"RUNS_BUCKET": runs.bucket_name},
        timeout_seconds=29,  # API Gateway gives up after 30
    )
    grant_read(made.role, runs, "runs/")
    grant_read(made.role, slides)
    alarm(
        scope,
        "PagesErrors",
        topic=alarms,
        metric=made.function.metric_errors(period=cdk.Duration.minutes(5)),
        threshold=1,
        description="The function behind the console's slides pages failed or ran out of time. Its log holds the "
        "error; a failed start names the variable that is missing.",
    )
    return made.function
