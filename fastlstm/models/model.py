"""What models have in common: their options, and recurrent layers of a cell that is named."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from fastlstm.kernels import CELLS
from fastlstm.nn.check import check_array, check_choice, check_dtype
from fastlstm.nn.gru import GRU
from fastlstm.nn.linear import Linear
from fastlstm.nn.lstm import LSTM
from fastlstm.nn.module import Array, Module
from fastlstm.nn.recurrent import Recurrent
from fastlstm.nn.rnn import RNN

LAYERS: dict[str, type[LSTM] | type[GRU] | type[RNN]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}


class Model(Module):
    """Base of the models that are kept in files.

    Attributes
    ----------
    options : what the model was made with, rng apart: ``type(model)(**options)`` is alike.
    """

    SIZES: ClassVar[dict[str, tuple[str, int]]]
    """By option, the parameter that has an axis of that size, and which one; of an option that is
    0 there is no such parameter. ``{cell}`` in a name stands for that option. `further_sizes` has
    those that are no options."""

    LAYER: ClassVar[str] = "{cell}.weight_hh_l{number}"
    """Name of the parameter that each of ``num_layers`` has one of."""

    options: dict[str, Any]

    @classmethod
    def further_sizes(cls, options: Mapping[str, Any], found: Mapping[str, int]) -> dict[str, int]:
        """Return sizes of `SIZES` that follow from the options together and from those `found`.

        Raises TypeError or ValueError if an option that they follow from cannot be.
        """
        return {}


def gate_rows(cell: str, hidden_size: int) -> int:
    """Return how many rows the matrices of a cell have."""
    return CELLS["rnn_tanh" if cell == "rnn" else cell].gate_rows(hidden_size)


class HasRecurrent(Module):
    """Base of the modules with recurrent layers, which stand under the name of their cell."""

    cell: str

    def _add_recurrent(
        self, cell: str, input_size: int, hidden_size: int, num_layers: int, **options: Any
    ) -> None:
        """Make the layers; dropout is between them, so a single one has none."""
        self.cell = check_choice("cell", cell, tuple(LAYERS))
        if num_layers == 1:
            options["dropout"] = 0.0
        setattr(self, cell, LAYERS[cell](input_size, hidden_size, num_layers, **options))

    @property
    def recurrent(self) -> Recurrent:
        """The recurrent layers, whatever their cell."""
        layer: Recurrent = getattr(self, self.cell)
        return layer


class ReadsNumbers(Module):
    """Base of the models that read sequences of numbers."""

    input_size: int
    head: Linear

    def _steps_first(self, x: Array) -> Array:
        """Return x [N,T,I] as the recurrent layers read it, [T,N,I]."""
        steps = (None, None, self.input_size)
        return np.swapaxes(check_array("x", x, self.head.dtype, steps), 0, 1)

    def _rows_first_dx(self, dx: Array | None) -> Array | None:
        """Return the gradient of `_steps_first(x)` as that of x."""
        return None if dx is None else np.swapaxes(dx, 0, 1)


def options_of(
    arguments: Mapping[str, Any], usual: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Return the options among the arguments of a model's ``__init__``, as JSON can hold them.

    Without those that are as in `usual`.
    """
    kept = {k: v for k, v in arguments.items() if k not in ("self", "rng", "__class__")}
    kept["dtype"] = check_dtype(kept["dtype"]).name
    kept = {k: v for k, v in kept.items() if k not in usual or v != usual[k]}
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in kept.items()}
