import io
import json
import os
import signal
import struct
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from localaws.engines.sagemaker.engine import SageMaker
from localaws.engines.sagemaker.fleet import Fleet
from localaws.home import ServiceError

# Answers with what it was asked, its model and its process; words in the body make it fail, sleep or refuse.
SERVER = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
assert sys.argv[1:] == ["serve"], sys.argv
weights = (Path(os.environ["OPT_ML"]) / "model/weights").read_text()
print("serving", weights, flush=True)
if weights == "broken":
    sys.exit(5)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(200, b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body == b"bad":
            return self.reply(415, b"cannot read this")
        if body == b"crash":
            return self.reply(500, b"bug")
        if body == b"slow":
            time.sleep(1)
        if body == b"die":
            os._exit(1)
        if "SAGEMAKER_BATCH" in os.environ:
            return self.reply(200, f"{len(body)}:{body[:40]!r}".encode())
        seen = {"body": body.decode(), "weights": weights, "pid": os.getpid(), "setting": os.environ.get("SETTING"),
                "type": self.headers["Content-Type"], "accept": self.headers["Accept"],
                "custom": self.headers["X-Amzn-SageMaker-Custom-Attributes"]}
        self.reply(200, json.dumps(seen).encode())
    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "made-here")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def model(aws, name="m", weights="w1", **environment):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("weights")
        info.size = len(weights)
        archive.addfile(info, io.BytesIO(weights.encode()))
    aws.put(f"models/{name}.tar.gz", buffer.getvalue())
    container = {"Image": aws.image(SERVER, "server"), "ModelDataUrl": f"s3://data/models/{name}.tar.gz"}
    aws.sagemaker.create_model(
        aws.call,
        {
            "ModelName": name,
            "ExecutionRoleArn": aws.role,
            "PrimaryContainer": {**container, "Environment": environment},
        },
    )
    return name


def transform(aws, name="x", *, split="None", strategy="MultiRecord", assemble="None", count=1, **members):
    request = {
        "TransformJobName": name,
        "ModelName": "m",
        "BatchStrategy": strategy,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in/"}},
            "SplitType": split,
            "ContentType": "text/plain",
        },
        "TransformOutput": {"S3OutputPath": "s3://data/out/", "AssembleWith": assemble},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": count},
        **members,
    }
    aws.sagemaker.create_transform_job(aws.call, request)
    return aws.finished("Transform", name)


def tfrecord(*contents):
    return b"".join(struct.pack("<Q", len(c)) + b"HHHH" + c + b"CCCC" for c in contents)


def test_whole_objects_go_to_the_servers_and_their_answers_come_back(aws):
    model(aws)
    for number in range(5):
        aws.put(f"in/part/{number}.txt", f"object {number}")
    job = transform(aws, count=2, MaxConcurrentTransforms=2)
    assert job["TransformJobStatus"] == "Completed", (job.get("FailureReason"), aws.log("TransformJobs"))
    assert job["TransformEndTime"] >= job["TransformStartTime"]
    assert aws.keys("out/") == [f"out/part/{n}.txt.out" for n in range(5)]
    assert aws.read("out/part/3.txt.out") == "8:b'object 3'"
    logs = aws.log("TransformJobs")
    assert [stream.rpartition("-")[0] for stream in sorted(logs)] == ["x/algo-1", "x/algo-2"]
    assert set(logs.values()) == {"serving w1"}


@pytest.mark.parametrize(
    ("split", "strategy", "assemble", "content", "expected"),
    [
        ("Line", "SingleRecord", "Line", b"one\ntwo\n", "3:b'one'\n3:b'two'\n"),
        ("Line", "MultiRecord", "None", b"one\ntwo", "7:b'one\\ntwo'"),
        ("TFRecord", "SingleRecord", "Line", tfrecord(b"ab", b"cde"), "2:b'ab'\n3:b'cde'\n"),
        ("TFRecord", "MultiRecord", "Line", tfrecord(b"a"), f"17:{tfrecord(b'a')!r}\n"),
        ("RecordIO", "SingleRecord", "Line", struct.pack("<II", 0xCED7230A, 3) + b"abc\0", "3:b'abc'\n"),
    ],
)
def test_objects_are_split_and_put_together(aws, split, strategy, assemble, content, expected):  # noqa: PLR0917
    model(aws)
    aws.put("in/a", content)
    job = transform(aws, split=split, strategy=strategy, assemble=assemble)
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert aws.read("out/a.out") == expected


