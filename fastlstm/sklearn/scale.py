"""Scaling numbers to mean 0 and variance 1, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike
from sklearn.utils import assert_all_finite

from fastlstm.nn.module import Array
from fastlstm.sklearn.weights import Floats
from fastlstm.train.spread import divisor


def mean_and_scale(name: str, values: Array, weights: Array | None = None) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each column, [F], of rows with weights if they have.

    Of a column that never changes the scale is 1. Raises ValueError, which calls the values by
    their `name`, if the squares of a column's distances are too large or too small for a number.
    """
    mean: Floats
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if weights is None:
            mean = values.mean(axis=0, dtype=np.float64)
            scale = values.std(axis=0, dtype=np.float64)
        else:
            mean = np.average(values, axis=0, weights=weights)
            scale = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weights))
    least, most = values.min(axis=0), values.max(axis=0)
    wide = ~np.isfinite(mean) | ~np.isfinite(scale)
    wrong = wide | ((least < most) & (scale == 0))
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(
            f"{name} spans {least[at]:g} to {most[at]:g}, too {'wide' if wide[at] else 'narrow'} "
            "to be scaled"
        )
    return mean, divisor(scale, values)


class TargetScale:
    """What `fit` learns about the targets: [N] if there is one, or [N, K].

    Attributes
    ----------
    mean, scale : float64 [K]; what is learned is (y - mean) / scale. 0 and 1 if not `standardize`.
    flat : whether the targets were [N].
    """

    def __init__(self, targets: Floats, standardize: bool, weights: Array | None = None) -> None:
        self.flat = targets.ndim == 1
        columns = targets.reshape(len(targets), -1)
        self.mean, self.scale = np.zeros(columns.shape[1]), np.ones(columns.shape[1])
        if standardize:
            self.mean, self.scale = mean_and_scale("y", columns, weights)

    def scaled(self, targets: Floats, dtype: DTypeLike) -> Array:
        """Return what to learn, [N] of one target, else [N, K]; ValueError if too large for it."""
        with np.errstate(over="ignore"):
            found = ((targets.reshape(len(targets), -1) - self.mean) / self.scale).astype(dtype)
        assert_all_finite(found, input_name="y")
        return found[:, 0] if len(self.mean) == 1 else found

    def back(self, forecasts: Floats) -> Floats:
        """Return forecasts of such targets, perhaps of more axes, as the targets were given."""
        N, K = len(forecasts), len(self.mean)
        more = forecasts.shape[1:] if K == 1 else forecasts.shape[2:]
        found: Floats = forecasts.reshape(N, K, -1) * self.scale[:, None] + self.mean[:, None]
        return found.reshape(N, *() if self.flat else (K,), *more)
