"""The steps of a run, by one process or by several, each of which learns from some rows of a batch.

What comes out of several is that of one: losses and gradients are weighted by the examples they are
the mean of, and dropout draws for the whole batch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.distributed.processes import Processes
from fastlstm.nn.ready import told_when_ready
from fastlstm.nn.shared_draws import SharedDraws
from fastlstm.nn.state import State
from fastlstm.train.gradient_sum import DENSE, SENT, kinds_of, sum_gradients
from fastlstm.train.metrics import Errors, Running
from fastlstm.train.parameters import NamedParameter
from fastlstm.train.sending import Sending
from fastlstm.train.tasks.task import Outcome, Task

# What a process tells of a step, before the kinds of its gradients.
NOTES = 13
# At the end of a step: whether a process was asked to stop, and the seconds by its clock.
Standing = Callable[[], tuple[bool, float]]


class Share(NamedTuple):
    """The rows of a batch that one process has; `batch` is None if there are none.

    `weight` is the share of the loss that these rows have; None if only the step tells.
    """

    batch: Any
    rows: NDArray[np.int64]
    total: int  # rows of the whole batch
    inputs: tuple[Any, ...]  # of the whole batch
    weight: float | None = None


class OwnRows(NamedTuple):
    """The state of the rows that one process has of a batch."""

    state: Any
    rows: NDArray[np.int64]
    total: int  # rows of the whole batch


class Alone:
    """The steps of a run of one process, which learns from whole batches."""

    def __init__(self, task: Task) -> None:
        self._task = task

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Return the block that all steps of a `Trainer.fit` are made in."""
        yield

    def part(self, batch: Any) -> Any:
        """Return what this process has of a batch."""
        return batch

    def step(
        self, model: Any, part: Any, state: Any, rng: np.random.Generator, standing: Standing
    ) -> Outcome:
        """Make a step up to the gradients, which are then those of the whole batch."""
        return self._task.step(model, part, state, rng)

    def inputs(self, part: Any) -> tuple[Any, ...]:
        """Return the inputs of the whole batch that a part is of."""
        return self._task.inputs(part)

    def stops(self, own: bool) -> bool:
        """Whether the run is to stop; `own`: whether this process was asked to."""
        return own

    def seconds(self, own: float) -> float:
        """Return the seconds of the run; `own`: by the clock of this process."""
        return own

    def signal(self, own: int) -> int:
        """Return the signal that came to any of the processes, 0 for none; `own`: to this one."""
        return own

    def whole_state(self, state: Any) -> Any:
        """Return the state of all rows, of one that a step returned or a file had."""
        return state


