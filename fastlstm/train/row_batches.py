"""Batches of arrays that have a row for each example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.kernels.rows import any_array
from fastlstm.train.seeds import DATA, generator

NEEDED = ("x", "targets")


@dataclass(frozen=True)
class Rows:
    """Sequences of numbers and what is to be learned of each.

    Attributes
    ----------
    x : [N,T,I].
    labels : [N, ...], numbers.
    lengths : int [N], the real steps of each; None if all have T.
    future : [N,S,F], what is known of the steps ahead; None for none.
    """

    x: NDArray[Any]
    labels: NDArray[Any]
    lengths: NDArray[np.integer] | None = None
    future: NDArray[Any] | None = None

    @classmethod
    def of(cls, name: str, data: Any) -> Rows:
        """Return the rows of ``(x, targets)`` and, if there are, lengths and future behind them.

        Either may be None. Errors tell `name`.
        """
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3, 4):
            kind = type(data).__name__
            raise TypeError(f"{name} is a {kind}, expected (x, targets) or (x, targets, lengths)")
        given = dict(zip(("x", "targets", "lengths", "future"), data, strict=False))
        arrays = {
            part: any_array(f"{name}: {part}", array)
            for part, array in given.items() if array is not None or part in NEEDED
        }  # fmt: skip
        N = len(arrays["x"]) if arrays["x"].ndim else 0
        for part, array in arrays.items():
            if array.ndim == 0 or len(array) != N or not N:
                expected = "rows" if part == "x" else f"{count_of(N, 'row')}, as x has"
                raise ValueError(f"{name}: {part} has shape {array.shape}, expected {expected}")
        return cls(arrays["x"], arrays["targets"], arrays.get("lengths"), arrays.get("future"))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: NDArray[np.integer]) -> Rows:
        behind = (None if part is None else part[index] for part in (self.lengths, self.future))
        return Rows(self.x[index], self.labels[index], *behind)

    def select(self, rows: NDArray[np.integer]) -> Rows:
        """Return some of the rows, int [n]."""
        return self[rows]

    @property
    def inputs(self) -> tuple[Any, ...]:
        """What the model is called with."""
        if self.future is not None:
            return self.x, self.lengths, self.future
        return (self.x,) if self.lengths is None else (self.x, self.lengths)

    @property
    def words(self) -> int:
        """Real steps, for the speed."""
        if self.lengths is not None:
            return int(self.lengths.sum())
        return int(np.prod(self.x.shape[:2]))


def row_batches(
    rows: Rows, batch_size: int, *, seed: int | None = None, epoch: int = 0, start: int = 0
) -> Iterator[Rows]:
    """Yield batches from number `start` on, in an order of (seed, epoch); None: as they stand."""
    order = np.arange(len(rows))
    if seed is not None:
        order = generator(seed, DATA, epoch).permutation(len(rows))
    for first in range(start * batch_size, len(rows), batch_size):
        yield rows[order[first : first + batch_size]]
