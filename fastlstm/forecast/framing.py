"""What a forecaster knows of the steps of a series: targets, seasons, calendar, features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.forecast.calendar import Calendar, cycles
from fastlstm.forecast.filling import filled_in
from fastlstm.forecast.profile import profile, profile_lag
from fastlstm.forecast.scaling import Scale
from fastlstm.forecast.season import comes_again, filled, find_season
from fastlstm.forecast.series import Series
from fastlstm.forecast.stamps import Spacing, find_spacing
from fastlstm.forecast.windows import Frame
from fastlstm.train.spread import divisor

Floats = NDArray[np.float64]
Limits = tuple[float | None, float | None]

LOOKED_AT = 20  # series whose season is searched for
MOST_CONTEXT = 192  # steps, unless more are asked for
SHARE = 6  # of the shortest series is the longest context, unless more is asked for
NEAR = 0.08  # of a cycle of the calendar, within which a season is taken for it
SEASONS = 24  # after which nothing of a season is left in the usual course
MOST_BLOCKS = 10_000  # of horizons that follow one another: nothing but the season is left by then
LONG_SEASON = 96  # steps; a longer one is known by its usual course, not by the context


@dataclass
class Framing:
    """How series become numbers; learned from those to train on.

    Attributes
    ----------
    horizon : steps ahead.
    context : steps before the origin that are read.
    season : its length, 1 for none.
    has_usual : whether the usual course of the season is read, too; short series have too few.
    calendar : the circles of it that are read.
    mean, scale : [F] of the features known ahead.
    kind : of the scale of the targets; see `Scale`.
    steady : steps whose median tells failures, which are then read as missing; 0 for none.
    limits : [K,2], the least and the greatest number that each target can be.
    spacing : of the stamps; None if there were none.
    """

    horizon: int
    context: int
    season: int
    has_usual: bool
    calendar: Calendar
    mean: Floats
    scale: Floats
    limits: Floats
    kind: str = "linear"
    steady: int = 0
    spacing: Spacing | None = None

    @classmethod
    def of(
        cls, series: Sequence[Series], horizon: int, context: int | None, season: int | None,
        calendar: bool, held: float, limits: Limits = (None, None),
    ) -> Framing:  # fmt: skip
        """Return that for series of which a fraction `held` is not trained on.

        `limits` are the least and the greatest number that a target can be, None if there is none;
        counts are never below 0.
        """
        season = common_season(series) if season is None else season
        shortest = min(map(len, series))
        # half of the shortest series, or less, is to go into the past of the first window
        room = max(1, (shortest - held_back(shortest, held, horizon) - horizon) // 2)
        circles = Calendar()
        if calendar and all(one.stamps is not None for one in series):
            longest: Any = max(series, key=len).stamps
            circles = Calendar.of(longest) if len(longest) > 1 else circles
        X = np.concatenate([one.X for one in series])
        return cls(
            horizon,
            min(context or min(usual_context(season, horizon), max(8, shortest // SHARE)), room),
            season,
            season > 1 and profile_lag(season, horizon) <= room,
            circles,
            X.mean(axis=0),
            divisor(X.std(axis=0), X),
            limits_of(series, *limits),
            spacing=next((s for one in series if (s := one.spacing) is not None), None),
        )

    @property
    def first(self) -> int:
        """The first origin of a series at which all is known."""
        lag = profile_lag(self.season, self.horizon) if self.has_usual else 0
        return max(self.context, lag)

    def check_steps(self, name: str, series: Series) -> None:
        """Raise ValueError if the stamps of a series tell other steps than those of `fit`.

        A season and a context count steps.
        """
        found, fit = series.spacing, self.spacing
        if found is not None and fit is not None and found[:2] != fit[:2]:
            raise ValueError(f"{name} has steps of {found.told()}, expected {fit.told()} as in fit")

    def check_horizon(self, steps: int) -> None:
        """Raise ValueError if so many steps are too many to forecast by going on from forecasts."""
        most = MOST_BLOCKS * self.horizon
        if steps > most:
            raise ValueError(
                f"horizon is {steps:,}, expected at most {most:,}: {MOST_BLOCKS:,} times the "
                f"{count_of(self.horizon, 'step')} forecast at once"
            )

    def within(self, values: Floats) -> Floats:
        """Return forecasts [..., K, M], those that a target cannot be brought to its limits."""
        low, high = self.limits.T[..., None]
        # a root or a logarithm was taken because nothing is negative
        least = low if self.kind == "linear" else np.maximum(low, 0)
        return np.asarray(np.clip(values, least, high))

    def scale_of(self, y: Floats) -> Scale:
        """Return the scale of a series [T, K]."""
        return Scale.of(y, self.kind, self.steady)

    def has_failures(self, series: Series) -> bool:
        """Whether some of its values are read as missing."""
        scale = self.scale_of(series.y)
        read = scale.without_failures(scale.there(series.y))
        return bool((np.isnan(read) & ~np.isnan(series.y)).any())

    def frame(self, series: Series, scale: Scale, X: Floats | None = None) -> Frame:
        """Return the numbers of a series and of the horizon after it.

        `X` are the features of the steps that follow, [horizon, F]; None where no window gets
        there.
        """
        H, (T, K) = self.horizon, series.y.shape
        target = np.full((T + H, K), np.nan)
        target[:T] = scale.there(series.y)
        usual = np.zeros((T + H, 0))
        learned = target.copy()
        learned[:T] = scale.without_failures(target[:T])
        y = filled(learned)
        y[:T] = filled_in(learned[:T], self.season)
        if self.has_usual:
            usual = np.nan_to_num(profile(y[:T], self.season, H, H))
        ahead = np.zeros((H, series.X.shape[1])) if X is None else X
        X = known = (np.concatenate([series.X, ahead]) - self.mean) / self.scale
        if self.calendar.circles:
            known = np.concatenate([self.calendar.features(self._stamps(series)), X], axis=1)
        return Frame(y, target, learned, usual, known, X)

    def tail(self, series: Series) -> Series:
        """Return the end of a series, as much as a forecast from there depends on."""
        most = self.first + self.context + SEASONS * self.season
        return series if len(series) <= most else series.after(len(series) - most)

    def _stamps(self, series: Series) -> Any:
        stamps = series.stamps
        if stamps is None:
            raise ValueError("the series has no stamps, expected some as in fit")
        return np.concatenate([stamps, find_spacing(stamps).after(stamps[-1], self.horizon)])


def limits_of(series: Sequence[Series], low: float | None, high: float | None) -> Floats:
    """Return the limits [K,2] of targets; ValueError if nothing or no series is between them."""
    if low is not None and high is not None and not low < high:
        raise ValueError(f"low is {low:g}, expected less than high, which is {high:g}")
    y = np.concatenate([one.y for one in series])
    least, most = np.nanmin(y, axis=0), np.nanmax(y, axis=0)
    lows = np.where(_are_counts(y), 0.0, -np.inf) if low is None else np.full(len(least), low)
    highs = np.full(len(most), np.inf if high is None else high)
    for name, found, limit, wrong in (
        ("low", least, lows, least < lows), ("high", most, highs, most > highs)
    ):  # fmt: skip
        if wrong.any():
            at = int(np.argmax(wrong))
            raise ValueError(f"{name} is {limit[at]:g}, but target {at} has {found[at]:g}")
    return np.stack([lows, highs], axis=1)


def _are_counts(y: Floats) -> NDArray[np.bool_]:
    """Whether each target [T,K] has whole numbers alone, none below 0."""
    return np.asarray((np.isnan(y) | ((y >= 0) & (y == np.floor(y)))).all(axis=0))


def common_season(series: Sequence[Series]) -> int:
    """Return the season that most of the series and targets have."""
    found = [
        _season(one, filled(one.y[:, k])) for one in series[:LOOKED_AT]
        for k in range(one.y.shape[1])
    ]  # fmt: skip
    return max(sorted(set(found)), key=found.count)


def _season(series: Series, y: Floats) -> int:
    """Return the season of a target; of stamps it is that of the calendar where it is near one.

    Of stamps within a day it is no more than the day.
    """
    found = find_season(y)
    if series.stamps is None or len(y) < 2:
        return found
    spacing = find_spacing(series.stamps)
    day = round(1 / spacing.days) if spacing.days < 0.5 else 0
    if day and (found == 1 or found > day):
        return day if len(y) >= 3 * day and comes_again(y, day) else found
    for cycle in cycles(spacing):
        is_near = abs(found - cycle) <= NEAR * cycle or found % cycle == 0
        if found > 1 and is_near and comes_again(y, cycle):
            return cycle
    return found


def usual_context(season: int, horizon: int) -> int:
    """Return how many steps a forecaster reads where nobody says it: two seasons, or more."""
    seasons = 2 * season if season <= LONG_SEASON else 0
    return min(max(seasons, horizon + 8, 32), max(MOST_CONTEXT, horizon + 8))


def held_back(count: int, fraction: float, horizon: int) -> int:
    """Return how many of the last steps of a series are held back from training."""
    return max(horizon, round(fraction * count))
