"""The spread of columns of numbers, to divide by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def divisor(deviation: Floats, values: NDArray[np.floating]) -> Floats:
    """Return the standard deviation of each column of `values` [T, F], 1 of a constant one.

    That of a constant column need not come out as 0: a mean of many 0.1 is rounded, and other
    values of the column would be divided by almost nothing. NaN is missing.
    """
    changes = np.fmax.reduce(values, axis=0) > np.fmin.reduce(values, axis=0)
    return np.where(changes & (deviation > 0), deviation, 1.0)
