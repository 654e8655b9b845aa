"""Where older scripts import PySpark's exceptions from."""

from __future__ import annotations

from ..errors import AnalysisException, ParseException  # noqa: TID252 - the shim must not depend on where it lies

__all__ = ["AnalysisException", "ParseException"]
