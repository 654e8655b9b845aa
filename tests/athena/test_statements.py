"""Views, DDL, CTAS, INSERT, UNLOAD and SHOW."""

# ruff: noqa: E501 - statements of one line

from __future__ import annotations

import base64
import gzip
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaws.engines.athena import results, statements, views
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError


def test_views_over_views_and_their_stored_form(client):
    client.rows("CREATE VIEW base AS SELECT * FROM (VALUES (1, 'a'), (2, null)) t(n, s)")
    client.rows("CREATE VIEW top AS SELECT s, n * 2 AS twice FROM base WHERE n > 0")
    assert client.rows("SELECT twice, s FROM top ORDER BY 1") == [["2", "a"], ["4", None]]
    stored = client.catalog.table("lake", "top")
    assert stored["TableType"] == "VIRTUAL_VIEW"
    assert stored["Parameters"]["presto_view"] == "true"
    text = stored["ViewOriginalText"].removeprefix("/* Presto View: ").removesuffix(" */")
    definition = json.loads(base64.b64decode(text))
    assert definition["originalSql"] == "SELECT s, n * 2 AS twice FROM base WHERE n > 0"
    assert definition["columns"] == [{"name": "s", "type": "varchar(1)"}, {"name": "twice", "type": "integer"}]
    assert [c["Type"] for c in stored["StorageDescriptor"]["Columns"]] == ["varchar(1)", "int"]


def test_views_are_replaced_only_when_told_so(client):
    client.rows("CREATE VIEW v AS SELECT 1 AS a")
    assert "View already exists" in client.fails("CREATE VIEW v AS SELECT 2 AS a")
    client.rows("CREATE OR REPLACE VIEW v AS SELECT 2 AS a")
    assert client.rows("SELECT a FROM v") == [["2"]]
    assert client.rows("SHOW CREATE VIEW v") == [["CREATE VIEW v AS"], ["SELECT 2 AS a"]]
    assert "is a view" in client.fails("DROP TABLE v")
    client.rows("DROP VIEW v")
    client.rows("DROP VIEW IF EXISTS v")
    assert "does not exist" in client.fails("DROP VIEW v")


def test_a_view_from_a_template_is_readable(client):
    """As CloudFormation stores it: fewer members than Athena writes, `schema` of another database, extra blanks."""
    client.catalog.create_database({"Name": "other"})
    client.rows("CREATE VIEW source AS SELECT 7 AS n", database="other")
    definition = {
        "originalSql": "SELECT n, CAST(n AS bigint) big FROM source", "catalog": "awsdatacatalog", "schema": "other",
        "columns": [{"name": "N", "type": "bigint"}, {"name": "big", "type": "bigint"}],
    }  # fmt: skip
    text = base64.b64encode(json.dumps(definition).encode()).decode()
    client.catalog.put_table(
        "lake",
        {
            "Name": "made",
            "TableType": "VIRTUAL_VIEW",
            "ViewOriginalText": f"/* Presto View: {text} */",
            "StorageDescriptor": {"Columns": [], "SerdeInfo": {}},
        },
    )
    answer = client.run("SELECT * FROM made")
    assert (answer.columns, answer.types, answer.rows) == (["n", "big"], ["bigint", "bigint"], [["7", "7"]])


@pytest.mark.parametrize("change", [{"SerdeInfo": None}, {}])
def test_a_view_without_serde_info_is_refused_as_athena_does(client, change):
    client.rows("CREATE VIEW v AS SELECT 1 AS a")
    stored = client.catalog.table("lake", "v")
    assert stored["StorageDescriptor"].pop("SerdeInfo") == {}
    stored["StorageDescriptor"].update(change)
    client.catalog.put_table("lake", stored)
    assert client.fails("SELECT * FROM v") == ("HIVE_METASTORE_ERROR: Table storage descriptor is missing SerDe info")
    assert "HIVE_METASTORE_ERROR" in client.fails("SELECT * FROM (SELECT a FROM v)")