def test_requests_are_filled_up_to_the_payload_limit(aws):
    model(aws)
    aws.put("in/a", tfrecord(*[bytes([65 + n]) * 400_000 for n in range(5)]))
    job = transform(aws, split="TFRecord", assemble="Line", MaxPayloadInMB=1)
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    sizes = [int(line.partition(":")[0]) for line in aws.read("out/a.out").splitlines()]
    assert sizes == [800_032, 800_032, 400_016]  # two records of 400,016 bytes fit into 1,048,576


@pytest.mark.parametrize(
    ("content", "members", "reason"),
    [
        (b"bad", {}, "ClientError: in/b: the container answered 415: cannot read this"),
        (
            b"crash",
            {"ModelClientConfig": {"InvocationsMaxRetries": 1}},
            "AlgorithmError: in/b: the container answered 500: bug",
        ),
        (b"x" * 1_100_000, {"MaxPayloadInMB": 1}, "ClientError: in/b: a record of 1,100,000 bytes is larger than"),
        (b"\0" * 7, {"split": "TFRecord"}, "ClientError: in/b is cut off in the middle of a TFRecord"),
    ],
    ids=["refused", "failed", "too large", "cut off"],  # the content would be in the environment of what is started
)  # fmt: skip
def test_an_object_that_fails_fails_the_job_and_has_no_output(aws, content, members, reason):
    model(aws)
    aws.put("in/a", tfrecord(b"good"))
    aws.put("in/b", content)
    job = transform(aws, **members)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(reason)
    assert aws.keys("out/") == ["out/a.out"]


def test_a_server_that_does_not_come_up_fails_the_job(aws):
    model(aws, weights="broken")
    aws.put("in/a", b"a")
    assert "ended with exit code 5 before it served" in transform(aws)["FailureReason"]


# -- endpoints -------------------------------------------------------------------------------------------------------


def configure(aws, name, *variants, **members):
    given = [
        {
            "VariantName": variant,
            "ModelName": model_name,
            "InitialInstanceCount": count,
            "InitialVariantWeight": weight,
            "InstanceType": "ml.m5.large",
        }
        for variant, model_name, count, weight in variants
    ]
    request = {"EndpointConfigName": name, "ProductionVariants": given, **members}
    aws.sagemaker.create_endpoint_config(aws.call, request)


def settled(aws, name="e"):
    describe = lambda: aws.sagemaker.describe_endpoint(aws.call, {"EndpointName": name})  # noqa: E731
    busy = ("Creating", "Updating", "Deleting")
    return aws.wait(lambda: describe() if describe()["EndpointStatus"] not in busy else None)


def endpoint(aws, *variants, name="e", **members):
    configure(aws, f"{name}-config", *(variants or [("all", "m", 1, 1.0)]), **members)
    aws.sagemaker.create_endpoint(aws.call, {"EndpointName": name, "EndpointConfigName": f"{name}-config"})
    return settled(aws, name)


def ask(aws, body="hello", engine=None, **members):
    answer = (engine or aws.sagemaker).invoke_endpoint(
        aws.call, {"EndpointName": "e", "Body": body.encode(), **members}
    )
    return json.loads(answer["Body"]), answer


def test_an_endpoint_answers_and_tells_its_errors(aws):
    model(aws, SETTING="on")
    described = endpoint(aws)
    assert described["EndpointStatus"] == "InService", described
    [variant] = described["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentInstanceCount"], variant["CurrentWeight"]) == ("all", 1, 1.0)
    seen, answer = ask(aws, ContentType="text/plain", Accept="application/json", CustomAttributes="c=1")
    assert {k: seen[k] for k in ("body", "weights", "setting", "type", "accept", "custom")} == {
        "body": "hello", "weights": "w1", "setting": "on", "type": "text/plain", "accept": "application/json",
        "custom": "c=1",
    }  # fmt: skip
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("application/json", "all")
    assert answer["CustomAttributes"] == "made-here"
    with pytest.raises(ServiceError) as refused:
        ask(aws, "bad")
    error = refused.value
    assert (error.code, error.status, error.fields["OriginalStatusCode"]) == ("ModelError", 424, 415)
    assert error.fields["OriginalMessage"] == "cannot read this"
    assert 'Received client error (415) from all with message "cannot read this"' in error.message
    with pytest.raises(ServiceError, match="ModelError: Received server error"):
        ask(aws, "crash")
    with pytest.raises(ServiceError, match="exceeds the limit of 6,291,456"):
        ask(aws, "x" * 6_291_457)
    with pytest.raises(ServiceError, match="ValidationError: Endpoint none of account 111122223333 not found"):
        ask(aws, EndpointName="none")
    [log] = aws.wait(lambda: list(aws.log("Endpoints/e").values()))
    assert log == "serving w1"
    events = [e["detail"]["EndpointStatus"] for e in aws.home.events if "Endpoint" in e["detail-type"]]
    assert events == ["CREATING", "IN_SERVICE"]


