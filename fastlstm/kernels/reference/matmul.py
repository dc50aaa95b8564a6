"""Products of matrices: those of layers that have no time loop.

Those of float32 and bfloat16 are made row by row, as in `precision`: a row's result depends on no
other.
"""

from __future__ import annotations

import numpy as np

from fastlstm.kernels.arguments import check_matmul, plain
from fastlstm.kernels.call import Array
from fastlstm.kernels.reference.precision import Quantized, int8_product, quantize, to_bfloat16

F32 = np.dtype(np.float32)


def pack_matrix(b: Array, precision: str, /) -> Array | Quantized:
    """Return a matrix [m,K] as the products of a precision take it."""
    b = plain("b", b, F32, (None, None))
    check_matmul(precision, b.shape[1])
    if not b.size:
        raise ValueError(f"b has shape {b.shape}, expected no empty axis")
    return _factor(b, precision)


def _factor(b: Array, precision: str) -> Array | Quantized:
    if precision == "int8":
        return quantize(b)
    return b.copy() if precision == "float32" else to_bfloat16(b)


def matmul(
    a: Array,
    b: Array | Quantized,
    bias: Array | None = None,
    *,
    precision: str,
    out: Array | None = None,
    add: bool = False,
    n_threads: int = 1,
) -> Array:
    """Return ``a @ b^T + bias``: of each row of a with each row of b.

    Parameters
    ----------
    a : float32 [n,K], or [B,n,K]: so many products.
    b : float32 [m,K], or [B,m,K]; or what `pack_matrix` made of one [m,K].
    bias : float32 [m], or None.
    precision : "float32": as the numbers are; "bfloat16": both factors rounded to it, float32 sums;
        "int8": both rounded to whole numbers, each row by a scale of its own, exact sums.
    out : float32 [n,m] or [B,n,m], C-contiguous, to write the result to; None for a new array.
    add : add to what `out` holds.
    n_threads : at most so many; results do not depend on it.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, or rows are too long for sums of int8.
    """
    if not 2 <= np.ndim(a) <= 3:
        raise ValueError(f"a has shape {np.shape(a)}, expected two or three axes")
    a = plain("a", a, F32, (None,) * np.ndim(a))
    *front, n, K = a.shape
    check_matmul(precision, K)
    if isinstance(b, np.ndarray):
        b = plain("b", b, F32, (*front, None, K))
        factor = _factor(b, precision)
    elif front or b.q.shape[1] != K:
        raise ValueError(f"a has shape {a.shape}, expected (any, {b.q.shape[1]})")
    else:
        factor = b
    if isinstance(factor, Quantized):
        made = int8_product(factor, quantize(a))
    else:
        # one matrix meets every row, of many each its own rows
        rows = a if precision == "float32" else to_bfloat16(a)
        made = np.matmul(factor[..., None, :, :], rows[..., None])[..., 0]
    if bias is not None:
        made += plain("bias", bias, F32, made.shape[-1:])
    if out is None:
        if add:
            raise ValueError("add is True without `out`, expected what to add to")
        return made
    out = plain("out", out, F32, made.shape)
    for name, given in (("a", a), ("b", b), ("bias", bias)):
        if isinstance(given, np.ndarray) and np.may_share_memory(out, given):
            raise ValueError(f"out shares memory with {name}, expected an array of its own")
    np.add(out, made, out=out) if add else np.copyto(out, made)
    return out
