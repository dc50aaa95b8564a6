"""A call of a kernel whose arrays stay where they are, run after run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastlstm import kernels
from fastlstm.kernels import Call, CellSpec, Rows
from fastlstm.onnx.graph import Array
from fastlstm.runtime import get_num_threads

SMALL = 1 << 21  # multiply-adds of a call that one thread runs soonest


def bound(cell: CellSpec, call: Call, ends: list[Array], *, pack: bool) -> Callable[[], object]:
    """Return what runs a call and writes its last states to `ends`.

    In the compiled backend all is checked once, and with `pack` the weights are packed once.
    """
    backend: Any = kernels.backend()
    if not hasattr(backend, "BoundForward"):
        return lambda: run(cell, call, ends)
    forward: Callable[..., object] = backend.BoundForward(cell, call, tuple(ends), pack)
    if call.rows.total * call.weights.w_hh.size < SMALL:
        return forward
    return lambda: forward(get_num_threads())


def run_rows(cell: CellSpec, call: Call, ends: list[Array], rows: Rows) -> None:
    """Run a call with the lengths of this run."""
    run(cell, call._replace(rows=rows), ends)


def run(cell: CellSpec, call: Call, ends: list[Array]) -> None:
    """Run a call and write its last states to `ends`."""
    states, _ = kernels.backend().forward(cell, call._replace(n_threads=get_num_threads()))
    for end, state in zip(ends, states, strict=True):
        np.copyto(end, state)
