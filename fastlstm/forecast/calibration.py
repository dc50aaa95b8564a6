"""Bands as wide as the errors on steps that were held back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.ridge import chunks
from fastlstm.forecast.windows import Windows

if TYPE_CHECKING:
    from fastlstm.forecast.forecaster import Forecaster

Floats = NDArray[np.float64]

NARROWEST, WIDEST = 0.5, 4.0


class Calibration:
    """A factor [K, Q] on how far each quantile is from the median; None for 1 everywhere."""

    def __init__(self, factors: Floats | None = None) -> None:
        self.factors = factors

    @classmethod
    def of(cls, forecaster: Forecaster, held_back: Windows) -> Calibration:
        """Return the factors by which quantiles are as often above the targets as they say."""
        found = forecaster.on_windows(held_back)
        actual = _targets(held_back)
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


def _targets(windows: Windows) -> Floats:
    """Return the targets [N, H, K] on the scale of the frames."""
    parts = []
    for rows in chunks(len(windows)):
        window = windows[rows]
        parts.append(window.target + window.level)
    return np.concatenate(parts)
