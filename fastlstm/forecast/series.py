"""A series as the forecaster reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.column_names import names_of
from fastlstm.column_types import place_told
from fastlstm.counts import count_of
from fastlstm.forecast.index import RowIndex, row_index, stamps_of_index
from fastlstm.forecast.season import filled
from fastlstm.forecast.stamps import (
    Spacing,
    Stamps,
    as_stamps,
    check_even,
    find_spacing,
    shown_time,
)
from fastlstm.forecast.values import read_numbers, read_targets

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """What was measured, what was known ahead, and when.

    Attributes
    ----------
    y : [T, K], the targets; NaN where one is missing.
    X : [T, F], what is known of the future, too; F may be 0.
    stamps : datetime64 [T], evenly spaced; None if the times are unknown.
    flat : whether the targets were given as [T].
    like : the pandas object that `y` was given as, else None.
    labels, known : names of the targets and of the columns of X, if they have any.
    index : what the index of `y` said of its rows, None if it had none.
    """

    y: Floats
    X: Floats
    stamps: Stamps | None = None
    flat: bool = False
    like: Any = None
    labels: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    index: RowIndex | None = None

    @property
    def names(self) -> list[str]:
        """Names of the targets, or their numbers."""
        return list(self.labels) or [f"target {k}" for k in range(self.y.shape[1])]

    def __len__(self) -> int:
        return len(self.y)

    @property
    def known_y(self) -> Floats:
        """The targets with the last known value where one is missing."""
        return filled(self.y)

    @property
    def spacing(self) -> Spacing | None:
        """That of the stamps, None if it is not known."""
        if self.stamps is None or len(self) < 2:
            return None
        return find_spacing(self.stamps)

    def until(self, end: int) -> Series:
        """Return the first `end` steps."""
        stamps = None if self.stamps is None else self.stamps[:end]
        return replace(self, y=self.y[:end], X=self.X[:end], stamps=stamps)

    def after(self, start: int) -> Series:
        """Return all but the first `start` steps."""
        stamps = None if self.stamps is None else self.stamps[start:]
        return replace(self, y=self.y[start:], X=self.X[start:], stamps=stamps)

    def joined(self, y: Floats, X: Floats) -> Series:
        """Return the series with more steps after its end."""
        stamps = self.stamps
        if stamps is not None:
            following = find_spacing(stamps).after(stamps[-1], len(y))
            stamps = np.concatenate([stamps, following])
        return replace(
            self, y=np.concatenate([self.y, y]), X=np.concatenate([self.X, X]), stamps=stamps
        )


def read_series(
    name: str, y: Any, X: Any = None, stamps: Any = None, like: RowIndex | None = None
) -> Series:
    """Return a series of arrays, or of pandas objects whose index may give the stamps.

    Parameters
    ----------
    name : of `y` in messages.
    y : numbers [T] or [T, targets]; NaN is missing.
    X : numbers [T] or [T, features], or None.
    stamps : datetime64 [T]; None: those of the index of `y`, if it has any.
    like : the index of the series of `fit`: hours of a zone are read on the clocks that it was
        read on.

    Raises
    ------
    TypeError, ValueError
        If these are no such arrays or do not fit together.
    """
    values = read_targets(name, y)
    if not len(values):
        raise ValueError(f"{name} is empty")
    empty = np.flatnonzero(np.isnan(values).all(axis=0))
    if empty.size:
        raise ValueError(f"{name} holds no number at all in target {empty[0]}")
    index = _read_as(row_index(y), like)
    when = stamps_of_index(f"the index of {name}", y, index)
    if stamps is not None:
        when = as_stamps("stamps", stamps)
    if when is not None:
        if len(when) != len(values):
            raise ValueError(
                f"stamps has {count_of(len(when), 'row')}, expected {len(values)} as {name} has"
            )
        if len(when) > 1:
            check_even("stamps" if stamps is not None else f"the index of {name}", when)
    given = y if hasattr(y, "index") and hasattr(y, "iloc") else None
    names = names_of(y)
    if len(names) != values.shape[1]:  # one column of structs or arrays has one name for all
        names = ()
    known = read_known("X", X, len(values), when, index)
    return Series(values, known, when, np.ndim(y) == 1, given, names, names_of(X), index)


def _read_as(own: RowIndex | None, fit: RowIndex | None) -> RowIndex | None:
    """Return an index whose hours are read on the clocks that those of `fit` were read on.

    Days are read on their own clocks, hours in UTC, unless `fit` was of hours of a zone, as tables
    of files tell them.
    """
    if own is None or fit is None or own.zone is None or own.local or not fit.local:
        return own
    return own._replace(zone=fit.zone, local=True)


def read_known(
    name: str, X: Any, rows: int, stamps: Stamps | None = None, like: RowIndex | None = None
) -> Floats:
    """Return features [rows, F] known ahead, none of them missing; F is 0 for None.

    Of an object with times they are those of the `stamps` of the steps, if these are known, which
    were those of the index `like`.
    """
    if X is None:
        return np.zeros((rows, 0))
    values = read_numbers(name, X)
    when = None if stamps is None else stamps_of_index(f"the index of {name}", X, like)
    if when is not None and len(when):
        values = values[_places(name, when, stamps)]
    if len(values) != rows:
        raise ValueError(f"{name} has {count_of(len(values), 'row')}, expected {rows}")
    wrong = ~np.isfinite(values)
    if wrong.any():
        at = tuple(map(int, np.argwhere(wrong)[0]))
        where = place_told(at, names_of(X))
        raise ValueError(f"{name}{where} is {values[at]}, expected a finite number")
    return values


def _places(name: str, there: Stamps, stamps: Any) -> Any:
    """Return the rows of the times `there` that the stamps have; ValueError if one is not there."""
    order = np.argsort(there, kind="stable")
    first, after = (
        np.searchsorted(there, stamps, side=side, sorter=order) for side in ("left", "right")
    )
    place = order[first.clip(max=len(there) - 1)]
    wrong = np.flatnonzero(there[place] != stamps)
    if wrong.size:
        raise ValueError(f"{name} has no row of the time {shown_time(stamps[wrong[0]])}")
    twice = np.flatnonzero(after - first > 1)
    if twice.size:
        at = int(twice[0])
        raise ValueError(
            f"{name} has {after[at] - first[at]} rows of the time {shown_time(stamps[at])}, "
            "expected one"
        )
    return place
