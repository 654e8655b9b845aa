"""Inspection: photographs of products in, verdicts and masks out, and a model that learns from what people say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from stacks.building_blocks.alarms import alarm_topic
from stacks.building_blocks.data_lake import access_log_bucket, data_key
from stacks.inspection.api import Api
from stacks.inspection.belt import Belt
from stacks.inspection.catalog import Catalog
from stacks.inspection.execution import Execution
from stacks.inspection.operation import operation_function
from stacks.inspection.pages import pages_function
from stacks.inspection.storage import Storage
from stacks.inspection.upkeep import Upkeep

if TYPE_CHECKING:
    from constructs import Construct

    from stacks.config import EnvironmentConfig


class InspectionStack(cdk.Stack):
    """HTTP API → function → table, bucket, SageMaker; photographs in the bucket → state machine → journal."""

    def __init__(self, scope: Construct, construct_id: str, environment: EnvironmentConfig) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Sextant: photographs of products to verdicts, behind the API of Lookout for Vision",
            termination_protection=environment.termination_protection,
            synthesizer=cdk.DefaultStackSynthesizer(qualifier=environment.bootstrap_qualifier),
        )
        key = data_key(self, environment)
        access_logs = access_log_bucket(self, environment)
        self.storage = Storage(self, "Storage", environment=environment, access_logs=access_logs, key=key)
        alarms = alarm_topic(self, environment, key)
        execution = Execution(self, "Execution", environment=environment, storage=self.storage)
        api = Api(
            self, "Api", environment=environment, storage=self.storage, execution=execution, key=key, alarms=alarms
        )
        belt = Belt(
            self,
            "Belt",
            environment=environment,
            storage=self.storage,
            execution=execution,
            api=api,
            key=key,
            alarms=alarms,
        )
        catalog = Catalog(
            self,
            "Catalog",
            environment=environment,
            data=self.storage.data,
            access_logs=access_logs,
            key=key,
        )
        upkeep = Upkeep(
            self,
            "Upkeep",
            environment=environment,
            storage=self.storage,
            execution=execution,
            api=api,
            belt=belt,
            key=key,
            alarms=alarms,
        )
        self.operation = operation_function(
            self, environment=environment, execution=execution, api=api, belt=belt, alarms=alarms, key=key
        )
        self.pages = pages_function(
            self,
            environment=environment,
            storage=self.storage,
            execution=execution,
            api=api,
            catalog=catalog,
            alarms=alarms,
            key=key,
        )
        cdk.CfnOutput(self, "ApiUrl", value=api.url, description="AWS_ENDPOINT_URL_LOOKOUTVISION")
        cdk.CfnOutput(self, "DataBucket", value=self.storage.data.bucket_name, description="Put photographs here")
        cdk.CfnOutput(self, "TableName", value=self.storage.table.table_name)
        cdk.CfnOutput(self, "MachineArn", value=belt.machine.state_machine_arn)
        cdk.CfnOutput(self, "RejectsTopicArn", value=belt.rejects.topic_arn)
        cdk.CfnOutput(self, "DatabaseName", value=catalog.name)
        cdk.CfnOutput(self, "WorkgroupName", value=catalog.workgroup.ref)
        cdk.CfnOutput(self, "ReviewFunction", value=upkeep.review.function.function_name)
        for name, made in upkeep.scheduled.items():
            cdk.CfnOutput(self, f"{name}Function", value=made.function.function_name)
