"""The arguments of a layer's operators: see `fastlstm.torch.operators`.

T steps, N batch rows, I input size, H hidden size, R output size of one direction, D directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from fastlstm import kernels
from fastlstm.torch import function
from fastlstm.torch.check import read_lengths
from fastlstm.torch.held import FIELDS, Tensors
from fastlstm.torch.reset import read_starts


class Given(NamedTuple):
    """The arguments of an operator.

    Attributes
    ----------
    x : [T,N,I], with batch_first [N,T,I].
    states : [D,N,R] and, of an LSTM, [D,N,H]; None for zeros.
    weights : of each direction weight_ih, weight_hh, then bias_ih and bias_hh, then weight_hr,
        those that there are.
    lengths : integers [N], the steps of each row; None if they are T.
    reset : [T,N] whatever batch_first, 1 where a row starts anew before a step; None for nowhere.
    """

    cell: kernels.CellSpec
    x: Tensor
    states: Tensors
    weights: list[Tensor]
    batch_first: bool
    bidirectional: bool
    precision: str
    lengths: Tensor | None = None
    reset: Tensor | None = None

    def sizes(self) -> tuple[Any, Any, int, Any, Any]:
        """Return T, N, D, H and R."""
        N, T = self.x.shape[:2] if self.batch_first else reversed(self.x.shape[:2])
        G, R = self.weights[1].shape
        return T, N, 1 + self.bidirectional, G // len(self.cell.gates), R

    def tensors(self) -> list[Tensor | None]:
        """Return x, states and weights as `function` has them."""
        x = self.x.transpose(0, 1) if self.batch_first else self.x
        return [x, *self.states, *self._fives()]

    def layer(self) -> function.Layer:
        """Return the layer that `function` runs."""
        T, N, D, *_ = self.sizes()
        layout = read_lengths(self.lengths, T, N)
        starts = read_starts(self.reset, layout.rows, D)
        return function.Layer(
            self.cell, kernels.backend(), layout, self.batch_first, self.precision, starts
        )

    def places(self) -> list[int]:
        """Return where each of the tensors given stands among `tensors`."""
        first = 1 + len(self.states)
        fives = [i for i, w in enumerate(self._fives(), first) if w is not None]
        return [*range(first), *fives]

    def _fives(self) -> list[Tensor | None]:
        """Return five weights of each direction, None for those it lacks."""
        found: list[Tensor | None] = []
        count = len(self.weights) // (1 + self.bidirectional)
        for i in range(0, len(self.weights), count):
            w_ih, w_hh, *others = self.weights[i : i + count]
            biases = others[:2] if count >= FIELDS - 1 else (None, None)
            found += [w_ih, w_hh, *biases, others[-1] if count % 2 else None]
        return found


def given_forward(cell: kernels.CellSpec, args: Sequence[Any]) -> tuple[Given, Any]:
    """Return the arguments of an operator, and `save` or `needs`."""
    x, *states = args[: 1 + len(cell.states)]
    weights, batch_first, both, precision, last, *rows = args[1 + len(cell.states) :]
    return Given(cell, x, states, list(weights), batch_first, both, precision, *rows), last


def given_backward(
    cell: kernels.CellSpec, args: Sequence[Any]
) -> tuple[list[Any], Tensor, Tensor, Given, list[bool]]:
    """Return the gradients of the outputs, y, the marker, what forward was given, and `needs`."""
    count = 1 + len(cell.states)
    given, needs = given_forward(cell, args[count + 2 :])
    return list(args[:count]), args[count], args[count + 1], given, list(needs)
