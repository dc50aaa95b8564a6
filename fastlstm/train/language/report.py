"""What the training of a language model shows: lines while it runs, and its loss curve."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

from fastlstm.train.curves import QUIET, TRAIN, VALIDATION
from fastlstm.train.files import write_file
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


def load_matplotlib() -> tuple[Any, Any]:
    """Return matplotlib's Figure and its canvas without a screen.

    Raises
    ------
    ImportError
        If matplotlib is not installed; names the extra to install.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("a picture needs matplotlib: pip install 'fastlstm[plot]'") from error
    return Figure, FigureCanvasAgg


def draw_loss(path: str | Path, history: LanguageHistory, title: str) -> None:
    """Write the course of training and validation loss as a PNG.

    Raises
    ------
    ImportError
        As `load_matplotlib`.
    OSError
        If the file cannot be written.
    """
    Figure, FigureCanvasAgg = load_matplotlib()
    figure = Figure(figsize=(7.5, 4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(*zip(*history.curve, strict=True), color=TRAIN, linewidth=1.2, label="training")
    held_back = [(e.epoch, e.validation_loss) for e in history.epochs if e.validation_loss]
    if held_back:
        axes.plot(
            *zip(*held_back, strict=True), "o-", color=VALIDATION, markersize=4, label="validation"
        )
    axes.set_xlabel("epochs")
    axes.set_ylabel("loss of a token, nats")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e7ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(title, loc="left", fontsize=10, color=QUIET)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_file(Path(path), buffer.getvalue())


def _loss(loss: float) -> str:
    return f"loss {loss:.4f}, perplexity {perplexity(loss):.2f}"


def _clock(seconds: float) -> str:
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
