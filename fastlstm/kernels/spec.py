"""What a cell is: the one row that backends, layers, tests and benchmarks read.

Letters used everywhere: T steps, N batch rows, I input size, H hidden size, G gates * H,
U distinct tokens of a batch. Arrays are row-major; a T+1 buffer holds the initial state in slot 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from math import inf
from typing import NamedTuple

ACTIVATIONS = ("tanh", "sigmoid", "relu", "linear", "hard_sigmoid", "softsign")


class Activation(NamedTuple):
    """What a cell makes of a sum: one of `ACTIVATIONS`.

    Alpha and beta are those of a hard sigmoid, ``alpha * x + beta`` forced into 0..1, by default
    ONNX's and Keras 2's; others do not read them. What lies outside of ``-clip..clip`` is forced
    to its ends first, as ONNX's attribute does it, and has no gradient; clip is above 0.
    """

    name: str
    alpha: float = 0.2
    beta: float = 0.5
    clip: float = inf

    @property
    def told(self) -> str:
        """How errors name it."""
        return repr(self.name) + (f" of sums clipped to {self.clip:g}" if self.clip < inf else "")


TANH, SIGMOID, RELU = Activation("tanh"), Activation("sigmoid"), Activation("relu")


@dataclass(frozen=True, kw_only=True, eq=False)
class CellSpec:
    """One kind of recurrent cell.

    Attributes
    ----------
    name : the name that backends know it by.
    gates : gate names in the order of their rows in the weights (torch's order).
    sigmoids : gates that are sigmoids; the others are a tanh or of another kind.
    states : state names, the output first; each is [N, H].
    split : gates whose recurrent product stands apart from the input's, as a GRU's candidate.
    late : gates whose recurrent weight meets something that is made of h first.
    params : learned numbers of each unit beside the weights, [H] each.
    bounded : whether h stays within -1..1, if the first one does and there is no projection.
    projects : whether a projection of the output is possible (`Weights.w_hr`).
    usual : whether the activations are those of the formulas; or else they are these three:
    activation : what stands where the formulas have a tanh of a sum.
    recurrent_activation : what stands where they have a sigmoid.
    state_activation : what stands where an LSTM has a tanh of its cell.
    """

    name: str
    gates: tuple[str, ...]
    sigmoids: tuple[str, ...] = ()
    states: tuple[str, ...] = ("h",)
    split: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    bounded: bool = False
    projects: bool = False
    usual: bool = True
    activation: Activation = TANH
    recurrent_activation: Activation = SIGMOID
    state_activation: Activation = TANH

    def gate_rows(self, hidden_size: int) -> int:
        """Return G, the rows of `weight_ih` and `weight_hh`."""
        return len(self.gates) * hidden_size

    def state_sizes(self, hidden_size: int, output_size: int) -> tuple[int, ...]:
        """Return the last axis of each state: R of the output, H of the others."""
        return (output_size, *[hidden_size] * (len(self.states) - 1))

    @property
    def inside(self) -> tuple[str, ...]:
        """What `Backend.inside` returns: the gates, then the states, without h."""
        return tuple(name for name in self.gates + self.states[1:] if name != self.states[0])


_ROWS = (
    CellSpec(
        name="lstm",
        gates=("i", "f", "g", "o"),
        sigmoids=("i", "f", "o"),
        states=("h", "c"),
        bounded=True,
        projects=True,
    ),
    # torch's: the reset gate meets the recurrent product.
    CellSpec(name="gru", gates=("r", "z", "n"), sigmoids=("r", "z"), split=("n",), bounded=True),
    # Keras's (reset_after=False) and ONNX's (linear_before_reset=0): it meets h before that.
    CellSpec(
        name="gru_reset_before",
        gates=("r", "z", "n"),
        sigmoids=("r", "z"),
        late=("n",),
        bounded=True,
    ),
    CellSpec(name="rnn_tanh", gates=("h",), bounded=True),
    CellSpec(name="rnn_relu", gates=("h",)),
    # Gers & Schmidhuber 2000: the gates see the cell state.
    CellSpec(
        name="peephole_lstm",
        gates=("i", "f", "g", "o"),
        sigmoids=("i", "f", "o"),
        states=("h", "c"),
        params=("p_i", "p_f", "p_o"),
        bounded=True,
    ),
)
CELLS = {cell.name: cell for cell in _ROWS}


def with_activations(
    name: str,
    activation: Activation,
    recurrent_activation: Activation = SIGMOID,
    state_activation: Activation | None = None,
) -> CellSpec:
    """Return the row of `CELLS` of that name, or its like with other activations.

    An LSTM's cell, which is no sum, meets `activation` without its clip if it has none of its own.
    """
    state_activation = state_activation or activation._replace(clip=inf)
    return _with_activations(name, activation, recurrent_activation, state_activation)


@cache  # of all four: the same activations are the same row, however they were told
def _with_activations(
    name: str,
    activation: Activation,
    recurrent_activation: Activation,
    state_activation: Activation,
) -> CellSpec:
    cell = CELLS["rnn_relu" if (name, activation) == ("rnn_tanh", RELU) else name]
    given = (activation, recurrent_activation, state_activation)
    if cell.name == "rnn_relu" or given == (TANH, SIGMOID, TANH):
        return cell
    return replace(
        cell,
        usual=False,
        activation=activation,
        recurrent_activation=recurrent_activation,
        state_activation=state_activation,
        bounded=False,
    )
