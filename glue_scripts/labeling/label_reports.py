"""AWS Glue job: Ground Truth output to the typed tables of the labeling reports.

Arguments: --INPUT_PATH (the folder of batches or jobs), --OUTPUT_PATH, --USER_POOL_ID (may be empty), --DATABASE (for
the log). It parses into `{OUTPUT_PATH}_staging/{run}/`, runs one SQL text per table and publishes what they make. Every
run does everything, and overwrites: a second run, or one after a kill, gives the same rows under the same names.
"""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from typing import Any

from pyspark.sql import SparkSession  # pyrefly: ignore[missing-import]  Glue brings it, or the local engine

from sextant.labeling import etl, storage
from sextant.labeling.staging import STAGED
from sextant.labeling.tables import TABLES, spark_schema
from sextant.labeling.users import USERS_SCHEMA, pool_users

ARGUMENTS = ("INPUT_PATH", "OUTPUT_PATH", "USER_POOL_ID", "DATABASE")
ROWS_PER_FILE = 4_000_000
WORKER_METRICS = "processed_worker_metrics"


def arguments() -> dict[str, str]:
    """The job's arguments among those of Glue; its own getResolvedOptions knows no optional and no empty one."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ARGUMENTS:
        parser.add_argument(f"--{name}", required=name.endswith("_PATH"), default="")
    known, _ = parser.parse_known_args(sys.argv[1:])
    return vars(known)


def session() -> Any:
    """Times are UTC whatever the cluster's zone, and written as other engines read them."""
    return (
        SparkSession.builder.appName("label-reports")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        # Without these Spark 3 refuses to read or write a time before 1900, such as a wrong creation-date.
        .config("spark.sql.parquet.datetimeRebaseModeInRead", "CORRECTED")
        .config("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")
        .config("spark.sql.shuffle.partitions", "8")
        .getOrCreate()
    )


def parse(spark: Any, work: list[str]) -> dict[str, int]:
    """Does the work on the cluster; rows staged by table."""
    staged = spark.createDataFrame([(each,) for each in work], "work string").mapInArrow(etl.parse, etl.PARSE_SCHEMA)
    rows: dict[str, int] = {}
    for each in staged.collect():
        rows[each["staged"]] = rows.get(each["staged"], 0) + each["rows"]
    return rows


def main() -> None:
    """Survey, parse manifests, parse the rest, transform, publish."""
    given = arguments()
    source, target = given["INPUT_PATH"], given["OUTPUT_PATH"].rstrip("/")
    spark = session()
    found = etl.survey(source)
    staging = etl.staging_of(target)
    say = print  # Glue keeps what a job prints as its log
    say(f"{len(found.manifests)} manifests, {len(found.others)} objects, {found.ignored} without a report's data")
    etl.prepare(staging)
    rows = parse(spark, etl.manifest_work(found, staging))
    for name, count in parse(spark, etl.other_work(found, staging)).items():
        rows[name] = rows.get(name, 0) + count
    for table in STAGED:
        spark.read.schema(spark_schema(table)).parquet(f"{staging}/{table.name}").createOrReplaceTempView(table.name)
    spark.createDataFrame(etl.jobs(staging), etl.JOBS_SCHEMA).createOrReplaceTempView("jobs")
    spark.createDataFrame(pool_users(given["USER_POOL_ID"]), USERS_SCHEMA).createOrReplaceTempView("users")
    # In the order of the tables: task, job and worker are made of answer, which is read back instead of made again.
    for name in (*(table.name for table in TABLES), WORKER_METRICS):
        made = f"{staging}/made_{name}"
        parts = 1 + rows.get(f"parsed_{name}", 0) // ROWS_PER_FILE
        frame = spark.sql(files("glue_scripts.labeling").joinpath(f"{name}.sql").read_text(encoding="utf-8"))
        frame.coalesce(parts).write.mode("overwrite").option("compression", "zstd").parquet(made)
        spark.read.parquet(made).createOrReplaceTempView(name)
    for name in (*(table.name for table in TABLES), WORKER_METRICS):
        folder = name if name == WORKER_METRICS else f"labels/{name}"
        etl.publish(f"{staging}/made_{name}", f"{target}/{folder}")
    storage.remove_below(staging)
    say(f"published {given['DATABASE'] or 'the tables'}: {rows}")


if __name__ == "__main__":
    main()
