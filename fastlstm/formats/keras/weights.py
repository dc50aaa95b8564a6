"""The weights of Keras's recurrent layers as ours and back, and the proof that they mean the same.

Letters: I input size, U units, G gates. Keras has kernel [I,G*U], recurrent kernel [U,G*U] and
bias [G*U]; that of a GRU with ``reset_after`` is [2,G*U], one for each product.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastlstm.formats.keras.formulas import FORMULAS, activation_of
from fastlstm.kernels import CELLS
from fastlstm.nn.activation import Option
from fastlstm.nn.gate_orders import KERAS, places
from fastlstm.nn.gru import GRU
from fastlstm.nn.lstm import LSTM
from fastlstm.nn.module import Array
from fastlstm.nn.recurrent import Recurrent
from fastlstm.nn.rnn import RNN

Arrays = list[NDArray[Any]]
GATES = {"lstm": 4, "gru": 3, "gru_reset_before": 3, "rnn_tanh": 1, "rnn_relu": 1}
MAKE: dict[str, Any] = {
    "lstm": (LSTM, {}),
    "gru": (GRU, {}),
    "gru_reset_before": (GRU, {"reset_after": False}),
    "rnn_tanh": (RNN, {}),
    "rnn_relu": (RNN, {"nonlinearity": "relu"}),
}
TRIED = 3, 4  # rows and steps of the random input
LARGE = 1 << 20  # numbers of a recurrent weight, from which no wider copy is made to try it
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def layer_of(
    kind: str, directions: list[Arrays], activations: Mapping[str, Option] | None = None
) -> Recurrent:
    """Return a layer, rows first, of the arrays of one or two directions.

    `activations` are Keras's ``activation`` and ``recurrent_activation``, those of them that are
    not the kind's own.

    Raises ValueError if a shape does not fit, or the layer does not give what the formulas of Keras
    give for a random input.
    """
    for arrays in directions:
        _check_shapes(kind, arrays)
    first = directions[0]
    if any([a.shape for a in arrays] != [a.shape for a in first] for arrays in directions):
        raise ValueError("its two directions have weights of different shapes")
    dtype = np.result_type(np.float32, *(a for arrays in directions for a in arrays))
    (I, _), U = first[0].shape, first[1].shape[0]
    make, options = MAKE[kind]
    others = dict(activations or {})
    told = {"nonlinearity": others["activation"]} if make is RNN and others else others
    layer: Recurrent = make(
        I, U, bias=len(first) > 2, batch_first=True, bidirectional=len(directions) > 1,
        dtype=dtype, **{**options, **told},
    )  # fmt: skip
    state: dict[str, Array] = {}
    for arrays, suffix in zip(directions, ("_l0", "_l0_reverse"), strict=False):
        state |= {name + suffix: array for name, array in ours(kind, arrays).items()}
    layer.load_state_dict(state)
    check(kind, layer, directions, others)
    return layer


def ours(kind: str, arrays: Arrays) -> dict[str, Array]:
    """Return torch's parameters of Keras's arrays."""
    order = places(CELLS[kind].gates, KERAS[kind])
    kernel, recurrent, *bias = (_reordered(array, order) for array in arrays)
    found = {"weight_ih": kernel.T, "weight_hh": recurrent.T}
    if bias:
        both = bias[0].ndim == 2
        found["bias_ih"] = bias[0][0] if both else bias[0]
        found["bias_hh"] = bias[0][1] if both else np.zeros_like(bias[0])
    return found


def theirs(kind: str, layer: Recurrent, suffix: str) -> Arrays:
    """Return Keras's arrays of a layer's parameters with this suffix."""
    order = places(KERAS[kind], CELLS[kind].gates)
    values = {
        name: getattr(layer, name + suffix).data
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        if layer.bias or name.startswith("weight")
    }
    arrays = [values["weight_ih"].T, values["weight_hh"].T]
    if layer.bias:
        b_ih, b_hh = values["bias_ih"], values["bias_hh"]
        arrays.append(np.stack([b_ih, b_hh]) if kind == "gru" else b_ih + b_hh)
    return [np.ascontiguousarray(_reordered(array, order)) for array in arrays]


def _reordered(array: Array, order: list[int]) -> Array:
    U = array.shape[-1] // len(order)
    return np.concatenate([array[..., k * U : (k + 1) * U] for k in order], axis=-1)


def from_cudnn(kind: str, arrays: Arrays) -> Arrays:
    """Return the arrays of a CuDNNLSTM or CuDNNGRU in the layout of an LSTM or a GRU.

    They have two biases in one array [2*G*U]; each gate's recurrent kernel is transposed, and its
    kernel stands in memory column by column.
    """
    G = GATES[kind]
    if kind not in ("lstm", "gru") or len(arrays) != 3 or arrays[1].ndim != 2:
        return arrays
    kernel, recurrent, bias = arrays
    U = recurrent.shape[0]
    if bias.shape != (2 * G * U,) or kernel.ndim != 2 or kernel.shape[1] != G * U:
        return arrays
    kernels = [k.T.reshape(k.shape, order="F") for k in np.split(kernel, G, axis=1)]
    recurrents = [k.T for k in np.split(recurrent, G, axis=1)]
    two = bias.reshape(2, G * U)
    joined = two if kind == "gru" else two.sum(axis=0)
    return [np.concatenate(kernels, axis=1), np.concatenate(recurrents, axis=1), joined]


def _check_shapes(kind: str, arrays: Arrays) -> None:
    if len(arrays) not in (2, 3) or arrays[0].ndim != 2 or arrays[1].ndim != 2:
        shapes = [a.shape for a in arrays]
        raise ValueError(f"its weights have shapes {shapes}, expected two kernels and a bias")
    G, (I, _), U = GATES[kind], arrays[0].shape, arrays[1].shape[0]
    expected = [(I, G * U), (U, G * U), (2, G * U) if kind == "gru" else (G * U,)]
    for name, array, shape in zip(
        ("kernel", "recurrent_kernel", "bias"), arrays, expected, strict=False
    ):
        if array.shape != shape or not array.size:
            raise ValueError(f"its {name} has shape {array.shape}, expected {shape} of a {kind}")
        if array.dtype.kind != "f":
            raise ValueError(f"its {name} has dtype {array.dtype}, expected real numbers")


def check(
    kind: str, layer: Recurrent, directions: list[Arrays], activations: Mapping[str, Option]
) -> None:
    """Raise ValueError unless the layer gives what Keras's formulas give for a random input."""
    rng, (N, T) = np.random.default_rng(0), TRIED
    x = rng.standard_normal((N, T, layer.input_size)).astype(layer.dtype)
    large = layer.weight_hh_l0.data.size > LARGE  # type: ignore[attr-defined]  # set by name
    dtype = layer.dtype if large else np.dtype(np.float64)
    wide = [[a.astype(dtype, copy=False) for a in arrays] for arrays in directions]
    formula = partial(FORMULAS[kind], **{k: activation_of(v) for k, v in activations.items()})
    with np.errstate(all="ignore"):
        y, _ = layer(x)
        expected = [formula(x.astype(dtype), *wide[0])]
        if len(wide) > 1:
            expected.append(formula(x[:, ::-1].astype(dtype), *wide[1])[:, ::-1])
        error = float(np.abs(y - np.concatenate(expected, axis=-1)).max())
    if not error <= TOLERANCE[layer.dtype.name] * max(1.0, float(np.abs(y).max())):
        raise ValueError(
            f"as a {kind} its weights give other outputs than the formulas of Keras, by "
            f"{error:.2g}: its gates stand in another order, or its weights are too large"
        )
