"""The promises that are kept to the last bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import CASES, F32, F64, SIZES, Case, each_cell, make, spread
from checks import run, run_forward
from contracts import (
    check_chunks,
    check_lengths_of_others,
    check_poison_stays,
    check_recompute,
    check_reset,
    check_row_independence,
    check_stream,
    check_threads,
    check_tokens,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlstm.kernels import Rows, Tokens

pytestmark = pytest.mark.pairs

dtypes = pytest.mark.parametrize("dtype", [F32, F64], ids=str)
cases = pytest.mark.parametrize(("cell", "case"), spread(CASES), ids=str)

size = st.one_of(st.sampled_from(SIZES), st.integers(1, 20))
any_case = st.builds(
    Case,
    T=st.integers(1, 7),
    N=size,
    I=size,
    H=size,
    ragged=st.booleans(),
    reverse=st.booleans(),
    proj=st.integers(0, 20),
    reset=st.booleans(),
    dtype=st.sampled_from([F32, F64]),
    seed=st.integers(0, 999),
)


@dtypes
@cases
def test_rows_do_not_depend_on_each_other(kernel: Kernel, case: Case, dtype: Any) -> None:
    check_row_independence(kernel, case.with_dtype(dtype))


@each_cell
@settings(max_examples=40)
@given(case=any_case)
def test_rows_do_not_depend_on_the_lengths_of_others(kernel: Kernel, case: Case) -> None:
    check_lengths_of_others(kernel, case)


@dtypes
@cases
def test_tokens_equal_their_dense_input(kernel: Kernel, case: Case, dtype: Any) -> None:
    check_tokens(kernel, case.with_dtype(dtype))


@dtypes
@cases
def test_a_reset_equals_a_cut(kernel: Kernel, case: Case, dtype: Any) -> None:
    check_reset(kernel, case.with_dtype(dtype))


@each_cell
@settings(max_examples=25)
@given(case=any_case)
def test_a_reset_equals_a_cut_at_any_size(kernel: Kernel, case: Case) -> None:
    check_reset(kernel, case)


@cases
def test_recomputing_changes_no_bit(kernel: Kernel, case: Case) -> None:
    check_recompute(kernel, case.with_dtype(F32 if case.seed % 2 else F64))


@cases
def test_steps_of_a_stream_equal_the_whole(kernel: Kernel, case: Case) -> None:
    check_stream(kernel, case.with_dtype(F64 if case.seed % 2 else F32))


# Large ones too: small work runs on one thread whatever is asked for. Two have few rows or large
# weights, which threads divide by units and not by rows; one leaves a thread without features. The
# last ones are single steps, which threads share as long as they are awake.
LARGE = [
    Case(20, 64, 64, 64, dtype=F32),
    Case(20, 67, 50, 65, ragged=True, dtype=F32, seed=1),
    Case(30, 33, 20, 130, ragged=True, reverse=True, dtype=F64, seed=2),
    Case(12, 3, 40, 300, ragged=True, dtype=F32, seed=3),
    Case(6, 40, 30, 384, ragged=True, reverse=True, dtype=F64, seed=4),
    Case(12, 64, 64, 128, ragged=True, proj=64, reset=True, dtype=F32, seed=5),
    Case(150, 64, 1, 8, ragged=True, dtype=F32, seed=6),
    Case(1, 1, 128, 128, dtype=F32, seed=7),
    Case(1, 9, 50, 200, dtype=F64, seed=8),
]


@pytest.mark.parametrize(("cell", "case"), spread(CASES[::3] + LARGE, 3), ids=str)
def test_threads_do_not_change_a_bit(compiled_kernel: Kernel, case: Case) -> None:
    check_threads(compiled_kernel, case)


@pytest.mark.parametrize(("cell", "case"), spread(LARGE, 3), ids=str)
def test_threads_that_do_not_come_change_no_bit(native_kernel: Kernel, case: Case) -> None:
    """As outside of tests: work that no other thread has begun in time is the caller's."""
    _native = pytest.importorskip("fastlstm.kernels.native._native")
    _native.be_patient(False)
    try:
        check_threads(native_kernel, case)
    finally:
        _native.be_patient(True)


