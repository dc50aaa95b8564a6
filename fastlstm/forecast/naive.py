"""The seasonal naive forecast: what was a season ago comes again."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.forecast.values import unmasked
from fastlstm.kernels.rows import any_array
from fastlstm.nn.check import check_size

Floats = NDArray[np.float64]


def seasonal_naive(y: ArrayLike, horizon: int, season: int = 1) -> Floats:
    """Return the last season of `y`, [T, ...], again and again for `horizon` steps.

    Of a series shorter than a season the last value is repeated; what is masked is NaN. ValueError
    if there is none.
    """
    y = any_array("y", unmasked(y))
    check_size("horizon", horizon)
    check_size("season", season)
    if y.ndim == 0 or not len(y):
        raise ValueError(f"y has shape {y.shape}, expected a value at least")
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
