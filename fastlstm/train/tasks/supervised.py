"""Learning from examples: each batch has inputs and their labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastlstm.nn.losses import bce_with_logits, cross_entropy
from fastlstm.nn.module import Array
from fastlstm.train.metrics import are_classes, count_correct
from fastlstm.train.tasks.task import Outcome, Task, learn

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


class Part(NamedTuple):
    """Some rows of a batch whose inputs all have its rows first."""

    inputs: tuple[Any, ...]
    labels: NDArray[Any]
    words: int


class Supervised(Task):
    """Makes a loss small, as in regression. The best epoch is that of least loss.

    Parameters
    ----------
    loss : ``loss(outputs, labels) -> (mean loss, gradient of the outputs)``.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def step(self, model: Any, batch: Batch, state: Any, rng: np.random.Generator) -> Outcome:
        outputs, tape = self.forward(model, batch, rng)
        loss, gradient = self.compared(outputs, batch)
        learn(model, tape, gradient)
        return self.outcome(loss, outputs, batch, self.trained(outputs, batch.labels))

    def forward(self, model: Any, batch: Batch, rng: np.random.Generator) -> tuple[Array, Any]:
        """Run a batch to train: the outputs, and the tape."""
        outputs, tape = model.forward(*batch.inputs, rng=rng)
        return outputs, tape

    def measure(self, model: Any, batch: Batch, state: Any) -> Outcome:
        outputs = model(*batch.inputs)
        loss, _ = self.compared(outputs, batch)
        return self.outcome(loss, outputs, batch, self.measured(outputs, batch.labels))

    def compared(self, outputs: Array, batch: Batch) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient."""
        return self.loss(outputs, batch.labels)

    def examples(self, batch: Batch) -> NDArray[Any] | None:
        lengths = getattr(batch, "target_lengths", None)  # of pairs, whose labels are tokens
        return np.ones(len(batch.labels)) if lengths is None else np.asarray(lengths)

    def select(self, batch: Batch, rows: NDArray[np.int64]) -> Any:
        if hasattr(batch, "select"):
            return super().select(batch, rows)
        N = len(batch.labels)
        if not all(isinstance(one, np.ndarray) and len(one) == N for one in batch.inputs):
            return super().select(batch, rows)
        inputs = tuple(one[rows] for one in batch.inputs)
        return Part(inputs, batch.labels[rows], round(batch.words * len(rows) / N))

    def outcome(self, loss: float, outputs: Array, batch: Batch, correct: int | None) -> Outcome:
        """Return the outcome of a batch whose loss and number of right examples are known."""
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

    def step(self, model: Any, batch: Batch, state: Any, rng: np.random.Generator) -> Outcome:
        _check_loss(self.loss, np.asarray(batch.labels))
        return super().step(model, batch, state, rng)

    def trained(self, outputs: Array, labels: NDArray[Any]) -> int | None:
        if np.issubdtype(labels.dtype, np.floating) and labels.shape != outputs.shape[:1]:
            return None  # the numbers of a regression whose loss is the user's own
        return count_correct(outputs, labels)

    def measured(self, outputs: Array, labels: NDArray[Any]) -> int | None:
        return count_correct(outputs, labels) if are_classes(outputs, labels) else None


def _check_loss(loss: Loss, labels: NDArray[Any]) -> None:
    """Raise ValueError if the numbers of a regression are given to a loss of classes."""
    plain: Any = unwrapped(loss)
    if plain not in (bce_with_logits, cross_entropy) or labels.dtype.kind != "f":
        return
    if plain is cross_entropy or not ((labels >= 0) & (labels <= 1)).all():
        raise ValueError(
            f"labels has shape {labels.shape} and dtype {labels.dtype}, which are no classes for "
            f"{plain.__name__}: numbers are learned by a loss of regressions, as fl.mse_loss, or "
            "by the task Regression(loss)"
        )


def unwrapped(loss: Any) -> Any:
    """Return the function inside of any `functools.partial`."""
    while isinstance(loss, partial):
        loss = loss.func
    return loss
