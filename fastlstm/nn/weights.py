"""The parameters of a recurrent layer in one direction, under torch's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastlstm.kernels import CellSpec, Weights
from fastlstm.nn.init import uniform
from fastlstm.nn.module import Module
from fastlstm.nn.parameter import Parameter, check_finite

# In the order of the fields of `Weights`, which is torch's.
Owned = tuple["Parameter | None", ...]
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def make_weights(
    module: Module,
    suffix: str,
    cell: CellSpec,
    sizes: tuple[int, int, int],
    bias: bool,
    dtype: np.dtype[Any],
    rng: np.random.Generator,
) -> None:
    """Give `module` the parameters PARTS + suffix, uniform in +-1/sqrt(H) as torch's.

    `sizes` are I, H and the size of the projection, 0 for none: then there is no weight_hr.
    """
    I, H, proj = sizes
    G, R, bound = cell.gate_rows(H), proj or H, 1 / math.sqrt(H)
    shapes = dict(zip(PARTS, [(G, I), (G, R), (G,), (G,), (R, H)], strict=True))
    if not proj:
        del shapes["weight_hr"]
        module._without("weight_hr" + suffix)
    for part, shape in shapes.items():
        if bias or part.startswith("weight"):
            setattr(module, part + suffix, Parameter(uniform(shape, bound, dtype, rng)))
        else:
            setattr(module, part + suffix, None)
            module._without(part + suffix)


def find_parameters(module: Module, suffix: str, cell: CellSpec) -> Owned:
    """Return the parameters PARTS + suffix, None for what is not there; then the cell's own."""
    weights = [getattr(module, part + suffix, None) for part in PARTS]
    return *weights, *[getattr(module, name + suffix) for name in cell.params]


def check_rounds(owned: Owned, suffix: str, precision: str) -> None:
    """Raise ValueError, naming the parameter, if a weight cannot be rounded to int8."""
    if precision == "int8":
        for part, parameter in zip(PARTS, owned, strict=False):
            if parameter is not None and part.startswith("weight"):
                check_finite(part + suffix, parameter.data)


def read_weights(owned: Owned) -> Weights:
    """Return the values of the parameters."""
    return _weights([None if p is None else p.data for p in owned])


def read_gradients(owned: Owned) -> Weights:
    """Return the gradients of the parameters, to add into."""
    return _weights([None if p is None else p.grad for p in owned])


def _weights(values: list[Any]) -> Weights:
    return Weights._make((*values[: len(PARTS)], tuple(values[len(PARTS) :])))
