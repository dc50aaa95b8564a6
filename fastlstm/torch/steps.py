"""Cells that torch has not, step by step in torch's operations.

These are a GRU whose reset gate meets h before the recurrent product (Keras's reset_after=False,
ONNX's linear_before_reset=0), and any cell with other activations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear, softsign

from fastlstm.kernels import CellSpec
from fastlstm.kernels.spec import Activation

Function = Callable[[Tensor], Tensor]
FUNCTIONS: dict[str, Function] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "linear": lambda z: z,
    "softsign": softsign,
}


def run_steps(
    cell: CellSpec, x: Tensor, states: list[Tensor], weights: Any, sizes: Tensor | None = None
) -> list[Tensor]:
    """Return y and the last states [1,N,H] of one direction, with states [1,N,H] before it.

    x is [T,N,I], or with `sizes` the data of packed rows, longest first; y is laid out alike.
    """
    step = STEPS[cell.name]
    s, a = _function(cell.recurrent_activation), _function(cell.activation)
    current, ys = [state[0] for state in states], []
    for x_t in x.unbind(0) if sizes is None else x.split(sizes.tolist()):
        alive = [state[: len(x_t)] for state in current]
        after = step(x_t, alive, weights, s, a)
        ys.append(after[0])
        current = [
            torch.cat([new, old[len(x_t) :]]) for new, old in zip(after, current, strict=True)
        ]
    y = torch.stack(ys) if sizes is None else torch.cat(ys)
    return [y, *(state.unsqueeze(0) for state in current)]


def _function(activation: Activation) -> Function:
    name, alpha, beta, _ = activation  # no module has a clip
    if name != "hard_sigmoid":
        return FUNCTIONS[name]
    return lambda z: (alpha * z + beta).clamp(0, 1)


def _lstm(x: Tensor, before: list[Tensor], weights: Any, s: Function, a: Function) -> list[Tensor]:
    (h, c), (w_ih, w_hh, b_ih, b_hh) = before, weights[:4]
    i, f, g, o = (linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)).chunk(4, 1)
    c = s(f) * c + s(i) * a(g)
    return [s(o) * a(c), c]


def _gru(x: Tensor, before: list[Tensor], weights: Any, s: Function, a: Function) -> list[Tensor]:
    (h,), (w_ih, w_hh, b_ih, b_hh) = before, weights[:4]
    x_r, x_z, x_n = linear(x, w_ih, b_ih).chunk(3, 1)
    h_r, h_z, h_n = linear(h, w_hh, b_hh).chunk(3, 1)
    n = a(x_n + s(x_r + h_r) * h_n)
    return [n + s(x_z + h_z) * (h - n)]


def _gru_reset_before(
    x: Tensor, before: list[Tensor], weights: Any, s: Function, a: Function
) -> list[Tensor]:
    (h,), (w_ih, w_hh, b_ih, b_hh) = before, weights[:4]
    H = h.shape[1]
    b_rz, b_n = (None, None) if b_hh is None else (b_hh[: 2 * H], b_hh[2 * H :])
    gates = linear(x, w_ih, b_ih)
    r, z = s(gates[:, : 2 * H] + linear(h, w_hh[: 2 * H], b_rz)).chunk(2, 1)
    n = a(gates[:, 2 * H :] + linear(r * h, w_hh[2 * H :], b_n))
    return [n + z * (h - n)]


def _rnn(x: Tensor, before: list[Tensor], weights: Any, s: Function, a: Function) -> list[Tensor]:
    (h,), (w_ih, w_hh, b_ih, b_hh) = before, weights[:4]
    return [a(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh))]


STEPS: dict[str, Callable[..., list[Tensor]]] = {
    "lstm": _lstm,
    "gru": _gru,
    "gru_reset_before": _gru_reset_before,
    "rnn_tanh": _rnn,
}
