"""First values of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlstm.nn.module import Array


def uniform(
    shape: tuple[int, ...], bound: float, dtype: np.dtype[Any], rng: np.random.Generator
) -> Array:
    """Return numbers spread evenly over -bound..bound."""
    return rng.uniform(-bound, bound, shape).astype(dtype)


def orthogonal(
    rows: int, columns: int, blocks: int, dtype: np.dtype[Any], rng: np.random.Generator
) -> Array:
    """Return random matrices with orthonormal columns stacked: [blocks*rows, columns].

    With as many columns as rows (never more) these are orthogonal, and as Saxe, McClelland &
    Ganguli 2014 found, the recurrent product neither grows nor shrinks at first. The signs make
    the QR factor uniform over all such matrices.
    """
    parts = []
    for _ in range(blocks):
        q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
        parts.append(q * np.where(np.diagonal(r) < 0, -1, 1))
    return np.concatenate(parts).astype(dtype)
