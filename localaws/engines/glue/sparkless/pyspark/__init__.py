"""The part of PySpark 3.5 that Sextant's jobs use, on DuckDB: no JVM, 30 ms to start.

The Glue engine puts this folder first on the path of a `glueetl` job when its engine is `duckdb`. The same script
runs unchanged on real PySpark. What is listed here behaves as Spark 3.5.6 with ANSI mode off and the session time
zone UTC (`tests/glue/test_spark_parity.py` runs both); whatever is not listed raises `NotImplementedError` with its
name.

Session
    `SparkSession.builder.appName/master/config/enableHiveSupport/getOrCreate`, `.conf.get/set/unset`, `.sql(text,
    args=None)`,
    `.read`, `.table`, `.range`, `.createDataFrame(rows, schema)` (tuples, dicts, Rows; schema as DDL, StructType or
    names),
    `.catalog.dropTempView/listTables/tableExists/clearCache`, `.sparkContext` (`setLogLevel`, `defaultParallelism`,
    `applicationId`, `broadcast`, `addPyFile`), `.version`, `.stop`
Reading
    `.read.schema(ddl | StructType).option(s)(…).json/parquet/csv/text(path | [paths])`,
    `.format(json|parquet|csv|text|binaryFile).load(path)`;
    paths `s3://`, `s3a://`, `file://` or plain, Hadoop globs; options `pathGlobFilter`, `recursiveFileLookup`,
    `ignoreMissingFiles`,
    `header`, `sep`/`delimiter`, `quote`, `escape`, `nullValue`, `inferSchema`, `multiLine`, `wholetext`, `lineSep`,
    `compression`, `mode` (PERMISSIVE,
    DROPMALFORMED, FAILFAST), `columnNameOfCorruptRecord`; hive `k=v` folders become columns; the hidden struct
    `_metadata`
    (`file_path`, `file_name`, `file_size`, `file_modification_time`) of text, json and csv
DataFrame
    `createOrReplaceTempView`, `mapInArrow(func, schema)` (streams; its result is spilled to Parquet once), `select`
    and `drop` (names),
    `selectExpr`, `filter`/`where` (SQL text), `limit`, `distinct`, `union`/`unionAll`, `unionByName`,
    `orderBy`/`sort` (names), `withColumnRenamed`,
    `toDF`, `count`, `collect`, `first`, `head`, `take`, `toLocalIterator`, `isEmpty`, `show`, `printSchema`,
    `columns`, `dtypes`, `schema`,
    `cache`/`persist`/`unpersist`/`repartition`/`coalesce`/`hint` (physical only: no effect), `write`
Writing
    `.write.mode(overwrite|append|ignore|error).option(compression|header|sep|nullValue|partitionOverwriteMode).partitionBy(…)
    .parquet/json/csv(path)`, `.format(…).save(path)`; one `part-00000-…` file per partition and `_SUCCESS`
SQL
    see `sql/dialect.py`: its two tables are the list of what is accepted.

Memory is bounded: DuckDB gets `SPARKLESS_MEMORY` (default 640MB) and spills into `SPARKLESS_SCRATCH` (default: a
temporary folder).
"""

from __future__ import annotations

__version__ = "3.5.6"

from .context import Broadcast, SparkConf, SparkContext
from .sql.types import Row

__all__ = ["Broadcast", "Row", "SparkConf", "SparkContext", "__version__"]
