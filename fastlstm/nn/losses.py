"""Losses of classes: each returns the mean over the batch and its gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.kernels.rows import any_array
from fastlstm.nn.check import check_ids, check_probability, first
from fastlstm.nn.loss_checks import check_outputs, check_weights
from fastlstm.nn.module import Array


def bce_with_logits(
    logits: Array, targets: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> tuple[float, Array]:
    """Binary cross-entropy of the sigmoid of `logits`; safe for large ones.

    Parameters
    ----------
    logits : float array of any shape.
    targets : same shape, each 0 to 1 (labels or probabilities).
    sample_weight : same shape, a factor on each element's loss; None for none.

    Returns
    -------
    loss : mean over all elements.
    dlogits : gradient of the mean, shape and dtype of `logits`.

    Raises
    ------
    TypeError, ValueError
        If logits are not a float32 or float64 array or are empty, or targets do not fit.
    """
    z = check_outputs("logits", logits, "at least one element")
    given = any_array("targets", targets)
    if given.dtype.kind not in "biuf":
        raise TypeError(f"targets has dtype {given.dtype}, expected numbers")
    if given.shape != z.shape:
        raise ValueError(f"targets has shape {given.shape}, expected {z.shape} (that of logits)")
    t = given.astype(z.dtype)
    inside = (t >= 0) & (t <= 1)
    if not inside.all():
        raise ValueError(f"{first('targets', t, ~inside)}, expected 0 to 1")
    # exp of a negative number only, so nothing overflows: e = exp(-|z|).
    e = np.exp(-np.abs(z))
    loss = np.maximum(z, 0) - z * t + np.log1p(e)
    sigmoid = np.where(z >= 0, 1, e) / (1 + e)
    d = (sigmoid - t) / z.dtype.type(z.size)
    if sample_weight is not None:
        weight = check_weights(sample_weight, z.shape, z)
        loss, d = loss * weight, d * weight
    return float(loss.mean(dtype=np.float64)), d


def cross_entropy(
    logits: Array,
    targets: ArrayLike,
    label_smoothing: float = 0.0,
    *,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, Array]:
    """Cross-entropy of the softmax of `logits`.

    Parameters
    ----------
    logits : float [N, C].
    targets : integers [N], each a class 0..C-1.
    label_smoothing : the part, 0 to 1, of each target's probability that is spread evenly over
        all C classes (Szegedy et al. 2016), as in torch.
    sample_weight : [N], a factor on each row's loss; None for none.

    Returns
    -------
    loss : mean over the rows.
    dlogits : gradient of the mean, [N, C].

    Raises
    ------
    TypeError, ValueError
        If an argument's type, dtype, shape or range does not fit.
    IndexError
        If a target is not a class.
    """
    z = check_outputs("logits", logits, "(N, C), none zero")
    if z.ndim != 2:
        raise ValueError(f"logits has shape {z.shape}, expected (N, C)")
    given = any_array("targets", targets)
    if given.shape != z.shape[:1]:
        raise ValueError(f"targets has shape {given.shape}, expected {z.shape[:1]}")
    t = check_ids("targets", given, z.shape[1])
    even = check_probability("label_smoothing", label_smoothing)
    n, N = np.arange(len(t)), len(t)
    # Large over a vocabulary: so one array, written over in as few passes as possible.
    d = z - z.max(axis=1, keepdims=True)
    loss = -(1 - even) * d[n, t]
    if even:
        loss -= even * d.mean(axis=1)
    np.exp(d, out=d)
    total = d.sum(axis=1, keepdims=True)
    loss += np.log(total[:, 0])
    d /= total * N
    if even:
        d -= z.dtype.type(even / (z.shape[1] * N))
    d[n, t] -= z.dtype.type((1 - even) / N)
    if sample_weight is not None:
        weight = check_weights(sample_weight, t.shape, z)
        loss *= weight
        d *= weight[:, None]
    return float(loss.mean(dtype=np.float64)), d


def log_softmax(logits: Array) -> Array:
    """Return the logarithms of the softmax over the last axis of `logits`, a new array like it."""
    z: Array = logits - logits.max(axis=-1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return z
