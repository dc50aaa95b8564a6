"""Failures: values far off the usual ones around them, which say nothing of what comes next."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastlstm.forecast.season import filled

Floats = NDArray[np.float64]

FAR = 3.0  # distances of the quartiles beyond them, from where on a value is far off (Tukey 1977)
CHUNK = 4096  # medians at a time


def fences(y: Floats, steps: int) -> Floats:
    """Return how far values of a series [T, K] are below and above the median usually, [2, K]."""
    off = _off(y, steps)
    low, high = np.quantile(off, [0.25, 0.75], axis=0)
    wide = np.where(high > low, FAR * (high - low), np.inf)
    return np.stack([low - wide, high + wide])


def without_failures(y: Floats, steps: int, fences: Floats) -> Floats:
    """Return a series [T, K] with NaN where a value is beyond the fences.

    It is measured from the median of as many `steps` up to it: a new level is none for longer than
    half of them, and nothing depends on what comes later.
    """
    off = _off(y, steps)
    return np.where((off < fences[0]) | (off > fences[1]), np.nan, y)


def _off(y: Floats, steps: int) -> Floats:
    """Return how far each value is off the median of the `steps` up to it; of the first ones."""
    known = filled(y)
    steps = min(steps, len(y))
    spans = sliding_window_view(known, steps, axis=0)
    medians = [np.median(spans[n : n + CHUNK], axis=-1) for n in range(0, len(spans), CHUNK)]
    median = np.concatenate([np.repeat(medians[0][:1], steps - 1, axis=0), *medians])
    return np.asarray(known - median)
