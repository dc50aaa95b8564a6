"""What a run shows while it trains: a bar, lines now and then, and a line for each epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from fastlstm.train.history import Epoch, History
from fastlstm.train.listener import Listener
from fastlstm.train.metrics import perplexity

# All of it in 80 columns: the bar gives way first.
FORMAT = "{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining}{postfix}"


def to_stdout(line: str) -> None:
    """Print a line at once, and leave a bar whole."""
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


class Progress(Listener):
    """Reports a training on the terminal; subclasses have other words for other tasks.

    Parameters
    ----------
    bar : whether to show a bar over all epochs, on the standard error stream; the time left is
        that of the whole run.
    every : seconds between two lines inside an epoch; 0 for none.
    write : is told each line.
    """

    title = ""
    unit = "words"

    def __init__(
        self, bar: bool = False, every: float = 0.0, write: Callable[[str], object] = to_stdout
    ) -> None:
        self._show, self._every, self._write = bar, every, write
        self._bar: tqdm[Any] | None = None

    def name(self, epoch: int) -> str:
        """Return what stands before the figures of an epoch, and of the bar."""
        return f"{self.title}epoch {min(epoch, self._epochs)}/{self._epochs}"

    def figures(self, loss: float, accuracy: float | None) -> str:
        """Return what is said of an epoch, in training or in validation."""
        return f"loss {loss:.4f}" + ("" if accuracy is None else f", accuracy {accuracy:.2%}")

    def brief(self, history: History) -> str:
        """Return what is said of the epoch that is under way."""
        running = history.running
        accuracy = f", accuracy {running.accuracy:.1%}" if running.classes else ""
        return f"loss {running.loss:.4f}{accuracy}"

    def line(self, epoch: Epoch, is_best: bool) -> str:
        """Return the line of an epoch that is over."""
        held_back = ""
        if epoch.validation_loss is not None:
            told = self.held_back(epoch.validation_loss, epoch.validation_accuracy)
            held_back = f"; {told}{' (best)' if is_best else ''}"
        speed = epoch.words / epoch.seconds if epoch.seconds else 0.0
        return (
            f"{self.name(epoch.epoch)}: {self.figures(epoch.train_loss, epoch.train_accuracy)}"
            f"{held_back}; {epoch.seconds:.1f} s, {speed:,.0f} {self.unit}/s"
        )

    def held_back(self, loss: float, accuracy: float | None) -> str:
        """Return what is said of the validation of an epoch."""
        return f"validation {self.figures(loss, accuracy)}"

    def done(self, history: History) -> float:
        """Return how far the bar is."""
        return history.step

    def on_start(self, history: History, steps_per_epoch: int, epochs: int) -> None:
        self._steps, self._epochs = steps_per_epoch, epochs
        self._begin = self._last = time.perf_counter()
        self._first = history.step
        self._bar = tqdm(
            desc=self.name(len(history.epochs) + 1),
            total=self.total(),
            initial=self.done(history),
            bar_format=FORMAT,
            disable=not self._show,
            dynamic_ncols=True,
            leave=False,
        )

    def total(self) -> float:
        """Return where the bar ends."""
        return self._steps * self._epochs

    def on_step(self, history: History) -> None:
        if self._bar is not None and not self._bar.disable:
            speed = tqdm.format_sizeof(history.running.words_per_second)
            self._bar.set_postfix_str(
                f"{self.brief(history)}, {speed} {self.unit}/s", refresh=False
            )
            # a step past the end is no error, but the bar would lose its form
            self._bar.update(min(self.done(history), self.total()) - self._bar.n)
        now = time.perf_counter()
        if self._every and now - self._last >= self._every:
            self._last = now
            self._write(self._between(history, now))

    def on_epoch(self, epoch: Epoch, is_best: bool) -> None:
        self._write(self.line(epoch, is_best))
        self._last = time.perf_counter()
        if self._bar is not None and epoch.epoch < self._epochs:
            self._bar.set_description_str(self.name(epoch.epoch + 1), refresh=False)

    def on_stop(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _between(self, history: History, now: float) -> str:
        """Return a line inside an epoch."""
        each = (now - self._begin) / (history.step - self._first)
        left = each * (self._steps * self._epochs - history.step)
        return (
            f"{self.name(len(history.epochs) + 1)}, {history.batch / self._steps:4.0%}: "
            f"{self.brief(history)}, {history.running.words_per_second:,.0f} {self.unit}/s, "
            f"{left // 60:.0f}:{left % 60:02.0f} left"
        )


class Perplexity(Progress):
    """Reports a language model: in how many tokens it is in doubt."""

    unit = "tokens"

    def figures(self, loss: float, accuracy: float | None) -> str:
        return f"loss {loss:.4f}, perplexity {perplexity(loss):.2f}"

    def brief(self, history: History) -> str:
        return f"perplexity {perplexity(history.running.loss):.2f}"
