"""The part of PySpark 3.5 that Sextant's jobs use, on DuckDB: no JVM, 60 ms to start.

The Glue engine puts this folder first on the path of a `glueetl` job when its engine is `duckdb`. The same script
runs unchanged on real PySpark. What is listed here behaves as Spark 3.5.6 with ANSI mode off and the session time
zone UTC (`tests/glue/test_spark_parity.py` runs both); what is not listed raises `NotImplementedError` with its name.

Session
    `SparkSession.builder.appName/master/config/enableHiveSupport/getOrCreate`, `.conf.get/set/unset`, `.version`,
    `.sql(text, args=None)`, `.read`, `.table`, `.range`, `.stop`, `.createDataFrame(rows, schema)` (tuples, dicts or
    Rows;
    the schema as DDL, StructType or names), `.catalog.dropTempView/listTables/tableExists/clearCache`,
    `.sparkContext` (`setLogLevel`, `defaultParallelism`, `applicationId`, `broadcast`, `addPyFile`)
Reading
    `.read.schema(ddl | StructType).option(s)(…).json/parquet/csv/text(path | [paths])`,
    `.format(json | parquet | csv | text | binaryFile).load(path)`; paths `s3://`, `s3a://`, `file://` or plain, with
    Hadoop globs; hive `k=v` folders become columns; text, json and csv have the hidden struct `_metadata`
    (`file_path`, `file_name`, `file_size`, `file_modification_time`); options: `_OPTIONS` in `sql/readwriter.py`
DataFrame
    `createOrReplaceTempView`, `mapInArrow(func, schema)` (streams; the result is spilled to Parquet once),
    `select`, `drop`, `orderBy`/`sort`/`sortWithinPartitions` (names), `selectExpr`,
    `filter`/`where` (SQL text), `limit`, `distinct`,
    `union`/`unionAll`, `unionByName`, `withColumnRenamed`, `toDF`, `count`, `collect`, `first`, `head`, `take`,
    `toLocalIterator`, `isEmpty`, `show`, `printSchema`, `columns`, `dtypes`, `schema`, `write`; physical only:
    `cache`/`persist`/`unpersist`/`repartition`/`coalesce`/`hint`
Writing
    `.write.mode(overwrite | append | ignore | error).partitionBy(…).parquet/json/csv(path)`, `.format(…).save(path)`,
    options `compression`, `header`, `sep`, `nullValue`, `partitionOverwriteMode`; one `part-00000-…` file for each
    partition,
    named after the target (a job that runs again replaces its own files), and `_SUCCESS`
SQL
    `SYNTAX` and `FUNCTIONS` in `sql/dialect.py` list what is accepted. Known differences: `sequence()` over columns
    is an array of bigint, and a result column without a name may be called differently than in Spark.

Memory is bounded: DuckDB gets `SPARKLESS_MEMORY` (640MB) and spills into `SPARKLESS_SCRATCH` (a temporary folder).
"""

from __future__ import annotations

__version__ = "3.5.6"

from .context import Broadcast, SparkConf, SparkContext
from .sql.types import Row

__all__ = ["Broadcast", "Row", "SparkConf", "SparkContext", "__version__"]
