"""Series from tables in files: every fault is told with its line."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.forecast.cells import Columns, cell, number_cell, series_cell, time_cell
from fastlstm.forecast.clocks import on_one_clock
from fastlstm.forecast.index import DAY_LENGTH
from fastlstm.forecast.season import filled
from fastlstm.forecast.series import Series
from fastlstm.forecast.stamps import UNIT, Spacing, Stamps, find_spacing, first_break, shown_time
from fastlstm.forecast.times import microseconds
from fastlstm.text.row_kinds import read_rows
from fastlstm.text.rows import FileRows, Reading

Floats = NDArray[np.float64]

MOST_FILLED = 20  # steps for each row of the file that are filled in where there are gaps


@dataclass(frozen=True)
class Table:
    """A series of a file, and the features of steps after its end, for which it has no target.

    Attributes
    ----------
    series, ahead : of which the latter are [rows, F].
    zone : the offset from UTC of the clocks that its times are of; None if the file tells none.
    name : which series of the file it is; "" of the only one.
    where : the file, and which series of it, for messages.
    """

    series: Series
    ahead: Floats
    zone: timedelta | None
    name: str
    where: str


class _Rows:
    """The rows of one series: their lines, times with the offsets from UTC, and numbers."""

    def __init__(self) -> None:
        # lists take five times as much
        self.lines, self._times, self._numbers = array("q"), array("q"), array("d")
        self.zones: list[timedelta | None] = []

    def add(
        self, line: int, time: datetime, zone: timedelta | None, numbers: Sequence[float]
    ) -> None:
        self.lines.append(line)
        self._times.append(microseconds(time.replace(tzinfo=None)))
        self.zones.append(zone)
        self._numbers.extend(numbers)

    @property
    def numbers(self) -> Floats:
        return np.frombuffer(self._numbers).reshape(len(self.lines), -1)

    @property
    def stamps(self) -> Stamps:
        """The times as their own clocks show them."""
        return np.frombuffer(self._times, np.int64).view(UNIT)


def read_tables(path: Path, how: Reading, columns: Columns) -> list[Table]:
    """Return the series of a table, in the order in which they begin there.

    The rows of several series may stand one series after another or mixed. Rows at the end of a
    series whose targets are all missing are its future, of which the covariates are known.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, has no such columns, or a row is not what is expected; the
        message has its line. If a target is the same in all rows of each series.
    """
    rows = read_rows(path, how)
    found = _parts(rows, columns)
    if not found:
        raise ValueError(f"{path} has no rows below its header")
    tables = [_table(rows, name, part, columns) for name, part in found.items()]
    _check_steps(tables)
    for k, name in enumerate(columns.targets):
        check_changing(path, name, [one.series.y[:, k] for one in tables])
    return tables


def check_changing(
    where: object, name: str, values: Sequence[Floats], rows: str = "",
    then: str = "there is nothing to forecast",
) -> None:  # fmt: skip
    """Raise ValueError if a target never changes in any series; in which `rows` is told."""
    if all(len(y) > 1 and np.nanmin(y) == np.nanmax(y) for y in values):
        what = "never changes within a series"
        if len(values) == 1:
            what = f"is {np.nanmin(values[0]):g} in every row"
        raise ValueError(f"{where}: {name!r} {what}{rows}: {then}")


def _parts(rows: FileRows, columns: Columns) -> dict[str, _Rows]:
    """Return the rows of each series by its name, as they stand in the file."""
    places = columns.places(rows)
    which = None if columns.series is None else places.pop()
    found: dict[str, _Rows] = {}
    known: dict[timedelta | None, timedelta | None] = {}
    for line, values in rows.rows:
        name = "" if which is None else series_cell(rows, line, cell(values, which), columns)
        time = time_cell(rows, line, cell(values, places[0]), columns)
        offset = time.utcoffset()
        numbers = [number_cell(rows, line, rows.columns[n], cell(values, n)) for n in places[1:]]
        part = found.get(name)
        if part is None:
            part = found[name] = _Rows()
        part.add(line, time, known.setdefault(offset, offset), numbers)  # one object for each zone
    return found


def _table(rows: FileRows, name: str, part: _Rows, columns: Columns) -> Table:
    """Return one series of a file."""
    where = f"{rows.path}: the series {name!r}" if name else str(rows.path)
    lines, table, K = part.lines, part.numbers, len(columns.targets)
    stamps, zone = on_one_clock(rows, lines, part.stamps, part.zones, columns)
    spacing = _check_stamps(rows, lines, stamps, columns)
    T = _measured(where, table[:, :K])
    _check_values(rows, where, lines, table[:T, :K], columns)
    _check_known(rows, where, lines, table[:, K:], columns)
    if spacing is not None:
        stamps, table, T = _filled(where, stamps, table, T, spacing)
    known = filled(table[:, K:])  # the last value where one is missing
    series = Series(table[:T, :K], known[:T], stamps[:T], flat=K == 1, labels=columns.targets)
    return Table(series, known[T:], zone, name, where)


def _check_steps(tables: Sequence[Table]) -> None:
    """Raise ValueError if the steps of some series are longer than those of others."""
    spacings = [(one, spacing) for one in tables if (spacing := one.series.spacing) is not None]
    for one, spacing in spacings:
        first, usual = spacings[0]
        if spacing[:2] != usual[:2]:
            raise ValueError(
                f"{one.where} has steps of {spacing.told()}, but the series {first.name!r} of "
                f"{usual.told()}: forecast those of the same steps together"
            )


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
        hint = ""
        if columns.series is None:
            hint = "; of several series, --series names the column that tells them apart"
        raise ValueError(
            f"{rows.place(lines[at])}: the time {now} {what}, expected rising times{hint}"
        )
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


def _measured(where: str, targets: Floats) -> int:
    """Return how many rows there are up to the last one with a target."""
    there = np.flatnonzero(~np.isnan(targets).all(axis=1))
    if not there.size:
        raise ValueError(f"{where} has no value of its target at all")
    return int(there[-1]) + 1


def _check_values(
    rows: FileRows, where: str, lines: Sequence[int], targets: Floats, columns: Columns
) -> None:
    """Raise ValueError for missing values that are not to be filled."""
    missing = np.argwhere(np.isnan(targets))
    if len(missing) and not columns.fill_gaps:
        at, k = missing[0]
        raise ValueError(
            f"{rows.place(lines[at])}: {columns.targets[k]!r} has no value ({len(missing):,} are "
            "missing in all); --fill-gaps takes them as missing"
        )
    empty = np.flatnonzero(np.isnan(targets).all(axis=0))
    if empty.size:
        name = columns.targets[empty[0]]
        raise ValueError(f"{where}: {name!r} has no value at all: there is nothing to forecast")


def _check_known(
    rows: FileRows, where: str, lines: Sequence[int], known: Floats, columns: Columns
) -> None:
    """Raise ValueError for missing covariates that are not to be filled."""
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
        raise ValueError(f"{where}: the covariate {name!r} has no value at all")


def _filled(
    where: str, stamps: Stamps, table: Floats, T: int, spacing: Spacing
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
            f"{where} has {len(stamps):,} of {count_of(count, 'step')} of {spacing.told()}: "
            "too few to fill the gaps"
        )
    even = np.concatenate([stamps[:1], spacing.after(stamps[0], count - 1)])
    off = np.flatnonzero(even[at] != stamps)
    if off.size:
        raise ValueError(
            f"{where}: the time {shown_time(stamps[off[0]])} is between two steps of "
            f"{spacing.told()}"
        )
    whole = np.full((count, table.shape[1]), np.nan)
    whole[at] = table
    return even, whole, int(at[T - 1]) + 1
