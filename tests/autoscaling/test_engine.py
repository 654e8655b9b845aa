"""The operations as boto3 would call them, and endpoints that really grow and shrink under load."""

import threading
import time
from types import SimpleNamespace

import pytest

from localaws.engines.autoscaling.engine import Autoscaling
from localaws.home import Call, ServiceError
from tests.sagemaker.test_serving import ask, configure, endpoint, model, settled

RESOURCE = "endpoint/e/variant/all"
NAMED = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": RESOURCE,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
ALL = {"ServiceNamespace": "sagemaker"}


def tracking(target=600.0, metric="SageMakerVariantInvocationsPerInstance", **members):
    specification = {"PredefinedMetricType": metric}
    return {"TargetValue": target, "PredefinedMetricSpecification": specification, **members}


POLICY = {**NAMED, "PolicyName": "p", "PolicyType": "TargetTrackingScaling"}
QUICK = {"TargetTrackingScalingPolicyConfiguration": tracking(ScaleOutCooldown=0, ScaleInCooldown=0)}


@pytest.fixture
def scaling(aws):
    """The engine and its operations in the test's account; a period is a fifth of a second."""
    made = Autoscaling(aws.home, aws.sagemaker, period=0.2)

    def do(operation, call=aws.call, **params):
        return getattr(made, operation)(call, params)

    def activities():
        found = do("describe_scaling_activities", **ALL)["ScalingActivities"]
        return [(each["Description"], each["StatusCode"]) for each in reversed(found)]

    yield SimpleNamespace(do=do, activities=activities, engine=made)
    made.close()


def instances(aws):
    described = aws.sagemaker.describe_endpoint(aws.call, {"EndpointName": "e"})
    return described["EndpointStatus"], described["ProductionVariants"][0]["CurrentInstanceCount"]


class Load:
    """Two callers that ask the endpoint again and again, every `pause` seconds each, and keep what they got."""

    def __init__(self, aws, pause):
        self.pids, self.errors, self.pause = [], [], pause
        self._aws, self._stop = aws, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]

    def _ask(self):
        while not self._stop.wait(self.pause):
            try:
                self.pids.append(ask(self._aws)[0]["pid"])
            except ServiceError as error:
                self.errors.append(str(error))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_load_brings_a_second_instance_and_its_end_takes_it_away_with_no_answer_lost(aws, scaling):
    model(aws)
    endpoint(aws)
    scaling.do("register_scalable_target", **NAMED, MinCapacity=1, MaxCapacity=2)
    scaling.do("put_scaling_policy", **POLICY, **QUICK)
    with Load(aws, pause=0.02) as load:  # some 80 a second where 10 are wanted
        aws.wait(lambda: instances(aws) == ("InService", 2))
        seen = len(load.pids)
        aws.wait(lambda: len(set(load.pids[seen:])) == 2)  # both take part
        load.pause = 0.5  # 4 a second: one instance does
        aws.wait(lambda: instances(aws) == ("InService", 1))
        seen = len(load.pids)
        aws.wait(lambda: len(load.pids) >= seen + 4)
        assert len(set(load.pids[seen + 2 :])) == 1
    assert load.errors == []
    aws.wait(lambda: all(status == "Successful" for _, status in scaling.activities()))
    assert scaling.activities() == [
        ("Setting desired instance count to 2.", "Successful"),
        ("Setting desired instance count to 1.", "Successful"),
    ]


