"""Every cell in plain NumPy: the definition, and the oracle of every test.

`cells` holds one step of each cell; `time_loop` what all of them share: the loop over the steps of
a ragged batch in both directions, resets, masks, recomputing, and the products with the input.
"""

from functools import partial

import numpy as np

from fastlstm.kernels.adam import LoopedAdam
from fastlstm.kernels.many import Looped, LoopedStream
from fastlstm.kernels.reference.adam import adam
from fastlstm.kernels.reference.chain import Chain as chain
from fastlstm.kernels.reference.crf import crf, viterbi
from fastlstm.kernels.reference.logistic import logistic
from fastlstm.kernels.reference.matmul import matmul, pack_matrix
from fastlstm.kernels.reference.memory import memory
from fastlstm.kernels.reference.pool import pool, pool_backward
from fastlstm.kernels.reference.softmax import softmax_cross_entropy
from fastlstm.kernels.reference.sparse import KeyTable as key_table
from fastlstm.kernels.reference.sparse import collapse, sparse_product
from fastlstm.kernels.reference.stream import Stream as stream
from fastlstm.kernels.reference.time_loop import backward, forward, inside

empty = np.empty
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
