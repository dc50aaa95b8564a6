"""The option `precision` of a module: how its products are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastlstm.kernels.arguments import check_precision
from fastlstm.torch.function import wants_gradient
from fastlstm.torch.held import Tensors

DEFAULT = "float32"
KEPT = "_precision"  # where a module keeps it, if it was ever set; else its class has the default


class Precise(torch.nn.Module):
    """A recurrent module whose products may be made of rounded factors.

    Attributes
    ----------
    precision : "float32", products as the parameters are; "bfloat16", of both factors rounded to
        bfloat16, with float32 sums; or "int8", for inference alone. It may be changed at any time.
        Parameters, inputs, states and outputs stay float32; float64 takes "float32" alone.
    """

    # Of the class, not looked up in a module's dict: compiled code looks again at attributes.
    _precision = DEFAULT

    # device by its name: torch.nn.utils.skip_init asks for it in the signature
    def __init__(
        self, *args: Any, device: Any = None, precision: str = DEFAULT, **options: Any
    ) -> None:
        if device is not None:  # else it may be among args
            options["device"] = device
        super().__init__(*args, **options)
        if precision != DEFAULT:
            self.precision = precision

    @property
    def precision(self) -> str:
        return precision_of(self)

    @precision.setter
    def precision(self, value: str) -> None:
        check_fits(self, value)
        vars(self)[KEPT] = value

    def extra_repr(self) -> str:
        shown: str = super().extra_repr()
        return shown if self.precision == DEFAULT else f"{shown}, precision={self.precision}"


def precision_of(module: torch.nn.Module) -> str:
    """Return the precision of a recurrent module of ours."""
    kept: Any = module._precision
    found: str = kept
    return found


def check_fits(module: torch.nn.Module, precision: object) -> None:
    """Raise ValueError if there is no such precision, or the module's parameters do not take it."""
    doubles = any(p.dtype is torch.float64 for p in module.parameters())
    check_precision(precision, np.dtype("float64" if doubles else "float32"), save=False)


def check_inference(name: str, precision: str, x: Tensor, *groups: Tensors) -> None:
    """Raise ValueError in int8 if a gradient of these tensors may be asked for: it has none."""
    if precision == "int8" and wants_gradient(x, *groups):
        raise ValueError(
            f"{name}: precision is 'int8', which is for inference alone, and a gradient may be "
            "asked for: call it under torch.no_grad(), or set its precision to 'float32' or "
            "'bfloat16' to train it"
        )
