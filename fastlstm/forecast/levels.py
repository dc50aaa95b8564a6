"""Quantiles between and beyond those that were learned."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def with_median(quantiles: Sequence[float]) -> list[float]:
    """Return the quantiles in rising order, 0.5 among them."""
    return sorted({*map(float, quantiles), 0.5})


def at_levels(values: Floats, quantiles: Sequence[float], levels: ArrayLike) -> Floats:
    """Return the values [..., Q] of rising quantiles at other levels [M] as [..., M].

    They are joined by straight lines over the normal scores of the levels, which go on beyond the
    outermost two: normal values have the very quantiles of their distribution.
    """
    known, wanted = _scores(quantiles), _scores(levels)
    if len(known) == 1:
        return np.repeat(values, len(wanted), axis=-1)
    upper = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    share = (wanted - known[upper - 1]) / (known[upper] - known[upper - 1])
    low, high = values[..., upper - 1], values[..., upper]
    # a weighted mean, so that at a learned level the learned value comes out
    return np.asarray(low * (1 - share) + high * share)


def _scores(levels: ArrayLike) -> Floats:
    normal = NormalDist()
    return np.array([normal.inv_cdf(level) for level in np.asarray(levels, np.float64).tolist()])