class Together(Alone):
    """The steps that several processes make together.

    Parameters
    ----------
    processes : they all make the same calls of this.
    task : whose steps they are.
    parameters : those that are trained.
    """

    def __init__(
        self, processes: Processes, task: Task, parameters: Sequence[NamedParameter]
    ) -> None:
        super().__init__(task)
        self._processes, self._parameters = processes, parameters
        self._sending: Sending | None = None  # while they are at work
        self._known = (False, 0.0)  # `Standing` of all, after the last step

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let gradients travel early inside the block."""
        with closing(Sending(self._processes, self._parameters)) as self._sending:
            yield

    def part(self, batch: Any) -> Share:
        return share(self._task, batch, self._processes)

    def step(
        self, model: Any, part: Share, state: Any, rng: np.random.Generator, standing: Standing
    ) -> Outcome:
        assert self._sending is not None
        own = state.state if isinstance(state, OwnRows) else own_state(state, part.rows)
        outcome = Outcome(0.0, 0, 0)
        self._sending.begin(part.weight)
        if part.batch is not None:
            draws = SharedDraws(rng, part.rows, part.total, part.inputs)
            with told_when_ready(self._sending.tell):
                outcome = self._task.step(model, part.batch, own, draws)
        kinds = kinds_of(self._parameters, self._sending.end())
        notes = np.concatenate([_notes(outcome, part, *standing()), kinds])
        whole = self._summed(self._sending, self._processes.gather(notes))
        return whole._replace(state=OwnRows(outcome.state, part.rows, part.total))

    def _summed(self, sending: Sending, told: NDArray[np.float64]) -> Outcome:
        """Add up the gradients of all, who told this of them; return the outcome of all."""
        whole, weights = _merged(told)
        kinds = told[:, NOTES:].astype(np.int64)
        if not np.allclose(told[:, NOTES - 1], weights):  # it was sent with another weight
            kinds[kinds == SENT] = DENSE
        most = kinds.max(axis=0)
        sending.take(most == SENT)
        weight = float(weights[self._processes.rank])
        sum_gradients(self._processes, self._parameters, kinds, weight)
        sending.learn(most == DENSE)
        self._known = bool(told[:, 1].any()), float(told[0, 2])
        return whole

    def inputs(self, part: Share) -> tuple[Any, ...]:
        return part.inputs

    def stops(self, own: bool) -> bool:
        return self._known[0]

    def seconds(self, own: float) -> float:
        return self._known[1]

    def signal(self, own: int) -> int:
        return int(self._processes.gather(np.array([own])).max())

    def whole_state(self, state: Any) -> Any:
        if not isinstance(state, OwnRows):
            return state
        return whole_state(self._processes, *state)


def steps_of(processes: Processes, task: Task, parameters: Sequence[NamedParameter]) -> Alone:
    """Return how the steps of a run are made: by one process, or by several together."""
    return Alone(task) if processes.size == 1 else Together(processes, task, parameters)


def rows_of(work: NDArray[Any], rank: int, size: int) -> NDArray[np.int64]:
    """Return the rows of one process, increasing; each gets about as much work.

    Rows are dealt out by falling work, to and fro. `work` [N] is that of each row.
    """
    order = np.argsort(-np.asarray(work), kind="stable")
    place = np.arange(len(order)) % (2 * size)
    return np.sort(order[np.minimum(place, 2 * size - 1 - place) == rank])


def share(task: Task, batch: Any, processes: Processes) -> Share:
    """Return what this process has of a batch."""
    work = task.work(batch)
    rows = rows_of(work, processes.rank, processes.size)
    own = task.select(batch, rows) if len(rows) else None
    weight, examples = None, task.examples(batch)
    if examples is not None and len(examples) == len(work):
        weight = float(examples[rows].sum() / examples.sum()) if examples.any() else None
    return Share(own, rows, len(work), task.inputs(batch), weight)


def own_batches(task: Task, batches: Iterable[Any], processes: Processes) -> Iterable[Any]:
    """Return what this process has of each batch, to measure it; see `merged`."""
    if processes.size == 1:
        return batches
    shares = (share(task, batch, processes) for batch in batches)
    return (one.batch for one in shares if one.batch is not None)


def merged(processes: Processes, own: Running) -> Running:
    """Return what all have measured; the seconds are those of process 0."""
    if processes.size == 1:
        return own
    names = list(vars(own))
    told = processes.gather(np.array([float(getattr(own, name)) for name in names]))
    total = Running()
    for name, values in zip(names, told.T, strict=True):
        kind, summed = type(getattr(total, name)), sum(values.tolist())
        setattr(total, name, int(summed) if kind is int and summed == int(summed) else summed)
    total.classes = bool(told[:, names.index("classes")].all())
    total.seconds = float(told[0, names.index("seconds")])
    return total


def whole_state(
    processes: Processes, state: Any, rows: NDArray[np.int64], count: int
) -> State | None:
    """Return the state of all rows, `count` of them, of which this process has some."""
    own = [] if state is None else list(state) if isinstance(state, tuple) else [state]
    about = json.dumps([(part.dtype.str, part.shape) for part in own]).encode()
    told = [json.loads(one) for one in processes.gather_bytes(about)]
    whole = []
    for k, (dtype, (K, _, *more)) in enumerate(next(filter(None, told), [])):
        total = np.zeros((K, count, *more), dtype)
        if own:
            total[:, rows] = own[k]
        whole.append(processes.sum(total.reshape(-1)).reshape(total.shape))
    return State(whole) if whole else None


def own_state(state: Any, rows: NDArray[np.int64]) -> Any:
    """Return of the state of all rows that of some; None for none."""
    return None if state is None else State(part[:, rows] for part in state)


def _notes(outcome: Outcome, part: Share, stop: bool, seconds: float) -> NDArray[np.float64]:
    o, errors = outcome, outcome.errors or Errors(0, 0.0, 0.0)
    correct = math.nan if o.correct is None else o.correct
    told = (part.batch is not None, stop, seconds, o.loss, o.examples, o.words, correct, o.scale)
    weight = math.nan if part.weight is None else part.weight
    return np.array([*told, o.errors is not None, *errors, weight], np.float64)


def _merged(told: NDArray[np.float64]) -> tuple[Outcome, NDArray[np.float64]]:
    """Return the outcome of the whole batch, and what part of the loss each process has."""
    took = told[:, 0] > 0
    loss, examples, words, correct, scale = told[took, 3:8].T
    weights = np.zeros(len(told))
    weights[took] = examples / examples.sum() if examples.any() else 1 / took.sum()
    counted = weights[took] > 0
    has_errors, number, absolute, squared = told[took, 8:12].T
    errors = None
    if has_errors.all():
        errors = Errors(int(number.sum()), float(sum(absolute)), float(sum(squared)))
    whole = float(sum(correct))
    outcome = Outcome(
        loss=float(sum(loss[counted] * weights[took][counted])),
        examples=int(examples.sum()),
        words=int(words.sum()),
        correct=None if math.isnan(whole) else int(whole) if whole == int(whole) else whole,
        scale=float(scale[0]),
        errors=errors,
    )
    return outcome, weights
