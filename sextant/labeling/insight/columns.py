"""Columns of a group of rows as numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray


def floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Numbers; NaN where there is none."""
    return np.asarray(pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy(), dtype=np.float64)


def integers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Whole numbers; 0 where there is none."""
    return np.asarray(pc.fill_null(column.cast(pa.int64()), 0).to_numpy(), dtype=np.int64)


def codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Values as numbers from 0 on, in the order in which they first occur; null is a value."""
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def micros(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Instants as microseconds since 1970 in UTC; 0 where there is none."""
    return integers(column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64()))
