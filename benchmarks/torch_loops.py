"""The cells of `fastlstm.examples` as users of torch write them: a loop over the steps."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import linear

Weights = dict[str, Any]  # tensors by fastlstm's parameter names


def peephole_lstm(x: torch.Tensor, w: Weights) -> torch.Tensor:
    """Run over x [T,N,I] from a state of zeros; return y [T,N,H]."""
    z_x = linear(x, w["weight_ih_l0"], w["bias_ih_l0"] + w["bias_hh_l0"])
    h = c = x.new_zeros(x.shape[1], len(w["p_i_l0"]))
    outputs = []
    for z in z_x:
        i, f, g, o = (z + h @ w["weight_hh_l0"].t()).chunk(4, dim=1)
        i, f = torch.sigmoid(i + w["p_i_l0"] * c), torch.sigmoid(f + w["p_f_l0"] * c)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o + w["p_o_l0"] * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def minimal_gated_unit(x: torch.Tensor, w: Weights) -> torch.Tensor:
    """The same of the minimal gated unit."""
    z_x = linear(x, w["weight_ih_l0"], w["bias_ih_l0"] + w["bias_hh_l0"])
    u_f, u_n = (part.t() for part in w["weight_hh_l0"].chunk(2))
    h = x.new_zeros(x.shape[1], len(u_f))
    outputs = []
    for z in z_x:
        z_f, z_n = z.chunk(2, dim=1)
        f = torch.sigmoid(z_f + h @ u_f)
        h = (1 - f) * h + f * torch.tanh(z_n + (f * h) @ u_n)
        outputs.append(h)
    return torch.stack(outputs)