def asked_by(aws):
    """The process that answers; None where its death breaks the connection (clients try again after a 503)."""
    try:
        return ask(aws)[0]["pid"]
    except ServiceError as error:
        return None if error.status == 503 else -1


def test_a_killed_server_comes_back(aws):
    model(aws)
    endpoint(aws)
    pid = ask(aws)[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    aws.wait(lambda: asked_by(aws) not in (None, pid))
    assert asked_by(aws) > 0
    with pytest.raises(ServiceError, match="ServiceUnavailable: Endpoint e did not answer: the connection"):
        ask(aws, "die")
    assert aws.wait(lambda: asked_by(aws)) > 0


def test_while_a_killed_instance_comes_back_the_other_answers(aws):
    model(aws)
    endpoint(aws, ("all", "m", 2, 1.0))
    for _ in range(3):
        victim = ask(aws)[0]["pid"]
        os.kill(victim, signal.SIGKILL)
        answered = [asked_by(aws) for _ in range(20)]
        assert victim not in answered
        assert answered.count(None) <= 1, "only a request that the dying one had taken breaks"
        assert -1 not in answered
        aws.wait(lambda: len({ask(aws)[0]["pid"] for _ in range(4)}) == 2)


def test_variants_share_the_traffic_and_an_update_takes_over_without_a_gap(aws):
    model(aws)
    model(aws, "n", weights="w2")
    endpoint(aws, ("old", "m", 2, 1.0), ("new", "n", 1, 0.0))
    assert len({ask(aws)[0]["pid"] for _ in range(6)}) == 2  # two instances in turn, none of the variant of weight 0
    assert ask(aws, TargetVariant="new")[0]["weights"] == "w2"
    with pytest.raises(ServiceError, match="Variant none not found"):
        ask(aws, TargetVariant="none")
    change = [
        {"VariantName": "old", "DesiredWeight": 0.0, "DesiredInstanceCount": 1},
        {"VariantName": "new", "DesiredWeight": 1.0},
    ]
    aws.sagemaker.update_endpoint_weights_and_capacities(
        aws.call, {"EndpointName": "e", "DesiredWeightsAndCapacities": change}
    )
    described = settled(aws)
    assert [v["CurrentInstanceCount"] for v in described["ProductionVariants"]] == [1, 1]
    assert {ask(aws)[0]["weights"] for _ in range(6)} == {"w2"}

    configure(aws, "next", ("only", "m", 1, 1.0))
    aws.sagemaker.update_endpoint(aws.call, {"EndpointName": "e", "EndpointConfigName": "next"})
    while aws.sagemaker.describe_endpoint(aws.call, {"EndpointName": "e"})["EndpointStatus"] == "Updating":
        assert ask(aws)[0]["body"] == "hello"  # the old servers answer until the new ones do
    assert ask(aws)[1]["InvokedProductionVariant"] == "only"

    model(aws, "broken", weights="broken")
    configure(aws, "bad", ("only", "broken", 1, 1.0))
    aws.sagemaker.update_endpoint(aws.call, {"EndpointName": "e", "EndpointConfigName": "bad"})
    described = settled(aws)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "next")
    assert "exit code 5" in described["FailureReason"]
    assert ask(aws)[0]["weights"] == "w1"


def resized(aws, count, **members):
    change = {"VariantName": "all", "DesiredInstanceCount": count, **members}
    request = {"EndpointName": "e", "DesiredWeightsAndCapacities": [change]}
    aws.sagemaker.update_endpoint_weights_and_capacities(aws.call, request)
    return settled(aws)


