"""What runs on Keras's torch backend: a cell over a batch, inside torch's autograd.

And the operations around it. Keras's own would make float32 of float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastlstm import kernels
from fastlstm.kernels import CellSpec, Rows
from fastlstm.kernels.rows import full_rows
from fastlstm.torch.dispatch import eager, plain_mode
from fastlstm.torch.function import Layer
from fastlstm.torch.function import run as run_layer
from fastlstm.torch.layout import Padded


def run_cell(
    cell: CellSpec,
    x: Tensor,
    states: list[Tensor],
    weights: list[Tensor | None],
    lengths: NDArray[np.int64] | None,
) -> tuple[Tensor, list[Tensor]]:
    """Return y [N,T,U], zero past the lengths, and the last states [N,U] over x [N,T,I]."""
    N, T, _ = x.shape
    rows = full_rows(T, N) if lengths is None else Rows(T, N, lengths)
    layer = Layer(cell, kernels.backend(), Padded(rows), rows_first=True)
    no_projection = None
    y, *ends = run_layer(
        layer, x.transpose(0, 1), [s.unsqueeze(0) for s in states], [*weights, no_projection]
    )
    return y.transpose(0, 1), [s.squeeze(0) for s in ends]


def cast_like(x: Tensor, other: Tensor) -> Tensor:
    """Return x in the dtype of another tensor."""
    return x.to(other.dtype)


def concatenate(tensors: list[Tensor]) -> Tensor:
    """Join along the last axis."""
    return torch.cat(tensors, -1)


def copy(x: Tensor) -> Tensor:
    """Return a copy, through which gradients go."""
    return x.clone()


def flip(x: Tensor) -> Tensor:
    """Return x [N,T,I] with its last step first."""
    return x.flip(1)


def take(x: Tensor, steps: NDArray[np.int64]) -> Tensor:
    """Return the steps [N,T] of x [N,T,I]."""
    return torch.take_along_dim(x, torch.from_numpy(steps)[..., None], 1)


def where(condition: NDArray[np.bool_], yes: Tensor, no: Tensor | float) -> Tensor:
    """Choose element by element; a number has the dtype of the tensor."""
    # a copy: of one row alone NumPy calls contiguous what runs backwards, which torch refuses
    return torch.where(torch.from_numpy(condition.copy()), yes, no)


def zeros_like(x: Tensor) -> Tensor:
    """Return zeros."""
    return torch.zeros_like(x)


def is_quick_step(layer: Any) -> bool:
    """Whether Keras runs one step as soon: for inference, in a few operations of torch.

    The kernels would want the weights transposed for it.
    """
    if torch.is_grad_enabled():
        return False
    # Neither a SimpleRNN nor `RNN` has use_cudnn.
    return bool(getattr(layer, "use_cudnn", False) and getattr(layer.cell, "reset_after", True))


def why_not_tensors(tensors: list[Any]) -> str:
    """Return why the kernels cannot read what a call was given, "" if they can."""
    if not eager():
        return "torch records or transforms operations"
    if not plain_mode():
        return "torch.autocast"
    for t in tensors:
        if type(t) not in (Tensor, torch.nn.Parameter):
            return f"a tensor of class {type(t).__name__}"
        if t.device.type != "cpu":
            return f"a tensor on device {t.device.type}"
        if t.layout != torch.strided:
            return f"a tensor of layout {t.layout}"
    return ""
