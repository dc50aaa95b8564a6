"""What a forward pass of the reference keeps for its backward pass."""

from __future__ import annotations

from typing import NamedTuple

from fastlstm.kernels.reference_cells import Kept
from fastlstm.kernels.rows import Int64Array, Rows
from fastlstm.kernels.spec import Array, Reset, States, Tokens, Weights

Step = tuple[Int64Array, Int64Array]  # the times and the rows of one step, from `Rows.steps`


class Call(NamedTuple):
    """What `backward` needs of the arguments of `forward`."""

    x: Array | Tokens
    weights: Weights
    rows: Rows
    reverse: bool
    reset: Reset | None

    def start(self, state: States, step: Step) -> States:
        """Return copies of the states that the rows of `step` start from."""
        t, n = step
        before = tuple(s[n] for s in state)
        if self.reset is not None:
            anew = self.reset.mask[t, n]
            for s, start in zip(before, self.reset.state, strict=True):
                s[anew] = start[n[anew]]
        return before

    def inputs(self, step: Step) -> Array:
        return self.x.table[self.x.ids[step]] if isinstance(self.x, Tokens) else self.x[step]


class Record(NamedTuple):
    """One step of the rows alive: the states it started from, and what its cell kept."""

    before: States
    kept: Kept


class Tape(NamedTuple):
    """What `backward` needs of a forward pass: records, or states to make them again from."""

    call: Call
    recompute: int
    records: list[Record]
    starts: list[States]  # of every recompute-th step, [N, ...] each
