"""What a forward pass of the reference keeps for its backward pass."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastlstm.kernels.call import Array, Call, States, Tokens, Weights
from fastlstm.kernels.reference.cells import Kept
from fastlstm.kernels.reference.dropout import Masked
from fastlstm.kernels.rows import Int64Array
from fastlstm.kernels.spec import CellSpec

Step = tuple[Int64Array, Int64Array]  # the times and the rows of one step, from `Rows.steps`


class Record(NamedTuple):
    """One step of the rows alive: the states before and after it, and what its cell kept.

    All as the precision keeps it.
    """

    before: States
    after: States
    kept: Kept


class Tape(NamedTuple):
    """What backward needs of a forward pass: records, or states to make them again from."""

    cell: CellSpec
    call: Call
    weights: Weights  # those of the call, as products see them
    records: list[Record]
    starts: list[States]  # of every `recompute`-th step, [N, ...] each


def before_step(call: Call, state: States, step: Step) -> States:
    """Return copies of the states that the rows of a step start from."""
    t, n = step
    before = tuple(s[n] for s in state)
    if call.reset is not None:
        anew = call.reset.mask[t, n]
        for s, start in zip(before, call.reset.state, strict=True):
            s[anew] = start[n[anew]]
    return before


def inputs_of(call: Call, step: Step) -> Array:
    """Return the inputs of the rows of a step, [n,I]."""
    return call.x.table[call.x.ids[step]] if isinstance(call.x, Tokens) else call.x[step]


def weights_of(tape: Tape, step: Step) -> Weights:
    """Return the weights as the products of the rows of a step see them."""
    mask, weights = tape.call.mask, tape.weights
    if mask is None:
        return weights
    dropped: Any = Masked(weights.w_hh, mask[step[1]])
    return weights._replace(w_hh=dropped)
