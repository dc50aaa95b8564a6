"""Sparse rows in plain NumPy: the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.arguments import plain
from fastlstm.kernels.call import Array
from fastlstm.kernels.sparse import (
    SparseRows,
    check_count,
    read_columns,
    read_keys,
    read_offsets,
    read_rows,
)


class KeyTable:
    """The numbers of sorted keys.

    Parameters
    ----------
    keys : uint64 [F], rising; a copy is kept.

    Raises
    ------
    TypeError, ValueError
        If they are anything else.
    """

    def __init__(self, keys: Array) -> None:
        self._keys = read_keys(keys).copy()

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, keys: Array) -> NDArray[np.int32]:
        """Return the number of each key, int32 [M]: -1 for one that the table has not."""
        wanted = plain("keys", keys, np.dtype(np.uint64), (None,))
        if not len(self._keys):
            return np.full(len(wanted), -1, np.int32)
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[at] == wanted, at, -1).astype(np.int32)


def collapse(columns: Any, offsets: Any, features: int) -> SparseRows:
    """Return how often each feature is named in a row, in the order of its first mention.

    Parameters
    ----------
    columns : int32 [M], numbers of features; -1 for none.
    offsets : int64 [N+1], where each row starts.
    features : F.

    Raises
    ------
    TypeError, ValueError, IndexError
        If a column is out of range, or the rows do not fit.
    """
    check_count("features", features)
    columns = read_columns(columns, features, least=-1)
    offsets = read_offsets(offsets, len(columns))
    N = len(offsets) - 1
    named = columns >= 0
    row = np.repeat(np.arange(N), np.diff(offsets))[named]
    _, first, counts = np.unique(
        row * features + columns[named], return_index=True, return_counts=True
    )
    order = np.argsort(first)
    first = first[order]
    starts = np.concatenate([[0], np.cumsum(np.bincount(row[first], minlength=N))])
    return SparseRows(
        starts.astype(np.int64), columns[named][first], counts[order].astype(np.float32)
    )


def sparse_product(
    rows: SparseRows, weights: NDArray[np.float32], *, n_threads: int = 1
) -> NDArray[np.float64]:
    """Return rows times weights, float64 [N,K].

    Parameters
    ----------
    rows : of F features.
    weights : float32 [F,K].

    Raises
    ------
    TypeError, ValueError, IndexError
        If the rows or their columns do not fit.
    """
    weights = plain("weights", weights, np.dtype(np.float32), (None, None))
    rows = read_rows(rows, len(weights))
    N, K = len(rows.offsets) - 1, weights.shape[1]
    row = np.repeat(np.arange(N), np.diff(rows.offsets))
    found = np.empty((N, K))
    for k in range(K):
        terms = rows.values * weights[rows.columns, k].astype(np.float64)
        found[:, k] = np.bincount(row, terms, N)
    return found
