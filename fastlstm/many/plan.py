"""The weights of many layers as a backend holds them: looked up once, for many calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from operator import is_
from typing import Any

from fastlstm import kernels
from fastlstm.nn.parameter import Parameter
from fastlstm.nn.weights import check_rounds, read_gradients, read_weights


class Plan:
    """The weights of M layers.

    Parameters
    ----------
    like : a layer whose options they have, now and later.
    layers : recurrent layers of equal shape.
    used : the parameters that they are made of.
    """

    def __init__(self, like: Any, layers: Sequence[Any], used: Sequence[Parameter]) -> None:
        self.like, self.precision = like, like.precision
        self._used, self._data = used, [parameter._data for parameter in used]
        self._owned = [[one._owned(k) for one in layers] for k in range(len(like._suffixes))]
        self.check_rounds()
        self.backend = kernels.backend(like._backend)
        self.weights = [
            self.backend.models(like._cell, list(map(read_weights, owned)), self.precision)
            for owned in self._owned
        ]

    def serves(self, used: Sequence[Parameter]) -> bool:
        """Whether it is still that of these parameters, as they are, and of the precision."""
        return (
            self.precision == self.like.precision
            and all(map(is_, used, self._used))
            and all(map(is_, (parameter._data for parameter in used), self._data))
        )

    @cached_property
    def gradients(self) -> list[Any]:
        """What `ManyGradients.weights` takes, of each layer and direction."""
        pairs = zip(self.weights, self._owned, strict=True)
        return [models.hold(list(map(read_gradients, owned))) for models, owned in pairs]

    def check_rounds(self) -> None:
        """Raise ValueError, naming it, if a weight cannot be rounded to int8."""
        if self.precision != "int8":
            return
        for suffix, owned in zip(self.like._suffixes, self._owned, strict=True):
            for one in owned:
                check_rounds(one, suffix, self.precision)
