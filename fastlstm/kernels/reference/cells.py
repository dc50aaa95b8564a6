"""One step of each cell in plain NumPy, forward directly above backward: their definitions.

Every forward gets ``z_x = W_ih x_t + b_ih`` of n rows, cut like the weights into gates of H each,
their states and the weights; it returns the new states and what its backward needs: the gates
first, in their order. In the formulas ``z_h = W_hh h_{t-1} + b_hh``, and s is the sigmoid; it and
tanh may be others, those of `Activations`, where that of an LSTM's cell stands apart.

The matrices among the weights are arrays, or stand for them in a lower precision or with recurrent
dropout: products with them, and their gradients, are those of `precision` and `dropout`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from fastlstm.kernels.call import Array, States, Weights
from fastlstm.kernels.reference.activations import SIGMOID, TANH, Function, function_of
from fastlstm.kernels.reference.dropout import met, unmasked
from fastlstm.kernels.reference.precision import by_row, gradient, rounded
from fastlstm.kernels.spec import CellSpec

Kept = tuple[Array, ...]


class StepGradient(NamedTuple):
    """Gradients of one step of n rows: of its products, its states and its weights."""

    z_x: Array  # [n, G]
    z_h: Array  # [n, G]
    before: States
    w_hh: Array  # [G, R]
    w_hr: Array | None = None  # [R, H]
    params: States = ()  # float64 [H] each


class Activations(NamedTuple):
    """What stands for s, for tanh of a sum and for tanh of an LSTM's cell."""

    s: Function = SIGMOID
    tanh: Function = TANH
    out: Function = TANH


USUAL = Activations()


class Steps(NamedTuple):
    """A cell: its step, the step's backward, and how many [n, H] arrays the one keeps.

    States after the step are not counted among them. Of what bfloat16 keeps, `find` replaces a gate
    that is not kept then: it is found again from the states before and after the step, of which h
    is among the outputs, in float32. For that, gates named in `finely` are kept with more bits.
    """

    forward: Callable[..., tuple[States, Kept]]
    backward: Callable[..., StepGradient]
    keeps: int
    find: Callable[[Kept, States, States], Kept] | None = None
    finely: tuple[str, ...] = ()


NO_CELL = 2.0**-100  # of smaller cells h may be 0

STEPS: dict[str, Steps] = {}  # by the names of `spec.CELLS`


def steps_of(cell: CellSpec) -> Steps:
    """Return the steps of a cell, with its own activations."""
    steps = STEPS[cell.name]
    if cell.usual:
        return steps
    given = (cell.recurrent_activation, cell.activation, cell.state_activation)
    by = Activations(*map(function_of, given))
    return steps._replace(
        forward=partial(steps.forward, by=by), backward=partial(steps.backward, by=by)
    )


def product(weight: Array, x: Array, bias: Array | None) -> Array:
    """Return ``weight @ x[n] + bias`` for each row n."""
    z = by_row(weight, x)
    return z if bias is None else z + bias