def test_stale_broken_and_recursive_views_fail_by_name(client):
    client.rows("CREATE EXTERNAL TABLE t (a int) STORED AS PARQUET LOCATION 's3://lake/t/'")
    client.rows("CREATE VIEW v AS SELECT a FROM t")
    client.rows("ALTER TABLE t REPLACE COLUMNS (a string)")
    assert "stale or in invalid state: column [a] of type varchar" in client.fails("SELECT * FROM v")
    client.rows("DROP TABLE t")
    assert "Failed analyzing stored view 'awsdatacatalog.lake.v'" in client.fails("SELECT * FROM v")
    broken = {"ViewOriginalText": "SELECT 1", "StorageDescriptor": {"SerdeInfo": {}}}
    client.catalog.put_table("lake", {"Name": "w", "TableType": "VIRTUAL_VIEW", **broken})
    assert "INVALID_VIEW" in client.fails("SELECT * FROM w")
    client.rows("CREATE VIEW a AS SELECT 1 AS x")
    client.rows("CREATE VIEW b AS SELECT * FROM a")
    client.rows("CREATE OR REPLACE VIEW a AS SELECT x FROM b")
    assert "recursive" in client.fails("SELECT * FROM a")


_TYPES = st.recursive(
    st.sampled_from(
        [
            t.BIGINT,
            t.VARCHAR,
            t.DATE,
            t.TIMESTAMP,
            t.TIMESTAMP_TZ,
            t.decimal(10, 2),
            t.Type("varchar", precision=7),
            t.JSON,
        ]
    ),
    lambda inner: st.one_of(
        st.builds(t.array, inner),
        st.builds(t.map_of, st.just(t.VARCHAR), inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda ts: t.row(*((f"f-{i}", of) for i, of in enumerate(ts)))),
    ),
    max_leaves=6,
)


@given(st.text(), st.lists(_TYPES, min_size=1, max_size=4))
def test_view_encoding_round_trips(sql, types):
    columns = tuple((f"c{i}", of) for i, of in enumerate(types))
    assert views.decode(views.encode(sql, "db", columns), "elsewhere") == views.View(sql, "db", columns)


@given(st.lists(st.lists(st.none() | st.text(), min_size=2, max_size=2), max_size=8))
def test_csv_round_trips_null_and_empty(rows):
    text = results.encode_csv(rows)
    assert [row for row, _ in results.decode_csv(text)] == rows


def test_create_table_as_writes_parquet_and_partitions(client):
    answer = client.run("""
        CREATE TABLE made WITH (format = 'PARQUET', partitioned_by = ARRAY['p']) AS
        SELECT 1 AS a, ARRAY['x'] AS l, 'one' AS p UNION ALL SELECT 2, null, 'two'""")
    assert (answer.execution["StatementType"], answer.execution["SubstatementType"]) == (
        "DDL",
        "CREATE_TABLE_AS_SELECT",
    )
    assert answer.execution["ResultConfiguration"]["OutputLocation"] == f"s3://results/out/tables/{answer.id}"
    results_page = client.athena.get_query_results(client.call, {"QueryExecutionId": answer.id})
    assert results_page["UpdateCount"] == 2
    assert results_page["ResultSet"]["Rows"] == []
    manifest = client.objects.read("results", f"out/tables/{answer.id}-manifest.csv").decode().split()
    assert len(manifest) == 2
    assert manifest[0].startswith(f"s3://results/out/tables/{answer.id}/p=one/")
    assert client.rows("SHOW PARTITIONS made") == [["p=one"], ["p=two"]]
    assert client.rows("SELECT * FROM made ORDER BY a") == [["1", "[x]", "one"], ["2", None, "two"]]
    assert "already exists" in client.fails("CREATE TABLE made AS SELECT 1 AS a")
    client.rows("CREATE TABLE IF NOT EXISTS made AS SELECT 1 AS a")


