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


def bound(
    cell: CellSpec,
    call: Call,
    ends: list[Array],
    *,
    pack: bool,
    shared: dict[Any, Any] | None = None,
) -> Callable[[], object]:
    """Return what runs a call and writes its last states to `ends`.

    In the compiled backend all is checked once, and with `pack` the weights are packed: once for
    all calls with the same weights that have `shared` in common.
    """
    backend: Any = kernels.backend()
    copied = bool(call.weights.params) and not pack  # peepholes that are not known before a run
    if copied or not hasattr(backend, "BoundForward"):
        return lambda: run(cell, call, ends)
    packed = _packed(cell, call, shared) if pack and shared is not None else pack
    forward: Callable[..., object] = backend.BoundForward(cell, call, tuple(ends), packed)
    if call.rows.total * call.weights.w_hh.size < SMALL:
        return forward
    return lambda: forward(get_num_threads())


def _packed(cell: CellSpec, call: Call, shared: dict[Any, Any]) -> Any:
    """Return a call of one step and one row that holds the packed weights of this one."""
    arrays = [a for a in call.weights.arrays() if a is not None]
    key = ("packed", cell.name, *(a.__array_interface__["data"][0] for a in arrays))
    if key not in shared:
        backend: Any = kernels.backend()
        I, H, R = call.weights.sizes()
        dtype = call.weights.w_hh.dtype
        states, ends = (
            tuple(np.zeros((1, n), dtype) for n in cell.state_sizes(H, R)) for _ in range(2)
        )
        one = Call(
            np.zeros((1, 1, I), dtype), states, call.weights, Rows(1, 1), np.zeros((1, 1, R), dtype)
        )
        shared[key] = backend.BoundForward(cell, one, ends, True)
    return shared[key]


def run_rows(cell: CellSpec, call: Call, ends: list[Array], rows: Rows) -> None:
    """Run a call with the lengths of this run."""
    run(cell, call._replace(rows=rows), ends)


def run(cell: CellSpec, call: Call, ends: list[Array]) -> None:
    """Run a call and write its last states to `ends`."""
    states, _ = kernels.backend().forward(cell, call._replace(n_threads=get_num_threads()))
    for end, state in zip(ends, states, strict=True):
        np.copyto(end, state)
