"""Measure a model on data without training it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastlstm.nn.module import Array
from fastlstm.train.metrics import Running, are_classes, count_correct
from fastlstm.train.prefetch import prefetch

Loss = Callable[[Array, NDArray[Any]], tuple[float, Array]]


class Batch(Protocol):
    """What the trainer reads of a batch: `fastlstm.text.Batch` has it, and `PairBatch`.

    Attributes
    ----------
    inputs : what the model is called with, as ``model(*inputs)``.
    labels : int [M], what the loss compares the logits with.
    words : real tokens of the batch, for the speed that is shown.
    """

    @property
    def inputs(self) -> tuple[Any, ...]: ...
    @property
    def labels(self) -> NDArray[np.integer]: ...
    @property
    def words(self) -> int: ...


def evaluate(
    model: Any, batches: Iterable[Batch], loss: Loss,
    on_batch: Callable[[Any, Array], None] | None = None,
) -> Running:  # fmt: skip
    """Return loss, accuracy, words and seconds of `model` over `batches`.

    Parameters
    ----------
    model : called as ``model(*batch.inputs)``, gives logits [M] or [M, C].
    batches : any iterable; it runs in a background thread.
    loss : ``loss(logits, labels)`` gives the mean loss and the gradient of the logits.
    on_batch : called with each batch and its logits.
    """
    total = Running()
    start = time.perf_counter()
    for batch in prefetch(batches):
        logits = model(*batch.inputs)
        if on_batch is not None:
            on_batch(batch, logits)
        value, _ = loss(logits, batch.labels)
        correct = count_correct(logits, batch.labels)
        total.classes = total.classes and are_classes(logits, batch.labels)
        total.add(value, correct, len(batch.labels), batch.words)
    total.seconds = time.perf_counter() - start
    return total
