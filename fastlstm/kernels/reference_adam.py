"""A step of Adam in plain NumPy: the definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlstm.kernels.adam_arguments import read_adam
from fastlstm.kernels.spec import Array, WeightSum


def adam(
    p: Array,
    m: Array,
    v: Array,
    g: Array,
    index: Any,
    *,
    rate: float,
    root: float,
    eps: float,
    beta1: float,
    beta2: float,
    shrink: float = 1.0,
    decay: float = 0.0,
    scale: float = 1.0,
    total: WeightSum | None = None,
    n_threads: int = 1,
) -> None:
    """One step of Adam, in place, on all of p or on its rows `index`.

    ``m = beta1 m + (1 - beta1) g``, v likewise with g squared, ``p -= rate m / (root sqrt(v) +
    eps)``: bias corrections are part of rate and root. First p is multiplied by `shrink` (AdamW)
    and g by `scale` (clipping), then ``decay p`` is added to g (Adam's weight decay).

    Parameters
    ----------
    p, m, v : arrays of one shape, [R,D] with index; changed.
    g : like p, or [U,D] with index.
    index : int64 [U], distinct rows of p; or None.
    total : brought up to date before p changes; None for no average.
    """
    p, m, v, g, index, total = read_adam(p, m, v, g, index, total)
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
