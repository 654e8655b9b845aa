"""From StartQueryExecution to results: states, stopping, idempotence, paging, files, restart."""

from __future__ import annotations

import json
import time

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.validate import ParamValidator

from localaws.engines.athena import Athena
from localaws.engines.athena.execution import Run
from localaws.home import Call, ServiceError

SLOW = """
    SELECT count(*) FROM UNNEST(sequence(1, 9999)) a(x), UNNEST(sequence(1, 9999)) b(y), UNNEST(sequence(1, 9)) c(z)
    WHERE (x * 7 + y * z) % 1000003 = -1"""


def error(call, *args, **params):
    with pytest.raises(ServiceError) as caught:
        call(*args, **params)
    return caught.value


def test_a_query_leaves_csv_and_metadata_where_athena_puts_them(client):
    answer = client.run("SELECT 1 AS a, '' AS b, null AS c, 'say \"hi\"' AS a")
    location = f"s3://results/out/{answer.id}.csv"
    assert answer.execution["ResultConfiguration"]["OutputLocation"] == location
    body = client.objects.read("results", f"out/{answer.id}.csv").decode()
    assert body == '"a","b","c","a"\n"1","",,"say ""hi"""\n'
    metadata = json.loads(client.objects.read("results", f"out/{answer.id}.csv.metadata"))
    assert [c["Type"] for c in metadata["columns"]] == ["integer", "varchar", "unknown", "varchar"]
    assert answer.rows == [["1", "", None, 'say "hi"']]


def test_execution_shows_type_statistics_and_context(client):
    answer = client.run("SELECT 1")
    shown = answer.execution
    assert (shown["StatementType"], shown["SubstatementType"], shown["WorkGroup"]) == ("DML", "SELECT", "primary")
    assert shown["QueryExecutionContext"] == {"Database": "lake"}
    assert shown["EngineVersion"]["EffectiveEngineVersion"] == "Athena engine version 3"
    assert shown["Status"]["CompletionDateTime"] >= shown["Status"]["SubmissionDateTime"]
    assert shown["Statistics"]["DataScannedInBytes"] == 0
    timeline = client.athena.get_query_runtime_statistics(client.call, {"QueryExecutionId": answer.id})
    assert timeline["QueryRuntimeStatistics"]["Rows"]["OutputRows"] == 1
    assert "EngineExecutionTimeInMillis" in timeline["QueryRuntimeStatistics"]["Timeline"]


def test_column_info_has_precision_and_scale(client):
    identity = client.run("SELECT 1.25 AS d, 'ab' AS s, cast(1 AS bigint) AS b, cast('x' AS varchar) AS v").id
    page = client.athena.get_query_results(client.call, {"QueryExecutionId": identity})
    info = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert [(c["Type"], c["Precision"], c["Scale"]) for c in info] == [
        ("decimal", 3, 2), ("varchar", 2, 0), ("bigint", 19, 0), ("varchar", 2147483647, 0),
    ]  # fmt: skip


def test_results_come_in_pages_with_the_header_first(client):
    identity = client.run("SELECT x, 'line\nbreak' FROM UNNEST(sequence(1, 2500)) t(x) ORDER BY x").id
    sizes, values, params = [], [], {"QueryExecutionId": identity}
    while True:
        page = client.athena.get_query_results(client.call, params)
        rows = page["ResultSet"]["Rows"]
        sizes.append(len(rows))
        values += [row["Data"][0]["VarCharValue"] for row in rows]
        if "NextToken" not in page:
            break
        params["NextToken"] = page["NextToken"]
    assert sizes == [1000, 1000, 501]
    assert values == ["x", *map(str, range(1, 2501))]
    two = client.athena.get_query_results(client.call, {"QueryExecutionId": identity, "MaxResults": 2})
    assert [r["Data"][1]["VarCharValue"] for r in two["ResultSet"]["Rows"]] == ["_col1", "line\nbreak"]


