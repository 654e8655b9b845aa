"""Amazon Athena on DuckDB: Athena SQL over Glue tables in the embedded buckets."""

from localaws.engines.athena.engine import Athena

__all__ = ["Athena"]
