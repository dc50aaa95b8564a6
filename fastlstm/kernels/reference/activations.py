"""What cells make of their sums, in plain NumPy, and the gradients of that: their definitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import NamedTuple

import numpy as np

from fastlstm.kernels.call import Array
from fastlstm.kernels.spec import Activation


class Function(NamedTuple):
    """An activation of z, and the gradient of z from that of y, which was made of it, and y.

    Where y has a kink, its slope is 0.
    """

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]  # of dy, y


def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z)); exp may overflow to infinity, which gives the right 0."""
    y: Array = 1 / (1 + np.exp(-z))
    return y


def sigmoid_backward(dy: Array, y: Array) -> Array:
    dz: Array = dy * y * (1 - y)
    return dz


def tanh_backward(dy: Array, y: Array) -> Array:
    dz: Array = dy * (1 - y * y)
    return dz


def relu(z: Array) -> Array:
    return np.maximum(z, 0)


def relu_backward(dy: Array, y: Array) -> Array:
    return np.where(y <= 0, np.zeros_like(y), dy)  # so that NaN goes on


def linear(z: Array) -> Array:
    return z


def linear_backward(dy: Array, y: Array) -> Array:
    return dy


def hard_sigmoid(z: Array, alpha: float, beta: float) -> Array:
    """Return alpha * z + beta, forced into 0..1."""
    dtype = z.dtype.type
    y: Array = np.clip(dtype(alpha) * z + dtype(beta), 0, 1)
    return y


def hard_sigmoid_backward(dy: Array, y: Array, alpha: float) -> Array:
    return np.where((y <= 0) | (y >= 1), np.zeros_like(y), dy * y.dtype.type(alpha))


def softsign(z: Array) -> Array:
    y: Array = z / (1 + np.abs(z))
    return y


def softsign_backward(dy: Array, y: Array) -> Array:
    dz: Array = dy * (1 - np.abs(y)) ** 2
    return dz


TANH, SIGMOID = Function(np.tanh, tanh_backward), Function(sigmoid, sigmoid_backward)
_FUNCTIONS = {
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "relu": Function(relu, relu_backward),
    "linear": Function(linear, linear_backward),
    "softsign": Function(softsign, softsign_backward),
}


def function_of(activation: Activation) -> Function:
    """Return the function of an activation."""
    function = _unclipped(activation)
    return function if activation.clip == inf else _clipped(function, activation.clip)


def _clipped(function: Function, clip: float) -> Function:
    """Return a function of sums forced into -clip..clip.

    All functions rise or fall everywhere: where y is at one of its ends, so was the sum.
    """

    def forward(z: Array) -> Array:
        return function.forward(np.clip(z, z.dtype.type(-clip), z.dtype.type(clip)))

    def backward(dy: Array, y: Array) -> Array:
        low, high = np.sort(forward(np.array([-clip, clip], y.dtype)))
        return function.backward(np.where((y <= low) | (y >= high), np.zeros_like(dy), dy), y)

    return Function(forward, backward)


def _unclipped(activation: Activation) -> Function:
    name, alpha, beta, _ = activation
    if name != "hard_sigmoid":
        return _FUNCTIONS[name]
    return Function(
        partial(hard_sigmoid, alpha=alpha, beta=beta), partial(hard_sigmoid_backward, alpha=alpha)
    )
