"""After each successful run of the ETL job: the mailed report as a file, and a message for each batch that changed."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from sextant import aws
from sextant.environment import environment
from sextant.labeling.dashboards.athena import Lake
from sextant.labeling.report.publish import Target, publish

logger = Logger(service="labeling-report")
metrics = Metrics(service="labeling-report")
lake = environment(Lake)
target = environment(Target)
athena, s3, sns = aws.client("athena"), aws.client("s3"), aws.client("sns")


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Handles `Glue Job State Change`. The same event twice publishes nothing twice."""
    made = publish(athena, s3, sns, lake, target)
    metrics.add_metric(name="SummariesPublished", unit=MetricUnit.Count, value=len(made.published))
    logger.info("report made", report=made.report, published=made.published)
    return made.model_dump()
