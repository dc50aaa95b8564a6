"""Recurrent nodes in NumPy: for those whose activations or options the kernels do not have.

The products with the input are made for all steps at once. Gates are in the file's order: i, o, f,
c of an LSTM, z, r, h of a GRU. T steps, N rows, I input size, H hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from fastlstm.kernels.rows import Rows
from fastlstm.nn.precision import products
from fastlstm.onnx.graph import Array
from fastlstm.onnx.operators.activations import Activation

# The input's part of the gates [n,GH] and the states [n,H] before; the states after.
Step = Callable[[Array, tuple[Array, ...]], tuple[Array, ...]]
Product = Callable[[Array], Array]


class Weights(NamedTuple):
    """Of one direction, as the file has them."""

    w: Array  # [GH, I]
    r: Array  # [GH, H]
    b: Array | None  # [2GH]
    p: Array | None = None  # [3H]


class Options(NamedTuple):
    """What a node says beside its weights."""

    activations: tuple[Activation, ...]
    clip: float | None
    input_forget: bool = False
    linear_before_reset: bool = False


def run(
    step: Step, z: Array, states: Sequence[Array], rows: Rows, reverse: bool, y: Array | None
) -> None:
    """Run a cell: z [T,N,GH], the states [N,H] are replaced, y [T,N,H] is written in full."""
    if y is not None and not rows.full:
        y[...] = 0
    for time, row in rows.steps(reverse):
        after = step(z[time, row], tuple(s[row] for s in states))
        for state, value in zip(states, after, strict=True):
            state[row] = value
        if y is not None:
            y[time, row] = after[0]


def inputs_part(x: Array, weights: Weights, recurrent_bias: bool = True) -> Array:
    """Return x W^T with the biases [T,N,GH]."""
    T, N, I = x.shape
    z = products(x.reshape(T * N, I), weights.w, "float32").reshape(T, N, -1)
    if weights.b is not None:
        half = len(weights.b) // 2
        z += weights.b[:half]
        if recurrent_bias:
            z += weights.b[half:]
    return z


def clipped(z: Array, clip: float | None) -> Array:
    """Return what an activation sees."""
    return z if clip is None else np.clip(z, -clip, clip)


def lstm_step(weights: Weights, options: Options, product: Product | None = None) -> Step:
    """i, o, f, c; the peepholes i, o, f. With `input_forget` f = 1 - i.

    What the last activation sees is not clipped: ONNX Runtime reads the definition so.

    `product` makes h R^T where that is not a plain product.
    """
    f_gate, f_cell, f_out = options.activations
    clip, H = options.clip, weights.r.shape[1]
    times = product or _times(weights.r)
    p_i, p_o, p_f = (0, 0, 0) if weights.p is None else weights.p.reshape(3, H)

    def step(z: Array, states: tuple[Array, ...]) -> tuple[Array, ...]:
        h, c = states
        z = z + times(h)
        i = f_gate(clipped(z[:, :H] + p_i * c, clip))
        f = 1 - i if options.input_forget else f_gate(clipped(z[:, 2 * H : 3 * H] + p_f * c, clip))
        c = f * c + i * f_cell(clipped(z[:, 3 * H :], clip))
        o = f_gate(clipped(z[:, H : 2 * H] + p_o * c, clip))
        return o * f_out(c), c

    return step


def _times(r: Array) -> Product:
    turned = np.ascontiguousarray(r.T)
    return lambda h: h @ turned


def gru_step(weights: Weights, options: Options) -> Step:
    """z, r, h."""
    f_gate, f_hidden = options.activations
    clip, r = options.clip, np.ascontiguousarray(weights.r.T)
    H = r.shape[0]
    b_h = 0 if weights.b is None else weights.b[5 * H :]

    def step(x: Array, states: tuple[Array, ...]) -> tuple[Array, ...]:
        (h,) = states
        gates = f_gate(clipped(x[:, : 2 * H] + h @ r[:, : 2 * H], clip))
        update, reset = gates[:, :H], gates[:, H:]
        if options.linear_before_reset:
            inner = reset * (h @ r[:, 2 * H :] + b_h)
        else:
            inner = (reset * h) @ r[:, 2 * H :] + b_h
        new = f_hidden(clipped(x[:, 2 * H :] + inner, clip))
        return ((1 - update) * new + update * h,)

    return step


def rnn_step(weights: Weights, options: Options) -> Step:
    (f,) = options.activations
    r = np.ascontiguousarray(weights.r.T)

    def step(z: Array, states: tuple[Array, ...]) -> tuple[Array, ...]:
        return (f(clipped(z + states[0] @ r, options.clip)),)

    return step


def gru_inputs(x: Array, weights: Weights) -> Array:
    """As `inputs_part`, without the recurrent bias of h, which the reset gate may meet."""
    z = inputs_part(x, weights, recurrent_bias=False)
    if weights.b is not None:
        H2 = 2 * (len(weights.b) // 6)
        z[..., :H2] += weights.b[len(weights.b) // 2 :][:H2]
    return z