def test_a_new_model_keeps_the_instances_that_scaling_has_set(aws, scaling):
    model(aws)
    endpoint(aws)
    scaling.do("register_scalable_target", **NAMED, MinCapacity=2, MaxCapacity=2)
    aws.wait(lambda: instances(aws) == ("InService", 2))  # no policy is needed to be within the bounds
    configure(aws, "next", ("all", "m", 1, 1.0))
    change = {"EndpointName": "e", "EndpointConfigName": "next", "RetainAllVariantProperties": True}
    aws.sagemaker.update_endpoint(aws.call, change)
    assert settled(aws)["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert len(scaling.activities()) == 1


def test_what_cannot_be_scaled_is_told_as_an_activity(aws, scaling):
    model(aws)
    endpoint(aws)
    aws.put("models/m.tar.gz", b"no archive any more")
    scaling.do("register_scalable_target", **NAMED, MinCapacity=2, MaxCapacity=2)
    aws.wait(lambda: ("Setting desired instance count to 2.", "Failed") in scaling.activities())
    assert ask(aws)[0]["body"] == "hello"


def test_a_deleted_endpoint_takes_its_target_with_it(aws, scaling):
    model(aws)
    endpoint(aws)
    scaling.do("register_scalable_target", **NAMED, MinCapacity=1, MaxCapacity=2)
    scaling.do("put_scaling_policy", **POLICY, **QUICK)
    aws.sagemaker.delete_endpoint(aws.call, {"EndpointName": "e"})
    aws.wait(lambda: not scaling.do("describe_scalable_targets", **ALL)["ScalableTargets"])
    assert scaling.do("describe_scaling_policies", **ALL)["ScalingPolicies"] == []


def test_targets_and_policies_are_made_changed_told_and_removed(aws, scaling):
    model(aws)
    endpoint(aws)
    do = scaling.do
    arn = do("register_scalable_target", **NAMED, MinCapacity=1, MaxCapacity=2, Tags={"a": "1"})["ScalableTargetARN"]
    assert do("register_scalable_target", **NAMED, MaxCapacity=3)["ScalableTargetARN"] == arn
    suspended = {"DynamicScalingInSuspended": True}
    do("register_scalable_target", **NAMED, SuspendedState=suspended)
    [target] = do("describe_scalable_targets", **ALL, ResourceIds=[RESOURCE])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"], target["SuspendedState"]) == (1, 3, suspended)
    assert target["RoleARN"].endswith(
        "/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )
    do("tag_resource", ResourceARN=arn, Tags={"b": "2"})
    do("untag_resource", ResourceARN=arn, TagKeys=["a"])
    assert do("list_tags_for_resource", ResourceARN=arn)["Tags"] == {"b": "2"}

    made = do("put_scaling_policy", **POLICY, **QUICK)
    changed = do("put_scaling_policy", **POLICY, TargetTrackingScalingPolicyConfiguration=tracking(5.0))
    assert changed == made
    [policy] = do("describe_scaling_policies", **ALL, ResourceId=RESOURCE)["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 5
    assert do("describe_scaling_policies", **ALL, PolicyNames=["other"])["ScalingPolicies"] == []
    with pytest.raises(ServiceError, match="Only one TargetTrackingScaling policy"):
        do("put_scaling_policy", **{**POLICY, "PolicyName": "q"}, **QUICK)

    name = {**NAMED, "PolicyName": "p"}
    do("delete_scaling_policy", **name)
    with pytest.raises(ServiceError, match="ObjectNotFoundException: No scaling policy found"):
        do("delete_scaling_policy", **name)
    do("deregister_scalable_target", **NAMED)
    with pytest.raises(ServiceError, match="ObjectNotFoundException: No scalable target registered"):
        do("deregister_scalable_target", **NAMED)
    with pytest.raises(ServiceError, match="ResourceNotFoundException"):
        do("list_tags_for_resource", ResourceARN=arn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"MaxCapacity": None}, "Both MinCapacity and MaxCapacity are required"),
        ({"MinCapacity": 3}, "MinCapacity 3 and MaxCapacity 2"),
        ({"MinCapacity": 0}, "the minimum is at least 1"),
        ({"ServiceNamespace": "ecs"}, "ServiceNamespace 'ecs' is not supported"),
        ({"ScalableDimension": "ecs:service:DesiredCount"}, "it scales sagemaker:variant:DesiredInstanceCount"),
        ({"ResourceId": "service/e"}, "give endpoint/NAME/variant/VARIANT"),
        ({"ResourceId": "endpoint/none/variant/all"}, "Could not find endpoint"),
        ({"ResourceId": "endpoint/e/variant/none"}, "has no variant none"),
        ({"MaxCapacity": "many"}, "Invalid type for parameter MaxCapacity"),
    ],
)
def test_a_target_that_cannot_be_is_refused(aws, scaling, change, message):
    model(aws)
    endpoint(aws)
    given = {**NAMED, "MinCapacity": 1, "MaxCapacity": 2, **change}
    with pytest.raises(ServiceError, match="ValidationException") as refused:
        scaling.do("register_scalable_target", **{name: value for name, value in given.items() if value is not None})
    assert message in refused.value.message
    assert scaling.do("describe_scalable_targets", **ALL)["ScalableTargets"] == []


