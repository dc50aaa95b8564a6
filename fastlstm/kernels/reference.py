"""The LSTM in plain NumPy: the definition of the cell and the oracle of every test.

Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber & Cummins 2000, in
torch.nn.LSTM's form (two biases, gate order i, f, g, o). At each step, for each row:

    z = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh,   cut into z_i, z_f, z_g, z_o of H each
    i = sigmoid(z_i)   f = sigmoid(z_f)   g = tanh(z_g)   o = sigmoid(z_o)
    c_t = f * c_{t-1} + i * g
    h_t = o * tanh(c_t) = y_t

Slow on purpose: every product is made row by row, because a BLAS matrix product may round one
row differently when its neighbours change, and a row's result must not depend on them.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from fastlstm.kernels.reference_adam import adam
from fastlstm.kernels.reference_pool import pool, pool_backward
from fastlstm.kernels.rows import Rows
from fastlstm.kernels.spec import LSTM, Array, Tokens, Weights
from fastlstm.kernels.steps import read_states, read_step

__all__ = ["Stream", "adam", "backward", "empty", "forward", "pool", "pool_backward"]

GATES = len(LSTM.gates)
empty = np.empty


class Kept(NamedTuple):
    """What `backward` needs of a forward pass; shapes in `spec.LSTM`."""

    x: Array | Tokens
    weights: Weights
    rows: Rows
    reverse: bool
    gates: Array
    h: Array
    c: Array


class Saved:
    """Holder of `Kept` that gives it away once."""

    def __init__(self, kept: Kept) -> None:
        self._kept = [kept]

    def take(self) -> Kept:
        try:
            return self._kept.pop()
        except IndexError:
            raise RuntimeError(
                "saved was already used by a backward pass; run forward again"
            ) from None


def by_row(weight: Array, x: Array) -> Array:
    """Return ``weight @ x[n]`` for each row n: [G, K], [N, K] -> [N, G]."""
    product: Array = np.matmul(weight, np.ascontiguousarray(x)[:, :, None])
    return product[:, :, 0]


def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z)); exp may overflow to infinity, which gives the right 0."""
    return 1 / (1 + np.exp(-z))


def step(x: Array, h: Array, c: Array, w: Weights) -> tuple[Array, Array, Array]:
    """One step of the rows given: x [N,I], h and c [N,H] -> h [N,H], c [N,H], gates [N,G]."""
    z = by_row(w.w_ih, x) + by_row(w.w_hh, h)
    if w.b_ih is not None and w.b_hh is not None:
        z += w.b_ih + w.b_hh
    z_i, z_f, z_g, z_o = np.split(z, GATES, axis=1)
    i, f, g, o = sigmoid(z_i), sigmoid(z_f), np.tanh(z_g), sigmoid(z_o)
    c = f * c + i * g
    return o * np.tanh(c), c, np.concatenate([i, f, g, o], axis=1)


def step_backward(
    dh: Array, dc: Array, gates: Array, c_before: Array, c: Array
) -> tuple[Array, Array]:
    """Backward of `step` up to z: dh, dc, c_before, c [N,H] -> dz [N,G], dc_before [N,H]."""
    i, f, g, o = np.split(gates, GATES, axis=1)
    tanh_c = np.tanh(c)
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    dz = [dc * g * i * (1 - i), dc * c_before * f * (1 - f), dc * i * (1 - g * g)]
    dz.append(dh * tanh_c * o * (1 - o))
    return np.concatenate(dz, axis=1), dc * f


@np.errstate(all="ignore")
def forward(
    x: Array | Tokens,
    h0: Array,
    c0: Array,
    weights: Weights,
    rows: Rows,
    y: Array,
    *,
    reverse: bool = False,
    save: bool = False,
    n_threads: int = 1,
) -> tuple[Array, Array, Saved | None]:
    """Run one layer in one direction over a batch.

    Parameters
    ----------
    x : [T,N,I] with a contiguous last axis, or `Tokens`. Never read past a row's length.
    h0, c0 : [N,H], states before the first step.
    weights : w_ih [4H,I], w_hh [4H,H], b_ih and b_hh [4H] or None.
    rows : the lengths of the batch.
    y : [T,N,H], written in full: the outputs h_t, and zeros past each row's length.
    reverse : each row runs from its own last step to its first.
    save : keep what `backward` needs.
    n_threads : taken for the interface; this backend runs on one.

    Returns
    -------
    h_n, c_n : [N,H], each row's last state; its h0 and c0 if its length is 0.
    saved : for one call of `backward`, or None.
    """
    inputs = x.table[x.ids] if isinstance(x, Tokens) else x
    h = np.empty((rows.T + 1, *h0.shape), h0.dtype)
    c = np.empty_like(h)
    gates = np.zeros((rows.T, rows.N, GATES * h0.shape[1]), h0.dtype)
    h[0], c[0], y[...] = h0, c0, 0
    for s, (t, n) in enumerate(rows.steps(reverse)):
        h[s + 1], c[s + 1] = h[s], c[s]
        h[s + 1, n], c[s + 1, n], gates[s, n] = step(inputs[t, n], h[s, n], c[s, n], weights)
        y[t, n] = h[s + 1, n]
    kept = Kept(x, weights, rows, reverse, gates, h, c)
    return h[-1].copy(), c[-1].copy(), Saved(kept) if save else None


