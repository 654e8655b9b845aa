"""Workgroups decide where results go, how much may be scanned and whether queries run at all."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from localaws.home import ServiceError


def refused(call, *args):
    with pytest.raises(ServiceError) as caught:
        call(*args)
    assert caught.value.code == "InvalidRequestException"
    return caught.value.message


def make(client, name="team", **configuration):
    client.athena.create_work_group(client.call, {"Name": name, "Configuration": configuration})


def test_an_enforced_location_wins_over_the_clients(client):
    make(client, ResultConfiguration={"OutputLocation": "s3://results/team/"})
    answer = client.run("SELECT 1", WorkGroup="team")
    assert answer.execution["ResultConfiguration"]["OutputLocation"] == f"s3://results/team/{answer.id}.csv"
    client.athena.update_work_group(
        client.call, {"WorkGroup": "team", "ConfigurationUpdates": {"EnforceWorkGroupConfiguration": False}}
    )
    answer = client.run("SELECT 1", WorkGroup="team")
    assert answer.execution["ResultConfiguration"]["OutputLocation"] == f"s3://results/out/{answer.id}.csv"
    answer = client.run("SELECT 1", WorkGroup="team", ResultConfiguration={})
    assert answer.execution["ResultConfiguration"]["OutputLocation"] == f"s3://results/team/{answer.id}.csv"


def test_the_scan_limit_cancels_before_reading(client, tmp_path):
    pq.write_table(
        pa.table({"x": list(range(3_000_000)), "y": [0] * 3_000_000}),
        tmp_path / "x.parquet",
        compression="none",
        use_dictionary=False,
    )
    client.objects.write("lake", "big/x.parquet", tmp_path / "x.parquet")
    client.rows("CREATE EXTERNAL TABLE big (x bigint, y bigint) STORED AS PARQUET LOCATION 's3://lake/big/'")
    make(client, ResultConfiguration={"OutputLocation": "s3://results/"}, BytesScannedCutoffPerQuery=30_000_000)
    answer = client.run("SELECT max(x) FROM big", WorkGroup="team")
    assert answer.rows == [["2999999"]]
    assert 24_000_000 <= answer.execution["Statistics"]["DataScannedInBytes"] < 24_100_000
    answer = client.run("SELECT max(x), max(y) FROM big", WorkGroup="team")
    assert answer.state == "CANCELLED"
    assert "Bytes scanned limit was exceeded" in answer.reason
    client.athena.update_work_group(
        client.call, {"WorkGroup": "team", "ConfigurationUpdates": {"RemoveBytesScannedCutoffPerQuery": True}}
    )
    assert client.run("SELECT max(x), max(y) FROM big", WorkGroup="team").state == "SUCCEEDED"
    assert "10000000" in refused(
        client.athena.update_work_group,
        client.call,
        {"WorkGroup": "team", "ConfigurationUpdates": {"BytesScannedCutoffPerQuery": 5}},
    )


def test_a_disabled_workgroup_refuses_queries(client):
    make(client, ResultConfiguration={"OutputLocation": "s3://results/"})
    client.athena.update_work_group(client.call, {"WorkGroup": "team", "State": "DISABLED"})
    with pytest.raises(ServiceError, match="WorkGroup team is disabled"):
        client.start("SELECT 1", WorkGroup="team")


def test_primary_is_always_there(client):
    assert client.athena.get_work_group(client.call, {"WorkGroup": "primary"})["WorkGroup"]["State"] == "ENABLED"
    assert "primary cannot be deleted" in refused(
        client.athena.delete_work_group, client.call, {"WorkGroup": "primary"}
    )
    assert "already created" in refused(client.athena.create_work_group, client.call, {"Name": "primary"})
    client.athena.update_work_group(
        client.call,
        {
            "WorkGroup": "primary",
            "ConfigurationUpdates": {"ResultConfigurationUpdates": {"OutputLocation": "s3://results/p/"}},
        },
    )
    answer = client.run("SELECT 1", ResultConfiguration={})
    assert answer.execution["ResultConfiguration"]["OutputLocation"].startswith("s3://results/p/")


def test_deleting_takes_what_is_saved_only_when_told_so(client):
    make(client)
    client.athena.create_named_query(
        client.call, {"Name": "n", "Database": "lake", "QueryString": "SELECT 1", "WorkGroup": "team"}
    )
    assert "team is not empty" in refused(client.athena.delete_work_group, client.call, {"WorkGroup": "team"})
    client.athena.delete_work_group(client.call, {"WorkGroup": "team", "RecursiveDeleteOption": True})
    names = [g["Name"] for g in client.athena.list_work_groups(client.call, {})["WorkGroups"]]
    assert names == ["primary"]
    assert "team is not found" in refused(client.athena.get_work_group, client.call, {"WorkGroup": "team"})


def test_tags(client):
    client.athena.create_work_group(client.call, {"Name": "team", "Tags": [{"Key": "a", "Value": "1"}]})
    arn = f"arn:aws:athena:{client.call.region}:{client.call.account}:workgroup/team"
    client.athena.tag_resource(client.call, {"ResourceARN": arn, "Tags": [{"Key": "b", "Value": "2"}]})
    client.athena.untag_resource(client.call, {"ResourceARN": arn, "TagKeys": ["a"]})
    assert client.athena.list_tags_for_resource(client.call, {"ResourceARN": arn})["Tags"] == [
        {"Key": "b", "Value": "2"}
    ]
    with pytest.raises(ServiceError, match="not found"):
        client.athena.list_tags_for_resource(client.call, {"ResourceARN": arn.replace("team", "none")})


def test_settings_this_engine_lacks_are_refused_by_name(client):
    message = refused(
        client.athena.create_work_group,
        client.call,
        {"Name": "x", "Configuration": {"ManagedQueryResultsConfiguration": {"Enabled": True}}},
    )
    assert "ManagedQueryResultsConfiguration" in message
