"""Makes noise of reports that got no rows: the page shows them with status 200, which no alarm of Lambda sees."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger, Metrics

    from sextant.labeling.dashboards.athena import QueryError

METRIC = "FailedQueries"


@dataclass(frozen=True)
class Failures:
    """Logs each failure at level ERROR and counts it in the metric `FailedQueries`."""

    logger: "Logger"
    metrics: "Metrics"

    def __call__(self, visual: str, error: "QueryError") -> None:
        """Tells of one visual without rows: its id, Athena's reason and the query's id, never the reader's filters."""
        self.logger.error(
            "query failed",
            visual=visual,
            code=error.code,
            reason=str(error),
            query_execution_id=error.query_execution_id,
        )
        self.metrics.add_metric(name=METRIC, unit="Count", value=1)
