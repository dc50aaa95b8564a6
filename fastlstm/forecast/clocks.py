"""Times of a table that tell their zones, on one clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import numpy as np

from fastlstm.forecast.cells import Columns
from fastlstm.forecast.index import DAY_LENGTH
from fastlstm.forecast.stamps import Stamps, find_spacing, first_break
from fastlstm.forecast.times import UNIX
from fastlstm.text.rows import FileRows

MICROSECOND = timedelta(microseconds=1)
NO_ZONE = "a time without a zone"


def on_one_clock(
    rows: FileRows, lines: Sequence[int], stamps: Stamps, zones: Sequence[timedelta | None],
    columns: Columns,
) -> tuple[Stamps, timedelta | None]:  # fmt: skip
    """Return times as stamps of one clock, and its zone; None where it is not known.

    `stamps` are those of the clocks of their `zones`. Days with daylight saving are even on their
    own clocks alone, whose zone changes. Raises ValueError for other times of several zones, unless
    they are to be brought to UTC, and for times with a zone beside others without.
    """
    first = zones[0]
    other = [n for n, zone in enumerate(zones) if zone != first]
    mixed = next((n for n in other if first is None or zones[n] is None), None)
    if first is not None and mixed is None and (columns.utc or columns.form in UNIX):
        offsets = np.array([zone // MICROSECOND for zone in zones if zone is not None], np.int64)
        told = None if columns.form in UNIX else timedelta(0)
        return stamps - offsets.view("timedelta64[us]"), told
    if not other:
        return stamps, first
    if mixed is None and _has_even_days(stamps):
        return stamps, None
    at = other[0] if mixed is None else mixed
    hint = "; --utc brings all to UTC" if mixed is None else ""
    raise ValueError(
        f"{rows.place(lines[at])} has {_zone_told(zones[at])}, but {rows.unit} {lines[0]} has "
        f"{_zone_told(first)}{hint}"
    )


def zone_text(offset: timedelta | None) -> str:
    """Return an offset from UTC as it stands behind a time, such as +02:00; "" for None."""
    zone = None if offset is None else timezone(offset)
    return datetime(1970, 1, 1, tzinfo=zone).isoformat()[len("1970-01-01T00:00:00") :]


def _has_even_days(stamps: Stamps) -> bool:
    """Whether stamps rise by a whole number of days, or of months, or by several of these."""
    if not (np.diff(stamps).astype(np.int64) > 0).all():
        return False
    spacing = find_spacing(stamps)
    if spacing.months:
        return first_break(stamps, spacing) is None
    return (
        spacing.step % DAY_LENGTH == 0
        and not (np.diff(stamps).astype(np.int64) % spacing.step).any()
    )


def _zone_told(offset: timedelta | None) -> str:
    return f"a time of the zone {zone_text(offset)}" if offset is not None else NO_ZONE
