"""Masks of any shape: the valid steps of each row run together, and their outputs spread again.

A masked step keeps the states and repeats the output before it, or is zero; so it need not run.
N batch rows, T steps, in the order in which they run: the last one first if a layer goes backwards.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from fastlstm.keras.on_backend import take, where


class Valid(NamedTuple):
    """The valid steps of a batch, of which some are masked."""

    mask: NDArray[np.bool_]  # [N,T]
    lengths: NDArray[np.int64]  # [N], how many are valid
    take: NDArray[np.int64] | None  # [N,T], the places in x of those that run; None for 0, 1, ...
    place: NDArray[np.int64]  # [N,T], which of the outputs stands at a step; -1 for none so far

    def gather(self, x: Any) -> Any:
        """Return x [N,T,I] with the valid steps of each row first."""
        if self.take is None:
            return x
        return take(x, self.take)

    def spread(self, y: Any, first: Any, zero: bool) -> Any:
        """Return outputs for all steps, [N,T,U], of those y of the valid ones.

        `first`, [N,U], is what there is before any valid step; `zero` makes all masked ones 0.
        """
        if zero and self.take is None:
            return y  # is zero past the lengths
        y = take(y, np.maximum(self.place, 0))
        if zero:
            return where(self.mask[..., None], y, 0.0)
        before = self.place[..., None] < 0
        return where(~before, y, first[:, None]) if before.any() else y

    def last(self, h: Any, first: Any, zero: bool) -> Any:
        """Return the output of the last step, [N,U], with h the state after it."""
        if zero:
            return where(self.mask[:, -1:], h, 0.0)
        return where(self.lengths[:, None] > 0, h, first)


def valid_steps(mask: Any, go_backwards: bool) -> Valid | None:
    """Return the valid steps by a mask [N,T] or [N,T,1], None if all are."""
    mask = np.asarray(ops.convert_to_numpy(mask), bool)
    mask = mask[:, :, 0] if mask.ndim == 3 else mask
    if mask.all():
        return None
    T = mask.shape[1]
    if go_backwards:
        mask = mask[:, ::-1]
    lengths = mask.sum(axis=1, dtype=np.int64)
    place = np.cumsum(mask, axis=1, dtype=np.int64) - 1
    if not go_backwards and (mask == (np.arange(T) < lengths[:, None])).all():
        return Valid(mask, lengths, None, place)
    take = np.argsort(~mask, axis=1, kind="stable")
    return Valid(mask, lengths, T - 1 - take if go_backwards else take, place)
