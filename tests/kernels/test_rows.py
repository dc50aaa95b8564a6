"""The description of a ragged batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlstm.kernels import Rows


@given(T=st.integers(1, 9), data=st.data())
def test_fields_follow_from_the_lengths(T: int, data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(0, T), min_size=1, max_size=12))
    rows = Rows(T, len(lengths), lengths)
    assert (rows.T, rows.N) == (T, len(lengths))
    assert rows.lengths.tolist() == lengths
    assert rows.order.tolist() == sorted(range(len(lengths)), key=lambda n: -lengths[n])
    assert rows.n_at.tolist() == [sum(n > s for n in lengths) for s in range(T)]
    assert rows.offset.tolist() == [sum(rows.n_at[:s]) for s in range(T + 1)]
    assert rows.total == sum(lengths)
    assert rows.full == (min(lengths) == T)
    for array in (rows.lengths, rows.order, rows.n_at, rows.offset):
        assert array.dtype == np.int64
        assert array.flags.c_contiguous


def test_without_lengths_all_rows_are_full() -> None:
    given_, default = Rows(4, 3, [4, 4, 4]), Rows(4, 3)
    for name in ("T", "N", "full", "lengths", "n_at", "offset", "order", "total"):
        assert np.array_equal(getattr(given_, name), getattr(default, name)), name
    assert default.full


def test_steps_of_both_directions() -> None:
    rows = Rows(3, 3, [1, 3, 0])
    forward = [(t.tolist(), n.tolist()) for t, n in rows.steps()]
    backward = [(t.tolist(), n.tolist()) for t, n in rows.steps(reverse=True)]
    assert forward == [([0, 0], [1, 0]), ([1], [1]), ([2], [1])]
    assert backward == [([2, 0], [1, 0]), ([1], [1]), ([0], [1])]


def test_lengths_are_copied() -> None:
    lengths = np.array([1, 2])
    rows = Rows(2, 2, lengths)
    lengths[0] = 0
    assert rows.lengths.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_any_integers_serve_as_lengths(dtype: Any) -> None:
    assert Rows(5, 2, np.array([5, 0], dtype)).order.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("T", "N", "lengths", "error", "message"),
    [
        (0, 1, None, ValueError, "T is 0, expected at least one step"),
        (1, 0, None, ValueError, "N is 0, expected a batch of at least one row"),
        (3, 2, [1, 4], ValueError, r"lengths\[1\] is 4, expected 0 to 3"),
        (3, 2, [-1, 3], ValueError, r"lengths\[0\] is -1, expected 0 to 3"),
        (3, 2, [1, 2, 3], ValueError, r"lengths has shape \(3,\), expected \(2,\)"),
        (3, 2, [[1, 2]], ValueError, r"lengths has shape \(1, 2\), expected \(2,\)"),
        (3, 2, 3, ValueError, r"lengths has shape \(\), expected \(2,\)"),
        (3, 2, [], ValueError, r"lengths has shape \(0,\), expected \(2,\)"),
        (3, 2, np.zeros(0), TypeError, "lengths has dtype float64, expected integers"),
        (3, 2, [1.0, 2.0], TypeError, "lengths has dtype float64, expected integers"),
        (3, 2, [True, False], TypeError, "lengths has dtype bool, expected integers"),
        (3, 1, np.array([2**64 - 1], np.uint64), ValueError, r"lengths\[0\] is 1844"),
    ],
)
def test_errors(T: int, N: int, lengths: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Rows(T, N, lengths)
