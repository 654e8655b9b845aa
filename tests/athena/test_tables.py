"""Tables over changing, odd and hostile objects."""

from __future__ import annotations

import bz2
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from localaws.engines.athena import projection, serde, views
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.home import ServiceError

OPENX = "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'"


@pytest.fixture
def parquet(client, tmp_path):
    def put(key, table):
        pq.write_table(pa.table(table) if isinstance(table, dict) else table, tmp_path / "x.parquet")
        client.objects.write("lake", key, tmp_path / "x.parquet")

    return put


def test_json_follows_its_objects(client):
    client.rows(f"CREATE EXTERNAL TABLE j (a int) {OPENX} LOCATION 's3://lake/j'")
    assert client.rows("SELECT count(*) FROM j") == [["0"]]
    client.write("j/1.json", '{"a": 1}')
    client.write("j/deep/er/2.json", '{"a": 2}')
    client.write("jj/not-mine.json", '{"a": 99}')
    assert client.rows("SELECT a FROM j ORDER BY a") == [["1"], ["2"]]
    client.write("j/1.json", '{"a": 10}\n{"a": 11}')
    assert client.rows("SELECT a FROM j ORDER BY a") == [["2"], ["10"], ["11"]]
    client.objects.delete("lake", "j/deep/er/2.json")
    assert client.rows('SELECT a, "$path" FROM j ORDER BY a') == [
        ["10", "s3://lake/j/1.json"],
        ["11", "s3://lake/j/1.json"],
    ]


def test_json_is_parsed_once_per_object_version(client, monkeypatch):
    client.rows(f"CREATE EXTERNAL TABLE j (a int) {OPENX} LOCATION 's3://lake/j/'")
    for number in range(5):
        client.write(f"j/{number}.json", f'{{"a": {number}}}')
    read: list[str] = []
    original = serde.lines
    monkeypatch.setattr(serde, "lines", lambda path, key, skip=0: read.append(key) or original(path, key, skip))
    assert client.rows("SELECT sum(a) FROM j") == [["10"]]
    assert client.rows("SELECT max(a) FROM j") == [["4"]]
    assert len(read) == 5
    client.write("j/5.json", '{"a": 5}')
    assert client.rows("SELECT sum(a) FROM j") == [["15"]]
    assert len(read) == 6


def test_a_declared_type_changes_what_is_read(client):
    client.write("j/1.json", '{"a": "07", "b": {"c": 1}}')
    client.rows(f"CREATE EXTERNAL TABLE j (a string, b string) {OPENX} LOCATION 's3://lake/j/'")
    assert client.rows("SELECT a, b FROM j") == [["07", '{"c":1}']]
    client.rows("DROP TABLE j")
    client.rows(f"CREATE EXTERNAL TABLE j (a int, b map<string,double>) {OPENX} LOCATION 's3://lake/j/'")
    assert client.rows("SELECT a, b FROM j") == [["7", "{c=1.0}"]]


def test_a_value_that_is_not_of_the_declared_type_fails_with_its_object(client):
    client.write("j/1.json", '{"a": "seven"}')
    client.rows(f"CREATE EXTERNAL TABLE j (a int) {OPENX} LOCATION 's3://lake/j/'")
    reason = client.fails("SELECT a FROM j")
    assert reason.startswith("HIVE_BAD_DATA: Error parsing field value 'seven' for field 0 (a)")
    assert "s3://lake/j/1.json" in reason


def test_pretty_printed_json_fails_as_in_hive(client):
    client.write("j/1.json", '{\n  "a": 1\n}')
    client.rows(f"CREATE EXTERNAL TABLE j (a int) {OPENX} LOCATION 's3://lake/j/'")
    assert "Row is not a valid JSON Object" in client.fails("SELECT a FROM j")


