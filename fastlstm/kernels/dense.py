"""Arrays in one piece, as kernels want their weights."""

from __future__ import annotations

import numpy as np

from fastlstm.kernels.call import Array

# Columns copied at a time. Those of a matrix whose rows are a power of two apart share few lines of
# the cache: all at once, [512,128] took 152 us and [1024,256] 749, eight at a time 46 and 176.
COLUMNS = 8


def dense(array: Array) -> Array:
    """Return an array, or a copy if it is not C-contiguous; quick for a transposed matrix."""
    if array.flags.c_contiguous:
        return array
    if array.ndim != 2 or not array.flags.f_contiguous:
        return np.ascontiguousarray(array)
    copy = np.empty(array.shape, array.dtype)
    for i in range(0, array.shape[1], COLUMNS):
        copy[:, i : i + COLUMNS] = array[:, i : i + COLUMNS]
    return copy