def test_create_table_as_chooses_format_place_and_compression(client):
    client.rows(
        "CREATE TABLE j WITH (format='JSON', external_location='s3://lake/j/') AS SELECT 1 AS a, timestamp '2026-03-01 10:00:00' AS ts, null || 'x' AS n"
    )
    [stored] = [o.key for o in client.objects.list("lake", "j/")]
    line = json.loads(gzip.decompress(client.objects.read("lake", stored)))
    assert line == {"a": 1, "ts": "2026-03-01 10:00:00.000", "n": None}
    assert client.rows("SELECT a, ts, n FROM j") == [["1", "2026-03-01 10:00:00.000", None]]
    client.rows(
        "CREATE TABLE d WITH (format='TEXTFILE', field_delimiter=',', write_compression='NONE', external_location='s3://lake/d/') AS SELECT 'x' AS s, cast(null AS integer) AS n, 1.5 AS i"
    )
    [stored] = [o.key for o in client.objects.list("lake", "d/")]
    assert client.objects.read("lake", stored) == b"x,\\N,1.5\n"
    assert client.rows("SELECT * FROM d") == [["x", None, "1.5"]]
    client.rows("CREATE TABLE z WITH (write_compression='ZSTD', external_location='s3://lake/z/') AS SELECT 1 AS a")
    [stored] = [o.key for o in client.objects.list("lake", "z/")]
    assert pq.read_metadata(client.objects.path("lake", stored)).row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TABLE x WITH (external_location='s3://lake/full/') AS SELECT 1 AS a", "HIVE_PATH_ALREADY_EXISTS"),
        ("CREATE TABLE x WITH (partitioned_by=ARRAY['a']) AS SELECT 1 AS a, 2 AS b", "HIVE_COLUMN_ORDER_MISMATCH"),
        ("CREATE TABLE x AS SELECT null AS a", "Column type is unknown: a"),
        ("CREATE TABLE x AS SELECT 1 AS a, 2 AS a", "specified more than once"),
        ("CREATE TABLE x AS SELECT now() AS a", "Unsupported Hive type: timestamp(3) with time zone"),
        ("CREATE TABLE x WITH (format='ORC') AS SELECT 1 AS a", "Format ORC is not supported"),
        ("CREATE TABLE x WITH (bucketed_by=ARRAY['a'], bucket_count=2) AS SELECT 1 AS a", "'bucketed_by'"),
        ("CREATE TABLE x WITH (partitioned_by=ARRAY['a']) AS SELECT y, x AS a FROM UNNEST(sequence(1, 101)) t(x), (VALUES 1) u(y)", "100 open writers"),
        ("CREATE TABLE nobase.x AS SELECT 1 AS a", "Schema 'nobase' does not exist"),
    ],
)  # fmt: skip
def test_create_table_as_fails_before_it_writes(client, sql, reason):
    client.write("full/x", "x")
    assert reason in client.fails(sql)
    assert client.catalog.tables("lake") == []
    assert [o.key for o in client.objects.list("results") if o.key.startswith("out/tables/")] == []


def test_insert_into(client):
    client.rows(
        "CREATE EXTERNAL TABLE t (a bigint, s string) PARTITIONED BY (p string) STORED AS PARQUET LOCATION 's3://lake/t/'"
    )
    answer = client.run("INSERT INTO t VALUES (1, 'x', 'k'), (2, null, 'l')")
    assert answer.execution["Statistics"]["DataManifestLocation"] == f"s3://results/out/{answer.id}-manifest.csv"
    assert client.athena.get_query_results(client.call, {"QueryExecutionId": answer.id})["UpdateCount"] == 2
    client.rows("INSERT INTO t (p, a) SELECT 'k', 3")
    assert client.rows("SELECT a, s, p FROM t ORDER BY a") == [["1", "x", "k"], ["2", None, "l"], ["3", None, "k"]]
    assert client.rows("SHOW PARTITIONS t") == [["p=k"], ["p=l"]]
    assert (
        "mismatched column types: Table: [bigint, varchar, varchar], Query: [varchar(1), varchar(1), varchar(1)]"
        in client.fails("INSERT INTO t SELECT 'a', 'b', 'c'")
    )
    assert "does not exist in target table: z" in client.fails("INSERT INTO t (z) SELECT 1")
    client.rows("CREATE VIEW v AS SELECT 1 AS a")
    assert "Inserting into views" in client.fails("INSERT INTO v SELECT 1")


def test_unload(client):
    client.rows(
        "UNLOAD (SELECT 1 AS a, 'x' AS p) TO 's3://lake/u/' WITH (format = 'JSON', compression = 'NONE', partitioned_by = ARRAY['p'])"
    )
    [stored] = list(client.objects.list("lake", "u/"))
    assert stored.key.startswith("u/p=x/")
    assert client.objects.read("lake", stored.key) == b'{"a":1}\n'
    assert "already exists" in client.fails("UNLOAD (SELECT 1 AS a) TO 's3://lake/u/' WITH (format = 'JSON')")
    assert "UNLOAD needs WITH (format" in client.fails("UNLOAD (SELECT 1 AS a) TO 's3://lake/w/'")


