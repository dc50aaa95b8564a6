"""The future of series by a forecaster, and its text."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast.clocks import zone_text
from fastlstm.forecast.folder import ForecastConfig
from fastlstm.forecast.forecaster import Forecaster
from fastlstm.forecast.paths import forecast_on
from fastlstm.forecast.reading import Table
from fastlstm.forecast.series import Series
from fastlstm.forecast.stamps import check_even, written

Floats = NDArray[np.float64]

MOST_DIGITS = 17  # that a float64 has


def futures_of(
    forecaster: Forecaster, tables: Sequence[Table], config: ForecastConfig
) -> list[Floats]:
    """Return of each series the median and the quantiles after its end, [horizon, K, 1 + Q]."""
    return [_future(forecaster, table, config) for table in tables]


def _future(forecaster: Forecaster, table: Table, config: ForecastConfig) -> Floats:
    horizon = config.horizon
    X = table.ahead[:horizon] if table.ahead.size else np.zeros((horizon, 0))
    found = forecast_on(
        forecaster, table.series, forecaster.framing.scale_of(table.series.y), horizon, X,
        config.seed,
    )  # fmt: skip
    return forecaster.at_levels(found, [0.5, *config.quantiles])


def future_text(tables: Sequence[Table], futures: Sequence[Floats], config: ForecastConfig) -> str:
    """Return forecasts as CSV.

    A row is the series, if several are told apart, the time, and for each target the median and
    the quantiles.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(config.outputs)
    for table, future in zip(tables, futures, strict=True):
        series = table.series
        whose = [] if config.series is None else [table.name]
        times = stamp_texts(times_after(series, len(future)), table.zone)
        digits = np.repeat(digits_of(series.y), future.shape[2])
        for time, row in zip(times, future, strict=True):
            values = zip(row.reshape(-1), digits, strict=True)
            writer.writerow([*whose, time, *(f"{value:.{most}g}" for value, most in values)])
    return text.getvalue()


def digits_of(y: Floats) -> list[int]:
    """Return for each target how many digits tell seven of its spread, above any level."""
    spread, level = np.nanstd(y, axis=0), np.nanmax(np.abs(y), axis=0)
    above = np.log10(np.maximum(level / np.where(spread > 0, spread, np.inf), 1))
    digits: list[int] = np.minimum(7 + above.astype(int), MOST_DIGITS).tolist()
    return digits


def times_after(series: Series, count: int) -> Any:
    stamps: Any = series.stamps
    return check_even("time", stamps).after(stamps[-1], count)


def stamp_texts(stamps: Any, zone: timedelta | None = None) -> list[str]:
    """Return times as short as all of them can be said, with their zone if they have one."""
    days = stamps.astype("datetime64[D]")
    if zone is None and (days == stamps).all():
        return [str(day) for day in days]
    return [text + zone_text(zone) for text in written(stamps)]
