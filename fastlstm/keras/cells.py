"""Which kernel a cell of Keras is, and its weights in the order of that kernel.

Keras has kernels [I,G*U] with gates i,f,c,o of an LSTM and z,r,h of a GRU; ours are [G*U,I] with
i,f,g,o and r,z,n. Gradients go back through what makes one of the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import activations, layers, ops

from fastlstm.keras.on_backend import concatenate, zeros_like
from fastlstm.kernels import CELLS, CellSpec
from fastlstm.nn.gate_orders import KERAS, places

# As Keras spells them too: a layer may be given the function itself.
TANH = (activations.tanh, ops.tanh)
SIGMOID = (activations.sigmoid, ops.sigmoid)
RELU = (activations.relu, ops.relu)
GATES = {layers.LSTMCell: 4, layers.GRUCell: 3, layers.SimpleRNNCell: 1}


def spec(cell: Any) -> CellSpec | None:
    """Return the kernel of a cell, None if there is none for its activations."""
    if type(cell) is layers.SimpleRNNCell:
        for name, functions in (("rnn_tanh", TANH), ("rnn_relu", RELU)):
            if _is_one(cell.activation, functions):
                return CELLS[name]
        return None
    if not (_is_one(cell.activation, TANH) and _is_one(cell.recurrent_activation, SIGMOID)):
        return None
    if type(cell) is layers.LSTMCell:
        return CELLS["lstm"]
    return CELLS["gru" if cell.reset_after else "gru_reset_before"]


def _is_one(function: Any, functions: tuple[Callable[..., Any], ...]) -> bool:
    return any(function is f for f in functions)


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
