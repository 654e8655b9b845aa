"""Slides: whole-slide images in, slide-level scores, heatmaps and a registered model out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
import aws_cdk.aws_kms as kms
import aws_cdk.aws_s3 as s3

from stacks.building_blocks.alarms import alarm_topic
from stacks.building_blocks.data_lake import access_log_bucket, data_key, private_bucket
from stacks.slides.execution import Execution
from stacks.slides.operation import operation_function
from stacks.slides.pages import pages_function
from stacks.slides.pipeline import Pipeline
from stacks.slides.registry import Registry

if TYPE_CHECKING:
    from constructs import Construct

    from stacks.config import EnvironmentConfig

_TO_EVENT_BRIDGE = s3.CfnBucket.NotificationConfigurationProperty(
    event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
)


class SlidesStack(cdk.Stack):
    """slides.csv in a bucket → state machine of SageMaker jobs → runs bucket and model registry → endpoint."""

    def __init__(self, scope: Construct, construct_id: str, environment: EnvironmentConfig) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Sextant: whole-slide images to slide-level scores",
            termination_protection=environment.termination_protection,
            synthesizer=cdk.DefaultStackSynthesizer(qualifier=environment.bootstrap_qualifier),
        )
        key = data_key(self, environment)
        access_logs = access_log_bucket(self, environment)
        slides = self._slides_bucket(environment, key, access_logs)
        runs = private_bucket(
            self,
            "Runs",
            environment=environment,
            access_logs=access_logs,
            key=key,
            unversioned_because="A run writes below its name, or what all would write alike; all can be made again.",
        )
        alarms = alarm_topic(self, environment, key)
        execution = Execution(self, "Execution", environment=environment, slides=slides, runs=runs)
        registry = Registry(
            self, "Registry", environment=environment, execution=execution, runs=runs, key=key, alarms=alarms
        )
        pipeline = Pipeline(
            self,
            "Pipeline",
            environment=environment,
            execution=execution,
            register=registry.register,
            slides=slides,
            runs=runs,
            key=key,
            alarms=alarms,
        )
        self.operation = operation_function(
            self,
            environment=environment,
            pipeline=pipeline,
            registry=registry,
            slides=slides,
            runs=runs,
            alarms=alarms,
            key=key,
        )
        self.pages = pages_function(self, environment=environment, slides=slides, runs=runs, alarms=alarms, key=key)
        cdk.CfnOutput(self, "SlidesBucket", value=slides.bucket_name, description="Put slides, then slides.csv here")
        cdk.CfnOutput(self, "RunsBucket", value=runs.bucket_name)
        cdk.CfnOutput(self, "MachineArn", value=pipeline.machine.state_machine_arn)
        cdk.CfnOutput(self, "ModelPackageGroup", value=registry.group_name)

    def _slides_bucket(self, environment: EnvironmentConfig, key: kms.Key, access_logs: s3.IBucket) -> s3.IBucket:
        """The bucket with slides: the environment's own, or a new one."""
        settings = environment.slides
        if settings.slides_bucket is None:
            bucket = private_bucket(self, "Slides", environment=environment, access_logs=access_logs, key=key)
            # The bucket's own property: the CDK's way is a function that sets it.
            cast("s3.CfnBucket", bucket.node.default_child).notification_configuration = _TO_EVENT_BRIDGE
            return bucket
        return s3.Bucket.from_bucket_attributes(
            self,
            "Slides",
            bucket_name=settings.slides_bucket,
            encryption_key=kms.Key.from_key_arn(self, "SlidesKey", settings.slides_key_arn)
            if settings.slides_key_arn
            else None,
        )
