"""Objects of the extension made in Python without what makes them, or given no cell of theirs."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import make
from checks import run_forward
from hostile import CASE

from fastlstm import kernels
from fastlstm.kernels import Call, CellSpec, Weights
from fastlstm.kernels.chain import ChainSpec, Recurrence
from fastlstm.kernels.sizes import CallSizes


def test_saved_of_nothing(native: Any) -> None:
    kernel = Kernel("lstm", "native")
    _, saved = run_forward(kernel, make(CASE, kernel.cell), save=True)
    empty = type(saved)()
    with pytest.raises(RuntimeError, match="saved was used"):
        kernel.backward(empty, None, (None, None), Weights(*[None] * 5), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", [None, 5, "lstm", CellSpec(name="mgu", gates=("f", "n"))])
def test_what_is_no_cell(native: Any, cell: Any) -> None:
    p = make(CASE, kernels.CELLS["lstm"])
    call = Call(p.x, p.state, p.weights, p.rows, np.zeros((4, 3, 6)))
    refused = pytest.raises((AttributeError, NotImplementedError, TypeError))
    with refused:
        native.forward(cell, call)
    with refused:
        native.stream(cell, [p.weights], 1)
    with refused:
        native.memory(cell, CallSizes(p.rows, 5, 6))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("lstm", {"states": ("h",)}),
        ("gru", {"states": ("h", "c")}),
        ("lstm", {"gates": ("f", "i", "g", "o")}),
        ("peephole_lstm", {"params": ("p_o", "p_i", "p_f")}),
        ("gru", {"projects": True}),
    ],
)
def test_a_cell_with_the_name_of_another(native: Any, name: str, fields: dict[str, Any]) -> None:
    """The kernel runs by the name: it would read and write what that cell has."""
    cell = kernels.CELLS[name]
    p, other = make(CASE, cell), replace(cell, **fields)
    call = Call(p.x, p.state, p.weights, p.rows, np.zeros((4, 3, 6)))
    spec = ChainSpec((Recurrence(other, p.weights),), 1, 5, "float64")
    for refuse in (
        lambda: native.forward(other, call),
        lambda: native.stream(other, [p.weights], 1),
        lambda: native.chain(spec, 2),
        lambda: native.BoundForward(other, call, p.state, False),
    ):
        with pytest.raises(ValueError, match=f"the cell {name} is none of CELLS"):
            refuse()


def test_a_copy_of_a_cell_is_that_cell(native: Any) -> None:
    cell = kernels.CELLS["lstm"]
    p = make(CASE, cell)
    call = Call(p.x, p.state, p.weights, p.rows, np.zeros((4, 3, 6)))
    found, _ = native.forward(pickle.loads(pickle.dumps(cell)), call)
    for one, other in zip(found, native.forward(cell, call)[0], strict=True):
        np.testing.assert_array_equal(one, other)