def test_more_and_fewer_instances_leave_those_that_stay_alone(aws):
    model(aws)
    endpoint(aws)
    first = ask(aws)[0]["pid"]
    assert resized(aws, 2)["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    both = {ask(aws)[0]["pid"] for _ in range(4)}
    assert (len(both), first in both) == (2, True)
    with ThreadPoolExecutor(2) as pool:  # what the instance that goes has begun, it ends
        slow = [pool.submit(ask, aws, "slow") for _ in range(2)]
        time.sleep(0.3)  # one at each of the two by now, each for a second
        assert resized(aws, 1)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
        assert {future.result()[0]["pid"] for future in slow} == both
    assert {ask(aws)[0]["pid"] for _ in range(4)} == {first}
    [other] = both - {first}
    with pytest.raises(ProcessLookupError):
        os.kill(other, 0)


def test_an_update_keeps_the_counts_only_where_it_is_asked_to(aws):
    """What autoscaling has set goes on through a new model when RetainAllVariantProperties says so."""
    model(aws)
    endpoint(aws)
    resized(aws, 2)
    configure(aws, "next", ("all", "m", 1, 1.0))
    counts = []
    only_weight = [{"VariantPropertyType": "DesiredInstanceCount"}]
    for members in (
        {"RetainAllVariantProperties": True},
        {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": only_weight},
    ):
        aws.sagemaker.update_endpoint(aws.call, {"EndpointName": "e", "EndpointConfigName": "next", **members})
        counts.append(settled(aws)["ProductionVariants"][0]["CurrentInstanceCount"])
    assert counts == [2, 1]


def test_an_instance_that_does_not_come_up_changes_nothing(aws):
    model(aws)
    endpoint(aws)
    first = ask(aws)[0]["pid"]
    aws.put("models/m.tar.gz", b"no archive any more")
    described = resized(aws, 2)
    assert (described["EndpointStatus"], described["ProductionVariants"][0]["CurrentInstanceCount"]) == ("InService", 1)
    assert "models/m.tar.gz" in described["FailureReason"]
    assert {ask(aws)[0]["pid"] for _ in range(3)} == {first}


def test_an_endpoint_that_cannot_start_has_failed_and_a_deleted_one_is_gone(aws):
    model(aws, weights="broken")
    described = endpoint(aws)
    assert described["EndpointStatus"] == "Failed"
    assert "ended with exit code 5" in described["FailureReason"]
    with pytest.raises(ServiceError, match="not found"):
        ask(aws)
    aws.sagemaker.delete_endpoint(aws.call, {"EndpointName": "e"})
    aws.wait(lambda: not aws.sagemaker.list_endpoints(aws.call, {})["Endpoints"])
    with pytest.raises(ServiceError, match='ValidationException: Could not find endpoint "arn:aws:sagemaker:'):
        aws.sagemaker.describe_endpoint(aws.call, {"EndpointName": "e"})


def test_endpoints_come_back_with_the_emulator(aws, home):
    model(aws)
    endpoint(aws)
    first = ask(aws)[0]["pid"]
    aws.sagemaker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    again = SageMaker(home, slots=1)
    try:
        assert ask(aws, engine=again)[0]["pid"] != first
    finally:
        again.close()


def test_an_asynchronous_answer_lands_in_s3(aws):
    model(aws)
    output = {"S3OutputPath": "s3://data/async", "S3FailurePath": "s3://data/failed"}
    endpoint(aws, AsyncInferenceConfig={"OutputConfig": output})
    aws.put("ask/good", "hello")
    aws.put("ask/bad", "bad")
    answers = [
        aws.sagemaker.invoke_endpoint_async(aws.call, {"EndpointName": "e", "InputLocation": f"s3://data/ask/{n}"})
        for n in ("good", "bad")
    ]
    good, bad = (answers[0]["OutputLocation"], answers[1]["FailureLocation"])
    aws.wait(lambda: len(aws.keys("async/")) + len(aws.keys("failed/")) == 2)
    assert json.loads(aws.read(good.removeprefix("s3://data/")))["body"] == "hello"
    assert aws.read(bad.removeprefix("s3://data/")) == "415: cannot read this"


def test_models_and_configurations_are_checked(aws):
    image = aws.image(SERVER, "server")
    role = {"ExecutionRoleArn": aws.role}
    container = {"Image": image, "ModelDataUrl": "s3://data/none.tar.gz"}
    with pytest.raises(ServiceError, match=r"Could not access model data at s3://data/none\.tar\.gz"):
        aws.sagemaker.create_model(aws.call, {"ModelName": "m", "PrimaryContainer": container, **role})
    model(aws)
    with pytest.raises(ServiceError, match="Cannot create already existing model"):
        model(aws)
    with pytest.raises(ServiceError, match='Could not find model "arn:aws:sagemaker:eu-west-1:111122223333:model/n"'):
        configure(aws, "c", ("v", "n", 1, 1.0))
    [listed] = aws.sagemaker.list_models(aws.call, {})["Models"]
    assert listed["ModelName"] == "m"
    described = aws.sagemaker.describe_model(aws.call, {"ModelName": "m"})
    assert described["PrimaryContainer"]["ModelDataUrl"] == "s3://data/models/m.tar.gz"
    aws.sagemaker.add_tags(aws.call, {"ResourceArn": described["ModelArn"], "Tags": [{"Key": "a", "Value": "1"}]})
    assert aws.sagemaker.list_tags(aws.call, {"ResourceArn": described["ModelArn"]})["Tags"] == [
        {"Key": "a", "Value": "1"}
    ]
    aws.sagemaker.delete_model(aws.call, {"ModelName": "m"})
    assert aws.sagemaker.list_models(aws.call, {})["Models"] == []


def test_a_fleet_waits_ever_longer_for_a_server_that_does_not_start(monkeypatch):
    now, starts = [0.0], []
    monkeypatch.setattr("localaws.engines.sagemaker.fleet.time.monotonic", lambda: now[0])

    def start(*_):
        starts.append(now[0])
        raise OSError("no")

    fleet = Fleet(start, {"v": 1}, {"v": 1.0})
    for now[0] in range(100):
        fleet.watch()
    assert starts == [0, 1, 3, 8, 18, 48, 78]


# -- registry --------------------------------------------------------------------------------------------------------


def test_packages_are_numbered_approved_and_served(aws):
    model(aws)
    sagemaker, call = aws.sagemaker, aws.call
    arn = sagemaker.create_model_package_group(call, {"ModelPackageGroupName": "lung"})["ModelPackageGroupArn"]
    assert arn == "arn:aws:sagemaker:eu-west-1:111122223333:model-package-group/lung"
    inside = sagemaker.describe_model(call, {"ModelName": "m"})["PrimaryContainer"]
    specification = {
        "Containers": [{"Image": inside["Image"], "ModelDataUrl": inside["ModelDataUrl"]}],
        "SupportedContentTypes": ["text/plain"], "SupportedResponseMIMETypes": ["application/json"],
    }  # fmt: skip
    request = {"ModelPackageGroupName": "lung", "InferenceSpecification": specification}
    add = lambda **p: sagemaker.create_model_package(call, {**request, **p})["ModelPackageArn"]  # noqa: E731
    first, second = (add(ClientToken=token) for token in "ab")
    assert add(ClientToken="a") == first
    assert first == "arn:aws:sagemaker:eu-west-1:111122223333:model-package/lung/1"
    described = sagemaker.describe_model_package(call, {"ModelPackageName": second})
    assert (described["ModelPackageVersion"], described["ModelApprovalStatus"], described["ModelPackageStatus"]) == (
        2, "PendingManualApproval", "Completed",
    )  # fmt: skip
    sagemaker.update_model_package(call, {"ModelPackageArn": first, "ModelApprovalStatus": "Approved"})
    last = aws.home.events[-1]
    assert last["detail-type"] == "SageMaker Model Package State Change"
    assert (last["detail"]["ModelApprovalStatus"], last["detail"]["ModelPackageArn"]) == ("Approved", first)
    approved = sagemaker.list_model_packages(call, {"ModelPackageGroupName": "lung", "ModelApprovalStatus": "Approved"})
    assert [p["ModelPackageVersion"] for p in approved["ModelPackageSummaryList"]] == [1]

    container = {"ModelPackageName": first}
    sagemaker.create_model(call, {"ModelName": "p", "ExecutionRoleArn": aws.role, "PrimaryContainer": container})
    endpoint(aws, ("all", "p", 1, 1.0))
    assert ask(aws)[0]["weights"] == "w1"

    with pytest.raises(ServiceError, match="still contains Model Packages"):
        sagemaker.delete_model_package_group(call, {"ModelPackageGroupName": "lung"})
    sagemaker.delete_model_package(call, {"ModelPackageName": second})
    third = add()
    assert third.endswith("/3")  # a deleted version's number is not given again
    for name in (first, third):
        sagemaker.delete_model_package(call, {"ModelPackageName": name})
    sagemaker.delete_model_package_group(call, {"ModelPackageGroupName": arn})
    assert sagemaker.list_model_package_groups(call, {})["ModelPackageGroupSummaryList"] == []
    with pytest.raises(ServiceError, match="does not exist"):
        sagemaker.describe_model_package_group(call, {"ModelPackageGroupName": "lung"})
