"""Cross-entropy of the softmax over a vocabulary in plain NumPy: the definition."""

from __future__ import annotations

import numpy as np

from fastlstm.kernels.call import Array
from fastlstm.kernels.rows import Int64Array
from fastlstm.kernels.softmax import read_softmax

BLOCK = 1 << 18  # elements that are worked on at a time: 1 MB in float32


def softmax_cross_entropy(
    logits: Array,
    targets: Int64Array,
    bias: Array | None = None,
    target_bias: Array | None = None,
    *,
    scale: float = 0.0,
    dbias: bool = False,
    n_threads: int = 1,
) -> tuple[float, Array | None]:
    """Return the summed cross-entropy of the softmax of rows, and put its gradient in their place.

    Parameters
    ----------
    logits : [M,V], C-contiguous; overwritten by the gradient of the loss times `scale`, or left
        without use if that is 0.
    targets : int64 [M], each row's word, 0..V-1.
    bias : [V], added to each row; or None.
    target_bias : [M], added to the logit of each row's target; or None.
    dbias : whether the sums of the gradient's columns are wanted.
    n_threads : at most so many; results do not depend on it.

    Returns
    -------
    float : the sum over all rows, in nats. NaN or infinity if a row has no loss that is finite.
    Array | None : float [V], sums of the columns.

    Raises
    ------
    TypeError, ValueError, IndexError
        If an array does not fit the others.
    """
    z, words, bias, target_bias = read_softmax(logits, targets, bias, target_bias)
    step, total = max(1, BLOCK // max(1, z.shape[1])), 0.0
    for start in range(0, len(z), step):
        rows = slice(start, start + step)
        extra = None if target_bias is None else target_bias[rows]
        with np.errstate(invalid="ignore", divide="ignore"):
            total += _block_loss(z[rows], words[rows], bias, extra, scale)
    return total, z.sum(axis=0) if dbias else None


def _block_loss(
    z: Array, words: Int64Array, bias: Array | None, target_bias: Array | None, scale: float
) -> float:
    n = np.arange(len(z))
    if target_bias is not None:
        z[n, words] += target_bias
    if bias is not None:
        z += bias
    z -= z.max(axis=1, keepdims=True)
    right = z[n, words].astype(np.float64)
    np.exp(z, out=z)
    sums = z.sum(axis=1, keepdims=True)
    if scale:
        z *= scale / sums
        z[n, words] -= z.dtype.type(scale)
    return float(np.sum(np.log(sums[:, 0], dtype=np.float64) - right))
