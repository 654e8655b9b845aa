"""What localaws/adapter.py relies on in ministack: each test fails when ministack changes under us.

The tests drive a running emulator through boto3 wherever the behaviour shows there; only names that nothing else
reaches are looked up.
"""

import io
import json
import time
import zipfile

import pytest
from botocore.exceptions import ClientError

from localaws import adapter
from localaws.emulator import REGION
from localaws.engines.sagemaker.images import bucket_of, key_of, packed

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def role(embedded, name, *statements, service="lambda.amazonaws.com"):
    trust = json.loads(json.dumps(TRUST).replace("lambda.amazonaws.com", service))
    iam = embedded.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    if statements:
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    return arn


def function(embedded, name, code, role_arn):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("main.py", code)
    embedded.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="main.handler",
        Role=role_arn,
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
    )
    return name


def invoke(embedded, name, payload=None):
    answer = embedded.client("lambda").invoke(FunctionName=name, Payload=json.dumps(payload or {}))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def test_the_pinned_version_is_the_one_installed():
    from importlib.metadata import version

    assert version("ministack") == "1.5.33", "read emulation.md §3 anew, then change the pin, this test and the adapter"


def test_an_exception_keeps_its_class_so_that_retry_and_catch_can_match(embedded):
    code = "class Throttled(Exception): pass\ndef handler(event, context):\n    raise Throttled('slow down')\n"
    name = function(embedded, "raises", code, role(embedded, "raises"))

    error, body = invoke(embedded, name)

    assert error == "Unhandled"
    assert body["errorType"] == "Throttled"
    assert body["errorMessage"] == "slow down"


def test_the_checkout_is_not_on_a_functions_path(embedded):
    code = "def handler(event, context):\n    import stacks\n"
    name = function(embedded, "imports", code, role(embedded, "imports"))

    _, body = invoke(embedded, name)

    assert body["errorType"] == "ModuleNotFoundError"


def test_a_burst_of_events_starts_no_more_workers_than_slots(embedded):
    from concurrent.futures import ThreadPoolExecutor

    code = "import os, time\ndef handler(event, context):\n    time.sleep(0.2)\n    return os.getpid()\n"
    name = function(embedded, "burst", code, role(embedded, "burst"))

    with ThreadPoolExecutor(16) as pool:
        workers = {body for _, body in pool.map(lambda _: invoke(embedded, name), range(32))}

    assert workers
    assert len(workers) <= adapter.LAMBDA_SLOTS


def test_loopback_counts_as_tls_for_bucket_policies(embedded):
    s3 = embedded.client("s3")
    s3.create_bucket(Bucket="tls-only")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [deny]}
    s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps(policy))
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    code = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    boto3.client('s3').put_object(Bucket='tls-only', Key='k', Body=b'x')\n"
    )
    name = function(embedded, "writes", code, role(embedded, "writes", allowed))

    error, body = invoke(embedded, name)

    assert error is None, body


def test_public_parameters_name_the_powertools_layer_in_every_account(embedded):
    for account in ("000000000000", "222233334444"):
        ssm = embedded.client("ssm", account=account)
        name = "/aws/service/powertools/python/arm64/python3.14/latest"
        assert (
            ":layer:AWSLambdaPowertoolsPythonV3-python314-arm64:" in ssm.get_parameter(Name=name)["Parameter"]["Value"]
        )


def test_objects_are_files_that_engines_can_read_without_a_request(embedded):
    s3 = embedded.client("s3")
    s3.create_bucket(Bucket="bodies")
    for key in ("a/plain.json", "a/with space+and ümlaut", "a/2019-04-18_16:13:04.json", "a"):
        s3.put_object(Bucket="bodies", Key=key, Body=key.encode())
    athena, database = embedded.client("athena"), "bodies"
    embedded.client("glue").create_database(DatabaseInput={"Name": database})
    s3.put_object(Bucket="bodies", Key="t/part 1+ü.json", Body=b'{"n": 1}\n{"n": 2}\n')
    embedded.client("glue").create_table(
        DatabaseName=database,
        TableInput={
            "Name": "t",
            "StorageDescriptor": {
                "Location": "s3://bodies/t/",
                "Columns": [{"Name": "n", "Type": "int"}],
                "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
            },
        },
    )
    query = athena.start_query_execution(
        QueryString="SELECT sum(n) FROM t",
        QueryExecutionContext={"Database": database},
        ResultConfiguration={"OutputLocation": "s3://bodies/results/"},
    )

    state = finished(athena, query["QueryExecutionId"])

    assert state["State"] == "SUCCEEDED", state
    rows = athena.get_query_results(QueryExecutionId=query["QueryExecutionId"])["ResultSet"]["Rows"]
    assert rows[1]["Data"][0]["VarCharValue"] == "3"
    assert s3.get_object(Bucket="bodies", Key="a")["Body"].read() == b"a"


def finished(athena, query_id):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
        if status["State"] not in {"QUEUED", "RUNNING"}:
            return status
        time.sleep(0.05)
    pytest.fail(f"query {query_id} did not end within 30 s")


