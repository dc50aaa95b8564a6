"""Every cell in plain NumPy: the definition, and the oracle of every test.

`cells` holds one step of each cell; `time_loop` what all of them share: the loop over the steps of
a ragged batch in both directions, resets, masks, recomputing, and the products with the input.
"""

import numpy as np

from fastlstm.kernels.reference.adam import adam
from fastlstm.kernels.reference.chain import Chain as chain
from fastlstm.kernels.reference.matmul import matmul, pack_matrix
from fastlstm.kernels.reference.memory import memory
from fastlstm.kernels.reference.pool import pool, pool_backward
from fastlstm.kernels.reference.stream import Stream as stream
from fastlstm.kernels.reference.time_loop import backward, forward, inside

empty = np.empty

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
