"""A backward is accepted only against differences of forward and against the reference (here), and
against torch (test_definitions.py)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bound import Kernel
from cases import CASES, F32, SIZES, SMALL, Array, Case, Problem, each_cell, make, spread
from checks import (
    check_differences,
    check_every_difference,
    check_reference,
    named,
    run,
    run_forward,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlstm.kernels import Weights

any_size = st.one_of(st.sampled_from(SIZES), st.integers(1, 20))
any_case = st.builds(
    Case,
    T=st.integers(1, 6),
    N=any_size,
    I=any_size,
    H=any_size,
    ragged=st.booleans(),
    reverse=st.booleans(),
    bias=st.booleans(),
    proj=st.integers(0, 20),
    reset=st.booleans(),
    seed=st.integers(0, 999),
)


all_cases = pytest.mark.parametrize(("cell", "case"), spread(CASES + SMALL), ids=str)


@all_cases
def test_float64_equals_the_reference(kernel: Kernel, case: Case) -> None:
    check_reference(kernel, case)


@all_cases
def test_float32_equals_the_reference(kernel: Kernel, case: Case) -> None:
    check_reference(kernel, case.with_dtype(F32))


@each_cell
@settings(max_examples=40)
@given(case=any_case)
def test_any_sizes_equal_the_reference(compiled_kernel: Kernel, case: Case) -> None:
    check_reference(compiled_kernel, case)


@pytest.mark.pairs
@pytest.mark.parametrize(("cell", "case"), spread(CASES[::2] + SMALL), ids=str)
def test_gradients_equal_differences(kernel: Kernel, case: Case) -> None:
    check_differences(kernel, case)


@pytest.mark.pairs
@each_cell
@pytest.mark.parametrize("case", [*SMALL[1:4], SMALL[6], Case(3, 2, 1, 2, reset=True)], ids=str)
def test_each_gradient_element_equals_its_difference(kernel: Kernel, case: Case) -> None:
    check_every_difference(kernel, case)


def problem(kernel: Kernel, case: Case = SMALL[7]) -> Problem:
    return make(case, kernel.cell)


@each_cell
@pytest.mark.parametrize("missing", [None, 0, 1], ids=["dy", "dh_n", "dc_n"])
def test_a_gradient_left_out_is_zero(kernel: Kernel, missing: int | None) -> None:
    p = problem(kernel)
    if missing is None:
        assert p.dy is not None
        p.dy, left_out = np.zeros_like(p.dy), replace(p, dy=None)
    elif missing < len(p.dstate):
        parts = list(p.dstate)
        parts[missing] = None
        left_out = replace(p, dstate=tuple(parts))
        parts[missing] = np.zeros_like(p.state[missing])
        p.dstate = tuple(parts)
    else:
        pytest.skip(f"{kernel.cell.name} has no state c")
    expected = run(kernel, p)
    for name, value in run(kernel, left_out).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def _grads(weights: Weights, start: float) -> Weights:
    return weights.map(lambda w: np.full_like(w, start))


@each_cell
def test_gradients_are_added(kernel: Kernel) -> None:
    p = problem(kernel)
    plain, dx = run(kernel, p), np.full_like(p.x, 3)
    grads = _grads(p.weights, 2)
    _, saved = run_forward(kernel, p, save=True)
    kernel.backward(saved, p.dy, p.dstate, grads, dx, accumulate_dx=True)
    np.testing.assert_allclose(dx, plain["dx"] + 3, rtol=0, atol=1e-12)
    for name, grad in named(kernel, grads).items():
        np.testing.assert_allclose(grad, plain[name] + 2, rtol=0, atol=1e-12, err_msg=name)


@each_cell
def test_dx_and_bias_gradients_may_be_left_out(kernel: Kernel) -> None:
    p = problem(kernel)
    plain, grads = run(kernel, p), _grads(p.weights, 0)._replace(b_ih=None, b_hh=None)
    _, saved = run_forward(kernel, p, save=True)
    (dh0, *_), _ = kernel.backward(saved, p.dy, p.dstate, grads, None)
    np.testing.assert_array_equal(dh0, plain["dh0"])
    for name, grad in named(kernel, grads).items():
        np.testing.assert_array_equal(grad, plain[name], err_msg=name)


@each_cell
@pytest.mark.parametrize("recompute", [0, 2])
def test_saved_serves_once(kernel: Kernel, recompute: int) -> None:
    p = problem(kernel)
    _, saved = run_forward(kernel, p, save=True, recompute=recompute)
    kernel.backward(saved, p.dy, p.dstate, _grads(p.weights, 0), None)
    with pytest.raises(RuntimeError, match="saved"):
        kernel.backward(saved, p.dy, p.dstate, _grads(p.weights, 0), None)


def _strided(a: Array, kind: str) -> Array:
    """The same values with other strides of time and row, the last axis contiguous."""
    if kind == "batch first":
        return np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1)
    if kind == "part of a wider array":
        wide = np.full((*a.shape[:2], a.shape[2] + 5), np.nan, a.dtype)
        wide[..., 2:-3] = a
        return wide[..., 2:-3]
    if kind == "backwards":
        return np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1]
    readonly = a.copy()
    readonly.flags.writeable = False
    return readonly


KINDS = ("batch first", "part of a wider array", "backwards", "read-only")


@pytest.mark.pairs
@each_cell
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", [SMALL[5], SMALL[7], Case(3, 1, 1, 1), Case(1, 9, 1, 8)], ids=str)
def test_strided_arrays(kernel: Kernel, case: Case, kind: str) -> None:
    p = problem(kernel, case)
    expected = run(kernel, p)
    assert p.dy is not None
    p.x, p.dy = _strided(p.x, kind), _strided(p.dy, kind)
    y, dx = (_strided(np.full(s, np.nan), kind) for s in (p.dy.shape, p.x.shape))
    if kind == "read-only":
        y, dx = y.copy(), dx.copy()
    p.state[0].flags.writeable = p.weights.w_ih.flags.writeable = False
    grads = _grads(p.weights, 0)
    options = {"reverse": p.reverse, "reset": p.reset, "save": True}
    state_n, saved = kernel.forward(p.x, p.state, p.weights, p.rows, y, **options)  # type: ignore[arg-type]
    dstate_0, _ = kernel.backward(saved, p.dy, p.dstate, grads, dx)
    actual = {"y": y, "h_n": state_n[0], "dx": dx, "dh0": dstate_0[0], "dw_ih": grads.w_ih}
    for name, value in actual.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


@each_cell
def test_a_broadcast_gradient(kernel: Kernel) -> None:
    """What mean pooling hands back: one gradient for all steps, with a stride of zero."""
    p = problem(kernel)
    assert p.dy is not None
    p.dy = np.ascontiguousarray(np.broadcast_to(p.dy[0], p.dy.shape))
    expected = run(kernel, p)
    p.dy = np.broadcast_to(p.dy[0], p.dy.shape)
    for name, value in run(kernel, p).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


@each_cell
def test_arguments_are_not_changed(kernel: Kernel) -> None:
    p, before = problem(kernel), problem(kernel)
    run(kernel, p, recompute=2)
    assert p.reset is not None
    assert before.reset is not None
    states = zip(p.reset.state, before.reset.state, strict=True)
    pairs = [(p.x, before.x), (p.dy, before.dy), (p.reset.mask, before.reset.mask), *states]
    for a, b in (
        (p.state, before.state),
        (p.dstate, before.dstate),
        (p.weights.arrays(), before.weights.arrays()),
    ):
        pairs += zip(a, b, strict=True)
    for value, expected in pairs:
        np.testing.assert_array_equal(value, expected)
