"""Times in the index of a pandas object, which is never imported."""

from __future__ import annotations

import re
import warnings
from datetime import date, datetime
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.forecast.stamps import UNIT, Stamps, as_stamps, find_spacing, first_break
from fastlstm.notices import FastlstmWarning

_DATE = re.compile(r"\d{4}[-/]\d\d?([-/]|$)|\d\d?[-/.]\d\d?[-/.]\d\d")
DAY_LENGTH = 86_400_000_000  # microseconds


def stamps_of_index(name: str, y: Any, like: Any = None) -> Stamps | None:
    """Return the times in the index of a pandas object, None if it has none.

    Times of a zone are read as those of the index of `like` are, if that is given. Raises
    ValueError for an index of several levels, which is that of several series, and for times with
    a zone where those of `like` have none, or the other way round.
    """
    index = index_of(y)
    if index is None:
        return None
    if getattr(index, "nlevels", 1) > 1:
        raise ValueError(
            f"{name} has {count_of(index.nlevels, 'level')}, as that of several series: these are "
            "a list, such as [one.droplevel(0) for _, one in y.groupby(level=0)]"
        )
    check_zone(name, y, like)
    if hasattr(index, "to_timestamp"):  # a PeriodIndex
        index = index.to_timestamp()
    if getattr(index, "tz", None) is not None:
        there = index_of(like)
        other = getattr(there, "tz", None)
        local = is_local(index) if other is None else is_local(there)
        if local and other is not None:
            index = index.tz_convert(other)
        index = index.tz_localize(None) if local else _in_utc(index)
    found = np.asarray(index)
    if found.dtype.kind == "M":
        return as_stamps(name, found)
    if len(found) and all(isinstance(text, str) and _DATE.match(text) for text in found.tolist()):
        warnings.warn(
            f"{name} holds texts such as {found[0]!r:.40}, which are not read as times: "
            "pandas.to_datetime makes times of them",
            FastlstmWarning,
            stacklevel=5,
        )
    return None


def check_zone(name: str, y: Any, like: Any) -> None:
    """Raise ValueError if of two indexes of times one has a time zone and the other has none.

    Which times are the same ones then, only their owner knows.
    """
    zones = [_zone(index_of(one)) for one in (y, like)]
    if None in zones or bool(zones[0]) == bool(zones[1]):
        return
    here, there = (
        f"times of the zone {zone}" if zone else "times without a zone" for zone in zones
    )
    raise ValueError(
        f"{name} has {here}, but that of the series {there}: bring both to one zone, with "
        "tz_localize and tz_convert of pandas"
    )


def _zone(index: Any) -> str | None:
    """Return the time zone of an index, "" for times without one, None for no times."""
    if hasattr(index, "tz"):
        return "" if index.tz is None else str(index.tz)
    return "" if hasattr(index, "to_timestamp") else None


def index_of(y: Any) -> Any:
    """Return the index of a pandas object, None if it has none; that of times as such, if it can.

    Dates of Python, and times that Arrow keeps, are no times to pandas itself.
    """
    index = getattr(y, "index", None)
    if index is None or callable(index):  # as of a list
        return None
    values = np.asarray(index)
    if not (values.dtype == object and len(values) and all(isinstance(v, date) for v in values)):
        return index
    times = [v if isinstance(v, datetime) else datetime(*v.timetuple()[:3]) for v in values]
    return type(index)(times, name=index.name)


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
