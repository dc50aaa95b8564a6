"""Walking forward over a series: a forecast from every origin, beside what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.forecast import measures
from fastlstm.forecast.forecaster import Forecaster
from fastlstm.forecast.naive import seasonal_naive_at
from fastlstm.forecast.paths import forecast_on
from fastlstm.forecast.scaling import Scale
from fastlstm.forecast.series import Series

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Backtest:
    """Forecasts of N origins, of one series or several, and what came.

    Attributes
    ----------
    forecast, actual : [N, horizon, K]; NaN in `actual` is missing and counts nowhere.
    bands : [N, horizon, K, Q], the `quantiles` forecast.
    origins : [N], how many steps of its series were known.
    which : [N], the number of the series.
    scales : [series, K], the seasonal naive error of each up to its first origin.
    series : the series.
    season : of the naive forecast and of `mase`.
    """

    forecast: Floats
    actual: Floats
    bands: Floats
    quantiles: list[float]
    origins: Ints
    which: Ints
    scales: Floats
    series: list[Series]
    season: int

    @property
    def mae(self) -> float:
        """Mean absolute error."""
        return measures.mae(self.actual, self.forecast)

    @property
    def mase(self) -> float:
        """Mean absolute error in units of the seasonal naive error before the first origin."""
        return self.scaled_error(self.forecast)

    @property
    def smape(self) -> float:
        """Symmetric mean absolute percentage error, 0 to 200."""
        return measures.smape(self.actual, self.forecast)

    @property
    def coverage(self) -> float:
        """Fraction of the values within the outermost quantiles; see `expected_coverage`."""
        return measures.coverage(self.actual, self.bands[..., 0], self.bands[..., -1])

    @property
    def expected_coverage(self) -> float:
        """What `coverage` should be: what lies between the outermost quantiles."""
        return self.quantiles[-1] - self.quantiles[0]

    @property
    def naive(self) -> Floats:
        """The seasonal naive forecasts, [N, horizon, K], to compare with."""
        return self.naive_of(self.season)

    @property
    def by_step(self) -> Floats:
        """Mean absolute error of each step ahead, [horizon]."""
        off = np.abs(self.actual - self.forecast)
        return np.array([measures.mae(step, 0 * step) for step in np.moveaxis(off, 1, 0)])

    def of(self, number: int) -> Backtest:
        """Return the part of one series, by its number."""
        rows = self.which == number
        parts = {name: getattr(self, name)[rows] for name in ("forecast", "actual", "bands")}
        return replace(
            self,
            **parts,
            origins=self.origins[rows],
            which=np.zeros(rows.sum(), np.intp),
            scales=self.scales[number : number + 1],
            series=[self.series[number]],
        )

    def plot(self, path: str | Path | None = None) -> Any:
        """Return a matplotlib figure of the last forecasts with their bands; write it to `path`.

        Raises ImportError without matplotlib.
        """
        from fastlstm.forecast.picture import draw_backtest

        return draw_backtest(self, path)

    def naive_of(self, season: int) -> Floats:
        """Return the seasonal naive forecasts of another season; of 1 it is the last value."""
        H = self.forecast.shape[1]
        parts = [
            seasonal_naive_at(one.known_y, self.origins[self.which == n], H, season)
            for n, one in enumerate(self.series)
        ]
        return np.concatenate(parts)

    def scaled_error(self, forecast: Floats) -> float:
        """Return the `mase` of other forecasts of the same steps."""
        scale = self.scales[self.which][:, None]
        scale = np.where(scale > 0, scale, np.nan)
        return measures.mae(self.actual / scale, forecast / scale)


def backtest(
    forecaster: Forecaster, series: Sequence[Series], starts: Sequence[int], horizon: int,
    quantiles: Sequence[float], stride: int = 1, seed: int = 0,
) -> Backtest:  # fmt: skip
    """Return the forecasts of every `stride`-th origin from `starts` on, without refit.

    The last origin has a whole horizon after it. Beyond the trained horizon forecasts are those of
    `forecast_on` with `seed`. ValueError if a series has no such origin.
    """
    found, origins = [], []
    for n, (one, start) in enumerate(zip(series, starts, strict=True)):
        check_start(forecaster, one, start, horizon, n if len(series) > 1 else None)
        rows = np.arange(start, len(one) - horizon + 1, stride)
        scale = forecaster.framing.scale_of(one.y[:start])
        found.append(_forecasts(forecaster, one, rows, scale, horizon, seed))
        origins.append(rows)
    values = np.concatenate(found)
    season = forecaster.framing.season
    return Backtest(
        forecaster.at_levels(values, [0.5])[..., 0],
        np.concatenate(
            [one.y[rows[:, None] + np.arange(horizon)]
             for one, rows in zip(series, origins, strict=True)]
        ),
        forecaster.at_levels(values, quantiles),
        list(quantiles),
        np.concatenate(origins),
        np.repeat(np.arange(len(series)), [len(rows) for rows in origins]),
        np.array(
            [[measures.naive_error(column, season) for column in one.y[:start].T]
             for one, start in zip(series, starts, strict=True)]
        ),
        list(series),
        season,
    )  # fmt: skip


def check_start(
    forecaster: Forecaster, series: Series, start: int, horizon: int, number: int | None
) -> None:
    """Raise ValueError unless a series has an origin at `start` with a past and a whole horizon."""
    which = "y" if number is None else f"y[{number}]"
    first = forecaster.framing.first
    if start < first:
        raise ValueError(
            f"start is {start}, but a forecast reads {count_of(first, 'step')} before it: "
            f"expected at least {first}"
        )
    if start + horizon > len(series):
        raise ValueError(
            f"start is {start} and {which} has {count_of(len(series), 'step')}, expected "
            f"at least {start + horizon} for a horizon of {horizon}"
        )


def _forecasts(
    forecaster: Forecaster, series: Series, rows: Ints, scale: Scale, horizon: int, seed: int
) -> Floats:
    """Return the quantiles [N, horizon, K, Q] forecast at origins within a series."""
    if horizon <= forecaster.framing.horizon:
        # the last origins have no whole trained horizon, which nobody looks at
        return forecaster.at(series, rows, scale)[:, :horizon]
    return np.stack(
        [forecast_on(forecaster, series.until(row), scale, horizon,
                     series.X[row : row + horizon], seed)
         for row in rows.tolist()]
    )  # fmt: skip
