"""Which season's course foretells a series best: an autocorrelation alone shows it only nearly.

Each value is foretold by the mean of those at the same place of all other seasons. A multiple of a
season has fewer of these, a part of it mixes places, and one that is a step too long or too short
runs out of step, so that the season itself is told from them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PARTS = range(2, 13)  # a week of days of hours is seven seasons, twelve months are a year
MULTIPLES = (2, 3)
NEAR = 0.04  # of a season: how far the peak of an autocorrelation may be from it
SHORTER = 1.5  # times: a season so much shorter is taken where it foretells about as well
CLEAR = 3.0  # standard errors by which a season is to be better than none
ALIKE = 1.5  # standard errors by which a shorter season may be worse


def best_repeat(y: Floats, lags: Iterable[int], most: int) -> int | None:
    """Return the season of up to `most` steps, near some of `lags`, that foretells y [T] best.

    Parts and multiples of them are tried, too. None if none foretells clearly.
    """
    tried = _tried(lags, most)
    values = y - _level(y, max(tried, default=1))
    none = values**2
    errors = {season: _errors(values, season) for season in tried}
    errors = {season: error for season, error in errors.items() if error.sum() < none.sum()}
    best = min(errors, key=lambda season: errors[season].sum(), default=1)
    if not errors or _standard_errors(none - errors[best], best) < CLEAR:
        return None
    shorter = (season for season in sorted(errors) if season * SHORTER <= best)
    return next(
        (s for s in shorter if _standard_errors(errors[s] - errors[best], best) < ALIKE), best
    )


def _tried(lags: Iterable[int], most: int) -> list[int]:
    """Return lags, their parts and multiples, and what is near these, in rising order."""
    found: set[int] = set()
    for lag in lags:
        parts = (round(lag / part) for part in PARTS)
        for season in (lag, *parts, *(lag * times for times in MULTIPLES)):
            near = max(1, int(NEAR * season))
            found.update(range(season - near, season + near + 1))
    return sorted(season for season in found if 2 <= season <= most)


def _level(y: Floats, width: int) -> Floats:
    """Return the mean of about `width` values around each, of fewer at the ends."""
    half, steps = width // 2, np.arange(len(y))
    sums = np.concatenate([[0.0], np.cumsum(y)])
    first, end = np.maximum(0, steps - half), np.minimum(len(y), steps + half + 1)
    return np.asarray((sums[end] - sums[first]) / (end - first))


def _errors(values: Floats, season: int) -> Floats:
    """Return the squared error of each value, foretold by the same place of other seasons."""
    place = np.arange(len(values)) % season
    count = np.bincount(place)
    mean = np.bincount(place, values) / count
    off = (values - mean[place]) * (count / (count - 1))[place]  # without the value itself
    return np.asarray(off**2)


def _standard_errors(gain: Floats, season: int) -> float:
    """Return how many standard errors a mean is above 0, where seasons differ by chance."""
    seasons = len(gain) // season
    means = gain[len(gain) - seasons * season :].reshape(seasons, season).mean(axis=1)
    spread = means.std(ddof=1) / np.sqrt(seasons)
    return float(means.mean() / max(spread, np.finfo(float).tiny))
