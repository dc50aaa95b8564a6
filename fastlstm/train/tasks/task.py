"""What a run learns: where batches come from, what a step does with one, how one is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np

Batches = Callable[[int, int], Iterable[Any]]
Validation = Callable[[], Iterable[Any]] | None


class Source(NamedTuple):
    """The batches of a run; see `Trainer.fit`."""

    batches: Batches
    steps_per_epoch: int
    validation: Validation = None


class Outcome(NamedTuple):
    """What came of a batch.

    Attributes
    ----------
    loss : mean over the examples.
    examples, words : counts; words are real tokens, without padding.
    correct : how many examples were classified right; None where there are no classes.
    state : of the recurrent layers after the batch, for the one that follows it; None for none.
    scale : factor on the gradients; the limit of their norm is for the scaled ones.
    outputs : what the model said, for whoever looks on while a model is measured.
    """

    loss: float
    examples: int
    words: int
    correct: int | None = None
    state: Any = None
    scale: float = 1.0
    outputs: Any = None


class Task:
    """Base of the tasks. A task keeps nothing from batch to batch: `state` goes in and out.

    Attributes
    ----------
    batches : what its batches are called in messages.
    """

    batches: ClassVar[str] = "batches"

    def source(self, model: Any, train: Any, validation: Any = None) -> Source:
        """Return the batches of data that the task cuts itself, for ``Trainer.fit(*source)``."""
        raise NotImplementedError(f"{type(self).__name__} has its batches from outside")

    def step(self, model: Any, batch: Any, state: Any, rng: np.random.Generator) -> Outcome:
        """Add the gradients of a batch to those of the model's parameters.

        Parameters
        ----------
        model : what is trained.
        batch : as the source of the batches gives it.
        state : that of the outcome before; None for the first batch of a pass over the data.
        rng : where all chance of the step comes from, such as dropout.
        """
        raise NotImplementedError

    def measure(self, model: Any, batch: Any, state: Any) -> Outcome:
        """Return what the model makes of a batch, and leave the gradients alone."""
        raise NotImplementedError

    def identity(self, trainer: Any) -> dict[str, object]:
        """Return what a training state must agree in, beside what every trainer asks for."""
        return {}


def shuffled(
    make: Callable[..., Iterable[Any]], train: Any, batch_size: int, seed: int,
    validation: Any = None, validation_batch: int = 0,
) -> Source:  # fmt: skip
    """Return batches of like length in an order that the seed and the epoch fix.

    Parameters
    ----------
    make : cuts data into batches, as `fastlstm.text.batches` does.
    train, validation : rows to learn, and rows to measure on in batches of
    validation_batch : rows; 0: as many as in training.
    """
    return Source(
        lambda epoch, start: make(train, batch_size, seed=seed, epoch=epoch, start=start),
        -(-len(train) // batch_size),
        None if validation is None else lambda: make(validation, validation_batch or batch_size),
    )