def test_our_services_ask_iam_by_operation_and_resource(embedded):
    """A role that may query one workgroup may not query another, and an unsigned caller nothing."""
    allowed = {
        "Effect": "Allow",
        "Action": "athena:GetWorkGroup",
        "Resource": f"arn:aws:athena:{REGION}:000000000000:workgroup/primary",
    }
    code = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    return boto3.client('athena').get_work_group(WorkGroup=event['name'])['WorkGroup']['Name']\n"
    )
    name = function(embedded, "asks", code, role(embedded, "asks", allowed))

    assert invoke(embedded, name, {"name": "primary"}) == (None, "primary")
    error, body = invoke(embedded, name, {"name": "other"})
    assert error
    assert "not authorized to perform: athena:GetWorkGroup on resource" in body["errorMessage"]


def test_the_catalog_asks_iam_for_catalog_database_and_table(embedded):
    embedded.client("glue").create_database(DatabaseInput={"Name": "guarded"})
    base = f"arn:aws:glue:{REGION}:000000000000:"
    statement = {"Effect": "Allow", "Action": "glue:GetDatabase", "Resource": [f"{base}catalog"]}
    code = (
        "import boto3\n"
        "def handler(event, context):\n"
        "    return boto3.client('glue').get_database(Name='guarded')['Database']['Name']\n"
    )
    name = function(embedded, "catalog", code, role(embedded, "catalog", statement))

    error, body = invoke(embedded, name)

    assert error
    assert "database/guarded" in body["errorMessage"]


def test_an_unknown_operation_of_our_service_is_named(embedded):
    with pytest.raises(ClientError, match="athena:CreateNotebook is not part of this embedded AWS"):
        embedded.client("athena").create_notebook(WorkGroup="primary", Name="n")


def test_step_functions_run_glue_jobs_and_athena_queries_to_their_end(embedded):
    definition = {
        "StartAt": "Query",
        "States": {
            "Query": {
                "Type": "Task",
                "Resource": "arn:aws:states:::athena:startQueryExecution.sync",
                "Parameters": {
                    "QueryString": "SELECT 1",
                    "WorkGroup": "primary",
                    "ResultConfiguration": {"OutputLocation": "s3://sfn-results/"},
                },
                "ResultPath": "$.query",
                "Next": "Job",
            },
            "Job": {
                "Type": "Task",
                "Resource": "arn:aws:states:::glue:startJobRun.sync",
                "Parameters": {"JobName": "does-not-exist"},
                "Catch": [{"ErrorEquals": ["Glue.EntityNotFoundException"], "Next": "Done", "ResultPath": "$.error"}],
                "Next": "Done",
            },
            "Done": {"Type": "Succeed"},
        },
    }
    embedded.client("s3").create_bucket(Bucket="sfn-results")
    states = embedded.client("stepfunctions")
    arn = role(embedded, "states", {"Effect": "Allow", "Action": "*", "Resource": "*"}, service="states.amazonaws.com")
    machine = states.create_state_machine(name="m", definition=json.dumps(definition), roleArn=arn)
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"], input="{}")["executionArn"]
    deadline = time.monotonic() + 30
    while states.describe_execution(executionArn=execution)["status"] == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.1)

    ended = states.describe_execution(executionArn=execution)

    assert ended["status"] == "SUCCEEDED", ended
    output = json.loads(ended["output"])
    assert output["query"]["QueryExecution"]["Status"]["State"] == "SUCCEEDED"
    assert "does-not-exist" in output["error"]["Cause"]


def test_a_task_runs_with_the_state_machines_role_only(embedded):
    """Without lambda:InvokeFunction in the machine's role the task fails as on AWS."""
    name = function(embedded, "task", "def handler(event, context):\n    return 1\n", role(embedded, "task"))
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": name},
        "End": True,
    }
    definition = json.dumps({"StartAt": "T", "States": {"T": task}})
    states = embedded.client("stepfunctions")
    base = f"arn:aws:lambda:{REGION}:000000000000:function:task"
    allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": base}
    outcomes = {}
    for machine, statements in (("may", [allowed]), ("may-not", [])):
        arn = role(embedded, machine, *statements, service="states.amazonaws.com")
        created = states.create_state_machine(name=machine, definition=definition, roleArn=arn)
        execution = states.start_execution(stateMachineArn=created["stateMachineArn"])["executionArn"]
        deadline = time.monotonic() + 30
        while states.describe_execution(executionArn=execution)["status"] == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.1)
        outcomes[machine] = states.describe_execution(executionArn=execution)

    assert outcomes["may"]["status"] == "SUCCEEDED", outcomes["may"]
    assert outcomes["may-not"]["status"] == "FAILED"
    assert outcomes["may-not"]["error"] == "States.Permissions"
    assert "lambda:InvokeFunction" in outcomes["may-not"]["cause"]


