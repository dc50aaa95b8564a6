"""What a run shows while it trains: a bar, lines at intervals, and a line for each epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from fastlstm.train.history import Epoch, History
from fastlstm.train.listener import Listener
from fastlstm.train.metrics import Running, perplexity

# In 80 columns: the bar is shortened before the text.
FORMAT = "{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}{postfix}"


def to_stdout(line: str) -> None:
    """Print a line at once, without breaking a bar."""
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


class Progress(Listener):
    """Reports a training on the terminal; subclasses choose other words.

    Parameters
    ----------
    bar : whether to show a bar over all epochs, on the standard error stream.
    every : seconds between two lines inside an epoch; 0 for none.
    seconds : length of the run in seconds of training; 0 if its epochs are counted.
    write : is called with each line.
    """

    title = ""
    unit = "words"

    def __init__(
        self, bar: bool = False, every: float = 0.0, seconds: float = 0.0,
        write: Callable[[str], object] = to_stdout,
    ) -> None:  # fmt: skip
        self._show, self._every, self._seconds, self._write = bar, every, seconds, write
        self._bar: tqdm[Any] | None = None

    def figures(self, loss: float, accuracy: float | None) -> str:
        """Return the figures of training or of validation, as text."""
        return f"loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {accuracy:.2%}")

    def brief(self, running: Running) -> str:
        """Return the figures of the current epoch, as text."""
        told = self.figures(running.loss, running.accuracy if running.classes else None)
        return told + _errors(running.mae, running.rmse)

    def line(self, epoch: Epoch, is_best: bool) -> str:
        """Return the line for a finished epoch."""
        held_back = ""
        if epoch.validation_loss is not None:
            told = self.figures(epoch.validation_loss, epoch.validation_accuracy)
            told += _errors(epoch.validation_mae, epoch.validation_rmse)
            held_back = f"; validation {told}{' (best)' if is_best else ''}"
        speed = epoch.words / epoch.seconds if epoch.seconds else 0.0
        told = self.figures(epoch.train_loss, epoch.train_accuracy)
        told += _errors(epoch.train_mae, epoch.train_rmse)
        return (
            f"{self._name(epoch.epoch)}: {told}"
            f"{held_back}; {epoch.seconds:.1f} s, {speed:,.0f} {self.unit}/s"
        )

    def on_start(self, history: History, steps_per_epoch: int, epochs: int) -> None:
        self._history, self._first = history, history.step
        self._steps, self._epochs = steps_per_epoch, epochs
        self._begin = self._last = time.perf_counter()
        self._total = self._seconds or steps_per_epoch * epochs
        self._bar = tqdm(
            desc=self._name(len(history.epochs) + 1),
            total=self._total,
            initial=self._done(history),
            bar_format=FORMAT,
            disable=not self._show,
            dynamic_ncols=True,
            leave=False,
        )

    def on_step(self, history: History) -> None:
        running, now = history.running, time.perf_counter()
        if self._bar is not None and not self._bar.disable:
            speed = tqdm.format_sizeof(running.words_per_second)
            self._bar.set_postfix_str(f"{self.brief(running)}, {speed} {self.unit}/s", False)
            # past its total the bar would lose its form
            self._bar.update(min(self._done(history), self._total) - self._bar.n)
        if self._every and now - self._last >= self._every:
            self._last = now
            left = (now - self._begin) / (history.step - self._first)
            left *= self._steps * self._epochs - history.step
            self._write(
                f"{self._name(len(history.epochs) + 1)}, {history.batch / self._steps:4.0%}: "
                f"{self.brief(running)}, {running.words_per_second:,.0f} {self.unit}/s, "
                f"{left // 60:.0f}:{left % 60:02.0f} left"
            )

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        self._write(self.line(epoch, is_best))
        self._last = time.perf_counter()
        if self._bar is not None and epoch.epoch < self._epochs:
            self._bar.set_description_str(self._name(epoch.epoch + 1), refresh=False)

    def on_stop(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _name(self, epoch: int) -> str:
        return f"{self.title}epoch {min(epoch, self._epochs)}/{self._epochs}"

    def _done(self, history: History) -> float:
        return history.seconds if self._seconds else history.step


def _errors(mae: float | None, rmse: float | None) -> str:
    """Return the errors of a regression, as text to follow its loss; nothing without."""
    return "" if mae is None or rmse is None else f", MAE {mae:.4g}, RMSE {rmse:.4g}"


class OfSeries(Progress):
    """Reports a training on numbers, of which steps are counted."""

    unit = "steps"


class Perplexity(Progress):
    """Reports the perplexity of a language model."""

    unit = "tokens"

    def figures(self, loss: float, accuracy: float | None) -> str:
        return f"loss {loss:.4f}, perplexity {perplexity(loss):.2f}"

    def brief(self, running: Running) -> str:
        return f"perplexity {perplexity(running.loss):.2f}"
