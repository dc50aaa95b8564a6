"""What the weights of a linear part are drawn to, and how much each of these counts in the end."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.framing import Framing
from fastlstm.forecast.ridge import PENALTIES, Ridge, Way

Floats = NDArray[np.float64]

CHANCE = 0.3  # of an error, divided by how many horizons are held back, is what chance may make


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
    of each kind counts as is likely for errors that are as far off as they are (Laplace), one a
    horizon: to choose among them by a few horizons is chance. A naive forecast stands for its kind
    unless a penalty is clearly better.
    """
    clear = 1 - CHANCE / horizons
    best = [_best(ways, errors, season, clear) for season in sorted({way.season for way in ways})]
    last = ways.index(Way(inf, 1))
    if errors.min() >= clear * errors[last]:
        best = [last]
    off, shares = np.maximum(errors[best], np.finfo(float).tiny), np.zeros(len(ways))
    shares[best] = (off.min() / off) ** horizons
    return np.asarray(shares / shares.sum())


def mixed(ridges: Sequence[Ridge], shares: Floats) -> Ridge:
    """Return the linear part that forecasts the mean of several, each with its share."""
    used = [(share, ridge) for share, ridge in zip(shares, ridges, strict=True) if share]
    return Ridge(
        np.sum([share * ridge.shared for share, ridge in used], axis=0),
        np.sum([share * ridge.own for share, ridge in used], axis=0),
    )


def _best(ways: Sequence[Way], errors: Floats, season: int, clear: float) -> int:
    """Return the number of the best way of a kind."""
    alike = [n for n, way in enumerate(ways) if way.season == season]
    best = min(alike, key=lambda n: errors[n])
    naive = next((n for n in alike if ways[n].penalty == inf), best)
    return best if errors[best] < clear * errors[naive] else naive
