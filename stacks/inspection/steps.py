"""The states that a photograph goes through: look, record, and tell people of a reject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import aws_cdk.aws_stepfunctions as sfn

if TYPE_CHECKING:
    import aws_cdk.aws_lambda as lambda_
    import aws_cdk.aws_sns as sns
    from constructs import Construct

_AGAIN = {
    # Whatever fails: botocore names an error of DynamoDB or S3 by its own class, of which there are too many to list.
    # What is wrong with a photograph, or with the model's answer to it, is no error but puts it into quarantine.
    "ErrorEquals": ["States.TaskFailed"],
    "IntervalSeconds": 1,
    "MaxAttempts": 5,
    "BackoffRate": 2,
    "JitterStrategy": "FULL",
}


def chain(scope: Construct, detect: lambda_.Function, record: lambda_.Function, rejects: sns.Topic) -> sfn.IChainable:
    """The states in JSONata; their input is S3's event. What the recording function gives says whether to tell, and it
    hears when that is done: of a run that died in between, upkeep has another one tell.
    """
    given = {"event": "{% $states.input %}", "run": "{% $states.context.Execution.Id %}"}
    item = "{% $states.input.item %}"
    tell = sfn.Choice(scope, "Is somebody to be told?", query_language=sfn.QueryLanguage.JSONATA)
    tell.when(
        sfn.Condition.jsonata("{% $states.input.tell %}"),
        sfn.Chain.start(sfn.CustomState(scope, "Tell", state_json=_published(rejects))).next(
            sfn.CustomState(scope, "Keep that it is told", state_json=_called(record, {"told": item}))
        ),
    )
    tell.otherwise(sfn.Succeed(scope, "Done"))
    look = sfn.CustomState(scope, "Look", state_json=_called(detect, given))
    recorded = sfn.CustomState(scope, "Record it", state_json=_called(record, "{% $states.input %}"))
    return sfn.Chain.start(look).next(recorded).next(tell)


def _called(function: lambda_.Function, payload: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:{cdk.Aws.PARTITION}:states:::lambda:invoke",
        "Arguments": {"FunctionName": function.function_arn, "Payload": payload},
        "Output": "{% $states.result.Payload %}",
        "Retry": [_AGAIN],
    }


def _published(topic: sns.Topic) -> dict[str, Any]:
    project = {"DataType": "String", "StringValue": "{% $states.input.project %}"}
    return {
        "Type": "Task",
        "Resource": f"arn:{cdk.Aws.PARTITION}:states:::sns:publish",
        "Arguments": {
            "TopicArn": topic.topic_arn,
            "Subject": "{% $states.input.subject %}",
            "Message": "{% $states.input.message %}",
            "MessageAttributes": {"project": project},
        },
        "Output": "{% $states.input %}",
        "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 5, "BackoffRate": 2}],
    }
