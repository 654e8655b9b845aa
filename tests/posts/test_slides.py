"""What the original post prints of SageMaker, against the embedded one: its processing job, its sharding, its training
job's pipes, its predictions. Only names, places and sizes are others. Framework containers of its day are no longer
supported, so that an image of this test stands where TensorFlow's stood.
"""

import io
import json
import subprocess
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from localaws import emulator
from localaws.engines.sagemaker.images import bucket_of, key_of, packed

SDK_PYTHON = Path(emulator.__file__).parents[1] / ".venv-sagemaker" / "bin" / "python"
BUCKET = "post-slides"
GRANTS = (
    {"Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "Resource": "*"},
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{BUCKET}/*"},
    {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"},
)
DOCKERFILE = 'FROM python:3.11-slim\nWORKDIR /opt/program\nENTRYPOINT ["python3", "main.py"]\n'
# As processing job: leaves one file with what this host was given. As training job: reads an epoch of each pipe.
MAIN = """
import json, os, sys
from pathlib import Path
ml = Path(os.environ["OPT_ML"])
if sys.argv[1:2] == ["train"]:
    pipes = [name for name in os.environ if name.startswith("SM_CHANNEL_")]
    read = {}
    for name in pipes:
        with open(f"{ml}/input/data/{name.removeprefix('SM_CHANNEL_').lower()}_0", "rb") as pipe:
            read[name.removeprefix("SM_CHANNEL_").lower()] = pipe.read().decode()
    told = json.loads((ml / "input/config/hyperparameters.json").read_text())
    (ml / "output/data" / f"{os.environ['SM_CURRENT_HOST']}.json").write_text(json.dumps({"read": read, "told": told}))
    (ml / "model/weights").write_text("trained")
else:
    host = json.loads((ml / "config/resourceconfig.json").read_text())["current_host"]
    given = sorted(path.name for path in (ml / "processing/input").iterdir())
    target = ml / "processing/output/train"
    target.mkdir(parents=True)
    (target / f"{host}.tfrecord").write_text(json.dumps({"given": given, "arguments": sys.argv[1:]}))
"""
GPUS_PER_HOST, HOSTS = 4, 4


@pytest.fixture(scope="module")
def aws(embedded, tmp_path_factory):
    client = embedded.client
    client("s3").create_bucket(Bucket=BUCKET)
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam = client("iam")
    role = iam.create_role(RoleName="post-slides", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": GRANTS})
    iam.put_role_policy(RoleName="post-slides", PolicyName="p", PolicyDocument=policy)
    context = tmp_path_factory.mktemp("image")
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "main.py").write_text(MAIN)
    account, region = emulator.ACCOUNT, emulator.REGION
    client("s3").put_object(Bucket=bucket_of(account, region), Key=key_of("post", "v1"), Body=packed(context))
    image = f"{account}.dkr.ecr.{region}.amazonaws.com/post:v1"
    return SimpleNamespace(client=client, role=role["Arn"], image=image, environment=embedded.emulator.environment())


def put(aws, key, body):
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)


def names(aws, prefix):
    return [each["Key"] for each in aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def read(aws, key):
    return aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()


PROCESSING = """
import sys
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output

image_name, role = sys.argv[1:]
processor = Processor(image_uri=image_name,
                      role=role,
                      instance_count=16,
                      base_job_name='processing-base',
                      instance_type='ml.m5.4xlarge',
                      volume_size_in_gb=1000)
processor.run(inputs=[ProcessingInput(input_name='input', s3_input=ProcessingS3Input(
    s3_uri='s3://post-slides/tcga-svs',
    s3_data_type='S3Prefix',
    s3_input_mode='File',
    s3_data_distribution_type='ShardedByS3Key',
    local_path='/opt/ml/processing/input'))],
    outputs=[ProcessingOutput(output_name='output', s3_output=ProcessingS3Output(
        local_path='/opt/ml/processing/output',
        s3_uri='s3://post-slides/tcga-svs-tfrecords/',
        s3_upload_mode='EndOfJob'))],
    arguments=['10000'],
    wait=True,
    logs=True)
"""


@pytest.mark.sagemaker
def test_sixteen_instances_share_the_slides(aws, tmp_path):
    """In version 3 of the SDK, inputs and outputs are shapes; the rest is as printed."""
    slides = {f"slide-{n:02}.svs" for n in range(20)}
    for each in sorted(slides):
        put(aws, f"tcga-svs/{each}", b"svs")
    (tmp_path / "sdk.yaml").write_text('{"SchemaVersion": "1.0"}')

    done = subprocess.run(
        [str(SDK_PYTHON), "-c", PROCESSING, aws.image, aws.role],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SAGEMAKER_VALIDATE_ROLE": "false"} | aws.environment,
        cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    left = [json.loads(read(aws, key)) for key in names(aws, "tcga-svs-tfrecords/train/")]
    assert len(left) == 16
    assert sorted(each for told in left for each in told["given"]) == sorted(slides), "each slide on one instance"
    assert {len(told["given"]) for told in left} == {1, 2}
    assert all(told["arguments"] == ["10000"] for told in left)


def sharding(aws):
    """The post's cell. Its `s3://` before names of buckets is left out, and `s3.meta.client.copy` is the client's."""
    gpus_per_host, num_of_shards = GPUS_PER_HOST, GPUS_PER_HOST * HOSTS
    client = aws.client("s3")
    result = client.list_objects(Bucket=BUCKET, Prefix="post/train/", Delimiter="/")
    j = -1
    for i in range(num_of_shards):
        copy_source = {"Bucket": BUCKET, "Key": result["Contents"][i]["Key"]}
        if i % gpus_per_host == 0:
            j += 1
        dest = "post/train_sharded/" + str(j) + "/" + result["Contents"][i]["Key"].split("/")[2]
        client.copy(copy_source, BUCKET, dest)


def test_every_pipe_of_every_host_has_shards_of_its_own(aws):
    """`train_0` … `train_3` over `train_sharded/{0..3}/`, ShardedByS3Key, ShuffleConfig(234): 16 ranks, 16 shards."""
    for n in range(16):
        put(aws, f"post/train/part-{n:02}", f"[{n}]".encode())
    put(aws, "post/valid/part-00", b"[v]")
    sharding(aws)
    assert len(names(aws, "post/train_sharded/")) == 16

    def channel(name, prefix, **members):
        where = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}
        where["S3DataDistributionType"] = "ShardedByS3Key" if members else "FullyReplicated"
        return {"ChannelName": name, "DataSource": {"S3DataSource": where}, **members}

    remote_inputs = []
    for idx in range(GPUS_PER_HOST):
        shuffled = {"ShuffleConfig": {"Seed": 234}}
        remote_inputs += [channel(f"train_{idx}", f"post/train_sharded/{idx}/", **shuffled)]
        remote_inputs += [channel(f"valid_{idx}", "post/valid")]
    told = {"epochs": "5", "batch-size": "16", "num-train": "160000", "num-val": "8192", "num-test": "8192"}
    sagemaker = aws.client("sagemaker")
    sagemaker.create_training_job(
        TrainingJobName="svs-horovod-cloud-pipe",
        RoleArn=aws.role,
        AlgorithmSpecification={"TrainingImage": aws.image, "TrainingInputMode": "Pipe"},
        InputDataConfig=remote_inputs,
        HyperParameters=told,
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output/"},
        ResourceConfig={"InstanceCount": HOSTS, "InstanceType": "ml.p3.8xlarge", "VolumeSizeInGB": 1024},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    deadline = time.monotonic() + 120
    while (job := sagemaker.describe_training_job(TrainingJobName="svs-horovod-cloud-pipe"))[
        "TrainingJobStatus"
    ] == "InProgress":
        assert time.monotonic() < deadline, job
        time.sleep(0.1)

    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    body = read(aws, "output/svs-horovod-cloud-pipe/output/output.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(body)) as files:
        hosts = {each.name: json.loads(files.extractfile(each).read()) for each in files if each.isfile()}
    assert len(hosts) == HOSTS
    shards = [host["read"][f"train_{idx}"] for host in hosts.values() for idx in range(GPUS_PER_HOST)]
    assert sorted(shards) == sorted(f"[{n}]" for n in range(16)), "each shard is read once"
    for host in hosts.values():
        assert [host["read"][f"valid_{idx}"] for idx in range(GPUS_PER_HOST)] == ["[v]"] * GPUS_PER_HOST
        assert {name: host["told"][name] for name in told} == told
