"""Classes to learn from examples that do not count alike."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastlstm.nn.losses import bce_with_logits, cross_entropy
from fastlstm.nn.module import Array
from fastlstm.train.metrics import predicted
from fastlstm.train.tasks.task import Outcome, Task, learn


class Batch(Protocol):
    """What a batch must have; `fastlstm.text.Batch` does where its `weights` are given."""

    @property
    def inputs(self) -> tuple[Any, ...]: ...
    @property
    def labels(self) -> NDArray[np.integer]: ...
    @property
    def weights(self) -> NDArray[Any] | None: ...
    @property
    def words(self) -> int: ...


class WeightedClassification(Task):
    """Learns classes; of each batch the mean of ``weight * loss`` over its examples.

    The loss is `bce_with_logits` for logits [N], `cross_entropy` for [N, C]. It is divided by the
    number of examples, not by their weight: a batch of light ones moves the model less. With
    `normalized` weights the rate of learning is as without. Losses and accuracies of the history
    are weighted as well, and so is the choice of the best epoch.
    """

    def step(self, model: Any, batch: Batch, state: Any, rng: np.random.Generator) -> Outcome:
        logits, tape = model.forward(*batch.inputs, rng=rng)
        outcome, gradient = _outcome(batch, logits)
        learn(model, tape, gradient)
        return outcome

    def measure(self, model: Any, batch: Batch, state: Any) -> Outcome:
        return _outcome(batch, model(*batch.inputs))[0]

    def examples(self, batch: Batch) -> NDArray[Any]:
        return np.ones(len(batch.labels))


def normalized(weights: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return weights [N] with a mean of 1; None if all are equal, which is the same as none.

    Raises ValueError if all are 0.
    """
    largest = weights.max()
    if not largest:
        raise ValueError("the weights are all 0: nothing would count")
    if weights.min() == largest:
        return None
    weights = weights / largest  # so that a sum of large ones is finite
    scaled: NDArray[np.float64] = weights / weights.mean()
    return scaled


def _outcome(batch: Batch, logits: Array) -> tuple[Outcome, Array]:
    loss = bce_with_logits if logits.ndim == 1 else cross_entropy
    value, gradient = loss(logits, batch.labels, sample_weight=batch.weights)
    right = predicted(logits) == batch.labels
    weight = right if batch.weights is None else batch.weights[right]
    outcome = Outcome(
        value, len(batch.labels), batch.words, correct=float(weight.sum()), outputs=logits
    )
    return outcome, gradient
