"""A step of Adam: see `fastlstm.kernels.reference.adam`."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba.core import types

from fastlstm.kernels.adam import AdamStep, WeightSum, read_adam
from fastlstm.kernels.call import Array
from fastlstm.kernels.numba.cache import compile_parts
from fastlstm.kernels.numba.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba.workers import worth_threads

WIDTH = 1024  # of the rows that an array without an index is cut into


def update_rows(
    part: int, parts: int, p: Any, m: Any, v: Any, total: Any, g: Any, keep: Any, add: Any,
    index: Any, dense: bool, s: Any,
) -> None:  # fmt: skip
    """A part of the rows of g [U,D]; s holds the settings in the order of `AdamNumbers`.

    An empty `total` means no average.
    """
    float_state = flush_denormals()
    first, end = len(g) * part // parts, len(g) * (part + 1) // parts
    rate, root, eps, beta1, beta2, shrink, decay, scale, rest1, rest2 = (
        s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9])  # fmt: skip
    for u in range(first, end):
        r = u if dense else index[u]
        term = 0 if dense else u
        for d in range(g.shape[1]):
            if total.size:
                total[r, d] = total[r, d] * keep[term] + p[r, d] * add[term]
            weight = p[r, d] * shrink
            slope = scale * g[u, d] + decay * weight
            m[r, d] = beta1 * m[r, d] + rest1 * slope
            v[r, d] = beta2 * v[r, d] + rest2 * slope * slope
            p[r, d] = weight - rate * m[r, d] / (root * np.sqrt(v[r, d]) + eps)
    restore_denormals(float_state)


@cache
def _compiled(dtype: np.dtype[Any]) -> Any:
    real = types.float32 if dtype == np.float32 else types.float64
    table = types.Array(real, 2, "C")
    given = types.Array(real, 2, "C", readonly=True)
    rows = types.Array(types.int64, 1, "C")
    settings = types.Array(real, 1, "C")
    terms = types.Array(real, 1, "C", readonly=True)
    arrays = (table, table, table, table, given, terms, terms, rows)
    return compile_parts(update_rows, (), (*arrays, types.boolean, settings))


def adam(step: AdamStep) -> None:
    """Take one step of Adam, in place: see `fastlstm.kernels.adam.AdamStep`."""
    p, m, v, g, index, *numbers, total, n_threads = read_adam(step)
    settings = np.array([*numbers, 1 - step.numbers.beta1, 1 - step.numbers.beta2], p.dtype)
    if total is None:
        total = WeightSum(np.empty((0,) * p.ndim, p.dtype), *np.empty((2, 0), p.dtype))
    terms = [total.keep, total.add]
    if index is not None:
        _update((p, m, v, total.sum), g, terms, index, settings, n_threads)
        return
    flat, whole = [p, m, v, total.sum, g], p.size // WIDTH * WIDTH
    none = np.empty(0, np.int64)
    for part, width in ((slice(0, whole), WIDTH), (slice(whole, None), p.size - whole)):
        if width and p.size:
            *cut, slope = (a[part].reshape(-1, width) for a in flat)
            _update(tuple(cut), slope, terms, none, settings, n_threads)


def _update(
    state: tuple[Array, ...],
    g: Array,
    terms: list[Array],
    index: Array,
    settings: Array,
    n_threads: int,
) -> None:
    run, U, dense = _compiled(g.dtype), len(g), not len(index)
    threads = worth_threads(150.0 * g.size, max(U, 1), n_threads)
    g, *terms = (a.view() for a in (g, *terms))
    for array in (g, *terms):
        array.flags.writeable = False
    run(threads, *state, g, *terms, index, dense, settings)