def test_hive_ddl_and_its_text_results(client):
    ddl = """CREATE EXTERNAL TABLE IF NOT EXISTS `lake`.`t` (
        `a` int COMMENT 'it, (really)', s struct<`x-y`:string,l:array<int>>)
        COMMENT 'a table' PARTITIONED BY (`d` date) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
        WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true') LOCATION 's3://lake/t/' TBLPROPERTIES ('k' = 'v');"""
    answer = client.run(ddl)
    assert answer.execution["ResultConfiguration"]["OutputLocation"] == f"s3://results/out/{answer.id}.txt"
    assert client.objects.read("results", f"out/{answer.id}.txt") == b""
    client.rows(ddl)
    assert "already exists" in client.fails(ddl.replace("IF NOT EXISTS ", ""))
    stored = client.catalog.table("lake", "t")
    assert stored["StorageDescriptor"]["Columns"] == [
        {"Name": "a", "Type": "int", "Comment": "it, (really)"}, {"Name": "s", "Type": "struct<x-y:string,l:array<int>>"},
    ]  # fmt: skip
    assert client.rows("DESCRIBE t")[0] == [f"{'a':<20}\t{'int':<20}\t{'it, (really)':<20}"]
    assert [row[0].strip() for row in client.rows("SHOW COLUMNS IN t")] == ["a", "s", "d"]
    assert client.rows("SHOW TBLPROPERTIES t('k')") == [["k\tv"]]
    lines = [row[0] for row in client.rows("SHOW CREATE TABLE t")]
    again = statements.parse("\n".join(lines))
    assert isinstance(again, statements.CreateTable)
    assert again.columns == statements.parse(ddl).columns
    assert again.serde_parameters == {"ignore.malformed.json": "true"}
    assert client.run("SHOW TABLES").execution["StatementType"] == "UTILITY"
    for table in ("other", "t2"):
        client.rows(f"CREATE EXTERNAL TABLE {table} (a int) STORED AS PARQUET LOCATION 's3://lake/{table}/'")
    assert client.rows("SHOW TABLES 't*'") == [["t"], ["t2"]]
    assert client.rows("SHOW TABLES IN lake 'other|t2'") == [["other"], ["t2"]]


def test_msck_repair_adds_what_lies_below(client):
    for key in ("t/d=2026-03-01/x.json", "t/d=2026-03-02/y.json", "t/stray.json", "t/e=1/z.json"):
        client.write(key, '{"a": 1}')
    client.rows(
        "CREATE EXTERNAL TABLE t (a int) PARTITIONED BY (d date) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://lake/t/'"
    )
    first = client.rows("MSCK REPAIR TABLE t")
    assert first[0] == ["Partitions not in metastore: t:d=2026-03-01\tt:d=2026-03-02"]
    assert client.rows("MSCK REPAIR TABLE `lake`.`t`") == []
    assert client.rows("SELECT d, count(*) FROM t GROUP BY d ORDER BY d") == [["2026-03-01", "1"], ["2026-03-02", "1"]]


def test_databases(client):
    client.rows("CREATE DATABASE IF NOT EXISTS shop COMMENT 'c' LOCATION 's3://lake/shop/'")
    assert client.rows("SHOW DATABASES LIKE 's*'") == [["shop"]]
    assert client.rows("SHOW SCHEMAS") == [["lake"], ["shop"]]
    client.rows("CREATE VIEW shop.v AS SELECT 1 AS a")
    assert "not empty" in client.fails("DROP DATABASE shop")
    client.rows("DROP DATABASE shop CASCADE")
    client.rows("DROP DATABASE IF EXISTS shop")
    assert "does not exist" in client.fails("DROP SCHEMA shop")


def test_explain_gives_a_plan_without_running(client):
    client.rows("CREATE EXTERNAL TABLE t (a int) STORED AS PARQUET LOCATION 's3://lake/t/'")
    answer = client.run("EXPLAIN SELECT a FROM t WHERE a > 1")
    assert answer.execution["StatementType"] == "UTILITY"
    assert answer.columns == ["Query Plan"]
    assert "COLUMN_NOT_FOUND" in client.fails("EXPLAIN SELECT nope FROM t")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (a int)",
        "DROP",
        "SHOW NOTHING",
        "ALTER TABLE t FLY",
        "MSCK t",
        "INSERT t SELECT 1",
        "CREATE EXTERNAL TABLE t (a) LOCATION 's3://b/'",
    ],
)
def test_half_statements_are_errors(sql):
    with pytest.raises(SqlError):
        statements.parse(sql)
