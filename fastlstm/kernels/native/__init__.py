"""The compiled backend; see `fastlstm.kernels.backend.Backend` for what it must do."""

from __future__ import annotations

import sys

import numpy as np

from fastlstm.kernels.call import Array
from fastlstm.kernels.native import _native
from fastlstm.kernels.native._native import (
    Stream,
    TensorStep,
    adam,
    backward,
    built_isas,
    cached_bytes,
    empty,
    forward,
    isa,
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
from fastlstm.kernels.rows import Int64Array, Rows

stream = Stream

BFLOAT16 = 2  # bytes of a number

__all__ = [
    "TensorStep",
    "adam",
    "backward",
    "built_isas",
    "cached_bytes",
    "empty",
    "forward",
    "inside",
    "isa",
    "memory",
    "mxcsr",
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
    *kept, itemsize, width, H = _native.kept(saved)
    gates, cells = (_numbers(raw, itemsize) for raw in kept)
    cell, rows = saved.spec, saved.batch
    G, P, Hp = len(cell.gates), rows.total, -(-H // width) * width
    # A row's units stand in blocks of a vector, and in a block its gates side by side.
    by_gate = gates.reshape(P, Hp // width, G, width)[_steps_ascending(rows)]
    values = {name: by_gate[:, :, g].reshape(P, Hp)[:, :H] for g, name in enumerate(cell.gates)}
    if itemsize == BFLOAT16:
        for name in cell.sigmoids:  # kept by their distance to the nearer of 0 and 1
            values[name] = values[name] + np.signbit(values[name])
    if len(cell.states) > 1:  # before the P rows stand the N of the initial state
        values[cell.states[1]] = cells.reshape(rows.N + P, Hp)[rows.N :, :H]
    return {name: values[name] for name in cell.inside}


def _numbers(raw: bytearray, itemsize: int) -> Array:
    """Return numbers that the kernels keep as float32 or float64."""
    if itemsize != BFLOAT16:
        return np.frombuffer(raw, f"f{itemsize}")
    halves = np.frombuffer(raw, np.uint16)
    if sys.byteorder == "big":  # the first of a word is that of its lowest bits
        halves = halves.reshape(-1, 2)[:, ::-1].ravel()
    return (halves.astype(np.uint32) << 16).view(np.float32)


def _steps_ascending(rows: Rows) -> Int64Array:
    """Return where each packed row stands among gates, whose steps go from the last to the first.

    Rows of one step keep their order.
    """
    step = np.repeat(np.arange(rows.T), rows.n_at)
    return rows.total - rows.offset[step + 1] + np.arange(rows.total) - rows.offset[step]