def state(client, identity):
    found = client.athena.get_query_execution(client.call, {"QueryExecutionId": identity})
    return found["QueryExecution"]["Status"]["State"]


def test_a_stopped_query_is_cancelled(client):
    identity = client.start(SLOW)
    while state(client, identity) == "QUEUED":
        time.sleep(0.002)
    client.athena.stop_query_execution(client.call, {"QueryExecutionId": identity})
    found = client.wait(identity)
    assert found["Status"]["State"] == "CANCELLED"
    assert found["Status"]["StateChangeReason"] == "Query cancelled by user"
    refused = error(client.athena.get_query_results, client.call, {"QueryExecutionId": identity})
    assert "Final query state: CANCELLED" in refused.message


def test_a_stop_just_before_a_statement_begins_is_not_lost(client, monkeypatch):
    """DuckDB forgets an interrupt when it has nothing to interrupt."""
    given = []

    def stop(run):
        given.append(run)
        if len(given) > 1:
            plain(run)

    plain = Run.stop
    monkeypatch.setattr(Run, "stop", stop)
    identity = client.start(SLOW)
    while state(client, identity) == "QUEUED":
        time.sleep(0.002)
    client.athena.stop_query_execution(client.call, {"QueryExecutionId": identity})
    assert client.wait(identity)["Status"]["State"] == "CANCELLED"
    assert len(given) > 1


def test_a_queued_query_can_be_stopped_and_results_wait_for_the_end(client):
    running = [client.start(SLOW) for _ in range(4)]
    queued = client.start("SELECT 1")
    refused = error(client.athena.get_query_results, client.call, {"QueryExecutionId": queued})
    assert "has not yet finished" in refused.message
    for identity in (queued, *running):
        client.athena.stop_query_execution(client.call, {"QueryExecutionId": identity})
    assert {client.wait(identity)["Status"]["State"] for identity in (queued, *running)} == {"CANCELLED"}
    assert client.rows("SELECT 1") == [["1"]]


def test_stopping_an_ended_query_changes_nothing(client):
    answer = client.run("SELECT 1")
    client.athena.stop_query_execution(client.call, {"QueryExecutionId": answer.id})
    assert client.wait(answer.id)["Status"]["State"] == "SUCCEEDED"


def test_the_request_token_makes_start_idempotent(client):
    first = client.start("SELECT 1", ClientRequestToken="t" * 32)
    assert client.start("SELECT 1", ClientRequestToken="t" * 32) == first
    assert client.start("SELECT 1", ClientRequestToken="u" * 32) != first
    assert "do not match" in error(client.start, "SELECT 2", ClientRequestToken="t" * 32).message


def test_listing_is_newest_first_and_batch_get_names_the_unknown(client):
    ids = [client.run(f"SELECT {i}").id for i in range(3)]
    page = client.athena.list_query_executions(client.call, {"MaxResults": 2})
    assert page["QueryExecutionIds"] == [ids[2], ids[1]]
    rest = client.athena.list_query_executions(client.call, {"NextToken": page["NextToken"]})
    assert rest["QueryExecutionIds"] == [ids[0]]
    batch = client.athena.batch_get_query_execution(client.call, {"QueryExecutionIds": [ids[0], "nope"]})
    assert [q["Query"] for q in batch["QueryExecutions"]] == ["SELECT 0"]
    assert batch["UnprocessedQueryExecutionIds"][0]["QueryExecutionId"] == "nope"


def test_two_accounts_and_regions_see_only_their_own(client):
    answer = client.run("SELECT 1")
    other = type(client.call)(account="999900001111", region=client.call.region)
    assert "was not found" in error(client.athena.get_query_execution, other, {"QueryExecutionId": answer.id}).message


