"""See the package's docstring."""

from __future__ import annotations

from .dataframe import DataFrame
from .readwriter import DataFrameReader, DataFrameWriter
from .session import SparkSession
from .types import Row

__all__ = ["DataFrame", "DataFrameReader", "DataFrameWriter", "Row", "SparkSession"]
