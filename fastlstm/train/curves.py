"""Pictures of the course of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastlstm.plotting import QUIET, TRAIN, VALIDATION, fitted, new_figure, plain_axes, save_png
from fastlstm.train.history import History


def draw_curves(path: Path, history: History, title: str) -> bool:
    """Write a PNG; return False, and write nothing, if matplotlib is not installed."""
    try:
        figure = new_figure(9, 3.8)
    except ImportError:
        return False
    left, right = figure.subplots(1, 2)
    _panel(left, "loss", history)
    _panel(right, "accuracy", history)
    left.legend(frameon=False, fontsize=8)
    right.yaxis.set_major_formatter(lambda value, position: f"{100 * value:.4g} %")
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


def _panel(axes: Any, name: str, history: History) -> None:
    epochs = [epoch.epoch for epoch in history.epochs]
    train, validation = (
        [getattr(epoch, f"{part}_{name}") for epoch in history.epochs]
        for part in ("train", "validation")
    )
    axes.plot(epochs, train, "o-", color=TRAIN, markersize=4, label="train")
    if validation[0] is not None:
        axes.plot(epochs, validation, "o-", color=VALIDATION, markersize=4, label="validation")
        axes.axvline(history.best, color=QUIET, linewidth=0.8, linestyle=":", label="best epoch")
    axes.set_title(name, loc="left", fontsize=11)
    axes.set_xlabel("epoch")
    axes.set_xticks(epochs if len(epochs) <= 12 else epochs[:: -(-len(epochs) // 12)])
    plain_axes(axes)