def test_executions_survive_a_restart_and_interrupted_ones_fail(client):
    done = client.run("SELECT 42 AS answer")
    key = f"{client.call.account}/{client.call.region}/"
    executions = client.home.records("athena.executions")
    executions[f"{key}lost"] = {**executions[f"{key}{done.id}"], "id": "lost", "state": "RUNNING", "completed": None}
    again = Athena(client.home)
    try:
        page = again.get_query_results(client.call, {"QueryExecutionId": done.id})
        assert page["ResultSet"]["Rows"][1]["Data"] == [{"VarCharValue": "42"}]
        lost = again.get_query_execution(client.call, {"QueryExecutionId": "lost"})["QueryExecution"]["Status"]
        assert (lost["State"], lost["AthenaError"]["Retryable"]) == ("FAILED", True)
    finally:
        again.close()


def test_every_state_is_an_event(client):
    answer = client.run("SELECT 1")
    states = [e["detail"]["currentState"] for e in client.home.events if e["detail"]["queryExecutionId"] == answer.id]
    assert states == ["RUNNING", "SUCCEEDED"]
    assert client.home.events[-1]["detail-type"] == "Athena Query State Change"


def test_an_output_location_is_needed(client):
    refused = error(client.athena.start_query_execution, client.call, {"QueryString": "SELECT 1"})
    assert "No output location provided" in refused.message
    answer = client.run("SELECT 1", ResultConfiguration={"OutputLocation": "s3://nowhere/x/"})
    assert answer.state == "FAILED"
    assert "nowhere" in answer.reason


def test_parameters_fill_question_marks(client):
    sql = "SELECT ? AS a, '?' AS b, ? + 1 AS c LIMIT ?"
    assert client.rows(sql, ExecutionParameters=["'it''s'", "41", "1"]) == [["it's", "?", "42"]]
    for parameters in (["1"], ["1", "2", "3", "4"], ["1, 2", "3", "4"], ["1) FROM x --", "2", "1"]):
        assert error(client.start, sql, ExecutionParameters=parameters).code == "InvalidRequestException"


def test_prepared_statements(client):
    client.rows("PREPARE pick FROM SELECT x FROM (VALUES 1, 2, 3) t(x) WHERE x > ? ORDER BY x")
    assert client.rows("EXECUTE pick USING 1") == [["2"], ["3"]]
    assert client.rows("EXECUTE pick", ExecutionParameters=["2"]) == [["3"]]
    assert "expected 1 but found 0" in client.fails("EXECUTE pick")
    group = {"WorkGroup": "primary"}
    assert [
        p["StatementName"] for p in client.athena.list_prepared_statements(client.call, group)["PreparedStatements"]
    ] == ["pick"]
    client.athena.update_prepared_statement(
        client.call, {**group, "StatementName": "pick", "QueryStatement": "SELECT ?"}
    )
    assert client.rows("EXECUTE pick USING 'x'") == [["x"]]
    batch = client.athena.batch_get_prepared_statement(
        client.call, {**group, "PreparedStatementNames": ["pick", "none"]}
    )
    assert len(batch["PreparedStatements"]) == len(batch["UnprocessedPreparedStatementNames"]) == 1
    client.rows("DEALLOCATE PREPARE pick")
    assert "PreparedStatement pick was not found" in client.fails("EXECUTE pick")
    missing = error(client.athena.get_prepared_statement, client.call, {**group, "StatementName": "pick"})
    assert missing.code == "ResourceNotFoundException"