@pytest.mark.parametrize(("cell", "case"), spread(LARGE), ids=str)
def test_recomputing_large_ones(compiled_kernel: Kernel, case: Case) -> None:
    check_recompute(compiled_kernel, case)


@pytest.mark.parametrize(("cell", "case"), spread(LARGE), ids=str)
def test_tokens_on_threads(compiled_kernel: Kernel, case: Case) -> None:
    rng = np.random.default_rng(0)
    p = make(case, compiled_kernel.cell)
    table = p.x.reshape(-1, case.I)[:30].copy()
    tokens = Tokens(rng.integers(0, len(table), (case.T, case.N)), table)
    one, _ = run_forward(compiled_kernel, p, tokens)
    for n_threads in (2, 3) * 10:  # a race need not show in one
        more, _ = run_forward(compiled_kernel, p, tokens, n_threads=n_threads)
        np.testing.assert_array_equal(more["y"], one["y"])


@each_cell
@settings(max_examples=40)
@given(case=any_case, data=st.data())
def test_chunks_equal_the_whole(kernel: Kernel, case: Case, data: st.DataObject) -> None:
    inner = st.integers(1, case.T - 1) if case.T > 1 else st.nothing()
    cuts = data.draw(st.lists(inner, unique=True).map(sorted)) if case.T > 1 else []
    check_chunks(kernel, case, cuts)
    check_chunks(kernel, case, list(range(1, case.T)))


@each_cell
@dtypes
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "case", [Case(3, 9, 7, 16, proj=3), Case(5, 17, 9, 33, ragged=True, reset=True)], ids=str
)
def test_poison_stays_in_its_row(kernel: Kernel, case: Case, poison: float, dtype: Any) -> None:
    check_poison_stays(kernel, case.with_dtype(dtype), poison)


@each_cell
def test_what_lies_behind_a_row_is_not_read(kernel: Kernel) -> None:
    p = make(Case(6, 9, 5, 8, ragged=True, reset=True), kernel.cell)
    assert p.reset is not None
    behind = np.arange(6)[:, None] >= p.rows.lengths
    clean, _ = run_forward(kernel, p)
    p.x[behind] = np.nan
    p.reset.mask[behind] ^= True
    dirty, _ = run_forward(kernel, p)
    for name, value in dirty.items():
        np.testing.assert_array_equal(value, clean[name], err_msg=name)
    assert not dirty["y"][behind].any()


@each_cell
@pytest.mark.parametrize("lengths", [[2, 0, 0], [0, 0, 0]])
@pytest.mark.parametrize("recompute", [0, 2])
def test_a_row_without_steps_keeps_its_state(
    kernel: Kernel, lengths: list[int], recompute: int
) -> None:
    p = make(Case(4, 3, 5, 8, reset=True), kernel.cell)
    assert p.reset is not None
    p.reset.mask[...] = True
    p.rows = Rows(4, 3, lengths)
    without = np.array(lengths) == 0
    results = run(kernel, p, recompute=recompute)
    assert not results["y"][:, without].any()
    for name, state, d in zip(kernel.cell.states, p.state, p.dstate, strict=True):
        np.testing.assert_array_equal(results[f"{name}_n"][without], state[without])
        np.testing.assert_array_equal(results[f"d{name}0"][without], d[without])
        assert not results[f"d{name}_reset"][without].any()


def test_resets_at_the_first_step_alone_change_the_state_there(kernel: Kernel) -> None:
    """The convention, in words: true at time t is before the step at t, in both directions."""
    for reverse in (False, True):
        p = make(Case(4, 3, 5, 8, reset=True, reverse=reverse), kernel.cell)
        assert p.reset is not None
        p.reset.mask[...] = False
        p.reset.mask[-1 if reverse else 0] = True
        other = replace(p, state=p.reset.state, reset=None)
        np.testing.assert_array_equal(run(kernel, p)["y"], run(kernel, other)["y"])
        assert not run(kernel, p)["dh0"].any()
