"""The PySpark subset on DuckDB. Statements run in a process of their own, as a job's do."""

import gzip
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from localaws.engines.glue import process
from tests.glue.statements import CASES, REFUSED, VIEWS

SPARKLESS = process.HERE / "sparkless"
RUNNER = Path(__file__).with_name("run_statements.py")


def run_statements(statements):
    work = json.dumps({"views": VIEWS, "statements": statements})
    done = subprocess.run(
        [sys.executable, str(RUNNER)],
        input=work,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SPARKLESS), "TZ": "UTC"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def answers():
    texts = [text for text, *_ in [*CASES, *REFUSED]]
    return dict(zip(texts, run_statements(texts), strict=True))


@pytest.mark.parametrize(("statement", "rows"), CASES, ids=[text for text, _ in CASES])
def test_rows_are_sparks(answers, statement, rows):
    assert answers[statement].get("rows") == rows, answers[statement]


@pytest.mark.parametrize(("statement", "name"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_is_not_offered_is_refused_by_name(answers, statement, name):
    assert answers[statement]["error"].startswith("NotImplementedError"), answers[statement]
    assert name.lower() in answers[statement]["error"].lower()


def test_values_that_spark_prints_otherwise_fail_instead_of_differing():
    large, nested, decimal, broken, unknown = run_statements(
        [
            "select cast(1e10 as string)",
            "select cast(attrs as string) from t",
            "select cast(1 as decimal(3,1)) / 2",
            "select from t",
            "select nope from t",
        ]
    )
    assert "exponent" in large["error"]
    assert "AS STRING" in nested["error"]
    assert "DECIMAL" in decimal["error"]
    assert broken["error"].startswith("ParseException") or broken["error"].startswith("AnalysisException")
    assert unknown["error"].startswith("AnalysisException")


def script(code, tmp_path, **variables):
    """Runs a script on the subset; its last line of output is JSON."""
    env = {
        **os.environ,
        "PYTHONPATH": str(SPARKLESS),
        "TZ": "UTC",
        "SPARKLESS_SCRATCH": str(tmp_path / "spill"),
        **variables,
    }
    header = "import json\nfrom pyspark.sql import SparkSession, Row\nspark = SparkSession.builder.getOrCreate()\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", header + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


INTERFACE = [
    ("from pyspark.sql.functions import explode", "functions.explode"),
    ("spark.range(1).groupBy('id')", "DataFrame.groupBy"),
    ("spark.range(1)['id']", "df['id']"),
    ("spark.range(1).rdd", "DataFrame.rdd"),
    ("spark.udf", "SparkSession.udf"),
    ("spark.readStream", "SparkSession.readStream"),
    ("spark.read.jdbc", "DataFrameReader.jdbc"),
    ("spark.read.format('avro')", "'avro'"),
    ("spark.read.option('badOption', 1).json('x')", "badoption"),
    ("spark.range(1).write.bucketBy", "DataFrameWriter.bucketBy"),
    ("spark.range(1).write.saveAsTable", "DataFrameWriter.saveAsTable"),
    ("spark.conf.set('spark.sql.ansi.enabled', True)", "spark.sql.ansi.enabled"),
    ("spark.conf.set('spark.sql.session.timeZone', 'Europe/Berlin')", "timeZone"),
    ("spark.sparkContext.parallelize", "SparkContext.parallelize"),
    ("spark.read.json('hdfs://x')", "hdfs://"),
]


@pytest.fixture(scope="module")
def interface_errors(tmp_path_factory):
    code = f"""
        errors = {{}}
        for text in {[text for text, _ in INTERFACE]!r}:
            try:
                exec(text)
            except NotImplementedError as problem:
                errors[text] = str(problem)
        print(json.dumps(errors))
        """
    return script(code, tmp_path_factory.mktemp("interface"))


@pytest.mark.parametrize(("code", "name"), INTERFACE)
def test_the_rest_of_the_interface_is_refused_by_name(interface_errors, code, name):
    assert name in interface_errors[code]


def test_views_are_bound_when_a_statement_is(tmp_path):
    """As in Spark: replacing a view later does not change frames made from it."""
    assert script(
        """
        spark.range(2).createOrReplaceTempView("v")
        before = spark.sql("SELECT count(*) n FROM v")
        spark.range(5).createOrReplaceTempView("v")
        spark.sql("CREATE OR REPLACE TEMP VIEW w AS SELECT id + 1 AS id FROM v")
        print(json.dumps([before.first()["n"], spark.table("w").count(), spark.catalog.tableExists("w")]))
        """,
        tmp_path,
    ) == [2, 5, True]


def test_map_in_arrow_streams_with_bounded_memory(tmp_path):
    """256 MB of files and 2 M rows pass through a process that stays far below that."""
    source = tmp_path / "in"
    source.mkdir()
    for at in range(64):
        (source / f"{at}.bin").write_bytes(bytes(4 << 20))
    found = script(
        """
        from pathlib import Path
        import pyarrow as pa
        def peak():  # MiB; ru_maxrss would be that of the process which started this one
            status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            return int(status["VmHWM"].split()[0]) >> 10
        base = peak()
        zones = set()
        def parse(batches):
            for batch in batches:
                zones.add(str(batch.schema.field("modificationTime").type))
                for path, content in zip(batch["path"], batch["content"]):
                    n = len(content.as_py()) // 128
                    yield pa.record_batch({"path": pa.repeat(path, n), "at": pa.array(range(n), pa.int64())})
        rows = spark.read.format("binaryFile").load("in").mapInArrow(parse, "path STRING, at BIGINT")
        rows.createOrReplaceTempView("rows")
        total = spark.sql("SELECT count(*) n, count(DISTINCT path) f, sum(at) s FROM rows").first()
        print(json.dumps([list(total), peak() - base, list(zones)]))
        """,
        tmp_path,
    )
    assert found[0] == [64 * 32768, 64, 64 * (32768 * 32767 // 2)]
    assert found[1] < 200, f"{found[1]} MiB"
    assert found[2] == ["timestamp[us, tz=UTC]"]


def test_map_in_arrow_checks_the_schema(tmp_path):
    message = script(
        """
        import pyarrow as pa
        def wrong(batches):
            for batch in batches:
                yield pa.record_batch({"other": [1]})
        try:
            spark.range(1).mapInArrow(wrong, "a INT").collect()
        except TypeError as problem:
            print(json.dumps(str(problem)))
        """,
        tmp_path,
    )
    assert "lacks the column 'a'" in message


def test_reading_json_by_schema(tmp_path):
    (tmp_path / "a.json").write_text(
        '{"n": "0", "x": 1, "s": {"k": [1, 2]}, "t": "2020-12-28T18:59:15.191Z", "d": 5}\n{"n": 7, "x": 2.5, "m": '
        '{"a": 1}}\nbroken\n\n'
    )
    rows, corrupt, dropped, failed = script(
        """
        schema = "n STRING, x INT, s STRING, t TIMESTAMP, d DOUBLE, m MAP<STRING,INT>"
        rows = [[str(v) if hasattr(v, "year") else v for v in r] for r in
        spark.read.schema(schema).json("a.json").collect()]
        corrupt = spark.read.schema("n STRING, _corrupt_record STRING").json("a.json").collect()
        dropped = spark.read.schema("x INT").option("mode", "DROPMALFORMED").json("a.json").count()
        try:
            spark.read.schema("x INT").option("mode", "FAILFAST").json("a.json").collect(); failed = ""
        except Exception as problem:
            failed = str(problem)
        print(json.dumps([rows, corrupt, dropped, failed]))
        """,
        tmp_path,
    )
    assert rows == [
        ["0", 1, '{"k":[1,2]}', "2020-12-28 18:59:15.191000", 5.0, None],
        ["7", None, None, None, None, {"a": 1}],
        [None] * 6,
    ]
    assert corrupt == [["0", None], ["7", None], [None, "broken"]]
    assert dropped == 1
    assert "Malformed" in failed


def test_reading_json_infers_sparks_schema(tmp_path):
    (tmp_path / "a.json").write_text(
        '{"b": 1, "a": {"z": null, "y": [1.5, 2]}, "c": true}\n{"b": 2.5, "c": "x", "e": {}}\n'
    )
    assert script("print(json.dumps(spark.read.json('a.json').dtypes))", tmp_path) == [
        ["a", "struct<y:array<double>,z:string>"],
        ["b", "double"],
        ["c", "string"],
    ]


def test_partition_folders_globs_and_hidden_files(tmp_path):
    for folder, name in [
        ("in/day=2020-01-01/n=1", "a.json"),
        ("in/day=2020-01-02/n=x%20y", "b.json"),
        ("in/_temporary", "c.json"),
    ]:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_text('{"v": 1}\n')
    (tmp_path / "in/day=2020-01-01/n=1/_hidden.json").write_text('{"v": 2}\n')
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/x.json").write_text('{"v": 3}\n')
    (tmp_path / "deep/y.txt").write_text('{"v": 4}\n')
    rows, types, shallow, found, glob, missing = script(
        """
        frame = spark.read.json("in")
        rows = [[str(v) for v in r] for r in frame.orderBy("day").collect()]
        shallow = spark.read.text("deep").count()
        found = [r["path"].rpartition("/")[2] for r in spark.read.format("binaryFile").option("pathGlobFilter",
        "*.json").option("recursiveFileLookup", True).load("deep").collect()]
        glob = spark.read.text("de*/{er,is}/x.*").selectExpr("_metadata.file_name AS f", "value").collect()
        try:
            spark.read.text("nowhere")
        except Exception as problem:
            missing = type(problem).__name__ + str(problem)
        print(json.dumps([rows, frame.dtypes, shallow, found, glob, missing]))
        """,
        tmp_path,
    )
    assert rows == [["1", "2020-01-01", "1"], ["1", "2020-01-02", "x y"]]
    assert types == [["v", "bigint"], ["day", "date"], ["n", "string"]]
    assert shallow == 1
    assert found == ["x.json"]
    assert glob == [["x.json", '{"v": 3}']]
    assert missing.startswith("AnalysisException[PATH_NOT_FOUND]")


def test_text_csv_and_gzip(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\n\nlast")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"zipped\n"))
    (tmp_path / "c.csv").write_text('id,name,score\n1,"a, b",1.5\n2,,x\n3,c\n')
    lines, zipped, typed, inferred = script(
        """
        lines = [r[0] for r in spark.read.text("a.txt").collect()]
        zipped = [r[0] for r in spark.read.text("b.txt.gz").collect()]
        typed = spark.read.schema("id INT, name STRING, score DOUBLE").option("header", True).csv("c.csv").collect()
        inferred = spark.read.csv("c.csv", header=True, inferSchema=True).dtypes
        print(json.dumps([lines, zipped, typed, inferred]))
        """,
        tmp_path,
    )
    assert lines == ["one", "two", "", "last"]
    assert zipped == ["zipped"]
    assert typed == [[1, "a, b", 1.5], [2, None, None], [3, "c", None]]
    assert inferred == [["id", "int"], ["name", "string"], ["score", "string"]]


def test_a_file_deleted_after_listing(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text('{"v": 1}')
    strict, lenient = script(
        """
        import os
        frame = spark.read.format("binaryFile").option("pathGlobFilter", "*.json").load(".")
        other = spark.read.option("ignoreMissingFiles", True).format("binaryFile").option("pathGlobFilter",
        "*.json").load(".")
        os.remove("b.json")
        try:
            frame.collect(); strict = ""
        except Exception as problem:
            strict = str(problem)
        print(json.dumps([strict, other.count()]))
        """,
        tmp_path,
    )
    assert "was deleted after it was listed" in strict
    assert lenient == 1


def test_writing(tmp_path):
    names, again, modes, partitions, dynamic, texts = script(
        """
        import os, pathlib
        rows = [(1, "a", None), (2, "b", 0.5), (3, None, 1.5)]
        spark.createDataFrame(rows, "id INT, k STRING, v DOUBLE").createOrReplaceTempView("t")
        frame = spark.table("t")
        frame.write.parquet("out")
        names = sorted(os.listdir("out"))
        frame.write.mode("overwrite").parquet("out")
        again = sorted(os.listdir("out"))
        modes = []
        for mode in ("error", "ignore", "append"):
            try:
                frame.write.mode(mode).parquet("out")
                modes.append(spark.read.parquet("out").count())
            except Exception as problem:
                modes.append(str(problem)[:21])
        frame.write.partitionBy("k").parquet("parts")
        partitions = sorted(p.parent.name for p in pathlib.Path("parts").rglob("*.parquet"))
        spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
        spark.sql("SELECT 9 id, 'a' k, 9D v").write.mode("overwrite").partitionBy("k").parquet("parts")
        dynamic = spark.read.parquet("parts").orderBy("id").collect()
        frame.write.json("j"); frame.write.option("header", True).csv("c")
        texts = [next(pathlib.Path(p).glob("part*")).read_text() for p in ("j", "c")]
        print(json.dumps([names, again, modes, partitions, dynamic, texts]))
        """,
        tmp_path,
    )
    assert names == again
    assert names[0] == "_SUCCESS"
    assert names[1].startswith("part-00000-")
    assert names[1].endswith("-c000.snappy.parquet")
    assert modes == ["[PATH_ALREADY_EXISTS]", 3, 6]
    assert partitions == ["k=__HIVE_DEFAULT_PARTITION__", "k=a", "k=b"]
    assert dynamic == [[2, 0.5, "b"], [3, 1.5, None], [9, 9.0, "a"]]
    assert texts == [
        '{"id":1,"k":"a"}\n{"id":2,"k":"b","v":0.5}\n{"id":3,"v":1.5}\n',
        "id,k,v\n1,a,\n2,b,0.5\n3,,1.5\n",
    ]


def test_a_column_without_a_type_is_not_written(tmp_path):
    message = script(
        """
        try:
            spark.sql("SELECT NULL AS x").write.parquet("o")
        except Exception as problem:
            print(json.dumps(str(problem)))
        """,
        tmp_path,
    )
    assert "'x'" in message


def test_frames_and_rows(tmp_path):
    assert script(
        """
        frame = spark.createDataFrame([Row(id=2, tags=["x"]), Row(id=1, tags=None)])
        other = spark.createDataFrame([{"tags": ["y"], "id": 3}], "tags ARRAY<STRING>, id BIGINT")
        both = frame.unionByName(other).orderBy("id", ascending=False)
        row = both.first()
        print(json.dumps([
            [r.id for r in both.collect()], row.asDict(), row.tags, "id" in row, frame.dtypes,
            frame.filter("id > 1").count(), frame.drop("tags").columns,
            frame.selectExpr("id * 2 AS d").collect(), frame.withColumnRenamed("id", "n").columns,
            frame.limit(1).count(), frame.isEmpty(), spark.range(1, 4).count(),
            frame.union(frame).distinct().count(), frame.cache().repartition(4).coalesce(1).count(),
            [r["id"] for r in frame.toLocalIterator()],
        ]))
        """,
        tmp_path,
    ) == [
        [3, 2, 1],
        {"id": 3, "tags": ["y"]},
        ["y"],
        True,
        [["id", "bigint"], ["tags", "array<string>"]],
        1,
        ["id"],
        [[4], [2]],
        ["n", "tags"],
        1,
        False,
        3,
        2,
        2,
        [2, 1],
    ]


def test_s3_paths_go_through_boto3(tmp_path, s3_endpoint):
    """On the wire: listing, reading, replacement file by file, `_SUCCESS`."""
    found = script(
        """
        import boto3
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="shim")
        for at in range(20):
            s3.put_object(Bucket="shim", Key=f"in/{at:02d}/x.json", Body=json.dumps({"at": at}).encode())
        s3.put_object(Bucket="shim", Key="out/old.parquet", Body=b"")
        frame = spark.read.schema("at INT").option("recursiveFileLookup", True).json("s3://shim/in/")
        binary = spark.read.format("binaryFile").option("recursiveFileLookup", True).load("s3://shim/in/1*")
        paths = [r.path for r in binary.collect()]
        frame.write.mode("overwrite").parquet("s3://shim/out/")
        keys = [o["Key"] for o in s3.list_objects_v2(Bucket="shim", Prefix="out/")["Contents"]]
        total = spark.read.parquet("s3://shim/out").selectExpr("sum(at) s").first()[0]
        print(json.dumps([total, paths[:2], len(paths), keys]))
        """,
        tmp_path,
        AWS_ENDPOINT_URL=s3_endpoint,
        AWS_ACCESS_KEY_ID="x",
        AWS_SECRET_ACCESS_KEY="x",
        AWS_DEFAULT_REGION="us-east-1",
    )
    assert found[:3] == [190, ["s3://shim/in/10/x.json", "s3://shim/in/11/x.json"], 10]
    assert len(found[3]) == 2
    assert found[3][0] == "out/_SUCCESS"
    assert found[3][1].startswith("out/part-00000-")