def test_a_policy_that_cannot_be_is_refused(aws, scaling):
    with pytest.raises(ServiceError, match="ObjectNotFoundException: No scalable target registered"):
        scaling.do("put_scaling_policy", **POLICY, **QUICK)
    model(aws)
    endpoint(aws)
    scaling.do("register_scalable_target", **NAMED, MinCapacity=1, MaxCapacity=2)
    for change, message in [
        ({"PolicyType": "StepScaling"}, "PolicyType 'StepScaling' is not supported"),
        ({}, "TargetTrackingScalingPolicyConfiguration is required"),
        ({"TargetTrackingScalingPolicyConfiguration": tracking(metric="ALBRequestCountPerTarget")}, "it follows Sage"),
        ({"TargetTrackingScalingPolicyConfiguration": tracking(0.0)}, "TargetValue 0 must be more than 0"),
    ]:
        with pytest.raises(ServiceError, match="ValidationException") as refused:
            scaling.do("put_scaling_policy", **{**POLICY, **change})
        assert message in refused.value.message


def test_the_caller_needs_what_the_service_will_do_and_the_right_to_its_role_once(aws, scaling):
    model(aws)
    endpoint(aws)
    asked = []
    call = Call(aws.call.account, aws.call.region, lambda action, _, context=None: asked.append((action, context)))
    scaling.do("register_scalable_target", call, **NAMED, MinCapacity=1, MaxCapacity=2)
    linked = {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"}
    own = [("sagemaker:DescribeEndpoint", None), ("sagemaker:DescribeEndpointConfig", None)]
    own.append(("sagemaker:UpdateEndpointWeightsAndCapacities", None))
    assert asked == [*own, ("iam:CreateServiceLinkedRole", linked)]
    asked.clear()
    scaling.do("deregister_scalable_target", call, **NAMED)
    scaling.do("register_scalable_target", call, **NAMED, MinCapacity=1, MaxCapacity=2)
    assert asked == own  # the account has the role now
    asked.clear()
    scaling.do("put_scaling_policy", call, **POLICY, **QUICK)
    scaling.do("delete_scaling_policy", call, **NAMED, PolicyName="p")
    alarms = ("cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms")
    assert [action for action, _ in asked] == list(alarms)


def test_targets_outlive_the_engine_and_lists_have_pages(aws, scaling):
    model(aws)
    endpoint(aws, ("all", "m", 1, 1.0), ("other", "m", 1, 0.0))
    other = {**NAMED, "ResourceId": "endpoint/e/variant/other"}
    for named in (NAMED, other):
        scaling.do("register_scalable_target", **named, MinCapacity=1, MaxCapacity=2)
    again = Autoscaling(aws.home, aws.sagemaker, period=60)
    try:
        page = again.describe_scalable_targets(aws.call, {**ALL, "MaxResults": 1})
        rest = again.describe_scalable_targets(aws.call, {**ALL, "NextToken": page["NextToken"]})
        found = [target["ResourceId"] for target in page["ScalableTargets"] + rest["ScalableTargets"]]
        assert found == [RESOURCE, "endpoint/e/variant/other"]
        with pytest.raises(ServiceError, match="InvalidNextTokenException"):
            again.describe_scalable_targets(aws.call, {**ALL, "NextToken": "x"})
    finally:
        before = time.monotonic()
        again.close()
        assert time.monotonic() - before < 5  # not at the end of its period
