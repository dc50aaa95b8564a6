"""The short way of a cell: one step where no gradient is wanted and nothing is unusual.

For one row the kernel takes a few microseconds, and so would looking at every case. What is looked
at here says only whether this is the plain one; all others take the way of `cells.run_cell`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import Parameter

from fastlstm import kernels
from fastlstm.torch.dispatch import recorded


def short_step(module: torch.nn.RNNCellBase, cell: str, input: Any, hx: Any) -> Any:
    """Return the new states of a cell of `kernels.CELLS`; None if this is not a plain step.

    Parameters
    ----------
    input, hx : as the module's forward got them.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or recorded():
        return None
    own = module._parameters
    if len(own) != 4 or hx is None or torch.is_autocast_enabled("cpu"):
        return None
    step = compiled_step(cell)
    return step and step(own.values(), input, hx if type(hx) is tuple else (hx,))


@cache
def compiled_step(cell: str) -> Any:
    """Return the compiled step of a cell; None if the backend in use has none."""
    make = getattr(kernels.get(cell), "TensorStep", None)
    types = (Tensor, Parameter)
    return make and make(types, torch.float32, torch.float64, torch.empty_like)
