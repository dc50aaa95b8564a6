"""The seasonal naive forecast: what was a season ago comes again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def seasonal_naive(y: Floats, horizon: int, season: int = 1) -> Floats:
    """Return the last season of `y`, [T, ...], again and again for `horizon` steps.

    Of a series shorter than a season the last value is repeated.
    """
    season = season if len(y) >= season else 1
    last: Floats = y[len(y) - season :]
    return last[np.arange(horizon) % season]


def seasonal_naive_at(
    y: Floats, origins: NDArray[np.intp], horizon: int, season: int = 1
) -> Floats:
    """Return the same from each origin, the number of values known there: [origins, horizon, ...].

    Where fewer values than a season are known the last one is repeated.
    """
    steps = np.arange(horizon) % season - season
    last = np.where(origins[:, None] >= season, steps, -1)
    return np.asarray(y[origins[:, None] + last])
