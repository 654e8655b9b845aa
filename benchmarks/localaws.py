"""How soon the embedded AWS is ready, and how soon a Lambda function answers an S3 put.

Wall-clock seconds: what a person waits. There is no peer that deploys these stacks without Docker, so the records carry
the floor only.
"""

from __future__ import annotations

import io
import json
import socket
import statistics
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import boto3

from localaws import assembly, deploy, emulator

RUNS = 3
PUTS = 20
_HANDLER = (
    "import boto3\n"
    "s3 = boto3.client('s3')\n"
    "def handler(event, context):\n"
    "    for record in event['Records']:\n"
    "        bucket, key = record['s3']['bucket']['name'], record['s3']['object']['key']\n"
    "        s3.put_object(Bucket=bucket, Key='out/' + key.rpartition('/')[2], Body=b'done')\n"
)


def run() -> list[dict[str, Any]]:
    """The records of `sextant bench localaws`."""
    cold, warm, events = [], [], []
    with tempfile.TemporaryDirectory(prefix="sextant-bench-") as folder:
        synthesized = assembly.synthesize("local", Path(folder) / "assembly")
        for number in range(RUNS):
            state = Path(folder) / f"state-{number}"
            try:
                cold.append(_ready(state, synthesized))
                emulator.stop(state)
                warm.append(_ready(state, synthesized))
                if number == 0:
                    events = _events(state)
            finally:
                emulator.delete(state)
    return [
        _record("cold start with all stacks deployed", cold, 20.0),
        _record("warm start with all stacks deployed", warm, 5.0),
        _record("S3 put to Lambda's result, warm", events, 0.2),
    ]


def _ready(state: Path, synthesized: Path) -> float:
    started = time.perf_counter()
    running = emulator.start(state, port=_port(), console_port=_port())
    deploy.deploy(synthesized, _session(running))
    return time.perf_counter() - started


def _session(running: emulator.Emulator) -> Any:
    session = boto3.session.Session(
        aws_access_key_id=emulator.ACCOUNT,
        aws_secret_access_key="local",  # noqa: S106 - root of an account of the emulator
        region_name=emulator.REGION,
    )
    make = session.client

    class Local:
        """A session whose clients talk to this emulator, whatever the environment says."""

        region_name = emulator.REGION

        @staticmethod
        def client(service: str) -> Any:
            return make(service, endpoint_url=running.endpoint)  # type: ignore[call-overload]

    return Local()


def _events(state: Path) -> list[float]:
    running = emulator.running(state)
    if running is None:
        raise RuntimeError("the embedded AWS ended during the benchmark; see its emulator.log")
    session = _session(running)
    s3, functions, iam = session.client("s3"), session.client("lambda"), session.client("iam")
    bucket = "bench-events"
    s3.create_bucket(Bucket=bucket)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/out/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName="bench", PolicyName="p", PolicyDocument=policy)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("main.py", _HANDLER)
    function = functions.create_function(
        FunctionName="bench",
        Runtime="python3.13",
        Handler="main.handler",
        Role=role,
        Code={"ZipFile": archive.getvalue()},
    )
    functions.add_permission(
        FunctionName="bench",
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{bucket}",
    )
    rule = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}
    target = {"LambdaFunctionArn": function["FunctionArn"], "Events": ["s3:ObjectCreated:*"], "Filter": rule}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [target]}
    )
    seconds = []
    for number in range(PUTS + 1):
        started = time.perf_counter()
        s3.put_object(Bucket=bucket, Key=f"in/{number}", Body=b"x")
        while not s3.list_objects_v2(Bucket=bucket, Prefix=f"out/{number}").get("KeyCount"):
            if time.perf_counter() - started > 30:
                raise RuntimeError("the function did not answer within 30 s; see its log group")
            time.sleep(0.002)
        seconds.append(time.perf_counter() - started)
    return seconds[1:]  # the first starts the worker


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _record(name: str, seconds: list[float], floor: float) -> dict[str, Any]:
    median = statistics.median(seconds)
    return {
        "system": "localaws",
        "name": name,
        "unit": "s",
        "ours": median,
        "peer": None,
        "peer_name": None,
        "ratio": None,
        "spread": max(seconds) - min(seconds),
        "floor": f"≤ {floor:g} s",
        "ok": median <= floor,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
