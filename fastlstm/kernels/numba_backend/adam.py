"""A step of Adam: see `fastlstm.kernels.reference_adam`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba.core import types

from fastlstm.kernels.numba_backend.cache import compile_cached
from fastlstm.kernels.numba_backend.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba_backend.workers import run_parts, worth_threads
from fastlstm.kernels.spec import Array

WIDTH = 1024  # of the rows that an array without an index is cut into


def update_rows(
    p: Any, m: Any, v: Any, g: Any, index: Any, dense: bool, s: Any, first: int, end: int
) -> None:
    """Rows first..end-1 of g [U,D]; s holds the settings in the order of `adam`."""
    float_state = flush_denormals()
    rate, root, eps, beta1, beta2, shrink, decay, rest1, rest2 = (
        s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8])  # fmt: skip
    for u in range(first, end):
        r = u if dense else index[u]
        for d in range(g.shape[1]):
            weight = p[r, d] * shrink
            slope = g[u, d] + decay * weight
            m[r, d] = beta1 * m[r, d] + rest1 * slope
            v[r, d] = beta2 * v[r, d] + rest2 * slope * slope
            p[r, d] = weight - rate * m[r, d] / (root * np.sqrt(v[r, d]) + eps)
    restore_denormals(float_state)


@cache
def _compiled(dtype: np.dtype[Any]) -> Any:
    real = types.float32 if dtype == np.float32 else types.float64
    table, word = types.Array(real, 2, "C"), types.int64
    given = types.Array(real, 2, "C", readonly=True)
    rows = types.Array(word, 1, "C")
    settings = types.Array(real, 1, "C")
    arrays = (table, table, table, given, rows)
    return compile_cached(update_rows, (), (*arrays, types.boolean, settings, word, word))


def adam(
    p: Array,
    m: Array,
    v: Array,
    g: Array,
    index: Any,
    *,
    rate: float,
    root: float,
    eps: float,
    beta1: float,
    beta2: float,
    shrink: float = 1.0,
    decay: float = 0.0,
    n_threads: int = 1,
) -> None:
    """One step of Adam, in place, on all of p or on its rows `index`."""
    settings = np.array(
        [rate, root, eps, beta1, beta2, shrink, decay, 1 - beta1, 1 - beta2], p.dtype
    )
    for name, array in (("p", p), ("m", m), ("v", v)):
        if array.shape != p.shape or array.dtype != p.dtype or not array.flags.c_contiguous:
            raise ValueError(
                f"{name} has shape {array.shape} and dtype {array.dtype}, "
                f"expected a C-contiguous array like p, {p.shape} of {p.dtype}"
            )
    if index is not None:
        rows = np.ascontiguousarray(index, np.int64)
        wrong = np.flatnonzero((rows < 0) | (rows >= len(p)))
        if len(wrong):
            raise IndexError(f"index[{wrong[0]}] is {rows[wrong[0]]}, expected 0 to {len(p) - 1}")
        _update((p, m, v), _like(g, p.dtype, (len(rows), p.shape[1])), rows, settings, n_threads)
        return
    g = _like(g, p.dtype, p.shape)
    flat, whole = [a.reshape(-1) for a in (p, m, v, g)], p.size // WIDTH * WIDTH
    none = np.empty(0, np.int64)
    for part, width in ((slice(0, whole), WIDTH), (slice(whole, None), p.size - whole)):
        if width and p.size:
            *state, slope = (a[part].reshape(-1, width) for a in flat)
            _update(tuple(state), slope, none, settings, n_threads)


def _like(g: Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    if g.dtype != dtype or g.shape != shape:
        raise ValueError(f"g has shape {g.shape} and dtype {g.dtype}, expected {shape} and {dtype}")
    return np.ascontiguousarray(g)


def _update(
    state: tuple[Array, ...], g: Array, index: Array, settings: Array, n_threads: int
) -> None:
    run, U, dense = _compiled(g.dtype), len(g), not len(index)
    threads = worth_threads(40.0 * g.size, max(U, 1), n_threads)
    g = g.view()
    g.flags.writeable = False

    def task(part: int) -> None:
        run(*state, g, index, dense, settings, U * part // threads, U * (part + 1) // threads)

    run_parts(threads, task)
