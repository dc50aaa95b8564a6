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
    """Return random matrices with orthonormal columns (at most as many as rows), stacked.

    A product with them neither grows nor shrinks (Saxe, McClelland & Ganguli 2014).
    """
    parts = []
    for _ in range(blocks):
        q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
        parts.append(q * np.where(np.diagonal(r) < 0, -1, 1))  # uniform over all such matrices
    return np.concatenate(parts).astype(dtype)
