"""The usual course of a season, learned from earlier seasons only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.season import filled

Floats = NDArray[np.float64]

NEWEST = 0.4  # weight of a season against all before it
LONG = 100  # steps of a season that is smoothed along its course


def profile_lag(season: int, horizon: int) -> int:
    """Return how far back a value of `profile` looks: whole seasons, beyond any horizon."""
    return -(-(horizon + _half_width(season)) // season) * season


def profile(y: Floats, season: int, horizon: int, after: int) -> Floats:
    """Return the usual value [T + after, K] of each step of a series [T, K].

    That of step t is an average over all seasons up to `profile_lag` before t, the newer the more
    it counts; so it is known wherever a forecast of `horizon` steps may start. Where there is no
    earlier season it is NaN.
    """
    T, K = y.shape
    smooth = _smoothed(filled(y), _half_width(season))
    usual = np.full_like(smooth, np.nan)
    usual[:season] = smooth[:season]
    for start in range(season, T, season):
        now = smooth[start : start + season]
        before = usual[start - season : start - season + len(now)]
        usual[start : start + season] = before + NEWEST * (now - before)
    lag = profile_lag(season, horizon)
    found = np.full((T + after, K), np.nan)
    if T + after > lag:
        source = usual[: T + after - lag]
        found[lag : lag + len(source)] = source
    return found


def _half_width(season: int) -> int:
    return season // 24 if season > LONG else 0


def _smoothed(y: Floats, half: int) -> Floats:
    """Return the mean over `half` steps before and after each one, fewer at the ends."""
    if not half:
        return y
    total = np.concatenate([np.zeros((1, y.shape[1])), np.cumsum(y, axis=0)])
    at = np.arange(len(y))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(y))
    return np.asarray((total[high] - total[low]) / (high - low)[:, None])
