"""The options of recurrent layers that name the activations of their cells."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np

from fastlstm.kernels import CellSpec
from fastlstm.kernels.spec import ACTIVATIONS, Activation, with_activations
from fastlstm.nn.check import check_choice, check_number

# A name; of a hard sigmoid that is not the usual one also its alpha and beta.
Option: TypeAlias = "str | tuple[str, float, float]"


def check_activation(name: str, value: Any) -> Option:
    """Return `value` after checking that it is an activation, plainly told."""
    if not isinstance(value, (tuple, list)):
        return check_choice(name, value, ACTIVATIONS)
    if len(value) != 3 or value[0] != "hard_sigmoid":
        raise ValueError(f"{name} is {value!r}, expected ('hard_sigmoid', alpha, beta) or a name")
    alpha, beta = check_number(f"{name}[1]", value[1]), check_number(f"{name}[2]", value[2])
    if not np.isfinite([alpha, beta]).all():
        raise ValueError(f"{name} is {value!r}, expected finite numbers")
    return told(Activation("hard_sigmoid", alpha, beta))


def told(activation: Activation) -> Option:
    """Return an activation as the options have it."""
    name = activation.name
    return name if activation == Activation(name) else (name, activation.alpha, activation.beta)


@cache
def cell_with(
    name: str, activation: Option = "tanh", recurrent_activation: Option = "sigmoid"
) -> CellSpec:
    """Return the cell of that name in `kernels.CELLS`, with activations as checked."""
    return with_activations(name, read(activation), read(recurrent_activation))


def read(option: Option) -> Activation:
    """Return the activation that a checked option names."""
    return Activation(option) if isinstance(option, str) else Activation(*option)