def test_compressed_and_mapped_json(client):
    client.objects.write(
        "lake", "j/1.json.bz2", bz2.compress(b'{"The.Time": "2026-03-01T10:00:00.5Z", "when": 1767225600}')
    )
    client.rows(f"""
        CREATE EXTERNAL TABLE j (ts timestamp, w timestamp) {OPENX}
        WITH SERDEPROPERTIES ('mapping.ts' = 'the.time', 'mapping.w' = 'when') LOCATION 's3://lake/j/'""")
    assert client.rows("SELECT ts, w FROM j") == [["2026-03-01 10:00:00.500", "2026-01-01 00:00:00.000"]]


def test_an_object_deleted_between_listing_and_reading_is_left_out(client, parquet):
    parquet("p/1.parquet", {"a": [1]})
    parquet("p/2.parquet", {"a": [2]})
    client.write("j/1.json", '{"a": 1}')
    client.write("j/2.json", '{"a": 2}')
    client.rows("CREATE EXTERNAL TABLE p (a bigint) STORED AS PARQUET LOCATION 's3://lake/p/'")
    client.rows(f"CREATE EXTERNAL TABLE j (a bigint) {OPENX} LOCATION 's3://lake/j/'")
    original = client.objects.path

    def vanishing(bucket, key):
        if key.startswith(("p/2", "j/2")):
            raise ServiceError("NoSuchKey", key, 404)
        return original(bucket, key)

    client.objects.path = vanishing
    assert client.rows("SELECT a FROM p") == [["1"]]
    assert client.rows("SELECT a FROM j") == [["1"]]


def test_an_object_deleted_after_planning_makes_the_query_list_again(client, parquet):
    parquet("p/1.parquet", {"a": [1]})
    parquet("p/2.parquet", {"a": [2]})
    client.rows("CREATE EXTERNAL TABLE p (a bigint) STORED AS PARQUET LOCATION 's3://lake/p/'")
    original, seen = client.objects.path, []

    def late(bucket, key):
        path = original(bucket, key)
        if key == "p/2.parquet" and not seen:
            seen.append(key)
            client.athena._engine.reader._footer(path, next(f for f in _files(client) if f.key == key))
            path.unlink()
        return path

    client.objects.path = late
    assert client.rows("SELECT a FROM p") == [["1"]]
    assert seen


def _files(client):
    from localaws.engines.athena.tables import DataFile

    return [DataFile("lake", o.key, o.etag, o.size, ()) for o in client.objects.list("lake", "p/")]


def test_parquet_columns_are_checked_against_the_table(client, parquet):
    parquet("p/1.parquet", {"a": pa.array([1], pa.int32()), "b": ["x"], "c": pa.array([1.5], pa.float32())})
    client.rows(
        "CREATE EXTERNAL TABLE p (a bigint, b bigint, c double, d string) STORED AS PARQUET LOCATION 's3://lake/p/'"
    )
    assert client.rows("SELECT a, c, d FROM p") == [["1", "1.5", None]]
    reason = client.fails("SELECT b FROM p")
    assert (
        "HIVE_BAD_DATA: Field b's type string in parquet file s3://lake/p/1.parquet is incompatible with type bigint"
        in reason
    )


def test_parquet_structs_grow(client, parquet):
    parquet("p/1.parquet", {"s": [{"a": 1, "X-y": "k"}], "l": [[{"a": 1}]]})
    parquet("p/2.parquet", {"s": [{"b": 2.5, "a": 2}], "l": [[{"a": 2, "b": "q"}]]})
    client.rows("""
        CREATE EXTERNAL TABLE p (s struct<a:bigint,b:double,x-y:string>, l array<struct<a:bigint,b:string>>)
        STORED AS PARQUET LOCATION 's3://lake/p/'""")
    assert client.rows('SELECT s.a, s.b, s."x-y", l FROM p ORDER BY 1') == [
        ["1", None, "k", "[{a=1, b=null}]"], ["2", "2.5", None, "[{a=2, b=q}]"],
    ]  # fmt: skip


