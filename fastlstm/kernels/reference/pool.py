"""Mean and maximum over each row's real steps in plain NumPy: the definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.call import Array

Lengths = NDArray[np.int64]


def pool(
    y: Array, lengths: Lengths, *, mean: bool, max: bool, n_threads: int = 1
) -> tuple[Array | None, Array | None, Array | None]:
    """Mean and maximum of each feature of a row over its real steps.

    Parameters
    ----------
    y : [T,N,F]; what lies past a row's length is not looked at.
    lengths : [N], 0..T; a row of length 0 gives zeros.
    mean, max : which of the two are wanted.

    Returns
    -------
    mean, max, step : [N,F], or None for what was not asked. `step`, int64, is where the maximum
        was: the first of equal ones, the last NaN.
    """
    total, step = np.zeros(y.shape[1:]), np.zeros(y.shape[1:], np.int64)
    best = np.full_like(total, -np.inf, y.dtype)
    for t in range(len(y)):
        alive = (lengths > t)[:, None]
        better = ((y[t] > best) | np.isnan(y[t])) & alive
        np.add(total, y[t], out=total, where=alive)
        np.copyto(best, y[t], where=better)
        np.copyto(step, t, where=better)
    best[lengths == 0] = 0
    average = (total / np.maximum(lengths, 1)[:, None]).astype(y.dtype)
    return average if mean else None, best if max else None, step if max else None


def pool_backward(
    dy: Array,
    lengths: Lengths,
    dmean: Array | None,
    dmax: Array | None,
    step: Array | None,
    *,
    n_threads: int = 1,
) -> None:
    """Write the gradient of y into dy [T,N,F], given those of mean and max ([N,F] or None).

    Nothing is written past a row's length.
    """
    for t in range(len(dy)):
        n = np.flatnonzero(lengths > t)
        dy[t, n] = 0
        if dmean is not None:
            dy[t, n] += dmean[n] / lengths[n].astype(dy.dtype)[:, None]
        if dmax is not None and step is not None:
            dy[t, n] += np.where(step[n] == t, dmax[n], 0)
