"""PySpark's exception names."""

from __future__ import annotations


class PySparkException(Exception):  # noqa: N818 - PySpark's name
    """The base of what this package raises on purpose."""


class AnalysisException(PySparkException):
    """A statement or a plan that cannot be run: unknown column, table, path or type."""


class ParseException(AnalysisException):
    """Text that is no Spark SQL."""


class PySparkTypeError(PySparkException, TypeError):
    """An argument of the wrong type."""


class PySparkValueError(PySparkException, ValueError):
    """An argument of the wrong value."""


def unsupported(name: str, remedy: str = "") -> NotImplementedError:
    """The error of everything this package does not do."""
    hint = remedy or "set SEXTANT_GLUE_ENGINE=spark to run the job on real PySpark"
    return NotImplementedError(f"{name} is not supported by the DuckDB engine of Glue jobs: {hint}")
