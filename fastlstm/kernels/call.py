"""The records that go to a backend and come back: one call of one layer in one direction.

Letters as in `spec`; R is the size of an output, H without a projection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.rows import Rows

# float32 or float64; all arrays of one call share one of the two.
Array = NDArray[Any]
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))

# How the products of a call are made: "float32" as its arrays are, in the others from rounded
# factors; see `reference.precision`. All else is computed as the arrays are.
PRECISIONS = ("float32", "bfloat16", "int8")

# The states of a cell in the order of `CellSpec.states`: h [N, R], and c [N, H] where there is one.
States = tuple[Array, ...]


class Weights(NamedTuple):
    """Weights of one layer in one direction, or their gradients; C-contiguous.

    With a projection the output is ``W_hr h`` and R its size; without one R is H.
    """

    w_ih: Array  # [G, I]
    w_hh: Array  # [G, R]
    b_ih: Array | None = None  # [G]
    b_hh: Array | None = None  # [G]
    w_hr: Array | None = None  # [R, H]
    params: States = ()  # [H] each, in the order of `CellSpec.params`

    def arrays(self) -> tuple[Array | None, ...]:
        """Return all of them in one row: the five, then the params."""
        return *self[:5], *self.params

    def map(self, function: Callable[[Array], Array]) -> Weights:
        """Return what a function makes of each of them that is there."""
        five = (None if a is None else function(a) for a in self[:5])
        return Weights._make((*five, tuple(map(function, self.params))))

    def sizes(self) -> tuple[int, int, int]:
        """Return I, H and R."""
        R = self.w_hh.shape[1]
        return self.w_ih.shape[1], R if self.w_hr is None else self.w_hr.shape[1], R


class Tokens(NamedTuple):
    """Input given by its distinct rows: the input of row n at time t is ``table[ids[t, n]]``.

    A batch of text holds far fewer distinct tokens than tokens, so the product with the input
    weights is made once for each of them.
    """

    ids: NDArray[np.int64]  # [T, N], rows of table; any valid row past a row's length
    table: Array  # [U, I]


class Reset(NamedTuple):
    """Where rows start again inside a batch.

    The step at time t of row n starts from `state` if ``mask[t, n]``, and not from the step run
    before it: as if the sequence had been cut there. Past a row's length nothing is read.
    """

    mask: NDArray[np.bool_]  # [T, N], C-contiguous
    state: States  # the state to start from, each [N, R or H]


class Call(NamedTuple):
    """One layer in one direction over a batch.

    Attributes
    ----------
    x : [T,N,I] with a contiguous last axis, or `Tokens`. Never read past a row's length.
    state : before the first step, in the order of ``cell.states``: h [N,R] and, of an LSTM, c
        [N,H].
    weights : w_ih [G,I], w_hh [G,R], b_ih and b_hh [G] or None; w_hr [R,H] of an LSTM with a
        projection; the cell's own params [H].
    rows : the lengths of the batch.
    y : [T,N,R], written in full: the outputs h_t, and zeros past each row's length.
    reverse : each row runs from its own last step to its first.
    reset : which steps start from another state than that of the step run before them; at a row's
        first step in place of `state`.
    mask : [N,R], recurrent dropout: at every step ``mask * h`` meets w_hh (of a late gate: mask
        times what is made of h); all else sees h itself. None for no mask.
    save : keep what `backward` needs. x, the weights, the reset and the mask are referred to, in
        the compiled backends y too: change none of them before `backward`.
    recompute : keep the states of every so many steps only; `backward` then runs the steps
        between them again, to the same bits. 0 keeps all.
    n_threads : at most so many; the reference runs on one.
    precision : of the products, one of `PRECISIONS`; of float64 arrays "float32" alone, as they
        are. "int8" is for inference: not with `save`.
    """

    x: Array | Tokens
    state: States
    weights: Weights
    rows: Rows
    y: Array
    reverse: bool = False
    reset: Reset | None = None
    mask: Array | None = None
    save: bool = False
    recompute: int = 0
    n_threads: int = 1
    precision: str = "float32"


class Gradients(NamedTuple):
    """What a backward pass is given, and where it writes.

    Attributes
    ----------
    dy : [T,N,R], gradient of the outputs, or None for zero. Never read past a row's length.
    dstate : gradients of the last states, like `Call.state`; any of them None for zero.
    weights : arrays shaped like the weights, added into; biases may be None.
    dx : [T,N,I] (for `Tokens` the gradient of the table, [U,I]), or None if not wanted. Written in
        full, with zeros past each row's length; or added into.
    accumulate_dx : add into dx in place of writing it.
    n_threads : as in `Call`.
    """

    dy: Array | None
    dstate: tuple[Array | None, ...]
    weights: Weights
    dx: Array | None = None
    accumulate_dx: bool = False
    n_threads: int = 1
