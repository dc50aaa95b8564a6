"""One long text as N columns side by side, read in windows of T steps.

This is the input of truncated backpropagation through time: each window goes on where the last
one ended, and so does the state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.counts import count_of
from fastlstm.kernels.masked import refuse_masked

Tokens = NDArray[np.int32]


class Window(NamedTuple):
    """Some steps of all columns.

    Attributes
    ----------
    tokens : int32 [T,N].
    targets : int32 [T,N], the token after each.
    """

    tokens: Tokens
    targets: Tokens

    def select(self, rows: NDArray[np.integer]) -> Window:
        """Return some of the columns, int [n]."""
        return Window(self.tokens[:, rows], self.targets[:, rows])


def columns(ids: ArrayLike, batch_size: int) -> Tokens:
    """Cut a text into N equal parts and return them side by side, int32 [W // N, N].

    Parameters
    ----------
    ids : integers [W], the tokens of the whole text. Those left over at the end are dropped.
    batch_size : N.

    Raises
    ------
    ValueError
        If ids are not integers of one axis, or fewer than two for each column.
    """
    refuse_masked("ids", ids)
    array = np.asarray(ids)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"ids is {array.ndim}-dimensional of {array.dtype}, expected integers [W]")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    length = len(array) // batch_size
    if length < 2:
        raise ValueError(
            f"ids has {count_of(len(array), 'token')}, expected at least {2 * batch_size}: two for "
            f"each of the {count_of(batch_size, 'column')} of a batch"
        )
    parts = array[: length * batch_size].reshape(batch_size, length)
    return np.ascontiguousarray(parts.T, np.int32)


def count_windows(columns: Tokens, steps: int) -> int:
    """Return the number of windows of T steps; the last token of a column is only a target.

    Parameters
    ----------
    columns : int32 [W, N], as `columns` returns them.
    steps : T.

    Raises
    ------
    ValueError
        If `steps` is below 1.
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}, expected at least 1")
    return -(-(len(columns) - 1) // steps)


def windows(columns: Tokens, steps: int, start: int = 0) -> Iterator[Window]:
    """Yield the windows of T steps in order; the last may be shorter.

    Parameters
    ----------
    columns : int32 [W, N], as `columns` returns them.
    steps : T.
    start : the first window to yield, 0 to `count_windows`; to resume a pass.

    Raises
    ------
    ValueError
        If `steps` is below 1, or `start` out of range.
    """
    count = count_windows(columns, steps)
    if not 0 <= start <= count:
        raise ValueError(f"start is {start}, expected 0 to {count}, the number of windows")
    tokens, targets = columns[:-1], columns[1:]
    return (
        Window(tokens[at : at + steps], targets[at : at + steps])
        for at in range(start * steps, len(tokens), steps)
    )
