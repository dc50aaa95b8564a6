"""What a comparison shows: a line for each measurement, a table, a picture.

A result is a dict as `ComparisonFolder.result` returns it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastlstm.plotting import QUIET, fitted, new_figure, plain_axes, save_png
from fastlstm.train.history import Epoch
from fastlstm.train.progress import Progress
from fastlstm.train.table import aligned

Result = Mapping[str, Any]

BAG_OF_WORDS = "nb-svm"
# Okabe and Ito's colours, for all kinds of colour vision.
COLOURS = {
    "rnn": "#cc79a7",
    "gru": "#e69f00",
    "lstm": "#0072b2",
    "bilstm": "#009e73",
    BAG_OF_WORDS: "#000000",
}
TICKS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99)


class Clock(Progress):
    """A line for each measurement of a net, and a bar over its budget.

    `seconds` is the budget, or 0 if it is a number of epochs.
    """

    def __init__(self, title: str, seconds: float, bar: bool) -> None:
        super().__init__(bar, seconds=seconds)
        self._net = title

    def _name(self, epoch: int) -> str:
        return self._net

    def line(self, epoch: Epoch, is_best: bool) -> str:
        return (
            f"{self._net}: {self._history.seconds:.1f} s, training accuracy "
            f"{epoch.train_accuracy:.2%}, validation accuracy {epoch.validation_accuracy:.2%}"
            f"{' (best)' if is_best else ''}"
        )


COLUMNS = {
    "model": ("title", ""), "test accuracy": ("test_accuracy", ".2%"),
    "validation": ("validation_accuracy", ".2%"), "seconds": ("train_seconds", ".1f"),
    "passes": ("passes", ".2f"), "parameters": ("parameters", ","),
    "words/s": ("words_per_second", ",.0f"),
}  # fmt: skip


def table(results: Sequence[Result]) -> str:
    """Return a line for each model, the most accurate on the test part first."""
    columns = COLUMNS.values()
    rows = [[format(result[key], form) for key, form in columns] for result in _ranked(results)]
    return aligned([list(COLUMNS), *rows], left=1)


def verdict(results: Sequence[Result]) -> str:
    """Return in words what the best net by validation gains over the bag of words on the test."""
    (bag,) = (result for result in results if result["name"] == BAG_OF_WORDS)
    nets = [result for result in results if result is not bag]
    best = max(nets, key=lambda net: float(net["validation_accuracy"]))
    points = 100 * (best["test_accuracy"] - bag["test_accuracy"])
    if abs(points) < 0.005:
        return f"{best['title']} and the bag of words classify equally many test reviews right."
    return (
        f"{best['title']}, the best net by validation, is {abs(points):.2f} points "
        f"{'above' if points > 0 else 'below'} the bag of words on the test reviews "
        f"({best['train_seconds']:.0f} s of training against {bag['train_seconds']:.0f} s)."
    )


def draw_comparison(path: Path, results: Sequence[Result], data: str) -> None:
    """Write a PNG: validation accuracy against seconds of training. Needs matplotlib.

    The axis is logarithmic in the error, to tell 90 from 91 % beside 60 %.
    """
    figure = new_figure(9, 5)
    axes = figure.subplots()
    for result in _ranked(results):
        _draw(axes, result)
    _scale(axes, [accuracy for result in results for _, accuracy in result["curve"]])
    axes.set_xlabel("seconds of training")
    axes.set_xlim(left=0)
    title = "Accuracy on the validation reviews (\u2605 the weights kept and tested)"
    axes.set_title(title, loc="left", fontsize=11)
    plain_axes(axes)
    figure.legend(
        loc="outside right upper", frameon=False, fontsize=9, title="accuracy on the test reviews",
        title_fontsize=9, alignment="left",
    )  # fmt: skip
    figure.supxlabel(fitted(data, 8.6, 7.5), fontsize=7.5, color=QUIET, x=0.01, ha="left")
    save_png(path, figure)


def _draw(axes: Any, result: Result) -> None:
    """Draw the curve of a net and a star at its best; or the level of the bag of words."""
    colour = COLOURS[result["name"]]
    label = f"{result['test_accuracy']:.2%}  {result['title']}"
    seconds = [second for second, _ in result["curve"]]
    errors = [_error(accuracy) for _, accuracy in result["curve"]]
    if result["name"] == BAG_OF_WORDS:
        axes.axhline(errors[0], color=colour, linewidth=1, linestyle="--")
        axes.plot(seconds, errors, "D", color=colour, markersize=6, label=label)
        return
    axes.plot(seconds, errors, "o-", color=colour, markersize=3.5, linewidth=1.6, label=label)
    best = result["best_epoch"] - 1
    axes.plot(seconds[best], errors[best], "*", color=colour, markersize=12)


def _scale(axes: Any, accuracies: Sequence[float]) -> None:
    """Make the y axis logarithmic in the error, better upwards, with accuracies as ticks."""
    from matplotlib.ticker import NullLocator

    errors = [_error(accuracy) for accuracy in accuracies]
    worst, best = min(max(errors) * 1.1, 0.6), min(errors) / 1.1
    ticks = [tick for tick in TICKS if best <= 1 - tick <= worst]
    axes.set_ylim(worst, best)
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks([1 - tick for tick in ticks], [f"{tick:.0%}" for tick in ticks])


def _error(accuracy: float) -> float:
    """Return the error, not below what the logarithmic axis can show."""
    return max(1 - accuracy, 0.002)


def _ranked(results: Sequence[Result]) -> list[Result]:
    return sorted(results, key=lambda result: -result["test_accuracy"])
