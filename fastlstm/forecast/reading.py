"""Series from tables in files: every fault is told with its line."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.forecast.index import DAY_LENGTH
from fastlstm.forecast.season import filled
from fastlstm.forecast.series import Series
from fastlstm.forecast.stamps import UNIT, Spacing, Stamps, find_spacing, first_break, shown_time
from fastlstm.forecast.times import EXPECTED, UNIX, hint_of, microseconds, read_time
from fastlstm.text.row_kinds import read_rows
from fastlstm.text.rows import ABSENT, FileRows, Reading, listed

Floats = NDArray[np.float64]

# A value that is not there.
MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "?", "-")
MICROSECOND = timedelta(microseconds=1)
NO_ZONE = "a time without a zone"
MOST_FILLED = 20  # steps for each row of the file that are filled in where there are gaps


@dataclass(frozen=True)
class Columns:
    """How a table of a series is read.

    Attributes
    ----------
    time, targets, covariates : names of columns.
    form : of the times, as of `read_time`; None: ISO 8601.
    utc : whether times of several zones are brought to UTC.
    fill_gaps : whether missing values and steps are taken as missing, not as an error.
    """

    time: str
    targets: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    form: str | None = None
    utc: bool = False
    fill_gaps: bool = False


@dataclass(frozen=True)
class Table:
    """A series of a file, and the features of steps after its end, for which it has no target.

    Its times are those of the clocks of a `zone`, the offset from UTC; None if the file tells none.
    """

    series: Series
    ahead: Floats
    zone: timedelta | None = None


def read_table(path: Path, how: Reading, columns: Columns) -> Table:
    """Return the series of a table.

    Rows at the end whose targets are all missing are the future, of which the covariates are known.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, has no such columns, or a row is not what is expected; the
        message has its line.
    """
    rows = read_rows(path, how)
    places = _places(rows, columns)
    lines, times, numbers = array("q"), array("q"), array("d")  # lists take five times as much
    zones: list[timedelta | None] = []
    known: dict[timedelta | None, timedelta | None] = {}
    for line, values in rows.rows:
        time = _time(rows, line, _cell(values, places[0]), columns)
        lines.append(line)
        times.append(microseconds(time.replace(tzinfo=None)))
        offset = time.utcoffset()
        zones.append(known.setdefault(offset, offset))  # one object for all rows of a zone
        numbers.extend(_number(rows, line, rows.columns[n], _cell(values, n)) for n in places[1:])
    if not lines:
        raise ValueError(f"{path} has no rows below its header")
    table = np.frombuffer(numbers).reshape(len(lines), -1)
    told = np.frombuffer(times, np.int64).view(UNIT)
    stamps, zone = _on_one_clock(rows, lines, told, zones, columns)
    K = len(columns.targets)
    spacing = _check_stamps(rows, lines, stamps, columns)
    T = _measured(rows, table[:, :K])
    _check_values(rows, lines, table[:, :K], T, columns)
    _check_known(rows, lines, table[:, K:], columns)
    if spacing is not None:
        stamps, table, T = _filled(rows, stamps, table, T, spacing)
    series = Series(
        table[:T, :K], _carried(table[:, K:])[:T], stamps[:T], flat=K == 1, labels=columns.targets
    )
    return Table(series, _carried(table[:, K:])[T:], zone)


def _places(rows: FileRows, columns: Columns) -> list[int]:
    """Return the places of time, targets and covariates; ValueError for a column that is not."""
    found = []
    for name in (columns.time, *columns.targets, *columns.covariates):
        count = rows.columns.count(name)
        if count != 1:
            what = "no column" if not count else count_of(count, "column")
            raise ValueError(f"{rows.path} has {what} {name!r}; it has {listed(rows.columns)}")
        found.append(rows.columns.index(name))
    if len(set(found)) < len(found):
        twice = next(n for n in found if found.count(n) > 1)
        raise ValueError(f"the column {rows.columns[twice]!r} is named for two things")
    return found


def _cell(values: list[object], place: int) -> object:
    value = values[place] if place < len(values) else ABSENT
    return "" if value is ABSENT or value is None else value


def _time(rows: FileRows, line: int, value: object, columns: Columns) -> datetime:
    if isinstance(value, datetime):
        return value
    text = str(value).strip()
    if text.lower() in MISSING:
        raise ValueError(f"{rows.place(line)}: {columns.time!r} is empty, expected a time")
    try:
        return read_time(text, columns.form)
    except ValueError as error:
        expected = EXPECTED if columns.form is None else f"in the form {columns.form}"
        hint = hint_of(text) if columns.form is None else f": {error}"
        raise ValueError(
            f"{rows.place(line)}: {columns.time!r} is {text[:40]!r}, expected a time {expected}"
            f"{hint}"
        ) from error


def _on_one_clock(
    rows: FileRows, lines: Sequence[int], stamps: Stamps, zones: list[timedelta | None],
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


def zone_text(offset: timedelta | None) -> str:
    """Return an offset from UTC as it stands behind a time, such as +02:00; "" for None."""
    zone = None if offset is None else timezone(offset)
    return datetime(1970, 1, 1, tzinfo=zone).isoformat()[len("1970-01-01T00:00:00") :]


def _number(rows: FileRows, line: int, name: str, value: object) -> float:
    """Return a number of a cell, NaN for a missing one; ValueError for anything else."""
    text = str(value).strip()
    if text.lower() in MISSING:
        return math.nan
    try:
        if "_" in text:  # Python's own grouping of digits
            raise ValueError
        found = float(text)
    except ValueError:
        hint = "; write it with a point, as 1234.5" if "," in text else ""
        raise ValueError(
            f"{rows.place(line)}: {name!r} is {text[:40]!r}, expected a number{hint}"
        ) from None
    if math.isinf(found):
        raise ValueError(f"{rows.place(line)}: {name!r} is {text[:40]}, expected a finite number")
    return found


def _check_stamps(
    rows: FileRows, lines: Sequence[int], stamps: Stamps, columns: Columns
) -> Spacing | None:
    """Check that the times are evenly spaced; return the spacing if gaps are to be filled."""
    if len(stamps) < 2:
        return None
    rising = np.diff(stamps).astype(np.int64) > 0
    if not rising.all():
        at = int(np.argmin(rising)) + 1
        before, now = (shown_time(stamps[n]) for n in (at - 1, at))
        what = "comes twice" if before == now else f"comes after {before}"
        raise ValueError(f"{rows.place(lines[at])}: the time {now} {what}, expected rising times")
    spacing = find_spacing(stamps)
    found = first_break(stamps, spacing)
    if found is None:
        return None
    at, what = found
    if columns.utc and spacing.step % DAY_LENGTH == 0 and not spacing.months:
        what += "; leave --utc out if these are the days of a clock with daylight saving"
    if columns.fill_gaps and "gap" in what:
        return spacing
    hint = "; --fill-gaps takes the steps as missing" if "gap" in what else ""
    raise ValueError(f"{rows.place(lines[at])}: {what}{hint}")


def _measured(rows: FileRows, targets: Floats) -> int:
    """Return how many rows there are up to the last one with a target."""
    there = np.flatnonzero(~np.isnan(targets).all(axis=1))
    if not there.size:
        raise ValueError(f"{rows.path} has no value of its target at all")
    return int(there[-1]) + 1


def _check_values(
    rows: FileRows, lines: Sequence[int], targets: Floats, T: int, columns: Columns
) -> None:
    """Raise ValueError for missing values that are not to be filled, and for constant targets."""
    missing = np.argwhere(np.isnan(targets[:T]))
    if len(missing) and not columns.fill_gaps:
        at, k = missing[0]
        raise ValueError(
            f"{rows.place(lines[at])}: {columns.targets[k]!r} has no value ({len(missing):,} are "
            "missing in all); --fill-gaps takes them as missing"
        )
    for k, name in enumerate(columns.targets):
        known = targets[:T, k][~np.isnan(targets[:T, k])]
        if not len(known) or (T > 1 and known.min() == known.max()):
            what = f"is {known[0]:g} in every row" if len(known) else "has no value at all"
            raise ValueError(f"{rows.path}: {name!r} {what}: there is nothing to forecast")


def _check_known(rows: FileRows, lines: Sequence[int], known: Floats, columns: Columns) -> None:
    missing = np.argwhere(np.isnan(known))
    if len(missing) and not columns.fill_gaps:
        at, k = missing[0]
        raise ValueError(
            f"{rows.place(lines[at])}: the covariate {columns.covariates[k]!r} has no value; "
            "--fill-gaps takes the last one"
        )
    empty = np.flatnonzero(np.isnan(known).all(axis=0) & (len(known) > 0))
    if empty.size:
        name = columns.covariates[empty[0]]
        raise ValueError(f"{rows.path}: the covariate {name!r} has no value at all")


def _filled(
    rows: FileRows, stamps: Stamps, table: Floats, T: int, spacing: Spacing
) -> tuple[Stamps, Floats, int]:
    """Return a row for every step, with NaN where the file has none."""
    if spacing.months:
        month = stamps.astype("datetime64[M]").astype(np.int64)
        steps = (month - month[0]) / spacing.step
    else:
        steps = (stamps - stamps[0]).astype(np.int64) / spacing.step
    at = steps.astype(np.int64)
    count = int(at[-1]) + 1
    if count > MOST_FILLED * len(stamps):
        raise ValueError(
            f"{rows.path} has {len(stamps):,} of {count_of(count, 'step')} of {spacing.told()}: "
            "too few to fill the gaps"
        )
    even = np.concatenate([stamps[:1], spacing.after(stamps[0], count - 1)])
    off = np.flatnonzero(even[at] != stamps)
    if off.size:
        raise ValueError(
            f"{rows.path}: the time {shown_time(stamps[off[0]])} is between two steps of "
            f"{spacing.told()}"
        )
    whole = np.full((count, table.shape[1]), np.nan)
    whole[at] = table
    return even, whole, int(at[T - 1]) + 1


def _carried(known: Floats) -> Floats:
    """Return features with the last known value where one is missing."""
    return filled(known)
