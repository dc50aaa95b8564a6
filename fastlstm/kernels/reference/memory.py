"""How much memory a call of the reference takes."""

from __future__ import annotations

import numpy as np

from fastlstm.kernels.reference.cells import STEPS
from fastlstm.kernels.sizes import CallSizes, MemoryUse, check_sizes
from fastlstm.kernels.spec import CellSpec


def memory(cell: CellSpec, sizes: CallSizes) -> MemoryUse:
    """Return the bytes of arrays that a forward that saves and its backward (with dx) take.

    What is at work comes on top of what is kept. Python's own objects, some hundred bytes a
    step, are not counted.

    Raises
    ------
    ValueError
        If a size is out of range, the dtype another than float32 and float64, or the precision
        one that does not fit it or has no backward.
    """
    check_sizes(cell, sizes)
    rows, I, H, _, U, _, K, dtype, _, precision = sizes
    size, n, R = np.dtype(dtype).itemsize, int(rows.n_at[0]), sizes.proj_size or H
    G, states = cell.gate_rows(H), sum(cell.state_sizes(H, R))
    record = 2 * states + STEPS[cell.name].keeps * H
    step = n * (I + 3 * G + record + 3 * H + R * sizes.mask)  # of one step: input, products, gates
    forward = rows.N * states + step
    backward = forward + n * (I + 2 * G) + G * (I + R) + R * H
    if not K:
        kept = rows.total * record
    else:
        kept = -(-rows.T // K) * rows.N * states
        backward += int(rows.offset[min(K, rows.T)]) * record
    own = len(cell.params) * H
    if precision != "float32":  # the rounded weights, and at work those cut or turned, and factors
        weights = G * (I + R) + R * H * bool(sizes.proj_size)
        kept += weights
        forward += 2 * G * max(I, R) + 3 * n * max(I, G)
        backward += 2 * G * max(I, R) + 3 * n * max(I, G)
    wide = 8 * (rows.total + G * (I + R + 2) + R * H + own + U * I)  # indices, float64 sums
    return MemoryUse(size * kept, size * forward, size * backward + wide)
