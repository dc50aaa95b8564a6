"""Times in the index of an object of pandas or xarray, which are never imported."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.forecast.stamps import UNIT, Stamps, as_stamps, find_spacing, first_break
from fastlstm.notices import FastlstmWarning

_DATE = re.compile(r"\d{4}[-/]\d\d?([-/]|$)|\d\d?[-/.]\d\d?[-/.]\d\d")
DAY_LENGTH = 86_400_000_000  # microseconds


class RowIndex(NamedTuple):
    """What the index of a series says of its rows; other tables are read by it.

    Attributes
    ----------
    zone : of its times; None: they are without one, or there are none.
    has_times : whether it has times.
    local : whether its times are read on the clocks of the zone, not in UTC; see `is_local`.
    numbers : its whole numbers, None for another index.
    """

    zone: Any = None
    has_times: bool = False
    local: bool = False
    numbers: NDArray[np.integer] | None = None


def row_index(y: Any) -> RowIndex | None:
    """Return what the index of an object says, None if it has none."""
    index = index_of(y)
    if index is None:
        return None
    zone, values = getattr(index, "tz", None), np.asarray(index)
    return RowIndex(
        zone, hasattr(index, "tz") or hasattr(index, "to_timestamp"),
        zone is not None and is_local(index), values if values.dtype.kind in "iu" else None,
    )  # fmt: skip


def about_index(index: RowIndex | None) -> dict[str, Any] | None:
    """Return what JSON can hold of the index of a series: all but its numbers."""
    if index is None:
        return None
    zone = index.zone
    offset = None if zone is None else zone.utcoffset(None)  # None also of clocks that are changed
    told = offset.total_seconds() if offset is not None else zone and str(zone)
    return {"zone": told, "has_times": index.has_times, "local": index.local}


def index_about(
    about: Mapping[str, Any] | None, numbers: NDArray[np.integer] | None
) -> RowIndex | None:
    """Invert `about_index`; None for None, and for a zone that this system does not know."""
    if about is None:
        return None
    told = about["zone"]
    zone: tzinfo | None = None
    try:
        if isinstance(told, str):
            zone = ZoneInfo(told)
        elif told is not None:
            zone = timezone(timedelta(seconds=told))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # as of a text that is no name
        return None
    return RowIndex(zone, bool(about["has_times"]), bool(about["local"]), numbers)


def stamps_of_index(name: str, y: Any, like: RowIndex | None = None) -> Stamps | None:
    """Return the times in the index of an object, None if it has none.

    Times of a zone are read as those of the index `like` are, if that is given. Raises
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
    check_zone(name, row_index(y), like)
    if hasattr(index, "to_timestamp"):  # a PeriodIndex
        index = index.to_timestamp()
    if getattr(index, "tz", None) is not None:
        local = is_local(index)
        if like is not None and like.zone is not None:
            local = like.local
            index = index.tz_convert(like.zone) if local else index
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


def check_zone(name: str, found: RowIndex | None, like: RowIndex | None) -> None:
    """Raise ValueError if of two indexes of times one has a time zone and the other has none.

    Which times are the same ones then, only their owner knows.
    """
    if found is None or like is None or not (found.has_times and like.has_times):
        return
    if (found.zone is None) == (like.zone is None):
        return
    here, there = (
        "times without a zone" if one.zone is None else f"times of the zone {one.zone}"
        for one in (found, like)
    )
    raise ValueError(
        f"{name} has {here}, but that of the series {there}: bring both to one zone, with "
        "tz_localize and tz_convert of pandas"
    )


def index_of(y: Any) -> Any:
    """Return the index of a pandas object, None if it has none; that of times as such, if it can.

    Of an array of xarray it is that of the first dimension. Dates of Python, and times that Arrow
    keeps, are no times to pandas itself.
    """
    dims = getattr(y, "dims", None)
    if isinstance(dims, tuple) and hasattr(y, "indexes"):  # of xarray
        index = y.indexes.get(dims[0]) if dims else None
    else:
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
