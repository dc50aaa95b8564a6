"""The four parameters of an LSTM layer in one direction, under torch's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastlstm.kernels import Weights
from fastlstm.nn.init import uniform
from fastlstm.nn.module import Module, Parameter

PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def make_weights(
    module: Module,
    suffix: str,
    sizes: tuple[int, int],
    bias: bool,
    dtype: np.dtype[Any],
    rng: np.random.Generator,
) -> None:
    """Give `module` the parameters PARTS + suffix, uniform in +-1/sqrt(H) as torch's.

    Parameters
    ----------
    sizes : I, H.
    bias : if False the biases are None.
    """
    I, H = sizes  # noqa: E741
    bound = 1 / math.sqrt(H)
    for part, shape in zip(PARTS, [(4 * H, I), (4 * H, H), (4 * H,), (4 * H,)], strict=True):
        wanted = bias or part.startswith("weight")
        setattr(
            module, part + suffix, Parameter(uniform(shape, bound, dtype, rng)) if wanted else None
        )


def read_weights(module: Module, suffix: str) -> Weights:
    """Return the values of the parameters PARTS + suffix."""
    w_ih, w_hh, b_ih, b_hh = (getattr(module, part + suffix) for part in PARTS)
    if b_ih is None:
        return Weights(w_ih.data, w_hh.data, None, None)
    return Weights(w_ih.data, w_hh.data, b_ih.data, b_hh.data)


def read_gradients(module: Module, suffix: str) -> Weights:
    """Return the gradients of the parameters PARTS + suffix, to add into."""
    w_ih, w_hh, b_ih, b_hh = (getattr(module, part + suffix) for part in PARTS)
    if b_ih is None:
        return Weights(w_ih.grad, w_hh.grad, None, None)
    return Weights(w_ih.grad, w_hh.grad, b_ih.grad, b_hh.grad)
