"""The compiled backend; see `fastlstm.kernels.backend.Backend` for what it must do."""

from __future__ import annotations

from fastlstm.kernels.call import Array
from fastlstm.kernels.native import _native
from fastlstm.kernels.native._native import (
    BoundForward,
    Chain,
    PackedMatrix,
    Stream,
    TensorStep,
    adam,
    backward,
    built_isas,
    cached_bytes,
    empty,
    forward,
    isa,
    matmul,
    memory,
    mxcsr,
    pool,
    pool_backward,
    set_isa,
    supported_isas,
    trim,
    vec_exp,
    vec_sigmoid,
    vec_tanh,
)

chain = Chain
pack_matrix = PackedMatrix
stream = Stream

__all__ = [
    "BoundForward",
    "TensorStep",
    "adam",
    "backward",
    "built_isas",
    "cached_bytes",
    "chain",
    "empty",
    "forward",
    "inside",
    "isa",
    "matmul",
    "memory",
    "mxcsr",
    "pack_matrix",
    "pool",
    "pool_backward",
    "set_isa",
    "stream",
    "supported_isas",
    "trim",
    "vec_exp",
    "vec_sigmoid",
    "vec_tanh",
]


def inside(saved: _native.HeldCall) -> dict[str, Array]:
    """Return the gates and states of every step: see `fastlstm.kernels.reference.inside`."""
    gates, cells, H = _native.inside(saved)
    cell, (P, blocks, _, width) = saved.spec, gates.shape
    # A row's units stand in blocks of a vector, and in a block its gates side by side.
    by_gate = gates.swapaxes(1, 2).reshape(P, len(cell.gates), blocks * width)[:, :, :H]
    values = {name: by_gate[:, g] for g, name in enumerate(cell.gates)}
    if len(cell.states) > 1:
        values[cell.states[1]] = cells[:, :H]
    return {name: values[name] for name in cell.inside}