def test_timestamps_are_milliseconds(client, parquet):
    import datetime as dt

    stamp = dt.datetime(2026, 3, 1, 0, 0, 0, 1500)  # noqa: DTZ001 - both columns show the same wall clock
    parquet(
        "p/1.parquet",
        pa.table({"t": pa.array([stamp], pa.timestamp("us")), "u": pa.array([stamp], pa.timestamp("us", "UTC"))}),
    )
    client.rows("CREATE EXTERNAL TABLE p (t timestamp, u timestamp) STORED AS PARQUET LOCATION 's3://lake/p/'")
    assert client.rows("SELECT t, u, t = timestamp '2026-03-01 00:00:00.002' FROM p") == [
        ["2026-03-01 00:00:00.002", "2026-03-01 00:00:00.002", "true"]
    ]


def test_a_broken_parquet_file_is_named(client):
    client.write("p/1.parquet", "not parquet")
    client.rows("CREATE EXTERNAL TABLE p (a bigint) STORED AS PARQUET LOCATION 's3://lake/p/'")
    assert "Not a valid Parquet File: s3://lake/p/1.parquet" in client.fails("SELECT a FROM p")


def test_keys_with_pattern_characters(client, parquet):
    parquet("p/a[1]*?.parquet", {"a": [1]})
    parquet("p/k=v/x.parquet", {"a": [2]})
    client.rows("CREATE EXTERNAL TABLE p (a bigint) STORED AS PARQUET LOCATION 's3://lake/p/'")
    assert client.rows("SELECT * FROM p ORDER BY a") == [["1"], ["2"]]


def test_partitions_lie_anywhere_and_are_pruned(client, parquet):
    parquet("p/x.parquet", {"a": [1]})
    parquet("elsewhere/y.parquet", {"a": [2]})
    client.write("broken/z.parquet", "broken")
    client.rows(
        "CREATE EXTERNAL TABLE p (a bigint) PARTITIONED BY (k string, n int) STORED AS PARQUET LOCATION 's3://lake/p/'"
    )
    client.rows("""ALTER TABLE p ADD PARTITION (k='here', n=1) LOCATION 's3://lake/p/' PARTITION (k='there', n=2)
        LOCATION 's3://lake/elsewhere/' PARTITION (k='broken', n=3) LOCATION 's3://lake/broken'""")
    assert client.rows("SELECT k, n, a FROM p WHERE n < 3 ORDER BY n") == [["here", "1", "1"], ["there", "2", "2"]]
    assert client.rows("SELECT x.a FROM p x WHERE x.k IN ('there') AND a > 0") == [["2"]]
    assert "s3://lake/broken/z.parquet" in client.fails("SELECT a FROM p")
    client.rows("ALTER TABLE p DROP PARTITION (k='broken', n=3)")
    assert client.rows("SELECT count(*) FROM p") == [["2"]]
    client.rows("ALTER TABLE p DROP IF EXISTS PARTITION (k='broken', n=3)")
    assert "Partition not found" in client.fails("ALTER TABLE p DROP PARTITION (k='broken', n=3)")
    assert "already exists" in client.fails("ALTER TABLE p ADD PARTITION (k='here', n=1)")


def test_a_partition_schema_that_contradicts_the_table_fails(client):
    client.write("j/1.json", '{"a": 1}')
    client.rows(f"CREATE EXTERNAL TABLE j (a array<int>) PARTITIONED BY (k string) {OPENX} LOCATION 's3://lake/j/'")
    client.rows("ALTER TABLE j ADD PARTITION (k='x') LOCATION 's3://lake/j/'")
    partition = client.catalog.partitions("lake", "j")[0]
    partition["StorageDescriptor"]["Columns"][0]["Type"] = "string"
    client.catalog.put_partitions("lake", "j", [partition])
    reason = client.fails("SELECT a FROM j")
    assert reason.startswith("HIVE_PARTITION_SCHEMA_MISMATCH")
    assert "column 'a' in table 'lake.j' is declared as type 'array<int>', but partition 'k=x'" in reason


