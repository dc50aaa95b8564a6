"""Logits and class probabilities of texts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastlstm.models import TextClassifier
from fastlstm.nn.losses import log_softmax
from fastlstm.nn.module import Array
from fastlstm.text import Batch, Encoded, batches

EVALUATION_BATCH = 128  # texts in a batch without a backward pass

Float64 = NDArray[np.float64]


class LogitRows:
    """Puts the logits of batches, in any order, into the order of the N texts.

    `logits` is [N] or [N, C], as the model gives them.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.logits: Array = np.empty(0, np.float32)

    def add(self, batch: Batch, logits: Array) -> None:
        """Copy the logits of a batch."""
        if not len(self.logits):
            self.logits = np.empty((self._count, *logits.shape[1:]), logits.dtype)
        self.logits[batch.index] = logits


def predict_log_probabilities(
    model: TextClassifier, encoded: Encoded, batch_size: int = EVALUATION_BATCH,
    advance: Callable[[int], object] = lambda done: None,
) -> Float64:  # fmt: skip
    """Return the logarithm of each class's probability, float64 [N, C], for N >= 1 texts.

    The result does not depend on `batch_size`. `advance` is called with the number of further
    texts that are done.
    """
    rows = LogitRows(len(encoded))
    for batch in batches(encoded, batch_size):
        rows.add(batch, model(batch.tokens, batch.lengths))
        advance(len(batch.index))
    return log_probabilities(rows.logits)


def log_probabilities(logits: Array) -> Float64:
    """Return the log-softmax of logits [N, C]; [N] are logits of class 1, class 0 has 0."""
    z = logits.astype(np.float64)
    if z.ndim == 1:
        z = np.stack([np.zeros_like(z), z], axis=1)
    return log_softmax(z)
