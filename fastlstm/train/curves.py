"""Pictures of the course of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastlstm.plotting import QUIET, TRAIN, VALIDATION, fitted, new_figure, plain_axes, save_png
from fastlstm.train.history import History

NAMES = {"mae": "mean absolute error"}


def draw_curves(path: Path, history: History, title: str) -> bool:
    """Write a PNG; return False, and write nothing, if matplotlib is not installed."""
    try:
        figure = new_figure(9, 3.8)
    except ImportError:
        return False
    panels = figure.subplots(1, 2)
    regression = any(epoch.train_mae is not None for epoch in history.epochs)
    for axes, what in zip(panels, ("loss", "mae" if regression else "accuracy"), strict=True):
        epochs = [epoch.epoch for epoch in history.epochs]
        train, validation = (
            [getattr(epoch, f"{part}_{what}") for epoch in history.epochs]
            for part in ("train", "validation")
        )
        axes.plot(epochs, train, "o-", color=TRAIN, markersize=4, label="train")
        if validation[0] is not None:
            axes.plot(epochs, validation, "o-", color=VALIDATION, markersize=4, label="validation")
            best = {"color": QUIET, "linewidth": 0.8, "linestyle": ":", "label": "best epoch"}
            axes.axvline(history.best, **best)
        epoch_axes(axes, NAMES.get(what, what))
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle(fitted(title, 8.6, 10), fontsize=10, color=QUIET)
    save_png(path, figure)
    return True


def draw_loss(path: str | Path, history: History, title: str) -> None:
    """Write a PNG of training and validation loss; ImportError if matplotlib is not installed."""
    figure = new_figure(7.5, 4)
    axes = figure.subplots()
    axes.plot(*zip(*history.curve, strict=True), color=TRAIN, linewidth=1.2, label="training")
    held_back = [(e.epoch, e.validation_loss) for e in history.epochs if e.validation_loss]
    if held_back:
        axes.plot(
            *zip(*held_back, strict=True), "o-", color=VALIDATION, markersize=4, label="validation"
        )
    axes.set_xlabel("epochs")
    axes.set_ylabel("loss of a token, nats")
    plain_axes(axes)
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(title, loc="left", fontsize=10, color=QUIET)
    save_png(path, figure)


def epoch_axes(axes: Any, what: str) -> None:
    """Dress a panel of loss or accuracy by epoch."""
    from matplotlib.ticker import MaxNLocator

    axes.set_title(what, loc="left", fontsize=11)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    plain_axes(axes)
    if what == "accuracy":
        axes.yaxis.set_major_formatter(lambda value, position: f"{100 * value:.4g} %")
