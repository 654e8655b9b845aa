"""The API on a table and buckets of moto, behind a loopback server: boto3's client speaks to it by a socket."""

import itertools
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from sextant.inspection.api import datasets, operations, packaging, training
from sextant.inspection.api.services import Services
from sextant.inspection.api.store import Table
from sextant.inspection.client import lookoutvision
from tests.inspection_api.stand import PLACE, REGION, RESULT, Answering, Jobs, archive, serving


@pytest.fixture(scope="session")
def clients():
    """boto3's clients of moto, and one of the API, whose answers come from `answer[0]`: they take a second to make."""
    answer = []

    def answered(event):
        return answer[0](event)  # another with each test

    with serving(answered) as url:
        with pytest.MonkeyPatch.context() as patch, mock_aws():
            patch.delenv("AWS_ENDPOINT_URL", raising=False)  # of the embedded AWS, where other tests have started it
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                patch.setenv(name, "x")
            made = {name: boto3.client(name, region_name=REGION) for name in ("dynamodb", "s3")}
            lookout = lookoutvision(url, region_name=REGION)
        yield SimpleNamespace(**made, lookoutvision=lookout, answer=answer)


@pytest.fixture
def cloud(clients, monkeypatch):
    """An empty account: a table, the API's bucket and one of a customer."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        dynamodb, s3 = clients.dynamodb, clients.s3
        dynamodb.create_table(
            TableName=PLACE.TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        )
        s3.create_bucket(Bucket="data")
        s3.create_bucket(Bucket="customer")
        yield SimpleNamespace(dynamodb=dynamodb, s3=s3)


@pytest.fixture
def api(cloud, clients):
    """The API and shorthand for what most tests do. `clock[0]` is its time; `work()` runs what it left for later."""

    def bundle(body, project):
        return f"bundle for {project} of ".encode() + body

    queue, clock, numbers = [], [1_800_000_000.0], itertools.count(1)
    sagemaker, backend = Jobs(), Answering()
    services = Services(
        place=PLACE,
        table=Table(cloud.dynamodb, PLACE.TABLE),
        s3=cloud.s3,
        sagemaker=sagemaker,
        later=lambda task, document: queue.append((task, document)),
        backend=backend,
        now=lambda: clock[0],
        identifier=lambda: f"id-{next(numbers)}",
    )
    client = clients.lookoutvision
    clients.answer[:] = [lambda event: operations.answer(services, event)]

    def work():
        states = []
        while queue:
            task, document = queue.pop(0)
            document = json.loads(json.dumps(document))
            states.append(
                datasets.ingest(services, document["project"], document["type"], document["ticket"])
                if task == "ingest"
                else packaging.pack(services, document["project"], document["job"], bundle)
            )
        return states

    def lines(normal=0, anomaly=0, unlabelled=0, start=0):
        made = []
        for klass, count in (("normal", normal), ("anomaly", anomaly), ("other", unlabelled)):
            for number in range(start, start + count):
                metadata = {"class-name": klass, "type": "groundtruth/image-classification"}
                source = f"s3://customer/{klass}/{number}.jpg"
                document = {"source-ref": source, "auto-label": 9, "auto-label-metadata": metadata}
                made.append(json.dumps(document))
        return "\n".join(made) + "\n"

    def project(name="lego", kind="train", **counts):
        if name not in [each["ProjectName"] for each in client.list_projects()["Projects"]]:
            client.create_project(ProjectName=name)
        client.create_dataset(ProjectName=name, DatasetType=kind)
        if counts:
            client.update_dataset_entries(ProjectName=name, DatasetType=kind, Changes=lines(**counts))
            work()

    def train(name="lego", **request):
        output = {"S3Location": {"Bucket": "customer", "Prefix": "out"}}
        return client.create_model(ProjectName=name, **{"OutputConfig": output, **request})["ModelMetadata"]

    def finish(job, status="Completed", files=None, **told):
        record = sagemaker.jobs[job]
        if status == "Completed":
            uri = f"{record['OutputDataConfig']['S3OutputPath']}/{job}/output/model.tar.gz"
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            content = {training.RESULT: json.dumps(RESULT).encode(), training.MANIFEST: b'{"source-ref":"s3://b/k"}\n'}
            cloud.s3.put_object(Bucket=bucket, Key=key, Body=archive(content if files is None else files))
            told["ModelArtifacts"] = {"S3ModelArtifacts": uri}
        record |= {"TrainingJobStatus": status, "TrainingEndTime": datetime.fromtimestamp(clock[0], UTC), **told}

    def trained(name="lego", **request):
        metadata = train(name, **request)
        job = next(job for job, record in sagemaker.jobs.items() if record["TrainingJobStatus"] == "InProgress")
        finish(job)
        assert training.ended(services, job) == "TRAINED"
        return metadata["ModelVersion"]

    return SimpleNamespace(
        client=client, services=services, sagemaker=sagemaker, backend=backend, clock=clock, queue=queue, work=work,
        lines=lines, project=project, train=train, finish=finish, trained=trained, s3=cloud.s3,
    )  # fmt: skip
