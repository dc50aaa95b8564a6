"""Language modelling: windows of one long text; each starts with the state of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.models import LanguageModel
from fastlstm.nn.check import check_flag, check_size
from fastlstm.text import Window, columns, count_windows, windows
from fastlstm.train.evaluate import evaluate as measure_batches
from fastlstm.train.tasks.task import Outcome, Source, Task

LOGITS = 1 << 22  # most logits in a window of `evaluate`: 16 MB in float32


class LanguageModelling(Task):
    """Learns to predict the next token.

    Parameters
    ----------
    batch_size, steps : N columns of the text side by side, in windows of T steps. Gradients go
        back to the start of a window, the state is carried on.
    sum_steps : take the gradient of the loss summed over the steps of a window and averaged over
        its columns, as Zaremba et al. 2014 (for their learning rate 1 and limit 5); else of the
        mean over all places.
    """

    batch, batches = "window", "windows"

    def __init__(self, batch_size: int, steps: int, sum_steps: bool = False) -> None:
        self.batch_size = check_size("batch_size", batch_size)
        self.steps = check_size("steps", steps)
        self.sum_steps = check_flag("sum_steps", sum_steps)

    def source(
        self, model: LanguageModel, train: ArrayLike, validation: ArrayLike | None = None
    ) -> Source:
        """Return the windows of a text, integers [W], to learn and of one to measure on.

        Raises ValueError if a text is too short.
        """
        text = columns(train, self.batch_size)
        return Source(
            lambda epoch, start: windows(text, self.steps, start),
            count_windows(text, self.steps),
            None if validation is None else lambda: _whole(model, validation),
        )

    def step(
        self, model: LanguageModel, batch: Window, state: Any, rng: np.random.Generator
    ) -> Outcome:
        loss, state = model.learn(batch.tokens, batch.targets, state, rng)
        # the gradient of the sum over T steps is T times that of the mean
        scale, count = len(batch.tokens) if self.sum_steps else 1, batch.targets.size
        return Outcome(loss, count, count, state=state, scale=scale)

    def measure(self, model: LanguageModel, batch: Window, state: Any) -> Outcome:
        loss, state = model.loss(batch.tokens, batch.targets, state)
        count = batch.targets.size
        return Outcome(loss, count, count, state=state)

    def work(self, batch: Window) -> NDArray[Any]:
        return np.ones(batch.tokens.shape[1])

    def examples(self, batch: Window) -> NDArray[Any]:
        steps, columns = batch.targets.shape
        return np.full(columns, steps)

    def inputs(self, batch: Window) -> tuple[Any, ...]:
        return (batch.tokens,)

    def identity(self, trainer: Any) -> dict[str, object]:
        return {
            "model": trainer.model.options, "lr": trainer.lr, "clip": trainer.clip,
            "batch_size": self.batch_size, "steps": self.steps, "sum_steps": self.sum_steps,
        }  # fmt: skip


def evaluate(model: LanguageModel, ids: ArrayLike) -> float:
    """Return the mean loss of each token of a text but the first, in nats.

    The text is read in one piece from a state of zeros. Raises ValueError if it has fewer than two
    tokens, IndexError if the model does not know one.
    """
    return measure_batches(model, _whole(model, ids), LanguageModelling(1, 1)).loss


def _whole(model: LanguageModel, ids: ArrayLike) -> Iterator[Window]:
    """Yield a text as one column, in windows whose logits are not too large."""
    steps = max(1, min(1024, LOGITS // model.decoder.vocab_size))
    return windows(columns(ids, 1), steps)
