"""A module's parameters in the order of `kernels.Weights`."""

from __future__ import annotations

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
    if isinstance(module, Stored):
        w_ih, w_hh, b_ih, b_hh = map(module.float_weight, CELL_NAMES)
        return w_ih, w_hh, b_ih, b_hh, None
    own = module._parameters
    if module.bias and len(own) == len(CELL_NAMES):
        w_ih, w_hh, b_ih, b_hh = (own[name] for name in CELL_NAMES)
        if w_ih is not None and w_hh is not None:
            return w_ih, w_hh, b_ih, b_hh, None
    return (module.weight_ih, module.weight_hh, module.bias_ih, module.bias_hh, None)


def _tensor(module: torch.nn.Module, name: str) -> Tensor:
    """Return a parameter, by one look-up unless a parametrization computes it."""
    if isinstance(module, Stored):
        kept: Tensor = module.float_weight(name)
        return kept
    own: Parameter | None = module._parameters.get(name)
    return getattr(module, name) if own is None else own
