"""Sequences of words or of numbers, and their batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.nn.module import Array
from fastlstm.text import Batch, Encoded, batches


@dataclass(frozen=True, eq=False)
class Data:
    """Labelled sequences.

    Attributes
    ----------
    encoded : word ids; or, for numbers, the row of `values` of each step.
    values : [W, F], the numbers of all steps, one sequence after another; None for words.
    """

    encoded: Encoded
    values: Array | None = None

    def __len__(self) -> int:
        return len(self.encoded)

    def labelled(self, labels: ArrayLike) -> Data:
        """Return the same sequences with labels, int [N]."""
        return replace(self, encoded=replace(self.encoded, labels=np.asarray(labels)))

    def select(self, index: ArrayLike) -> Data:
        """Return the sequences of the given numbers, in that order."""
        return Data(self.encoded.select(index), self.values)

    def batches(self, batch_size: int, **options: Any) -> Iterator[Batch]:
        """Yield batches as `fastlstm.text.batches`; of numbers, `tokens` is float [N, T, F]."""
        for batch in batches(self.encoded, batch_size, **options):
            yield batch if self.values is None else replace(batch, tokens=self.values[batch.tokens])
