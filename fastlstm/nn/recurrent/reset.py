"""Resets: where rows of a batch start anew, in the form that kernels read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastlstm.kernels.rows import any_array
from fastlstm.nn.check import check_choice
from fastlstm.nn.sequence import Sequences, steps_first

BoolArray = NDArray[np.bool_]
RESET_AT = ("before", "after")


class Cuts(NamedTuple):
    """Where sequences are cut."""

    starts: tuple[BoolArray, ...]  # for each direction [T,N], the steps that start anew
    # [T,N], the steps after which a row starts anew; None with reset_at="before". After a row's
    # last step that is the state which a layer returns.
    done: BoolArray | None

    def window(self, start: int, stop: int) -> Cuts:
        """Return the cuts of the steps start..stop-1."""
        done = None if self.done is None else self.done[start:stop]
        return Cuts(tuple(mask[start:stop] for mask in self.starts), done)

    def ended(self, batch: Sequences) -> BoolArray | None:
        """Return bool [N], the rows that are done at their last step; None if there are none."""
        if self.done is None:
            return None
        rows = batch.rows
        last = self.done[rows.lengths - 1, np.arange(rows.N)]  # without steps -1, never marked
        return last if last.any() else None


def read_reset(
    reset: ArrayLike | None, reset_at: str, batch: Sequences, directions: int
) -> Cuts | None:
    """Return a user's mask, in the layout of the batch, as cuts; None if nothing is marked."""
    check_choice("reset_at", reset_at, RESET_AT)
    if reset is None:
        return None
    given, T, N = any_array("reset", reset), batch.rows.T, batch.rows.N
    shape = (T,) if batch.single else (N, T) if batch.batch_first else (T, N)
    if given.shape != shape:
        raise ValueError(f"reset has shape {given.shape}, expected {shape}")
    if given.dtype != bool:
        raise TypeError(f"reset has dtype {given.dtype}, expected bool")
    alive = np.arange(T)[:, None] < batch.rows.lengths
    here: BoolArray = steps_first(given, batch.single, batch.batch_first) & alive
    if not here.any():
        return None
    if reset_at == "before":
        starts, backward, done = here, _moved(here, -1), None
    else:
        starts, backward, done = _moved(here, 1), here, here
    masks = (starts, backward)[:directions]
    return Cuts(tuple(np.ascontiguousarray(m) for m in masks), done)


def _moved(mask: BoolArray, by: int) -> BoolArray:
    """Return a mask [T,N] moved by one step; what comes in is not marked."""
    moved = np.zeros_like(mask)
    moved[max(by, 0) : len(mask) + min(by, 0)] = mask[max(-by, 0) : len(mask) - max(by, 0)]
    return moved
