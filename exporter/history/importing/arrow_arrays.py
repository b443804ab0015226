"""Between numpy and Arrow by their buffers.

Arrow's own way loads pandas, if it is installed, which takes longer than a small import.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_TYPES = {"int64": np.int64, "double": np.float64}


def to_numpy(array: Any) -> Any:
    """A column of int64, float64 or bool as (n,) of the same type; nulls become any value."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    data = array.buffers()[1]
    if data is None:
        return np.empty(0, _TYPES.get(str(array.type), np.bool_))
    if pa.types.is_boolean(array.type):
        bits = np.frombuffer(data, np.uint8)
        count = array.offset + len(array)
        return np.unpackbits(bits, count=count, bitorder="little")[array.offset :].astype(np.bool_)
    kind = _TYPES[str(array.type)]
    whole = np.frombuffer(data, kind, array.offset + len(array))
    return whole[array.offset :]


def to_arrow(values: NDArray[np.int64] | NDArray[np.float64]) -> Any:
    """An array of int64 or float64 as a column without nulls."""
    contiguous = np.ascontiguousarray(values)
    kind = pa.int64() if contiguous.dtype == np.int64 else pa.float64()
    return pa.Array.from_buffers(kind, contiguous.size, [None, pa.py_buffer(contiguous)])


def with_validity(array: Any) -> tuple[Any, NDArray[np.bool_]]:
    """A column of int64 or float64 as (n,) with 0 for nulls, and (n,) of which are none."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    valid: NDArray[np.bool_] = to_numpy(array.is_valid())
    return np.where(valid, to_numpy(array), 0), valid
