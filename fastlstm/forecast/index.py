"""Times in the index of a pandas object, which is never imported."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlstm.forecast.stamps import UNIT, Stamps, as_stamps, find_spacing, first_break

DAY_LENGTH = 86_400_000_000  # microseconds


def stamps_of_index(name: str, y: Any, like: Any = None) -> Stamps | None:
    """Return the times in the index of a pandas object, None if it has none.

    Times of a zone are read as those of the index of `like` are, if that is given.
    """
    index = getattr(y, "index", None)
    if index is None or callable(index):  # as of a list
        return None
    if hasattr(index, "to_timestamp"):  # a PeriodIndex
        index = index.to_timestamp()
    if getattr(index, "tz", None) is not None:
        other = getattr(getattr(like, "index", None), "tz", None)
        local = is_local(index) if other is None else is_local(like.index)
        if local and other is not None:
            index = index.tz_convert(other)
        index = index.tz_localize(None) if local else _in_utc(index)
    found = np.asarray(index)
    return as_stamps(name, found) if found.dtype.kind == "M" else None


def is_local(index: Any) -> bool:
    """Whether the steps of an index with a time zone are even on its own clocks, not in UTC.

    Those of a day or more mostly are: with daylight saving a day may have 23 or 25 hours. Hours
    are even in UTC.
    """
    if len(index) < 2:
        return False
    local = np.asarray(index.tz_localize(None)).astype(UNIT)
    universal = np.asarray(_in_utc(index)).astype(UNIT)
    if np.median(np.diff(universal).astype(np.int64)) < 0.9 * DAY_LENGTH:
        return False
    try:
        return first_break(local, find_spacing(local)) is None
    except ValueError:  # no times that rise
        return False


def _in_utc(index: Any) -> Any:
    return index.tz_convert("UTC").tz_localize(None)
