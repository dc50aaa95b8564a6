"""The training loop: epochs of steps, validation, the best epoch, stopping and resuming.

A run is a function of its seed: the order of batches comes from (seed, epoch), the random numbers
of a step from (seed, step). So a resumed run ends with the very bits of an unbroken one. Only a
run against the clock (`seconds`) depends on the machine as well.

Processes that share the batches all make the same steps: what one knows, they all know.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from itertools import islice, starmap
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm._version import __version__
from fastlstm.counts import count_of
from fastlstm.distributed.launch import current
from fastlstm.distributed.processes import Processes
from fastlstm.files.naming import named_path
from fastlstm.nn.state import State
from fastlstm.shown import shown
from fastlstm.train import checkpoint, earlier
from fastlstm.train.average import Average
from fastlstm.train.checkpoint import CheckpointError, Tensors
from fastlstm.train.clip import clip_factor
from fastlstm.train.evaluate import as_task, evaluate
from fastlstm.train.history import History
from fastlstm.train.interrupt import Interrupted, InterruptGuard
from fastlstm.train.listener import Listener
from fastlstm.train.metrics import Running
from fastlstm.train.optim import Optimizer
from fastlstm.train.parallel import Standing, merged, own_batches, steps_of
from fastlstm.train.parameters import NamedParameter
from fastlstm.train.prefetch import prefetch
from fastlstm.train.schedule import Schedule, constant
from fastlstm.train.seeds import DATA, DROPOUT, generator
from fastlstm.train.state import check_alike, copy_into
from fastlstm.train.tasks.supervised import Loss
from fastlstm.train.tasks.task import Batches, Task, Validation

GO_ON = "go on with the options and the data that it began with, or begin elsewhere"
KIND = "training state"

Transform = Callable[[Any, np.random.Generator], Any]
Gradients = Callable[[Sequence[NamedParameter]], None]


class TrainingInterrupted(Interrupted):
    """Ctrl-C or SIGTERM came in training; the run stands between two steps and can go on."""


class Trainer:
    """Trains a model and keeps the weights of its best epoch.

    Which epoch is the best one is the task's to say: of classes the one of best validation
    accuracy, and of equal ones of the least loss; of a regression that of the least loss.

    Parameters
    ----------
    model : a `Module` with what the task calls. A `Supervised` task needs
        ``forward(*inputs, rng=rng) -> (outputs, tape)``, ``backward(tape, doutputs)`` and
        ``model(*inputs) -> outputs``, where `inputs` is ``batch.inputs``: of texts
        ``(tokens, lengths)``.
    optimizer : over the model's parameters; the schedule scales its `lr`.
    task : a `Task`, or a function ``loss(outputs, labels) -> (mean loss, doutputs)``: one of
        `fastlstm.nn.regression_losses`, or a `functools.partial` of it, stands for its
        `Regression`, another one for its `Classification`.
    epochs : how many epochs to train at most.
    schedule : factor on the learning rate, a function of progress; see `train.schedule`.
    clip : limit of the global gradient norm; 0 for none.
    average : an `Average` of the model's weights: validated and kept in place of the weights.
    patience : stop after so many epochs without a better one; 0 for never. Needs validation.
    seed : of the random numbers given to `transform` and to the model.
    transform : ``transform(batch, rng) -> batch``, applied to training batches only.
    checkpoint : file to save the state to after every epoch and on Ctrl-C.
    identity : JSON object; a checkpoint can be resumed only by a trainer with an equal one.
    seconds : train for this time, without validation; 0 for no clock. The schedule then follows
        the seconds, and the run is validated after each ``seconds / epochs``, an epoch here.
    listeners : see `Listener`.
    gradients : called with the named parameters after each backward pass, before clipping: to
        look at the gradients, to change them or to add those of other processes.
    processes : share the rows of each batch, and all make the same calls; by default those of the
        `fastlstm.distributed.start` block around. Process 0 alone writes and has listeners.

    Attributes
    ----------
    history : where the run stands; see `History`.
    best_weights : the best epoch's weights by name; empty before the first epoch is over.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    def __init__(
        self, model: Any, optimizer: Optimizer, task: Task | Loss, *, epochs: int,
        schedule: Schedule = constant, clip: float = 0.0, average: Average | None = None,
        patience: int = 0, seed: int = 0, transform: Transform | None = None,
        checkpoint: str | Path | None = None, identity: Mapping[str, object] | None = None,
        listeners: Sequence[Listener] = (), seconds: float = 0.0,
        gradients: Gradients | None = None, processes: Processes | None = None,
    ) -> None:  # fmt: skip
        limits = {"epochs": (epochs, 1), "patience": (patience, 0), "seed": (seed, 0)}
        for name, (value, low) in limits.items():
            if value < low:
                raise ValueError(f"{name} is {value}, expected at least {low}")
        if not clip >= 0:
            raise ValueError(f"clip is {clip}, expected a positive number, or 0 for none")
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds is {seconds}, expected a positive number, or 0 for none")
        self.model, self.optimizer, self.task = model, optimizer, as_task(task)
        self.epochs, self.schedule, self.clip = epochs, schedule, clip
        self.average, self.patience, self.seed = average, patience, seed
        self.processes = processes or current()
        self.listeners = tuple(listeners) if self.processes.first else ()
        self.transform, self.seconds = transform, seconds
        self.checkpoint = named_path(checkpoint, "checkpoint") if checkpoint is not None else None
        self.identity = json.loads(json.dumps(identity or {}))  # as read from a file
        self.lr, self.history = optimizer.lr, History()
        self.best_weights: Tensors = {}
        self._gradients = gradients or (lambda parameters: None)
        self._parameters = list(model.named_parameters())
        self._trained = [(name, p) for name, p in self._parameters if p.trainable]
        self._state: Any = None  # of the recurrent layers after the last batch
        self._steps = steps_of(self.processes, self.task, self._trained)

    def __repr__(self) -> str:
        return shown(self, optimizer=self.optimizer, task=self.task)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or `patience` epochs have passed without a better one."""
        done = len(self.history.epochs)
        return done >= self.epochs or 0 < self.patience <= done - self.history.best

    def fit(self, batches: Batches, steps_per_epoch: int, validation: Validation = None) -> History:
        """Train until finished, from where the history stands; then load the best weights.

        Parameters
        ----------
        batches : ``batches(epoch, start)`` returns the batches of an epoch (from 0) from the batch
            `start` on, the same ones at each call.
        steps_per_epoch : batches in an epoch; against the clock, in a pass over the data.
        validation : returns the validation batches; None: the last epoch is the best one.

        Raises
        ------
        TrainingInterrupted
            After Ctrl-C, between two steps, with the checkpoint saved. Call `fit` again to go on.
        FloatingPointError
            If a loss or a gradient is not finite, or a weight after an epoch.
        ValueError
            If an epoch has fewer batches than `steps_per_epoch`, or a run that goes on had another
            number of them, or there is patience but no validation; ProcessesDiffer if the processes
            have not the same run before them.
        """
        if steps_per_epoch < 1:
            raise ValueError(f"steps_per_epoch is {steps_per_epoch}, expected at least 1")
        if self.patience and validation is None:
            raise ValueError(f"patience is {self.patience} but there is no validation data")
        self._check_steps(steps_per_epoch)
        self.processes.agree(self._told(steps_per_epoch))
        for listener in self.listeners:
            listener.on_start(self.history, steps_per_epoch, self.epochs)
        try:
            with InterruptGuard() as guard, self._steps.at_work():
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

    def _check_steps(self, steps_per_epoch: int) -> None:
        """Raise ValueError if the run has made steps with epochs of another length."""
        before = self.history.steps_per_epoch
        if before not in (0, steps_per_epoch) and not self.finished:
            raise ValueError(
                f"steps_per_epoch is {steps_per_epoch}, but the run that goes on has {before} "
                "batches in an epoch: give it the data and the batch size that it began with"
            )
        self.history.steps_per_epoch = steps_per_epoch

    def start_after(self, history: History, weights: Tensors) -> None:
        """Go on from the end of a history, with the weights of its best epoch."""
        self.model.load_state_dict(weights)
        self.history, self.best_weights = history, dict(weights)

    def save(self, path: str | Path) -> None:
        """Save all that a run needs to go on; errors as of `train.checkpoint.save`.

        Of several processes all call it, and process 0 writes.
        """
        found = self._steps.whole_state(self._state)
        if self.processes.first:
            self._write(path, found if isinstance(found, tuple) else (found,))

    def _write(self, path: str | Path, state: tuple[Any, ...]) -> None:
        parts = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best_weights,
            "average": self.average.state_dict() if self.average else {},
            "state": {str(k): part for k, part in enumerate(state) if part is not None},
        }
        note = {"identity": self._full_identity(), "history": self.history.to_json()}
        checkpoint.save(path, checkpoint.joined(parts), KIND, note)

    def load(self, path: str | Path) -> None:
        """Load a saved state; `fit` then goes on from there.

        Raises
        ------
        FileNotFoundError, CheckpointError
            As `train.checkpoint.load`; also CheckpointError if the state is that of another
            model, optimizer or `identity`.
        """
        tensors, note = checkpoint.load(path, KIND)
        saved, identity = note.get("identity"), self._full_identity()
        if not isinstance(saved, dict):
            raise CheckpointError(f"{path} is damaged: it does not say of which run it is")
        names = earlier.comparable(saved, identity)
        checkpoint.check_same(path, saved, identity, names, f"; {GO_ON}")
        parts = checkpoint.parted(tensors)
        weights = {name: parameter.data for name, parameter in self._parameters}
        try:
            history, best = History.from_json(note.get("history")), parts.get("best", {})
            check_alike(weights if history.best else {}, best, "the best weights")
            copy_into(weights, parts.get("model", {}), "the model")
            self.optimizer.load_state_dict(parts.get("optimizer", {}))
            if self.average:
                self.average.load_state_dict(parts.get("average", {}))
        except ValueError as error:
            raise CheckpointError(f"{path} is of another run: {error}") from error
        state = [array for _, array in sorted(parts.get("state", {}).items())]
        self._state = State(state) if state else None
        self.history, self.best_weights = history, best

    def _full_identity(self) -> dict[str, object]:
        average = type(self.average).__name__ if self.average else None
        own: dict[str, object] = {"seed": self.seed, "epochs": self.epochs, "average": average}
        if self.seconds:  # absent from checkpoints of versions without a clock
            own["seconds"] = self.seconds
        own["optimizer"] = type(self.optimizer).__name__
        return {**own, **self.task.identity(self), **self.identity}

    def _told(self, steps_per_epoch: int) -> dict[str, object]:
        """Return what processes must agree in before they train."""
        weights = 0
        for _, parameter in self._parameters:
            weights = zlib.crc32(parameter.data, weights)
        history = {**self.history.to_json(), "running": None}
        return {
            "the version": __version__, **self._full_identity(), "lr": self.lr, "clip": self.clip,
            "batches in an epoch": steps_per_epoch, "the weights": weights,
            "the history": zlib.crc32(json.dumps(history).encode()),
        }  # fmt: skip

    def _train_epoch(self, batches: Batches, steps: int, guard: InterruptGuard) -> None:
        """Make the remaining steps of the current epoch."""
        history = self.history
        start, before = time.perf_counter(), history.running.seconds
        todo = math.inf if self.seconds else steps - history.batch
        coming = self._prepared(batches, steps, history.step, history.step + todo)

        def seconds() -> float:
            return before + time.perf_counter() - start

        with closing(prefetch(coming)) as source:
            for part in source:
                self._step(part, steps, lambda: (guard.requested, seconds()))
                history.running.seconds = self._steps.seconds(seconds())
                for listener in self.listeners:
                    listener.on_step(history)
                if self._steps.stops(guard.requested) or self._time_is_up():
                    return

    def _prepared(
        self, batches: Batches, steps_per_epoch: int, step: int, end: float
    ) -> Iterator[Any]:
        """Yield what this process has of the transformed batches of all steps before `end`.

        It runs in the background.
        """
        while step < end:
            epoch, start = divmod(step, steps_per_epoch)
            for batch in islice(batches(epoch, start), steps_per_epoch - start):
                rng = generator(self.seed, DATA, step)
                batch = self.transform(batch, rng) if self.transform else batch
                yield self._steps.part(batch)
                step += 1
            done = step - epoch * steps_per_epoch
            if done != steps_per_epoch:
                raise ValueError(
                    f"an epoch had {count_of(done, 'batch', 'batches')}, expected {steps_per_epoch}"
                )

    def _time_is_up(self) -> bool:
        """Whether the seconds of the current epoch are over; never without a clock."""
        share = (len(self.history.epochs) + 1) / self.epochs
        return 0 < self.seconds * share <= self.history.seconds

    @np.errstate(over="ignore", invalid="ignore")  # the checks below report divergence
    def _step(self, part: Any, steps_per_epoch: int, standing: Standing) -> None:
        """Make a step with what this process has of a batch."""
        history = self.history
        self.optimizer.lr = self._rate(history.step, steps_per_epoch)
        self.optimizer.zero_grad()
        state = self._state if history.step % steps_per_epoch else None  # none for a new pass
        rng = generator(self.seed, DROPOUT, history.step)
        with self._divergence_told(lambda: [(part, self._steps.inputs(part))]):
            outcome = self._steps.step(self.model, part, state, rng, standing)
            if not math.isfinite(outcome.loss):
                raise FloatingPointError(f"the loss is {outcome.loss}")
            self._gradients(self._trained)
            _, factor = clip_factor(self._trained, self.clip / outcome.scale or math.inf)
        self.optimizer.step(scale=factor * outcome.scale, average=self.average)
        self._state = outcome.state
        history.add(outcome, steps_per_epoch)

    def _rate(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step."""
        if self.seconds:
            return self.lr * self.schedule(min(1.0, self.history.seconds / self.seconds))
        # the middle of the step, so that no step has a rate of 0
        progress = (step + 0.5) / (steps_per_epoch * self.epochs)
        return self.lr * self.schedule(progress)

    def _close_epoch(self, steps_per_epoch: int, validation: Validation) -> None:
        rate = self._rate(self.history.step - 1, steps_per_epoch)
        with self.average.applied() if self.average else nullcontext():
            with self._divergence_told(lambda: self._read(validation)):
                score = self._measured(validation()) if validation else None
                self._check_finite(score)
            is_best = self.history.close_epoch(rate, score, self.task.score)
            if is_best:
                self.best_weights = self.model.state_dict()
        if self.checkpoint is not None:
            self.save(self.checkpoint)
        for listener in self.listeners:
            listener.on_epoch(self.history.epochs[-1], is_best)

    def _read(self, validation: Validation) -> Iterator[tuple[Any, Any]]:
        """Return the batches of a validation, each with its inputs."""
        return ((batch, self.task.inputs(batch)) for batch in (validation() if validation else ()))

    @contextmanager
    def _divergence_told(self, read: Callable[[], Iterable[tuple[Any, Any]]]) -> Iterator[None]:
        """Say where the run stands, and what to try, if numbers are not finite inside the block.

        The batches `read` there, each with its inputs, may be the cause.
        """
        try:
            yield
        except FloatingPointError as error:
            way = next(filter(None, starmap(self.task.not_finite, read())), None)
            if way is None:
                way = "try a smaller learning rate"
                if self.optimizer.weight_decay:
                    way += f", or less weight decay, which is {self.optimizer.weight_decay:g}"
            raise FloatingPointError(f"{error} {self._position()}; {way}") from error

    def _check_finite(self, validation: Running | None) -> None:
        """Raise FloatingPointError if what an epoch learned, or found, is not finite.

        The last step of all is followed by no loss that would tell.
        """
        for name, parameter in self._trained:
            if not np.isfinite(parameter.data).all():
                raise FloatingPointError(f"{name} holds NaN or infinity")
        if validation is not None and not math.isfinite(validation.loss):
            raise FloatingPointError(f"the validation loss is {validation.loss}")

    def _measured(self, batches: Iterable[Any]) -> Running:
        own = own_batches(self.task, batches, self.processes)
        return merged(self.processes, evaluate(self.model, own, self.task))

    def _stop_if(self, guard: InterruptGuard) -> None:
        """Save and stop, if a signal came to any of the processes."""
        signal = self._steps.signal(guard.signal if guard.requested else 0)
        if not signal:
            return
        saved = ""
        if self.checkpoint is not None:
            self.save(self.checkpoint)
            self.processes.barrier()  # no process ends before all is written
            saved = f"; its state is in {self.checkpoint}"
        told = f"training was interrupted {self._position()}{saved}"
        raise TrainingInterrupted(told, signal)

    def _position(self) -> str:
        batches = count_of(self.history.batch, self.task.batch, self.task.batches)
        return f"after {count_of(len(self.history.epochs), 'epoch')} and {batches}"
