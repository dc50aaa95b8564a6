"""Sums over many rows and steps: as exact as short ones, and the same bits however they are cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, Array, Case, Problem, each_cell, make
from checks import assert_close, run
from contracts import check_recompute, check_threads, draw_tokens

from fastlstm.kernels import Reset, Rows, Tokens, Weights

# More rows than any sum adds up before it goes to the next (SUM_ROWS in src/rows.h).
LONG = Case(20, 2000, 3, 4, ragged=True, dtype=F32, seed=3)
TENTH = np.float32(0.1)


def long_problem(kernel: Kernel) -> Problem:
    """Gradients of one sign: the error of a plain float32 sum grows with its length."""
    p = make(LONG, kernel.cell)
    return replace(p, dy=np.abs(p.dy), rows=Rows(LONG.T, LONG.N))


def weight_gradients(results: dict[str, Array]) -> dict[str, Array]:
    return {name: value for name, value in results.items() if name.startswith(("dw", "db"))}


@each_cell
@pytest.mark.parametrize("distinct", [False, True])
def test_gradients_of_weights(kernel: Kernel, distinct: bool) -> None:
    p = long_problem(kernel)
    ids = np.random.default_rng(1).integers(0, 3, p.x.shape[:2])
    x = Tokens(ids, p.x[0, :3].copy()) if distinct else p.x
    exact = Tokens(ids, x.table.astype(F64)) if isinstance(x, Tokens) else x.astype(F64)
    right = run(Kernel(kernel.cell, "reference"), p.astype(F64), exact)
    found = run(kernel, p, x)
    names = weight_gradients(right) | ({"dx": right["dx"]} if distinct else {})
    for name in names:
        assert_close(found[name], right[name], 1.5e-6, name)


def constant(T: int, N: int) -> Problem:
    """A tanh cell at zero whose every step adds a tenth to the gradients."""
    zero = np.zeros((N, 1), F32)
    one = np.ones((1, 1), F32)
    return Problem(
        x=np.ones((T, N, 1), F32),
        state=(zero,),
        weights=Weights(0 * one, one, zero[0], zero[0]),
        rows=Rows(T, N),
        dy=np.full((T, N, 1), TENTH),
        dstate=(zero,),
        reverse=False,
        reset=Reset(np.ones((T, N), bool), (zero,)),
    )


@pytest.mark.parametrize("cell", ["rnn_tanh"])
@pytest.mark.parametrize("distinct", [False, True])
def test_equal_terms(kernel: Kernel, distinct: bool) -> None:
    """Those are rounded alike: a float32 sum of 200,000 of them is off by a thousandth."""
    p = constant(50, 4000)
    tokens = Tokens(np.zeros(p.x.shape[:2], np.int64), np.ones((1, 1), F32))
    found = run(kernel, p, tokens if distinct else None)
    for name in ("dw_ih", "db_ih", "db_hh"):
        np.testing.assert_allclose(found[name], 200_000 * F64.type(TENTH), rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("cell", ["rnn_tanh"])
def test_gradient_of_a_reset(kernel: Kernel) -> None:
    T = 20_000
    found = run(kernel, constant(T, 1))
    np.testing.assert_allclose(found["dh_reset"], T * F64.type(TENTH), rtol=2e-5)


@each_cell
def test_the_cut_changes_no_bit(compiled_kernel: Kernel) -> None:
    check_recompute(compiled_kernel, LONG)
    check_threads(compiled_kernel, LONG)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_threads_and_often_repeated_tokens(compiled_kernel: Kernel) -> None:
    p = make(LONG, compiled_kernel.cell)
    tokens = draw_tokens(LONG)
    tokens = Tokens(tokens.ids % 3, tokens.table[:3])
    one = run(compiled_kernel, p, tokens)
    for n_threads in (2, 3, 5):
        for recompute in (0, 3):
            more = run(compiled_kernel, p, tokens, recompute, n_threads)
            for name, value in one.items():
                np.testing.assert_array_equal(more[name], value, err_msg=name)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_mean_over_many_steps(kernel: Kernel, dtype: np.dtype[Any]) -> None:
    T = 30_000
    y = np.full((T, 2, 3), TENTH, dtype)
    y[:, 1] += np.random.default_rng(0).random((T, 3)).astype(dtype)
    mean, _, _ = kernel.pool(y, np.array([T, T - 1]), mean=True, max=True)
    right = [y[:, 0].mean(axis=0, dtype=F64), y[:-1, 1].mean(axis=0, dtype=F64)]
    np.testing.assert_allclose(mean, right, rtol=np.finfo(dtype).eps * (2 if dtype == F32 else 50))


@pytest.mark.parametrize("value", [0.1, -0.7], ids=str)
def test_mean_over_a_million_equal_steps(compiled_kernel: Kernel, value: float) -> None:
    """What is rounded off them is alike, too, and so large in the end that it counts."""
    T = 10**6
    y = np.full((T, 1, 1), value, F32)
    mean, _, _ = compiled_kernel.pool(y, np.array([T]), mean=True, max=False)
    np.testing.assert_allclose(mean, y[0], rtol=2 * np.finfo(F32).eps)


def test_infinite_mean(kernel: Kernel) -> None:
    y = np.ones((3, 1, 2), F32)
    y[1, 0, 1] = np.inf
    mean, _, _ = kernel.pool(y, np.array([3]), mean=True, max=False)
    np.testing.assert_array_equal(mean, [[1, np.inf]])


def test_place_of_a_late_maximum(compiled_kernel: Kernel) -> None:
    """Places are counted in integers: float32 has no number for every step past 2^24."""
    T = 2**24 + 6
    y = np.zeros((T, 1, 1), F32)
    y[T - 3] = 1
    lengths = np.array([T])
    _, best, step = compiled_kernel.pool(y, lengths, mean=False, max=True)
    assert best.item() == 1
    assert step.item() == T - 3
    assert step.dtype == np.int64
    compiled_kernel.pool_backward(y, lengths, None, np.full((1, 1), 7, F32), step)
    assert np.flatnonzero(y).tolist() == [T - 3]
    assert y[T - 3] == 7


def test_a_place_past_the_end_is_refused(native_kernel: Any) -> None:
    dy, dmax = np.zeros((4, 2, 3), F32), np.ones((2, 3), F32)
    for wrong in (3, -1):
        step = np.zeros((2, 3), np.int64)
        step[1, 2] = wrong
        with pytest.raises(IndexError, match=rf"step\[1, 2\] is {wrong}, expected 0 to 2"):
            native_kernel.pool_backward(dy, np.array([4, 3]), None, dmax, step)
