"""Bands as wide as the errors on steps that were held back."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.ridge import chunks
from fastlstm.forecast.windows import Windows

if TYPE_CHECKING:
    from fastlstm.forecast.forecaster import Forecaster
    from fastlstm.forecast.linear import Fold

Floats = NDArray[np.float64]

NARROWEST, WIDEST = 0.5, 4.0


class Calibration:
    """A factor [K, Q] on how far each quantile is from the median; None for 1 everywhere."""

    def __init__(self, factors: Floats | None = None) -> None:
        self.factors = factors

    @classmethod
    def of(cls, forecaster: Forecaster, folds: Sequence[Fold]) -> Calibration:
        """Return the factors by which quantiles are as often above the targets as they say.

        Errors of windows that overlap are much alike, so that there are only as many as windows
        side by side: where these are few, the bands are wider, as Student's distribution is.
        """
        found = np.concatenate([forecaster.on_windows(*fold) for fold in folds])
        actual = np.concatenate([_targets(fold.held) for fold in folds])
        middle = forecaster.quantiles.index(0.5)
        off = actual - found[..., middle]
        factors = np.ones((off.shape[2], len(forecaster.quantiles)))
        for q, level in enumerate(forecaster.quantiles):
            if q == middle:
                continue
            sign = 1 if q > middle else -1
            width = np.maximum(sign * (found[..., q] - found[..., middle]), 1e-9)
            part = level if sign > 0 else 1 - level
            for k in range(len(factors)):
                ratio = sign * off[..., k] / width[..., k]
                ratio = ratio[~np.isnan(ratio)]
                factors[k, q] = np.quantile(ratio, part) if ratio.size else 1
                factors[k, q] *= _widened(part, 1 + len(off) / off.shape[1])
        return cls(np.clip(factors, NARROWEST, WIDEST))

    def __call__(self, values: Floats, middle: int) -> Floats:
        """Return quantiles [N, H, K, Q] with their distance from the median scaled, in order."""
        if self.factors is None:
            return values
        centre = values[..., middle : middle + 1]
        scaled = centre + (values - centre) * self.factors
        scaled[..., middle:] = np.maximum.accumulate(scaled[..., middle:], axis=-1)
        below = scaled[..., middle::-1]
        scaled[..., : middle + 1] = np.minimum.accumulate(below, axis=-1)[..., ::-1]
        return np.asarray(scaled)


def _widened(level: float, count: float) -> float:
    """Return how much farther out a quantile of Student's distribution is than a normal one.

    By the first terms of its expansion in 1 / count (Fisher 1925), enough from 2 on.
    """
    z = NormalDist().inv_cdf(level) ** 2
    count = max(2.0, count)
    return 1 + (z + 1) / (4 * count) + (5 * z**2 + 16 * z + 3) / (96 * count**2)


def _targets(windows: Windows) -> Floats:
    """Return the targets [N, H, K] on the scale of the frames."""
    parts = []
    for rows in chunks(len(windows)):
        window = windows[rows]
        parts.append(window.target + window.level)
    return np.concatenate(parts)
