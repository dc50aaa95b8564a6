"""The compiled backend; see `fastlstm.kernels.backend.Backend` for what it must do."""

from __future__ import annotations

from collections.abc import Sequence

from fastlstm.kernels.call import Array, Weights
from fastlstm.kernels.many import Looped
from fastlstm.kernels.native import _native
from fastlstm.kernels.native._native import (
    BoundForward,
    Chain,
    KeyTable,
    PackedMatrix,
    Stream,
    TensorStep,
    adam,
    backward,
    built_isas,
    cached_bytes,
    collapse,
    empty,
    forward,
    isa,
    logistic,
    matmul,
    memory,
    mxcsr,
    pool,
    pool_backward,
    set_isa,
    softmax_cross_entropy,
    sparse_product,
    supported_isas,
    trim,
    vec_exp,
    vec_sigmoid,
    vec_tanh,
)
from fastlstm.kernels.native.crf import crf, viterbi
from fastlstm.kernels.native.many import AdamGroup, ManyStream, Models
from fastlstm.kernels.spec import CellSpec

adam_group = AdamGroup
chain = Chain
key_table = KeyTable
many_stream = ManyStream
pack_matrix = PackedMatrix
stream = Stream

__all__ = [
    "BoundForward",
    "TensorStep",
    "adam",
    "adam_group",
    "backward",
    "built_isas",
    "cached_bytes",
    "chain",
    "collapse",
    "crf",
    "empty",
    "forward",
    "inside",
    "isa",
    "key_table",
    "logistic",
    "many_stream",
    "matmul",
    "memory",
    "models",
    "mxcsr",
    "pack_matrix",
    "pool",
    "pool_backward",
    "set_isa",
    "softmax_cross_entropy",
    "sparse_product",
    "stream",
    "supported_isas",
    "trim",
    "vec_exp",
    "vec_sigmoid",
    "vec_tanh",
    "viterbi",
]


def models(
    cell: CellSpec, weights: Sequence[Weights], precision: str = "float32"
) -> Models | Looped:
    """Return what runs many models in one call: see `fastlstm.kernels.backend.Backend.models`."""
    if cell.params:  # which each call copies
        return Looped(forward, backward, cell, weights, precision)
    return Models(cell, weights, precision)


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