def test_projected_integers_enums_and_dates():
    settings = {
        "projection.enabled": "true",
        "projection.n.type": "integer", "projection.n.range": "8,10", "projection.n.digits": "2",
        "projection.e.type": "enum", "projection.e.values": "a, b",
        "projection.d.type": "date", "projection.d.format": "yyyy/MM", "projection.d.range": "2026/01,2026/03",
        "projection.d.interval.unit": "MONTHS",
        "storage.location.template": "s3://b/${e}/${d}/${n}/",
    }  # fmt: skip
    found = projection.partitions(["n", "e", "d"], settings, "s3://b/", {"e": {"b"}})
    assert len(found) == 3 * 1 * 3
    assert found[0] == (("08", "b", "2026/01"), "s3://b/b/2026/01/08/")
    assert found[-1] == (("10", "b", "2026/03"), "s3://b/b/2026/03/10/")
    with pytest.raises(SqlError, match=r"projection\.e\.values is missing"):
        projection.partitions(["n", "e", "d"], {k: v for k, v in settings.items() if "values" not in k}, "s3://b/", {})
    with pytest.raises(SqlError, match="does not use the partition columns"):
        projection.partitions(["n", "e"], {**settings, "storage.location.template": "s3://b/${n}"}, "s3://b/", {})


def test_projection_to_now():
    import datetime as dt

    settings = {"projection.d.type": "date", "projection.d.format": "yyyy-MM-dd", "projection.d.range": "NOW-2DAYS,NOW"}
    now = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
    found = projection.partitions(["d"], settings, "s3://b/t/", {}, now)
    assert [values[0] for values, _ in found] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert found[0][1] == "s3://b/t/d=2026-02-27/"


@pytest.mark.parametrize(
    "text",
    [
        "bigint",
        "array<string>",
        "map<string,array<int>>",
        "struct<frame-no:string,a:struct<b:decimal(10,2),c:varchar(5)>>",
        "decimal(38,18)",
    ],
)
def test_hive_types_round_trip(text):
    assert t.hive_name(t.parse_hive(text)) == text
    assert t.hive_name(t.parse_hive(text.replace(",", " , ").replace(":", ": "))) == text


@pytest.mark.parametrize(
    "text", ["", "array", "array<>", "map<string>", "struct<a>", "array<int", "int>", "list<int>", "uniontype<int>"]
)
def test_what_is_no_hive_type_is_named(text):
    with pytest.raises(SqlError):
        t.parse_hive(text)


