"""The stamps of a series: evenly spaced times, and how they go on."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.column_types import has_zone
from fastlstm.counts import count_of

Stamps = NDArray[np.datetime64]
UNIT = "datetime64[us]"
_WRITTEN = re.compile(r"\d{4}(-|$)|NaT$|$")
HALF = np.timedelta64(500, "ns")  # of a microsecond
LAST_DAY = 31  # of months: the last one of any
LAST_TIME = np.datetime64("9999-12-31T23:59:59.999999")  # years are written with four digits
DAY, MONTH = np.timedelta64(1, "D"), np.timedelta64(1, "M")


class Spacing(NamedTuple):
    """The time from one stamp to the next: `step` of microseconds, or of months.

    Those of months are on a `day` of the month, or on its last one where that is shorter.
    """

    step: int
    months: bool = False
    day: int = LAST_DAY

    @property
    def days(self) -> float:
        """Its length in days, of months the mean one."""
        return self.step * 30.44 if self.months else self.step / 86_400e6

    def after(self, last: np.datetime64, count: int) -> Stamps:
        """Return the `count` stamps that follow the last one.

        Raises ValueError if they go beyond the year 9999, or what 64 bits can tell.
        """
        if self.days * count > (LAST_TIME - last) / DAY:
            raise ValueError(
                f"{count_of(count, 'step')} of {self.told()} after {shown_time(last)} go beyond "
                "the year 9999: forecast fewer"
            )
        steps = np.arange(1, count + 1) * self.step
        if not self.months:
            return np.asarray(last.astype(UNIT) + steps.astype("timedelta64[us]"))
        month = last.astype("datetime64[M]")
        return _on_day(month + steps * MONTH, self.day, last)

    def told(self) -> str:
        """Return it in words, for messages."""
        if self.months:
            return "a month" if self.step == 1 else f"{self.step} months"
        return str(np.timedelta64(self.step, "us").astype(object)).removesuffix(", 0:00:00")


def as_stamps(name: str, values: Any) -> Stamps:
    """Return datetime64 [T]; TypeError for what are no times, ValueError for missing ones."""
    if hasattr(values, "to_timestamp") and hasattr(values, "freq"):  # a PeriodIndex
        values = values.to_timestamp()
    zoned = f"{name} has times with a zone: bring them to one and leave it out"
    if has_zone(values):
        raise ValueError(zoned)
    array = np.asarray(values)
    if array.dtype == object and array.size and all(isinstance(v, str) for v in array.flat):
        array = array.astype(str)
    if array.dtype == object and all(isinstance(value, date) for value in array.flat):
        if any(getattr(value, "tzinfo", None) for value in array.flat):
            raise ValueError(zoned)
        array = array.astype(UNIT)
    if array.dtype.kind in "US":
        told = f"{name} holds what is no time such as 2024-05-31 or 2024-05-31T18:00"
        wrong = [text for text in array.astype(str).ravel().tolist() if not _WRITTEN.match(text)]
        if wrong:  # NumPy takes 20240531 for a year
            raise ValueError(f"{told}: {wrong[0]!r:.40}")
        try:
            array = array.astype(UNIT)
        except ValueError as error:
            raise ValueError(f"{told}: {error}") from error
    if array.dtype.kind != "M" or array.ndim != 1:
        raise TypeError(
            f"{name} has dtype {array.dtype} and shape {array.shape}, expected datetime64 (T,)"
        )
    missing = np.flatnonzero(np.isnat(array))
    if missing.size:
        raise ValueError(f"{name}[{missing[0]}] is missing (NaT)")
    if np.datetime_data(array.dtype)[0] == "ns":  # as pandas makes 0.0999999 of a tenth
        array = array + HALF
    return array.astype(UNIT)


def find_spacing(stamps: Stamps) -> Spacing:
    """Return the usual spacing of stamps: the most frequent one, or that of months or years."""
    if len(stamps) < 2:
        raise ValueError("one stamp has no spacing, expected two or more")
    steps = np.diff(stamps).astype(np.int64)
    lengths, counts = np.unique(steps[steps > 0], return_counts=True)
    if not len(lengths):
        raise ValueError("the stamps do not rise")
    usual = int(lengths[counts.argmax()])
    if usual >= 27 * 86_400_000_000:  # months, quarters and years have no one length
        months = np.diff(stamps.astype("datetime64[M]")).astype(np.int64)
        found, counts = np.unique(months[months > 0], return_counts=True)
        day, fitting = _day_of_month(stamps)
        if len(found) and fitting >= (steps == usual).mean():
            return Spacing(int(found[counts.argmax()]), months=True, day=day)
    return Spacing(usual)


def first_break(stamps: Stamps, spacing: Spacing) -> tuple[int, str] | None:
    """Return the first place where stamps are uneven, and what is wrong; None if there is none.

    The place is the number of the stamp that does not follow from the one before.
    """
    steps = ahead = np.diff(stamps).astype(np.int64)
    off = np.zeros(len(stamps), bool)
    if spacing.months:
        months = stamps.astype("datetime64[M]")
        off = _on_day(months, spacing.day, stamps[0]) != stamps
        ahead = np.diff(months).astype(np.int64)
    wrong = (ahead != spacing.step) | off[1:]
    wrong[0] |= off[0]
    if not wrong.any():
        return None
    at = int(wrong.argmax()) + 1
    before, now = (shown_time(stamps[n]) for n in (at - 1, at))
    if steps[at - 1] == 0:
        what = f"{now} comes twice"
    elif steps[at - 1] < 0:
        what = f"{now} comes after {before}, expected rising times"
    elif ahead[at - 1] == spacing.step:
        at -= not off[at]  # the first stamp of all
        odd, day = shown_time(stamps[at]), spacing.day
        usual = "the last day of its month" if day == LAST_DAY else f"day {day} of its month"
        what = f"{odd} is not on {usual}, expected steps of {spacing.told()}: write months alone"
    elif ahead[at - 1] < spacing.step:
        what = f"{now} is too soon after {before}, expected steps of {spacing.told()}"
    else:
        what = f"there is a gap from {before} to {now}, expected steps of {spacing.told()}"
    return at, what


def check_even(name: str, stamps: Stamps) -> Spacing:
    """Return the spacing of stamps; ValueError that names the first one out of step."""
    back = np.flatnonzero(np.diff(stamps).astype(np.int64) < 0)
    if back.size:  # of times in no order the usual spacing tells nothing
        at = int(back[0]) + 1
        now, before = shown_time(stamps[at]), shown_time(stamps[at - 1])
        raise ValueError(
            f"{name}[{at}]: {now} comes after {before}, expected rising times: sort the rows by "
            "time, as sort_index in pandas does"
        )
    try:
        spacing = find_spacing(stamps)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    found = first_break(stamps, spacing)
    if found:
        hint = "; a step that is missing is a row of NaN, as of asfreq in pandas"
        raise ValueError(f"{name}[{found[0]}]: {found[1]}{hint if 'gap' in found[1] else ''}")
    return spacing


def shown_time(stamp: np.datetime64) -> str:
    """Return a time as text, as `written` does."""
    return written(np.array([stamp]))[0]


def written(stamps: Stamps) -> list[str]:
    """Return times as text, with as much of a second as any of them has."""
    units = [f"datetime64[{unit}]" for unit in ("s", "ms", "us")]
    short = next(unit for unit in units if (stamps.astype(unit) == stamps).all())
    return [str(stamp).replace("T", " ") for stamp in stamps.astype(short)]


def _day_of_month(stamps: Stamps) -> tuple[int, float]:
    """Return the day of the month that most stamps fit, and the fraction of them that do.

    One day alone cannot tell: 28 February may be the 28th of any month or the end of any.
    """
    months = stamps.astype("datetime64[M]")
    days = (stamps.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64) + 1
    fits = {
        day: float((_on_day(months, day, stamps[0]) == stamps).mean())
        for day in (LAST_DAY, *np.unique(days).tolist())
    }
    day = max(fits, key=lambda day: fits[day])
    return day, fits[day]


def _on_day(months: NDArray[Any], day: int, like: np.datetime64) -> Stamps:
    """Return the stamps on a day of these months, or their last day, with the time of `like`."""
    ends = (months + MONTH).astype("datetime64[D]") - DAY
    time = like.astype(UNIT) - like.astype("datetime64[D]").astype(UNIT)
    days = np.minimum(months.astype("datetime64[D]") + (day - 1) * DAY, ends)
    return np.asarray(days.astype(UNIT) + time)
