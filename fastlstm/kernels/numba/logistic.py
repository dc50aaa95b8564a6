"""Logistic regressions by dual coordinate descent: see `fastlstm.kernels.reference.logistic`."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numba.core import types

from fastlstm.kernels.numba.cache import compile_parts
from fastlstm.kernels.numba.float_state import flush_denormals, restore_denormals
from fastlstm.kernels.numba.jit import inline
from fastlstm.kernels.reference.logistic import QUIET, move
from fastlstm.kernels.sparse import EndedError, LogisticProblem, LogisticSolution, read_logistic

_move = inline(move)


@inline
def _draw(state: Any) -> Any:
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(32)


@inline
def _shuffle(order: Any, count: int, state: Any) -> None:
    for i in range(count - 1, 0, -1):
        j = np.int64((_draw(state) * np.uint64(i + 1)) >> np.uint64(32))
        order[i], order[j] = order[j], order[i]


@inline
def _entropy(part: float, c: float) -> float:
    return part * math.log(part / c) if part > 0 else 0.0


def solve(
    part: int, parts: int, offsets: Any, columns: Any, values: Any, targets: Any, cost: Any,
    doubt: Any, ended: Any, classes: int, seeds: Any, tolerance: float, max_epochs: int,
    weights: Any, intercept: Any, epochs: Any,
) -> None:  # fmt: skip
    """Every `parts`-th regression.

    Rows are worked on in one body: with two functions that are called for each row, all took 2.5
    times as long.
    """
    float_state = flush_denormals()
    N, F = len(targets), weights.shape[1]
    for k in range(part, len(weights), parts):
        w, y, square = np.zeros(F), np.empty(N), np.ones(N)
        a, rest = cost * doubt, cost - cost * doubt
        order, state = np.arange(N), seeds[k : k + 1].copy()
        for n in range(N):
            y[n] = 1.0 if targets[n] == (1 if classes == 2 else k) else -1.0
            for m in range(offsets[n], offsets[n + 1]):
                square[n] += np.float64(values[m]) * values[m]
        b, norm, primal, epoch, whole = 0.0, 0.0, 0.0, 0, True
        working, rest_gap, rest_loss = N, 0.0, 0.0
        while N and epoch < max_epochs and not ended[0]:
            if whole:
                working, rest_gap, rest_loss = N, 0.0, 0.0
            epoch += 1
            quiet = QUIET * tolerance * primal / N
            gap, loss, at = rest_gap, rest_loss, 0
            _shuffle(order, working, state)
            while at < working:
                n = order[at]
                total, c, old = b, cost[n], a[n]
                for m in range(offsets[n], offsets[n + 1]):
                    total += values[m] * w[columns[m]]
                margin = y[n] * total
                one_loss = c * (math.log1p(math.exp(-abs(margin))) + max(-margin, 0.0))
                one_gap = one_loss + old * margin + _entropy(old, c) + _entropy(rest[n], c)
                a[n], rest[n] = _move(old, rest[n], c, margin, square[n])
                change = a[n] - old
                for m in range(offsets[n], offsets[n + 1]):
                    w[columns[m]] += change * y[n] * values[m]
                b += change * y[n]
                norm += change * (2 * margin + change * square[n])
                gap += one_gap
                one_loss += c * doubt[n] * margin
                loss += one_loss
                if one_gap > quiet:
                    at += 1
                else:
                    rest_gap += one_gap
                    rest_loss += one_loss
                    working -= 1
                    order[at], order[working] = order[working], n
            primal = norm / 2 + loss
            enough = gap <= tolerance * primal
            if enough and whole:
                break
            whole = enough or working == 0
        for f in range(F):
            weights[k, f] = w[f]
        intercept[k], epochs[k] = b, epoch
    restore_denormals(float_state)


@cache
def _compiled() -> Any:
    whole, real = types.int64, types.float64
    kinds = (whole, types.int32, types.float32, whole, real, real, types.int32)
    lists = [types.Array(kind, 1, "C") for kind in kinds]
    seeds, table = types.Array(types.uint64, 1, "C"), types.Array(types.float32, 2, "C")
    found = (table, types.Array(real, 1, "C"), types.Array(whole, 1, "C"))
    return compile_parts(solve, (), (*lists, whole, seeds, real, whole, *found))


def logistic(problem: LogisticProblem) -> LogisticSolution:
    """Solve logistic regressions."""
    p = read_logistic(problem)
    found = LogisticSolution(
        np.zeros((p.problems, p.features), np.float32),
        np.zeros(p.problems),
        np.zeros(p.problems, np.int64),
    )
    k = np.arange(p.problems, dtype=np.uint64)
    seeds = np.uint64(p.seed & (1 << 64) - 1) + k * np.uint64(0xD1342543DE82EF95)
    assert p.doubt is not None
    assert p.ended is not None
    given = (*p.rows, p.targets, p.cost, p.doubt)
    writable = [a if a.flags.writeable else a.copy() for a in given]
    threads = max(min(p.n_threads, p.problems), 1)
    _compiled()(threads, *writable, p.ended, p.classes, seeds, p.tolerance, p.max_epochs, *found)
    if p.ended[0]:
        raise EndedError
    return found
