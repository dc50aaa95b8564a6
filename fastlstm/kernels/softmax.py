"""The check that every backend reads the arguments of its `softmax_cross_entropy` with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastlstm.kernels.arguments import plain
from fastlstm.kernels.call import DTYPES, Array
from fastlstm.kernels.rows import Int64Array


class SoftmaxArrays(NamedTuple):
    """Logits [M,V] to be overwritten, a copy of targets [M], what is added to the logits."""

    logits: Array
    targets: Int64Array
    bias: Array | None
    target_bias: Array | None


def read_softmax(logits: Any, targets: Any, bias: Any, target_bias: Any) -> SoftmaxArrays:
    """Return checked arrays, C-contiguous.

    Raises
    ------
    TypeError, ValueError
        If one does not fit the logits, or they would have to be copied to be changed in place.
    IndexError
        If a target is not a word.
    """
    if not isinstance(logits, np.ndarray) or (z := np.asarray(logits)).dtype not in DTYPES:
        told = getattr(logits, "dtype", type(logits).__name__)
        raise TypeError(f"logits is of {told}, expected an array of float32 or float64")
    z = plain("logits", z, z.dtype, (None, None))
    if not z.flags.c_contiguous:
        raise ValueError(f"logits has strides {z.strides}, expected contiguous axes")
    if not z.flags.writeable:
        raise ValueError("logits is read-only, expected an array to write to")
    M, V = z.shape
    # a copy: the gradient is written where they say, and their owner may change them meanwhile
    words = np.array(plain("targets", targets, np.dtype(np.int64), (M,)))
    wrong = np.flatnonzero((words < 0) | (words >= V))
    if len(wrong):
        raise IndexError(f"targets[{wrong[0]}] is {words[wrong[0]]}, expected 0 to {V - 1}")
    return SoftmaxArrays(
        z, words, _read_bias("bias", bias, z, V), _read_bias("target_bias", target_bias, z, M)
    )


def _read_bias(name: str, bias: Any, z: Array, size: int) -> Array | None:
    if bias is None:
        return None
    array = plain(name, bias, z.dtype, (size,))
    if np.may_share_memory(z, array):
        raise ValueError(f"logits shares memory with {name}, expected an array of its own")
    return np.require(array, requirements=["C", "A"])
