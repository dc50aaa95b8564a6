"""Forecasts beyond the trained horizon: going on from one's own, along many possible paths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.forecaster import Forecaster
from fastlstm.forecast.scaling import Scale
from fastlstm.forecast.series import Series
from fastlstm.train.seeds import SAMPLES, generator

Floats = NDArray[np.float64]

PATHS = 64


def forecast_on(
    forecaster: Forecaster, series: Series, scale: Scale, steps: int, X: Floats, seed: int = 0
) -> Floats:
    """Return the quantiles [steps, K, Q] of any number of steps after the end of a series.

    `X` are the features known ahead, [steps, F]. Beyond the trained horizon the forecaster goes on
    from `PATHS` paths of its own forecasts, of which each block of steps takes one level of the
    quantiles, drawn at random; the quantiles there are those of the paths.
    """
    H = forecaster.framing.horizon
    series = forecaster.framing.tail(series)
    blocks = -(-steps // H)
    ahead = np.zeros((blocks * H, X.shape[1]))
    ahead[:steps] = X
    found = forecaster.after([series], [scale], [ahead[:H]])
    parts, rng = [found[0]], generator(seed, SAMPLES)
    paths: Sequence[Series] = [series] * PATHS
    last = np.repeat(found, PATHS, axis=0)
    for block in range(1, blocks):
        drawn = _drawn(last, forecaster, rng)
        now = ahead[(block - 1) * H : block * H]
        paths = [
            forecaster.framing.tail(p.joined(y, now)) for p, y in zip(paths, drawn, strict=True)
        ]
        X_next = ahead[block * H : (block + 1) * H]
        last = forecaster.after(paths, [scale] * PATHS, [X_next] * PATHS)
        levels = np.quantile(_drawn(last, forecaster, rng), forecaster.quantiles, axis=0)
        parts.append(np.moveaxis(levels, 0, -1))
    return np.concatenate(parts)[:steps]


def _drawn(values: Floats, forecaster: Forecaster, rng: np.random.Generator) -> Floats:
    """Return [N, H, K] of quantiles [N, H, K, Q]: each path at one level, evenly spread."""
    levels = (rng.permutation(len(values)) + 0.5) / len(values)
    every = forecaster.at_levels(values, levels)  # [N, H, K, N]
    return every[np.arange(len(values)), ..., np.arange(len(values))]
