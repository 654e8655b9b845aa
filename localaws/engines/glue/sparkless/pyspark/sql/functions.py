"""Column functions are not offered: a job's transformations are Spark SQL texts. Importing a name says so."""

from __future__ import annotations

from typing import NoReturn

from ..errors import unsupported  # noqa: TID252 - the shim must not depend on where it lies


def __getattr__(name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(name)
    raise unsupported(f"pyspark.sql.functions.{name}", "write the expression as Spark SQL (spark.sql or selectExpr)")
