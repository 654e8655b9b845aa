"""The wire, IAM, Step Functions and CloudFormation: the engine on a running emulator, IAM enforced."""

import io
import json
import os
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError

from localaws import deploy, emulator
from localaws.engines.sagemaker.container import isolation
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
else:
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(200, b"")

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if body == b"bad":
                return self.reply(400, b"cannot read this")
            head = (ml / "model/weights").read_text() + " " + self.headers.get("Content-Type", "") + " "
            self.reply(200, head.encode() + body)

        def reply(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "text/x-echo")
            custom = "X-Amzn-SageMaker-Custom-Attributes"
            self.send_header(custom, f"seen {self.headers[custom]}")
            self.end_headers()
            self.wfile.write(body)

    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Echo).serve_forever()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    running = emulator.start(state, port=free_port(), console_port=free_port())

    def client(service, **keys):
        given = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "local", **keys}
        return boto3.client(service, endpoint_url=running.endpoint, region_name=REGION, **given)

    made = SimpleNamespace(client=client, running=running, endpoint=running.endpoint, state=state)
    made.folder = tmp_path_factory.mktemp("files")
    try:
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


# -- models, endpoints, registry -------------------------------------------------------------------------------------


def model_archive(aws, key="model.tar.gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("weights")
        info.size = 2
        archive.addfile(info, io.BytesIO(b"w1"))
    aws.client("s3").put_object(Bucket="slides", Key=key, Body=buffer.getvalue())
    return f"s3://slides/{key}"


def serving_stack(aws, weight):
    """A template as CDK writes it: registry, model, configuration, endpoint."""
    model = {"ExecutionRoleArn": aws.role, "PrimaryContainer": {"Image": aws.image, "ModelDataUrl": model_archive(aws)}}
    variant = {
        "VariantName": "main",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": weight,
        "InstanceType": "ml.m5.large",
    }
    name = {"Fn::GetAtt": ["Model", "ModelName"]}
    config = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
    resources = {
        "Group": {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "dev-slides"}},
        "Model": {"Type": "AWS::SageMaker::Model", "Properties": model},
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": [{**variant, "ModelName": name}]},
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointName": "dev-slides", "EndpointConfigName": config},
        },
    }
    outputs = {"Group": {"Value": {"Ref": "Group"}}, "Model": {"Value": name}, "Config": {"Value": config}}
    return json.dumps({"Resources": resources, "Outputs": outputs})


