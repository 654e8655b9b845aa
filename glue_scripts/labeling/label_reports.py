"""AWS Glue job: Ground Truth output to the typed tables of the labeling reports, and the analytics over them.

Arguments: --INPUT_PATH (the folder of batches or jobs), --OUTPUT_PATH, --USER_POOL_ID (may be empty), --DATABASE (for
the log), --COST (JSON: wage_usd_per_hour and budget_usd, both optional), --AUDIT_ATTRIBUTE (the label attribute with an
audit's verdict), --CATEGORIES_PATH (a further folder with label category configurations; may be empty).

It parses into `{OUTPUT_PATH}_staging/{run}/`, runs one SQL text per table, then the analyses, and publishes what they
make. Every run does everything, and overwrites: a second run, or one after a kill, gives the same rows under the same
names.

An analysis that fails takes nothing with it: its tables are published empty, everything else as ever, and only then
the run fails, with the name of each analysis and group that failed and why.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.resources import files
from typing import Any

from pyspark.sql import SparkSession  # pyrefly: ignore[missing-import]  Glue brings it, or the local engine

from sextant import storage
from sextant.labeling import etl
from sextant.labeling.insight.analysis import RUN_SCHEMA, Step, insight_table, runner, steps, take_back
from sextant.labeling.insight.tables import INSIGHT_TABLES, PARTS
from sextant.labeling.staging import STAGED
from sextant.labeling.tables import TABLES, Table, spark_schema
from sextant.labeling.users import USERS_SCHEMA, pool_users

ARGUMENTS = {
    "INPUT_PATH": None,
    "OUTPUT_PATH": None,
    "USER_POOL_ID": "",
    "DATABASE": "",
    "COST": "{}",
    "AUDIT_ATTRIBUTE": "audit",
    "CATEGORIES_PATH": "",
}
"""Names and defaults; None where there is none."""
SETTINGS_SCHEMA = (
    "wage_usd_per_hour double, budget_usd double, audit_attribute string, input_path string, output_path string"
)
ROWS_PER_FILE = 4_000_000
PARTITIONS = 8
WORKER_METRICS = "processed_worker_metrics"


def arguments() -> dict[str, str]:
    """The job's arguments among those of Glue; its own getResolvedOptions knows no optional and no empty one."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name, default in ARGUMENTS.items():
        parser.add_argument(f"--{name}", required=default is None, default=default)
    known, _ = parser.parse_known_args(sys.argv[1:])
    return vars(known)


def settings(given: dict[str, str]) -> tuple[float | None, float | None, str, str, str]:
    """The row of the view `settings`.

    Raises:
        ValueError: --COST is no JSON object of numbers.
    """
    try:
        cost = json.loads(given["COST"] or "{}")
        wage, budget = (None if cost.get(name) is None else float(cost[name]) for name in _COSTS)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"--COST {given['COST']!r}: give a JSON object of numbers, {' and '.join(_COSTS)}") from error
    return wage, budget, given["AUDIT_ATTRIBUTE"].lower(), given["INPUT_PATH"], given["OUTPUT_PATH"].rstrip("/")


_COSTS = ("wage_usd_per_hour", "budget_usd")


def session() -> Any:
    """Times are UTC whatever the cluster's zone, and written as other engines read them."""
    return (
        SparkSession.builder.appName("label-reports")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        # Without these Spark 3 refuses to read or write a time before 1900, such as a wrong creation-date.
        .config("spark.sql.parquet.datetimeRebaseModeInRead", "CORRECTED")
        .config("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")
        .config("spark.sql.shuffle.partitions", str(PARTITIONS))
        .getOrCreate()
    )


def parse(spark: Any, work: list[str]) -> dict[str, int]:
    """Does the work on the cluster; rows staged by table."""
    staged = spark.createDataFrame([(each,) for each in work], "work string").mapInArrow(etl.parse, etl.PARSE_SCHEMA)
    rows: dict[str, int] = {}
    for each in staged.collect():
        rows[each["staged"]] = rows.get(each["staged"], 0) + each["rows"]
    return rows


def sql(name: str) -> str:
    """The SQL text of a table."""
    return files("glue_scripts.labeling").joinpath(f"{name}.sql").read_text(encoding="utf-8")


def view(spark: Any, staging: str, folder: str, table: Table) -> None:
    """What is staged of a table, as a view."""
    spark.read.schema(spark_schema(table)).parquet(f"{staging}/{folder}").createOrReplaceTempView(table.name)


