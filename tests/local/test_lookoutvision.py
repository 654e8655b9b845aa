"""Requests of Lookout for Vision reach the API that is deployed for it, for whom IAM allows it."""

import io
import json
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError

from localaws import emulator
from sextant.inspection.api import datasets, operations
from sextant.inspection.api.services import Services
from sextant.inspection.api.store import Table
from sextant.inspection.client import lookoutvision
from tests.conftest import free_port
from tests.inspection_api.stand import PLACE, Answering, Jobs

CODE = """
import json
def handler(event, context):
    asked = {name: event.get(name) for name in ("rawPath", "rawQueryString", "isBase64Encoded", "body")}
    asked["arn"] = event["requestContext"]["authorizer"]["iam"]["userArn"]
    project = {"ProjectArn": json.dumps(asked), "ProjectName": "p", "CreationTimestamp": 0}
    detected = {"IsAnomalous": True, "Confidence": 0.5}
    tags = [{"Key": "asked", "Value": json.dumps(asked)}]
    body = {"ProjectDescription": project, "DetectAnomalyResult": detected, "Tags": tags}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An embedded AWS with nothing deployed."""
    state = tmp_path_factory.mktemp("embedded")
    running = emulator.start(state, port=free_port(), console_port=free_port())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # one that other tests made knows no AWS_DATA_PATH
        for name, value in running.environment().items():
            patch.setenv(name, value)
        try:
            yield running
        finally:
            emulator.stop(state)
            shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="module")
