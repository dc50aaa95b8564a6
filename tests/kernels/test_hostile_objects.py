"""Objects of the extension made in Python without what makes them, or given no cell of theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import make
from checks import run_forward
from hostile import CASE

from fastlstm import kernels
from fastlstm.kernels import Call, CellSpec, Weights
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
