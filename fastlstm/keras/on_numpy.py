"""What runs on Keras's NumPy backend: a cell over a batch, for inference.

And the operations around it, as in `on_torch`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm import kernels
from fastlstm.kernels import Array, Call, CellSpec, Rows, Weights
from fastlstm.kernels.dense import dense
from fastlstm.kernels.rows import full_rows
from fastlstm.runtime import get_num_threads


def run_cell(
    cell: CellSpec,
    x: Array,
    states: list[Array],
    weights: list[Array | None],
    lengths: NDArray[np.int64] | None,
) -> tuple[Array, list[Array]]:
    """Return y [N,T,U], zero past the lengths, and the last states [N,U] over x [N,T,I]."""
    N, T, _ = x.shape
    rows = full_rows(T, N) if lengths is None else Rows(T, N, lengths)
    w_ih, w_hh, b_ih, b_hh = (None if w is None else dense(w) for w in weights)
    assert w_ih is not None
    assert w_hh is not None
    y = np.empty((N, T, states[0].shape[1]), w_hh.dtype)
    call = Call(
        _rows_in_one_piece(x).transpose(1, 0, 2),
        tuple(np.ascontiguousarray(s) for s in states),
        Weights(w_ih, w_hh, b_ih, b_hh),
        rows,
        y.transpose(1, 0, 2),
        n_threads=get_num_threads(),
    )
    ends, _ = kernels.backend().forward(cell, call)
    return y, list(ends)


def _rows_in_one_piece(x: Array) -> Array:
    return x if x.strides[-1] == x.itemsize else np.ascontiguousarray(x)


def cast_like(x: Array, other: Array) -> Array:
    return np.asarray(x, other.dtype)


def concatenate(arrays: list[Array]) -> Array:
    joined: Array = np.concatenate(arrays, -1)
    return joined


def copy(x: Array) -> Array:
    return np.array(x)


def flip(x: Array) -> Array:
    return x[:, ::-1]


def take(x: Array, steps: NDArray[np.int64]) -> Array:
    taken: Array = np.take_along_axis(x, steps[..., None], 1)
    return taken


def where(condition: NDArray[np.bool_], yes: Array, no: Array | float) -> Array:
    chosen: Array = np.where(condition, yes, np.asarray(no, yes.dtype))
    return chosen


def zeros_like(x: Array) -> Array:
    return np.zeros_like(x)


def is_quick_step(layer: Any) -> bool:
    return False


def why_not_tensors(arrays: list[Any]) -> str:
    for a in arrays:
        if type(a) is not np.ndarray:
            return f"an array of class {type(a).__name__}"
    return ""
