"""Step Functions' RedriveExecution on the embedded AWS, and the names that the slides' machine gives its jobs."""

import io
import json
import re
import socket
import time
import zipfile

import boto3
import pytest
from botocore.exceptions import ClientError

from localaws import emulator
from stacks.slides import steps

FAILING = "def handler(event, context):\n    raise ValueError(event['name'])\n"
MENDED = "def handler(event, context):\n    return {'name': event['name'], 'run': event['run']}\n"
NAMED = {
    "Type": "Task",
    "Resource": "arn:aws:states:::lambda:invoke",
    "Arguments": {
        "FunctionName": "work",
        "Payload": {"name": steps.job_name("tile"), "run": steps.expression(steps.RUN)},
    },
    "Output": {"done": "{% $states.result.Payload %}"},
    "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}],
    "Next": "After",
}
DEFINITION = {
    "QueryLanguage": "JSONata",
    "StartAt": "Before",
    "States": {
        "Before": {"Type": "Pass", "Output": {"run": "{% $states.input.run %}"}, "Next": "Work"},
        "Work": NAMED,
        "After": {"Type": "Pass", "Output": "{% $merge([$states.input, {'after': true}]) %}", "End": True},
    },
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    state = tmp_path_factory.mktemp("redrive")
    try:
        yield emulator.start(state, port=free_port(), console_port=free_port())
    finally:
        emulator.stop(state)


@pytest.fixture(scope="module")
def client(running):
    def made(service, key=emulator.ACCOUNT, secret="local"):
        keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
        return boto3.client(service, endpoint_url=running.endpoint, region_name=emulator.REGION, **keys)

    return made


def role(client, name, service, *actions):
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    made = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    if actions:
        allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
    return made["Role"]["Arn"]


def zipped(code):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("main.py", code)
    return archive.getvalue()


def ended(states, execution, seconds=60):
    deadline = time.monotonic() + seconds
    while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < deadline, "the execution did not end"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def failed(client):
    """An execution whose second state failed twice, and could do better now."""
    functions, states = client("lambda"), client("stepfunctions")
    functions.create_function(
        FunctionName="work",
        Runtime="python3.13",
        Handler="main.handler",
        Role=role(client, "work", "lambda.amazonaws.com"),
        Code={"ZipFile": zipped(FAILING)},
        Timeout=20,
    )
    machine = states.create_state_machine(
        name="redriven",
        definition=json.dumps(DEFINITION),
        roleArn=role(client, "machine", "states.amazonaws.com", "lambda:InvokeFunction"),
    )["stateMachineArn"]
    given = json.dumps({"run": "20261121T173000-0123abcd", "more": 1})
    arn = states.start_execution(stateMachineArn=machine, name="one", input=given)["executionArn"]
    found = ended(states, arn)
    assert (found["status"], found["redriveCount"], found["redriveStatus"]) == ("FAILED", 0, "REDRIVABLE")
    assert "20261121T173000-0123abcd-tile-0-1" in found["cause"], "the second of two attempts"
    functions.update_function_code(FunctionName="work", ZipFile=zipped(MENDED))
    return arn


def test_only_who_may_redrives(client, failed):
    iam = client("iam")
    iam.create_user(UserName="watcher")
    policy = {"Effect": "Allow", "Action": ["states:DescribeExecution", "states:StartExecution"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    iam.put_user_policy(UserName="watcher", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="watcher")["AccessKey"]
    watcher = client("stepfunctions", key["AccessKeyId"], key["SecretAccessKey"])

    assert watcher.describe_execution(executionArn=failed)["status"] == "FAILED"
    with pytest.raises(ClientError, match="states:RedriveExecution"):
        watcher.redrive_execution(executionArn=failed)


def test_a_redriven_execution_goes_on_where_it_failed_with_new_names_for_its_jobs(client, failed):
    states = client("stepfunctions")

    states.redrive_execution(executionArn=failed)

    found = ended(states, failed)
    assert found["status"] == "SUCCEEDED"
    assert json.loads(found["output"]) == {
        "done": {"name": "20261121T173000-0123abcd-tile-1-0", "run": "20261121T173000-0123abcd"},
        "after": True,
    }
    assert json.loads(found["input"])["more"] == 1
    assert (found["redriveCount"], found["redriveStatus"]) == (1, "NOT_REDRIVABLE")
    events = states.get_execution_history(executionArn=failed)["events"]
    entered = [each["stateEnteredEventDetails"]["name"] for each in events if each["type"].endswith("StateEntered")]
    assert entered == ["Before", "Work", "After"], "what was done is not done again"
    kinds = [each["type"] for each in events]
    assert kinds.index("ExecutionFailed") < kinds.index("ExecutionRedriven") < kinds.index("ExecutionSucceeded")
    with pytest.raises(states.exceptions.ExecutionNotRedrivable, match="Execution is SUCCEEDED"):
        states.redrive_execution(executionArn=failed)
    with pytest.raises(states.exceptions.ExecutionDoesNotExist):
        states.redrive_execution(executionArn=f"{failed}-other")


def test_every_name_is_one_that_sagemaker_takes():
    """The longest run, step and counts: 63 characters, and no more."""
    import jsonata

    told = {
        "input": {"run": "r" * 40},
        "context": {"Execution": {"RedriveCount": 1000}, "State": {"RetryCount": 5}},
    }
    for step in ("plan", "tile", "pack", "features", "train", "score", "evaluate"):
        expression = steps.job_name(step).removeprefix("{%").removesuffix("%}")
        name = jsonata.Jsonata.jsonata(expression).evaluate(None, {"states": told})
        assert name == f"{'r' * 40}-{step}-1000-5"
        assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
