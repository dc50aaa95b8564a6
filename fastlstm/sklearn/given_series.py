"""Series, features and origins as a user gives them: one of each, or a list for several series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.column_names import check_order, names_of
from fastlstm.counts import count_of
from fastlstm.forecast.index import RowIndex, check_zone, stamps_of_index
from fastlstm.forecast.series import Series, read_known, read_series
from fastlstm.forecast.stamps import Stamps, find_spacing, shown_time

Floats = NDArray[np.float64]


def is_several(y: Any) -> bool:
    """Whether `y` is a list of series: of arrays, or of columns or tables of any library."""
    return (
        isinstance(y, (list, tuple))
        and bool(len(y))
        and hasattr(y[0], "__array__")
        and (np.ndim(y[0]) > 0)
    )


def read_all(y: Any, X: Any, stamps: Any, like: RowIndex | None = None) -> list[Series]:
    """Return the series of what `fit` is given; of what comes after it, `like` is its index."""
    if not is_several(y):
        return [read_series("y", y, X, stamps, like)]
    known, when = listed(X, len(y), True, "X"), listed(stamps, len(y), True, "stamps")
    return [
        read_series(f"y[{n}]", *parts, like)
        for n, parts in enumerate(zip(y, known, when, strict=True))
    ]


def listed(values: Any, count: int, several: bool, name: str) -> list[Any]:
    """Return what is given for each of `count` series."""
    if values is None:
        return [None] * count
    if not several:
        return [values]
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise ValueError(f"{name} is to be a list of {count}, one for each series")
    return list(values)


def features(
    X: Any, rows: int, fit: Series, stamps: Stamps | None, like: RowIndex | None
) -> Floats:
    """Return the features [rows, F] of steps that follow, as `fit` had them; more may be given.

    Of an object with times they are those of the `stamps` of a series with the index `like`,
    wherever they stand in it.
    """
    has_times = stamps is not None and stamps_of_index("the index of X", X) is not None
    found = read_known("X", X if X is None or has_times else X[:rows], rows, stamps, like)
    _check_columns("X", found, names_of(X), fit.X, fit.known)
    return found


def following(series: Series, steps: int) -> Stamps | None:
    """Return the times of the steps after the end of a series, None if they are not known."""
    if series.stamps is None or len(series) < 2:
        return None
    return find_spacing(series.stamps).after(series.stamps[-1], steps)


def continued(series: Series, y: Any, X: Any, stamps: Any) -> Series:
    """Return a series with the steps `y` that came right after it, of which X is known.

    Raises ValueError if they have times that do not follow those of the series.
    """
    if stamps is None:
        stamps = stamps_of_index("the index of y", y, series.index)
    after = read_series("y", y, None, stamps)
    when = following(series, len(after))
    if when is not None and after.stamps is not None and (when != after.stamps).any():
        at = int(np.argmax(when != after.stamps))
        raise ValueError(
            f"y[{at}] is of {shown_time(after.stamps[at])}, expected {shown_time(when[at])}: the "
            "steps right after those of fit"
        )
    like = after.index if series.index is None else series.index
    known = read_known("X", X, len(after), when, like)
    check_columns(replace(after, X=known, known=names_of(X)), series)
    return series.joined(after.y, known)


def check_columns(found: Series, fit: Series) -> None:
    """Raise ValueError if a series has other targets or features than that of `fit`, by name too.

    See `check_order`.
    """
    _check_columns("y", found.y, found.labels, fit.y, fit.labels)
    _check_columns("X", found.X, found.known, fit.X, fit.known)


def _check_columns(
    name: str, found: Floats, names: Sequence[str], fit: Floats, fit_names: Sequence[str]
) -> None:
    if found.shape[1] != fit.shape[1]:
        raise ValueError(
            f"{name} has {count_of(found.shape[1], 'column')}, expected {fit.shape[1]} as in fit"
        )
    check_order(name, names, fit_names)


def check_alike(series: Sequence[Series]) -> None:
    """Raise ValueError if series differ in their targets or features, or in their steps."""
    for n, one in enumerate(series):
        for what, found, expected in (
            ("y", one.y.shape[1], series[0].y.shape[1]), ("X", one.X.shape[1], series[0].X.shape[1])
        ):  # fmt: skip
            if found != expected:
                raise ValueError(
                    f"{what}[{n}] has {count_of(found, 'column')}, but {what}[0] has {expected}"
                )
        check_order(f"y[{n}]", one.labels, series[0].labels, "of y[0]")
        check_order(f"X[{n}]", one.known, series[0].known, "of X[0]")
        check_zone(f"the index of y[{n}]", one.index, series[0].index)
    spacings = {n: one.spacing for n, one in enumerate(series) if one.spacing is not None}
    for n, spacing in spacings.items():
        first, usual = next(iter(spacings.items()))
        if spacing[:2] != usual[:2]:
            raise ValueError(
                f"y[{n}] has steps of {spacing.told()}, but y[{first}] of {usual.told()}"
            )


def origin(start: Any, series: Series) -> int:
    """Return how many steps are known at a start that is a number, a fraction or a time."""
    if isinstance(start, (bool, np.bool_)):
        raise TypeError(f"start is {start}, expected a number, a fraction or a time")
    if isinstance(start, (int, np.integer)):
        return int(start)
    if isinstance(start, (float, np.floating)):
        if not 0 < start < 1:
            raise ValueError(f"start is {start}, expected a fraction between 0 and 1")
        return round(start * len(series))
    if series.stamps is None:
        raise TypeError(f"start is {start!r}, expected a number or a fraction: y has no stamps")
    return int(np.searchsorted(series.stamps, _time(start, series)))


def _time(start: Any, series: Series) -> Any:
    """Return a time as the stamps of a series are; TypeError or ValueError if it is none."""
    zone = getattr(start, "tzinfo", None)
    try:
        if zone is not None:
            index = series.index
            own = timezone.utc if index is None or not index.local else index.zone
            start = start.astimezone(own).replace(tzinfo=None)
        time = np.datetime64(start)
        if np.isnat(time):
            raise ValueError("it is missing")
        return time
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"start is {start!r:.60}, expected a number, a fraction or a time such as 2024-05-31"
        ) from error
