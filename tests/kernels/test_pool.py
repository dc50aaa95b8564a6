"""Mean and maximum over real steps: the reference against a plain loop, backends against it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, SIZES, TOLERANCE, Array, draw_lengths
from checks import assert_close
from hypothesis import given
from hypothesis import strategies as st

case = st.tuples(st.integers(1, 6), st.integers(1, 9), st.sampled_from(SIZES), st.integers(0, 99))


def draw(T: int, N: int, F: int, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    y = np.round(rng.standard_normal((T, N, F)) * 2) / 2  # with equal ones
    lengths = draw_lengths(rng, T, N)
    y[np.arange(T)[:, None] >= lengths] = np.nan  # not to be looked at
    return y, lengths


@given(sizes=case, dtype=st.sampled_from([F32, F64]), n_threads=st.integers(1, 3))
def test_forward(kernel: Kernel, sizes: Any, dtype: np.dtype[Any], n_threads: int) -> None:
    y, lengths = draw(*sizes)
    mean, best, step = kernel.pool(
        y.astype(dtype), lengths, mean=True, max=True, n_threads=n_threads
    )
    for n, length in enumerate(lengths):
        real = y[:length, n] if length else np.zeros((1, y.shape[2]))
        assert_close(mean[n], real.mean(axis=0), TOLERANCE["output", dtype], "mean")
        np.testing.assert_array_equal(best[n], real.max(axis=0))
        np.testing.assert_array_equal(step[n], real.argmax(axis=0))
    assert mean.dtype == best.dtype == dtype


@given(sizes=case, dtype=st.sampled_from([F32, F64]), n_threads=st.integers(1, 3))
def test_backward(kernel: Kernel, sizes: Any, dtype: np.dtype[Any], n_threads: int) -> None:
    y, lengths = draw(*sizes)
    rng = np.random.default_rng(1)
    dmean, dmax = rng.standard_normal((2, *y.shape[1:])).astype(dtype)
    _, _, step = kernel.pool(y.astype(dtype), lengths, mean=False, max=True)
    dy = np.full(y.shape, 7, dtype)
    kernel.pool_backward(dy, lengths, dmean, dmax, step, n_threads=n_threads)
    for n, length in enumerate(lengths):
        expected = np.full(y[:, n].shape, 7.0)
        if length:
            expected[:length] = dmean[n] / length
            expected[y[:length, n].argmax(axis=0), range(y.shape[2])] += dmax[n]
        assert_close(dy[:, n], expected, TOLERANCE["output", dtype], f"dy of row {n}")


def test_only_what_is_asked(kernel: Kernel) -> None:
    y, lengths = np.ones((3, 2, 4)), np.array([3, 1])
    mean, best, step = kernel.pool(y, lengths, mean=True, max=False)
    assert best is None
    assert step is None
    both = kernel.pool(y, lengths, mean=True, max=True)
    np.testing.assert_array_equal(mean, both[0])
    only_mean, only_max = np.zeros((2, *y.shape))
    kernel.pool_backward(only_mean, lengths, np.full((2, 4), 6.0), None, None)
    kernel.pool_backward(only_max, lengths, None, np.full((2, 4), 6.0), both[2])
    assert only_mean[:, :, 0].tolist() == [[2, 6], [2, 0], [2, 0]]
    assert only_max[:, :, 0].tolist() == [[6, 6], [0, 0], [0, 0]]


def test_nan_is_not_lost(kernel: Kernel) -> None:
    y = np.zeros((4, 1, 3))
    y[1, 0, 1] = np.nan
    mean, best, _ = kernel.pool(y, np.array([4]), mean=True, max=True)
    assert np.isnan(mean[0]).tolist() == np.isnan(best[0]).tolist() == [False, True, False]


def test_a_row_does_not_depend_on_its_neighbours(kernel: Kernel) -> None:
    y, lengths = draw(6, 9, 17, 3)
    whole = kernel.pool(y, lengths, mean=True, max=True)
    for n in range(9):
        alone = kernel.pool(y[:, [n]], lengths[[n]], mean=True, max=True)
        for a, b in zip(alone, whole, strict=True):
            np.testing.assert_array_equal(a[0], b[n])


def test_wrong_lengths_never_reach_memory(native_kernel: Any) -> None:
    for wrong in ([5], [-1]):
        with pytest.raises(ValueError, match=r"lengths\[0\] is -?\d, expected 0 to 4"):
            native_kernel.pool(np.zeros((4, 1, 3)), np.array(wrong), mean=True, max=False)
