"""Logits and class probabilities of texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fastlstm.distributed.launch import current
from fastlstm.distributed.processes import Processes
from fastlstm.models import TextClassifier
from fastlstm.nn.losses import log_softmax
from fastlstm.nn.module import Array
from fastlstm.text import Batch, Encoded
from fastlstm.text.batches import collate, plan_batches
from fastlstm.train.parallel import rows_of

EVALUATION_BATCH = 128  # texts in a batch without a backward pass
STEPS = 1 << 19  # of them with their padding: of very long texts there are fewer in a batch

Float64 = NDArray[np.float64]


class LogitRows:
    """Puts the logits of batches, in any order, into the order of the N texts.

    `logits` is [N] or [N, C], as the model gives them.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.logits: Array = np.zeros(0, np.float32)

    def add(self, batch: Batch, logits: Array) -> None:
        """Copy the logits of a batch."""
        if not len(self.logits):
            self.logits = np.zeros((self._count, *logits.shape[1:]), logits.dtype)
        self.logits[batch.index] = logits

    def gathered(self, processes: Processes) -> Array:
        """Return the logits of all texts, of which each process has added some."""
        if processes.size == 1:
            return self.logits
        about = json.dumps([self.logits.dtype.str, self.logits.shape]).encode()
        told = [json.loads(one) for one in processes.gather_bytes(about)]
        dtype, shape = max(told, key=lambda one: int(np.prod(one[1])))
        own = self.logits if len(self.logits) else np.zeros(shape, dtype)
        whole: Array = processes.sum(own.reshape(-1)).reshape(shape)  # zeros add nothing to a row
        return whole


def predict_log_probabilities(
    model: TextClassifier, encoded: Encoded, batch_size: int = EVALUATION_BATCH,
    advance: Callable[[int], object] = lambda done: None,
) -> Float64:  # fmt: skip
    """Return the logarithm of each class's probability, float64 [N, C], for N >= 1 texts.

    The result does not depend on `batch_size`. `advance` is called with the number of further
    texts that are done.
    """
    return log_probabilities(predict_logits(model, encoded, batch_size, advance))


def predict_logits(
    model: TextClassifier, encoded: Encoded, batch_size: int = EVALUATION_BATCH,
    advance: Callable[[int], object] = lambda done: None,
) -> Array:  # fmt: skip
    """Return the logits, [N] or [N, C]; as `predict_log_probabilities`."""
    rows, processes = LogitRows(len(encoded)), current()
    for batch in _bounded(encoded, batch_size):
        own = batch
        if processes.size > 1:
            own = batch.select(rows_of(batch.lengths, processes.rank, processes.size))
        if len(own.index):
            rows.add(own, model(own.tokens, own.lengths))
        advance(len(batch.index))
    return rows.gathered(processes)


def _bounded(encoded: Encoded, batch_size: int) -> Iterator[Batch]:
    """Yield all texts by falling length, in batches of no more steps than STEPS or one text has."""
    lengths = encoded.lengths
    for index in plan_batches(lengths, batch_size):
        count = max(1, STEPS // max(1, int(lengths[index[0]])))
        for start in range(0, len(index), count):
            yield collate(encoded, index[start : start + count])


def log_probabilities(logits: Array) -> Float64:
    """Return the log-softmax of logits [N, C]; [N] are logits of class 1, class 0 has 0."""
    z = logits.astype(np.float64)
    if z.ndim == 1:
        z = np.stack([np.zeros_like(z), z], axis=1)
    return log_softmax(z)
