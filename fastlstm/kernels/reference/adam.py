"""A step of Adam in plain NumPy: the definition."""

from __future__ import annotations

import numpy as np

from fastlstm.kernels.adam import AdamStep, read_adam


def adam(step: AdamStep) -> None:
    """Take one step of Adam, in place: see `AdamStep`.

    Raises
    ------
    TypeError, ValueError, IndexError
        If an array does not fit the others.
    """
    p, m, v, g, index, rate, root, eps, beta1, beta2, shrink, decay, scale, total, _ = read_adam(
        step
    )
    rows = slice(None) if index is None else index
    if total is not None:
        each = (-1, *[1] * (p.ndim - 1))  # keep and add of a row, for all its elements
        kept = total.sum[rows] * total.keep.reshape(each)
        total.sum[rows] = kept + p[rows] * total.add.reshape(each)
    g = g * p.dtype.type(scale)
    weight = p[rows] * shrink
    if decay:
        g = g + decay * weight
    m[rows] = beta1 * m[rows] + (1 - beta1) * g
    v[rows] = beta2 * v[rows] + (1 - beta2) * g * g
    p[rows] = weight - rate * m[rows] / (root * np.sqrt(v[rows]) + eps)
