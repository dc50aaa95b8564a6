"""What the cells of a table of series hold: times, numbers and names of series."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from fastlstm.counts import count_of
from fastlstm.forecast.times import EXPECTED, hint_of, read_time
from fastlstm.text.rows import ABSENT, FileRows, listed

# A value that is not there.
MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "?", "-")


@dataclass(frozen=True)
class Columns:
    """How a table of series is read.

    Attributes
    ----------
    time, targets, covariates : names of columns.
    form : of the times, as of `read_time`; None: ISO 8601.
    utc : whether times of several zones are brought to UTC.
    fill_gaps : whether missing values and steps are taken as missing, not as an error.
    series : name of the column that tells several series apart; None: there is one.
    """

    time: str
    targets: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    form: str | None = None
    utc: bool = False
    fill_gaps: bool = False
    series: str | None = None

    def places(self, rows: FileRows) -> list[int]:
        """Return the places of time, targets, covariates, and of the series if there is one.

        Raises ValueError for a column that is not there, or is named for two things.
        """
        found = []
        series = () if self.series is None else (self.series,)
        for name in (self.time, *self.targets, *self.covariates, *series):
            count = rows.columns.count(name)
            if count != 1:
                what = "no column" if not count else count_of(count, "column")
                raise ValueError(f"{rows.path} has {what} {name!r}; it has {listed(rows.columns)}")
            found.append(rows.columns.index(name))
        if len(set(found)) < len(found):
            twice = next(n for n in found if found.count(n) > 1)
            raise ValueError(f"the column {rows.columns[twice]!r} is named for two things")
        return found


def cell(values: list[object], place: int) -> object:
    """Return what is in a row at a place, "" for nothing."""
    value = values[place] if place < len(values) else ABSENT
    return "" if value is ABSENT or value is None else value


def series_cell(rows: FileRows, line: int, value: object, columns: Columns) -> str:
    """Return the name of the series that a row is of; ValueError if it has none."""
    name = str(value).strip()
    if not name:
        raise ValueError(
            f"{rows.place(line)}: {columns.series!r} is empty, expected which series the row is of"
        )
    return name


def time_cell(rows: FileRows, line: int, value: object, columns: Columns) -> datetime:
    """Return the time of a row; ValueError if it has none."""
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


def number_cell(rows: FileRows, line: int, name: str, value: object) -> float:
    """Return a number of a row, NaN for a missing one; ValueError for anything else."""
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
