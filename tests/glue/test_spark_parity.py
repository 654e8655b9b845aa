"""The same statements on real PySpark 3.5.6: what the DuckDB engine answers is what Spark answers, types included."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from localaws.engines.glue import process
from localaws.engines.glue.engine import Glue
from localaws.engines.glue.process import SparkEngine
from tests.glue.statements import CASES, VIEWS

pytestmark = pytest.mark.spark

PYTHON = Path(os.environ.get("SEXTANT_SPARK_PYTHON") or process.CHECKOUT / ".venv-spark" / "bin" / "python")
RUNNER = Path(__file__).with_name("run_statements.py")


@pytest.fixture(scope="module")
def spark_python():
    if not PYTHON.is_file():
        pytest.skip(
            f"no Spark environment at {PYTHON.name}: make one from requirements/spark.txt (make test EXTRAS=spark)"
        )
    return str(PYTHON)


def answers(python, **variables):
    work = json.dumps({"views": VIEWS, "statements": [text for text, _ in CASES]})
    done = subprocess.run(
        [python, str(RUNNER)], input=work, capture_output=True, text=True, env={**os.environ, "TZ": "UTC", **variables}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_rows_and_types_are_equal_on_both_engines(spark_python):
    real = answers(spark_python, STATEMENTS_JAVA="1")
    ours = answers(sys.executable, PYTHONPATH=str(process.HERE / "sparkless"))
    for (statement, rows), spark, duckdb in zip(CASES, real, ours, strict=True):
        assert spark.get("rows") == rows, f"{statement}\nSpark: {spark}"
        assert spark["types"] == duckdb.get("types"), statement


JOB = """
import sys
import pyarrow as pa
from awsglue.utils import getResolvedOptions
from pyspark.sql import SparkSession
options = getResolvedOptions(sys.argv, ["JOB_NAME", "INPUT", "OUTPUT"])
spark = SparkSession.builder.appName(options["JOB_NAME"]).getOrCreate()

def parse(batches):
    import json
    for batch in batches:
        rows = []
        for path, content in zip(batch["path"].to_pylist(), batch["content"].to_pylist()):
            for answer in json.loads(content)["answers"]:
                rows.append({"object": path.split("/")[-2], "worker": answer["workerId"], "seconds": answer.get("timeSpentInSeconds"), "source": path.replace("file:///", "file:/")})
        yield pa.RecordBatch.from_pylist(rows, schema=pa.schema([("object", pa.string()), ("worker", pa.string()), ("seconds", pa.float64()), ("source", pa.string())]))

files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").option("pathGlobFilter", "*.json").load(options["INPUT"])
files.mapInArrow(parse, "object STRING, worker STRING, seconds DOUBLE, source STRING").createOrReplaceTempView("answers")
spark.sql("SELECT worker, count(*) AS n, sum(seconds) AS seconds, sort_array(collect_list(object)) AS objects FROM answers GROUP BY worker ORDER BY worker").write.mode("overwrite").parquet(options["OUTPUT"])
print("version", spark.version)
print(sorted(r.source for r in spark.table("answers").collect())[0])
"""


def test_one_job_script_gives_the_same_on_both_engines(spark_python, home, aws):
    """Through S3 on both sides: boto3 in the DuckDB engine, staging under Hadoop's view file system for real Spark."""
    import boto3
    import pyarrow.parquet as pq
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    home.endpoint = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3", endpoint_url=home.endpoint, aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1"
    )
    try:
        s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        for at in range(12):
            body = {"answers": [{"workerId": f"w{at % 3}", "timeSpentInSeconds": at / 2}, {"workerId": "w9"}]}
            s3.put_object(Bucket="lake", Key=f"in/{at}/a.json", Body=json.dumps(body).encode())
        tables = []
        for name in ("duckdb", "spark"):
            engine = Glue(home, engine=SparkEngine(name, spark_python), schedule=False)
            aws.put(f"{name}.py", JOB, "code")
            engine.create_job(
                aws.call,
                {"Name": name, "Role": "r", "Command": {"Name": "glueetl", "ScriptLocation": f"s3://code/{name}.py"}},
            )
            arguments = {"--INPUT": "s3://lake/in/", "--OUTPUT": f"s3://lake/{name}/"}
            run_id = engine.start_job_run(aws.call, {"JobName": name, "Arguments": arguments})["JobRunId"]
            get = lambda: engine.get_job_run(aws.call, {"JobName": name, "RunId": run_id})["JobRun"]  # noqa: B023, E731
            run = aws.wait(lambda: get() if get()["JobRunState"] not in ("STARTING", "RUNNING") else None, 180)
            engine.close()
            assert run["JobRunState"] == "SUCCEEDED", aws.log("/aws-glue/jobs/error", run_id)[-3000:]
            assert aws.log("/aws-glue/jobs/output", run_id).splitlines()[-2:] == [
                "version 3.5.6",
                "s3://lake/in/0/a.json",
            ]
            keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="lake", Prefix=f"{name}/")["Contents"]]
            assert f"{name}/_SUCCESS" in keys
            rows = []
            for key in keys:
                if key.endswith(".parquet"):
                    s3.download_file("lake", key, str(home.scratch / "part"))
                    rows += pq.read_table(home.scratch / "part").to_pylist()
            tables.append(sorted(rows, key=lambda row: row["worker"]))
    finally:
        server.stop()
    assert tables[0] == tables[1]
    assert tables[0][-1] == {"worker": "w9", "n": 12, "seconds": None, "objects": sorted(map(str, range(12)))}
