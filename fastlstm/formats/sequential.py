"""Layers one after another: what a Keras or RTNeural model is, and what can be written as one.

Rows come first everywhere: x is [N,T,I], token ids are [N,T].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastlstm.formats.fit import check_fit, check_in_line
from fastlstm.formats.layers import check_names
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.steps import Mask, Masking, MaskZero, Step
from fastlstm.kernels.rows import any_array, check_lengths
from fastlstm.models.model import Model
from fastlstm.nn.chain import Chain, Conv1d, Mean
from fastlstm.nn.module import Array, Module
from fastlstm.nn.parameter import Parameter
from fastlstm.nn.recurrent import Recurrent

MASKS = (Masking, MaskZero)
# What makes something of several steps and is told of no mask.
MIX_STEPS = (Chain, Conv1d, Mean, Model)


class Sequential(Module):
    """Layers that run one after another, for inference.

    Parameters
    ----------
    layers : by name, or a list, whose names are their numbers then. A recurrent layer gives its
        outputs at all steps; a `fastlstm.formats.recurrence.Recurrence` of one gives others.

    Attributes
    ----------
    layers : the same as a dict.

    Raises
    ------
    TypeError, ValueError
        If something is no layer of one input and one output, or never takes what the one before
        it gives: it is named.
    """

    def __init__(self, layers: Mapping[str, Module] | Iterable[Module]) -> None:
        if not isinstance(layers, Mapping):
            layers = {str(number): layer for number, layer in enumerate(layers)}
        check_names(layers)
        for name, layer in layers.items():
            check_in_line(f"layers[{name!r}]", layer)
        if not layers:
            raise ValueError("layers is empty, expected at least one")
        self.layers = dict(layers)
        check_fit(self.in_line())

    def __call__(self, x: ArrayLike, lengths: ArrayLike | None = None) -> Array:
        """Run over a batch.

        Parameters
        ----------
        x : [N,T,I], or what else the first layer takes: token ids [N,T] of an embedding.
        lengths : integers [N] in 0..T, how many steps of each row are real; None for all. A mask
            that a layer makes leaves out steps beside these.
        """
        y: Any = x
        mask = given = None if lengths is None else _mask_of(lengths, any_array("x", x).shape)
        for _, layer in self.in_line():
            y, mask = run_layer(layer, y, mask)
            if mask is None:
                given = None  # the steps are others now, or gone
            elif given is not None and isinstance(layer, MASKS):
                mask = mask & given  # what a layer masks of itself comes on top of lengths
        out: Array = y
        return out

    def in_line(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield all layers and their names, those of a `Sequential` inside in its place."""
        for name, layer in self.layers.items():
            if isinstance(layer, Sequential):
                yield from layer.in_line(f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", layer

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield ``(name, parameter)``, a layer's under its name."""
        for name, layer in self.layers.items():
            yield from layer.named_parameters(f"{prefix}{name}.")

    def _named_modules(self, prefix: str = "") -> Iterator[tuple[str, Any]]:
        yield prefix, self
        for name, layer in self.layers.items():
            yield from layer._named_modules(f"{prefix}.{name}" if prefix else name)

    def __repr__(self) -> str:
        lines = [f"({name}): {layer!r}" for name, layer in self.layers.items()]
        return "Sequential(\n  " + "\n".join(lines).replace("\n", "\n  ") + "\n)"


def _mask_of(lengths: ArrayLike, shape: tuple[int, ...]) -> Mask:
    """Return which steps of an x of this shape are real."""
    if len(shape) < 2:
        raise ValueError(f"x has shape {shape}, expected rows of steps where lengths are given")
    N, T = shape[:2]
    mask: Mask = np.arange(T) < check_lengths(lengths, T, N)[:, None]
    return mask


def run_layer(layer: Module, x: Any, mask: Mask) -> tuple[Any, Mask]:
    """Return what a layer makes of x, and the mask for the next one."""
    if isinstance(layer, Step):
        return layer.run(x, mask)
    if isinstance(layer, Recurrent):
        return Recurrence(layer).run(x, mask)
    if mask is not None and isinstance(layer, MIX_STEPS):
        raise ValueError(
            f"a {type(layer).__name__} knows no masks: here it would read the masked steps too. "
            "Run it over rows of one length, without a mask and without lengths"
        )
    call: Any = layer
    y = call(x)
    if not isinstance(y, np.ndarray):
        raise TypeError(
            f"a {type(layer).__name__} gives a {type(y).__name__}, expected an array: it cannot be "
            "a layer here"
        )
    return y, mask
