"""Features of the calendar: hour, weekday and day of the year as points on circles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.stamps import Spacing, Stamps, find_spacing

Floats = NDArray[np.float64]

DAY, YEAR = 1.0, 365.2425
# How many waves describe each circle; six, of the weekday, describe any pattern of seven days.
WAVES = {"hour": 2, "weekday": 3, "year": 2}


class Calendar(NamedTuple):
    """The circles that are useful for a series: "hour", "weekday", "year"."""

    circles: tuple[str, ...] = ()

    @classmethod
    def of(cls, stamps: Stamps) -> Calendar:
        """Return those that the spacing resolves and the series goes round more than once."""
        step = find_spacing(stamps).days
        span = float((stamps[-1] - stamps[0]) / np.timedelta64(1, "D"))
        useful = {
            "hour": step < 0.9 * DAY and span >= 3,
            "weekday": step < 1.1 * DAY and span >= 21,
            "year": step < 93 and span >= 1.9 * YEAR,
        }
        return cls(tuple(name for name, is_useful in useful.items() if is_useful))

    @property
    def size(self) -> int:
        return 2 * sum(WAVES[name] for name in self.circles)

    def features(self, stamps: Stamps) -> Floats:
        """Return sines and cosines [T, size]."""
        columns = []
        for name in self.circles:
            turns = _turns(name, stamps)
            for wave in range(1, WAVES[name] + 1):
                columns += [np.sin(2 * np.pi * wave * turns), np.cos(2 * np.pi * wave * turns)]
        return np.stack(columns, axis=1) if columns else np.zeros((len(stamps), 0))


def _turns(name: str, stamps: Stamps) -> Floats:
    """Return how far round its circle each stamp is, 0 to 1."""
    day = stamps.astype("datetime64[D]")
    hour: Floats = (stamps - day) / np.timedelta64(1, "D")
    if name == "hour":
        return hour
    if name == "weekday":
        return np.asarray(day.astype(np.int64) % 7 / 7)
    year = stamps.astype("datetime64[Y]")
    days = (year + np.timedelta64(1, "Y")).astype("datetime64[D]") - year.astype("datetime64[D]")
    return np.asarray(((day - year).astype(np.int64) + hour) / days.astype(np.int64))


def cycles(spacing: Spacing) -> list[int]:
    """Return how many steps the day, the week and the year have, of those with whole numbers."""
    if spacing.months:
        counts = [12 / spacing.step]
    else:
        counts = [1 / spacing.days, 7 / spacing.days, YEAR // spacing.days]
    return [round(count) for count in counts if count >= 2 and abs(count - round(count)) < 1e-6]
