"""Logistic regressions to be solved, and what they minimize."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlstm.kernels.sparse import LogisticProblem, SparseRows

Array = np.ndarray[Any, Any]


def draw(
    N: int = 60, F: int = 30, classes: int = 2, seed: int = 0
) -> tuple[Array, LogisticProblem]:
    """Rows, also as a matrix, whose classes a linear rule tells but for some noise."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((N, F)) < 0.3, rng.standard_normal((N, F)), 0).astype(np.float32)
    x[0] = 0
    scores = x @ rng.standard_normal((F, classes)) + rng.standard_normal((N, classes))
    targets, cost = scores.argmax(1), rng.uniform(0.5, 3, N)
    problem = LogisticProblem(sparse_rows(x), F, targets, classes, cost, seed=seed)
    return x.astype(np.float64), problem


def sparse_rows(x: Array) -> SparseRows:
    """The same matrix as sparse rows."""
    n, f = np.nonzero(x)
    offsets = np.searchsorted(n, np.arange(len(x) + 1)).astype(np.int64)
    return SparseRows(offsets, f.astype(np.int32), x[n, f].astype(np.float32))


def signs(problem: LogisticProblem, k: int) -> Array:
    return np.where(problem.targets == (1 if problem.classes == 2 else k), 1, -1)


def in_doubt(problem: LogisticProblem) -> LogisticProblem:
    """The same problem, but the rows are of their class with a probability only."""
    N = len(problem.targets)
    doubt = np.random.default_rng(N).uniform(0, 1, N)
    doubt[::4], doubt[1::8] = 0, 1
    return problem._replace(doubt=doubt)


def objective(x: Array, problem: LogisticProblem, k: int, w: Array, b: float) -> float:
    margin = signs(problem, k) * (x @ w + b)
    doubt = 0 if problem.doubt is None else problem.doubt
    loss = (1 - doubt) * np.logaddexp(0, -margin) + doubt * np.logaddexp(0, margin)
    return float(w @ w / 2 + b * b / 2 + problem.cost @ loss)


def slope(x: Array, problem: LogisticProblem, k: int, w: Array, b: float) -> Array:
    """Gradient of the objective by w and b."""
    y = signs(problem, k)
    doubt = 0 if problem.doubt is None else problem.doubt
    pull = y * problem.cost * (doubt - 1 / (1 + np.exp(y * (x @ w + b))))
    return np.append(w + x.T @ pull, b + pull.sum())
