"""A forecast of a file: split by time, train, compare, forecast the future."""

from __future__ import annotations

import csv
import io
import math
import zlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.distributed.launch import current
from fastlstm.files.writing import write_file
from fastlstm.forecast import measures
from fastlstm.forecast.backtest import Backtest, backtest
from fastlstm.forecast.boosting import boosted
from fastlstm.forecast.folder import MODEL, ForecastConfig, ForecastFolder
from fastlstm.forecast.forecaster import Fitted, Forecaster, ForecastOptions, fitted
from fastlstm.forecast.framing import limits_of
from fastlstm.forecast.net import NetOptions, is_taught
from fastlstm.forecast.paths import forecast_on
from fastlstm.forecast.reading import Table, read_table, zone_text
from fastlstm.forecast.saving import load_forecaster, save_forecaster
from fastlstm.forecast.series import Series
from fastlstm.forecast.stamps import check_even, shown_time, written
from fastlstm.forecast.values import read_targets
from fastlstm.printable import say
from fastlstm.train.table import aligned, shown

Floats = NDArray[np.float64]

MOST_DIGITS = 17  # that a float64 has
HELD_BACK = ForecastOptions.validation_fraction
NAIVE, LAST, BOOSTED = "seasonal naive", "last value", "gradient boosting"


def run(config: ForecastConfig, folder: ForecastFolder, bars: bool = False) -> dict[str, Any]:
    """Train, compare and forecast in a folder; return the metrics.

    A run that was interrupted goes on from its checkpoint. Several processes share the training of
    the net; the first one does the rest, and the others return nothing. Errors are those of
    `read_table`, `Forecaster.fit` and of writing, and ProcessesDiffer.
    """
    table, start = checked(config)
    _announce(table.series, start)
    found = trained(config, table, start, folder.checkpoint, verbose=2 if bars else 1)
    forecaster = found.forecaster
    if not folder.writes:
        current().barrier()
        return {}
    save_forecaster(folder.model, forecaster, [])
    metrics = tested(config, folder, table, start, forecaster)
    folder.finish(metrics)
    current().barrier()
    return metrics


def trained(
    config: ForecastConfig, table: Table, start: int, checkpoint: Path, *, verbose: int = 0,
    **how: Any,
) -> Fitted:  # fmt: skip
    """Return a forecaster of the first steps of a table; `how` are further `ForecastOptions`."""
    net = NetOptions(
        cell=config.cell, hidden_size=config.hidden_size, num_layers=config.num_layers,
        dropout=config.dropout, lr=config.lr, batch_size=config.batch_size, epochs=config.epochs,
        verbose=verbose,
    )  # fmt: skip
    options = ForecastOptions(
        horizon=config.horizon, quantiles=config.quantiles, context=config.context,
        season=config.season, calendar=config.calendar, seed=config.seed, net=net,
        low=config.low, high=config.high, checkpoint=checkpoint, **how,
    )  # fmt: skip
    return fitted([table.series.until(start)], options)


def tested(
    config: ForecastConfig, folder: ForecastFolder, table: Table, start: int, forecaster: Forecaster
) -> dict[str, Any]:
    """Test a forecaster beside others, write the future into its folder; return the metrics."""
    series = table.series
    found = backtest(forecaster, [series], [start], config.horizon, config.quantiles)
    models = compared(config, forecaster, found)
    is_used = is_taught(forecaster.net)
    if not is_used and config.epochs != 0:
        say("the net learned nothing that held on later steps: the linear part forecasts alone")
    say(f"\n{table_of(models)}")
    if BOOSTED not in models:
        say("gradient boosting is left out: it needs scikit-learn, pip install 'fastlstm[sklearn]'")
    future = future_of(forecaster, table, config.horizon, config.quantiles, config.seed)
    write_file(folder.forecast, future_text(table, future, config).encode())
    draw(folder.picture, found, future, config)
    return {
        "models": models,
        "season": forecaster.framing.season,
        "context": forecaster.framing.context,
        "net": is_used,
        "train_steps": start,
        "test_steps": len(series) - start,
        "origins": len(found.origins),
    }


def checked(config: ForecastConfig) -> tuple[Table, int]:
    """Return the table and how many of its steps are trained on; errors as of `run`."""
    table = read_table(Path(config.data), config.how, config.columns)
    current().agree({"the series": contents(table)})
    start = split(table.series, config)
    check_learned(config, table.series.y[:start])
    for name, values in zip(config.target, table.series.y.T, strict=True):
        read_targets(f"{config.data}: {name!r}", values)
    check_ahead(config, table)
    limits_of([table.series], config.low, config.high)
    return table, start


def contents(table: Table) -> list[int]:
    """Return numbers that change with any time or value of a table."""
    series = table.series
    parts = (series.y, series.X, table.ahead, series.stamps)
    return [zlib.crc32(np.asarray(one).tobytes()) for one in parts]


