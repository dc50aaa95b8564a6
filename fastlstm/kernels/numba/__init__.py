"""The engine compiled by Numba: any cell of `spec.CELLS`, and cells of a user's own.

One time loop (`forward`, `backward`) runs any cell, given as functions of one unit (`maths`,
`cells`); products are vector code (`tile`); `calls` is what `backend.Backend` asks for.
"""

try:
    import numba
except ImportError as error:
    raise ImportError(
        f"the numba backend needs Numba ({error}): pip install fastlstm[numba]"
    ) from error

from fastlstm.kernels.numba.adam import adam
from fastlstm.kernels.numba.calls import backward, forward, inside
from fastlstm.kernels.numba.memory import empty
from fastlstm.kernels.numba.pool import pool, pool_backward
from fastlstm.kernels.numba.sizes import memory
from fastlstm.kernels.numba.stream import stream
from fastlstm.kernels.reference import chain, matmul, pack_matrix  # which need no loop

__all__ = [
    "adam",
    "backward",
    "chain",
    "empty",
    "forward",
    "inside",
    "matmul",
    "memory",
    "pack_matrix",
    "pool",
    "pool_backward",
    "stream",
]
