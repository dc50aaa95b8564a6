"""The loss curve of a language model."""

from __future__ import annotations

from pathlib import Path

from fastlstm.plotting import QUIET, TRAIN, VALIDATION, new_figure, plain_axes, save_png
from fastlstm.train.history import History


def draw_loss(path: str | Path, history: History, title: str) -> None:
    """Write the course of training and validation loss as a PNG.

    Raises
    ------
    ImportError
        If matplotlib is not installed; names the extra to install.
    OSError
        If the file cannot be written.
    """
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
