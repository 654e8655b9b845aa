"""The deployer on small assemblies written by hand: order, change, failure, deletion."""

import json
import zipfile
from io import BytesIO

import pytest

from localaws import deploy
from localaws.deploy import DeployError, Progress


def write_assembly(folder, stacks, assets=None):
    """A cloud assembly as the CDK writes it. `stacks`: name → (template, dependencies)."""
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = {}
    files = {}
    for name, (template, dependencies) in stacks.items():
        (folder / f"{name}.template.json").write_text(json.dumps(template))
        files[name] = {
            "source": {"path": f"{name}.template.json", "packaging": "file"},
            "destinations": {
                "d": {"bucketName": "assets-${AWS::AccountId}-${AWS::Region}", "objectKey": f"{name}.json"}
            },
        }
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "dependencies": [*dependencies, "assets"],
            "properties": {
                "templateFile": f"{name}.template.json",
                "stackTemplateAssetObjectUrl": f"s3://assets-${{AWS::AccountId}}-${{AWS::Region}}/{name}.json",
            },
        }
    for name, source in (assets or {}).items():
        files[name] = {
            "source": {"path": source, "packaging": "zip"},
            "destinations": {
                "d": {"bucketName": "assets-${AWS::AccountId}-${AWS::Region}", "objectKey": f"{name}.zip"}
            },
        }
    (folder / "assets.json").write_text(json.dumps({"files": files}))
    artifacts["assets"] = {"type": "cdk:asset-manifest", "properties": {"file": "assets.json"}}
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return folder


def bucket(value="a"):
    return {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": value}}},
        "Outputs": {"Arn": {"Value": {"Ref": "Topic"}}},
    }


QUERY = {"Name": "q", "Database": "d", "QueryString": "SELECT 1", "WorkGroup": "nowhere"}
BROKEN = {"Resources": {"Query": {"Type": "AWS::Athena::NamedQuery", "Properties": QUERY}}}


def test_stacks_are_deployed_after_those_they_depend_on(embedded, tmp_path):
    folder = write_assembly(tmp_path / "a", {"AFirst": (bucket(), ["BSecond"]), "BSecond": (bucket(), [])})
    seen = []

    outputs = deploy.deploy(folder, embedded.session, seen.append)

    order = list(dict.fromkeys(progress.stack for progress in seen))
    assert order == ["BSecond", "AFirst"]
    assert set(outputs) == {"AFirst", "BSecond"}
    assert outputs["AFirst"]["Arn"].startswith("arn:aws:sns:")
    assert seen[-1] == Progress("AFirst", 1, 1, "AWS::SNS::Topic", "CREATE_COMPLETE")


def test_a_change_updates_in_place_and_no_change_does_nothing(embedded, tmp_path):
    sns = embedded.client("sns")
    folder = write_assembly(tmp_path / "a", {"Changing": (bucket("one"), [])})
    arn = deploy.deploy(folder, embedded.session)["Changing"]["Arn"]

    seen = []
    assert deploy.deploy(folder, embedded.session, seen.append)["Changing"]["Arn"] == arn
    assert seen == []

    folder = write_assembly(tmp_path / "b", {"Changing": (bucket("two"), [])})
    assert deploy.deploy(folder, embedded.session)["Changing"]["Arn"] == arn
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"] == "two"


def test_a_failure_names_stack_resource_and_reason(embedded, tmp_path):
    folder = write_assembly(tmp_path / "a", {"Broken": (BROKEN, [])})

    with pytest.raises(DeployError, match=r"Stack Broken: Query \(AWS::Athena::NamedQuery\) failed: .*nowhere"):
        deploy.deploy(folder, embedded.session)


def test_a_failed_creation_is_made_anew_by_the_next_deployment(embedded, tmp_path):
    with pytest.raises(DeployError):
        deploy.deploy(write_assembly(tmp_path / "a", {"Mended": (BROKEN, [])}), embedded.session)

    outputs = deploy.deploy(write_assembly(tmp_path / "b", {"Mended": (bucket(), [])}), embedded.session)

    assert outputs["Mended"]["Arn"]


def test_an_unknown_resource_type_is_refused_by_name(embedded, tmp_path):
    unknown = {"Resources": {"X": {"Type": "AWS::Nowhere::Thing"}}}

    with pytest.raises(DeployError, match="AWS::Nowhere::Thing"):
        deploy.deploy(write_assembly(tmp_path / "a", {"Unknown": (unknown, [])}), embedded.session)


def test_destroy_removes_the_stacks(embedded, tmp_path):
    folder = write_assembly(tmp_path / "a", {"Gone": (bucket(), [])})
    arn = deploy.deploy(folder, embedded.session)["Gone"]["Arn"]

    deploy.destroy(folder, embedded.session)

    topics = [topic["TopicArn"] for topic in embedded.client("sns").list_topics()["Topics"]]
    assert arn not in topics


def test_the_same_folder_is_the_same_archive(embedded, tmp_path):
    source = tmp_path / "a" / "code"
    (source / "sub").mkdir(parents=True)
    (source / "main.py").write_text("x = 1\n")
    (source / "sub" / "run").write_text("#!/bin/sh\n")
    (source / "sub" / "run").chmod(0o755)
    folder = write_assembly(tmp_path / "a", {"Coded": (bucket(), [])}, {"code": "code"})
    deploy.deploy(folder, embedded.session)

    body = embedded.client("s3").get_object(Bucket="assets-000000000000-us-east-1", Key="code.zip")["Body"].read()

    with zipfile.ZipFile(BytesIO(body)) as archive:
        assert sorted(archive.namelist()) == ["main.py", "sub/run"]
        assert archive.getinfo("sub/run").external_attr >> 16 & 0o111
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
