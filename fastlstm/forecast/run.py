"""A forecast of a file: split by time, train, compare, forecast the future."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timezone
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
from fastlstm.forecast.future import future_text, futures_of, times_after
from fastlstm.forecast.index import RowIndex
from fastlstm.forecast.net import NetOptions, is_taught
from fastlstm.forecast.reading import Table, check_changing, read_tables
from fastlstm.forecast.saving import load_forecaster, save_forecaster
from fastlstm.forecast.stamps import check_even, shown_time
from fastlstm.forecast.values import read_targets
from fastlstm.printable import say
from fastlstm.train.table import aligned, shown

Floats = NDArray[np.float64]

# Options that `fastlstm.sklearn.LSTMForecaster` has, too.
OF_ESTIMATORS = (
    "horizon", "quantiles", "context", "season", "calendar", "cell", "hidden_size", "num_layers",
    "dropout", "lr", "batch_size", "epochs", "low", "high",
)  # fmt: skip
HELD_BACK = ForecastOptions.validation_fraction
NAIVE, LAST, BOOSTED = "seasonal naive", "last value", "gradient boosting"


def run(config: ForecastConfig, folder: ForecastFolder, bars: bool = False) -> dict[str, Any]:
    """Train, compare and forecast in a folder; return the metrics.

    A run that was interrupted goes on from its checkpoint. Several processes share the training of
    the net; the first one does the rest, and the others return nothing. Errors are those of
    `read_tables`, `Forecaster.fit` and of writing, and ProcessesDiffer.
    """
    tables, starts = checked(config)
    _announce(tables, starts)
    found = trained(config, tables, starts, folder.checkpoint, verbose=2 if bars else 1)
    forecaster = found.forecaster
    if not folder.writes:
        current().barrier()
        return {}
    save_model(folder.model, config, forecaster, tables)
    metrics = tested(config, folder, tables, starts, forecaster)
    folder.finish(metrics)
    current().barrier()
    return metrics


def save_model(
    path: Path, config: ForecastConfig, forecaster: Forecaster, tables: Sequence[Table]
) -> None:
    """Write a forecaster as `fastlstm.sklearn.LSTMForecaster` does: it goes on from the tables."""
    params = {name: getattr(config, name) for name in OF_ESTIMATORS}
    series = []
    for table in tables:
        zone = None if table.zone is None else timezone(table.zone)
        index = None if zone is None else RowIndex(zone, has_times=True, local=True)
        series.append(replace(table.series, index=index))
    about = {
        "params": {**params, "random_state": config.seed},
        "seed": config.seed,
        "several": config.series is not None,
    }
    save_forecaster(path, forecaster, series, estimator=about)


def trained(
    config: ForecastConfig, tables: Sequence[Table], starts: Sequence[int], checkpoint: Path, *,
    verbose: int = 0, **how: Any,
) -> Fitted:  # fmt: skip
    """Return a forecaster of the first steps of tables; `how` are further `ForecastOptions`."""
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
    return fitted(
        [table.series.until(start) for table, start in zip(tables, starts, strict=True)], options
    )


def tested(
    config: ForecastConfig, folder: ForecastFolder, tables: Sequence[Table],
    starts: Sequence[int], forecaster: Forecaster,
) -> dict[str, Any]:  # fmt: skip
    """Test a forecaster beside others, write the future into its folder; return the metrics."""
    series = [table.series for table in tables]
    found = backtest(forecaster, series, starts, config.horizon, config.quantiles)
    models = compared(config, forecaster, found, starts)
    is_used = is_taught(forecaster.net)
    if not is_used and config.epochs != 0:
        say("the net learned nothing that held on later steps: the linear part forecasts alone")
    say(f"\n{table_of(models)}")
    if BOOSTED not in models:
        say("gradient boosting is left out: it needs scikit-learn, pip install 'fastlstm[sklearn]'")
    futures = futures_of(forecaster, tables, config)
    write_file(folder.forecast, future_text(tables, futures, config).encode())
    draw(folder.picture, found, futures, [table.name for table in tables])
    metrics = {
        "models": models,
        "season": forecaster.framing.season,
        "context": forecaster.framing.context,
        "net": is_used,
        "train_steps": sum(starts),
        "test_steps": sum(map(len, series)) - sum(starts),
        "origins": len(found.origins),
    }
    if config.series is None:
        return metrics
    own = ((table.name, found.of(n)) for n, table in enumerate(tables))
    return metrics | {"series": {name: measured(x, x.forecast, x.coverage) for name, x in own}}


def checked(config: ForecastConfig) -> tuple[list[Table], list[int]]:
    """Return the tables, and how many steps of each are trained on; errors as of `run`."""
    tables = read_tables(Path(config.data), config.how, config.columns)
    current().agree({"the series": contents(tables)})
    starts = [split(table, config) for table in tables]
    check_learned(config, tables, starts)
    for table in tables:
        for name, values in zip(config.target, table.series.y.T, strict=True):
            read_targets(f"{table.where}: {name!r}", values)
        check_ahead(config, table)
    limits_of([table.series for table in tables], config.low, config.high)
    return tables, starts


def contents(tables: Sequence[Table]) -> list[int]:
    """Return numbers that change with any name, time or value of tables."""
    found = []
    for table in tables:
        series = table.series
        parts = (series.y, series.X, table.ahead, series.stamps)
        found += [zlib.crc32(np.asarray(one).tobytes()) for one in parts]
        if table.name:
            found.append(zlib.crc32(table.name.encode("utf-8", "surrogateescape")))
    return found


def forecast_with(folder: ForecastFolder, config: ForecastConfig, path: Path | None) -> str:
    """Return the future of the series of a table as CSV, by the model of a finished run.

    It is written to `path`, unless that is None. Raises ValueError also if a series is shorter than
    what a forecast reads, or has other steps, or if the run learned no quantiles, or the horizon is
    too long.
    """
    forecaster, _, _ = load_forecaster(folder.model)
    forecaster.framing.check_horizon(config.horizon)
    tables = read_tables(Path(config.data), config.how, config.columns)
    forecaster.check_levels(config.quantiles)
    for table in tables:
        check_ahead(config, table)
        forecaster.framing.check_steps(table.where, table.series)
        least = forecaster.framing.first
        if len(table.series) < least:
            raise ValueError(
                f"{table.where} has {count_of(len(table.series), 'step')}, expected at "
                f"least {least}, which a forecast reads"
            )
        # what cannot be said is not forecast for minutes
        times_after(table.series, config.horizon)
    text = future_text(tables, futures_of(forecaster, tables, config), config)
    if path is not None:
        write_file(path, text.encode())
    return text


def split(table: Table, config: ForecastConfig) -> int:
    """Return how many steps are trained on; ValueError if the series is too short."""
    T, H = len(table.series), config.horizon
    test = max(H, round(config.test_split * T))
    least = 3 * H + 8
    if T - test < least:
        raise ValueError(
            f"{table.where} has {count_of(T, 'step')}, and {test} for the test: expected at least "
            f"{least} before those, for a horizon of {H}; give more rows or a shorter horizon"
        )
    return T - test


def check_learned(config: ForecastConfig, tables: Sequence[Table], starts: Sequence[int]) -> None:
    """Raise ValueError if a target says nothing before the test: it is constant, or missing."""
    rows = f" before the test, which takes the last {config.test_split:g} of the rows"
    then = "there is nothing to learn; a smaller --test-split leaves more of them"
    for k, name in enumerate(config.target):
        known = [table.series.y[:start, k] for table, start in zip(tables, starts, strict=True)]
        for table, values in zip(tables, known, strict=True):
            if np.isnan(values).all():
                raise ValueError(f"{table.where}: {name!r} has no value{rows}: {then}")
        check_changing(config.data, name, known, rows, then)


def check_ahead(config: ForecastConfig, table: Table) -> None:
    """Raise ValueError unless the covariates of the horizon are known."""
    if config.covariates and len(table.ahead) < config.horizon:
        raise ValueError(
            f"{table.where} has {count_of(len(table.ahead), 'row')} after the last value of its "
            f"target, expected {config.horizon}: a forecast needs the covariates of its steps; "
            "add rows with the target empty"
        )


def _announce(tables: Sequence[Table], starts: Sequence[int]) -> None:
    """Say what is read and how it is split."""
    stamps: list[Any] = [table.series.stamps for table in tables]
    steps = count_of(sum(map(len, stamps)), "step")
    what = f"{count_of(len(tables), 'series', 'series')} with {steps}"
    first, last = min(one[0] for one in stamps), max(one[-1] for one in stamps)
    cuts = [one[start] for one, start in zip(stamps, starts, strict=True)]
    cut = shown_time(min(cuts))
    if min(cuts) < max(cuts):
        cut += f" to {shown_time(max(cuts))}"
    say(
        f"{what if len(tables) > 1 else steps} of {check_even('time', stamps[0]).told()} from "
        f"{shown_time(first)} to {shown_time(last)}; tested from {cut} on"
    )


def compared(
    config: ForecastConfig, forecaster: Forecaster, found: Backtest, starts: Sequence[int]
) -> dict[str, dict[str, float | None]]:
    """Return the measures of each model; those of gradient boosting only with scikit-learn."""
    models = {MODEL: measured(found, found.forecast, found.coverage)}
    models[NAIVE] = measured(found, found.naive, None)
    if found.season > 1:  # else they are one
        models[LAST] = measured(found, found.naive_of(1), None)
    origins = [found.origins[found.which == n] for n in range(len(found.series))]
    trees = boosted(forecaster.framing, found.series, starts, origins, config.horizon, config.seed)
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


def draw(path: Path, found: Backtest, futures: Sequence[Floats], names: Sequence[str]) -> None:
    """Draw the last tested forecasts and the futures of series, unless matplotlib is missing."""
    try:
        from fastlstm.forecast.picture import draw_run

        draw_run(path, found, futures, names)
    except ImportError as error:
        if error.name != "matplotlib":
            raise
        say("no picture: it needs matplotlib, pip install 'fastlstm[plot]'")
