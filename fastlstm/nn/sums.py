"""Sums over many rows: added one by one in float32, they would lose digits."""

from __future__ import annotations

import numpy as np

from fastlstm import kernels
from fastlstm.kernels.rows import Int64Array
from fastlstm.nn.module import Array
from fastlstm.nn.precision import products

BLOCK = 1024  # rows that are summed in their own precision
MANY = 16 * BLOCK  # rows whose blocks are added up in that precision too


def sum_rows(rows: Array) -> Array:
    """Return the sum [F] of rows [n,F], as exact for 10^7 of them as for a thousand."""
    total = np.zeros(rows.shape[1])
    for start in range(0, len(rows), BLOCK):
        total += rows[start : start + BLOCK].sum(axis=0)
    return total.astype(rows.dtype)


def sums_at(place: Int64Array, count: int, rows: Array) -> Array:
    """Return the sums [count,F] of those rows [n,F] whose `place` [n] is 0, 1 .. count-1."""
    if rows.dtype != np.float32:
        total = np.zeros((count, rows.shape[1]), rows.dtype)
        np.add.at(total, place, rows)
        return total
    # a product with a matrix of ones, which is compiled and adds in float64
    of_place = np.argsort(place, kind="stable").astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=count))])
    ones = np.ones(len(rows), np.float32)
    from fastlstm.kernels.sparse import SparseRows  # here: no recurrent layer needs it

    selected = SparseRows(offsets, of_place, ones)
    sums = kernels.backend().sparse_product(selected, np.ascontiguousarray(rows))
    return sums.astype(np.float32)


def add_products(total: Array, d: Array, x: Array, precision: str = "float32") -> None:
    """Add to `total` [F,I] the products of the rows of d [n,F] and x [n,I], summed."""
    if len(d) <= MANY:
        _add_blocks(total, d, x, precision)
        return
    exact = np.zeros(total.shape)
    for start in range(0, len(d), MANY):
        part, some = slice(start, start + MANY), np.zeros_like(total)
        _add_blocks(some, d[part], x[part], precision)
        exact += some
    total += exact


def _add_blocks(total: Array, d: Array, x: Array, precision: str) -> None:
    for start in range(0, len(d), BLOCK):
        part = slice(start, start + BLOCK)
        products(d[part].T, x[part].T, precision, out=total, add=True)
