"""The inspection stack: what starts what, and who may do what."""

import json

import pytest

INCOMING = json.dumps({"Fn::Join": ["", [{"Fn::GetAtt": ["StorageData6BB23F4E", "Arn"]}, "/incoming/*"]]})


@pytest.fixture
def stack(local):
    return local["Inspection"]["Resources"]


def one(stack, kind, begins=""):
    (found,) = [each["Properties"] for name, each in stack.items() if each["Type"] == kind and name.startswith(begins)]
    return found


def allowed(stack, role):
    """(action, resource as text) of the role whose policy's name begins with a construct's."""
    policy = one(stack, "AWS::IAM::Policy", f"{role}RoleDefaultPolicy")
    return {
        (action, json.dumps(resource))
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
        for resource in (statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]])
    }


def writable(stack, role):
    """The prefixes of the data bucket that a role may put objects below."""
    return {
        resource.rpartition("/")[0].rpartition('"/')[2] + "/"
        for action, resource in allowed(stack, role)
        if action == "s3:PutObject" and "StorageData" in resource and not resource.endswith('"/*"]]}')
    }


def test_the_table_is_encrypted_kept_and_can_be_brought_back(stack, production):
    table = one(stack, "AWS::DynamoDB::Table")
    assert table["SSESpecification"]["SSEEnabled"] is True
    assert table["SSESpecification"]["KMSMasterKeyId"] == {"Fn::GetAtt": ["DataKey17AFBB84", "Arn"]}
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert [each["AttributeName"] for each in table["KeySchema"]] == ["pk", "sk"]
    assert one(production["Inspection"]["Resources"], "AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is True


def test_every_route_of_the_api_asks_iam(stack):
    route = one(stack, "AWS::ApiGatewayV2::Route")
    assert route["AuthorizationType"] == "AWS_IAM"
    assert route["RouteKey"] == "ANY /2020-11-20/{proxy+}"


def test_the_bucket_tells_event_bridge(stack):
    bucket = one(stack, "AWS::S3::Bucket", "StorageData")
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_photographs_start_the_express_machine_and_lost_ones_wait_in_a_queue(stack):
    rule = one(stack, "AWS::Events::Rule", "BeltArrived")
    assert rule["EventPattern"]["detail"]["object"]["key"] == [{"prefix": "incoming/"}, {"prefix": "new-data/"}]
    (target,) = rule["Targets"]
    assert "BeltLostPhotographs" in json.dumps(target["DeadLetterConfig"])
    machine = one(stack, "AWS::StepFunctions::StateMachine")
    assert machine["StateMachineType"] == "EXPRESS"
    definition = "".join(part for part in machine["DefinitionString"]["Fn::Join"][1] if isinstance(part, str))
    assert '"QueryLanguage":"JSONata"' in definition
    for state in ("Look", "Record it", "Is somebody to be told?", "Tell", "Keep that it is told", "Done"):
        assert f'"{state}":' in definition


def test_whatever_fails_is_tried_again_for_half_a_minute_and_then_wakes_somebody(stack):
    machine = one(stack, "AWS::StepFunctions::StateMachine")
    parts = machine["DefinitionString"]["Fn::Join"][1]
    states = json.loads("".join(part if isinstance(part, str) else "x" for part in parts))["States"]
    for name in ("Look", "Record it", "Keep that it is told"):
        (again,) = states[name]["Retry"]
        assert again["ErrorEquals"] == ["States.TaskFailed"]
        waits = [again["IntervalSeconds"] * again["BackoffRate"] ** at for at in range(again["MaxAttempts"])]
        assert 10 <= sum(waits) <= 40
        assert again["JitterStrategy"] == "FULL"
    assert states["Tell"]["Next"] == "Keep that it is told"
    assert states["Tell"]["Output"] == "{% $states.input %}", "the next one is told of which item"
    assert states["Keep that it is told"]["End"] is True
    watched = {each["Properties"]["MetricName"] for each in stack.values() if each["Type"] == "AWS::CloudWatch::Alarm"}
    assert watched >= {"ExecutionsFailed", "ExecutionsTimedOut"}


def test_who_looks_at_photographs_cannot_change_them(stack):
    assert writable(stack, "BeltDetect") == {"masks/"}
    assert ("s3:GetObjectVersion", INCOMING) in allowed(stack, "BeltDetect")
    record = allowed(stack, "BeltRecord")
    assert {action for action, resource in record if "StorageData" in resource and action.startswith("s3:")} == {
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:GetBucketLocation",
    }
    assert not [each for each in record if each[0].startswith("sagemaker:")]


def test_only_who_tells_may_publish(stack):
    publishing = {
        name.partition("Default")[0]
        for name, each in stack.items()
        if each["Type"] == "AWS::IAM::Policy" and "sns:Publish" in json.dumps(each)
    }
    assert publishing == {"BeltMachineRole", "UpkeepDriftRole"}


def test_at_home_nothing_may_make_endpoints_and_with_sagemaker_only_its_own(stack, production):
    assert "CreateEndpoint" not in json.dumps(stack)
    made = {
        resource
        for action, resource in allowed(production["Inspection"]["Resources"], "ApiFunction")
        if action in {"sagemaker:CreateEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:CreateTrainingJob"}
    }
    assert made
    assert all(json.loads(resource).rpartition(":")[2].split("/")[1] == "production-inspection-*" for resource in made)


def test_functions_that_look_run_in_one_image_with_a_processor_of_their_own(stack):
    images = [
        each["Properties"]
        for each in stack.values()
        if each["Type"] == "AWS::Lambda::Function" and each["Properties"].get("PackageType") == "Image"
    ]
    assert {each["ImageConfig"]["Command"][0] for each in images} >= {
        "lambdas.inspection.api.handler",
        "lambdas.inspection.detect.handler",
        "lambdas.inspection.promote.handler",
    }
    assert len({json.dumps(each["Code"]) for each in images}) == 1
    assert {each["MemorySize"] for each in images} == {1769}
    assert {tuple(each["Architectures"]) for each in images} == {("x86_64",)}


def test_shifts_begin_and_end_in_their_time_zone(production, stack):
    schedules = [
        each["Properties"]
        for each in production["Inspection"]["Resources"].values()
        if each["Type"] == "AWS::Scheduler::Schedule"
    ]
    told = {json.loads(each["Target"]["Input"])["action"]: each for each in schedules}
    assert told["start"]["ScheduleExpression"] == "cron(45 5 ? * MON-FRI *)"
    assert told["stop"]["ScheduleExpression"] == "cron(15 22 ? * MON-FRI *)"
    assert {each["ScheduleExpressionTimezone"] for each in schedules} == {"Europe/Berlin"}
    assert json.loads(told["start"]["Target"]["Input"]) == {"action": "start", "project": "bracket", "units": 1}
    assert not [each for each in stack.values() if each["Type"] == "AWS::Scheduler::Schedule"]


def test_the_table_of_verdicts_has_the_columns_that_are_written(stack):
    from sextant.inspection.loop.lines import FIELDS, PREFIX

    tables = {
        each["Properties"]["TableInput"]["Name"]: each["Properties"]["TableInput"]
        for each in stack.values()
        if each["Type"] == "AWS::Glue::Table"
    }
    assert set(tables) == {"verdicts", "anomaly_ratio", "anomaly_ratio_per_hour", "checked"}
    columns = [each["Name"] for each in tables["verdicts"]["StorageDescriptor"]["Columns"]]
    assert tuple(columns) == FIELDS
    template = tables["verdicts"]["Parameters"]["storage.location.template"]["Fn::Join"][1][-1]
    assert template == f"/{PREFIX}day=${{day}}/"


def test_metrics_have_the_services_names_in_a_namespace_that_may_be_written(stack):
    """CloudWatch takes nothing below AWS/ from anybody else."""
    told = {
        each["Properties"]["Environment"]["Variables"].get("METRICS")
        for each in stack.values()
        if each["Type"] == "AWS::Lambda::Function"
    }
    assert told == {"Sextant/local/LookoutVision"}