def test_an_event_starts_a_glue_workflow_under_the_targets_role(embedded):
    glue, events = embedded.client("glue"), embedded.client("events")
    base = f"arn:aws:glue:{REGION}:000000000000:workflow/"
    allowed = {"Effect": "Allow", "Action": "glue:notifyEvent", "Resource": f"{base}by-event"}
    arn = role(embedded, "notifies", allowed, service="events.amazonaws.com")
    for name in ("by-event", "not-allowed"):
        glue.create_workflow(Name=name)
        glue.create_trigger(
            Name=name,
            Type="EVENT",
            WorkflowName=name,
            EventBatchingCondition={"BatchSize": 1},
            Actions=[{"CrawlerName": "nobody"}],
            StartOnCreation=True,
        )
        pattern = json.dumps({"source": ["test.glue"]})
        events.put_rule(Name=name, EventPattern=pattern)
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": base + name, "RoleArn": arn}])

    events.put_events(Entries=[{"Source": "test.glue", "DetailType": "t", "Detail": "{}"}])

    deadline = time.monotonic() + 20
    while not glue.get_workflow_runs(Name="by-event")["Runs"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(glue.get_workflow_runs(Name="by-event")["Runs"]) == 1
    assert glue.get_workflow_runs(Name="not-allowed")["Runs"] == []


def test_accounts_do_not_see_each_other(embedded):
    embedded.client("glue").create_database(DatabaseInput={"Name": "mine"})
    embedded.client("s3").create_bucket(Bucket="mine-alone")
    other = "222233334444"

    names = {db["Name"] for db in embedded.client("glue", account=other).get_databases()["DatabaseList"]}
    buckets = {bucket["Name"] for bucket in embedded.client("s3", account=other).list_buckets()["Buckets"]}
    workgroups = embedded.client("athena", account=other).list_work_groups()["WorkGroups"]

    assert "mine" not in names
    assert "mine-alone" not in buckets
    assert [group["Name"] for group in workgroups] == ["primary"]


def test_a_service_that_nobody_implements_is_told_apart_from_a_fault(embedded):
    kendra = embedded.client("kendra")
    started = time.monotonic()
    with pytest.raises(ClientError) as raised:
        kendra.list_indices()
    assert raised.value.response["Error"]["Code"] == "NotImplementedException"
    assert "kendra:ListIndices" in raised.value.response["Error"]["Message"]
    assert callable(adapter.router._is_aws_service_name)
    assert isinstance(adapter.app.SERVICE_HANDLERS, dict)
    print(f"answered after {time.monotonic() - started:.2f} s")  # noqa: T201  every botocore model would take 13 s


def test_a_function_from_an_image_runs_its_build_context(embedded, tmp_path):
    """No Docker: what CDK stages as the context is the code; the command names the handler; updates bring another."""
    (tmp_path / "Dockerfile").write_text("FROM python:3.13-slim\nWORKDIR /var/task\n")
    uris = []
    for word in ("first", "second"):
        (tmp_path / "main.py").write_text(f"def handler(event, context):\n    return {word!r}\n")
        bucket = bucket_of("000000000000", REGION)
        s3 = embedded.client("s3")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key_of("assets", word), Body=packed(tmp_path))
        uris.append(f"000000000000.dkr.ecr.{REGION}.amazonaws.com/assets:{word}")
    cloudformation = embedded.client("cloudformation")

    def template(uri):
        properties = {
            "Code": {"ImageUri": uri},
            "ImageConfig": {"Command": ["main.handler"]},
            "PackageType": "Image",
            "Role": role(embedded, f"image-{uri.rpartition(':')[2]}"),
        }
        made = {"Type": "AWS::Lambda::Function", "Properties": properties}
        return json.dumps({"Resources": {"Made": made}, "Outputs": {"Name": {"Value": {"Ref": "Made"}}}})

    def settled():
        while True:
            (stack,) = cloudformation.describe_stacks(StackName="from-image")["Stacks"]
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                return stack["Outputs"][0]["OutputValue"]
            time.sleep(0.1)

    cloudformation.create_stack(StackName="from-image", TemplateBody=template(uris[0]))
    assert invoke(embedded, settled()) == (None, "first")
    cloudformation.update_stack(StackName="from-image", TemplateBody=template(uris[1]))
    assert invoke(embedded, settled()) == (None, "second")


def test_an_expression_that_waits_for_a_processor_is_no_endless_loop(monkeypatch):
    """ministack gives an expression a second on the wall, whoever else has the processor meanwhile."""
    import jsonata
    from ministack.services import stepfunctions

    monkeypatch.setattr(jsonata.Jsonata, "jsonata", staticmethod(jsonata.Jsonata.jsonata))  # put back afterwards
    adapter._patch_jsonata()
    register = stepfunctions._register_sfn_jsonata_functions

    def registered(expression):
        register(expression)
        expression.register_lambda("wait", lambda: time.sleep(1.2) or "done")

    monkeypatch.setattr(stepfunctions, "_register_sfn_jsonata_functions", registered)
    assert stepfunctions._evaluate_jsonata("$wait()", {}) == "done"
