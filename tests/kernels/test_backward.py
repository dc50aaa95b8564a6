"""A backward is accepted only against differences of forward and against the reference (here), and
against torch (tests/nn/test_lstm_torch.py)."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, F32, SIZES, SMALL, Array, Case, make
from checks import check_differences, check_every_difference, check_reference, run, run_forward
from hypothesis import given
from hypothesis import strategies as st

from fastlstm.kernels import Kernel, Weights, reference

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
    seed=st.integers(0, 999),
)


@pytest.mark.parametrize("case", CASES + SMALL, ids=str)
def test_float64_equals_the_reference(kernel: Kernel, case: Case) -> None:
    check_reference(kernel, case)


@pytest.mark.parametrize("case", CASES + SMALL, ids=str)
def test_float32_equals_the_reference(kernel: Kernel, case: Case) -> None:
    check_reference(kernel, case.with_dtype(F32))


@given(case=any_case)
def test_any_sizes_equal_the_reference(native_kernel: Kernel, case: Case) -> None:
    check_reference(native_kernel, case)


@pytest.mark.parametrize("case", CASES[::2] + SMALL, ids=str)
def test_gradients_equal_differences(kernel: Kernel, case: Case) -> None:
    check_differences(kernel, case)


@pytest.mark.parametrize("case", SMALL[:4], ids=str)
def test_each_gradient_element_equals_its_difference(kernel: Kernel, case: Case) -> None:
    check_every_difference(kernel, case)


@pytest.mark.parametrize("missing", ["dy", "dh_n", "dc_n"])
def test_a_gradient_left_out_is_zero(kernel: Kernel, missing: str) -> None:
    p = make(SMALL[4])
    setattr(p, missing, np.zeros_like(getattr(p, missing)))
    expected = run(kernel, p)
    setattr(p, missing, None)
    for name, value in run(kernel, p).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def _grads(weights: Weights, start: float) -> Weights:
    return Weights(*(None if w is None else np.full_like(w, start) for w in weights))


def test_gradients_are_added(kernel: Kernel) -> None:
    p = make(SMALL[4])
    plain, dx = run(kernel, p), np.full_like(p.x, 3)
    grads = _grads(p.weights, 2)
    _, saved = run_forward(kernel, p, save=True)
    kernel.backward(saved, p.dy, p.dh_n, p.dc_n, grads, dx, accumulate_dx=True)
    np.testing.assert_allclose(dx, plain["dx"] + 3, rtol=0, atol=1e-12)
    for name, grad in zip(("dw_ih", "dw_hh", "db_ih", "db_hh"), grads, strict=True):
        np.testing.assert_allclose(grad, plain[name] + 2, rtol=0, atol=1e-12, err_msg=name)


def test_dx_and_bias_gradients_may_be_left_out(kernel: Kernel) -> None:
    p = make(SMALL[4])
    plain, grads = run(kernel, p), _grads(p.weights, 0)._replace(b_ih=None, b_hh=None)
    _, saved = run_forward(kernel, p, save=True)
    dh0, dc0 = kernel.backward(saved, p.dy, p.dh_n, p.dc_n, grads, None)
    for name, value in [("dh0", dh0), ("dc0", dc0), ("dw_ih", grads.w_ih), ("dw_hh", grads.w_hh)]:
        np.testing.assert_array_equal(value, plain[name], err_msg=name)


def test_saved_serves_once(kernel: Kernel) -> None:
    p = make(SMALL[4])
    _, saved = run_forward(kernel, p, save=True)
    kernel.backward(saved, p.dy, None, None, _grads(p.weights, 0), None)
    with pytest.raises(RuntimeError, match="saved"):
        kernel.backward(saved, p.dy, None, None, _grads(p.weights, 0), None)


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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", [SMALL[4], SMALL[5], Case(3, 1, 1, 1), Case(1, 9, 1, 8)], ids=str)
def test_strided_arrays(kernel: Kernel, case: Case, kind: str) -> None:
    p = make(case)
    expected = run(kernel, p)
    p.x, p.dy = _strided(p.x, kind), _strided(p.dy, kind)
    y, dx = (_strided(np.full(s, np.nan), kind) for s in (p.dy.shape, p.x.shape))
    if kind == "read-only":
        y, dx = y.copy(), dx.copy()
    p.h0.flags.writeable = p.weights.w_ih.flags.writeable = False
    grads = _grads(p.weights, 0)
    h_n, _, saved = kernel.forward(
        p.x, p.h0, p.c0, p.weights, p.rows, y, reverse=p.reverse, save=True
    )
    dh0, _ = kernel.backward(saved, p.dy, p.dh_n, p.dc_n, grads, dx)
    for name, value in [("y", y), ("h_n", h_n), ("dx", dx), ("dh0", dh0), ("dw_ih", grads.w_ih)]:
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_a_broadcast_gradient(kernel: Kernel) -> None:
    """What mean pooling hands back: one gradient for all steps, with a stride of zero."""
    p = make(SMALL[5])
    p.dy = np.ascontiguousarray(np.broadcast_to(p.dy[0], p.dy.shape))
    expected = run(kernel, p)
    p.dy = np.broadcast_to(p.dy[0], p.dy.shape)
    for name, value in run(kernel, p).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_the_reference_by_hand() -> None:
    """One step of one unit, worked out from the definition."""
    case = Case(1, 1, 1, 1, seed=7)
    p = make(case)
    z = (p.weights.w_ih[:, 0] * p.x[0, 0, 0] + p.weights.b_ih) + (
        p.weights.w_hh[:, 0] * p.h0[0, 0] + p.weights.b_hh
    )
    i, f, o = (1 / (1 + np.exp(-z[k])) for k in (0, 1, 3))
    c = f * p.c0[0, 0] + i * np.tanh(z[2])
    out, _ = run_forward(reference, p)
    assert out["c_n"][0, 0] == pytest.approx(c, rel=1e-14)
    assert out["h_n"][0, 0] == pytest.approx(o * np.tanh(c), rel=1e-14)
    assert out["y"][0, 0, 0] == out["h_n"][0, 0]
