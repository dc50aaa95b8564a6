"""A module's parameters in the order of `kernels.Weights`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import Parameter

from fastlstm.torch.stored import Stored

Five = tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]
CELL_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def sequence_weights(module: torch.nn.RNNBase) -> list[Five]:
    """Return the parameters of each layer and direction, those of a direction together."""
    found = []
    for names in module._all_weights:
        w_ih, w_hh, *others = (_tensor(module, name) for name in names)
        b_ih, b_hh = others[:2] if module.bias else (None, None)
        found.append((w_ih, w_hh, b_ih, b_hh, others[-1] if module.proj_size else None))
    return found


def cell_weights(module: torch.nn.RNNCellBase) -> Five:
    """Return the parameters of a cell."""
    w_ih, w_hh, b_ih, b_hh = (_tensor(module, name) for name in CELL_NAMES)
    return w_ih, w_hh, b_ih, b_hh, None


def _tensor(module: torch.nn.Module, name: str) -> Any:
    """Return a parameter, by one look-up unless a parametrization or pruning computes it."""
    if isinstance(module, Stored):
        return module.float_weight(name)
    own: Parameter | None = module._parameters.get(name)
    return getattr(module, name) if own is None else own