def lstm(z_x: Array, state: States, w: Weights, by: Activations = USUAL) -> tuple[States, Kept]:
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate Gers et al. 2000).

    i = s(z_i)   f = s(z_f)   g = tanh(z_g)   o = s(z_o)   with z = z_x + z_h
    c_t = f * c_{t-1} + i * g
    h_t = o * tanh(c_t);   with a projection  h_t = W_hr (o * tanh(c_t))
    """
    h, c = state
    z_i, z_f, z_g, z_o = np.split(z_x + product(w.w_hh, h, w.b_hh), 4, axis=1)
    s, tanh = by.s.forward, by.tanh.forward
    i, f, g, o = s(z_i), s(z_f), tanh(z_g), s(z_o)
    c = f * c + i * g
    m = o * by.out.forward(c)
    if w.w_hr is None:
        return (m, c), (i, f, g, o, c)
    return (by_row(w.w_hr, m), c), (i, f, g, o, c, m)


def lstm_backward(
    dstate: States,
    before: States,
    kept: Kept,
    w: Weights,
    by: Activations = USUAL,
) -> StepGradient:
    dh, dc = dstate
    h_before, c_before = before
    i, f, g, o, c, *m = kept
    s, tanh, out = by
    tanh_c, dw_hr = out.forward(c), None
    if w.w_hr is not None:
        dw_hr = gradient(w.w_hr, dh, m[0])
        dh = by_row(w.w_hr.T, dh)
    dc = dc + out.backward(dh * o, tanh_c)
    di, df = s.backward(dc * g, i), s.backward(dc * c_before, f)
    dg, do = tanh.backward(dc * i, g), s.backward(dh * tanh_c, o)
    dz = rounded(w.w_hh, np.concatenate([di, df, dg, do], axis=1))
    dh_before = by_row(w.w_hh.T, dz)
    dw_hh = gradient(w.w_hh, dz, h_before)
    return StepGradient(dz, dz, (dh_before, dc * f), dw_hh, dw_hr)


def find_lstm_o(kept: Kept, before: States, after: States) -> Kept:
    """o = h_t / tanh(c_t), with a projection of h before it; as it was where h_t may be 0."""
    i, f, g, o, c, *m = kept
    h = m[0] if m else after[0]
    found = np.where(np.abs(c) < NO_CELL, o, np.clip(h / np.tanh(c), 0, 1))
    return (i, f, g, found, c, *m)


STEPS["lstm"] = Steps(lstm, lstm_backward, keeps=5, find=find_lstm_o)


def peephole_lstm(
    z_x: Array, state: States, w: Weights, by: Activations = USUAL
) -> tuple[States, Kept]:
    """LSTM whose gates see the cell state (Gers & Schmidhuber 2000; ONNX's P).

    i = s(z_i + p_i * c_{t-1})   f = s(z_f + p_f * c_{t-1})   g = tanh(z_g)
    c_t = f * c_{t-1} + i * g    o = s(z_o + p_o * c_t)       h_t = o * tanh(c_t)
    """
    (h, c), (p_i, p_f, p_o) = state, w.params
    z_i, z_f, z_g, z_o = np.split(z_x + product(w.w_hh, h, w.b_hh), 4, axis=1)
    s, tanh = by.s.forward, by.tanh.forward
    i, f, g = s(z_i + p_i * c), s(z_f + p_f * c), tanh(z_g)
    c = f * c + i * g
    o = s(z_o + p_o * c)
    return (o * by.out.forward(c), c), (i, f, g, o, c)


def peephole_lstm_backward(
    dstate: States,
    before: States,
    kept: Kept,
    w: Weights,
    by: Activations = USUAL,
) -> StepGradient:
    (dh, dc), (h_before, c_before) = dstate, before
    i, f, g, o, c = kept
    s, tanh, out = by
    tanh_c = out.forward(c)
    p_i, p_f, p_o = w.params
    do = s.backward(dh * tanh_c, o)
    dc = dc + out.backward(dh * o, tanh_c) + do * p_o
    di, df = s.backward(dc * g, i), s.backward(dc * c_before, f)
    dg = tanh.backward(dc * i, g)
    dz = rounded(w.w_hh, np.concatenate([di, df, dg, do], axis=1))
    dh_before = by_row(w.w_hh.T, dz)
    dz_i, dz_f, _, dz_o = np.split(dz, 4, axis=1)
    return StepGradient(
        dz,
        dz,
        (dh_before, dc * f + di * p_i + df * p_f),
        gradient(w.w_hh, dz, h_before),
        params=tuple(
            (d * cell).sum(axis=0, dtype=np.float64)
            for d, cell in ((dz_i, c_before), (dz_f, c_before), (dz_o, c))
        ),
    )


STEPS["peephole_lstm"] = Steps(peephole_lstm, peephole_lstm_backward, keeps=5)


def gru(z_x: Array, state: States, w: Weights, by: Activations = USUAL) -> tuple[States, Kept]:
    """Gated recurrent unit, the reset gate after the product (torch's, cuDNN's).

    r = s(x_r + h_r)   z = s(x_z + h_z)   n = tanh(x_n + r * h_n)   with z_x, z_h cut into gates
    h_t = (1 - z) * n + z * h_{t-1}
    """
    (h,) = state
    x_r, x_z, x_n = np.split(z_x, 3, axis=1)
    h_r, h_z, h_n = np.split(product(w.w_hh, h, w.b_hh), 3, axis=1)
    r, z = by.s.forward(x_r + h_r), by.s.forward(x_z + h_z)
    n = by.tanh.forward(x_n + r * h_n)
    return ((1 - z) * n + z * h,), (r, z, n, h_n.copy())  # not a part of all three


def gru_backward(
    dstate: States,
    before: States,
    kept: Kept,
    w: Weights,
    by: Activations = USUAL,
) -> StepGradient:
    (dh,), (h,) = dstate, before
    r, z, n, h_n = kept
    dn = by.tanh.backward(dh * (1 - z), n)
    dr, dz = by.s.backward(dn * h_n, r), by.s.backward(dh * (h - n), z)
    dz_h = rounded(w.w_hh, np.concatenate([dr, dz, dn * r], axis=1))
    dh_before = by_row(w.w_hh.T, dz_h) + dh * z
    dz_x = rounded(w.w_hh, np.concatenate([dr, dz, dn], axis=1))
    return StepGradient(dz_x, dz_h, (dh_before,), gradient(w.w_hh, dz_h, h))


def find_gru_n(kept: Kept, before: States, after: States) -> Kept:
    """n = (h_t - z * h_{t-1}) / (1 - z); anything where z leaves nothing of it."""
    r, z, _, beside = kept
    (h_before,), (h,) = before, after
    of_n = np.where(z == 1, 1, 1 - z)
    return (r, z, np.clip((h - z * h_before) / of_n, -1, 1), beside)


STEPS["gru"] = Steps(gru, gru_backward, keeps=4, find=find_gru_n, finely=("z",))


def gru_reset_before(
    z_x: Array, state: States, w: Weights, by: Activations = USUAL
) -> tuple[States, Kept]:
    """Gated recurrent unit, the reset gate before the product (Cho et al. 2014).

    As `gru` with  n = tanh(x_n + W_hn (r * h_{t-1}) + b_hn).
    """
    (h,) = state
    H = h.shape[1]
    z_h = by_row(w.w_hh[: 2 * H], h)
    b_rz, b_n = (0, 0) if w.b_hh is None else (w.b_hh[: 2 * H], w.b_hh[2 * H :])
    r, z = np.split(by.s.forward(z_x[:, : 2 * H] + (z_h + b_rz)), 2, axis=1)
    n = by.tanh.forward(z_x[:, 2 * H :] + (by_row(w.w_hh[2 * H :], r * h) + b_n))
    return ((1 - z) * n + z * h,), (r, z, n, met(w.w_hh, r * h))


def gru_reset_before_backward(
    dstate: States,
    before: States,
    kept: Kept,
    w: Weights,
    by: Activations = USUAL,
) -> StepGradient:
    (dh,), (h,) = dstate, before
    r, z, n, met_n = kept
    H = h.shape[1]
    dn = by.tanh.backward(dh * (1 - z), n)
    drh = by_row(w.w_hh[2 * H :].T, dn)
    drz = np.concatenate([by.s.backward(drh * h, r), by.s.backward(dh * (h - n), z)], axis=1)
    dh_before = by_row(w.w_hh[: 2 * H].T, drz) + drh * r + dh * z
    d = rounded(w.w_hh, np.concatenate([drz, dn], axis=1))
    dw_rz = gradient(w.w_hh[: 2 * H], drz, h)
    dw_n = gradient(unmasked(w.w_hh)[2 * H :], dn, met_n)
    return StepGradient(d, d, (dh_before,), np.concatenate([dw_rz, dw_n]))


STEPS["gru_reset_before"] = Steps(
    gru_reset_before, gru_reset_before_backward, keeps=4, find=find_gru_n, finely=("z",)
)


def _plain_gradient(dz: Array, h: Array, w: Weights) -> StepGradient:
    dh_before = by_row(w.w_hh.T, dz)
    return StepGradient(dz, dz, (dh_before,), gradient(w.w_hh, dz, h))


def rnn_tanh(z_x: Array, state: States, w: Weights, by: Activations = USUAL) -> tuple[States, Kept]:
    """Plain recurrent net (Elman 1990): h_t = tanh(z_x + z_h)."""
    h = by.tanh.forward(z_x + product(w.w_hh, state[0], w.b_hh))
    return (h,), (h,)


def rnn_tanh_backward(
    dstate: States,
    before: States,
    kept: Kept,
    w: Weights,
    by: Activations = USUAL,
) -> StepGradient:
    (h,) = kept
    dz = rounded(w.w_hh, by.tanh.backward(dstate[0], h))
    return _plain_gradient(dz, before[0], w)


STEPS["rnn_tanh"] = Steps(rnn_tanh, rnn_tanh_backward, keeps=0)


def rnn_relu(z_x: Array, state: States, w: Weights) -> tuple[States, Kept]:
    """The same with h_t = max(z_x + z_h, 0)."""
    h = np.maximum(z_x + product(w.w_hh, state[0], w.b_hh), 0)
    return (h,), (h,)


def rnn_relu_backward(dstate: States, before: States, kept: Kept, w: Weights) -> StepGradient:
    (h,) = kept
    dz = np.where(h <= 0, np.zeros_like(h), dstate[0])  # so that NaN goes on
    dz = rounded(w.w_hh, dz)
    return _plain_gradient(dz, before[0], w)


STEPS["rnn_relu"] = Steps(rnn_relu, rnn_relu_backward, keeps=0)
