"""Forecasts of generated series: the table in docs/forecast.md.

    python -m benchmarks.generated_series [NAME ...] [--seed 0] [--epochs N] [--threads N]

A forecaster with its defaults learns the first four fifths of each series and forecasts from every
step of the last one. Beside it stand the seasonal naive forecast, gradient boosting on the same
lags and the linear part alone. Prints a line of the table for each series: mean absolute errors,
and the coverage of the bands of 80 %. No series has stamps. All of them take some minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastlstm.forecast import measures
from fastlstm.forecast.boosting import boosted
from fastlstm.forecast.net import is_taught
from fastlstm.runtime import num_threads
from fastlstm.sklearn import LSTMForecaster

Floats = NDArray[np.float64]
Rng = np.random.Generator
TRAINED = 0.8  # of a series, before the first origin


@dataclass(frozen=True)
class Made:
    """A kind of series.

    Attributes
    ----------
    told : what it is, in the table.
    steps, horizon : its length, and how far it is forecast.
    draw : makes one of so many steps.
    """

    told: str
    steps: int
    horizon: int
    draw: Callable[[Rng, int], Floats]


def counts(rng: Rng, steps: int) -> Floats:
    """Counts of days with a week, a slow drift and Poisson noise."""
    week = np.array([1.0, 1.05, 1.0, 1.1, 1.3, 0.7, 0.5])
    t = np.arange(steps)
    level = 6 * np.exp(np.cumsum(rng.normal(0, 0.01, steps)))
    return rng.poisson(level * week[t % 7]).astype(np.float64)


def days(rng: Rng, steps: int) -> Floats:
    """Days of a year whose deviations are remembered, as of temperatures."""
    return 11 + 4.5 * _wave(steps, 365, 0.7) + _remembered(rng, steps, 0.6, 2.2)


def cycle(rng: Rng, steps: int) -> Floats:
    """A cycle that takes longer or shorter each time and rises higher or lower, as of sunspots."""
    phase = np.cumsum(2 * np.pi / 130 * np.exp(rng.normal(0, 0.05, steps)))
    height = 50 * np.exp(_remembered(rng, steps, 0.995, 0.04))
    wave = np.maximum(np.sin(phase), -0.3) + 0.3
    return np.maximum(height * wave + rng.normal(0, 10, steps), 0.0)


def growth(rng: Rng, steps: int) -> Floats:
    """Months that grow in proportion, with a season that grows along, as of air passengers."""
    month = 0.2 * _wave(steps, 12, 0.4) + 0.05 * _wave(steps, 6, 1.0)
    return 110 * np.exp(0.01 * np.arange(steps) + month + rng.normal(0, 0.03, steps))


def drift(rng: Rng, steps: int) -> Floats:
    """Hours with a day, half a day and a level that drifts."""
    seasons = 3 * _wave(steps, 24, 0.0) + 1.5 * _wave(steps, 12, 1.0)
    return 20 + seasons + np.cumsum(rng.normal(0, 0.1, steps)) + rng.normal(0, 1, steps)


def walk(rng: Rng, steps: int) -> Floats:
    """A random walk: nothing is better than its last value."""
    return np.cumsum(rng.normal(size=steps))


def trend(rng: Rng, steps: int) -> Floats:
    """A straight line, a season of 24 and noise of mean size 0.80."""
    return 0.01 * np.arange(steps) + 3 * _wave(steps, 24, 0.0) + rng.normal(size=steps)


def week(rng: Rng, steps: int) -> Floats:
    """Hours whose day is another one at the weekend, with memory."""
    t = np.arange(steps)
    weekend = t // 24 % 7 >= 5
    shape = np.where(weekend, 1.0 * _wave(steps, 24, 2.0), 3 * _wave(steps, 24, 0.0) + 1)
    return 10 + shape + _remembered(rng, steps, 0.8, 0.5)


def heavy(rng: Rng, steps: int) -> Floats:
    """Hours with a day and a year, log-normal about them, as of particles in air."""
    level = 4.2 + 0.4 * _wave(steps, 24, 1.0) + 0.3 * _wave(steps, 8766, 0.5)
    return np.exp(level + _remembered(rng, steps, 0.95, 0.3))


def mackey_glass(rng: Rng, steps: int) -> Floats:
    """A chaotic curve without noise (Mackey & Glass 1977, delay 17), of one step a unit of time."""
    delay, inner, before = 17, 10, 500
    made = np.full((steps + before + delay) * inner, 1.2)
    made[: delay * inner] += rng.uniform(-0.1, 0.1)
    for n in range(delay * inner, len(made)):
        past = made[n - delay * inner]
        made[n] = made[n - 1] + (0.2 * past / (1 + past**10) - 0.1 * made[n - 1]) / inner
    return made[-steps * inner :: inner]


SERIES = {
    "counts": Made("counts with a week", 2500, 14, counts),
    "days": Made("days of a year with memory", 3650, 7, days),
    "cycle": Made("cycle of changing length and height", 3000, 12, cycle),
    "growth": Made("growth in proportion", 180, 12, growth),
    "drift": Made("day, half day, drift", 8640, 24, drift),
    "walk": Made("random walk", 2000, 24, walk),
    "trend": Made("trend and season", 2000, 24, trend),
    "week": Made("day and week", 5040, 24, week),
    "heavy": Made("heavy tail", 12_000, 24, heavy),
    "curve": Made("memory with a curve (Mackey-Glass)", 3000, 24, mackey_glass),
}


def line_of(made: Made, seed: int, epochs: int | None) -> str:
    """Return the line of the table for one series."""
    y = made.draw(np.random.default_rng(seed), made.steps)
    start = round(TRAINED * len(y))
    net = LSTMForecaster(horizon=made.horizon, epochs=epochs, random_state=seed).fit(y[:start])
    found = net.backtest(y, start)
    naive = measures.mae(found.actual, found.naive)
    trees = boosted(net.forecaster_.framing, found.series, [start], [found.origins],
                    made.horizon, seed)  # fmt: skip
    assert trees is not None
    alone = found
    if is_taught(net.forecaster_.net):
        linear = LSTMForecaster(horizon=made.horizon, epochs=0, random_state=seed).fit(y[:start])
        alone = linear.backtest(y, start)
    errors = [found.mae, naive, measures.mae(found.actual, trees)]
    told = [f"**{error:.3g}**" if error == min(errors) else f"{error:.3g}" for error in errors]
    cells = [f"{made.told}, {made.steps:,}", str(made.horizon), *told,
             f"{found.coverage:.0%}".replace("%", " %"), f"{alone.mae:.3g}"]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SERIES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="of the net (default: that of the forecaster)")
    parser.add_argument("--threads", type=int, help="of the kernels")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in SERIES]
    if unknown:
        parser.error(f"NAME is {unknown[0]}, expected one of {', '.join(SERIES)}")
    print("| series | horizon | fastlstm | seasonal naive | gradient boosting | coverage of 80 % "
        "| linear part |\n|---|---|---|---|---|---|---|", flush=True)  # fmt: skip
    with num_threads(given.threads):
        for name in given.names or SERIES:
            print(line_of(SERIES[name], given.seed, given.epochs), flush=True)


def _wave(steps: int, season: float, phase: float) -> Floats:
    return np.asarray(np.sin(2 * np.pi * np.arange(steps) / season + phase))


def _remembered(rng: Rng, steps: int, share: float, spread: float) -> Floats:
    """Return deviations of which the next one keeps a share; `spread` is that of their noise."""
    noise, made = rng.normal(0, spread, steps), np.empty(steps)
    made[0] = noise[0] / np.sqrt(1 - share**2)
    for n in range(1, steps):
        made[n] = share * made[n - 1] + noise[n]
    return made


if __name__ == "__main__":
    main()
