"""The engine compiled by Numba: any cell of `spec.CELLS`, and cells of a user's own.

One time loop (`forward`, `backward`) runs any cell, given as functions of one unit (`maths`,
`cells`); products are vector code (`tile`); `calls` is what `backend.Backend` asks for.
"""

from functools import partial

try:
    import numba
except ImportError as error:
    raise ImportError(
        f"the numba backend needs Numba ({error}): pip install fastlstm[numba]"
    ) from error

from fastlstm.kernels.adam import LoopedAdam
from fastlstm.kernels.many import Looped, LoopedStream
from fastlstm.kernels.numba.adam import adam
from fastlstm.kernels.numba.calls import backward, forward, inside
from fastlstm.kernels.numba.crf import crf, viterbi
from fastlstm.kernels.numba.logistic import logistic
from fastlstm.kernels.numba.memory import empty
from fastlstm.kernels.numba.pool import pool, pool_backward
from fastlstm.kernels.numba.sizes import memory
from fastlstm.kernels.numba.stream import stream
from fastlstm.kernels.reference import (  # which need no loop
    chain,
    collapse,
    key_table,
    matmul,
    pack_matrix,
    softmax_cross_entropy,
    sparse_product,
)

models = partial(Looped, forward, backward)
many_stream = LoopedStream
adam_group = partial(LoopedAdam, adam)

__all__ = [
    "adam",
    "adam_group",
    "backward",
    "chain",
    "collapse",
    "crf",
    "empty",
    "forward",
    "inside",
    "key_table",
    "logistic",
    "many_stream",
    "matmul",
    "memory",
    "models",
    "pack_matrix",
    "pool",
    "pool_backward",
    "softmax_cross_entropy",
    "sparse_product",
    "stream",
    "viterbi",
]
