"""Columns of a group of rows as numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    Column = pa.ChunkedArray[Any]
    Integers = NDArray[np.int64]

JOB = ("job_name", "modality", "task_type")
"""What every row about one job begins with."""


def floats(column: Column) -> NDArray[np.float64]:
    """Numbers; NaN where there is none."""
    return np.asarray(_filled(column.cast(pa.float64()), float("nan")), dtype=np.float64)


def integers(column: Column) -> Integers:
    """Whole numbers; 0 where there is none."""
    return np.asarray(_filled(column.cast(pa.int64()), 0), dtype=np.int64)


def codes(column: Column) -> Integers:
    """Values as numbers from 0 on, in the order in which they first occur; null is a value. For whom their order and
    what they are is all one: `coded` sorts them.
    """
    encoded = pc.call_function(
        "dictionary_encode", [column.combine_chunks()], pc.DictionaryEncodeOptions(null_encoding="encode")
    )
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def coded(column: Column) -> tuple[Integers, list[Any]]:
    """Values as numbers from 0 on, in the order of the values, and the values; null is -1."""
    encoded = pc.call_function("dictionary_encode", [column.combine_chunks()])
    values = encoded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=values.__getitem__)
    rank = np.full(len(values) + 1, -1)
    rank[order] = np.arange(len(values))
    return rank[np.asarray(_filled(encoded.indices, -1), dtype=np.int64)], [values[each] for each in order]


def among(column: Column, wanted: Collection[str]) -> NDArray[np.bool_]:
    """Which texts are among those wanted; null is not."""
    code, values = coded(column)
    return np.array([*(each in wanted for each in values), False])[code]


def distinct(*columns: Integers) -> tuple[Integers, Integers]:
    """Distinct rows, in order of the columns: position of the first of each, and for every row the number of its kind.

    Args:
        columns: shape (n,) each.
    """
    order = np.lexsort(columns[::-1])
    new = np.zeros(order.size, bool)
    new[:1] = True
    for column in columns:
        new[1:] |= column[order][1:] != column[order][:-1]
    number = np.empty(order.size, np.int64)
    number[order] = np.cumsum(new) - 1
    return order[new], number


def _filled(column: Any, value: float) -> Any:
    filled: Any = pc.call_function("coalesce", [column, pa.scalar(value, column.type)])
    return filled.to_numpy(**({} if isinstance(filled, pa.ChunkedArray) else {"zero_copy_only": False}))