def api(home):
    """An HTTP API whose function tells what it was asked."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("main.py", CODE)
    role = boto3.client("iam").create_role(RoleName="echo", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    function = boto3.client("lambda").create_function(
        FunctionName="echo", Runtime="python3.13", Handler="main.handler", Role=role,
        Code={"ZipFile": archive.getvalue()}, Timeout=20,
    )["FunctionArn"]  # fmt: skip
    gateway = boto3.client("apigatewayv2")
    made = gateway.create_api(Name="inspection", ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=made, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    route = {"RouteKey": "ANY /2020-11-20/{proxy+}", "Target": f"integrations/{integration}"}
    gateway.create_route(ApiId=made, AuthorizationType="AWS_IAM", **route)
    gateway.create_stage(ApiId=made, StageName="$default", AutoDeploy=True)
    boto3.client("lambda").add_permission(
        FunctionName="echo", StatementId="s", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com"
    )
    return SimpleNamespace(id=made, endpoint=home.endpoint)


def user(name, *statements):
    """Keys of an IAM user."""
    iam = boto3.client("iam")
    iam.create_user(UserName=name)
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    return {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"]}


@pytest.mark.usefixtures("home")
def test_without_a_deployed_api_the_error_says_so():  # the first here: the next makes one
    with pytest.raises(ClientError, match="deploy `inspection`") as caught:
        boto3.client("lookoutvision").list_projects()
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


@pytest.mark.usefixtures("api")
def test_plain_boto3_reaches_the_api_by_the_environment_alone():
    project = boto3.client("lookoutvision").describe_project(ProjectName="p")["ProjectDescription"]
    told = json.loads(project["ProjectArn"])
    assert told["rawPath"] == "/2020-11-20/projects/p"
    assert told["arn"].endswith(":root")


@pytest.mark.usefixtures("api")
def test_photographs_arrive_as_they_are_and_arns_decoded():
    client = boto3.client("lookoutvision")
    body = b"\xff\xd8\xff\x00\xfe"
    found = client.detect_anomalies(ProjectName="p", ModelVersion="1", Body=body, ContentType="image/jpeg")
    assert found["DetectAnomalyResult"] == {"IsAnomalous": True, "Confidence": 0.5}
    arn = "arn:aws:lookoutvision:us-east-1:000000000000:model/p/1"
    told = json.loads(client.list_tags_for_resource(ResourceArn=arn)["Tags"][0]["Value"])
    assert told["rawPath"] == f"/2020-11-20/tags/{arn}"


def test_iam_decides_about_each_route(api):
    resource = f"arn:aws:execute-api:us-east-1:000000000000:{api.id}/$default/GET/2020-11-20/*"
    reader = user("reader", {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource})
    client = lookoutvision(api.endpoint, region_name="us-east-1", **reader)
    told = json.loads(client.describe_project(ProjectName="p")["ProjectDescription"]["ProjectArn"])
    assert told["arn"].endswith(":user/reader")
    with pytest.raises(ClientError, match=r"AccessDenied|Forbidden|not authorized"):
        client.delete_project(ProjectName="p")
    wrong = lookoutvision(api.endpoint, region_name="us-east-1", **{**reader, "aws_secret_access_key": "guessed"})
    with pytest.raises(ClientError):
        wrong.describe_project(ProjectName="p")


def test_a_client_that_signs_for_the_service_itself_reaches_it_too(api):
    everything = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
    keys = user("old", everything)
    client = lookoutvision(api.endpoint, region_name="us-east-1", **keys)

    def as_of_old(request, **_):
        request.context.setdefault("signing", {})["signing_name"] = "lookoutvision"

    client.meta.events.register("before-sign.lookoutvision", as_of_old)
    assert client.describe_project(ProjectName="p")["ProjectDescription"]["ProjectName"] == "p"


@pytest.mark.usefixtures("home")
def test_of_trainings_asked_for_at_once_two_begin_and_one_project_has_each_number_once():
    dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
    dynamodb.create_table(
        TableName=PLACE.TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )
    s3.create_bucket(Bucket=PLACE.BUCKET)
    tasks, jobs = [], Jobs()
    services = Services(
        place=PLACE, table=Table(dynamodb, PLACE.TABLE), s3=s3, sagemaker=jobs, backend=Answering(),
        later=lambda _, document: tasks.append(document),
    )  # fmt: skip
    normal = {"class-name": "normal", "type": "groundtruth/image-classification"}
    lines = [{"source-ref": f"s3://bbb/{n}.jpg", "l": 0, "l-metadata": normal} for n in range(12)]
    dataset = {"ProjectName": "lego", "DatasetType": "train"}
    operations.run(services, "CreateProject", {"ProjectName": "lego"})
    operations.run(services, "CreateDataset", dataset)
    changes = "\n".join(json.dumps(line) for line in lines).encode()
    operations.run(services, "UpdateDatasetEntries", {**dataset, "Changes": changes})
    assert datasets.ingest(services, "lego", "train", tasks[0]["ticket"]) == "UPDATE_COMPLETE"

    def ask(number):
        request = {"ProjectName": "lego", "OutputConfig": {"S3Location": {"Bucket": PLACE.BUCKET}}}
        event = {
            "rawPath": "/2020-11-20/projects/lego/models",
            "headers": {"content-type": "application/json", "x-amzn-client-token": f"t{number // 2}"},
            "body": json.dumps(request),
            "requestContext": {"requestId": "r", "http": {"method": "POST"}},
        }
        return operations.answer(services, event)

    with ThreadPoolExecutor(12) as pool:
        told = list(pool.map(ask, range(12)))
    made = {json.loads(each["body"])["ModelMetadata"]["ModelVersion"] for each in told if each["statusCode"] == 202}
    assert {each["statusCode"] for each in told} <= {202, 402, 409, 429}, told
    assert len(jobs.jobs) == len(made) == 2
    listed = operations.run(services, "ListModels", {"ProjectName": "lego"})["Models"]
    assert {each["ModelVersion"] for each in listed} == made


@pytest.mark.usefixtures("api")
def test_a_bucket_of_that_name_stays_a_bucket():
    s3 = boto3.client("s3", config=boto3.session.Config(s3={"addressing_style": "path"}))
    s3.create_bucket(Bucket="2020-11-20")
    s3.put_object(Bucket="2020-11-20", Key="projects", Body=b"mine")
    assert s3.get_object(Bucket="2020-11-20", Key="projects")["Body"].read() == b"mine"
