"""What a run shows while it trains: a bar, and a line for each epoch."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from fastlstm.train.history import Epoch, History
from fastlstm.train.listener import Listener

# All of it in 80 columns: the bar gives way first.
FORMAT = "{desc}{percentage:3.0f}% |{bar}| {elapsed}<{remaining}{postfix}"


class Progress(Listener):
    """One bar over all epochs, so that the time left is that of the whole run.

    Parameters
    ----------
    bar : whether to show the bar, on the standard error stream.
    """

    def __init__(self, bar: bool) -> None:
        self._show = bar
        self._bar: tqdm[Any] | None = None
        self._epochs = 0

    def on_start(self, history: History, steps_per_epoch: int, epochs: int) -> None:
        self._epochs = epochs
        self._bar = tqdm(
            desc=self._name(len(history.epochs) + 1),
            total=steps_per_epoch * epochs,
            initial=history.step,
            bar_format=FORMAT,
            disable=not self._show,
            dynamic_ncols=True,
            leave=False,
        )

    def on_step(self, history: History) -> None:
        if self._bar is None or self._bar.disable:
            return
        running = history.running
        self._bar.set_postfix_str(
            f"loss {running.loss:.4f}, accuracy {running.accuracy:.1%}, "
            f"{tqdm.format_sizeof(running.words_per_second)} words/s",
            refresh=False,
        )
        self._bar.update()

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        tqdm.write(self._line(epoch, is_best), file=sys.stdout)
        sys.stdout.flush()
        if self._bar is not None and epoch.epoch < self._epochs:
            self._bar.set_description_str(self._name(epoch.epoch + 1), refresh=False)

    def on_stop(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _name(self, epoch: int) -> str:
        return f"epoch {min(epoch, self._epochs)}/{self._epochs} "

    def _line(self, epoch: Epoch, is_best: bool) -> str:
        text = (
            f"epoch {epoch.epoch}/{self._epochs}: "
            f"loss {epoch.train_loss:.4f}, accuracy {epoch.train_accuracy:.2%}"
        )
        if epoch.validation_loss is not None:
            text += f"; validation loss {epoch.validation_loss:.4f}"
            if epoch.validation_accuracy is not None:
                text += f", accuracy {epoch.validation_accuracy:.2%}"
            text += " (best)" if is_best else ""
        speed = epoch.words / epoch.seconds if epoch.seconds else 0.0
        return f"{text}; {epoch.seconds:.1f} s, {speed:,.0f} words/s"
