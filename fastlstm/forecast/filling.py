"""What stands in place of values that are missing, or are read as such, in what is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.season import filled

Floats = NDArray[np.float64]


def filled_in(y: Floats, season: int) -> Floats:
    """Return a series [T, K] without gaps, in which nothing depends on what comes later.

    A missing value differs from the one before it as those of a season ago do; where there is
    none it is that value itself.
    """
    missing = np.isnan(y)
    if season == 1 or not missing.any():
        return filled(y)
    found: Floats = filled(y).copy()
    for t in np.flatnonzero(missing.any(axis=1)):
        if t > season:
            now = found[t - 1] + found[t - season] - found[t - season - 1]
            found[t] = np.where(missing[t], now, found[t])
    return found
