"""Which linear part a series gets: its scale, its context, and what its weights are drawn to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.framing import SHARE, Framing, held_back
from fastlstm.forecast.ridge import Ridge, Sums, chunks, forecasts
from fastlstm.forecast.scaling import KINDS, OFFSET, Scale
from fastlstm.forecast.series import Series
from fastlstm.forecast.ways import mixed, shares_of, ways_of
from fastlstm.forecast.windows import Windows

Floats = NDArray[np.float64]

LEVEL = 1e-6  # of the greatest value, within which a series changes: no scale bends it
BENT = 0.97  # of the error of another scale, for one that bends more
STEADY = 0.97  # likewise of the error with failures, for without
LONG, LONGER = 0.99, (96, 192)  # likewise of the error of a shorter context, and what is tried
FOLDS = 3  # parts of the end of a series that are held back in turn


class Fold(NamedTuple):
    """Windows that a linear part was not trained on: it was on what is before them."""

    held: Windows
    ridge: Ridge


class Linear(NamedTuple):
    """A linear part of one framing.

    Attributes
    ----------
    error : mean absolute error on what was held back.
    folds : in order of time; the last one is the end of the series.
    train : the windows of the last fold's training.
    ridge : of all windows.
    naive, share : the naive forecast that is a part of it, if one is, and how much of it.
    """

    error: float
    framing: Framing
    folds: list[Fold]
    train: Windows
    ridge: Ridge
    naive: Ridge | None
    share: float


def best_linear(series: Sequence[Series], framing: Framing, held: float, longer: bool) -> Linear:
    """Return the linear part of the scale, the context and the ways of least error.

    A scale that bends must be clearly better than one that does not, to leave failures out than to
    read them, and a longer context, tried if `longer`, than the one of `framing`. What is far off
    on a scale may be usual on another, which is asked first. A fraction `held` of the series is
    held back.
    """
    best = _linear(series, framing, held)

    def better(share: float, **changes: Any) -> Linear:
        found = _linear(series, replace(best.framing, **changes), held)
        return found if found.error < share * best.error else best

    lows = framing.limits[:, 0]
    may_be_negative = (np.isfinite(lows) & (lows < 0)).any()  # as a user said
    if not may_be_negative and all(_may_bend(one.y) for one in series):
        for kind in KINDS[1:]:
            best = better(BENT, kind=kind)
    steady = replace(best.framing, steady=framing.context)
    if any(map(steady.has_failures, series)):
        best = better(STEADY, steady=framing.context)
    most = min(map(len, series)) // SHARE
    for context in LONGER if longer else ():
        if best.framing.context < context <= most:
            best = better(LONG, context=context)
    return best


def _may_bend(y: Floats) -> bool:
    """Whether roots and logarithms of a series are another scale: nothing is negative or so level.

    Beside a high level they are straight lines, of which rounding leaves little.
    """
    changes, most = np.fmax.reduce(y) - np.fmin.reduce(y), np.fmax.reduce(y)
    is_level = (changes > 0) & (changes < LEVEL * most)
    return bool(np.nanmin(y) >= 0 and not is_level.any())


def folds_of(series: Sequence[Series], framing: Framing, fraction: float) -> list[list[int]]:
    """Return the ends of what is trained on, those of each series for each fold.

    Each fold holds back a `fraction`; there are as many as leave the first one half of the windows
    of the last one, `FOLDS` at most.
    """
    H = framing.horizon
    sizes = [held_back(len(one), fraction, H) for one in series]
    folds = [[len(one) - size for one, size in zip(series, sizes, strict=True)]]
    least = [(cut - H + 1 - framing.first) / 2 for cut in folds[0]]
    while len(folds) < FOLDS:
        cuts = [cut - size for cut, size in zip(folds[0], sizes, strict=True)]
        found = (cut - H + 1 - framing.first for cut in cuts)
        if any(now < few for now, few in zip(found, least, strict=True)):
            break
        folds.insert(0, cuts)
    return folds


def _linear(series: Sequence[Series], framing: Framing, fraction: float) -> Linear:
    """Return the linear part of a framing: the mean of the best ones of each kind."""
    H = framing.horizon
    scales = [framing.scale_of(one.y) for one in series]
    frames = [framing.frame(*one) for one in zip(series, scales, strict=True)]

    def windows(begins: Sequence[int], ends: Sequence[int]) -> Windows:
        rows = [np.arange(*span) for span in zip(begins, ends, strict=True)]
        return Windows(frames, rows, framing.context, H)

    cuts = folds_of(series, framing, fraction)
    ends = [len(one) - H + 1 for one in series]
    known = first = [framing.first] * len(series)
    last = [one - H + 1 for one in cuts[-1]]
    train = windows(first, last)
    ways = ways_of(framing)
    sums, held, found = Sums(), [], []
    for cut, end in zip(cuts, [*cuts[1:], ends], strict=True):
        now = [one - H + 1 for one in cut]
        found.append(sums.add(windows(known, now)).ridges(ways, len(train)))
        held.append(windows(cut, end))
        known = now
    errors = _mean_errors(held, found, scales)
    shares = shares_of(ways, errors, sum(map(len, held)) / H)
    folds = [Fold(part, mixed(ridges, shares)) for part, ridges in zip(held, found, strict=True)]
    whole = mixed(sums.add(windows(known, ends)).ridges(ways, len(train)), shares)
    error = _mean_errors(held, [[fold.ridge] for fold in folds], scales)[0]
    naive = next((n for n, way in enumerate(ways) if way.penalty == inf and shares[n]), None)
    part = (None, 0.0) if naive is None else (found[-1][naive], float(shares[naive]))
    return Linear(float(error), framing, folds, train, whole, *part)


def _mean_errors(
    held: Sequence[Windows], ridges: Sequence[Sequence[Ridge]], scales: Sequence[Scale]
) -> Floats:
    """Return the mean absolute error of each linear part over all parts held back."""
    off = [_errors(*one, scales) for one in zip(held, ridges, strict=True)]
    total: Floats = np.sum([found for found, _ in off], axis=0)
    return total / max(1, sum(count for _, count in off))


def _errors(held: Windows, ridges: Sequence[Ridge], scales: Sequence[Scale]) -> tuple[Floats, int]:
    """Return the sum of absolute errors of each linear part and how many there are.

    They are in standard deviations of the series.
    """
    total, count, start = np.zeros(len(ridges)), 0, 0
    for scale, size in zip(scales, held.counts, strict=True):
        unit = scale.offset / OFFSET
        for rows in chunks(size):
            window = held[rows.start + start : rows.stop + start]
            actual = scale.back(window.target + window.level)
            count += int((~np.isnan(actual)).sum())
            for n, values in enumerate(forecasts(ridges, window)):
                off = np.abs(actual - scale.back(values + window.level)) / unit
                total[n] += np.nansum(off)
        start += size
    return total, count
