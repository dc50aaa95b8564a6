"""The promises that are kept to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, F32, F64, SIZES, Case, make
from checks import (
    check_chunks,
    check_lengths_of_others,
    check_poison_stays,
    check_row_independence,
    check_threads,
    check_tokens,
    run_forward,
)
from hypothesis import given
from hypothesis import strategies as st

from fastlstm.kernels import Kernel, Rows, Tokens

dtypes = pytest.mark.parametrize("dtype", [F32, F64], ids=str)
cases = pytest.mark.parametrize("case", CASES, ids=str)

size = st.one_of(st.sampled_from(SIZES), st.integers(1, 20))
any_case = st.builds(
    Case,
    T=st.integers(1, 7),
    N=size,
    I=size,
    H=size,
    ragged=st.booleans(),
    reverse=st.booleans(),
    dtype=st.sampled_from([F32, F64]),
    seed=st.integers(0, 999),
)


@dtypes
@cases
def test_rows_do_not_depend_on_each_other(
    kernel: Kernel, case: Case, dtype: np.dtype[np.floating]
) -> None:
    check_row_independence(kernel, case.with_dtype(dtype))


@given(case=any_case)
def test_rows_do_not_depend_on_the_lengths_of_others(kernel: Kernel, case: Case) -> None:
    check_lengths_of_others(kernel, case)


@dtypes
@cases
def test_tokens_equal_their_dense_input(
    kernel: Kernel, case: Case, dtype: np.dtype[np.floating]
) -> None:
    check_tokens(kernel, case.with_dtype(dtype))


# Large ones too: small work runs on one thread whatever is asked for. The last two have few rows
# or large weights, which threads divide by units and not by rows.
LARGE = [
    Case(20, 64, 64, 64, dtype=F32),
    Case(20, 67, 50, 65, ragged=True, dtype=F32, seed=1),
    Case(30, 33, 20, 130, ragged=True, reverse=True, dtype=F64, seed=2),
    Case(12, 3, 40, 300, ragged=True, dtype=F32, seed=3),
    Case(6, 40, 30, 384, ragged=True, reverse=True, dtype=F64, seed=4),
]


@pytest.mark.parametrize("case", CASES[::3] + LARGE, ids=str)
def test_threads_do_not_change_a_bit(native_kernel: Kernel, case: Case) -> None:
    check_threads(native_kernel, case)


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_tokens_on_threads(native_kernel: Kernel, case: Case) -> None:
    rng = np.random.default_rng(0)
    p = make(case)
    tokens = Tokens(rng.integers(0, 30, (case.T, case.N)), p.x.reshape(-1, case.I)[:30].copy())
    one, _ = run_forward(native_kernel, p, tokens)
    for n_threads in (2, 3) * 10:  # a race need not show in one
        more, _ = run_forward(native_kernel, p, tokens, n_threads=n_threads)
        np.testing.assert_array_equal(more["y"], one["y"])


@given(case=any_case, data=st.data())
def test_chunks_equal_the_whole(kernel: Kernel, case: Case, data: st.DataObject) -> None:
    if case.reverse:
        case = Case(case.T, case.N, case.I, case.H, case.ragged, dtype=case.dtype, seed=case.seed)
    inner = st.integers(1, case.T - 1) if case.T > 1 else st.nothing()
    cuts = data.draw(st.lists(inner, unique=True).map(sorted)) if case.T > 1 else []
    check_chunks(kernel, case, cuts)
    check_chunks(kernel, case, list(range(1, case.T)))


@dtypes
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("case", [Case(3, 9, 7, 16), Case(5, 17, 9, 33, ragged=True)], ids=str)
def test_poison_stays_in_its_row(
    kernel: Kernel, case: Case, poison: float, dtype: np.dtype[np.floating]
) -> None:
    check_poison_stays(kernel, case.with_dtype(dtype), poison)


def test_what_lies_behind_a_row_is_not_read(kernel: Kernel) -> None:
    p = make(Case(6, 9, 5, 8, ragged=True))
    behind = np.arange(6)[:, None] >= p.rows.lengths
    clean, _ = run_forward(kernel, p)
    p.x[behind] = np.nan
    dirty, _ = run_forward(kernel, p)
    for name, value in dirty.items():
        np.testing.assert_array_equal(value, clean[name], err_msg=name)
    assert not dirty["y"][behind].any()


def test_a_row_without_steps_keeps_its_state(kernel: Kernel) -> None:
    p = make(Case(4, 3, 5, 8))
    p.rows = Rows(4, 3, [2, 0, 0])
    out, _ = run_forward(kernel, p)
    np.testing.assert_array_equal(out["h_n"][1:], p.h0[1:])
    np.testing.assert_array_equal(out["c_n"][1:], p.c0[1:])
    assert not out["y"][:, 1:].any()


def test_a_batch_without_any_step(kernel: Kernel) -> None:
    p = make(Case(4, 3, 5, 8))
    p.rows = Rows(4, 3, [0, 0, 0])
    out, _ = run_forward(kernel, p)
    np.testing.assert_array_equal(out["h_n"], p.h0)
    assert not out["y"].any()
