"""Which kernel a cell of Keras is, and its weights in the order of that kernel.

Keras has kernels [I,G*U] with gates i,f,c,o of an LSTM and z,r,h of a GRU; ours are [G*U,I] with
i,f,g,o and r,z,n. Gradients go back through what makes one of the other.
"""

from __future__ import annotations

from typing import Any

from keras import activations, layers, ops

from fastlstm import kernels
from fastlstm.keras.on_backend import concatenate, zeros_like
from fastlstm.kernels import CELLS, CellSpec
from fastlstm.kernels.spec import Activation, with_activations
from fastlstm.nn.gate_orders import KERAS, places

# As Keras spells them too: a layer may be given the function itself.
ACTIVATIONS = {
    Activation("tanh"): (activations.tanh, ops.tanh),
    Activation("sigmoid"): (activations.sigmoid, ops.sigmoid),
    Activation("relu"): (activations.relu, ops.relu),
    Activation("linear"): (activations.linear,),
    Activation("hard_sigmoid", 1 / 6, 0.5): (activations.hard_sigmoid, ops.hard_sigmoid),
    Activation("softsign"): (activations.softsign, ops.softsign),
}
GATES = {layers.LSTMCell: 4, layers.GRUCell: 3, layers.SimpleRNNCell: 1}


def spec(cell: Any) -> CellSpec | None:
    """Return the kernel of a cell, None if there is none for its activations."""
    activation = activation_of(cell.activation)
    gate = activation_of(getattr(cell, "recurrent_activation", activations.sigmoid))
    if activation is None or gate is None:
        return None
    found = with_activations(_name(cell), activation, gate)
    return found if found.usual or kernels.default_backend() != "numba" else None


def activation_of(function: Any) -> Activation | None:
    """Return the activation of the kernels that a function of Keras is, None if it is none."""
    for activation, functions in ACTIVATIONS.items():
        if any(function is f for f in functions):
            return activation
    return None


def _name(cell: Any) -> str:
    """Return the name of the kernel with the usual activations."""
    if type(cell) is layers.GRUCell:
        return "gru" if cell.reset_after else "gru_reset_before"
    return "lstm" if type(cell) is layers.LSTMCell else "rnn_tanh"


def weights(cell: Any) -> list[Any]:
    """Return w_ih [G*U,I], w_hh [G*U,U], b_ih and b_hh [G*U] or None for both."""
    kernel, recurrent, bias = (
        None if w is None else ops.convert_to_tensor(w)
        for w in (cell.kernel, cell.recurrent_kernel, cell.bias)
    )
    matrices = [_gates(cell, kernel).T, _gates(cell, recurrent).T]
    if bias is None:
        return [*matrices, None, None]
    if len(bias.shape) == 2:  # of a GRU with reset_after: one for each product
        bias = _gates(cell, bias)
        return [*matrices, bias[0], bias[1]]
    return [*matrices, _gates(cell, bias), zeros_like(bias)]


def _gates(cell: Any, weight: Any) -> Any:
    """Return a weight [...,G*U] with its gates in our order."""
    if type(cell) is not layers.GRUCell:
        return weight  # which it has
    U = cell.units
    order = places(CELLS["gru"].gates, KERAS["gru"])
    return concatenate([weight[..., k * U : (k + 1) * U] for k in order])
