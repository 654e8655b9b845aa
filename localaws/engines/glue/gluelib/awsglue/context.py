"""GlueContext, as far as plain Spark goes."""

from __future__ import annotations

from typing import Any, NoReturn


class GlueContext:
    """Gives the Spark session. DynamicFrames need Glue's own jar, which exists only on AWS."""

    def __init__(self, sparkContext: Any = None, **options: Any) -> None:  # noqa: N803 - Glue's own name
        # pyrefly: ignore[missing-import] - whichever PySpark the job runs on
        from pyspark.sql import SparkSession  # noqa: PLC0415 - a Python shell job has none

        self.spark_session = SparkSession.builder.getOrCreate()

    def get_logger(self) -> Any:
        import logging  # noqa: PLC0415

        return logging.getLogger("GlueLogger")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError(
            f"GlueContext.{name} is not supported here: DynamicFrames and bookmarks exist only on AWS; use "
            "spark_session.read and .write"
        )
