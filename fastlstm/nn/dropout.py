"""Dropout: zero some elements while training, scale the rest up."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlstm.kernels.rows import any_array
from fastlstm.nn.check import Rng, check_array, check_probability, check_rng, check_size
from fastlstm.nn.module import Array, Module, Tape, described
from fastlstm.nn.share import uniform

MOST_AXES = 64  # of a NumPy array


def dropout_mask(
    shape: tuple[int, ...], p: float, dtype: np.dtype[Any], rng: np.random.Generator,
    each: bool = True,
) -> Array:  # fmt: skip
    """Return an array that holds 0 with probability p, else 1/(1-p).

    The same generator state gives the same mask in both dtypes. `each` as of `share.uniform`.
    """
    mask: Array = (uniform(rng, shape, each) >= p).astype(dtype)
    if p < 1:
        mask *= 1 / (1 - p)
    return mask


class Dropout(Module):
    """Inverted dropout: inference passes everything, training zeroes elements and scales.

    Parameters
    ----------
    p : probability of an element to be zeroed, 0 to 1.
    rng : where randomness comes from if `forward` is given none: a generator or a seed for one.
    axis : elements that differ in their place along this axis only are dropped together, such as
        all steps of a feature (variational dropout, Gal & Ghahramani 2016), or all features of a
        word vector; None: each on its own.
    """

    axis: int | None = None  # also of what was pickled before there was a choice

    def __init__(self, p: float = 0.5, *, rng: Rng = None, axis: int | None = None) -> None:
        self.p = check_probability("p", p)
        self.axis = axis
        self._rng = check_rng(rng)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "axis" and value is not None:
            value = check_size(name, value, -MOST_AXES, MOST_AXES - 1)
        super().__setattr__(name, value)

    def extra_repr(self) -> str:
        """Return the probability, and the axis if there is one."""
        return described(f"p={self.p}", axis=(self.axis, None))

    def __call__(self, x: Array) -> Array:
        """Return x."""
        return x

    def forward(self, x: Array, rng: Rng = None) -> tuple[Array, Tape]:
        """Return x with elements dropped (x itself if p is 0), and the tape.

        Parameters
        ----------
        x : floating-point numbers, of any shape.
        rng : as of the class; None for that of the layer.

        Raises
        ------
        TypeError, ValueError
            If `rng` is none, x has other numbers or masks some, or has no such `axis`.
        """
        x = any_array("x", x)
        if x.dtype.kind != "f":
            raise TypeError(f"x has dtype {x.dtype}, expected floating-point numbers, as float32")
        if self.p == 0:
            return x, Tape(self, None, x.shape, x.dtype)
        shape = list(x.shape)
        if self.axis is not None:
            if not -len(shape) <= self.axis < len(shape):
                raise ValueError(f"axis is {self.axis}, but x has shape {x.shape}")
            shape[self.axis] = 1
        rng = self._rng if rng is None else check_rng(rng)
        mask = dropout_mask(tuple(shape), self.p, x.dtype, rng)
        return x * mask, Tape(self, mask, x.shape, x.dtype)

    def backward(self, tape: Tape, dy: Array) -> Array:
        """Return the gradient of x (dy itself if p is 0)."""
        _, shape, dtype = self._look(tape)
        dy = check_array("dy", dy, dtype, shape)
        (mask, *_) = self._take(tape)
        return dy if mask is None else dy * mask
