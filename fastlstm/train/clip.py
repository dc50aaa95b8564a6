"""Gradient clipping by global norm."""

from __future__ import annotations

import math

import numpy as np

from fastlstm.nn.module import Array
from fastlstm.nn.parameter import Parameter
from fastlstm.train.parameters import Parameters, named_parameters

# A dot product of so many elements runs on one thread in every BLAS, so the norm does not depend
# on the number of cores; and float32 partial sums stay accurate.
BLOCK = 8192


def clip_grad_norm_(parameters: Parameters, max_norm: float) -> float:
    """Scale all gradients in place so that their global norm is at most `max_norm`.

    Parameters
    ----------
    parameters : a module, its named parameters or its parameters. Those without a gradient are
        left out; of row-sparse gradients the rows count.
    max_norm : positive; ``inf`` measures without clipping.

    Returns
    -------
    float : the norm before clipping. As in torch, a larger norm than `max_norm` is scaled by
        ``max_norm / (norm + 1e-6)``.

    Raises
    ------
    ValueError
        If `max_norm` is not positive.
    FloatingPointError
        If a gradient is not finite: names the first such parameter. No gradient has changed.
    """
    norm, factor = clip_factor(parameters, max_norm)
    if factor != 1.0:
        for _, parameter in named_parameters(parameters):
            if parameter.has_grad:
                gradient = _gradient(parameter)
                gradient *= factor
    return norm


def clip_factor(parameters: Parameters, max_norm: float) -> tuple[float, float]:
    """Return the global norm of the gradients and what `clip_grad_norm_` would scale them by.

    For ``Optimizer.step(scale=...)``; arguments and errors as there.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm is {max_norm}, expected a positive number")
    pairs = [(name, p) for name, p in named_parameters(parameters) if p.has_grad]
    squares = [_sum_of_squares(_gradient(parameter)) for _, parameter in pairs]
    for (name, _), square in zip(pairs, squares, strict=True):
        if not math.isfinite(square):
            raise FloatingPointError(f"the gradient of {name} has norm {math.sqrt(square)}")
    norm = math.sqrt(sum(squares))
    return norm, max_norm / (norm + 1e-6) if norm > max_norm else 1.0


def _gradient(parameter: Parameter) -> Array:
    return parameter.grad if parameter.rows is None else parameter.rows.value


def _sum_of_squares(array: Array) -> float:
    flat = array.reshape(-1)
    blocks = (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))
    with np.errstate(over="ignore", invalid="ignore"):
        return sum(float(np.dot(block, block)) for block in blocks)
