"""Chains, and their parts alone, as steps that Keras has layers for.

Keras's layers know no frames: they run over the whole of a signal, from a state of zeros. So a
chain can be one of them if its frames do not show in what it makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.formats.sequential import MASKS, MIX_STEPS
from fastlstm.formats.steps import (
    Activation,
    AveragePool,
    Conv1D,
    Flatten,
    Pool,
    ZeroPad,
)
from fastlstm.nn.chain import Chain, Conv1d, Mean, ReLU, Sigmoid, Tanh
from fastlstm.nn.chain.part import ChainPart
from fastlstm.nn.module import Module

MAPS: dict[type[Module], str] = {ReLU: "relu", Sigmoid: "sigmoid", Tanh: "tanh"}
NO_MASK_BEHIND = (Conv1D, ZeroPad, AveragePool, Pool, Flatten)


def unchained(layers: Mapping[str, Module]) -> dict[str, Module]:
    """Return layers with all chains, and parts of such, as steps; names go on with numbers.

    Raises ValueError if there are no steps that do the same.
    """
    found: dict[str, Module] = {}
    masked = False
    for name, layer in layers.items():
        if masked and isinstance(layer, MIX_STEPS):
            raise ValueError(
                f"{name} cannot be a layer of Keras: steps before it are masked, which Keras's "
                f"layers would heed and a {type(layer).__name__} does not"
            )
        masked = isinstance(layer, MASKS) or masked and not isinstance(layer, NO_MASK_BEHIND)
        parts = {name: layer} if not isinstance(layer, Chain) else _of_chain(name, layer)
        for full, part in parts.items():
            if isinstance(part, ChainPart):
                for number, step in enumerate(_steps(full, part)):
                    found[f"{full}.{number}"] = step
            else:
                found[full] = part
    return found


def _of_chain(name: str, chain: Chain) -> dict[str, Module]:
    """Return the modules of a chain; ValueError if its frames show."""
    placed, number = chain._placed(), 0
    found: dict[str, Module] = {}
    for own, module in chain._by_name().items():
        full, at = f"{name}.{own}", placed[number]
        number += getattr(module, "num_layers", 1)
        if isinstance(module, Conv1d) and (any(module.padding) or at.P != module.stride * at.Q):
            raise ValueError(
                f"{full} cannot be a layer of Keras: it makes {count_of(at.Q, 'position')} of each "
                f"frame of {at.P} with a stride of {module.stride} and a padding of "
                f"{module.padding}, and Keras's layers know no frames; expected a context in place "
                "of padding"
            )
        found[full] = AveragePool(at.P) if isinstance(module, Mean) else module
    return found


def _steps(name: str, part: ChainPart) -> list[Module]:
    """Return what does the same over a whole signal."""
    if type(part) in MAPS:
        return [Activation(MAPS[type(part)])]
    if not isinstance(part, Conv1d):
        raise ValueError(
            f"{name} cannot be a layer of Keras: there is none like a {type(part).__name__}"
        )
    before, behind = part.padding
    if part.padding_mode != "zeros" and any(part.padding):
        raise ValueError(
            f"{name} cannot be a layer of Keras: its padding_mode is {part.padding_mode!r}, "
            "expected 'zeros'"
        )
    causal = part.stride == 1 and part.context == part.kernel_size - 1 and not any(part.padding)
    conv = Conv1D(
        part.in_channels, part.out_channels, part.kernel_size, part.stride,
        padding="causal" if causal else "valid", bias=part.bias is not None, dtype=part.dtype,
    )  # fmt: skip
    weights: dict[str, Any] = {"weight": part.weight.data.transpose(2, 1, 0)}
    if part.bias is not None:
        weights["bias"] = part.bias.data
    conv.load_state_dict({k: np.ascontiguousarray(v) for k, v in weights.items()})
    around = part.context + before, behind
    return [conv] if causal or not any(around) else [ZeroPad(*around), conv]
