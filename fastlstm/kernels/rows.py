"""Which rows of a ragged batch are alive at which step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.kernels.masked import refuse_masked

Int64Array = NDArray[np.int64]

# Terms of a long float32 sum that are added up before they go to the total: a chain of 10^7
# additions would be off by a hundredth. As in native/src/rows.h.
SUM_BLOCK = 512
SHARED = 4096  # steps and rows, up to which `Rows` are made once for all batches of that shape


class Rows:
    """One description of a batch, ragged or not, shared by all layers, directions and backends.

    Sorted by descending length, the rows alive at step s are the first ``n_at[s]`` of `order`:
    a batch that shrinks with s, so that padding is never computed.

    Parameters
    ----------
    T : steps of the batch, at least 1.
    N : rows of the batch, at least 1.
    lengths : integers [N] in 0..T, in any order; None if all rows have T steps.

    Attributes
    ----------
    T, N : as given.
    lengths : int64 [N], in the caller's order.
    full : whether every row has T steps.
    total : the sum of lengths.
    order : int64 [N], row numbers by descending length; equal lengths keep their order.
    n_at : int64 [T], how many rows are alive at step s (have a length > s).
    offset : int64 [T+1], cumulative `n_at`: where step s starts in a packed [total, ...] buffer.

    Raises
    ------
    TypeError
        If lengths are not integers.
    ValueError
        If there are no steps or no rows, or if lengths have another shape or are out of range.
    """

    __slots__ = ("N", "T", "full", "lengths", "n_at", "offset", "order", "total")

    def __init__(self, T: int, N: int, lengths: ArrayLike | None = None) -> None:
        if T < 1:
            raise ValueError(f"T is {T}, expected at least one step")
        if N < 1:
            raise ValueError(f"N is {N}, expected a batch of at least one row")
        self.T, self.N = T, N
        self.offset: Int64Array = np.zeros(T + 1, np.int64)
        if lengths is None:
            self.lengths: Int64Array = np.full(N, T, np.int64)
            self.order: Int64Array = np.arange(N, dtype=np.int64)
            self.n_at: Int64Array = np.full(T, N, np.int64)
        else:
            self.lengths = check_lengths(lengths, T, N)
            self.order = np.argsort(-self.lengths, kind="stable").astype(np.int64, copy=False)
            ended = np.bincount(self.lengths, minlength=T + 1)[:T]
            self.n_at = N - np.cumsum(ended, dtype=np.int64)
        np.cumsum(self.n_at, out=self.offset[1:])
        self.total = int(self.offset[T])
        self.full = self.total == T * N

    def steps(self, reverse: bool = False) -> Iterator[tuple[Int64Array, Int64Array]]:
        """Yield ``(time, row)`` index arrays of the rows alive at each step.

        Step s reads time s; in a reversed direction each row starts at its own end and reads
        time length-1-s.
        """
        for s in range(self.T):
            row = self.order[: self.n_at[s]]
            yield (self.lengths[row] - 1 - s if reverse else np.full_like(row, s)), row


def full_rows(T: int, N: int) -> Rows:
    """Return the rows of a batch of N sequences of T steps each; small ones are shared."""
    return _shared_rows(T, N) if T + N <= SHARED else Rows(T, N)


@lru_cache(maxsize=64)
def _shared_rows(T: int, N: int) -> Rows:
    rows = Rows(T, N)
    for array in (rows.lengths, rows.order, rows.n_at, rows.offset):
        array.flags.writeable = False
    return rows


def any_array(name: str, value: Any) -> NDArray[Any]:
    """Return what a user gave as an array, whatever its dtype; an error names the argument."""
    refuse_masked(name, value)
    try:
        array = np.asarray(value)
    except (ValueError, UserWarning):  # a warning where warnings are errors: NumPy before 1.24
        array = None
    if array is None or (array.dtype == object and _holds_lists(array)):
        raise ValueError(f"{name} is a list of unequal lists, expected those of an array")
    return array


def any_integers(name: str, value: Any) -> NDArray[np.integer]:
    """Return what a user gave as an array of integers; TypeError for others.

    An empty list holds no others: it is the shape of it that may be wrong.
    """
    array = any_array(name, value)
    if not array.size and not hasattr(value, "dtype"):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}, expected integers")
    return array


def _holds_lists(array: NDArray[Any]) -> bool:
    # A copy of what is broadcast: it fails at once where memory could not hold the elements.
    own = np.asarray(array, order="C")
    return any(isinstance(item, (list, tuple, np.ndarray)) for item in own.flat)


def check_lengths(lengths: ArrayLike, T: int, N: int) -> Int64Array:
    """Return a copy of `lengths` as int64 [N] after checking type, shape and range 0..T."""
    array = any_integers("lengths", lengths)
    if array.shape != (N,):
        raise ValueError(f"lengths has shape {array.shape}, expected ({N},)")
    outside = np.flatnonzero((array < 0) | (array > T))
    if outside.size:
        at = int(outside[0])
        raise ValueError(f"lengths[{at}] is {array[at]}, expected 0 to {T} (the steps of x)")
    return array.astype(np.int64)
