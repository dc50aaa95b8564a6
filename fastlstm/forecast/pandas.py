"""Forecasts in the shape that the series was given in. pandas is imported only where it was."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.index import index_of
from fastlstm.forecast.series import Series

Floats = NDArray[np.float64]


def as_given(values: Floats, series: Series, point: bool) -> Any:
    """Return forecasts [steps, K, M] without the axes that a user does not expect.

    K is dropped if the series was given as [T], M for a `point` forecast, which of a pandas object
    is one with the index that goes on.
    """
    found = values[..., 0] if point else values
    found = found[:, 0] if series.flat else found
    if series.like is None or not point:
        return found
    import pandas

    index = _index(series, len(found), pandas)
    if series.flat:
        return pandas.Series(found, index=index, name=series.like.name)
    return pandas.DataFrame(found, index=index, columns=series.like.columns)


def numbers_after(index: NDArray[Any], steps: int) -> NDArray[Any]:
    """Return the numbers or times of day that go on after an index, of any other kind positions.

    They go on by its steps; after whole numbers that are uneven by ones from the greatest.
    """
    kind, on = index.dtype.kind, np.arange(1, steps + 1)
    if kind in "iufm" and len(index) > 1:
        distances = np.diff(index)
        step = distances[0]
        even = np.isclose(distances, step) if kind == "f" else distances == step
        if step > 0 and even.all():
            return np.asarray(index[-1] + on * step)
    if kind in "iu" and len(index):
        return np.asarray(index.max() + on)
    return len(index) - 1 + on


def _index(series: Series, steps: int, pandas: Any) -> Any:
    """Return the index of the steps after the end: times, periods, or numbers going on."""
    index = index_of(series.like)
    if series.stamps is None:
        return pandas.Index(numbers_after(np.asarray(index), steps), name=index.name)
    from fastlstm.forecast.stamps import find_spacing

    stamps = find_spacing(series.stamps).after(series.stamps[-1], steps)
    found = pandas.DatetimeIndex(stamps, name=index.name)
    if getattr(index, "tz", None) is not None:
        read: Any = series.index
        zone = read.zone if read.local else "UTC"
        there = found.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
        return there.tz_convert(index.tz)
    return found.to_period(index.freq) if hasattr(index, "to_timestamp") else found