def deployed(aws, body, action="create"):
    formation = aws.client("cloudformation")
    getattr(formation, f"{action}_stack")(StackName="serving", TemplateBody=body)
    describe = lambda: formation.describe_stacks(StackName="serving")["Stacks"][0]  # noqa: E731
    running = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"}
    stack = settled(describe, "StackStatus", running)
    assert stack["StackStatus"] == f"{action.upper()}_COMPLETE", stack
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def test_a_stack_makes_an_endpoint_that_answers(aws):
    sagemaker, runtime = aws.client("sagemaker"), aws.client("sagemaker-runtime")
    outputs = deployed(aws, serving_stack(aws, 1))
    assert outputs["Group"] == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package-group/dev-slides"
    describe = lambda: sagemaker.describe_endpoint(EndpointName="dev-slides")  # noqa: E731
    assert settled(describe, "EndpointStatus", {"Creating"})["EndpointStatus"] == "InService"
    answer = runtime.invoke_endpoint(
        EndpointName="dev-slides", Body=b"\x00\xffbytes", ContentType="application/octet-stream", CustomAttributes="c"
    )
    assert answer["Body"].read() == b"w1 application/octet-stream \x00\xffbytes"
    assert (answer["ContentType"], answer["CustomAttributes"]) == ("text/x-echo", "seen c")
    with pytest.raises(runtime.exceptions.ModelError) as refused:
        runtime.invoke_endpoint(EndpointName="dev-slides", Body=b"bad")
    assert refused.value.response["OriginalStatusCode"] == 400
    assert refused.value.response["OriginalMessage"] == "cannot read this"

    changed = deployed(aws, serving_stack(aws, 2), "update")  # the configuration is replaced, the endpoint updated
    assert (changed["Model"], changed["Config"] != outputs["Config"]) == (outputs["Model"], True)
    described = settled(describe, "EndpointStatus", {"Updating"})
    assert described["EndpointConfigName"] == changed["Config"]
    assert described["ProductionVariants"][0]["CurrentWeight"] == 2

    aws.client("cloudformation").delete_stack(StackName="serving")
    settled(lambda: {"there": bool(sagemaker.list_endpoints()["Endpoints"])}, "there", {True})
    assert sagemaker.list_models()["Models"] == sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_a_role_may_pass_its_job_a_role_and_add_only_its_own_packages(aws):
    condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    packages = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/mine/*"
    maker = role(
        aws.client,
        "maker",
        "lambda.amazonaws.com",
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": aws.role, "Condition": condition},
        {"Effect": "Allow", "Action": "sagemaker:CreateModel", "Resource": "*"},
        {"Effect": "Allow", "Action": "sagemaker:CreateModelPackage", "Resource": packages},
    )
    keys = aws.client("sts").assume_role(RoleArn=maker, RoleSessionName="session")["Credentials"]
    session = {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }
    sagemaker, root = aws.client("sagemaker", **session), aws.client("sagemaker")
    container = {"Image": aws.image, "ModelDataUrl": model_archive(aws)}
    arn = sagemaker.create_model(ModelName="passed", ExecutionRoleArn=aws.role, PrimaryContainer=container)["ModelArn"]
    assert arn.endswith(":model/passed")
    other = role(aws.client, "other", "sagemaker.amazonaws.com")
    with pytest.raises(ClientError, match="iam:PassRole"):
        sagemaker.create_model(ModelName="not", ExecutionRoleArn=other, PrimaryContainer=container)
    groups = [root.create_model_package_group(ModelPackageGroupName=n)["ModelPackageGroupArn"] for n in ("mine", "his")]
    assert sagemaker.create_model_package(ModelPackageGroupName=groups[0])["ModelPackageArn"].endswith("mine/1")
    with pytest.raises(ClientError, match="is not authorized to perform: sagemaker:CreateModelPackage"):
        sagemaker.create_model_package(ModelPackageGroupName=groups[1])


def containers(aws):
    """Process ids below the containers of this emulator and of no other: their endpoint is its own."""
    endpoint, found = f"AWS_ENDPOINT_URL={aws.endpoint}".encode(), []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and endpoint in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_kill_9_of_the_emulator_ends_jobs_with_a_reason_and_endpoints_come_back(aws):
    sagemaker, runtime = aws.client("sagemaker"), aws.client("sagemaker-runtime")
    container = {"Image": aws.image, "ModelDataUrl": model_archive(aws)}
    sagemaker.create_model(ModelName="kept", ExecutionRoleArn=aws.role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": "kept", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="kept", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="kept", EndpointConfigName="kept")
    describe = lambda: sagemaker.describe_endpoint(EndpointName="kept")  # noqa: E731
    settled(describe, "EndpointStatus", {"Creating"})
    sagemaker.create_processing_job(**processing(aws, "cut-off", "wait"))
    settled(lambda: {"on": "ProcessingStartTime" in one(sagemaker, "cut-off")}, "on", {False})
    settled(lambda: {"count": len(containers(aws))}, "count", {0, 1})
    time.sleep(6)  # a snapshot of roles is at most five seconds old

    os.kill(aws.running.pid, signal.SIGKILL)
    settled(lambda: {"left": bool(containers(aws))}, "left", {True}, seconds=10)  # no container outlives it
    emulator.start(aws.state, port=aws.running.port, console_port=aws.running.console_port)

    links = [link for link in Path(tempfile.gettempdir()).glob("sm????????") if link.is_symlink()]
    assert [link for link in links if aws.state in link.readlink().parents and not link.exists()] == []
    job = one(sagemaker, "cut-off")
    assert (job["ProcessingJobStatus"], "was stopped while the job ran" in job["FailureReason"]) == ("Failed", True)
    answer = runtime.invoke_endpoint(EndpointName="kept", Body=b"hello", ContentType="text/plain")
    assert answer["Body"].read() == b"w1 text/plain hello"
    again = {**processing(aws, "again", "word")}
    sagemaker.create_processing_job(**again)
    done = settled(lambda: one(sagemaker, "again"), "ProcessingJobStatus", {"InProgress"})
    assert done["ProcessingJobStatus"] == "Completed"


CHECKOUT = Path(deploy.__file__).parents[1]
SDK_PYTHON, TORCH_PYTHON = (CHECKOUT / f".venv-{name}" / "bin" / "python" for name in ("sagemaker", "torch"))
TORCH_SCRIPT = """
import argparse, os
import torch
import torch.distributed as dist
parser = argparse.ArgumentParser()
parser.add_argument("--epochs")
epochs = parser.parse_args().epochs
dist.init_process_group("gloo")
total = torch.ones(1) * (dist.get_rank() + 1)
dist.all_reduce(total)
if dist.get_rank() == 0:
    files = os.listdir(os.environ["SM_CHANNEL_TRAIN"])
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "told"), "w") as file:
        file.write(f"{dist.get_world_size()} {int(total.item())} {epochs} {files}")
dist.destroy_process_group()
"""
# As a data scientist writes it. The default bucket is named: for another the SDK asks AWS's own STS, whatever endpoint.
SUBMIT = """
import sys
import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode
from sagemaker.train.distributed import Torchrun
trainer = ModelTrainer(
    training_image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.10.0-cpu-py313",
    source_code=SourceCode(source_dir=sys.argv[2], entry_script="train.py"),
    distributed=Torchrun(process_count_per_node=2),
    compute=Compute(instance_type="ml.c5.xlarge", instance_count=2),
    output_data_config=OutputDataConfig(s3_output_path="s3://slides/sdk"),
    hyperparameters={"epochs": 3},
    role=sys.argv[1],
    base_job_name="sdk",
    sagemaker_session=Session(boto_session=boto3.session.Session(), default_bucket="slides"),
)
trainer.train(input_data_config=[InputData(channel_name="train", data_source="s3://slides/train/")], logs=True)
print("model at", trainer._latest_training_job.model_artifacts.s3_model_artifacts)
"""


@pytest.mark.sagemaker
@pytest.mark.skipif(isolation() is None, reason="the SDK's scripts want /opt/ml itself: a mount namespace")
def test_the_official_sdk_trains_on_two_hosts_with_torchrun(aws, tmp_path):
    (tmp_path / "train.py").write_text(TORCH_SCRIPT)
    aws.client("s3").put_object(Bucket="slides", Key="train/a.tfrecord", Body=b"x")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [str(SDK_PYTHON), "-c", SUBMIT, aws.role, str(tmp_path)],
        env={**kept, **aws.running.environment(), "SAGEMAKER_VALIDATE_ROLE": "false"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    uri = done.stdout.rpartition("model at s3://slides/")[2].strip()
    body = aws.client("s3").get_object(Bucket="slides", Key=uri)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.extractfile("told").read() == b"4 10 3 ['a.tfrecord']"  # 1 + 2 + 3 + 4 over four ranks
