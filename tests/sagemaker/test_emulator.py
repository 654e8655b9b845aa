"""The wire, IAM, Step Functions and CloudFormation: the engine on a running emulator, IAM enforced."""

import json
import time
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError

from localaws import deploy, emulator
from localaws.engines.sagemaker.images import bucket_of, key_of

ACCOUNT, REGION = emulator.ACCOUNT, emulator.REGION
DOCKERFILE = 'FROM python:3.11-slim\nWORKDIR /opt/program\nENTRYPOINT ["python3", "main.py"]\n'
# Answers as server and writes what it reads as job.
MAIN = """
import os, sys
from pathlib import Path
import boto3
ml = Path(os.environ["OPT_ML"])
if "serve" not in sys.argv:
    word = (ml / "processing/in/word.txt").read_text()
    boto3.client("s3").put_object(Bucket="slides", Key="by-role.txt", Body=word.encode())
    if word == "fail":
        (ml / "output/failure").write_text("told to fail")
        sys.exit(1)
    if word == "wait":
        import time
        time.sleep(300)
    (ml / "processing/out/answer.txt").write_text(word.upper())
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    import socket

    def free():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    state = tmp_path_factory.mktemp("state")
    running = emulator.start(state, port=free(), console_port=free())

    def client(service, **keys):
        given = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "local", **keys}
        return boto3.client(service, endpoint_url=running.endpoint, region_name=REGION, **given)

    try:
        made = SimpleNamespace(client=client, endpoint=running.endpoint, folder=tmp_path_factory.mktemp("files"))
        client("s3").create_bucket(Bucket="slides")
        made.image = publish(made)
        made.role = role(client, "job", "sagemaker.amazonaws.com", *JOB_GRANTS)
        yield made
    finally:
        emulator.stop(state)


JOB_GRANTS = (
    {"Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "Resource": "*"},
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::slides/*"},
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::slides"},
)


def role(client, name, service, *grants):
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
    made = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    if grants:
        grant(client, name, *grants)
    return made["Role"]["Arn"]


def grant(client, name, *grants):
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(grants)})
    client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)


def publish(aws):
    """Deploys a cloud assembly whose one asset is a docker image, as `cdk synth` writes it."""
    folder = aws.folder / "assembly"
    context = folder / "asset.abc"
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "main.py").write_text(MAIN)
    repository = "cdk-hnb659fds-container-assets-${AWS::AccountId}-${AWS::Region}"
    image = {
        "source": {"directory": "asset.abc", "dockerFile": "Dockerfile"},
        "destinations": {"d": {"repositoryName": repository, "imageTag": "abc"}},
    }
    (folder / "assets.json").write_text(json.dumps({"files": {}, "dockerImages": {"abc": image}}))
    assets = {"type": "cdk:asset-manifest", "properties": {"file": "assets.json"}}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": {"assets": assets}}))
    session = boto3.session.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="local", region_name=REGION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
        deploy.deploy(folder, session)
        deploy.deploy(folder, session)  # a second time nothing happens
    name = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"
    assert aws.client("s3").head_object(Bucket=bucket_of(ACCOUNT, REGION), Key=key_of(name, "abc"))
    return f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}:abc"


def processing(aws, name, word):
    aws.client("s3").put_object(Bucket="slides", Key=f"{name}/in/word.txt", Body=word.encode())
    place = {"S3UploadMode": "EndOfJob", "LocalPath": "/opt/ml/processing/out", "S3Uri": f"s3://slides/{name}/out"}
    given = {"S3Uri": f"s3://slides/{name}/in", "LocalPath": "/opt/ml/processing/in"}
    return {
        "ProcessingJobName": name,
        "RoleArn": aws.role,
        "AppSpecification": {"ImageUri": aws.image},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 10}
        },
        "ProcessingInputs": [
            {"InputName": "in", "S3Input": {**given, "S3DataType": "S3Prefix", "S3InputMode": "File"}}
        ],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": place}]},
    }


def machine(aws, name, resource, *grants):
    pass_role = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": aws.role}
    arn = role(aws.client, name, "states.amazonaws.com", pass_role, *grants)
    task = {"Type": "Task", "Resource": resource, "End": True}  # without Parameters, the state's input is the request
    definition = json.dumps({"StartAt": "T", "States": {"T": task}})
    states = aws.client("stepfunctions")
    return states.create_state_machine(name=name, definition=definition, roleArn=arn)["stateMachineArn"]


def execute(aws, machine_arn, given, seconds=60):
    states = aws.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine_arn, input=json.dumps(given))["executionArn"]
    return settled(lambda: states.describe_execution(executionArn=arn), "status", {"RUNNING"}, seconds)


def settled(fetch, member, running, seconds=60):
    end = time.monotonic() + seconds
    while (found := fetch())[member] in running:
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return found


def test_a_state_machine_runs_a_processing_job_and_gets_its_description(aws):
    job_arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/*"
    actions = ["sagemaker:CreateProcessingJob", "sagemaker:DescribeProcessingJob", "sagemaker:StopProcessingJob"]
    allowed = {"Effect": "Allow", "Action": actions, "Resource": job_arn}
    arn = machine(aws, "process", "arn:aws:states:::sagemaker:createProcessingJob.sync", allowed)

    done = execute(aws, arn, processing(aws, "good", "word"))

    assert done["status"] == "SUCCEEDED", done.get("cause")
    output = json.loads(done["output"])
    assert output["ProcessingJobStatus"] == "Completed"
    assert output["ProcessingEndTime"] >= output["CreationTime"] > 1_700_000_000_000
    s3 = aws.client("s3")
    assert s3.get_object(Bucket="slides", Key="good/out/answer.txt")["Body"].read() == b"WORD"
    assert s3.get_object(Bucket="slides", Key="by-role.txt")["Body"].read() == b"word"

    failed = execute(aws, arn, processing(aws, "bad", "fail"))
    assert (failed["status"], failed["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(failed["cause"])["FailureReason"] == "AlgorithmError: told to fail, exit code: 1"

    again = execute(aws, arn, processing(aws, "good", "word"))
    assert again["error"] == "SageMaker.ResourceInUseException"


def test_stopping_the_execution_stops_the_job(aws):
    states, sagemaker = aws.client("stepfunctions"), aws.client("sagemaker")
    allowed = {"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}
    machine_arn = machine(aws, "stopped", "arn:aws:states:::sagemaker:createProcessingJob.sync", allowed)
    given = json.dumps(processing(aws, "long", "wait"))
    arn = states.start_execution(stateMachineArn=machine_arn, input=given)["executionArn"]
    started = lambda: {"on": "ProcessingStartTime" in one(sagemaker, "long")}  # noqa: E731
    settled(started, "on", {False})
    states.stop_execution(executionArn=arn)
    running = {"InProgress", "Stopping"}
    describe = lambda: sagemaker.describe_processing_job(ProcessingJobName="long")  # noqa: E731
    assert settled(describe, "ProcessingJobStatus", running)["ProcessingJobStatus"] == "Stopped"


def one(sagemaker, name):
    try:
        return sagemaker.describe_processing_job(ProcessingJobName=name)
    except sagemaker.exceptions.ResourceNotFound:
        return {}


def test_what_the_machine_or_the_job_may_not_do_fails(aws):
    arn = machine(aws, "powerless", "arn:aws:states:::sagemaker:createProcessingJob.sync")
    refused = execute(aws, arn, processing(aws, "denied", "word"))
    assert refused["error"] == "States.Permissions"
    assert "sagemaker:CreateProcessingJob" in refused["cause"]
    sagemaker = aws.client("sagemaker")
    poor = role(aws.client, "poor", "sagemaker.amazonaws.com", JOB_GRANTS[0])
    sagemaker.create_processing_job(**{**processing(aws, "poor", "word"), "RoleArn": poor})
    describe = lambda: sagemaker.describe_processing_job(ProcessingJobName="poor")  # noqa: E731
    job = settled(describe, "ProcessingJobStatus", {"InProgress"})
    assert "is not authorized to perform: s3:ListBucket" in job["FailureReason"]
    untrusted = role(aws.client, "untrusted", "lambda.amazonaws.com")
    with pytest.raises(ClientError, match="Could not assume role"):
        sagemaker.create_processing_job(**{**processing(aws, "untrusted", "word"), "RoleArn": untrusted})


def test_an_operation_that_is_not_there_says_so(aws):
    with pytest.raises(ClientError, match="sagemaker:ListHubs is not part of this embedded AWS"):
        aws.client("sagemaker").list_hubs()
