"""Arguments of backward made to do harm, and what changed since forward: checked once more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import each_cell, make
from checks import run, run_forward
from hostile import CASE, HUGE
from together import at_once

from fastlstm.kernels import Rows, Tokens

pytestmark = pytest.mark.pairs


@each_cell
@pytest.mark.parametrize("field", ["w_ih", "w_hh", "b_ih", "b_hh"])
@pytest.mark.parametrize(
    "bad",
    [
        lambda a: np.zeros(64),
        lambda a: np.zeros((64, 1, 1)),
        lambda a: np.zeros((*a.shape[:-1], a.shape[-1] + 1)),
        lambda a: np.zeros_like(a, np.float32),
        lambda a: np.zeros_like(a, int),
        lambda a: np.broadcast_to(np.float64(0), a.shape),
        lambda a: 3.0,
    ],
    ids=["one axis", "three axes", "a column more", "float32", "int", "read-only", "number"],
)
def test_wrong_gradients(kernel: Kernel, field: str, bad: Any) -> None:
    """Such as those of parameters that were changed since forward; what was kept still serves."""
    p = make(CASE, kernel.cell)
    expected = run(kernel, p)
    _, saved = run_forward(kernel, p, save=True)
    good = p.weights.map(np.zeros_like)
    wrong = good._replace(**{field: bad(getattr(good, field))})
    with pytest.raises((TypeError, ValueError), match=rf"grads\.{field}"):
        kernel.backward(saved, p.dy, p.dstate, wrong, None)
    dx = np.zeros_like(p.x)
    for name, value in (("dy", np.zeros(3)), ("dx", np.zeros((4, 3, 4))), ("dstate", (None,) * 3)):
        given: dict[str, Any] = {"dy": p.dy, "dstate": p.dstate, "dx": dx, name: value}
        with pytest.raises((TypeError, ValueError), match=name):
            kernel.backward(saved, given["dy"], given["dstate"], good, given["dx"])
    kernel.backward(saved, p.dy, p.dstate, good, dx)
    np.testing.assert_array_equal(dx, expected["dx"])
    np.testing.assert_array_equal(good.w_hh, expected["dw_hh"])


def test_a_gradient_for_a_projection_that_was_not_there(kernel: Kernel) -> None:
    p = make(CASE, kernel.cell)
    _, saved = run_forward(kernel, p, save=True)
    grads = p.weights.map(np.zeros_like)
    with pytest.raises(ValueError, match=r"grads\.w_hr is given, expected None"):
        kernel.backward(saved, p.dy, p.dstate, grads._replace(w_hr=np.zeros((6, 6))), None)


@each_cell
@pytest.mark.parametrize("token", [-1, 7, HUGE])
def test_ids_that_change_before_backward(kernel: Kernel, token: int) -> None:
    p = make(CASE, kernel.cell)
    ids = np.zeros((4, 3), np.int64)
    _, saved = run_forward(kernel, p, Tokens(ids, np.zeros((7, 5))), save=True)
    ids[2, 1] = token
    grads = p.weights.map(np.zeros_like)
    with pytest.raises(IndexError, match=rf"ids\[2, 1\] is {token}, expected 0 to 6"):
        kernel.backward(saved, p.dy, p.dstate, grads, np.zeros((7, 5)))
    assert not grads.w_ih.any()
    ids[2, 1] = 0
    kernel.backward(saved, p.dy, p.dstate, grads, np.zeros((7, 5)))


@each_cell
def test_one_backward_pass_of_many_threads(kernel: Kernel) -> None:
    """Of threads that share what forward kept, one has it."""
    p = make(CASE, kernel.cell)
    expected = run(kernel, p)
    for _ in range(20):
        _, saved = run_forward(kernel, p, save=True)
        grads = [p.weights.map(np.zeros_like) for _ in range(4)]

        def backward(n: int, saved: Any = saved, grads: Any = grads) -> Any:
            try:
                kernel.backward(saved, p.dy, p.dstate, grads[n], None)
            except RuntimeError as error:
                return str(error)
            return grads[n].w_hh

        results = at_once(4, backward)
        found = [r for r in results if not isinstance(r, str)]
        assert len(found) == 1
        np.testing.assert_array_equal(found[0], expected["dw_hh"])
        assert all("used by a backward" in r for r in results if isinstance(r, str))


def test_rows_that_do_not_fit_together(native_kernel: Kernel) -> None:
    """Which only writing to a `Rows` makes: places in memory, for the compiled kernels."""
    p = make(CASE, native_kernel.cell)
    for name, at, value in [
        ("order", 0, -1), ("order", 2, 3), ("lengths", 0, 9), ("lengths", 1, -1), ("n_at", 0, 4),
        ("n_at", 3, 3), ("offset", 0, 1), ("offset", 4, HUGE), ("lengths", 2, 2),
    ]:  # fmt: skip
        p.rows = Rows(4, 3, [4, 3, 4])
        _, saved = run_forward(native_kernel, p, save=True)
        getattr(p.rows, name)[at] = value
        with pytest.raises(
            (ValueError, IndexError), match="rows do not fit together|out of bounds"
        ):
            run_forward(native_kernel, p)
        if name == "lengths":  # read once: they are a sorted copy
            continue
        grads = p.weights.map(np.zeros_like)
        with pytest.raises(ValueError, match="rows do not fit together"):
            native_kernel.backward(saved, p.dy, p.dstate, grads, None)
