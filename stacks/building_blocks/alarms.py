"""Alarms that reach a person: one topic per system; each alarm says what to do then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk.aws_cloudwatch as cloudwatch
import aws_cdk.aws_cloudwatch_actions as actions
import aws_cdk.aws_iam as iam
import aws_cdk.aws_sns as sns
import aws_cdk.aws_sns_subscriptions as subscriptions

if TYPE_CHECKING:
    import aws_cdk.aws_kms as kms
    from constructs import Construct

    from stacks.config import EnvironmentConfig


_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
_AT_OR_ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
_BREACHING, _NOT_BREACHING = cloudwatch.TreatMissingData.BREACHING, cloudwatch.TreatMissingData.NOT_BREACHING


def alarm_topic(scope: Construct, environment: EnvironmentConfig, key: kms.Key) -> sns.Topic:
    """The topic of a system's alarms; mails them where the environment names an address.

    Any policy replaces SNS's own, which let this account's services publish: so CloudWatch is named here. A rule's
    target adds EventBridge to both policies by itself, without a condition: SNS supports none there.
    """
    # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
    topic = sns.Topic(scope, "Alarms", master_key=key, enforce_ssl=True)
    for add, allowed, resource in (
        (topic.add_to_resource_policy, ["sns:Publish"], topic.topic_arn),
        (key.add_to_resource_policy, ["kms:Decrypt", "kms:GenerateDataKey*"], "*"),  # a key policy speaks of its own
    ):
        add(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=allowed,
                resources=[resource],
                conditions={"StringEquals": {"aws:SourceAccount": environment.account}},
            )
        )
    if environment.alarm_email:
        # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
        topic.add_subscription(subscriptions.EmailSubscription(environment.alarm_email))
    return topic


def alarm(
    scope: Construct,
    construct_id: str,
    *,
    topic: sns.Topic,
    metric: cloudwatch.IMetric,
    threshold: float,
    description: str,
    periods: int = 1,
    silence: bool = False,
) -> cloudwatch.Alarm:
    """An alarm at or above a threshold, or below it and of no data at all (`silence`).

    `description` says what happened and what to do.
    """
    result = cloudwatch.Alarm(
        scope,
        construct_id,
        metric=metric,
        threshold=threshold,
        evaluation_periods=periods,
        comparison_operator=_BELOW if silence else _AT_OR_ABOVE,
        treat_missing_data=_BREACHING if silence else _NOT_BREACHING,
        alarm_description=description,
    )
    # pyrefly: ignore[bad-argument-type]  # jsii renames a parameter in the class
    result.add_alarm_action(actions.SnsAction(topic))
    return result
