"""How far forecasts are off. Values that are NaN or masked are missing and count nowhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.forecast.values import measured
from fastlstm.nn.check import check_size

Floats = NDArray[np.float64]


def mae(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Return the mean absolute error; NaN if nothing was measured."""
    y, f = _pair(actual, forecast)
    return _mean(np.abs(y - f))


def smape(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Return the symmetric mean absolute percentage error, 0 to 200, as of the M4 competition.

    Where both numbers are 0 the error is 0.
    """
    y, f = _pair(actual, forecast)
    size = np.abs(y) + np.abs(f)
    return _mean(200 * np.abs(y - f) / np.where(size > 0, size, 1))


def mase(actual: ArrayLike, forecast: ArrayLike, scale: float) -> float:
    """Return the mean absolute scaled error: that of a naive forecast, `naive_error`, is 1.

    NaN for a scale of 0, as a constant series has.
    """
    return mae(actual, forecast) / scale if scale > 0 else float("nan")


def naive_error(y: ArrayLike, season: int = 1) -> float:
    """Return the mean absolute difference of values a season apart, the scale of `mase`.

    A series that is no longer than a season is measured by its single steps.
    """
    values = measured("y", y)
    lag = season if len(values) > check_size("season", season) else 1
    return _mean(np.abs(values[lag:] - values[:-lag]))


def coverage(actual: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Return the fraction of the values that lie between `low` and `high`."""
    y, below = _pair(actual, low)
    above = measured("high", high)
    inside = ((below <= y) & (y <= above)).astype(np.float64)
    return _mean(np.where(np.isnan(y), np.nan, inside))


def _pair(actual: ArrayLike, forecast: ArrayLike) -> tuple[Floats, Floats]:
    y, f = measured("actual", actual), measured("forecast", forecast)
    if y.shape != f.shape:
        raise ValueError(f"forecast has shape {f.shape}, expected {y.shape} (that of actual)")
    return y, f


def _mean(values: Floats) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if there.size else float("nan")
