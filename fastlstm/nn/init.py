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


def orthogonal(size: int, blocks: int, dtype: np.dtype[Any], rng: np.random.Generator) -> Array:
    """Return `blocks` random orthogonal matrices stacked: [blocks*size, size].

    Saxe, McClelland & Ganguli 2014: the recurrent product then neither grows nor shrinks at
    first. The signs make the QR factor uniform over all orthogonal matrices.
    """
    parts = []
    for _ in range(blocks):
        q, r = np.linalg.qr(rng.standard_normal((size, size)))
        parts.append(q * np.where(np.diagonal(r) < 0, -1, 1))
    return np.concatenate(parts).astype(dtype)
