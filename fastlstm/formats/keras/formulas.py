"""Keras's recurrent layers step by step, as its documentation has them: what ours must equal.

Each takes x [N,T,I] and Keras's arrays, and returns the outputs [N,T,U].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastlstm.nn.module import Array


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e^-x)."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def lstm(x: Array, kernel: Array, recurrent: Array, bias: Any = 0.0) -> Array:
    """Return the outputs of an LSTM with gates i, f, c, o."""
    h = c = np.zeros((len(x), recurrent.shape[0]), x.dtype)
    out = []
    for step in x.swapaxes(0, 1):
        z_i, z_f, z_c, z_o = np.split(step @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(z_f) * c + sigmoid(z_i) * np.tanh(z_c)
        h = sigmoid(z_o) * np.tanh(c)
        out.append(h)
    return np.stack(out, axis=1)


def gru(
    x: Array, kernel: Array, recurrent: Array, bias: Any = None, *, reset_after: bool = True
) -> Array:
    """Return the outputs of a GRU with gates z, r, h."""
    U = recurrent.shape[0]
    h = np.zeros((len(x), U), x.dtype)
    b_x, b_h = (0.0, 0.0) if bias is None else bias if reset_after else (bias, 0.0)
    out = []
    for step in x.swapaxes(0, 1):
        x_z, x_r, x_h = np.split(step @ kernel + b_x, 3, axis=1)
        h_z, h_r, h_h = np.split(h @ recurrent + b_h, 3, axis=1)
        z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
        inner = r * h_h if reset_after else (r * h) @ recurrent[:, 2 * U :]
        h = z * h + (1 - z) * np.tanh(x_h + inner)
        out.append(h)
    return np.stack(out, axis=1)


def simple_rnn(
    x: Array, kernel: Array, recurrent: Array, bias: Any = 0.0, *, activation: Any = np.tanh
) -> Array:
    """Return the outputs of a SimpleRNN."""
    h = np.zeros((len(x), recurrent.shape[0]), x.dtype)
    out = []
    for step in x.swapaxes(0, 1):
        h = activation(step @ kernel + h @ recurrent + bias)
        out.append(h)
    return np.stack(out, axis=1)


FORMULAS: dict[str, Callable[..., Array]] = {
    "lstm": lstm,
    "gru": gru,
    "gru_reset_before": partial(gru, reset_after=False),
    "rnn_tanh": simple_rnn,
    "rnn_relu": partial(simple_rnn, activation=partial(np.maximum, 0)),
}
