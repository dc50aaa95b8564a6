"""The scale of a series: perhaps a root or a logarithm, then mean 0 and spread 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.failures import fences, without_failures
from fastlstm.train.spread import divisor

Floats = NDArray[np.float64]

# A median stays one on any of these scales. Roots and logarithms are for what is never negative.
KINDS = ("linear", "sqrt", "log")
OFFSET = 0.1  # added before a logarithm, in standard deviations of the series
FARTHEST = 30.0  # spreads of the series from the mean; a forecast beyond would overflow


@dataclass(frozen=True)
class Scale:
    """The scale of a series of K targets.

    Attributes
    ----------
    kind : one of `KINDS`.
    offset : [K], added before a logarithm.
    mean, spread : [K], of the values after that.
    reach : [K], how far from that, on the scale, a forecast may be.
    steady : steps whose median tells failures, 0 if there are none.
    fences : [2, K], how far from that, on the scale, a value is one.
    """

    kind: str
    offset: Floats
    mean: Floats
    spread: Floats
    reach: Floats
    steady: int = 0
    fences: Floats | None = None

    @classmethod
    def of(cls, y: Floats, kind: str, steady: int = 0) -> Scale:
        """Return the scale of a series [T, K]; the spread of a constant target is 1."""
        offset = OFFSET * _spread(y)
        bent = _bent(y, kind, offset)
        reach, found = FARTHEST * _spread(bent), None
        if steady:
            found = fences(bent, steady)
            bent = without_failures(bent, steady, found)
        mean, spread = np.nanmean(bent, axis=0), _spread(bent)
        found = None if found is None else found / spread
        return cls(kind, offset, mean, spread, reach / spread, steady, found)

    def there(self, y: Floats) -> Floats:
        """Return values [T, K] on the scale."""
        return np.asarray((_bent(y, self.kind, self.offset) - self.mean) / self.spread)

    def without_failures(self, values: Floats) -> Floats:
        """Return values [T, K] of the scale with NaN where one is a failure."""
        if self.fences is None:
            return values
        return without_failures(values, self.steady, self.fences)

    def back(self, values: Floats) -> Floats:
        """Return values [N, H, K] or [N, H, K, Q] of the scale as those of the series."""
        shape = (-1, *[1] * (values.ndim - 3))
        offset, mean, spread, reach = (
            a.reshape(shape) for a in (self.offset, self.mean, self.spread, self.reach)
        )
        bent = np.clip(values, -reach, reach) * spread + mean
        if self.kind == "sqrt":
            bent = np.maximum(bent, 0) ** 2
        elif self.kind == "log":
            bent = np.maximum(np.exp(bent) - offset, 0)
        return np.asarray(bent)


def _bent(y: Floats, kind: str, offset: Floats) -> Floats:
    if kind == "sqrt":
        return np.asarray(np.sqrt(np.maximum(y, 0)))
    if kind == "log":
        return np.asarray(np.log(np.maximum(y, 0) + offset))
    return y


def _spread(y: Floats) -> Floats:
    return divisor(np.nanstd(y, axis=0), y)
