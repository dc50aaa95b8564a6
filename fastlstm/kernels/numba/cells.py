"""The cells of `spec.CELLS` as functions of one unit, forward above backward.

Arguments are named after what they are: gates (in backward: what forward kept under that name),
states before the step, ``..._next`` after it; backward returns the gradient of each argument of
forward. Formulas: `reference_cells`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from fastlstm.kernels.activations import sigmoid, tanh
from fastlstm.kernels.numba.maths import Maths
from fastlstm.kernels.spec import CELLS, CellSpec

Number = Any

MATHS: dict[str, Maths] = {}  # by the names of `spec.CELLS`


def _add(name: str, **options: Any) -> None:
    """Add the maths of a cell: its row of `spec.CELLS` and `options`, its functions."""
    row = {f.name: getattr(CELLS[name], f.name) for f in fields(CellSpec)}
    MATHS[name] = Maths(**{**row, **options})


def lstm(i: Number, f: Number, g: Number, o: Number, c: Number) -> tuple[Number, ...]:
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * c + i * g
    return o * tanh(c), c, i, f, g, o


def lstm_backward(
    dh: Number, dc: Number, i: Number, f: Number, g: Number, o: Number, c: Number, c_next: Number
) -> tuple[Number, ...]:
    t = tanh(c_next)
    dc = dc + dh * o * (1 - t * t)
    di, df, dg = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g)
    return di, df, dg, dh * t * o * (1 - o), dc * f


_add("lstm", forward=lstm, backward=lstm_backward, keeps=("i", "f", "g", "o"))


def peephole_lstm(
    i: Number, f: Number, g: Number, o: Number, c: Number, p_i: Number, p_f: Number, p_o: Number
) -> tuple[Number, ...]:
    i, f, g = sigmoid(i + p_i * c), sigmoid(f + p_f * c), tanh(g)
    c = f * c + i * g
    o = sigmoid(o + p_o * c)
    return o * tanh(c), c, i, f, g, o


def peephole_lstm_backward(
    dh: Number, dc: Number, i: Number, f: Number, g: Number, o: Number, c: Number, c_next: Number,
    p_i: Number, p_f: Number, p_o: Number,
) -> tuple[Number, ...]:  # fmt: skip
    t = tanh(c_next)
    do = dh * t * o * (1 - o)
    dc = dc + dh * o * (1 - t * t) + do * p_o
    di, df, dg = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g)
    return di, df, dg, do, dc * f + di * p_i + df * p_f, di * c, df * c, do * c_next


_add(
    "peephole_lstm",
    forward=peephole_lstm,
    backward=peephole_lstm_backward,
    keeps=("i", "f", "g", "o"),
)


def gru(r: Number, z: Number, n_x: Number, n_h: Number, h: Number) -> tuple[Number, ...]:
    r, z = sigmoid(r), sigmoid(z)
    n = tanh(n_x + r * n_h)
    return (1 - z) * n + z * h, r, z, n, n_h


def gru_backward(
    dh: Number, r: Number, z: Number, n: Number, n_h: Number, h: Number
) -> tuple[Number, ...]:
    dn = dh * (1 - z) * (1 - n * n)
    return dn * n_h * r * (1 - r), dh * (h - n) * z * (1 - z), dn, dn * r, dh * z


_add("gru", forward=gru, backward=gru_backward, keeps=("r", "z", "n", "n_h"))


def reset_h(r: Number, h: Number) -> tuple[Number, ...]:
    r = sigmoid(r)
    return r * h, r


def reset_h_backward(dmixed: Number, r: Number, h: Number) -> tuple[Number, ...]:
    return dmixed * h * r * (1 - r), dmixed * r


def gru_reset_before(z: Number, n: Number, h: Number) -> tuple[Number, ...]:
    z, n = sigmoid(z), tanh(n)
    return (1 - z) * n + z * h, z, n


def gru_reset_before_backward(dh: Number, z: Number, n: Number, h: Number) -> tuple[Number, ...]:
    return dh * (h - n) * z * (1 - z), dh * (1 - z) * (1 - n * n), dh * z


_add(
    "gru_reset_before",
    forward=gru_reset_before,
    backward=gru_reset_before_backward,
    keeps=("z", "n"),
    mix=reset_h,
    mix_backward=reset_h_backward,
    mix_keeps=("r",),
)


def rnn_tanh(z: Number) -> Number:
    return tanh(z)


def rnn_tanh_backward(dh: Number, h_next: Number) -> Number:
    return dh * (1 - h_next * h_next)


# The gate is not called h here, as the state is.
_add("rnn_tanh", gates=("z",), forward=rnn_tanh, backward=rnn_tanh_backward)


def rnn_relu(z: Number) -> Number:
    return 0 if z < 0 else z  # so that NaN goes on


def rnn_relu_backward(dh: Number, h_next: Number) -> Number:
    return 0 if h_next <= 0 else dh


_add("rnn_relu", gates=("z",), forward=rnn_relu, backward=rnn_relu_backward)


def maths_of(cell: CellSpec) -> Maths:
    """Return the maths of a cell: of a user's, which is one, or of a row of `spec.CELLS`."""
    if isinstance(cell, Maths):
        return cell
    if not cell.usual:
        raise NotImplementedError(
            f"the Numba backend has {cell.name} with tanh and sigmoid alone, not with activation "
            f"{cell.activation.told} and recurrent_activation "
            f"{cell.recurrent_activation.told}: take the native backend or the reference"
        )
    return MATHS[cell.name]
