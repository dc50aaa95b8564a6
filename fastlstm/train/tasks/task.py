"""What a run learns: where batches come from, what a step does with one, how one is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from inspect import isfunction, signature
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.nn.check import check_size, first_not_finite
from fastlstm.shown import shown
from fastlstm.train.metrics import Errors

Batches = Callable[[int, int], Iterable[Any]]
Validation = Callable[[], Iterable[Any]] | None


class Source(NamedTuple):
    """The batches of a run; see `Trainer.fit`."""

    batches: Batches
    steps_per_epoch: int
    validation: Validation = None


class Outcome(NamedTuple):
    """The result of a batch.

    Attributes
    ----------
    loss : mean over the examples.
    examples, words : counts; words without padding.
    correct : number of examples classified right, or their weight; None without classes.
    state : of the recurrent layers after the batch, for the next one; None for none.
    scale : factor on the gradients, applied before they are clipped.
    outputs : of the model, for `on_batch` of `evaluate`.
    errors : of a regression, how far it is off; None without.
    """

    loss: float
    examples: int
    words: int
    correct: float | None = None
    state: Any = None
    scale: float = 1.0
    outputs: Any = None
    errors: Errors | None = None


class Task:
    """Base of the tasks. A task keeps nothing from batch to batch: `state` goes in and out.

    Attributes
    ----------
    batch, batches : what one batch, and several, are called in messages.
    """

    batch: ClassVar[str] = "batch"
    batches: ClassVar[str] = "batches"

    def __repr__(self) -> str:
        return shown(self)

    def source(self, model: Any, train: Any, validation: Any = None) -> Source:
        """Return the batches of data that the task cuts itself, for ``Trainer.fit(*source)``."""
        raise NotImplementedError(f"{type(self).__name__} has its batches from outside")

    def step(self, model: Any, batch: Any, state: Any, rng: np.random.Generator) -> Outcome:
        """Add the gradients of a batch to those of the model's parameters.

        Parameters
        ----------
        model : what is trained.
        batch : one of the batches given to `Trainer.fit`.
        state : of the last outcome; None for the first batch of a pass over the data.
        rng : source of all randomness of the step, such as dropout.
        """
        raise NotImplementedError

    def measure(self, model: Any, batch: Any, state: Any) -> Outcome:
        """Return the outcome of a batch without touching the gradients."""
        raise NotImplementedError

    def work(self, batch: Any) -> NDArray[Any]:
        """Return how much work each row of a batch is, [N], for processes that share its rows."""
        lengths = getattr(batch, "lengths", None)
        return np.ones(len(batch.labels)) if lengths is None else np.asarray(lengths)

    def examples(self, batch: Any) -> NDArray[Any] | None:
        """Return how many of a step's examples each row of a batch is, [N]; None: not known before.

        Processes that know it send gradients while the step goes on.
        """
        return None

    def select(self, batch: Any, rows: NDArray[np.int64]) -> Any:
        """Return a batch of some rows of one, int [n]; here by its method `select`.

        Raises
        ------
        TypeError
            If the batch has no such method.
        """
        if not hasattr(batch, "select"):
            raise TypeError(
                f"processes cannot share a {type(batch).__name__}: expected a method select(rows) "
                "of the batch, or select, work and inputs of the task"
            )
        return batch.select(rows)

    def inputs(self, batch: Any) -> tuple[Any, ...]:
        """Return what the model is called with."""
        return tuple(getattr(batch, "inputs", ()))

    def not_finite(self, batch: Any, inputs: tuple[Any, ...]) -> str | None:
        """Return which of a batch's inputs is no finite number, and what to do; or None.

        Such a batch is the cause of a loss that is NaN, whatever the learning rate.
        """
        for n, array in enumerate(inputs):
            if getattr(getattr(array, "dtype", None), "kind", "") != "f" or array.ndim < 2:
                continue
            name = "x" if n == 0 else f"input {n}"  # such as what is known of the steps ahead
            lengths = None if n else _lengths_of(batch, array)
            found = first_not_finite(f"in a batch {name}", array, lengths)
            if found:
                return f"{found}, expected a finite number: leave it out, or put one there"
        return None

    def score(self, epoch: Any) -> tuple[float, ...]:
        """Return the rank of a finished `Epoch`: that of the largest is the best one.

        Here validation accuracy, then the smaller loss; without classes only the loss counts.
        """
        score: tuple[float, ...] = epoch.score
        return score

    def identity(self, trainer: Any) -> dict[str, object]:
        """Return what a training state must agree in, besides what every trainer asks for."""
        return {}


def _lengths_of(batch: Any, array: NDArray[Any]) -> NDArray[np.integer] | None:
    """Return the lengths of a batch if they are those of the rows [N,T,...] of an array."""
    lengths = np.asarray(getattr(batch, "lengths", None))
    if array.ndim < 3 or lengths.dtype.kind not in "iu" or lengths.shape != array.shape[:1]:
        return None
    return lengths if lengths.max(initial=0) <= array.shape[1] else None


def learn(model: Any, tape: Any, gradient: NDArray[Any]) -> None:
    """Add to the gradients of a model's parameters, given that of its outputs.

    That of its inputs is read by nobody here: a model whose `backward` has a parameter `needs_dx`
    leaves it out.
    """
    own = getattr(type(model), "backward", None)  # what stands for a model may have none
    if isfunction(own) and _has_needs_dx(own):
        model.backward(tape, gradient, needs_dx=False)
    else:
        model.backward(tape, gradient)


@cache
def _has_needs_dx(backward: Callable[..., Any]) -> bool:
    return "needs_dx" in signature(backward).parameters


def shuffled(
    make: Callable[..., Iterable[Any]], train: Any, batch_size: int, seed: int,
    validation: Any = None, validation_batch: int = 0,
) -> Source:  # fmt: skip
    """Return batches of like length in an order that depends on the seed and the epoch only.

    `make` cuts data into batches, as `fastlstm.text.batches` does. Those of `validation` have
    `validation_batch` rows; 0: as many as in training. Raises TypeError or ValueError for an
    impossible `batch_size`.
    """
    check_size("batch_size", batch_size)
    return Source(
        lambda epoch, start: make(train, batch_size, seed=seed, epoch=epoch, start=start),
        -(-len(train) // batch_size),
        None if validation is None else lambda: make(validation, validation_batch or batch_size),
    )
