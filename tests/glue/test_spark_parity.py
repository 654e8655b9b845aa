"""The same statements on real PySpark 3.5.6: what the DuckDB engine answers is what Spark answers, types included."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pyarrow.parquet as pq
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
        [python, str(RUNNER)],
        input=work,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TZ": "UTC", **variables},
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
    import shared  # from --extra-py-files, on Spark's workers too
    text = pa.string()
    schema = pa.schema([("object", text), ("worker", text), ("seconds", pa.float64()), ("source", text)])
    for batch in batches:
        rows = []
        for path, content in zip(batch["path"].to_pylist(), batch["content"].to_pylist()):
            for answer in json.loads(content)["answers"]:
                row = {"object": path.split("/")[-2], "worker": shared.name(answer["workerId"]), "source": path}
                rows.append({**row, "seconds": answer.get("timeSpentInSeconds")})
        yield pa.RecordBatch.from_pylist(rows, schema=schema)

files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").option("pathGlobFilter", "*.json")
answers = files.load(options["INPUT"]).mapInArrow(parse, "object STRING, worker STRING, seconds DOUBLE, source STRING")
answers.createOrReplaceTempView("answers")
per_worker = spark.sql('''
    SELECT worker, count(*) AS n, sum(seconds) AS seconds, sort_array(collect_list(object)) AS objects
    FROM answers GROUP BY worker ORDER BY worker
''')
per_worker.write.mode("overwrite").parquet(options["OUTPUT"])
print("version", spark.version)
print(sorted(r.source for r in spark.table("answers").collect())[0])
"""


def test_one_job_script_gives_the_same_on_both_engines(spark_python, home, aws, s3_endpoint):
    """Through S3 on both sides: boto3 in the DuckDB engine, staging under Hadoop's view file system for real Spark."""
    home.endpoint = s3_endpoint
    keys = {
        "aws_access_key_id": aws.call.account,
        "aws_secret_access_key": "local",
    }  # as the role's environment has them
    s3 = boto3.client("s3", endpoint_url=s3_endpoint, region_name="eu-west-1", **keys)
    s3.create_bucket(Bucket="both", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for at in range(12):
        body = {"answers": [{"workerId": f"w{at % 3}", "timeSpentInSeconds": at / 2}, {"workerId": "w9"}]}
        s3.put_object(Bucket="both", Key=f"in/{at}/a.json", Body=json.dumps(body).encode())
    tables = [run_on(name, spark_python, home, aws, s3) for name in ("duckdb", "spark")]
    assert tables[0] == tables[1]
    assert tables[0][-1] == {"worker": "W9", "n": 12, "seconds": None, "objects": sorted(map(str, range(12)))}


def run_on(name, spark_python, home, aws, s3):
    engine = Glue(home, engine=SparkEngine(name, spark_python), schedule=False)
    aws.put("per_worker.py", JOB, "code")
    command = {"Name": "glueetl", "ScriptLocation": "s3://code/per_worker.py"}
    engine.create_job(aws.call, {"Name": name, "Role": "r", "Command": command})
    aws.put("shared.py", "def name(worker):\n    return worker.upper()\n", "code")
    arguments = {
        "--INPUT": "s3://both/in/",
        "--OUTPUT": f"s3://both/{name}/",
        "--extra-py-files": "s3://code/shared.py",
    }
    run_id = engine.start_job_run(aws.call, {"JobName": name, "Arguments": arguments})["JobRunId"]

    def ended():
        run = engine.get_job_run(aws.call, {"JobName": name, "RunId": run_id})["JobRun"]
        return run if run["JobRunState"] not in ("STARTING", "RUNNING") else None

    run = aws.wait(ended, 180)
    engine.close()
    assert run["JobRunState"] == "SUCCEEDED", aws.log("/aws-glue/jobs/error", run_id)[-3000:]
    assert aws.log("/aws-glue/jobs/output", run_id).splitlines()[-2:] == ["version 3.5.6", "s3://both/in/0/a.json"]
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="both", Prefix=f"{name}/")["Contents"]]
    assert f"{name}/_SUCCESS" in keys
    rows = []
    for key in keys:
        if key.endswith(".parquet"):
            s3.download_file("both", key, str(home.scratch / "part"))
            rows += pq.read_table(home.scratch / "part").to_pylist()
    return sorted(rows, key=lambda row: row["worker"])
