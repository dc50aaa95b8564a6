"""What a fitted forecaster goes on from: its own series or others, with what is known ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.forecast.framing import Framing
from fastlstm.forecast.index import check_zone, row_index, stamps_of_index
from fastlstm.forecast.pandas import numbers_after
from fastlstm.forecast.series import Series, read_series
from fastlstm.sklearn.given_series import Floats, check_columns, features, following, listed


def known_ahead(series: Sequence[Series], X: Any, steps: int, several: bool) -> list[Floats]:
    """Return the features [steps, F] of the steps that follow each series, as `fit` had them."""
    return [
        features(_of_future(known, steps, one), steps, one, following(one, steps), one.index)
        for one, known in zip(series, listed(X, len(series), several, "X"), strict=True)
    ]


def _of_future(X: Any, steps: int, series: Series) -> Any:
    """Return the rows of X from the end of a series on, of which X may have those before it, too.

    Rows without a time are told by numbers in the index that go on from those of the series. Raises
    ValueError if they are not, and are so many that the first may be those of the series itself.
    """
    if X is None or np.ndim(X) == 0 or stamps_of_index("the index of X", X) is not None:
        return X
    there, own = (None if one is None else one.numbers for one in (row_index(X), series.index))
    if there is not None and own is not None and len(np.unique(there)) == len(there):
        found = np.flatnonzero(np.isin(there, numbers_after(own, steps)))
        if len(found) == steps:
            rows = X.iloc if hasattr(X, "iloc") else X
            return rows[found[np.argsort(there[found])]]
    if len(X) >= len(series) + steps:
        raise ValueError(
            f"X has {len(X)} rows, as many as fit and the future have together, expected the "
            f"{steps} of the steps to forecast: such as X[-{steps}:]"
        )
    return X


def other_series(
    y: Any, X: Any, stamps: Any, steps: int, several: bool, fit: Series
) -> tuple[list[Series], list[Floats]]:
    """Return other series than those of `fit`, and the features of the steps that follow each.

    `X`, with the columns of `fit`, begins where `y` does and goes on for `steps` after it.
    """
    ys = list(y) if several else [y]
    X, stamps = listed(X, len(ys), several, "X"), listed(stamps, len(ys), several, "stamps")
    series, ahead = [], []
    for one, known, times in zip(ys, X, stamps, strict=True):
        found = read_series("y", one, None, times, fit.index)
        T, after = len(found), following(found, steps)
        when = None if after is None else np.concatenate([found.stamps, after])
        all_known = features(known, T + steps, fit, when, found.index)
        series.append(replace(found, X=all_known[:T]))
        ahead.append(all_known[T:])
    return series, ahead


def check_as_fitted(series: Sequence[Series], like: Series, framing: Framing) -> None:
    """Raise ValueError if a series has other targets, features or stamps than those of `fit`."""
    for one in series:
        check_columns(one, like)
        check_zone("the index of y", one.index, like.index)
        if one.stamps is None and framing.calendar.circles:
            raise ValueError("y has no stamps, expected some as in fit: stamps=")
        framing.check_steps("y", one)


def check_past(series: Sequence[Series], framing: Framing) -> None:
    """Raise ValueError if a series ends before a forecast has what it reads, or its steps."""
    for one in series:
        if one.stamps is not None and len(one) < 2:
            raise ValueError("y has 1 step, expected at least 2: one time tells no steps")
        if len(one) < framing.first:
            raise ValueError(
                f"y has {count_of(len(one), 'step')}, expected at least {framing.first}, which a "
                "forecast reads"
            )
