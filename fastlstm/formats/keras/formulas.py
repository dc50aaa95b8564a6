"""Keras's recurrent layers step by step, as its documentation has them: what ours must equal.

Each takes x [N,T,I] and Keras's arrays, and returns the outputs [N,T,U].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastlstm.nn.activation import Option, read
from fastlstm.nn.module import Array

Function = Callable[[Any], Any]


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e^-x)."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def lstm(
    x: Array,
    kernel: Array,
    recurrent: Array,
    bias: Any = 0.0,
    *,
    activation: Function = np.tanh,
    recurrent_activation: Function = sigmoid,
) -> Array:
    """Return the outputs of an LSTM with gates i, f, c, o."""
    h = c = np.zeros((len(x), recurrent.shape[0]), x.dtype)
    out = []
    for step in x.swapaxes(0, 1):
        z_i, z_f, z_c, z_o = np.split(step @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f, o = (recurrent_activation(z) for z in (z_i, z_f, z_o))
        c = f * c + i * activation(z_c)
        h = o * activation(c)
        out.append(h)
    return np.stack(out, axis=1)


def gru(
    x: Array,
    kernel: Array,
    recurrent: Array,
    bias: Any = None,
    *,
    reset_after: bool = True,
    activation: Function = np.tanh,
    recurrent_activation: Function = sigmoid,
) -> Array:
    """Return the outputs of a GRU with gates z, r, h."""
    U = recurrent.shape[0]
    h = np.zeros((len(x), U), x.dtype)
    b_x, b_h = (0.0, 0.0) if bias is None else bias if reset_after else (bias, 0.0)
    out = []
    for step in x.swapaxes(0, 1):
        x_z, x_r, x_h = np.split(step @ kernel + b_x, 3, axis=1)
        h_z, h_r, h_h = np.split(h @ recurrent + b_h, 3, axis=1)
        z, r = recurrent_activation(x_z + h_z), recurrent_activation(x_r + h_r)
        inner = r * h_h if reset_after else (r * h) @ recurrent[:, 2 * U :]
        h = z * h + (1 - z) * activation(x_h + inner)
        out.append(h)
    return np.stack(out, axis=1)


def simple_rnn(
    x: Array, kernel: Array, recurrent: Array, bias: Any = 0.0, *, activation: Function = np.tanh
) -> Array:
    """Return the outputs of a SimpleRNN."""
    h = np.zeros((len(x), recurrent.shape[0]), x.dtype)
    out = []
    for step in x.swapaxes(0, 1):
        h = activation(step @ kernel + h @ recurrent + bias)
        out.append(h)
    return np.stack(out, axis=1)


ACTIVATIONS: dict[str, Function] = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": partial(np.maximum, 0),
    "linear": lambda x: x,
    "softsign": lambda x: x / (1 + np.abs(x)),
}


def activation_of(option: Option) -> Function:
    """Return the function that an option of a layer of ours names."""
    name, alpha, beta, _ = read(option)  # no layer has a clip
    if name == "hard_sigmoid":
        return lambda x: np.clip(alpha * x + beta, 0, 1)
    return ACTIVATIONS[name]


FORMULAS: dict[str, Callable[..., Array]] = {
    "lstm": lstm,
    "gru": gru,
    "gru_reset_before": partial(gru, reset_after=False),
    "rnn_tanh": simple_rnn,
    "rnn_relu": partial(simple_rnn, activation=partial(np.maximum, 0)),
}
