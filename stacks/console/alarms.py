"""What is watched in the console, and what to do when it goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_cloudwatch as cloudwatch

from stacks.building_blocks.alarms import alarm

if TYPE_CHECKING:
    import aws_cdk.aws_apigatewayv2 as apigw
    import aws_cdk.aws_cloudfront as cloudfront
    import aws_cdk.aws_lambda as lambda_
    import aws_cdk.aws_sns as sns
    from constructs import Construct

_REFUSALS = 100
_EDGE_REGION = "us-east-1"  # the only region in which CloudFront's metrics are


def watch(
    scope: Construct,
    *,
    topic: sns.Topic,
    api: apigw.HttpApi,
    site: cloudfront.Distribution,
    function: lambda_.Function,
) -> None:
    """Tells the topic when the API or its function fails, refuses much, or the distribution has no answer.

    CloudWatch alarms watch metrics of their own region only: that of the distribution exists where the stack is in
    us-east-1. Elsewhere the API's and the function's alarms remain; the pages themselves are files in a bucket.
    """
    period = cdk.Duration.minutes(5)
    alarm(
        scope,
        "ApiErrors",
        topic=topic,
        metric=api.metric_server_error(period=period, statistic="Sum"),
        threshold=1,
        description="The API answered with a server error. The access log names the route; the log of its function "
        "holds the error under the same request id.",
    )
    alarm(
        scope,
        "ApiRefusals",
        topic=topic,
        metric=api.metric_client_error(period=period, statistic="Sum"),
        threshold=_REFUSALS,
        periods=2,
        description=f"The API refused {_REFUSALS} requests or more in each of two spans of 5 minutes. Statuses in the "
        "access log tell why: 401 and 403 are callers without a good token or role (somebody may be trying), 404 and "
        "422 pages that ask for what is not there (an old page after a deployment), 429 more than the throttle takes.",
    )
    alarm(
        scope,
        "FunctionErrors",
        topic=topic,
        metric=function.metric_errors(period=period),
        threshold=1,
        description="The console's function failed or ran out of time. Its log holds the error; a failed start names "
        "the variable that is missing.",
    )
    alarm(
        scope,
        "FunctionThrottles",
        topic=topic,
        metric=function.metric_throttles(period=period),
        threshold=1,
        description="Lambda refused requests of the console: the account's concurrency is used up. Raise its quota or "
        "find the function that uses it.",
    )
    if cdk.Stack.of(scope).region == _EDGE_REGION:
        alarm(
            scope,
            "SiteErrors",
            topic=topic,
            metric=cloudwatch.Metric(
                namespace="AWS/CloudFront",
                metric_name="5xxErrorRate",
                dimensions_map={"DistributionId": site.distribution_id, "Region": "Global"},
                statistic="Average",
                period=period,
            ),
            threshold=5,
            periods=3,
            description="5 % or more of the distribution's answers were server errors for 15 minutes. If the API's own "
            "alarm is silent, CloudFront cannot reach an origin: look at its origins and the bucket's policy.",
        )
