"""A lake of a few hand-written rows, and the SQL and analyses of the Glue job over it, in this process."""

from functools import cache

import pyarrow as pa

from localaws.engines.glue.sparkless.pyspark.sql import SparkSession
from sextant.labeling.insight.analysis import ANALYSES, groups, steps
from sextant.labeling.insight.tables import INSIGHT_TABLES, PARTS
from sextant.labeling.staging import STAGED
from sextant.labeling.tables import TABLES, spark_schema

SETTINGS = "wage_usd_per_hour double, budget_usd double, audit_attribute string, input_path string, output_path string"
SCHEMAS = {each.name: spark_schema(each) for each in (*STAGED, *TABLES, *INSIGHT_TABLES, *PARTS)} | {
    "settings": SETTINGS
}


@cache
def session():
    return SparkSession.builder.getOrCreate()


def lake(settings=None, **tables):
    """Registers every table the SQL may read; rows are dicts, and what they leave out is null."""
    spark = session()
    tables["settings"] = [{"audit_attribute": "audit", **(settings or {})}]
    for name, schema in SCHEMAS.items():
        empty = spark.createDataFrame([], schema)
        rows = [tuple(row.pop(column, None) for column in empty.columns) for row in map(dict, tables.get(name, ()))]
        unknown = {column for row in tables.get(name, ()) for column in row} - set(empty.columns)
        assert not unknown, f"{name} has no {unknown}"
        spark.createDataFrame(rows, schema).createOrReplaceTempView(name)
    return spark


def table(spark, name):
    """Rows that the SQL of a table gives, as dicts, checked against its schema."""
    (step,) = [each for each in steps() if each.writes == (name,) and not each.analysis]
    frame = spark.sql(step.query)
    (declared,) = [each for each in INSIGHT_TABLES if each.name == name]
    assert frame.dtypes == [(each.name, each.type) for each in declared.columns]
    rows = [row.asDict() for row in frame.collect()]
    keys = [tuple(row[column] for column in declared.key) for row in rows]
    assert len(keys) == len(set(keys)), "two rows with one key"
    return rows


def analysed(spark, name):
    """Rows by table that an analysis gives, run group by group as the job does."""
    (analysis,) = [each for each in ANALYSES if each.name == name]
    (step,) = [each for each in steps() if each.name == name]
    frame = spark.sql(step.query).orderBy(*analysis.keys, *analysis.order)
    batches = []

    def keep(incoming):
        batches.extend(incoming)
        yield pa.RecordBatch.from_pydict({"n": pa.array([len(batches)], pa.int64())})

    frame.mapInArrow(keep, "n bigint").collect()
    made = {name: [] for name in analysis.writes}
    for group in groups(batches, analysis.keys):
        for written, rows in analysis.function()(group).items():
            made[written].extend(rows)
    for written, rows in made.items():
        (declared,) = [each for each in (*INSIGHT_TABLES, *PARTS) if each.name == written]
        keys = [tuple(row.get(column) for column in declared.key) for row in rows]
        assert not declared.key or len(keys) == len(set(keys)), "two rows with one key"
        unknown = {column for row in rows for column in row} - {each.name for each in declared.columns}
        assert not unknown, unknown
    return made
