"""Arguments of a call, read alike by the backends in Python; `_native.pyx` checks as they do.

What comes back is plain arrays: a subclass of NumPy's may answer differently at each look.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.kernels.call import (
    DTYPES,
    PRECISIONS,
    Array,
    Call,
    Gradients,
    Reset,
    Tokens,
    Weights,
)
from fastlstm.kernels.rows import Rows
from fastlstm.kernels.spec import CellSpec

MOST = 1 << 40  # of any one size
MOST_SUMMED = (2**31 - 1) // 127**2  # products of two int8 numbers that an int32 sum holds


def plain(name: str, value: Any, dtype: np.dtype[Any], shape: tuple[int | None, ...]) -> Array:
    """Return an array after checking its dtype and shape; a None stands for any size."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} is a {type(value).__name__}, expected an array of {dtype}")
    array: Array = np.asarray(value)
    if array.dtype != dtype:
        raise TypeError(f"{name} is an array of {array.dtype}, expected {dtype}")
    if array.shape != shape and (
        len(shape) != array.ndim
        or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True))
    ):
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        expected += "," * (len(shape) == 1)
        raise ValueError(f"{name} has shape {array.shape}, expected ({expected})")
    return array


def read_call(cell: CellSpec, call: Call) -> Call:
    """Check a forward pass of a cell; return it with plain arrays.

    Raises
    ------
    TypeError, ValueError
        If an array does not fit the others.
    IndexError
        If a token is not in its table.
    """
    check_recompute(call.recompute)
    weights, (I, H, R) = read_weights(cell, call.weights)
    rows, reset, mask = call.rows, call.reset, call.mask
    T, N, dtype = rows.T, rows.N, weights.w_hh.dtype
    check_precision(call.precision, dtype, save=call.save, cell=cell)
    if call.precision == "int8":
        check_int8_weights(weights)
    sizes = cell.state_sizes(H, R)
    if reset is not None:
        starts = plain("reset.mask", reset.mask, np.dtype(bool), (T, N))
        reset = Reset(starts, _read_states("reset.state", reset.state, N, sizes, dtype))
    return call._replace(
        x=_read_input(call.x, rows, I, dtype),
        state=_read_states("state", call.state, N, sizes, dtype),
        weights=weights,
        y=plain("y", call.y, dtype, (T, N, R)),
        reset=reset,
        mask=None if mask is None else plain("mask", mask, dtype, (N, R)),
    )


def read_weights(cell: CellSpec, weights: Weights) -> tuple[Weights, tuple[int, int, int]]:
    """Return weights as plain arrays, and the sizes I, H, R that they tell."""
    w_ih, w_hh, b_ih, b_hh, w_hr, params = weights
    dtype = np.dtype(getattr(w_hh, "dtype", object))
    if dtype not in DTYPES:
        told = f"of {dtype}" if hasattr(w_hh, "dtype") else f"a {type(w_hh).__name__}"
        raise TypeError(f"w_hh is {told}, expected an array of float32 or float64")
    w_hh, w_ih = _matrix("w_hh", w_hh, dtype), _matrix("w_ih", w_ih, dtype)
    R = w_hh.shape[1]
    if w_hr is not None:
        if not cell.projects:
            raise ValueError("w_hr is given, expected None for this cell")
        w_hr = _matrix("w_hr", w_hr, dtype, R)
    _, H, _ = sizes = Weights(w_ih, w_hh, w_hr=w_hr).sizes()
    GH = cell.gate_rows(H)
    plain("w_hh", w_hh, dtype, (GH, None))
    plain("w_ih", w_ih, dtype, (GH, None))
    b_ih, b_hh = (
        None if b is None else plain(name, b, dtype, (GH,))
        for name, b in (("b_ih", b_ih), ("b_hh", b_hh))
    )
    return Weights(w_ih, w_hh, b_ih, b_hh, w_hr, _read_params(cell, params, dtype, H, "")), sizes


