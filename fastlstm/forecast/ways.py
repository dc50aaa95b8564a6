"""What the weights of a linear part are drawn to, and how much each of these counts in the end."""

from __future__ import annotations

from collections.abc import Container, Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.framing import Framing
from fastlstm.forecast.ridge import PENALTIES, Ridge, Way

Floats = NDArray[np.float64]

CHANCE = 0.3  # of an error, divided by how many horizons are held back, is what chance may make
HALF = 0.5  # as much as of the others, what the ways to the season before count at first


def ways_of(framing: Framing) -> list[Way]:
    """Return the ways that are tried: to the mean of a window, and to the naive forecasts.

    These are the last value, as is right for a random walk, and that of a season ago, as for a
    season that wanders. In the end, with an infinite penalty, they are forecast alone.
    """
    seasons = [season for season in sorted({1, framing.season}) if season <= framing.context]
    to_mean = [Way(penalty) for penalty in PENALTIES]
    return to_mean + [Way(penalty, one) for one in seasons for penalty in (*PENALTIES, inf)]


def shares_of(ways: Sequence[Way], errors: Floats, horizons: float) -> Floats:
    """Return how much each way counts, of sum 1, by its error on so many `horizons` held back.

    The last value counts alone unless another way is better by more than chance. Else the best way
    to it or to the mean counts, and the best one to the season before: each as much as is likely
    for errors that are as far off as they are (Laplace), one a horizon, as to choose by a few
    horizons is chance. The naive forecast of a season stands for it unless a penalty is clearly
    better, and counts half as much at first: what has nothing to learn is ahead of what will have
    learned from more in the end.
    """
    clear, last = 1 - CHANCE / horizons, ways.index(Way(inf, 1))
    if errors.min() >= clear * errors[last]:
        alone: Floats = np.eye(len(ways))[last]
        return alone
    best = {_least(ways, errors, {0, 1}): 1.0}
    seasons = {way.season for way in ways} - {0, 1}
    if seasons:
        found, naive = _least(ways, errors, seasons), ways.index(Way(inf, max(seasons)))
        best[found if errors[found] < clear * errors[naive] else naive] = HALF
    chosen = list(best)
    off, shares = np.maximum(errors[chosen], np.finfo(float).tiny), np.zeros(len(ways))
    shares[chosen] = list(best.values()) * (off.min() / off) ** horizons
    return np.asarray(shares / shares.sum())


def mixed(ridges: Sequence[Ridge], shares: Floats) -> Ridge:
    """Return the linear part that forecasts the mean of several, each with its share."""
    used = [(share, ridge) for share, ridge in zip(shares, ridges, strict=True) if share]
    return Ridge(
        np.sum([share * ridge.shared for share, ridge in used], axis=0),
        np.sum([share * ridge.own for share, ridge in used], axis=0),
    )


def _least(ways: Sequence[Way], errors: Floats, seasons: Container[int]) -> int:
    """Return the number of the way of least error among those to some seasons."""
    alike = [n for n, way in enumerate(ways) if way.season in seasons]
    return min(alike, key=lambda n: errors[n])
