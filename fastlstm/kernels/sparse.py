"""Sparse rows and logistic regressions on them: records, and the checks that backends share.

F features, N rows, K classes, M entries of all rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.counts import count_of
from fastlstm.kernels.arguments import plain
from fastlstm.kernels.call import Array

Int64s = NDArray[np.int64]
MOST_ROWS = 2**31 - 1  # also of features: they are numbered in int32
LEAST_COST, MOST_COST = 1e-30, 1e30  # of a row: its square is still a number


class EndedError(RuntimeError):
    """Another thread has ended this call."""

    def __init__(self) -> None:
        super().__init__("another thread has ended this call")


class SparseRows(NamedTuple):
    """Rows of which few elements are not zero, as in a CSR matrix.

    Attributes
    ----------
    offsets : int64 [N+1], where each row starts; the last is M.
    columns : int32 [M], the feature of each entry.
    values : float32 [M].
    """

    offsets: Int64s
    columns: NDArray[np.int32]
    values: NDArray[np.float32]


class LogisticProblem(NamedTuple):
    """Logistic regressions, one for each class against the others; for two classes just one.

    Each minimizes ``|w|^2 / 2 + b^2 / 2 + sum_n cost_n log(1 + exp(-y_n (w x_n + b)))`` over the
    weights w and the intercept b, where y_n is 1 for rows of the class (for two classes: of class
    1) and -1 for the others. A row in doubt counts as two: with 1 - doubt_n of its cost for its
    class, with the rest for the other one.

    Attributes
    ----------
    rows : x.
    features : F.
    targets : int64 [N], the class of each row, 0..K-1.
    classes : K, at least 2.
    cost : float64 [N], LEAST_COST to MOST_COST.
    tolerance : what may be left of the gap between the objective and that of the dual problem, as a
        part of the former: see `reference.logistic`.
    max_epochs : passes over the rows after which it ends in any case.
    seed : of the order of the rows.
    doubt : float64 [N], 0 to 1, for two classes: the probability that a row is of the class that
        its target is not; None for no doubt.
    ended : int32 [1], looked at before each pass: another thread that makes it other than 0 ends
        the call, which then raises `EndedError`. None for no such thread. Ctrl-C is heard by the
        main thread alone.
    """

    rows: SparseRows
    features: int
    targets: Int64s
    classes: int
    cost: NDArray[np.float64]
    tolerance: float = 5e-3
    max_epochs: int = 200
    seed: int = 0
    n_threads: int = 1
    doubt: NDArray[np.float64] | None = None
    ended: NDArray[np.int32] | None = None

    @property
    def problems(self) -> int:
        """Number of regressions."""
        return 1 if self.classes == 2 else self.classes


class LogisticSolution(NamedTuple):
    """What `logistic` found: of each regression a row.

    Attributes
    ----------
    weights : float32 [P,F].
    intercept : float64 [P].
    epochs : int64 [P], passes over the rows.
    """

    weights: NDArray[np.float32]
    intercept: NDArray[np.float64]
    epochs: Int64s


def read_keys(keys: Array, name: str = "keys") -> NDArray[np.uint64]:
    """Return keys [F] after checking that they rise."""
    found = np.ascontiguousarray(plain(name, keys, np.dtype(np.uint64), (None,)))
    check_count("features", len(found))
    if (found[1:] <= found[:-1]).any():
        at = int(np.argmax(found[1:] <= found[:-1])) + 1
        raise ValueError(f"{name}[{at}] is {found[at]}, expected more than {found[at - 1]}")
    return found


def read_columns(columns: Any, features: int, least: int = 0) -> NDArray[np.int32]:
    """Return numbers of features [M] after checking that they are `least` to F-1."""
    found = np.ascontiguousarray(plain("columns", columns, np.dtype(np.int32), (None,)))
    wrong = (found < least) | (found >= features)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise IndexError(f"columns[{at}] is {found[at]}, expected {least} to {features - 1}")
    return found


def read_offsets(offsets: Any, entries: int) -> Int64s:
    """Return where rows start [N+1] after checking that they rise from 0 to `entries`."""
    found = np.ascontiguousarray(plain("offsets", offsets, np.dtype(np.int64), (None,)))
    if not len(found) or found[0] or found[-1] != entries or (found[1:] < found[:-1]).any():
        raise ValueError(f"offsets must rise from 0 to {entries}, the number of columns")
    check_count("rows", len(found) - 1)
    return found


def read_rows(rows: SparseRows, features: int) -> SparseRows:
    """Return sparse rows after checking them."""
    check_count("features", features)
    columns = read_columns(rows.columns, features)
    values = plain("values", rows.values, np.dtype(np.float32), (len(columns),))
    return SparseRows(
        read_offsets(rows.offsets, len(columns)), columns, np.ascontiguousarray(values)
    )


def read_logistic(problem: LogisticProblem) -> LogisticProblem:
    """Return a problem after checking it, with a doubt of each row and an `ended`.

    Raises
    ------
    TypeError, ValueError
        If an array or a number does not fit the others.
    IndexError
        If a column or a class is out of range.
    """
    p, K = problem, problem.classes
    if K < 2:
        raise ValueError(f"classes is {K}, expected 2 or more")
    if not p.tolerance >= 0 or p.max_epochs < 1:
        raise ValueError(
            f"tolerance is {p.tolerance} and max_epochs {p.max_epochs}, expected at least 0 and 1"
        )
    rows = read_rows(p.rows, p.features)
    N = len(rows.offsets) - 1
    targets = np.ascontiguousarray(plain("targets", p.targets, np.dtype(np.int64), (N,)))
    wrong = (targets < 0) | (targets >= K)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise IndexError(f"targets[{at}] is {targets[at]}, expected 0 to {K - 1}")
    cost = np.ascontiguousarray(plain("cost", p.cost, np.dtype(np.float64), (N,)))
    wrong = ~((cost >= LEAST_COST) & (cost <= MOST_COST))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"cost[{at}] is {cost[at]}, expected {LEAST_COST} to {MOST_COST}")
    if not np.isfinite(rows.values).all():
        raise ValueError("values has a number that is not finite")
    ended = np.zeros(1, np.int32) if p.ended is None else p.ended
    return p._replace(
        rows=rows, targets=targets, cost=cost, doubt=_read_doubt(p, N),
        ended=plain("ended", ended, np.dtype(np.int32), (1,)),
    )  # fmt: skip


def _read_doubt(p: LogisticProblem, N: int) -> NDArray[np.float64]:
    if p.doubt is None:
        return np.zeros(N)
    if p.classes != 2:
        raise ValueError(
            f"doubt is given for {count_of(p.classes, 'class', 'classes')}, expected 2"
        )
    doubt = np.ascontiguousarray(plain("doubt", p.doubt, np.dtype(np.float64), (N,)))
    wrong = ~((doubt >= 0) & (doubt <= 1))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"doubt[{at}] is {doubt[at]}, expected 0 to 1")
    return doubt


def check_count(name: str, count: int) -> None:
    """Raise ValueError for more rows or features than an int32 numbers."""
    if not 0 <= count <= MOST_ROWS:
        raise ValueError(f"there are {count} {name}, expected at most {MOST_ROWS}")
