"""A GRU whose reset gate meets h before the recurrent product, in torch's operations.

torch has none itself: Keras (reset_after=False) and ONNX (linear_before_reset=0) do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def gru_reset_before(
    x: Tensor, h: Tensor, weights: Any, sizes: Tensor | None = None
) -> list[Tensor]:
    """Return y and the last h [1,N,H] of one direction, with h [1,N,H] before it.

    x is [T,N,I], or with `sizes` the data of packed rows, longest first; y is laid out alike.
    """
    steps = x.unbind(0) if sizes is None else x.split(sizes.tolist())
    h, ys = h[0], []
    for x_t in steps:
        alive = h[: len(x_t)]
        ys.append(_step(x_t, alive, *weights[:4]))
        h = torch.cat([ys[-1], h[len(x_t) :]])
    return [torch.stack(ys) if sizes is None else torch.cat(ys), h.unsqueeze(0)]


def _step(
    x: Tensor, h: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None
) -> Tensor:
    H = h.shape[1]
    gates = torch.nn.functional.linear(x, w_ih, b_ih)
    rz = gates[:, : 2 * H] + torch.nn.functional.linear(
        h, w_hh[: 2 * H], None if b_hh is None else b_hh[: 2 * H]
    )
    r, z = rz.sigmoid().chunk(2, 1)
    n = gates[:, 2 * H :] + torch.nn.functional.linear(
        r * h, w_hh[2 * H :], None if b_hh is None else b_hh[2 * H :]
    )
    n = n.tanh()
    return n + z * (h - n)
