"""The function behind the dashboards: it turns a question of the page into an Athena query over the report views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import aws_cdk.aws_lambda as lambda_
from constructs import Construct

from stacks.building_blocks.data_lake import log_group
from stacks.building_blocks.python_code import ARCHITECTURE, RUNTIME, handlers, powertools_layer, sextant_layer

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    import aws_cdk.aws_s3 as s3

    from stacks.config import EnvironmentConfig
    from stacks.labeling.catalog import Catalog
    from stacks.labeling.reports import Reports


class Dashboards(Construct):
    """One function; it may query one workgroup, read one database's definitions and the typed tables' objects."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: EnvironmentConfig,
        catalog: Catalog,
        reports: Reports,
        processed: s3.IBucket,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self.function = lambda_.Function(
            self,
            "Function",
            description="Answers dashboard questions from Athena",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            code=handlers("labeling"),
            handler="lambdas.labeling.dashboards.handler",
            layers=[powertools_layer(self), sextant_layer(self)],
            memory_size=512,
            timeout=cdk.Duration.seconds(29),  # API Gateway gives up after 30
            log_group=log_group(self, "Log", environment=environment, key=key),
            environment={
                "DATABASE": catalog.name,
                "WORKGROUP": environment.labeling.workgroup_name,
                "POWERTOOLS_SERVICE_NAME": "labeling",
                "POWERTOOLS_METRICS_NAMESPACE": "Sextant",
                "POWERTOOLS_LOG_LEVEL": "INFO",
            },
            environment_encryption=key,
        )
        self.function.add_to_role_policy(reports.query_statement())
        self.function.add_to_role_policy(catalog.read_statement())
        processed.grant_read(self.function, "labels/*")
        reports.results.grant_read_write(self.function)
