"""Pooling: one vector for each row out of its real steps; a row without steps gives zeros."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastlstm.kernels import Backend, Rows
from fastlstm.nn.module import Array
from fastlstm.runtime import get_num_threads

POOLINGS = ("last", "mean", "max")


class Pooled(NamedTuple):
    """What the backward pass needs."""

    names: tuple[str, ...]  # of the poolings, in the order of the features
    rows: Rows
    shape: tuple[int, ...]  # of y
    directions: int
    step: Array | None  # [N,F], where each maximum was; None without "max"


def pool(
    backend: Backend, names: tuple[str, ...], y: Array, h_n: Array, rows: Rows
) -> tuple[Array, Pooled]:
    """Pool y [T,N,F] and the last states h_n [D,N,F/D] of D directions in one or more ways.

    "last" is each direction's last state; "mean" and "max" are those of each feature over the
    real steps. Returns features [N, len(names) * F], in the order of `names`.
    """
    found: dict[str, Array | None] = {"last": np.concatenate(list(h_n), axis=1)}
    step = None
    if set(names) - {"last"}:
        found["mean"], found["max"], step = backend.pool(
            y,
            rows.lengths,
            mean="mean" in names,
            max="max" in names,
            n_threads=get_num_threads(),
        )
    features = np.concatenate([part for name in names if (part := found[name]) is not None], axis=1)
    return features, Pooled(names, rows, y.shape, len(h_n), step)


def pool_backward(backend: Backend, pooled: Pooled, d: Array) -> tuple[Array | None, Array | None]:
    """Return the gradients of y [T,N,F] and of h_n [D,N,F/D], None for zero.

    Past a row's length the gradient of y is not set: no kernel reads it.
    """
    split = np.split(d, len(pooled.names), axis=1)
    parts = dict(zip(pooled.names, map(np.ascontiguousarray, split), strict=True))
    dy = dh_n = None
    if "last" in parts:
        dh_n = np.stack(np.split(parts["last"], pooled.directions, axis=1))
    if set(pooled.names) - {"last"}:
        dy = backend.empty(pooled.shape, d.dtype)
        backend.pool_backward(
            dy,
            pooled.rows.lengths,
            parts.get("mean"),
            parts.get("max"),
            pooled.step,
            n_threads=get_num_threads(),
        )
    return dy, dh_n
