"""The season of a series, found by its autocorrelation."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.forecast.repeats import best_repeat
from fastlstm.forecast.values import read_targets

Floats = NDArray[np.float64]

LONGEST = 2000  # steps; a longer season says little about the next steps
LEAST = 0.1  # autocorrelation of a season
PEAKS = 8  # of the autocorrelation, the highest ones, near which a season is looked for
FAR = 3  # distances of the quartiles beyond them, from where on a value is an outlier
CHANCE = 2.5  # standard errors of an autocorrelation that chance does not reach at one lag
RISK = 0.05  # that chance makes the highest one of all lags pass for that of a cycle
SMOOTH = 100  # steps of a season whose peak may be so wide that noise would move it
WIDE = 0.7  # what a wide peak has a twelfth of a season beside its top, as a share of it
GAIN = 0.9  # values a season apart differ by less than this share of those half a season off


def find_season(y: ArrayLike, longest: int = LONGEST) -> int:
    """Return the length of the season of a series [T], 1 if it has none.

    It is near a peak of the autocorrelation without the trend, of the series or of its differences:
    the length whose other seasons foretell each value best, or a shorter one that does about as
    well. Of a cycle whose length changes, of which none does, it is the peak, if values there are
    closer to each other than half a season before and after, and the highest of so many peaks would
    not be as high by chance. The series is to have three seasons at
    least, and `longest` steps is the longest. No times are needed: it may be any list or array of
    numbers, or a Series of pandas; NaN is missing.

    Raises TypeError or ValueError if it is no such series.
    """
    values = read_targets("y", y)
    if values.shape[1] != 1:
        raise ValueError(f"y has shape {values.shape}, expected one series, (T,)")
    y = _small(filled(values[:, 0]))
    most = min(len(y) // 3, longest)
    if most < 2 or not np.ptp(y):
        return 1
    found = best_repeat(y, _heights(y, most), most)
    if found is None:  # two failures of a pump are a season as far apart as they are, too
        y = _without_outliers(y)
        found = best_repeat(y, _heights(y, most), most)
    peaks = _heights(y, most, alone=True)
    clear = {lag: height for lag, height in peaks.items() if _comes_clearly(y, lag)}
    return found or _shortest(clear, len(y))


def _small(y: Floats) -> Floats:
    """Return a series divided by a power of 2, so that powers of what it holds are numbers, too."""
    return np.ldexp(y, -int(np.frexp(np.abs(y).max(initial=0))[1]))


def _heights(y: Floats, most: int, alone: bool = False) -> dict[int, float]:
    """Return the height of the highest peaks of the autocorrelation up to a lag, by their lag.

    Those that are to tell a season `alone` must be higher than chance makes the highest of all.
    """
    found: dict[int, float] = {}
    for values in (_without_trend(y), np.diff(y)):
        strength = autocorrelation(values, min(len(values) - 1, 2 * most))
        for lag in _peaks(strength[: most + 2], len(values)):
            if not alone or strength[lag] > _highest_by_chance(strength, lag, len(values), most):
                found[lag] = max(found.get(lag, 0), strength[lag])
    highest = sorted(found, key=lambda lag: -found[lag])[:PEAKS]
    return {lag: found[lag] for lag in highest}


def _shortest(found: dict[int, float], count: int) -> int:
    """Return the shortest of lags that are as strong but for chance: a multiple is a season, too.

    1 if there are none.
    """
    best = max(found.values(), default=0)
    enough = min(0.95 * best, best - 3 / np.sqrt(count))
    return min((lag for lag, strength in found.items() if strength > enough), default=1)


def autocorrelation(values: Floats, lags: int) -> Floats:
    """Return the autocorrelation at 0 to `lags`, each of the pairs that there are.

    That of a constant is 0 at all lags but 0.
    """
    T = len(values)
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 1 << (2 * T - 1).bit_length())
    products = np.fft.irfft(spectrum * spectrum.conj())[: lags + 1] / (T - np.arange(lags + 1))
    found: Floats = products / products[0] if products[0] > 0 else np.eye(1, lags + 1)[0]
    return found


def filled(y: Floats) -> Floats:
    """Return a series [T] or [T, ...] with the last known value where one is missing.

    Before the first value it is that one; a series without any is 0.
    """
    missing = np.isnan(y)
    if not missing.any():
        return y
    rows = np.arange(len(y)).reshape(-1, *[1] * (y.ndim - 1))
    last = np.maximum.accumulate(np.where(missing, -1, rows), axis=0)
    first = np.argmax(~missing, axis=0)
    known: Floats = np.take_along_axis(y, np.where(last < 0, first, last), axis=0)
    return np.where(np.isnan(known), 0.0, known)


def _without_outliers(y: Floats) -> Floats:
    """Return a series [T] with its usual value wherever it is far off its trend.

    Far is more than three times the distance of the quartiles beyond them (Tukey 1977).
    """
    off = _without_trend(y)
    low, high = np.quantile(off, [0.25, 0.75])
    beyond = np.maximum(low - off, off - high)
    is_far = (beyond > FAR * (high - low)) & (high > low)
    return np.asarray(np.where(is_far, y - off + np.median(off), y))


def _without_trend(y: Floats) -> Floats:
    t = np.linspace(-1, 1, len(y))
    return np.asarray(y - np.polyval(np.polyfit(t, y, 1), t))


def _peaks(strength: Floats, count: int) -> list[int]:
    """Return the lags from 2 on where the autocorrelation of `count` values has a peak.

    It must be higher than chance makes it in a series that remembers half as long (Bartlett's
    formula), and than its valley before, so that bumps on the way down from lag 0 are none.
    """
    inner = strength[2:-1]
    lags = np.flatnonzero((inner > strength[1:-2]) & (inner >= strength[3:])) + 2
    chance = np.sqrt((2 * np.cumsum(strength**2) - 1) / count)
    least = np.maximum(LEAST, CHANCE * chance[lags // 2])
    lows = np.minimum.accumulate(strength)
    high = (strength[lags] > least) & (strength[lags] > lows[lags] + LEAST)
    return sorted({_middle(strength, int(lag)) for lag in lags[high]})


def _highest_by_chance(strength: Floats, lag: int, count: int, most: int) -> float:
    """Return how high chance makes the autocorrelation at some lag up to `most`, but for a `RISK`.

    The longer a series remembers, the fewer of the lags differ from each other.
    """
    memory = 2 * float((strength[: lag // 2 + 1] ** 2).sum()) - 1
    lags = max(1.0, most / memory)
    return float(NormalDist().inv_cdf(1 - RISK / lags) * np.sqrt(memory / (count - lag)))


def _middle(strength: Floats, lag: int) -> int:
    """Return the middle of a peak, which of a long and smooth season is wide and rough."""
    half = lag // 12
    around = strength[max(0, lag - 2 * half) : lag + 2 * half + 1]
    if lag <= SMOOTH or len(around) <= 4 * half:
        return lag
    if around[half:-half].min() < WIDE * strength[lag]:
        return lag
    return lag - half + int(np.convolve(around, np.ones(2 * half + 1), "valid").argmax())


def comes_again(y: Floats, lag: int) -> bool:
    """Whether values a season apart are closer than the mean of half a season less and more.

    Those of a random walk are not: their distance grows ever slower.
    """
    return _difference(y, lag) < sum(_around(y, lag)) / 2


def _comes_clearly(y: Floats, lag: int) -> bool:
    """Whether values a season apart are clearly closer than half a season less or more."""
    return _difference(y, lag) < GAIN * min(_around(y, lag))


def _around(y: Floats, lag: int) -> tuple[float, float]:
    half = max(1, lag // 2)
    return _difference(y, lag - half), _difference(y, lag + half)


def _difference(y: Floats, lag: int) -> float:
    return float(np.abs(y[lag:] - y[:-lag]).mean())
