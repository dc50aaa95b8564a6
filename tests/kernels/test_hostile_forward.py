"""Arguments of forward made to do harm: each backend answers with an error that names them.

None crashes: what a kernel reads is checked on the very objects that it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import Problem, each_cell, make
from checks import run_forward
from hostile import CASE, HUGE

from fastlstm.kernels import Tokens

pytestmark = pytest.mark.pairs


class Liar(np.ndarray):
    """An array whose Python face says what its memory is not."""

    shape = (24, 6)  # type: ignore[assignment]
    ndim = 2  # type: ignore[assignment]
    dtype = np.dtype(np.float64)  # type: ignore[assignment]


def weights(**changed: Any) -> Callable[[Problem], None]:
    def change(p: Problem) -> None:
        p.weights = p.weights._replace(**changed)

    return change


def assign(name: str, value: Any) -> Callable[[Problem], None]:
    return lambda p: setattr(p, name, value)


def unaligned(shape: tuple[int, ...]) -> Any:
    return np.frombuffer(bytes(8 * int(np.prod(shape)) + 1), np.uint8)[1:].view("f8").reshape(shape)


# Name -> what is done to a problem, and the argument that the error must name.
WRONG: dict[str, tuple[Callable[[Problem], None], str]] = {
    "a recurrent weight of one axis": (weights(w_hh=np.zeros(64)), "w_hh"),
    "an input weight of one axis": (weights(w_ih=np.zeros(64)), "w_ih"),
    "a weight of three axes": (weights(w_ih=np.zeros((24, 5, 1))), "w_ih"),
    "a number for a weight": (weights(w_hh=np.float64(3)), "w_hh"),
    "no recurrent weight": (weights(w_hh=None), "w_hh"),
    "no input weight": (weights(w_ih=None), "w_ih"),
    "a list for a weight": (weights(w_hh=[[0.0] * 6] * 24), "w_hh"),
    "a weight of integers": (weights(w_hh=np.zeros((24, 6), int)), "w_hh"),
    "a weight of objects": (weights(w_ih=np.zeros((24, 5), object)), "w_ih"),
    "a weight that claims rows": (weights(w_ih=np.zeros((HUGE, 0))), "w_ih"),
    "a weight that claims columns": (weights(w_hh=np.zeros((0, HUGE))), "w_hh"),
    "a weight that lies": (weights(w_hh=np.zeros((2, 3)).view(Liar)), "w_hh"),
    "a bias of two axes": (weights(b_ih=np.zeros((24, 1))), "b_ih"),
    "an empty bias": (weights(b_hh=np.zeros(0)), "b_hh"),
    "a table of one axis": (assign("x", Tokens(np.zeros((4, 3), int), np.zeros(5))), "table"),
    "a table of no tokens": (assign("x", Tokens(np.zeros((4, 3), int), np.zeros((0, 5)))), "ids"),
    "ids of one axis": (assign("x", Tokens(np.zeros(4, int), np.zeros((2, 5)))), "ids"),
    "ids of another size": (assign("x", Tokens(np.zeros((3, 4), int), np.zeros((2, 5)))), "ids"),
    "ids in 32 bits": (assign("x", Tokens(np.zeros((4, 3), "i4"), np.zeros((2, 5)))), "ids"),
    "no x": (assign("x", None), "x"),
    "x of one axis": (assign("x", np.zeros(4)), "x"),
    "x that lies": (assign("x", np.zeros((2, 2)).view(Liar)), "x"),
    "no states": (assign("state", ()), "state"),
    "a state of numbers": (assign("state", (0.0, 0.0)), "state"),
}  # fmt: skip


@each_cell
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arguments(kernel: Kernel, wrong: str) -> None:
    p = make(CASE, kernel.cell)
    if wrong == "a state of numbers":
        p.state = (0.0,) * len(p.state)  # type: ignore[assignment]
    else:
        WRONG[wrong][0](p)
    y = np.zeros((4, 3, 6))
    for call in (kernel.forward, kernel.trace):
        with pytest.raises((TypeError, ValueError, IndexError), match=WRONG[wrong][1]):
            call(p.x, p.state, p.weights, p.rows, y)


@pytest.mark.parametrize("w_hr", [np.zeros(6), np.zeros((4, 0)), np.zeros((5, 6)), np.float64(1)])
def test_wrong_projections(kernel: Kernel, w_hr: Any) -> None:
    p = make(replace(CASE, proj=4), kernel.cell)
    p.weights = p.weights._replace(w_hr=w_hr)
    with pytest.raises((TypeError, ValueError), match="w_hr"):
        run_forward(kernel, p)


@each_cell
def test_what_is_not_aligned(native_kernel: Kernel) -> None:
    """Layers copy it; a kernel says so. (In plain NumPy it does no harm.)"""
    p = make(CASE, native_kernel.cell)
    p.x = unaligned(p.x.shape)
    with pytest.raises(ValueError, match="x is not aligned, expected a copy"):
        run_forward(native_kernel, p)


def test_a_negative_recompute(kernel: Kernel) -> None:
    with pytest.raises(ValueError, match="recompute is -1"):
        run_forward(kernel, make(CASE, kernel.cell), save=True, recompute=-1)