def make(spark: Any, staging: str, name: str, query: str, *, rows: int = 0, table: Table | None = None) -> None:
    """Runs the SQL of one table, stages what it makes, and reads that back instead of making it again.

    Raises:
        TypeError: it gives other columns than the table has.
    """
    frame = spark.sql(query)
    if table and frame.dtypes != [(each.name, each.type) for each in table.columns]:
        given = set(frame.dtypes) ^ {(each.name, each.type) for each in table.columns}
        raise TypeError(f"the SQL of {name} gives other columns, or in another order: {sorted(given)}")
    made = f"{staging}/made_{name}"
    parts = 1 + rows // ROWS_PER_FILE
    frame.coalesce(parts).write.mode("overwrite").option("compression", "zstd").parquet(made)
    spark.read.parquet(made).createOrReplaceTempView(name)


def run_step(spark: Any, staging: str, step: Step) -> list[str]:
    """Makes the tables of one step; the groups that failed."""
    if not step.analysis:
        (name,) = step.writes
        make(spark, staging, name, step.query, table=insight_table(name))
        return []
    keys, order = step.analysis.keys, step.analysis.order
    # Kept first: joining and sorting at the same time takes the memory of both.
    frame = spark.sql(step.query).cache()
    frame = frame.repartition(PARTITIONS, *keys) if keys else frame.coalesce(1)
    if keys or order:
        frame = frame.sortWithinPartitions(*keys, *order)
    ran = frame.mapInArrow(runner(step.analysis, staging), RUN_SCHEMA).collect()
    return [each["failure"] for each in ran if each["failure"]]


def analyse(spark: Any, staging: str) -> list[str]:
    """Makes every insight table, an empty one where nothing makes it or that fails; what failed."""
    failures: list[str] = []
    staged = (*INSIGHT_TABLES, *PARTS)
    for table in staged:
        view(spark, staging, f"insight_{table.name}", table)
    done: set[str] = set()
    for step in steps():
        try:
            failed = run_step(spark, staging, step)
        except Exception as error:  # noqa: BLE001  the other steps go on, and the run fails with it
            failed = [f"{step.name}: {type(error).__name__}: {error}"]
        if failed:
            take_back(step, staging)
            failures += failed
        elif not step.analysis:
            done.update(step.writes)
            continue
        for table in staged:
            if table.name in step.writes:
                view(spark, staging, f"insight_{table.name}", table)
    for table in INSIGHT_TABLES:
        if table.name not in done:
            make(spark, staging, table.name, f"SELECT * FROM {table.name}")  # noqa: S608  names of our own
    return failures


def main() -> None:
    """Survey, parse manifests, parse the rest, transform, analyse, publish."""
    given = arguments()
    row = settings(given)
    source, target = given["INPUT_PATH"], given["OUTPUT_PATH"].rstrip("/")
    spark = session()
    found = etl.survey(source, given["CATEGORIES_PATH"])
    staging = etl.staging_of(target)
    say = print  # Glue keeps what a job prints as its log
    say(f"{len(found.manifests)} manifests, {len(found.others)} objects, {found.ignored} without a report's data")
    etl.prepare(staging)
    rows = parse(spark, etl.manifest_work(found, staging))
    for name, count in parse(spark, etl.other_work(found, staging)).items():
        rows[name] = rows.get(name, 0) + count
    for table in STAGED:
        view(spark, staging, table.name, table)
    spark.createDataFrame(etl.jobs(staging), etl.JOBS_SCHEMA).createOrReplaceTempView("jobs")
    spark.createDataFrame(pool_users(given["USER_POOL_ID"]), USERS_SCHEMA).createOrReplaceTempView("users")
    spark.createDataFrame([row], SETTINGS_SCHEMA).createOrReplaceTempView("settings")
    # In the order of the tables: task, job and worker are made of answer.
    for table in TABLES:
        make(spark, staging, table.name, sql(table.name), rows=rows.get(f"parsed_{table.name}", 0), table=table)
    make(spark, staging, WORKER_METRICS, sql(WORKER_METRICS))
    failures = analyse(spark, staging)
    for table in (*TABLES, *INSIGHT_TABLES):
        etl.publish(f"{staging}/made_{table.name}", f"{target}/labels/{table.name}")
    etl.publish(f"{staging}/made_{WORKER_METRICS}", f"{target}/{WORKER_METRICS}")
    etl.publish_files(staging, f"{target}/audits")
    storage.remove_below(staging)
    say(f"published {given['DATABASE'] or 'the tables'}: {rows}")
    if failures:
        raise RuntimeError("published, but these failed, and their tables are empty:\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
