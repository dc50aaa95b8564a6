"""A signal in the middle of a long call: its handler runs at once, and may end the call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from alarm import alarm
from bound import Kernel
from cases import F32, Case, Problem, make
from checks import run

# Long on any machine; what it writes is small beside the work.
LONG = Case(1000, 4, 64, 1024, dtype=F32)
SMALL = Case(5, 9, 7, 17, dtype=F32)
threads = pytest.mark.parametrize("n_threads", [1, 2])


@pytest.fixture
def kernel(native: Any) -> Kernel:
    return Kernel("lstm", "native")


class Stop(Exception):
    """Raised by a handler."""


def stop() -> None:
    raise Stop


def forward(kernel: Kernel, p: Problem, y: Any, n_threads: int) -> Any:
    return kernel.forward(p.x, p.state, p.weights, p.rows, y, save=True, recompute=40,
                          n_threads=n_threads)  # fmt: skip


def new_output(p: Problem) -> Any:
    """NaN, so that what is not written shows."""
    return np.full((p.rows.T, p.rows.N, p.weights.w_hh.shape[1]), np.nan, F32)


@threads
def test_forward_ends_early(kernel: Kernel, native: Any, n_threads: int) -> None:
    p, small = make(LONG, kernel.cell), make(SMALL, kernel.cell)
    expected, state, y = run(kernel, small), native.mxcsr(), new_output(p)
    with alarm(stop), pytest.raises(Stop):
        forward(kernel, p, y, n_threads)
    assert np.isnan(y[-1]).all(), "the call ran to its end"
    assert native.mxcsr() == state
    for name, value in run(kernel, small, n_threads=n_threads).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


@threads
def test_backward_ends_early(kernel: Kernel, native: Any, n_threads: int) -> None:
    p = make(LONG, kernel.cell)
    grads = p.weights.map(np.zeros_like)
    _, saved = forward(kernel, p, new_output(p), n_threads)
    dx, state = np.full_like(p.x, np.nan), native.mxcsr()
    with alarm(stop), pytest.raises(Stop):
        kernel.backward(saved, p.dy, p.dstate, grads, dx, n_threads=n_threads)
    assert np.isnan(dx[0]).all(), "the call ran to its end"
    assert native.mxcsr() == state
    with pytest.raises(RuntimeError, match="saved was used by a backward pass"):
        kernel.backward(saved, p.dy, p.dstate, grads, dx)


@threads
def test_a_handler_that_returns_changes_nothing(kernel: Kernel, n_threads: int) -> None:
    """It may use the kernels itself, and finds floats as they are outside."""
    p, small = make(LONG, kernel.cell), make(SMALL, kernel.cell)
    right, expected, found = new_output(p), run(kernel, small), []

    def handler() -> None:
        found.append(run(kernel, small, n_threads=n_threads))
        found.append({"tiny": np.array([1e-320]) * np.array([1.0])})
        found.append({"written": ~np.isnan(y[-1])})

    forward(kernel, p, right, n_threads)
    y = new_output(p)
    with alarm(handler):
        forward(kernel, p, y, n_threads)
    np.testing.assert_array_equal(y, right)
    results, tiny, written = found
    for name, value in results.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    assert tiny["tiny"][0] > 0, "the handler ran with denormals flushed"
    assert not written["written"].any(), "the handler ran after the call"


@threads
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_a_product_of_matrices_ends_early(native: Any, precision: str, n_threads: int) -> None:
    a, b = np.ones((8000, 4096), F32), np.ones((2048, 4096), F32)
    y, state = np.full((8000, 2048), np.nan, F32), native.mxcsr()
    with alarm(stop), pytest.raises(Stop):
        native.matmul(a, b, precision=precision, out=y, n_threads=n_threads)
    assert np.isnan(y).any(), "the product was made to its end"  # by both threads
    assert native.mxcsr() == state