def test_named_queries(client):
    call, athena = client.call, client.athena
    given = {"Name": "n", "Database": "lake", "QueryString": "SELECT 1", "ClientRequestToken": "k" * 32}
    identity = athena.create_named_query(call, given)["NamedQueryId"]
    assert athena.create_named_query(call, given)["NamedQueryId"] == identity
    assert athena.list_named_queries(call, {})["NamedQueryIds"] == [identity]
    athena.update_named_query(call, {"NamedQueryId": identity, "Name": "m", "QueryString": "SELECT 2"})
    shown = athena.get_named_query(call, {"NamedQueryId": identity})["NamedQuery"]
    assert (shown["Name"], shown["QueryString"], shown["WorkGroup"]) == ("m", "SELECT 2", "primary")
    batch = athena.batch_get_named_query(call, {"NamedQueryIds": [identity, "none"]})
    assert len(batch["NamedQueries"]) == len(batch["UnprocessedNamedQueryIds"]) == 1
    athena.delete_named_query(call, {"NamedQueryId": identity})
    assert "was not found" in error(athena.get_named_query, call, {"NamedQueryId": identity}).message


def test_responses_are_of_the_shapes_that_botocore_knows(client):
    """What the wire serialises must be in the model: no unknown member, every type right."""
    model = boto3.client(
        "athena", region_name="eu-west-1", config=Config(signature_version=UNSIGNED)
    ).meta.service_model
    client.rows("PREPARE p FROM SELECT 1")
    identity = client.run("SELECT 1.5 AS x").id
    failed = client.run("SELECT nope").id
    named = client.athena.create_named_query(client.call, {"Name": "n", "Database": "lake", "QueryString": "SELECT 1"})[
        "NamedQueryId"
    ]
    client.rows("CREATE EXTERNAL TABLE t (a int) STORED AS PARQUET LOCATION 's3://lake/t/'")
    asked = {
        "GetQueryExecution": {"QueryExecutionId": failed},
        "BatchGetQueryExecution": {"QueryExecutionIds": [identity]},
        "ListQueryExecutions": {},
        "GetQueryResults": {"QueryExecutionId": identity},
        "GetQueryRuntimeStatistics": {"QueryExecutionId": identity},
        "GetWorkGroup": {"WorkGroup": "primary"},
        "ListWorkGroups": {},
        "ListEngineVersions": {},
        "GetNamedQuery": {"NamedQueryId": named},
        "ListNamedQueries": {},
        "GetPreparedStatement": {"StatementName": "p", "WorkGroup": "primary"},
        "ListPreparedStatements": {"WorkGroup": "primary"},
        "ListDataCatalogs": {},
        "GetDataCatalog": {"Name": "AwsDataCatalog"},
        "ListDatabases": {"CatalogName": "AwsDataCatalog"},
        "GetDatabase": {"CatalogName": "AwsDataCatalog", "DatabaseName": "lake"},
        "ListTableMetadata": {"CatalogName": "AwsDataCatalog", "DatabaseName": "lake"},
        "GetTableMetadata": {"CatalogName": "AwsDataCatalog", "DatabaseName": "lake", "TableName": "t"},
    }
    for operation, params in asked.items():
        method = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        response = getattr(client.athena, method)(client.call, params)
        report = ParamValidator().validate(response, model.operation_model(operation).output_shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        assert not _unknown(response, model.operation_model(operation).output_shape), operation


def _unknown(value, shape):
    if shape.type_name == "structure":
        extra = set(value) - set(shape.members)
        return extra or next((u for k, v in value.items() if (u := _unknown(v, shape.members[k]))), None)
    if shape.type_name == "list":
        return next((u for v in value if (u := _unknown(v, shape.member))), None)
    return None


def reuse(minutes=5):
    return {
        "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": minutes}}
    }


def reused(answer):
    return answer.execution["Statistics"]["ResultReuseInformation"]["ReusedPreviousResult"]


@pytest.fixture
def growing(client):
    """A table of one row, and a function that adds one."""
    client.rows(
        "CREATE EXTERNAL TABLE g (a int) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://lake/g/'"
    )
    client.write("g/1.json", '{"a": 1}')
    return lambda number: client.write(f"g/{number}.json", f'{{"a": {number}}}')


