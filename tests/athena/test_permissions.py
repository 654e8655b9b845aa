"""A query may only touch what its caller may touch."""

from __future__ import annotations

import fnmatch

import pytest

from localaws.home import Call, ServiceError

ARN = "arn:aws:glue:eu-west-1:111122223333"


class Policy:
    """Allows everything but the denied (action, resource pattern) pairs, and remembers what was asked."""

    def __init__(self, *denied: tuple[str, str]) -> None:
        self.denied = denied
        self.asked: set[tuple[str, str]] = set()

    def __call__(self, action: str, resource: str) -> None:
        self.asked.add((action, resource))
        if any(action == a and fnmatch.fnmatchcase(resource, r) for a, r in self.denied):
            raise ServiceError(
                "AccessDeniedException", f"User: someone is not authorized to perform: {action} on resource: {resource}"
            )


def as_caller(lake, policy):
    class Restricted:
        call = Call(lake.call.account, lake.call.region, policy, "someone")

    restricted = Restricted()

    def run(sql, **params):
        original, lake.call = lake.call, restricted.call
        try:
            return lake.run(sql, **params)
        finally:
            lake.call = original

    return run


def test_a_partitioned_table_asks_for_everything_it_touches(lake):
    policy = Policy()
    as_caller(lake, policy)("SELECT count(*) FROM visit WHERE day = date '2026-03-01'")
    assert {
        ("glue:GetDatabase", f"{ARN}:catalog"),
        ("glue:GetDatabase", f"{ARN}:database/lake"),
        ("glue:GetTable", f"{ARN}:catalog"),
        ("glue:GetTable", f"{ARN}:database/lake"),
        ("glue:GetTable", f"{ARN}:table/lake/visit"),
        ("glue:GetPartitions", f"{ARN}:table/lake/visit"),
        ("s3:ListBucket", "arn:aws:s3:::lake"),
        ("s3:GetObject", "arn:aws:s3:::lake/visit/*"),
        ("s3:GetBucketLocation", "arn:aws:s3:::results"),
        ("s3:PutObject", "arn:aws:s3:::results/out/*"),
    } <= policy.asked


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("glue:GetTable", f"{ARN}:table/lake/trip"),
        ("glue:GetDatabase", f"{ARN}:database/lake"),
        ("s3:ListBucket", "arn:aws:s3:::lake"),
        ("s3:GetObject", "arn:aws:s3:::lake/trip/*"),
        ("s3:PutObject", "arn:aws:s3:::results/*"),
        ("s3:GetBucketLocation", "arn:aws:s3:::results"),
    ],
)
def test_a_denied_permission_fails_the_query_by_name(lake, action, resource):
    lake.rows("SELECT count(*) FROM trip")  # the compiled statement is cached: permissions are checked all the same
    answer = as_caller(lake, Policy((action, resource)))("SELECT count(*) FROM trip")
    assert answer.state == "FAILED"
    assert action in answer.reason
    assert resource.rstrip("*") in answer.reason
    assert any(words in answer.reason for words in ("Insufficient permissions", "Permission denied", "Access denied"))


def test_a_view_needs_its_tables(client):
    client.rows("CREATE EXTERNAL TABLE t (a int) STORED AS PARQUET LOCATION 's3://lake/t/'")
    client.rows("CREATE VIEW v AS SELECT a FROM t")
    reason = as_caller(client, Policy(("glue:GetTable", "*:table/lake/t")))("SELECT * FROM v").reason
    assert "glue:GetTable" in reason
    assert "table/lake/t" in reason


@pytest.mark.parametrize(
    ("sql", "action"),
    [
        ("CREATE DATABASE other", "glue:CreateDatabase"),
        ("CREATE EXTERNAL TABLE n (a int) STORED AS PARQUET LOCATION 's3://lake/n/'", "glue:CreateTable"),
        ("CREATE TABLE n AS SELECT 1 AS a", "glue:CreateTable"),
        ("CREATE VIEW n AS SELECT 1 AS a", "glue:CreateTable"),
        ("DROP TABLE t", "glue:DeleteTable"),
        ("ALTER TABLE t ADD PARTITION (p = '1')", "glue:BatchCreatePartition"),
        ("ALTER TABLE t SET TBLPROPERTIES ('a' = 'b')", "glue:UpdateTable"),
        ("SHOW DATABASES", "glue:GetDatabases"),
        ("SHOW TABLES", "glue:GetTables"),
        ("INSERT INTO t SELECT 1, 'x'", "s3:PutObject"),
        ("UNLOAD (SELECT 1 AS a) TO 's3://lake/u/' WITH (format = 'JSON')", "s3:PutObject"),
        ("PREPARE p FROM SELECT 1", "athena:CreatePreparedStatement"),
    ],
)
def test_statements_that_change_something_ask_for_it(client, sql, action):
    client.rows("CREATE EXTERNAL TABLE t (a int) PARTITIONED BY (p string) STORED AS PARQUET LOCATION 's3://lake/t/'")
    before = (client.catalog.databases(), client.catalog.tables("lake"), list(client.objects.list("lake")))
    answer = as_caller(
        client, Policy((action, "*lake*"), (action, "*database/other"), (action, "*catalog"), (action, "*workgroup*"))
    )(sql)
    assert answer.state == "FAILED", sql
    assert action in answer.reason
    assert (client.catalog.databases(), client.catalog.tables("lake"), list(client.objects.list("lake"))) == before


def test_results_need_permission_to_read_the_object(lake):
    identity = lake.run("SELECT 1").id
    call = Call(lake.call.account, lake.call.region, Policy(("s3:GetObject", "arn:aws:s3:::results/*")))
    with pytest.raises(ServiceError) as denied:
        lake.athena.get_query_results(call, {"QueryExecutionId": identity})
    assert denied.value.code == "AccessDeniedException"
