"""What the training of a language model shows: lines while it runs, and its loss curve."""

from __future__ import annotations

import time
from pathlib import Path

from fastlstm.plotting import QUIET, TRAIN, VALIDATION, new_figure, plain_axes, save_png
from fastlstm.train.language.history import LanguageEpoch, LanguageHistory, perplexity
from fastlstm.train.language.trainer import LanguageListener


class Lines(LanguageListener):
    """Prints a line for each epoch, and in long ones every so many seconds.

    Parameters
    ----------
    seconds : between two lines inside an epoch; 0 for none.
    """

    def __init__(self, seconds: float = 20.0) -> None:
        self._seconds = seconds

    def on_start(self, history: LanguageHistory, steps_per_epoch: int, epochs: int) -> None:
        self._steps, self._epochs, self._begin = steps_per_epoch, epochs, time.perf_counter()
        self._last, self._first_step = self._begin, history.step

    def on_step(self, history: LanguageHistory) -> None:
        now = time.perf_counter()
        if not self._seconds or now - self._last < self._seconds:
            return
        self._last = now
        made, total = history.step - self._first_step, self._steps * self._epochs
        left = (now - self._begin) / made * (total - history.step)
        print(
            f"epoch {len(history.epochs) + 1}/{self._epochs}, {history.window / self._steps:4.0%}: "
            f"perplexity {perplexity(history.loss):.2f}, "
            f"{history.tokens / history.seconds:,.0f} tokens/s, {_clock(left)} left",
            flush=True,
        )

    def on_epoch(self, epoch: LanguageEpoch, is_best: bool) -> None:
        held_back = ""
        if epoch.validation_loss is not None:
            held_back = f"; validation {_loss(epoch.validation_loss)}{' (best)' if is_best else ''}"
        print(
            f"epoch {epoch.epoch}/{self._epochs}: {_loss(epoch.train_loss)}{held_back}; "
            f"{epoch.seconds:.1f} s, {epoch.tokens / max(epoch.seconds, 1e-9):,.0f} tokens/s",
            flush=True,
        )
        self._last = time.perf_counter()


def draw_loss(path: str | Path, history: LanguageHistory, title: str) -> None:
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


def _loss(loss: float) -> str:
    return f"loss {loss:.4f}, perplexity {perplexity(loss):.2f}"


def _clock(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