def _read_params(
    cell: CellSpec, params: Any, dtype: np.dtype[Any], H: int, prefix: str
) -> tuple[Array, ...]:
    params = tuple(params)
    if len(params) != len(cell.params):
        raise ValueError(
            f"{prefix}params has {count_of(len(params), 'array')}, expected {len(cell.params)} "
            f"({', '.join(cell.params) or 'this cell has none'})"
        )
    named = zip(cell.params, params, strict=True)
    return tuple(plain(f"{prefix}{name}", param, dtype, (H,)) for name, param in named)


def _matrix(name: str, value: Any, dtype: np.dtype[Any], rows: int | None = None) -> Array:
    weight = plain(name, value, dtype, (rows, None))
    if not weight.size:
        raise ValueError(f"{name} has shape {weight.shape}, expected no empty axis")
    return weight


def _read_states(
    name: str, state: Any, N: int, sizes: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Any, ...]:
    state = tuple(state)
    if len(state) != len(sizes):
        raise ValueError(f"{name} has {count_of(len(state), 'array')}, expected {len(sizes)}")
    return tuple(
        plain(f"{name}[{i}]", part, dtype, (N, size))
        for i, (part, size) in enumerate(zip(state, sizes, strict=True))
    )


def _read_input(x: Array | Tokens, rows: Rows, I: int, dtype: np.dtype[Any]) -> Any:
    if not isinstance(x, Tokens):
        return plain("x", x, dtype, (rows.T, rows.N, I))
    tokens = Tokens(
        plain("ids", x.ids, np.dtype(np.int64), (rows.T, rows.N)),
        plain("table", x.table, dtype, (None, I)),
    )
    check_ids(tokens, rows)
    return tokens


def check_ids(x: Any, rows: Rows) -> None:
    """Raise IndexError if an id of a real step is not in the table; any other x passes."""
    if not isinstance(x, Tokens):
        return
    ids, U = x.ids, len(x.table)
    wrong = np.argwhere(((ids < 0) | (ids >= U)) & (np.arange(rows.T)[:, None] < rows.lengths))
    if len(wrong):
        t, n = (int(i) for i in wrong[0])
        raise IndexError(f"ids[{t}, {n}] is {ids[t, n]}, expected 0 to {U - 1}")


def read_gradients(cell: CellSpec, call: Call, given: Gradients) -> Gradients:
    """Check a backward pass against the call of forward; zeros take the place of a None in dstate.

    The tokens are checked once more: the owner of the array may have used it for others.
    """
    check_ids(call.x, call.rows)
    T, N, weights, dtype = call.rows.T, call.rows.N, call.weights, call.weights.w_hh.dtype
    I, H, R = weights.sizes()
    _check_weight_gradients(cell, given.weights, weights)
    dy, dstate, dx, sizes = given.dy, given.dstate, given.dx, cell.state_sizes(H, R)
    if len(dstate) != len(sizes):
        raise ValueError(f"dstate has {count_of(len(dstate), 'array')}, expected {len(sizes)}")
    dstate = tuple(
        np.zeros((N, size), dtype) if d is None else plain(f"dstate[{i}]", d, dtype, (N, size))
        for i, (d, size) in enumerate(zip(dstate, sizes, strict=True))
    )
    if dy is not None:
        dy = plain("dy", dy, dtype, (T, N, R))
    if dx is not None:
        shape = call.x.table.shape if isinstance(call.x, Tokens) else (T, N, I)
        dx = plain("dx", dx, dtype, shape)
    return given._replace(dy=dy, dstate=dstate, dx=dx)


def _check_weight_gradients(cell: CellSpec, grads: Weights, weights: Weights) -> None:
    """Raise an error unless there is a gradient like each weight; that of a bias may be None."""
    for name, grad, weight in zip(Weights._fields[:5], grads[:5], weights[:5], strict=True):
        if grad is None and (weight is None or name.startswith("b_")):
            continue
        if weight is None and name == "w_hr":
            raise ValueError("grads.w_hr is given, expected None as there was no w_hr")
        like = weights.w_hh if weight is None else weight
        shape = like.shape[:1] if weight is None else like.shape
        _check_writable(f"grads.{name}", plain(f"grads.{name}", grad, like.dtype, shape))
    _, H, _ = weights.sizes()
    params = _read_params(cell, grads.params, weights.w_hh.dtype, H, "grads.")
    for name, param in zip(cell.params, params, strict=True):
        _check_writable(f"grads.{name}", param)


