"""Layers of equal shape whose parameters lie in one array each."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.many.layers import Together
from fastlstm.nn.check import MOST_SIZE, check_rng, check_size
from fastlstm.nn.module import Array, Module
from fastlstm.nn.parameter import Parameter
from fastlstm.nn.recurrent import Recurrent


class Stacked(Together):
    """What ``LSTM(..., models=M)`` makes: see `Together`, which it runs as.

    Parameters are those of one layer with an axis of models in front, ``weight_ih_l0`` [M,4H,I],
    so an optimizer takes one step of all models for each. ``models[m]`` is a layer over model m's
    part of them and of their gradients.
    """

    def __init__(self, layers: Sequence[Recurrent]) -> None:
        super().__init__(layers)
        self._hold(
            {
                name: np.stack([getattr(layer, name).data for layer in self._layers])
                for name in self._names
            }
        )
        del self._layers[1:]  # what one is left for are its options

    @classmethod
    def of(cls, layer: Recurrent, arrays: Mapping[str, Array]) -> Stacked:
        """Return a module with a layer's options, and these arrays [M,...] as its parameters."""
        made = cls.__new__(cls)
        Together.__init__(made, [layer])
        made._hold(arrays)
        return made

    def _hold(self, arrays: Mapping[str, Array]) -> None:
        for name in self._names:
            setattr(self, name, Parameter(arrays[name]))
        self._M = len(arrays[self._names[0]])

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: the layer that is left has its options."""
        return super().__getstate__() | {"_layers": [copy.copy(self._layers[0])]}

    @property
    def models(self) -> int:
        return self._M

    def __getitem__(self, model: int) -> Recurrent:
        """Return a layer over the parameters of a model, and over their gradients."""
        m = self._number(model)
        layer = copy.copy(self._layers[0])
        for name in self._names:
            whole, part = getattr(self, name), Parameter(getattr(self, name).data[m])
            part._grad, part.trainable = whole.grad[m], whole.trainable
            vars(layer)[name] = part
        return layer

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters of all models, ``("weight_ih_l0", parameter)`` and so on."""
        return Module.named_parameters(self, prefix)

    def _read_parameters(self) -> list[Parameter]:
        return [vars(self)[name] for name in self._names]


def stack(
    cls: type[Recurrent], models: Any, sizes: tuple[Any, ...], options: dict[str, Any]
) -> Stacked:
    """Return so many layers of a class, made one after the other from one generator.

    ``rng`` may also be a list of M seeds or generators, one for each.
    """
    M, rng = check_size("models", models, most=MOST_SIZE), options.pop("rng", None)
    if isinstance(rng, (list, tuple)):
        if len(rng) != M:
            raise ValueError(
                f"rng has {count_of(len(rng), 'seed')}, expected one, or one for each of {M}"
            )
        rngs = [check_rng(one) for one in rng]
    else:
        rngs = [check_rng(rng)] * M
    return Stacked([cls(*sizes, rng=one, **options) for one in rngs])