def test_unreadable_tables_say_so(client):
    library = {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.orc.OrcSerde"}
    descriptor = {"Columns": [], "Location": "s3://lake/o/", "SerdeInfo": library}
    client.catalog.put_table("lake", {"Name": "orc", "StorageDescriptor": descriptor})
    assert "OrcSerde" in client.fails("SELECT * FROM orc")
    assert "STORED AS ORC is not supported" in client.fails(
        "CREATE EXTERNAL TABLE o (a int) STORED AS ORC LOCATION 's3://lake/o/'"
    )
    assert "Iceberg" in client.fails(
        "CREATE TABLE i (a int) LOCATION 's3://lake/i/' TBLPROPERTIES ('table_type'='ICEBERG')"
    )
    client.rows(f"CREATE EXTERNAL TABLE gone (a int) {OPENX} LOCATION 's3://no-such-bucket/x/'")
    assert "no-such-bucket" in client.fails("SELECT * FROM gone")


def test_ten_thousand_tiny_objects(client):
    folder = Path(client.objects.path("lake", _touch(client))).parent
    for number in range(10_000):
        (folder / f"{number}.json").write_bytes(b'{"n": %d}' % number)
    client.rows(f"CREATE EXTERNAL TABLE tiny (n bigint) {OPENX} LOCATION 's3://lake/tiny/'")
    assert client.rows("SELECT count(*), sum(n) FROM tiny") == [["10000", "49995000"]]


def _touch(client):
    client.write("tiny/first.json", "")
    return "tiny/first.json"


def test_queries_on_one_table_at_once_convert_it_once(client):
    client.write("j/1.json", "\n".join(f'{{"a": {i}}}' for i in range(5000)))
    client.rows(f"CREATE EXTERNAL TABLE j (a bigint) {OPENX} LOCATION 's3://lake/j/'")
    answers: list[list[list[str | None]]] = []
    threads = [threading.Thread(target=lambda: answers.append(client.rows("SELECT sum(a) FROM j"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[["12497500"]]] * 6
    assert len(list(client.home.scratch.glob("athena/athena-*.parquet"))) == 1


@pytest.mark.parametrize("nul", ["\x00", "\x00\x00"])
def test_nul_in_a_statement_is_refused_with_the_remedy(client, nul):
    for request in (
        {"sql": f"SELECT '{nul}0{nul}'"},
        {"sql": f"DROP TABLE `a{nul}`"},
        {"sql": "SELECT ?", "ExecutionParameters": [f"'{nul}0{nul}'"]},
    ):
        with pytest.raises(ServiceError, match=r"InvalidRequestException: .*NUL .* write chr\(0\)"):
            client.start(**request)
    client.catalog.put_table("lake", views.table_input("v", f"SELECT '{nul}' AS a", "lake", [("a", t.VARCHAR)]))
    assert "NUL" in client.fails("SELECT * FROM v")
    assert client.rows("SELECT length(chr(0))") == [["1"]]


def test_nothing_is_put_into_literals_or_names():
    sql = "SELECT '\x000\x00''\x000\x00' AS \"\x000\x00\"\"'\", t.a FROM \x000\x00 t JOIN \x001\x00 u"
    assert t.outside_text(sql, "\x00[0-9]\x00", {"\x000\x00": "'\x001\x00'", "\x001\x00": "y"}.__getitem__) == (
        "SELECT '\x000\x00''\x000\x00' AS \"\x000\x00\"\"'\", t.a FROM '\x001\x00' t JOIN y u"
    )


def test_a_condition_on_a_key_keeps_its_literal(client):
    client.rows(
        "CREATE EXTERNAL TABLE k (a int) PARTITIONED BY (p string, q string) "
        f"{OPENX} LOCATION 's3://lake/k/' TBLPROPERTIES ('projection.enabled'='true', 'projection.p.type'='enum', "
        "'projection.p.values'='t1.\"q\",other', 'projection.q.type'='enum', 'projection.q.values'='x')"
    )
    client.write('k/p=t1."q"/q=x/1.json', '{"a": 1}')
    client.write("k/p=other/q=x/1.json", '{"a": 2}')
    # The engine's own name of the first table is t1: in the literal it is the user's text.
    assert client.rows("SELECT a FROM k WHERE concat(p, '') = 't1.\"q\"' AND q = 'x'") == [["1"]]


NAMES = [
    "it's.parquet",
    "a''b.parquet",
    "'], hive_partitioning = true) --.parquet",
    'q".parquet',
    "\\.parquet",
    "*?[x]'",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_objects_name_is_only_a_name(client, parquet, name):
    client.rows("CREATE EXTERNAL TABLE p (a bigint) STORED AS PARQUET LOCATION 's3://lake/p'")
    parquet(f"p/{name}", {"a": [7]})
    assert client.rows('SELECT a, "$path" FROM p') == [["7", f"s3://lake/p/{name}"]]


def test_duckdb_reads_and_writes_nothing_but_objects_and_scratch(client, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "secret.csv").write_text("a\n1\n")
    (client.home.bodies / "way-out").symlink_to(elsewhere)
    connection = client.athena._engine.connection
    for sql in (
        f"SELECT * FROM read_text('{elsewhere}/secret.csv')",
        f"SELECT * FROM '{client.home.bodies}/way-out/secret.csv'",
        f"SELECT * FROM '{client.home.bodies}/../{elsewhere.name}/secret.csv'",
        f"COPY (SELECT 1) TO '{elsewhere}/made.csv'",
        f"ATTACH '{elsewhere}/made.db'",
        "INSTALL httpfs",
    ):
        with pytest.raises((duckdb.PermissionException, duckdb.IOException), match="disabled"):
            connection.execute(sql)
    for sql in ("SET enable_external_access = true", "SET allowed_directories = ['/']"):
        with pytest.raises(duckdb.InvalidInputException, match=r"locked|running"):
            connection.execute(sql)
    assert [each.name for each in elsewhere.iterdir()] == ["secret.csv"]
