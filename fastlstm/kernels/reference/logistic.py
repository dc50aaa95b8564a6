"""L2-regularized logistic regression by dual coordinate descent in Python: the definition."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.sparse import EndedError, LogisticProblem, LogisticSolution, read_logistic

NEWTON_STEPS = 20  # at most, for a row
NEWTON_ENOUGH = 1e-5  # slope at which they end: the cost of that is its square
LEAST = 1e-200  # part of its cost that a dual variable keeps
QUIET = 0.1  # part of a row's share of the gap, below which it rests
WORD = (1 << 64) - 1


def logistic(problem: LogisticProblem) -> LogisticSolution:
    """Solve logistic regressions.

    Each is solved in its dual (Yu, Huang & Lin 2011, as LIBLINEAR's solver 7): of a_n, 0 to cost_n
    (c below) for each row,

        minimize  |w|^2 / 2 + b^2 / 2 + sum_n a_n log(a_n / c_n) + (c_n - a_n) log(1 - a_n / c_n)
        where  w = sum_n a_n y_n x_n,  b = sum_n a_n y_n

    one a_n after the other, each by Newton's method, in a new random order in every pass. For a row
    of which doubt_n is q, w and b have a_n - q c_n in place of a_n; they begin with 0. What the
    primal objective is above the dual one, the gap, is a sum over rows of terms that are not
    negative and cost little at the moment at which a row is worked on. A row that has next to
    nothing of it rests until the others have little left. It ends after a pass over all rows if
    their sum is at most `tolerance` times the primal objective, likewise summed. As each row has
    become better since, the objective is then nearer to its minimum: of texts, whose rows have a
    length of 1 or 2, a tolerance of 0.01 left about 0.001 of it on a dozen sets, and 0.005 half.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `sparse.read_logistic`.
    EndedError
        If another thread ends it by `ended`.

    References
    ----------
    H.-F. Yu, F.-L. Huang, C.-J. Lin (2011). Dual coordinate descent methods for logistic
    regression and maximum entropy models. Machine Learning 85, 41-75.
    """
    p = read_logistic(problem)
    weights = np.zeros((p.problems, p.features), np.float32)
    intercept, epochs = np.zeros(p.problems), np.zeros(p.problems, np.int64)
    for k in range(p.problems):
        w, intercept[k], epochs[k] = _solve(p, k)
        weights[k] = w
    return LogisticSolution(weights, intercept, epochs)


def _solve(p: LogisticProblem, k: int) -> tuple[NDArray[np.float64], float, int]:
    solver, epochs, whole = _Solver(p, k), 0, True
    while solver.rows and epochs < p.max_epochs:
        if p.ended is not None and p.ended[0]:
            raise EndedError
        if whole:
            solver.wake_all()
        epochs += 1
        enough = solver.run()
        if enough and whole:
            break
        whole = enough or not solver.working
    return solver.w, solver.b, epochs


class _Solver:
    """One regression."""

    def __init__(self, p: LogisticProblem, k: int) -> None:
        offsets, columns, values = p.rows
        parts = [slice(a, b) for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
        self.tolerance, self.cost = p.tolerance, p.cost.tolist()
        self.y = np.where(p.targets == (1 if p.classes == 2 else k), 1.0, -1.0).tolist()
        self.rows = [(columns[part], values[part].astype(np.float64)) for part in parts]
        self.square = [float(x @ x) + 1 for _, x in self.rows]
        assert p.doubt is not None
        self.doubt = (p.cost * p.doubt).tolist()
        self.a, self.rest = list(self.doubt), (p.cost - p.cost * p.doubt).tolist()
        self.w, self.b, self.norm, self.primal = np.zeros(p.features), 0.0, 0.0, 0.0
        self.random = _random(p.seed, k)
        self.order = list(range(len(parts)))  # those at work, then those that rest
        self.wake_all()

    def wake_all(self) -> None:
        """Have no row rest."""
        self.working = len(self.rows)
        self.resting = (0.0, 0.0)  # gap and loss of rows that rest, when they were last looked at

    def run(self) -> bool:
        """Pass over the rows at work; whether the gap is small enough, as far as they know."""
        quiet = QUIET * self.tolerance * self.primal / len(self.rows)
        gap, loss = self.resting
        order, at = self.order, 0
        _shuffle(order, self.working, self.random)
        while at < self.working:
            n = order[at]
            one_gap, one_loss = self.visit(n)
            gap, loss = gap + one_gap, loss + one_loss
            if one_gap > quiet:
                at += 1
                continue
            self.resting = (self.resting[0] + one_gap, self.resting[1] + one_loss)
            self.working -= 1
            order[at], order[self.working] = order[self.working], n
        self.primal = self.norm / 2 + loss
        return gap <= self.tolerance * self.primal

    def visit(self, n: int) -> tuple[float, float]:
        """Work on one row; return its gap and its loss before."""
        (columns, x), y, c, old = self.rows[n], self.y[n], self.cost[n], self.a[n]
        margin = y * (float(self.w[columns] @ x) + self.b)
        loss = c * (math.log1p(math.exp(-abs(margin))) + max(-margin, 0.0))
        gap = loss + old * margin + _entropy(old, self.rest[n], c)
        self.a[n], self.rest[n] = move(old, self.rest[n], c, margin, self.square[n])
        change = self.a[n] - old
        np.add.at(self.w, columns, change * y * x)
        self.b += change * y
        self.norm += change * (2 * margin + change * self.square[n])
        return gap, loss + self.doubt[n] * margin


def move(a: float, rest: float, c: float, margin: float, square: float) -> tuple[float, float]:
    """Return the best a_n, and c_n less it, while all others stay.

    Newton's method on the smaller of the two, z, which is kept positive: of
    ``square (z - old)^2 / 2 + slope z + z log z + (c - z) log(c - z)``.
    """
    swapped = square * (rest - a) / 2 + margin < 0
    old, slope = (rest, -margin) if swapped else (a, margin)
    z = old if 0 < old <= c / 2 else 0.1 * c
    for _ in range(NEWTON_STEPS):
        found = square * (z - old) + slope + math.log(z / (c - z))
        if abs(found) < NEWTON_ENOUGH:
            break
        after = z - found / (square + c / (c - z) / z)
        z = max(after if after > 0 else 0.1 * z, LEAST * c)
    return (c - z, z) if swapped else (z, c - z)


def _entropy(a: float, rest: float, c: float) -> float:
    return sum(part * math.log(part / c) for part in (a, rest) if part > 0)


def _random(seed: int, k: int) -> Iterator[int]:
    """Yield words of 32 bits (Steele, Lea & Flood 2014, SplitMix64)."""
    state = (seed + k * 0xD1342543DE82EF95) & WORD
    while True:
        state = (state + 0x9E3779B97F4A7C15) & WORD
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
        yield (z ^ (z >> 31)) >> 32


def _shuffle(order: list[int], count: int, random: Iterator[int]) -> None:
    """Bring the first rows into a random order (Fisher & Yates)."""
    for i in range(count - 1, 0, -1):
        j = next(random) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
