"""Training of a language model: windows of one long text, the state carried between them.

As in `train.trainer` a run is a function of its seed: the random numbers of a step come from
(seed, step), and a resumed run ends with the very bits of an unbroken one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.models import LanguageModel, softmax_loss
from fastlstm.nn.check import check_size
from fastlstm.nn.module import Array
from fastlstm.nn.state import State
from fastlstm.text import Window, columns, count_windows, windows
from fastlstm.train.interrupt import InterruptGuard
from fastlstm.train.language.history import LanguageEpoch, LanguageHistory
from fastlstm.train.optim import Optimizer
from fastlstm.train.resumable import Arrays, Resumable
from fastlstm.train.schedule import Schedule, constant
from fastlstm.train.seeds import DROPOUT, generator

POINTS = 20  # of the loss curve, in each epoch
LOGITS = 1 << 22  # elements of the logits of a window of `evaluate`: 16 MB in float32


class LanguageListener:
    """Hooks of the trainer; override what is of interest."""

    def on_start(self, history: LanguageHistory, steps_per_epoch: int, epochs: int) -> None:
        """Called when `LanguageTrainer.fit` begins, or goes on after a resume."""

    def on_step(self, history: LanguageHistory) -> None:
        """Called after every optimizer step."""

    def on_epoch(self, epoch: LanguageEpoch, is_best: bool) -> None:
        """Called when an epoch is trained, validated and saved."""


class LanguageTrainer(Resumable):
    """Trains a language model and keeps the weights of the epoch of least validation loss.

    Parameters
    ----------
    model : a `LanguageModel`.
    optimizer : over the model's parameters; its `lr` is what the schedule scales.
    epochs : how many epochs to train.
    batch_size, steps : N columns of the text side by side, in windows of T steps: gradients go
        back to the start of a window, the state goes on from the one before.
    schedule : factor on the learning rate, a function of progress; see `train.schedule`.
    clip : limit of the global gradient norm; 0 for none.
    sum_steps : take the gradient of the loss summed over a window's steps (and averaged over
        its columns), as Zaremba et al. 2014, whose learning rate 1 and limit 5 mean that; else
        of the mean over all places.
    seed : of dropout.
    checkpoint : file to save the state to after every epoch and on Ctrl-C.
    identity : JSON object; a checkpoint can be resumed only by a trainer with an equal one.
    listeners : see `LanguageListener`.

    Attributes
    ----------
    history : where the run stands; see `LanguageHistory`.
    best_weights : the best epoch's weights by name; empty before the first epoch is over.
    """

    kind = "training state of a language model"
    history: LanguageHistory

    def __init__(
        self, model: LanguageModel, optimizer: Optimizer, *, epochs: int, batch_size: int,
        steps: int, schedule: Schedule = constant, clip: float = 0.0, sum_steps: bool = False,
        seed: int = 0, checkpoint: str | Path | None = None,
        identity: Mapping[str, object] | None = None, listeners: Sequence[LanguageListener] = (),
    ) -> None:  # fmt: skip
        for name, value, low in (
            ("epochs", epochs, 1), ("batch_size", batch_size, 1), ("steps", steps, 1),
            ("seed", seed, 0),
        ):  # fmt: skip
            check_size(name, value, low)
        if not clip >= 0:
            raise ValueError(f"clip is {clip}, expected a positive number, or 0 for none")
        super().__init__(model, optimizer, checkpoint, identity)
        self.epochs, self.batch_size, self.steps = epochs, batch_size, steps
        self.schedule, self.clip, self.sum_steps = schedule, clip, bool(sum_steps)
        self.seed, self.listeners = seed, tuple(listeners)
        self.history = LanguageHistory()
        self._state: Any = None  # of the recurrent layers, after the last window

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return len(self.history.epochs) >= self.epochs

    def fit(self, train: ArrayLike, validation: ArrayLike | None = None) -> LanguageHistory:
        """Train until finished, from where the history stands; then load the best weights.

        Parameters
        ----------
        train : integers [W], the tokens of the text to learn.
        validation : the same of a text to measure each epoch on; None: the last epoch is best.

        Raises
        ------
        TrainingInterrupted
            After Ctrl-C, between two steps, with the checkpoint saved. `fit` can be called
            again to go on.
        FloatingPointError
            If the loss or a gradient is not finite.
        ValueError, IndexError
            If a text is too short for the batch, or holds tokens that the model does not know.
        """
        batch = columns(train, self.batch_size)
        count = count_windows(batch, self.steps)
        for listener in self.listeners:
            listener.on_start(self.history, count, self.epochs)
        with InterruptGuard() as guard:
            while not self.finished:
                self._train_epoch(batch, count, guard)
                self._stop_if(guard)
                self._close_epoch(count, validation)
                self._stop_if(guard)
        self.model.load_state_dict(self.best_weights)
        return self.history

    def _train_epoch(self, batch: NDArray[np.int32], count: int, guard: InterruptGuard) -> None:
        """Make the steps of the current epoch that are still to be made."""
        history = self.history
        start, before = time.perf_counter(), history.seconds
        if not history.window:
            self._state = None
        for window in windows(batch, self.steps, history.window):
            self._step(window, count)
            history.seconds = before + time.perf_counter() - start
            if history.window * POINTS // count > (history.window - 1) * POINTS // count:
                history.mark(len(history.epochs) + history.window / count)
            for listener in self.listeners:
                listener.on_step(history)
            if guard.requested:
                return

    @np.errstate(over="ignore", invalid="ignore")  # a run that diverges is told by the checks
    def _step(self, window: Window, count: int) -> None:
        history, model = self.history, self.model
        self.optimizer.lr = self._rate(history.step, count)
        self.optimizer.zero_grad()
        rng = generator(self.seed, DROPOUT, history.step)
        logits, state, tape = model.forward(window.tokens, self._state, rng)
        loss = softmax_loss(logits, window.targets)
        self._check_loss(loss)
        model.backward(tape, logits)
        # Summed over T steps the gradient is T times the mean's: the norm is compared with the
        # limit as if it were, and the factor makes it so.
        factor = len(window.tokens) if self.sum_steps else 1
        self.optimizer.step(scale=self._clip_factor(self.clip / factor) * factor)
        self._state = state
        history.add(loss, window.targets.size)

    def _rate(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step."""
        progress = (step + 0.5) / (steps_per_epoch * self.epochs)
        return self._lr * self.schedule(progress)

    def _close_epoch(self, count: int, validation: ArrayLike | None) -> None:
        history, start = self.history, time.perf_counter()
        loss = None if validation is None else evaluate(self.model, validation)
        rate = self._rate(history.step - 1, count)
        is_best = history.close_epoch(rate, loss, time.perf_counter() - start)
        if is_best:
            self.best_weights = self.model.state_dict()
        if self.checkpoint is not None:
            self.save(self.checkpoint)
        for listener in self.listeners:
            listener.on_epoch(history.epochs[-1], is_best)

    def _position(self) -> str:
        return f"after {len(self.history.epochs)} epochs and {self.history.window} windows"

    def _more_parts(self) -> dict[str, Arrays]:
        return {"state": {str(k): part for k, part in enumerate(_parts(self._state))}}

    def _take_parts(self, parts: Mapping[str, Arrays]) -> None:
        state = [array for _, array in sorted(parts.get("state", {}).items())]
        self._state = State(state) if state else None

    def _full_identity(self) -> dict[str, object]:
        own = {
            "model": self.model.options, "optimizer": type(self.optimizer).__name__,
            "lr": self._lr, "epochs": self.epochs, "batch_size": self.batch_size,
            "steps": self.steps, "clip": self.clip, "sum_steps": self.sum_steps, "seed": self.seed,
        }  # fmt: skip
        return {**own, **self.identity}


def evaluate(model: LanguageModel, ids: ArrayLike) -> float:
    """Return the mean loss of each token of a text but the first, in nats.

    The text is read in one piece from a state of zeros: each token is predicted from all that
    stand before it.

    Raises
    ------
    ValueError, IndexError
        If the text has fewer than two tokens, or some that the model does not know.
    """
    text, state, total = columns(ids, 1), None, 0.0
    steps = max(1, min(1024, LOGITS // model.decoder.vocab_size))
    for window in windows(text, steps):
        logits, state = model(window.tokens, state)
        total += softmax_loss(logits, window.targets, gradient=False) * window.targets.size
    return total / (len(text) - 1)


def _parts(state: Any) -> Sequence[Array]:
    """Return the arrays of a state: of an LSTM h and c, of other cells h, none of None."""
    if state is None:
        return ()
    return state if isinstance(state, State) else (state,)
