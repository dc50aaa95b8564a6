"""Anomalies in a series: ``python -m fastlstm.examples.anomaly``.

A generated signal, such as that of a machine: two waves, the second in step with the first, and
noise. An autoencoder learns to give back windows of an ordinary part of it. What it gives back
worse than nearly all of another ordinary part, the validation, is called an anomaly: in the third
part some are planted (a wave that stops, doubles its pace or is out of step with the other, or
noise), and it is counted which are found and what else is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastlstm as fl
from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.examples.options import add_plot, add_threads, check_least, threaded
from fastlstm.models import SequenceAutoencoder
from fastlstm.nn.module import Array
from fastlstm.train.optim import Adam
from fastlstm.train.progress import OfSeries
from fastlstm.train.schedule import linear
from fastlstm.train.trainer import Trainer

PERIOD = 25  # steps of the first wave; the second has twice its pace
KINDS = ("stop", "pace", "step", "noise")  # of the anomalies, in turn
LENGTH = 40  # steps of an anomaly


class Series(NamedTuple):
    """A signal [T,2] and its anomalies, bool [T]."""

    x: Array
    is_odd: NDArray[np.bool_]


def series(T: int, rng: np.random.Generator, anomalies: int = 0) -> Series:
    """Return a generated signal with so many anomalies, far from each other."""
    phase = 2 * np.pi * (np.cumsum(1 + 0.05 * rng.standard_normal(T)) / PERIOD + rng.random())
    x = np.stack([np.sin(phase), 0.7 * np.sin(2 * phase + 0.5)], axis=1)
    is_odd = np.zeros(T, bool)
    for number in range(anomalies):
        room = T // anomalies
        first = number * room + int(rng.integers(room // 4, room - room // 4 - LENGTH))
        odd = slice(first, first + LENGTH)
        is_odd[odd] = True
        x[odd] = _odd(KINDS[number % len(KINDS)], phase[odd], rng)
    x += 0.05 * rng.standard_normal(x.shape)
    return Series(x.astype(np.float32), is_odd)


def _odd(kind: str, phase: Array, rng: np.random.Generator) -> Array:
    """Return the signal of an anomaly, [T,2]."""
    x = np.stack([np.sin(phase), 0.7 * np.sin(2 * phase + 0.5)], axis=1)
    if kind == "stop":
        x[:, 0] = x[0, 0]
    elif kind == "pace":
        x[:, 0] = np.sin(phase[0] + 2 * (phase - phase[0]))
    elif kind == "step":
        x[:, 1] = 0.7 * np.sin(2 * phase + 0.5 + np.pi)
    else:
        x += 0.6 * rng.standard_normal(x.shape)
    return x


def windows(x: Array, size: int, every: int = 1) -> Array:
    """Return the windows of a series, [N,size,2], that begin at every so many steps."""
    starts = np.arange(0, len(x) - size + 1, every)
    found: Array = x[starts[:, None] + np.arange(size)]
    return found


def off(model: SequenceAutoencoder, x: Array, size: int) -> Array:
    """Return how badly each step is given back, [T]: the median of its errors in its windows.

    The mean would be led by the windows that cover an anomaly nearby, as they give all back badly.
    """
    errors = model.errors(windows(x, size))
    of_step = np.full((size, len(x)), np.nan)
    for step, row in enumerate(of_step):
        row[step : step + len(errors)] = errors[:, step]
    found: Array = np.nanmedian(of_step, axis=0)
    return found


def train(learned: Array, validation: Array, options: argparse.Namespace) -> SequenceAutoencoder:
    """Return an autoencoder of ordinary windows, as good as its best epoch on the validation."""
    model = SequenceAutoencoder(2, options.hidden_size, code_size=options.code, rng=options.seed)
    trainer = Trainer(
        model, Adam(model, options.lr), fl.mse_loss, epochs=options.epochs, clip=1.0,
        schedule=linear, seed=options.seed, listeners=[OfSeries()],
    )  # fmt: skip
    parts = [windows(x, options.window, every=3) for x in (learned, validation)]
    trainer.fit(*trainer.task.source(model, *[(x, model.targets(x)) for x in parts]))
    model.load_state_dict(trainer.best_weights)
    return model


def scores(found: NDArray[np.bool_], is_odd: NDArray[np.bool_]) -> dict[str, float]:
    """Return precision and recall of steps, and of whole anomalies how many were found."""
    right = int((found & is_odd).sum())
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_odd.astype(int), [0]])))
    planted = edges.reshape(-1, 2)
    hit = sum(bool(found[first:end].any()) for first, end in planted)
    return {
        "precision": round(right / max(1, int(found.sum())), 4),
        "recall": round(right / max(1, int(is_odd.sum())), 4),
        "planted": len(planted),
        "found": hit,
    }


def draw(path: Path, tested: Series, errors: Array, threshold: float) -> None:
    """Write a picture of the signal, the error of each step and what is above the threshold."""
    from fastlstm.plotting import LINE, LOW, QUIET, new_figure, plain_axes, save_png

    figure: Any = new_figure(10, 4.5)
    above, below = figure.subplots(2, 1, sharex=True)
    for axes in (above, below):
        plain_axes(axes)
        axes.fill_between(
            np.arange(len(errors)), 0, 1, where=tested.is_odd, color=LOW, alpha=0.15, linewidth=0,
            transform=axes.get_xaxis_transform(), label="planted",
        )  # fmt: skip
    above.plot(tested.x[:, 0], color=LINE, linewidth=0.8)
    above.plot(tested.x[:, 1], color=QUIET, linewidth=0.8)
    above.set_ylabel("signal")
    below.plot(errors, color=LINE, linewidth=0.8, label="error")
    below.axhline(threshold, color=LOW, linewidth=1, linestyle="--", label="threshold")
    below.set_ylabel("error of a step")
    below.set_xlabel("step")
    below.set_xlim(0, len(errors))
    below.set_ylim(bottom=0)
    below.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=3)
    save_png(path, figure)


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = ProgramParser(
        prog="python -m fastlstm.examples.anomaly", description="Find what is odd in a signal."
    )
    add = parser.add_argument
    add("--steps", type=int, default=4000, help="of each part of the signal (default: 4000)")
    add("--anomalies", type=int, default=12, help="planted in the third part (default: 12)")
    add("--window", type=int, default=30, help="steps that are given back (default: 30)")
    add("--hidden-size", type=int, default=32, help="units of each layer (default: 32)")
    add("--code", type=int, default=4, help="numbers that a window is made into (default: 4)")
    add("--epochs", type=int, default=30, help="passes over the windows (default: 30)")
    add("--lr", type=float, default=0.01, help="learning rate (default: 0.01)")
    add(
        "--quantile",
        type=float,
        default=0.999,
        metavar="Q",
        help="share of the validation's steps that are below the threshold (default: 0.999)",
    )
    add("--seed", type=int, default=0, help="of signal and weights (default: 0)")
    add_plot(parser, "the signal, the errors and the threshold")
    add_threads(parser, default=1)
    options = parser.parse_args(arguments)
    check_least(
        parser, options, anomalies=1, window=2, hidden_size=1, code=1, epochs=1, seed=0,
        steps=max(2 * options.window, 4 * LENGTH * options.anomalies),
    )  # fmt: skip
    if not 0 < options.quantile < 1:
        parser.error(f"--quantile is {options.quantile}, expected a number between 0 and 1")
    if not options.lr > 0:
        parser.error(f"--lr is {options.lr}, expected a number above 0")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; return the exit status."""
    options = read_options(arguments)
    return exit_status("anomaly", lambda: threaded(run, options))


def run(options: argparse.Namespace) -> None:
    """Train, choose the threshold and test; the last line printed is JSON."""
    if options.plot and find_spec("matplotlib") is None:
        raise ImportError("--plot needs matplotlib: pip install 'fastlstm[plot]'")
    rng = np.random.default_rng(options.seed)
    learned, validation = (series(options.steps, rng).x for _ in range(2))
    tested = series(options.steps, rng, options.anomalies)
    model = train(learned, validation, options)
    threshold = float(np.quantile(off(model, validation, options.window), options.quantile))
    errors = off(model, tested.x, options.window)
    figures = scores(errors > threshold, tested.is_odd)
    print(f"threshold {threshold:.3f}, above {options.quantile:.1%} of the validation's steps")
    print(
        f"{figures['found']} of {figures['planted']} anomalies are found; of the steps called odd "
        f"{figures['precision']:.0%} are, and {figures['recall']:.0%} of the odd ones are called so"
    )
    if options.plot is not None:
        draw(options.plot, tested, errors, threshold)
        print(f"picture: {options.plot}")
    print(json.dumps({"threshold": round(threshold, 4), **figures}))


if __name__ == "__main__":
    raise SystemExit(main())
