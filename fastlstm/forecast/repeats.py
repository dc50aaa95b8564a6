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
    totals = {season: _total_error(values, none, season) for season in tried}
    best = min(totals, key=lambda season: totals[season], default=0)
    if not best or totals[best] >= none.sum():
        return None
    least = _errors(values, best)
    if _standard_errors(none - least, best) < CLEAR:
        return None
    for season in sorted(totals):
        if season * SHORTER <= best and totals[season] < none.sum():
            if _standard_errors(_errors(values, season) - least, best) < ALIKE:
                return season
    return best


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
    count = _counts(len(values), season)
    mean = _sums(values, season) / count
    off = (values - mean[place]) * (count / (count - 1))[place]  # without the value itself
    return np.asarray(off**2)


def _total_error(values: Floats, squares: Floats, season: int) -> float:
    """Return the sum of `_errors`, by sums alone; the mean of the values is about 0."""
    count = _counts(len(values), season)
    around = _sums(squares, season) - _sums(values, season) ** 2 / count
    return float((around * (count / (count - 1)) ** 2).sum())


def _sums(values: Floats, season: int) -> Floats:
    """Return the sum of the values at each place of a season, [season]."""
    rows = np.zeros((-(-len(values) // season), season))
    rows.reshape(-1)[: len(values)] = values
    return np.asarray(rows.sum(axis=0))


def _counts(steps: int, season: int) -> Floats:
    """Return how many values there are at each place of a season, [season]."""
    return np.where(np.arange(season) < steps % season, 1.0, 0.0) + steps // season


def _standard_errors(gain: Floats, season: int) -> float:
    """Return how many standard errors a mean is above 0, where seasons differ by chance."""
    seasons = len(gain) // season
    means = gain[len(gain) - seasons * season :].reshape(seasons, season).mean(axis=1)
    spread = means.std(ddof=1) / np.sqrt(seasons)
    return float(means.mean() / max(spread, np.finfo(float).tiny))
