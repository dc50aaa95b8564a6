"""The training loop: epochs of steps, validation, the best epoch, stopping and resuming.

A run is a function of its seed: batch order comes from (seed, epoch), the random numbers of a
step from (seed, step). Nothing else is random, so a resumed run needs no generator state and
ends with the very bits of an unbroken one. Only a run against the clock (`seconds`) depends on
the machine as well.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm.train.average import Average
from fastlstm.train.evaluate import Batch, Loss, evaluate
from fastlstm.train.history import Epoch, History
from fastlstm.train.interrupt import InterruptGuard
from fastlstm.train.listener import Listener
from fastlstm.train.metrics import Running, count_correct
from fastlstm.train.optim import Optimizer
from fastlstm.train.prefetch import prefetch
from fastlstm.train.resumable import Arrays, Resumable
from fastlstm.train.schedule import Schedule, constant
from fastlstm.train.seeds import DATA, DROPOUT, generator

Transform = Callable[[Any, np.random.Generator], Batch]
BatchSource = Callable[[int, int], Iterable[Batch]]


class Trainer(Resumable):
    """Trains a model and keeps the weights of its best epoch.

    That is the one of the best validation accuracy, and of equal ones the least loss; where the
    labels are no classes (see `metrics.are_classes`), that of the least loss.

    Parameters
    ----------
    model : a `Module` with ``forward(*inputs, rng=rng) -> (logits, tape)``,
        ``backward(tape, dlogits)`` and ``model(*inputs) -> logits``, where `inputs` is what a
        batch has of that name: of texts ``(tokens, lengths)``.
    optimizer : over the model's parameters; its `lr` is what the schedule scales.
    loss : ``loss(logits, labels) -> (mean loss, dlogits)``.
    epochs : how many epochs to train at most.
    schedule : factor on the learning rate, a function of progress; see `train.schedule`.
    clip : limit of the global gradient norm; 0 for none.
    average : an `Average` of the model's weights: validated and kept in place of the weights.
    patience : stop after so many epochs without a better one; 0 for never. Needs validation.
    seed : of the random numbers given to `transform` and to the model.
    transform : ``transform(batch, rng) -> batch``, applied to training batches only.
    checkpoint : file to save the state to after every epoch and on Ctrl-C.
    identity : JSON object; a checkpoint can be resumed only by a trainer with an equal one.
    seconds : train so long, validation not counted, however many passes over the data that is;
        0 for no clock. The schedule then follows the seconds, and an epoch is a stretch of
        ``seconds / epochs``, so that there is a validation after each.
    listeners : see `Listener`.
    by_loss : the best epoch is that of the least loss, whatever the labels look like.

    Attributes
    ----------
    history : where the run stands; see `History`.
    best_weights : the best epoch's weights by name; empty before the first epoch is over.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    kind = "training state"
    history: History

    def __init__(
        self, model: Any, optimizer: Optimizer, loss: Loss, *, epochs: int,
        schedule: Schedule = constant, clip: float = 0.0, average: Average | None = None,
        patience: int = 0, seed: int = 0, transform: Transform | None = None,
        checkpoint: str | Path | None = None, identity: Mapping[str, object] | None = None,
        listeners: Sequence[Listener] = (), seconds: float = 0.0, by_loss: bool = False,
    ) -> None:  # fmt: skip
        limits = {"epochs": (epochs, 1), "patience": (patience, 0), "seed": (seed, 0)}
        for name, (value, low) in limits.items():
            if value < low:
                raise ValueError(f"{name} is {value}, expected at least {low}")
        if not clip >= 0:
            raise ValueError(f"clip is {clip}, expected a positive number, or 0 for none")
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds is {seconds}, expected a positive number, or 0 for none")
        super().__init__(model, optimizer, checkpoint, identity)
        self.loss, self.epochs, self.schedule, self.clip = loss, epochs, schedule, clip
        self.average, self.patience, self.seed = average, patience, seed
        self.transform, self.listeners, self.seconds = transform, tuple(listeners), seconds
        self.by_loss, self.history = by_loss, History()

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or `patience` epochs have passed without a better one."""
        done = len(self.history.epochs)
        return done >= self.epochs or 0 < self.patience <= done - self.history.best

    def fit(
        self, batches: BatchSource, steps_per_epoch: int,
        validation: Callable[[], Iterable[Batch]] | None = None,
    ) -> History:  # fmt: skip
        """Train until finished, from where the history stands; then load the best weights.

        Parameters
        ----------
        batches : ``batches(epoch, start)`` gives the batches of an epoch (from 0), the same
            ones each time it is asked, without the first `start`.
        steps_per_epoch : how many batches an epoch has; against the clock, a pass over the data.
        validation : gives the validation batches; None: the last epoch is the best one.

        Raises
        ------
        TrainingInterrupted
            After Ctrl-C, between two steps, with the checkpoint saved. `fit` can be called
            again to go on.
        FloatingPointError
            If the loss or a gradient is not finite.
        ValueError
            If an epoch has fewer batches than `steps_per_epoch`, or there is patience but no
            validation.
        """
        if steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch is {steps_per_epoch}, expected at least 1")
        if self.patience and validation is None:
            raise ValueError(f"patience is {self.patience} but there is no validation data")
        for listener in self.listeners:
            listener.on_start(self.history, steps_per_epoch, self.epochs)
        try:
            with InterruptGuard() as guard:
                while not self.finished:
                    self._train_epoch(batches, steps_per_epoch, guard)
                    self._stop_if(guard)
                    self._close_epoch(steps_per_epoch, validation)
                    self._stop_if(guard)
        finally:
            for listener in self.listeners:
                listener.on_stop()
        self.model.load_state_dict(self.best_weights)
        return self.history

    def start_after(self, history: History, weights: Arrays) -> None:
        """Stand after the epochs of a history, with the weights of its best one."""
        self.model.load_state_dict(weights)
        self.history, self.best_weights = history, dict(weights)

    def _train_epoch(self, batches: BatchSource, steps: int, guard: InterruptGuard) -> None:
        """Make the steps of the current epoch that are still to be made."""
        history = self.history
        start, before = time.perf_counter(), history.running.seconds
        todo = math.inf if self.seconds else steps - history.batch
        coming = self._prepared(batches, steps, history.step, history.step + todo)
        with closing(prefetch(coming)) as source:
            for batch in source:
                self._step(batch, steps)
                history.running.seconds = before + time.perf_counter() - start
                for listener in self.listeners:
                    listener.on_step(history)
                if guard.requested or self._time_is_up():
                    return

    def _prepared(
        self, batches: BatchSource, steps_per_epoch: int, step: int, end: float
    ) -> Iterator[Batch]:
        """Yield the batches of all steps before `end`, transformed; this runs in the background."""
        while step < end:
            epoch, start = divmod(step, steps_per_epoch)
            for batch in islice(batches(epoch, start), steps_per_epoch - start):
                rng = generator(self.seed, DATA, step)
                yield self.transform(batch, rng) if self.transform else batch
                step += 1
            done = step - epoch * steps_per_epoch
            if done != steps_per_epoch:
                raise ValueError(f"an epoch had {done} batches, expected {steps_per_epoch}")

    def _time_is_up(self) -> bool:
        """Whether the seconds of the current epoch are over, where there is a clock."""
        share = (len(self.history.epochs) + 1) / self.epochs
        return 0 < self.seconds * share <= self.history.seconds

    @np.errstate(over="ignore", invalid="ignore")  # a run that diverges is told by the checks
    def _step(self, batch: Batch, steps_per_epoch: int) -> None:
        history = self.history
        self.optimizer.lr = self._rate(history.step, steps_per_epoch)
        self.optimizer.zero_grad()
        rng = generator(self.seed, DROPOUT, history.step)
        logits, tape = self.model.forward(*batch.inputs, rng=rng)
        loss, dlogits = self.loss(logits, batch.labels)
        self._check_loss(loss)
        self.model.backward(tape, dlogits)
        factor = self._clip_factor(self.clip)
        self.optimizer.step(scale=factor, average=self.average)
        correct = count_correct(logits, batch.labels)
        history.running.add(loss, correct, len(batch.labels), batch.words)
        history.step += 1
        history.batch += 1

    def _rate(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate of a step."""
        if self.seconds:
            return self._lr * self.schedule(min(1.0, self.history.seconds / self.seconds))
        # the middle of the step: neither end of a schedule wastes a step on a rate of 0
        progress = (step + 0.5) / (steps_per_epoch * self.epochs)
        return self._lr * self.schedule(progress)

    def _close_epoch(
        self, steps_per_epoch: int, validation: Callable[[], Iterable[Batch]] | None
    ) -> None:
        rate = self._rate(self.history.step - 1, steps_per_epoch)
        with self.average.applied() if self.average else nullcontext():
            score: Running | None = None
            if validation is not None:
                score = evaluate(self.model, validation(), self.loss)
                score.classes = score.classes and not self.by_loss
            is_best = self.history.close_epoch(rate, score)
            if is_best:
                self.best_weights = self.model.state_dict()
        if self.checkpoint is not None:
            self.save(self.checkpoint)
        newest: Epoch = self.history.epochs[-1]
        for listener in self.listeners:
            listener.on_epoch(newest, is_best)

    def _position(self) -> str:
        return f"after {len(self.history.epochs)} epochs and {self.history.batch} batches"

    def _more_parts(self) -> dict[str, Arrays]:
        return {"average": self.average.state_dict() if self.average else {}}

    def _take_parts(self, parts: Mapping[str, Arrays]) -> None:
        if self.average:
            self.average.load_state_dict(parts.get("average", {}))

    def _full_identity(self) -> dict[str, object]:
        average = type(self.average).__name__ if self.average else None
        own: dict[str, object] = {"seed": self.seed, "epochs": self.epochs, "average": average}
        if self.seconds:  # checkpoints of versions without a clock still fit
            own["seconds"] = self.seconds
        return {**own, "optimizer": type(self.optimizer).__name__, **self.identity}