def test_a_result_is_reused_within_its_age_whatever_the_data(client, growing):
    sql = "SELECT a FROM g WHERE a > ? ORDER BY a"
    first = client.run(sql, ExecutionParameters=["0"])  # any run's result may be reused, asked for or not
    assert (first.rows, reused(first)) == ([["1"]], False)
    assert first.execution["Statistics"]["DataScannedInBytes"] > 0
    growing(2)
    again = client.run(sql, ExecutionParameters=["0"], **reuse())
    assert (again.rows, again.columns, reused(again), again.id == first.id) == ([["1"]], ["a"], True, False)
    assert again.execution["Statistics"]["DataScannedInBytes"] == 0
    assert again.execution["ResultReuseConfiguration"] == reuse()["ResultReuseConfiguration"]
    assert client.rows(sql, ExecutionParameters=["0"]) == [["1"], ["2"]], "who does not ask for reuse gets none"
    growing(3)
    assert client.run(sql, ExecutionParameters=["0"], **reuse()).rows == [["1"], ["2"]], "the newest result is reused"


@pytest.mark.usefixtures("growing")
def test_a_result_is_reused_for_the_same_question_only(client):
    client.athena.create_work_group(client.call, {"Name": "other"})
    client.catalog.create_database({"Name": "elsewhere"})
    sql = "SELECT a FROM lake.g WHERE a > ?"
    asked = {"ExecutionParameters": ["0"], **reuse()}
    client.run(sql, **asked)
    assert reused(client.run(sql, **asked))
    for change in (
        {"ExecutionParameters": ["0.5"]},
        {"WorkGroup": "other"},
        {"database": "elsewhere"},
        {"sql": f"{sql} "},
        {"ResultConfiguration": {"OutputLocation": "s3://results/other/"}},
        reuse(0),
    ):
        assert not reused(client.run(**{"sql": sql, **asked, **change})), change
    refused = error(client.start, sql, **{**asked, **reuse(10081)})
    assert (refused.code, "between 0 and 10080" in refused.message) == ("InvalidRequestException", True)


@pytest.mark.usefixtures("growing")
def test_old_failed_deleted_and_forbidden_results_and_writes_are_not_reused(client):
    sql = "SELECT count(*) FROM g"
    first = client.run(sql)
    executions, key = client.home.records("athena.executions"), f"{client.call.account}/{client.call.region}/{first.id}"
    executions[key] = {**executions[key], "completed": time.time() - 301}
    assert not reused(client.run(sql, **reuse(5)))
    client.objects.delete("results", f"out/{client.run(sql).id}.csv")
    assert not reused(client.run(sql, **reuse(5)))
    assert reused(client.run(sql, **reuse(5)))

    def authorize(action, resource):
        if (action, resource) == ("s3:GetObject", "arn:aws:s3:::lake/g/*"):
            raise ServiceError("AccessDeniedException", f"not authorized to perform: {action}")

    client.call = Call(client.call.account, client.call.region, authorize)
    assert "Permission denied on S3 path: s3://lake/g/" in client.fails(sql, **reuse(5))
    client.call = Call(client.call.account, client.call.region)
    assert client.fails("SELECT nope FROM g") == client.fails("SELECT nope FROM g", **reuse())
    client.rows("INSERT INTO g SELECT 7 AS a")
    client.rows("INSERT INTO g SELECT 7 AS a", **reuse())
    assert client.rows("SELECT count(*) FROM g") == [["3"]]


@pytest.mark.usefixtures("growing")
def test_a_reused_result_grows_no_younger_and_survives_a_restart(client):
    first = client.run("SELECT a FROM g", **reuse())
    assert reused(client.run("SELECT a FROM g", **reuse()))
    executions, key = client.home.records("athena.executions"), f"{client.call.account}/{client.call.region}/{first.id}"
    executions[key] = {**executions[key], "completed": time.time() - 200}
    client.athena.close()
    client.athena = Athena(client.home)
    assert reused(client.run("SELECT a FROM g", **reuse(5)))
    assert not reused(client.run("SELECT a FROM g", **reuse(3)))
