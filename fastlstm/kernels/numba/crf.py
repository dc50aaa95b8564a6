"""Linear-chain conditional random fields: see `fastlstm.kernels.reference.crf`.

As in native/src/crf.c a sum over pairs of labels is a product with the exponentials of their
scores, and taken term by term where that loses too much.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numba.core import types

from fastlstm.kernels.call import Array
from fastlstm.kernels.crf import CrfArrays, CrfLoss, CrfScores, crf_arrays, read_crf
from fastlstm.kernels.numba.cache import compile_parts
from fastlstm.kernels.numba.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba.jit import jit
from fastlstm.kernels.numba.workers import worth_threads
from fastlstm.kernels.rows import Int64Array

LEAST = 1e-280  # sum of products: what was too small for a number is no part of it
MOST = 500.0  # logarithm of a factor, from which on it is too large


@jit
def _largest(x: Any) -> float:
    most = x[0]
    for k in range(1, len(x)):
        if not x[k] <= most and most == most:
            most = x[k]
    return most


@jit
def _log_sum(x: Any, y: Any) -> float:
    """Logarithm of the sum of exp(x + y), term by term."""
    most, total = x[0] + y[0], 0.0
    for k in range(1, len(x)):
        one = x[k] + y[k]
        if not one <= most and most == most:
            most = one
    if most == -np.inf:
        return most
    for k in range(len(x)):
        total += math.exp(x[k] + y[k] - most)
    return most + math.log(total)


@jit
def _log_product(x: Any, score: Any, e: Any, top: float, out: Any) -> None:
    """out[k] = logarithm of the sum over j of exp(x[j] + score[j, k]); e is exp(score - top)."""
    most, K = _largest(x), len(x)
    for k in range(K):
        out[k] = 0.0
    for j in range(K):
        part = math.exp(x[j] - most)
        for k in range(K):
            out[k] += part * e[j, k]
    for k in range(K):
        if out[k] > LEAST:
            out[k] = math.log(out[k]) + most + top
        else:
            out[k] = _log_sum(x, score[:, k])


def by_rows(
    part: int, parts: int, x: Any, lengths: Any, start: Any, between: Any, end: Any, labels: Any,
    turned: Any, e: Any, turned_e: Any, top: float, a: Any, v: Any, total: Any, losses: Any,
    dx: Any,
) -> None:  # fmt: skip
    """Losses of a part of the rows; and, if dx is not empty, its gradient."""
    float_state = flush_denormals()
    N, T, K = x.shape
    for n in range(N * part // parts, N * (part + 1) // parts):
        L = lengths[n]
        if L == 0:
            continue
        for k in range(K):
            a[n, 0, k] = start[k] + x[n, 0, k]
        path = start[labels[n, 0]] + x[n, 0, labels[n, 0]]
        for t in range(1, L):
            _log_product(a[n, t - 1], between, e, top, a[n, t])
            for k in range(K):
                a[n, t, k] += x[n, t, k]
            path += between[labels[n, t - 1], labels[n, t]] + x[n, t, labels[n, t]]
        total[n] = _log_sum(a[n, L - 1], end)
        losses[n] = total[n] - (path + end[labels[n, L - 1]])
        if len(dx) == 0:
            continue
        for k in range(K):
            dx[n, L - 1, k] = end[k]
        for t in range(L - 1, -1, -1):
            for k in range(K):
                v[n, t, k] = x[n, t, k] + dx[n, t, k]
                dx[n, t, k] = math.exp(a[n, t, k] + dx[n, t, k] - total[n])
            dx[n, t, labels[n, t]] -= 1.0
            if t > 0:
                _log_product(v[n, t], turned, turned_e, top, dx[n, t - 1])
    restore_denormals(float_state)


def by_labels(
    part: int, parts: int, lengths: Any, between: Any, labels: Any, e: Any, top: float, a: Any,
    v: Any, total: Any, dx: Any, dstart: Any, dbetween: Any, dend: Any,
) -> None:  # fmt: skip
    """Gradients of the scores, of a part of the labels before a pair."""
    float_state = flush_denormals()
    N, T, K = dx.shape
    low, high = K * part // parts, K * (part + 1) // parts
    products, after = np.zeros((high - low, K)), np.empty(K)
    for n in range(N):
        L = lengths[n]
        if L == 0:
            continue
        for i in range(low, high):
            dstart[i] += dx[n, 0, i]
            dend[i] += dx[n, L - 1, i]
        for t in range(1, L):
            most_a, most_v = _largest(a[n, t - 1]), _largest(v[n, t])
            scale = most_a + most_v + top - total[n]
            if scale < MOST:
                for k in range(K):
                    after[k] = math.exp(v[n, t, k] - most_v)
                for i in range(low, high):
                    factor = math.exp(a[n, t - 1, i] - most_a + scale)
                    for k in range(K):
                        products[i - low, k] += factor * after[k]
            else:
                for i in range(low, high):
                    for k in range(K):
                        one = a[n, t - 1, i] + between[i, k] + v[n, t, k]
                        dbetween[i, k] += math.exp(one - total[n])
            if low <= labels[n, t - 1] < high:
                dbetween[labels[n, t - 1], labels[n, t]] -= 1.0
    for i in range(low, high):
        for k in range(K):
            dbetween[i, k] += products[i - low, k] * e[i, k]
    restore_denormals(float_state)


def best_paths(
    part: int, parts: int, x: Any, lengths: Any, start: Any, between: Any, end: Any, labels: Any,
    scores: Any,
) -> None:  # fmt: skip
    """Likeliest labels of a part of the rows, and their score."""
    float_state = flush_denormals()
    N, T, K = x.shape
    best, after, back = np.empty(K), np.empty(K), np.empty((T, K), np.int64)
    for n in range(N * part // parts, N * (part + 1) // parts):
        L = lengths[n]
        if L == 0:
            continue
        for k in range(K):
            best[k] = start[k] + x[n, 0, k]
        for t in range(1, L):
            for k in range(K):
                after[k], back[t, k] = best[0] + between[0, k], 0
            for i in range(1, K):
                for k in range(K):
                    one = best[i] + between[i, k]
                    if not one <= after[k] and after[k] == after[k]:
                        after[k], back[t, k] = one, i
            for k in range(K):
                best[k] = after[k] + x[n, t, k]
        at = 0
        for k in range(K):
            best[k] += end[k]
            if not best[k] <= best[at] and best[at] == best[at]:
                at = k
        scores[n] = best[at]
        for t in range(L - 1, 0, -1):
            labels[n, t] = at
            at = back[t, at]
        labels[n, 0] = at
    restore_denormals(float_state)


@cache
def _compiled(function: Any) -> Any:
    real, whole = types.float64, types.int64
    one, two, three = (types.Array(real, axes, "C") for axes in (1, 2, 3))
    lengths, labels = types.Array(whole, 1, "C"), types.Array(whole, 2, "C")
    given = (three, lengths, one, two, one, labels)
    signatures: dict[Any, Any] = {
        by_rows: (*given, two, two, two, real, three, three, one, one, three),
        by_labels: (lengths, two, labels, two, real, three, three, one, three, one, two, one),
        best_paths: (*given, one),
    }
    return compile_parts(function, (), signatures[function])


def _threads(x: Array, n_threads: int) -> int:
    N, T, K = x.shape
    return worth_threads(10.0 * N * T * K * (K + 16), N, n_threads)


def _given(p: CrfArrays) -> list[Array]:
    """Return the arrays of a call, none of them read-only."""
    given = [p.x, p.lengths, *p.scores, p.labels]
    return [a if a.flags.writeable else a.copy() for a in given]


def crf(
    x: Array,
    labels: Int64Array,
    lengths: Int64Array,
    scores: CrfScores,
    *,
    gradient: bool = True,
    n_threads: int = 1,
) -> CrfLoss:
    """Return the negative log-likelihood of each row's labels, and gradients of their sum."""
    p = read_crf(x, lengths, scores, labels)
    (N, T, K), given = p.x.shape, _given(p)
    threads, between = _threads(p.x, n_threads), given[3]
    with np.errstate(all="ignore"):
        top = float(between.max())
        e = np.exp(between - top)
    turned, turned_e = (np.ascontiguousarray(array.T) for array in (between, e))
    a, v = np.empty((2, N, T, K)) if gradient else (np.empty((N, T, K)), np.empty((0, T, K)))
    _, found = crf_arrays(p, gradient)
    total, dx = np.zeros(N), np.empty((0, T, K)) if found.dx is None else found.dx
    _compiled(by_rows)(threads, *given, turned, e, turned_e, top, a, v, total, found.losses, dx)
    if found.dscores is None:
        return found
    own, between, labels = given[1], given[3], given[5]
    parts = max(1, min(threads, K))
    _compiled(by_labels)(parts, own, between, labels, e, top, a, v, total, dx, *found.dscores)
    return found


def viterbi(
    x: Array, lengths: Int64Array, scores: CrfScores, *, n_threads: int = 1
) -> tuple[Int64Array, Array]:
    """Return the likeliest labels [N,T] of each row, and their score [N]."""
    p = read_crf(x, lengths, scores)
    found = np.zeros(len(p.x))
    _compiled(best_paths)(_threads(p.x, n_threads), *_given(p), found)
    return p.labels, found
