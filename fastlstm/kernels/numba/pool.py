"""Mean and maximum over each row's real steps: see `fastlstm.kernels.reference.pool`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba.core import types

from fastlstm.kernels.arguments import plain
from fastlstm.kernels.call import DTYPES, Array
from fastlstm.kernels.numba.address import load, size_of, store
from fastlstm.kernels.numba.cache import compile_parts
from fastlstm.kernels.numba.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba.layer import address, readable
from fastlstm.kernels.numba.workers import worth_threads
from fastlstm.kernels.reference.pool import Lengths

WORD = types.int64
LIST = types.Array(WORD, 1, "C")


def forward_rows(
    part: int,
    parts: int,
    zero: Any,
    least: Any,
    y: int,
    y_t: int,
    y_n: int,
    F: int,
    lengths: Any,
    mean: int,
    low: int,
    best: int,
    step: int,
) -> None:
    """A part of the rows; mean, low, best and step are addresses of [N,F], `least` is -infinity.

    What was rounded off a sum, `low`, is added to what comes next (Kahan 1965).
    """
    float_state = flush_denormals()
    bytes_, N = F * size_of(zero), len(lengths)
    for n in range(N * part // parts, N * (part + 1) // parts):
        m, b, w = mean + n * bytes_, best + n * bytes_, step + n * F * 8
        rest = low + n * bytes_
        start = least if lengths[n] else zero
        for f in range(F):
            store(m, f, zero)
            store(rest, f, zero)
            store(b, f, start)
            store(w, f, n - n)
        for t in range(lengths[n]):
            row = y + t * y_t + n * y_n
            for f in range(F):
                value, top, when = load(zero, row, f), load(zero, b, f), load(n, w, f)
                better = value > top or value != value  # the last NaN
                before, more = load(zero, m, f), value + load(zero, rest, f)
                total = before + more
                off = more - (total - before)
                store(m, f, total)
                store(rest, f, off if off == off else zero)  # of an infinite sum it is NaN
                store(b, f, value if better else top)
                store(w, f, t if better else when)
        count = type(zero)(max(lengths[n], 1))
        for f in range(F):
            store(m, f, (load(zero, m, f) + load(zero, rest, f)) / count)
    restore_denormals(float_state)


def backward_rows(
    part: int,
    parts: int,
    zero: Any,
    dy: int,
    dy_t: int,
    dy_n: int,
    F: int,
    lengths: Any,
    dmean: int,
    dmax: int,
    step: int,
) -> None:
    """The same backward; dmean, dmax or both are 0 where there is none."""
    float_state = flush_denormals()
    bytes_, N = F * size_of(zero), len(lengths)
    for n in range(N * part // parts, N * (part + 1) // parts):
        m, b, w = dmean + n * bytes_, dmax + n * bytes_, step + n * F * 8
        for t in range(lengths[n]):
            row, count = dy + t * dy_t + n * dy_n, type(zero)(lengths[n])
            for f in range(F):
                total = load(zero, m, f) / count if dmean else zero
                if dmax:
                    total += load(zero, b, f) if load(n, w, f) == t else zero
                store(row, f, total)
    restore_denormals(float_state)


@cache
def _compiled(function: Any, dtype: np.dtype[Any]) -> Any:
    real = types.float32 if dtype == np.float32 else types.float64
    reals = (real, real) if function is forward_rows else (real,)
    words = [WORD] * (4 if function is forward_rows else 3)
    return compile_parts(function, (), (*reals, *[WORD] * 4, LIST, *words))


def _three_axes(name: str, array: Array) -> Array:
    dtype = np.dtype(getattr(array, "dtype", object))
    if dtype not in DTYPES:
        raise TypeError(f"{name} is of {dtype}, expected an array of float32 or float64")
    return plain(name, array, dtype, (None, None, None))


def _read_lengths(lengths: Lengths, T: int, N: int) -> Lengths:
    lengths = np.ascontiguousarray(lengths, np.int64)
    if lengths.shape != (N,):
        raise ValueError(f"lengths has shape {lengths.shape}, expected ({N},)")
    wrong = np.flatnonzero((lengths < 0) | (lengths > T))
    if len(wrong):
        raise ValueError(f"lengths[{wrong[0]}] is {lengths[wrong[0]]}, expected 0 to {T}")
    return lengths


def pool(
    y: Array, lengths: Lengths, *, mean: bool, max: bool, n_threads: int = 1
) -> tuple[Array | None, Array | None, Array | None]:
    """Mean and maximum of each feature of a row over its real steps."""
    y = _three_axes("y", y)
    T, N, F = y.shape
    lengths, y = _read_lengths(lengths, T, N), readable(y)
    run, zero = _compiled(forward_rows, y.dtype), y.dtype.type(0)
    total, low, best = np.empty((3, N, F), y.dtype)
    step = np.empty((N, F), np.int64)
    least = y.dtype.type(-np.inf)
    threads = worth_threads(80.0 * y.size, N, n_threads)
    rows = (address(y), *y.strides[:2], F, lengths)
    run(threads, zero, least, *rows, *map(address, (total, low, best, step)))
    return total if mean else None, best if max else None, step if max else None


def pool_backward(
    dy: Array,
    lengths: Lengths,
    dmean: Array | None,
    dmax: Array | None,
    step: Array | None,
    *,
    n_threads: int = 1,
) -> None:
    """Write the gradient of y into dy [T,N,F], given those of mean and max ([N,F] or None)."""
    if (dmax is None) != (step is None):
        raise ValueError("dmax and step: expected both or neither")
    dy = _three_axes("dy", dy)
    T, N, F = dy.shape
    lengths = _read_lengths(lengths, T, N)
    run, zero = _compiled(backward_rows, dy.dtype), dy.dtype.type(0)
    out = readable(dy)
    parts = [
        None if a is None else np.ascontiguousarray(plain(name, a, a.dtype, (N, F)), dtype)
        for name, a, dtype in (
            ("dmean", dmean, dy.dtype), ("dmax", dmax, dy.dtype), ("step", step, np.int64)
        )
    ]  # fmt: skip
    threads = worth_threads(80.0 * dy.size, N, n_threads)
    run(threads, zero, address(out), *out.strides[:2], F, lengths, *map(address, parts))
    if out is not dy:
        dy[...] = out
