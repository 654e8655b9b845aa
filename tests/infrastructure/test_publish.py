"""The custom resource that uploads the site, against S3 and a listener in CloudFormation's place."""

import http.server
import importlib
import json
import threading

import boto3
import pytest
from moto import mock_aws

from stacks.building_blocks.python_code import archive_of


@pytest.fixture
def answers():
    """What CloudFormation is told: the listener's URL and the answers it got."""
    told = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def site(monkeypatch, tmp_path):
    """An archive in one bucket, an old release in another; the handler as it starts cold."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("index.html", "main.js"):
        (tmp_path / name).write_text(name)
    package = archive_of({"index.html": tmp_path / "index.html", "app/main.js": tmp_path / "main.js"})
    with mock_aws():
        s3 = boto3.client("s3")
        for bucket in ("assets", "site"):
            s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket="assets", Key="site.zip", Body=package.read_bytes())
        s3.put_object(Bucket="site", Key="old.js", Body=b"of the release before")
        yield s3, importlib.reload(importlib.import_module("lambdas.console.publish")).handler


def event(url, kind, key="site.zip"):
    properties = {"SourceBucket": "assets", "SourceKey": key, "TargetBucket": "site", "Config": '{"apiBase": ""}'}
    same = {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "Publication"}
    return same | {"RequestType": kind, "ResponseURL": url, "ResourceProperties": properties}


def keys(s3):
    return [each["Key"] for each in s3.list_objects_v2(Bucket="site").get("Contents", [])]


def test_a_release_replaces_the_one_before(site, answers):
    s3, handler = site
    url, told = answers
    for kind in ("Create", "Update"):
        handler(event(url, kind), None)
    assert keys(s3) == ["app/main.js", "config.json", "index.html"]
    assert s3.get_object(Bucket="site", Key="config.json")["Body"].read() == b'{"apiBase": ""}'
    head = s3.head_object(Bucket="site", Key="app/main.js")
    assert (head["ContentType"].split("/")[1], head["CacheControl"]) == ("javascript", "no-cache")
    assert [each["Status"] for each in told] == ["SUCCESS", "SUCCESS"]
    assert len({each["PhysicalResourceId"] for each in told}) == 1  # else an update would delete what it uploaded


def test_deleting_empties_the_bucket_so_that_it_can_go(site, answers):
    s3, handler = site
    url, told = answers
    handler(event(url, "Delete"), None)
    assert keys(s3) == []
    assert told[0]["Status"] == "SUCCESS"


def test_a_failure_reaches_cloudformation_with_its_reason(site, answers):
    s3, handler = site
    url, told = answers
    handler(event(url, "Update", key="missing.zip"), None)
    assert told[0]["Status"] == "FAILED"
    assert "NoSuchKey" in told[0]["Reason"]
    assert keys(s3) == ["old.js"]


def test_a_request_without_properties_is_answered_too(site, answers):
    s3, handler = site
    url, told = answers
    broken = event(url, "Update") | {"ResourceProperties": {}, "PhysicalResourceId": "site-of-site"}
    handler(broken, None)
    assert (told[0]["Status"], told[0]["Reason"]) == ("FAILED", "KeyError: 'TargetBucket'")
    assert told[0]["PhysicalResourceId"] == "site-of-site"  # another would have CloudFormation delete the old one
    assert keys(s3) == ["old.js"]


def test_cloudformation_waits_little_longer_than_the_publisher_runs(local):
    resources = local["Console"]["Resources"]
    [publication] = [each["Properties"] for each in resources.values() if each["Type"] == "Custom::Site"]
    function = resources[publication["ServiceToken"]["Fn::GetAtt"][0]]["Properties"]
    assert 0 < int(publication["ServiceTimeout"]) - function["Timeout"] <= 60
