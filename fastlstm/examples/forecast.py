"""Forecast the load of a town, hour by hour, with its weather known a day ahead.

The series is made up: it has a course of the day, of the week and of the year, follows the
temperature, and wanders. The last fifth is forecast from every hour, a day at a time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.examples.options import add_plot, add_threads, check_least, threaded
from fastlstm.forecast.backtest import backtest
from fastlstm.forecast.forecaster import Forecaster, ForecastOptions
from fastlstm.forecast.net import NetOptions
from fastlstm.forecast.series import read_series

Floats = NDArray[np.float64]

DAY = 24
FEWEST = 5  # days, of which four fifths are enough to learn a horizon of a day


def town(days: int, seed: int = 0) -> tuple[Floats, Floats, NDArray[np.datetime64]]:
    """Return load, temperature and time of so many days of hours."""
    rng = np.random.default_rng(seed)
    hours = np.arange(days * DAY)
    stamps = np.datetime64("2023-01-02T00") + hours.astype("timedelta64[h]")
    weather = wandering(rng, len(hours), 0.98, 0.6)
    temperature = 10 - 9 * np.cos(2 * np.pi * hours / (365 * DAY)) + weather
    temperature -= 3 * np.cos(2 * np.pi * (hours - 3) / DAY)
    work = np.where(hours // DAY % 7 < 5, 1.0, 0.6)
    course = 20 - 7 * np.cos(2 * np.pi * (hours - 2) / DAY) * work
    heating = 1.2 * np.maximum(0, 15 - temperature)
    return course + heating + wandering(rng, len(hours), 0.9, 0.5), temperature, stamps


def wandering(rng: np.random.Generator, count: int, memory: float, step: float) -> Floats:
    """Return noise of which each value keeps a part of the one before."""
    found = np.zeros(count)
    for t, shock in enumerate(rng.normal(0, step, count - 1), 1):
        found[t] = memory * found[t - 1] + shock
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return 1 if the picture cannot be drawn."""
    parser = ProgramParser(
        prog="python -m fastlstm.examples.forecast",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--days", type=int, default=120, help="of the series (default: 120)")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    parser.add_argument("--epochs", type=int, default=8, help="most of training (default: 8)")
    add_threads(parser)
    add_plot(parser, "the last forecasts with their bands")
    options = parser.parse_args(arguments)
    check_least(parser, options, days=FEWEST, seed=0, epochs=0)
    return exit_status("forecast", lambda: threaded(run, options))


def run(options: argparse.Namespace) -> None:
    """Train, test and print; draw if asked for."""
    y, temperature, stamps = town(options.days, options.seed)
    series = replace(read_series("load", y, temperature, stamps), labels=("load",))
    start = len(y) * 4 // 5
    net = NetOptions(epochs=options.epochs, verbose=1)
    chosen = ForecastOptions(horizon=DAY, net=net, seed=options.seed)
    forecaster = Forecaster.fit([series.until(start)], chosen)
    found = backtest(forecaster, [series], [start], DAY, chosen.quantiles)
    if options.plot:
        found.plot(options.plot)
    result = {
        "mae": round(found.mae, 4),
        "seasonal_naive_mae": round(float(np.abs(found.naive - found.actual).mean()), 4),
        "mase": round(found.mase, 4),
        "coverage": round(found.coverage, 4),
        "expected_coverage": round(found.expected_coverage, 4),
        "figure": options.plot and str(options.plot),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    raise SystemExit(main())
