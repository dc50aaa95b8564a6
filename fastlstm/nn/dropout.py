"""Dropout: zero some elements while training, scale the rest up."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlstm.nn.check import Rng, check_probability, check_rng
from fastlstm.nn.module import Array, Module, Tape


def dropout_mask(
    shape: tuple[int, ...], p: float, dtype: np.dtype[Any], rng: np.random.Generator
) -> Array:
    """Return an array that holds 0 with probability p, else 1/(1-p).

    The same generator state gives the same mask in both dtypes.
    """
    mask: Array = (rng.random(shape, np.float32) >= p).astype(dtype)
    if p < 1:
        mask *= 1 / (1 - p)
    return mask


class Dropout(Module):
    """Inverted dropout: inference passes everything, training zeroes elements and scales.

    Parameters
    ----------
    p : probability of an element to be zeroed, 0 to 1.
    rng : where randomness comes from if `forward` is given none: a generator or a seed for one.
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None) -> None:
        self.p = check_probability("p", p)
        self._rng = check_rng(rng)

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"p={self.p}"

    def __call__(self, x: Array) -> Array:
        """Return x."""
        return x

    def forward(self, x: Array, rng: Rng = None) -> tuple[Array, Tape]:
        """Return x with elements dropped (x itself if p is 0), and the tape."""
        if self.p == 0:
            return x, Tape(self, None)
        mask = dropout_mask(x.shape, self.p, x.dtype, self._rng if rng is None else check_rng(rng))
        return x * mask, Tape(self, mask)

    def backward(self, tape: Tape, dy: Array) -> Array:
        """Return the gradient of x (dy itself if p is 0)."""
        (mask,) = self._take(tape)
        return dy if mask is None else dy * mask
