"""Sparse rows and keys of features in every backend."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from sparse_rows import sparse_rows

from fastlstm.kernels.sparse import SparseRows


def int32(*numbers: int) -> Any:
    return np.array(numbers, np.int32)


def uint64(*numbers: int) -> Any:
    return np.array(numbers, np.uint64)


@pytest.mark.parametrize("F", [0, 1, 2, 3, 7, 64, 65, 1000])
def test_keys_are_found(kernel: Kernel, F: int) -> None:
    """Also where all of them begin with the same bits, or are the least and the most."""
    rng = np.random.default_rng(F)
    drawn = rng.integers(0, 2**64, F, np.uint64, endpoint=False)
    ends = np.concatenate([drawn[: max(F - 2, 0)], uint64(0, 2**64 - 1)[:F]])
    for keys in (drawn, np.arange(F, dtype=np.uint64), ends):
        keys = np.unique(keys)
        table = kernel.backend.key_table(keys)
        assert len(table) == len(keys)
        wanted = np.concatenate([keys[::-1], uint64(5, 2**63, 2**64 - 2, 0), keys])
        number = {int(key): n for n, key in enumerate(keys)}
        expected = [number.get(int(key), -1) for key in wanted]
        found = table.find(wanted)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, expected)
        assert table.find(wanted[:0]).shape == (0,)


def test_a_table_keeps_its_own_keys(kernel: Kernel) -> None:
    keys = uint64(3, 5, 9)
    table = kernel.backend.key_table(keys)
    keys[:] = 0
    np.testing.assert_array_equal(table.find(uint64(9, 0, 3)), [2, -1, 0])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (uint64(3, 3), "keys[1] is 3, expected more than 3"),
        (uint64(4, 9, 8), "keys[2] is 8, expected more than 9"),
        (uint64(1).reshape(1, 1), "keys has shape (1, 1)"),
        (np.array([1, 2]), "keys is an array of int64"),
        ([1], "keys is a list"),
    ],
)
def test_wrong_keys(kernel: Kernel, keys: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        kernel.backend.key_table(keys)


@pytest.mark.parametrize("wanted", [np.array([1]), uint64(1).reshape(1, 1), [1], None])
def test_other_keys_are_not_looked_for(kernel: Kernel, wanted: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        kernel.backend.key_table(uint64(1, 2)).find(wanted)


def test_collapse_counts(kernel: Kernel) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 30, 50)
    columns = rng.integers(-1, 20, lengths.sum()).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    found = kernel.backend.collapse(columns, offsets, 20)
    assert (found.columns.dtype, found.values.dtype) == (np.int32, np.float32)
    for n in range(50):
        part = slice(found.offsets[n], found.offsets[n + 1])
        counts = Counter(c for c in columns[offsets[n] : offsets[n + 1]].tolist() if c >= 0)
        assert list(counts) == found.columns[part].tolist(), "in the order of the first mention"
        assert list(counts.values()) == found.values[part].tolist()


def test_collapse_of_nothing(kernel: Kernel) -> None:
    found = kernel.backend.collapse(int32(-1, -1), np.array([0, 0, 2, 2]), 0)
    np.testing.assert_array_equal(found.offsets, [0, 0, 0, 0])
    assert len(found.columns) == len(found.values) == 0


@pytest.mark.parametrize(
    ("columns", "offsets", "features", "message"),
    [
        (int32(0, 3), [0, 2], 3, "columns[1] is 3, expected -1 to 2"),
        (int32(0, -2), [0, 2], 3, "columns[1] is -2, expected -1 to 2"),
        (int32(0), [0, 1], 0, "columns[0] is 0, expected -1 to -1"),
        (int32(0, 1), [0, 3], 3, "offsets must rise from 0 to 2"),
        (int32(0, 1), [1, 2], 3, "offsets must rise from 0 to 2"),
        (int32(0, 1), [0, 2, 1, 2], 3, "offsets must rise from 0 to 2"),
        (int32(0, 1), [0, -5, 2], 3, "offsets must rise from 0 to 2"),
        (int32(0, 1), [], 3, "offsets must rise from 0 to 2"),
        (int32(0, 1), [0, 2], 2**31, "there are 2147483648 features"),
        (int32(0, 1), [0, 2], -1, "there are -1 features"),
        (np.array([0, 1]), [0, 2], 3, "columns is an array of int64"),
        (int32(0, 1).reshape(1, 2), [0, 2], 3, "columns has shape (1, 2)"),
    ],
)
def test_wrong_rows(
    kernel: Kernel, columns: Any, offsets: list[int], features: int, message: str
) -> None:
    starts = np.array(offsets, np.int64)
    with pytest.raises((TypeError, ValueError, IndexError), match=re.escape(message)):
        kernel.backend.collapse(columns, starts, features)


@pytest.mark.parametrize("K", [0, 1, 3, 8])
def test_sparse_product(kernel: Kernel, K: int) -> None:
    rng = np.random.default_rng(0)
    x = np.where(rng.random((30, 20)) < 0.3, rng.standard_normal((30, 20)), 0).astype(np.float32)
    w = rng.standard_normal((20, K)).astype(np.float32)
    found = kernel.backend.sparse_product(sparse_rows(x), w)
    np.testing.assert_allclose(found, x.astype(float) @ w, atol=1e-12)


def test_a_row_of_a_product_is_its_own(kernel: Kernel) -> None:
    """Its bits depend on no other row."""
    x = np.random.default_rng(0).standard_normal((5, 9)).astype(np.float32)
    w = np.random.default_rng(1).standard_normal((9, 2)).astype(np.float32)
    whole = kernel.backend.sparse_product(sparse_rows(x), w)
    for n in range(5):
        alone = kernel.backend.sparse_product(sparse_rows(x[n : n + 1]), w)
        np.testing.assert_array_equal(alone[0], whole[n])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"columns": int32(0, 9)}, "columns[1] is 9, expected 0 to 8"),
        ({"columns": int32(-1, 1)}, "columns[0] is -1, expected 0 to 8"),
        ({"columns": int32(0)}, "values has shape (2,), expected (1,)"),
        ({"values": np.zeros(2)}, "values is an array of float64"),
        ({"offsets": np.array([0, 3])}, "offsets must rise from 0 to 2"),
        ({"offsets": np.array([0.0, 2.0])}, "offsets is an array of float64"),
    ],
)
def test_wrong_rows_of_a_product(kernel: Kernel, wrong: dict[str, Any], message: str) -> None:
    rows = SparseRows(np.array([0, 2]), int32(0, 1), np.ones(2, np.float32))._replace(**wrong)
    with pytest.raises((TypeError, ValueError, IndexError), match=re.escape(message)):
        kernel.backend.sparse_product(rows, np.zeros((9, 2), np.float32))


@pytest.mark.parametrize("weights", [np.zeros((9, 2)), np.zeros(9, np.float32), None])
def test_wrong_weights_of_a_product(kernel: Kernel, weights: Any) -> None:
    rows = SparseRows(np.array([0, 2]), int32(0, 1), np.ones(2, np.float32))
    with pytest.raises((TypeError, ValueError), match="weights"):
        kernel.backend.sparse_product(rows, weights)