def _check_writable(name: str, array: Array) -> None:
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only, expected an array to add to")


def check_precision(
    precision: object, dtype: np.dtype[Any], *, save: bool, cell: CellSpec | None = None
) -> None:
    """Check that products can be made so of arrays of a dtype, and then be gone back through.

    Raises
    ------
    ValueError
        If there is no such precision, it does not fit the dtype or the cell, or it is int8 with
        `save`.
    """
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if precision != "float32" and dtype != np.float32:
        raise ValueError(
            f"precision is {precision!r} with arrays of {dtype}, expected 'float32', which makes "
            "products as the arrays are: the others need arrays of float32"
        )
    if precision != "float32" and cell is not None and not cell.usual:
        raise ValueError(
            f"precision is {precision!r} with activation {cell.activation.told} and "
            f"recurrent_activation {cell.recurrent_activation.told}, expected 'float32': the "
            "others are for tanh and sigmoid alone"
        )
    if precision == "int8" and save:
        raise ValueError(
            "precision is 'int8', which is for inference alone: expected 'float32' or 'bfloat16' "
            "where a backward pass is to follow"
        )


def check_matmul(precision: object, K: int = 0) -> None:
    """Check that rows of K numbers, float32, can be multiplied so.

    Raises
    ------
    ValueError
        If there is no such precision, or sums of int8 would not fit in 32 bits.
    """
    check_precision(precision, np.dtype(np.float32), save=False)
    if precision == "int8" and K > MOST_SUMMED:
        raise ValueError(
            f"b has rows of {K:,} numbers, expected at most {MOST_SUMMED:,} in int8, whose sums "
            "have 32 bits"
        )


def check_int8_weights(weights: Weights) -> None:
    """Raise ValueError if a weight cannot be rounded to int8, or its sums not be held in int32."""
    for name in ("w_ih", "w_hh", "w_hr"):
        weight = getattr(weights, name)
        if weight is None:
            continue
        if weight.shape[1] > MOST_SUMMED:
            raise ValueError(
                f"{name} has shape {weight.shape}, expected at most {MOST_SUMMED:,} columns in "
                "int8, whose sums have 32 bits"
            )
        finite = np.isfinite(weight)
        if not finite.all():
            j, k = (int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(f"{name}[{j}, {k}] is {weight[j, k]}, expected finite numbers in int8")


def read_layers(
    cell: CellSpec, layers: list[Weights], batch_size: int, precision: str = "float32"
) -> None:
    """Check the weights of the layers of a stream, and how its products are to be made."""
    read = [read_weights(cell, weights) for weights in layers]
    for k, (weights, _) in enumerate(read[1:], 1):
        if weights.w_hh.dtype != read[0][0].w_hh.dtype:
            raise TypeError(
                f"layers[{k}] is of {weights.w_hh.dtype}, expected {read[0][0].w_hh.dtype}, "
                "that of layers[0]"
            )
    check_layers([sizes for _, sizes in read], batch_size)
    check_precision(precision, read[0][0].w_hh.dtype, save=False, cell=cell)
    if precision == "int8":
        for weights, _ in read:
            check_int8_weights(weights)


def check_recompute(recompute: int) -> None:
    if recompute < 0:
        raise ValueError(f"recompute is {recompute}, expected 0 or a number of steps")


def check_kept(recompute: int) -> None:
    """Check that what was saved holds the gates."""
    if recompute:
        raise ValueError(f"recompute is {recompute}, expected 0: the gates were not kept")


def check_layers(layers: list[tuple[int, int, int]], batch_size: int) -> None:
    """Check that the layers of a stream, of sizes I, H, R each, can stand on one another."""
    if not layers:
        raise ValueError("layers is empty, expected the weights of at least one layer")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    _, H, R = layers[0]
    for k, sizes in enumerate(layers[1:], 1):
        if sizes != (R, H, R):
            raise ValueError(
                f"layers[{k}] has input, hidden and output sizes {sizes}, expected {(R, H, R)} "
                f"after layers[0]"
            )
