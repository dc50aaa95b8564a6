"""The stamps of a series: evenly spaced times, and how they go on."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Stamps = NDArray[np.datetime64]
UNIT = "datetime64[us]"
_WRITTEN = re.compile(r"\d{4}(-|$)|NaT$|$")
DAY, MONTH = np.timedelta64(1, "D"), np.timedelta64(1, "M")


class Spacing(NamedTuple):
    """The time from one stamp to the next: `step` of microseconds, or of months."""

    step: int
    months: bool = False

    @property
    def days(self) -> float:
        """Its length in days, of months the mean one."""
        return self.step * 30.44 if self.months else self.step / 86_400e6

    def after(self, last: np.datetime64, count: int) -> Stamps:
        """Return the `count` stamps that follow the last one."""
        steps = np.arange(1, count + 1) * self.step
        if not self.months:
            return np.asarray(last.astype(UNIT) + steps.astype("timedelta64[us]"))
        month = last.astype("datetime64[M]")
        return _in_month(month + steps * MONTH, last.astype(UNIT))

    def told(self) -> str:
        """Return it in words, for messages."""
        if self.months:
            return "a month" if self.step == 1 else f"{self.step} months"
        return str(np.timedelta64(self.step, "us").astype(object)).removesuffix(", 0:00:00")


def as_stamps(name: str, values: Any) -> Stamps:
    """Return datetime64 [T]; TypeError for what are no times, ValueError for missing ones."""
    array = np.asarray(values)
    if array.dtype == object and all(isinstance(value, date) for value in array.flat):
        if any(getattr(value, "tzinfo", None) for value in array.flat):
            raise ValueError(f"{name} has times with a zone: bring them to one and leave it out")
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
        if len(found):
            step = int(found[counts.argmax()])
            due = stamps[:1].astype("datetime64[M]") + step * MONTH
            if (_in_month(due, stamps[0]) == stamps[1]).all():
                return Spacing(step, months=True)
    return Spacing(usual)


def first_break(stamps: Stamps, spacing: Spacing) -> tuple[int, str] | None:
    """Return the first place where stamps are uneven, and what is wrong; None if there is none.

    The place is the number of the stamp that does not follow from the one before.
    """
    steps = np.diff(stamps).astype(np.int64)
    if spacing.months:
        months = np.diff(stamps.astype("datetime64[M]")).astype(np.int64)
        months_due = stamps[:-1].astype("datetime64[M]") + spacing.step * MONTH
        due = _in_month(months_due, stamps[0])
        wrong = (months != spacing.step) | (due != stamps[1:])
    else:
        wrong = steps != spacing.step
    if not wrong.any():
        return None
    at = int(wrong.argmax()) + 1
    before, now = (shown_time(stamps[n]) for n in (at - 1, at))
    if steps[at - 1] == 0:
        what = f"{now} comes twice"
    elif steps[at - 1] < 0:
        what = f"{now} comes after {before}, expected rising times"
    elif steps[at - 1] < spacing.step and not spacing.months:
        what = f"{now} is too soon after {before}, expected steps of {spacing.told()}"
    else:
        what = f"there is a gap from {before} to {now}, expected steps of {spacing.told()}"
    return at, what


def check_even(name: str, stamps: Stamps) -> Spacing:
    """Return the spacing of stamps; ValueError that names the first one out of step."""
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
    """Return a time in words, for messages."""
    return str(stamp.astype("datetime64[s]")).replace("T", " ")


def _in_month(months: NDArray[Any], like: np.datetime64) -> Stamps:
    """Return the stamps in these months with day and time of `like`, or of the month's end.

    The last day of a month stands for the last day of any.
    """
    month = like.astype("datetime64[M]")
    offset = like - month.astype(UNIT)
    is_end = (like.astype("datetime64[D]") + DAY).astype("datetime64[M]") != month
    ends = (months + MONTH).astype("datetime64[D]") - DAY
    time = like - like.astype("datetime64[D]").astype(UNIT)
    if is_end:
        return np.asarray(ends.astype(UNIT) + time)
    return np.asarray(np.minimum(months.astype(UNIT) + offset, ends.astype(UNIT) + time))
