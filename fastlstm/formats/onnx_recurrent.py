"""Recurrent layers as nodes of ONNX: LSTM, GRU or RNN, one for each layer.

Letters: N rows, T steps, D directions, H hidden size, F features of the top layer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastlstm.formats.onnx_graph import Graph
from fastlstm.formats.onnx_masks import flip, spread, valid_first, zero_ends
from fastlstm.formats.recurrence import Recurrence
from fastlstm.kernels import CellSpec
from fastlstm.nn.gate_orders import ONNX, places
from fastlstm.nn.module import Array
from fastlstm.nn.recurrent import Recurrent

NODES = {"lstm": "LSTM", "peephole_lstm": "LSTM", "gru": "GRU", "gru_reset_before": "GRU",
         "rnn_tanh": "RNN", "rnn_relu": "RNN"}  # fmt: skip
PEEPHOLES = ("p_i", "p_o", "p_f")  # their order in ONNX


class Around(NamedTuple):
    """What a recurrent layer stands in.

    Attributes
    ----------
    lengths : the input with the lengths of the rows, None without one.
    mask : bool [N,T], the valid steps; None for all.
    states : names of the states that are inputs ``*_0`` and outputs ``*_n`` of the graph.
    """

    lengths: str | None = None
    mask: str | None = None
    states: tuple[str, ...] = ()


def add_recurrent(graph: Graph, given: Any, x: str, around: Around) -> tuple[str, bool]:
    """Add the layers of a `Recurrence`; return their output and whether it has steps."""
    run = given if isinstance(given, Recurrence) else Recurrence(given)
    layer, mask, lengths, states = run.layer, around.mask, around.lengths, around.states
    check_layer(graph, layer)
    if run.backwards:
        if lengths is not None:
            raise ValueError(f"{graph.scope} goes backwards, for which lengths cannot be given")
        x, mask = flip(graph, x), mask and flip(graph, mask)
    if mask is not None:
        x, lengths = valid_first(graph, x, mask)
    value = graph.node("Transpose", x, perm=[1, 0, 2])
    last: list[list[str]] = []
    for k in range(layer.num_layers):
        first = [_first(graph, layer, k, n, value, states) for n in range(len(layer._cell.states))]
        value, ends = add_layer(graph, layer, k, value, lengths, first)
        last.append(ends)
    for number, state in enumerate(states):
        graph.node("Concat", *(ends[number] for ends in last), axis=0, name=f"{state}_n")
    if run.output == "all":
        y = graph.node("Transpose", value, perm=[1, 0, 2])
        return _merged(graph, run, y if mask is None else _spread(graph, run, y, mask)), True
    h_n = last[-1][0]
    if mask is not None and run.zero_masked:
        h_n = zero_ends(graph, h_n, mask, layer._directions)
    found = [
        _merged(graph, run, _pooled(graph, name, value, h_n, lengths))
        for name in run.output.split("+")
    ]
    return (found[0] if len(found) == 1 else graph.node("Concat", *found, axis=-1)), False


def _spread(graph: Graph, run: Recurrence, y: str, mask: str) -> str:
    """Return the outputs y of the valid steps where they belong, of each direction in its way."""
    if run.layer._directions == 1:
        return spread(graph, y, mask, False, run.zero_masked)
    parts = graph.nodes("Split", y, outputs=2, axis=-1, num_outputs=2)
    both = [
        spread(graph, part, mask, reverse, run.zero_masked)
        for part, reverse in zip(parts, (False, True), strict=True)
    ]
    return graph.node("Concat", *both, axis=-1)


def check_layer(graph: Graph, layer: Recurrent) -> None:
    """Raise ValueError if ONNX has no node for the layers."""
    if layer._cell.name not in NODES or layer.proj_size:
        told = f"{layer._cell.name}{' with proj_size' if layer.proj_size else ''}"
        raise ValueError(f"{graph.scope} is a layer of {told}, of which ONNX has no node")


def add_layer(
    graph: Graph, layer: Recurrent, k: int, x: str, lengths: str | None, first: list[str]
) -> tuple[str, list[str]]:
    """Add layer k over x [T,N,.]; return y [T,N,D*H] and its last states [D,N,H].

    `first` are the states before, "" for zeros.
    """
    cell, D, H = layer._cell, layer._directions, layer.hidden_size
    suffixes = layer._suffixes[k * D : (k + 1) * D]
    weights = [
        _weight(graph, layer, part, [f"{part}{suffix}" for suffix in suffixes])
        for part in ("weight_ih", "weight_hh")
    ]
    bias = ""
    if layer.bias:
        both = [
            np.concatenate([_values(layer, part + suffix) for part in ("bias_ih", "bias_hh")])
            for suffix in suffixes
        ]
        bias = graph.constant(f"bias_l{k}", np.stack(both))
    inputs = [x, *weights, bias, lengths or "", *first]
    if cell.params:
        peepholes = [
            np.concatenate([getattr(layer, name + suffix).data for name in PEEPHOLES])
            for suffix in suffixes
        ]
        inputs.append(graph.constant(f"peepholes_l{k}", np.stack(peepholes)))
    while not inputs[-1]:
        inputs.pop()
    attributes: dict[str, Any] = {
        "hidden_size": H, "direction": "bidirectional" if D == 2 else "forward",
    }  # fmt: skip
    if cell.name.startswith("gru"):
        attributes["linear_before_reset"] = int(cell.name == "gru")
    attributes.update(_activations(cell, D))
    y, *ends = graph.nodes(NODES[cell.name], *inputs, outputs=1 + len(cell.states), **attributes)
    steps_first = graph.node("Transpose", y, perm=[0, 2, 1, 3])
    return graph.node("Reshape", steps_first, graph.numbers(0, 0, D * H)), ends


ONNX_NAMES = {
    "tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "linear": "Affine",
    "hard_sigmoid": "HardSigmoid", "softsign": "Softsign",
}  # fmt: skip


def _activations(cell: CellSpec, directions: int) -> dict[str, Any]:
    """Return the attributes of the activations that a node has if they are not the usual ones."""
    if cell.name == "rnn_relu":
        return {"activations": ["Relu"] * directions}
    if cell.usual:
        return {}
    by_gate, by_value = cell.recurrent_activation, cell.activation
    each = {"LSTM": [by_gate, by_value, by_value], "GRU": [by_gate, by_value], "RNN": [by_value]}
    used = each[NODES[cell.name]] * directions
    found: dict[str, Any] = {"activations": [ONNX_NAMES[a.name] for a in used]}
    # Numbers of those alone that have any, one after another.
    numbers = [
        (1.0, 0.0) if a.name == "linear" else (a.alpha, a.beta)
        for a in used
        if a.name in ("linear", "hard_sigmoid")
    ]
    if numbers:
        found["activation_alpha"], found["activation_beta"] = map(list, zip(*numbers, strict=True))
    return found


def _values(layer: Recurrent, name: str) -> Array:
    """Return a parameter with its gates in the order of ONNX."""
    value, gates = getattr(layer, name).data, layer._cell.gates
    order = places(ONNX.get(layer._cell.name, ONNX["lstm"]), gates)
    return np.concatenate([np.split(value, len(gates))[k] for k in order])


def _weight(graph: Graph, layer: Recurrent, part: str, names: list[str]) -> str:
    value = np.stack([_values(layer, name) for name in names])
    if layer.precision == "int8":
        return graph.rounded_weight(names[0], value)
    return graph.constant(names[0], value)


def _first(
    graph: Graph, layer: Recurrent, k: int, number: int, x: str, states: tuple[str, ...]
) -> str:
    """Return the name of an initial state [D,N,H] of layer k, "" for zeros."""
    D = layer._directions
    state = layer._cell.states[number]
    if states:
        whole = f"{state}_0"
        if layer.num_layers == 1:
            return whole
        begin, end = graph.numbers(k * D), graph.numbers((k + 1) * D)
        return graph.node("Slice", whole, begin, end, graph.numbers(0))
    return first_state(graph, layer, k, number, x)


def first_state(graph: Graph, layer: Recurrent, k: int, number: int, x: str) -> str:
    """Return the initial state of layer k [D,N,H] for x [T,N,.], "" for zeros."""
    if not layer.learn_state:
        return ""
    D, state = layer._directions, layer._cell.states[number]
    value = getattr(layer, f"{state}_0").data[k * D : (k + 1) * D, None]
    rows = graph.node("Slice", graph.node("Shape", x), *(graph.numbers(n) for n in (1, 2, 0)))
    shape = graph.node("Concat", graph.numbers(D), rows, graph.numbers(value.shape[-1]), axis=0)
    return graph.node("Expand", graph.constant(f"{state}_0_l{k}", value), shape)


def _merged(graph: Graph, run: Recurrence, value: str) -> str:
    """Return the outputs of two directions, side by side on the last axis, as they are wanted."""
    if run.merge == "concat" or run.layer._directions == 1:
        return value
    one, two = graph.nodes("Split", value, outputs=2, axis=-1, num_outputs=2)
    merged = graph.node("Mul" if run.merge == "mul" else "Add", one, two)
    if run.merge != "ave":
        return merged
    return graph.node("Mul", merged, graph.constant("half", np.array([0.5], np.float32)))


def _pooled(graph: Graph, name: str, y: str, h_n: str, lengths: str | None) -> str:
    """Return [N,F] of y [T,N,F] and the last states h_n [D,N,H]."""
    if name == "last":
        rows_first = graph.node("Transpose", h_n, perm=[1, 0, 2])
        return graph.node("Flatten", rows_first, axis=1)
    if lengths is None:
        return graph.reduce("Mean" if name == "mean" else "Max", y, 0)
    column = graph.node("Unsqueeze", lengths, graph.numbers(1))  # [N,1]
    if name == "mean":
        total = graph.reduce("Sum", y, 0)
        least = graph.node("Max", column, graph.constant("one", np.array([1], np.int32)))
        return graph.node("Div", total, graph.node("CastLike", least, total))
    steps = graph.node("Gather", graph.node("Shape", y), graph.constant("zero", np.int64(0)))
    count = graph.node(
        "Range", graph.constant("zero", np.int64(0)), steps, graph.constant("one", np.int64(1))
    )
    wide = graph.node("Unsqueeze", count, graph.numbers(1, 2))  # [T,1,1]
    long = graph.node("CastLike", column, count)
    real = graph.node("Less", wide, graph.node("Unsqueeze", long, graph.numbers(0)))  # [T,N,1]
    least_of_all = graph.constant("lowest", np.array([np.finfo(np.float32).min]))
    most = graph.reduce("Max", graph.node("Where", real, y, least_of_all), 0)
    any_real = graph.node("Greater", column, graph.constant("none", np.array([0], np.int32)))
    return graph.node("Where", any_real, most, graph.constant("empty", np.zeros(1, np.float32)))
