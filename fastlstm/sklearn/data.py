"""Sequences of words or of numbers, and their batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.nn.module import Array
from fastlstm.sklearn.weights import Floats
from fastlstm.text import Batch, Encoded, batches

EVALUATION_BATCH = 128  # rows of a batch without a backward pass


@dataclass(frozen=True, eq=False)
class Data:
    """Labelled sequences.

    Attributes
    ----------
    encoded : word ids; or, for numbers, the row of `values` of each step.
    values : [W, F], the numbers of all steps, one sequence after another; None for words.
    weights : [N], how much each sequence counts; None where all count alike.
    targets : [N, ...], numbers in place of the labels; None for classes.
    """

    encoded: Encoded
    values: Array | None = None
    weights: Array | None = None
    targets: Array | None = None

    def __len__(self) -> int:
        return len(self.encoded)

    def labelled(self, labels: ArrayLike, weights: Array | None = None) -> Data:
        """Return the same sequences with labels, int [N], and weights."""
        encoded = replace(self.encoded, labels=np.asarray(labels))
        return replace(self, encoded=encoded, weights=weights)

    def with_targets(self, targets: Array, weights: Array | None = None) -> Data:
        """Return the same sequences with numbers to learn, [N, ...], and weights."""
        return replace(self, targets=targets, weights=weights)

    def select(self, index: ArrayLike) -> Data:
        """Return the sequences of the given numbers, in that order."""
        rows = np.asarray(index)
        weights = None if self.weights is None else self.weights[rows]
        targets = None if self.targets is None else self.targets[rows]
        return Data(self.encoded.select(rows), self.values, weights, targets)

    def truncate(self, max_length: int, keep: str) -> Data:
        """Return sequences of at most so many steps, as `Encoded.truncate`."""
        return replace(self, encoded=self.encoded.truncate(max_length, keep))

    def batches(self, batch_size: int, **options: Any) -> Iterator[Batch]:
        """Yield batches as `fastlstm.text.batches`; of numbers, `tokens` is float [N, T, F]."""
        for batch in batches(self.encoded, batch_size, **options):
            if self.values is not None:
                batch = replace(batch, tokens=self.values[batch.tokens])
            if self.weights is not None:
                batch = replace(batch, weights=self.weights[batch.index])
            if self.targets is not None:
                batch = replace(batch, labels=self.targets[batch.index])
            yield batch


def outputs_of(net: Any, data: Data) -> Floats:
    """Return what a net says of each sequence, float64 [N, ...]."""
    found: Floats = np.empty(0)
    for batch in data.batches(EVALUATION_BATCH):
        outputs = net(batch.tokens, batch.lengths)
        if not found.size:
            found = np.empty((len(data), *outputs.shape[1:]))
        found[batch.index] = outputs
    return found
