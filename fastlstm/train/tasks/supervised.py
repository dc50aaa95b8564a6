"""Learning from examples: each batch has inputs and their labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastlstm.nn.module import Array
from fastlstm.train.metrics import are_classes, count_correct
from fastlstm.train.tasks.task import Outcome, Task

Loss = Callable[[Array, NDArray[Any]], tuple[float, Array]]


class Batch(Protocol):
    """What a batch must have; `fastlstm.text.Batch` and `PairBatch` do.

    Attributes
    ----------
    inputs : the model is called as ``model(*inputs)``.
    labels : int [M], which the loss compares with the outputs.
    words : real tokens of the batch, for the speed.
    """

    @property
    def inputs(self) -> tuple[Any, ...]: ...
    @property
    def labels(self) -> NDArray[np.integer]: ...
    @property
    def words(self) -> int: ...


class Supervised(Task):
    """Makes a loss small, as in regression. The best epoch is that of least loss.

    Parameters
    ----------
    loss : ``loss(outputs, labels) -> (mean loss, gradient of the outputs)``.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def step(self, model: Any, batch: Batch, state: Any, rng: np.random.Generator) -> Outcome:
        outputs, tape = model.forward(*batch.inputs, rng=rng)
        loss, gradient = self.loss(outputs, batch.labels)
        model.backward(tape, gradient)
        return Outcome(loss, len(batch.labels), batch.words, self.trained(outputs, batch.labels))

    def measure(self, model: Any, batch: Batch, state: Any) -> Outcome:
        outputs = model(*batch.inputs)
        loss, _ = self.loss(outputs, batch.labels)
        correct = self.measured(outputs, batch.labels)
        return Outcome(loss, len(batch.labels), batch.words, correct, outputs=outputs)

    def trained(self, outputs: Array, labels: NDArray[Any]) -> int | None:
        """Return how many examples of a training batch are right; None if that has no meaning."""
        return None

    def measured(self, outputs: Array, labels: NDArray[Any]) -> int | None:
        """Return the same for a batch that the model is measured on."""
        return None


class Classification(Supervised):
    """Learns classes. The best epoch is the most accurate; of equal ones that of least loss.

    Training labels may also be probabilities. If the model is measured on labels that are no
    classes (see `metrics.are_classes`), the best epoch is that of least loss.
    """

    def trained(self, outputs: Array, labels: NDArray[Any]) -> int | None:
        return count_correct(outputs, labels)

    def measured(self, outputs: Array, labels: NDArray[Any]) -> int | None:
        return count_correct(outputs, labels) if are_classes(outputs, labels) else None