@np.errstate(all="ignore")
def backward(
    saved: Saved,
    dy: Array | None,
    dh_n: Array | None,
    dc_n: Array | None,
    grads: Weights,
    dx: Array | None,
    *,
    accumulate_dx: bool = False,
    n_threads: int = 1,
) -> tuple[Array, Array]:
    """Run one layer in one direction backward over the batch of `saved`.

    Parameters
    ----------
    saved : from `forward`; used up by this call.
    dy : [T,N,H], gradient of the outputs, or None for zero. Never read past a row's length.
    dh_n, dc_n : [N,H], gradients of the last states, or None for zero.
    grads : arrays shaped like the weights, added into; biases may be None.
    dx : [T,N,I] (for `Tokens` the gradient of the table, [U,I]), or None if not wanted.
        Written in full, with zeros past each row's length; or added into.
    accumulate_dx : add into dx in place of writing it.
    n_threads : taken for the interface; this backend runs on one.

    Returns
    -------
    dh_0, dc_0 : [N,H], gradients of the initial states.

    Raises
    ------
    RuntimeError
        If `saved` was used before.
    """
    x, weights, rows, reverse, gates, h, c = saved.take()
    inputs = x.table[x.ids] if isinstance(x, Tokens) else x
    dh = np.zeros_like(h[0]) if dh_n is None else np.array(dh_n)
    dc = np.zeros_like(c[0]) if dc_n is None else np.array(dc_n)
    if dx is not None and not accumulate_dx:
        dx[...] = 0
    for s, (t, n) in reversed(list(enumerate(rows.steps(reverse)))):
        dh_t = dh[n] if dy is None else dh[n] + dy[t, n]
        dz, dc[n] = step_backward(dh_t, dc[n], gates[s, n], c[s, n], c[s + 1, n])
        dh[n] = by_row(weights.w_hh.T, dz)
        _add_weight_gradients(grads, dz, inputs[t, n], h[s, n])
        if dx is not None:
            at = x.ids[t, n] if isinstance(x, Tokens) else (t, n)
            np.add.at(dx, at, by_row(weights.w_ih.T, dz))
    return dh, dc


def _add_weight_gradients(grads: Weights, dz: Array, x: Array, h: Array) -> None:
    """Add the gradients of one step's rows: dz [N,G], x [N,I], h before the step [N,H]."""
    grads.w_ih[...] += dz.T @ x
    grads.w_hh[...] += dz.T @ h
    for bias in (grads.b_ih, grads.b_hh):
        if bias is not None:
            bias += dz.sum(axis=0)


class Stream:
    """One time step after another through stacked layers, the state kept inside.

    Parameters
    ----------
    layers : weights of each layer, copied: later changes to the model are not seen.
    batch_size : N.

    Attributes
    ----------
    state : (h, c), each [L,N,H]: copies out, values in.
    """

    def __init__(self, layers: list[Weights], batch_size: int) -> None:
        self._layers = copy.deepcopy(layers)
        w = layers[0]
        self._x_shape = (batch_size, w.w_ih.shape[1])
        self._h = np.zeros((len(layers), batch_size, w.w_hh.shape[1]), w.w_hh.dtype)
        self._c = np.zeros_like(self._h)

    @np.errstate(all="ignore")
    def __call__(self, x: Array, /) -> Array:
        """Advance by one step: x [N,I] -> y [N,H] of the last layer; [I] -> [H] if N is 1.

        Raises
        ------
        TypeError, ValueError
            If x is not an array of the weights' dtype and that shape.
        """
        y, single = read_step(x, self._x_shape, self._h.dtype.name)
        for layer, weights in enumerate(self._layers):
            y, self._c[layer], _ = step(y, self._h[layer], self._c[layer], weights)
            self._h[layer] = y
        return y[0] if single else y

    def reset(self) -> None:
        """Set the state to zero."""
        self._h[...] = 0
        self._c[...] = 0

    @property
    def state(self) -> tuple[Array, Array]:
        return self._h.copy(), self._c.copy()

    @state.setter
    def state(self, value: tuple[Array, Array]) -> None:
        self._h[...], self._c[...] = read_states(value, self._h.shape, self._h.dtype.name)