def forecast_with(folder: ForecastFolder, config: ForecastConfig, path: Path | None) -> str:
    """Return the future of a table as CSV, by the model of a finished run; write it to `path`.

    Raises ValueError also if the table is shorter than what a forecast reads, or has other steps,
    or if the run learned no quantiles, or the horizon is too long.
    """
    forecaster, _, _ = load_forecaster(folder.model)
    forecaster.framing.check_horizon(config.horizon)
    table = read_table(Path(config.data), config.how, config.columns)
    check_ahead(config, table)
    times_after(table.series, config.horizon)  # what cannot be said is not forecast for minutes
    forecaster.check_levels(config.quantiles)
    forecaster.framing.check_steps(str(config.data), table.series)
    least = forecaster.framing.first
    if len(table.series) < least:
        raise ValueError(
            f"{config.data} has {count_of(len(table.series), 'step')}, expected at "
            f"least {least}, which a forecast reads"
        )
    future = future_of(forecaster, table, config.horizon, config.quantiles, config.seed)
    text = future_text(table, future, config)
    if path is not None:
        write_file(path, text.encode())
    return text


def split(series: Series, config: ForecastConfig) -> int:
    """Return how many steps are trained on; ValueError if the series is too short."""
    T, H = len(series), config.horizon
    test = max(H, round(config.test_split * T))
    least = 3 * H + 8
    if T - test < least:
        raise ValueError(
            f"{config.data} has {count_of(T, 'step')}, and {test} for the test: expected at least "
            f"{least} before those, for a horizon of {H}; give more rows or a shorter horizon"
        )
    return T - test


def check_learned(config: ForecastConfig, y: Floats) -> None:
    """Raise ValueError if a target says nothing before the test: it is constant, or missing."""
    for name, values in zip(config.target, y.T, strict=True):
        known = values[~np.isnan(values)]
        if not len(known) or known.min() == known.max():
            what = f"is {known[0]:g} in every row" if len(known) else "has no value"
            raise ValueError(
                f"{config.data}: {name!r} {what} before the test, which takes the last "
                f"{config.test_split:g} of the rows: there is nothing to learn; a smaller "
                "--test-split leaves more of them"
            )


def check_ahead(config: ForecastConfig, table: Table) -> None:
    """Raise ValueError unless the covariates of the horizon are known."""
    if config.covariates and len(table.ahead) < config.horizon:
        raise ValueError(
            f"{config.data} has {count_of(len(table.ahead), 'row')} after the last value of its "
            f"target, expected {config.horizon}: a forecast needs the covariates of its steps; "
            "add rows with the target empty"
        )


def _announce(series: Series, start: int) -> None:
    """Say what is read and how it is split."""
    stamps: Any = series.stamps
    first, cut, last = (shown_time(stamps[n]) for n in (0, start, len(series) - 1))
    step = check_even("time", stamps).told()
    say(f"{count_of(len(series), 'step')} of {step} from {first} to {last}; tested from {cut} on")


def compared(
    config: ForecastConfig, forecaster: Forecaster, found: Backtest
) -> dict[str, dict[str, float | None]]:
    """Return the measures of each model; those of gradient boosting only with scikit-learn."""
    models = {MODEL: measured(found, found.forecast, found.coverage)}
    models[NAIVE] = measured(found, found.naive, None)
    if found.season > 1:  # else they are one
        models[LAST] = measured(found, found.naive_of(1), None)
    trees = boosted(
        forecaster.framing, found.series[0], int(found.origins[0]), found.origins, config.horizon,
        config.seed,
    )  # fmt: skip
    if trees is not None:
        models[BOOSTED] = measured(found, trees, None)
    return models


def measured(found: Backtest, forecast: Floats, coverage: float | None) -> dict[str, float | None]:
    """Return the measures of forecasts of the same steps."""
    values = {
        "mae": measures.mae(found.actual, forecast),
        "mase": found.scaled_error(forecast),
        "smape": measures.smape(found.actual, forecast),
        "coverage": coverage,
    }
    return {name: None if v is None or math.isnan(v) else v for name, v in values.items()}


def table_of(models: dict[str, dict[str, float | None]]) -> str:
    """Return the table of all models."""
    rows = [["model", "MAE", "MASE", "sMAPE", "coverage"]]
    for name, values in models.items():
        forms = (("mae", ".4g"), ("mase", ".3f"), ("smape", ".2f"), ("coverage", ".1%"))
        rows.append([name, *(shown(values[key], form) for key, form in forms)])
    return aligned(rows, left=1)


def future_of(
    forecaster: Forecaster, table: Table, horizon: int, quantiles: Sequence[float], seed: int
) -> Floats:
    """Return the median and the quantiles of the steps after the end, [horizon, K, 1 + Q]."""
    X = table.ahead[:horizon] if table.ahead.size else np.zeros((horizon, 0))
    found = forecast_on(
        forecaster, table.series, forecaster.framing.scale_of(table.series.y), horizon, X, seed
    )
    return forecaster.at_levels(found, [0.5, *quantiles])


def future_text(table: Table, future: Floats, config: ForecastConfig) -> str:
    """Return forecasts as CSV: the time, and for each target the median and the quantiles."""
    series = table.series
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(config.outputs)
    times = stamp_texts(times_after(series, len(future)), table.zone)
    digits = np.repeat(digits_of(series.y), future.shape[2])
    for time, row in zip(times, future, strict=True):
        values = zip(row.reshape(-1), digits, strict=True)
        writer.writerow([time, *(f"{value:.{most}g}" for value, most in values)])
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


def draw(path: Path, found: Backtest, future: Floats, config: ForecastConfig) -> None:
    """Draw the last tested forecasts and the future, unless matplotlib is missing."""
    try:
        from fastlstm.forecast.picture import draw_run

        draw_run(path, found, future)
    except ImportError as error:
        if error.name != "matplotlib":
            raise
        say("no picture: it needs matplotlib, pip install 'fastlstm[plot]'")
