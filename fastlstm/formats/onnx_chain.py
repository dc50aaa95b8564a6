"""Chains, and their parts alone, as nodes of ONNX: whole frames in a row, from any state.

Letters: N rows, F frames of P positions of C channels, L = F*P; a stage makes Q positions of O
channels of each. Values are [N,L,C], as in a chain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastlstm.formats.onnx_graph import Graph
from fastlstm.formats.onnx_recurrent import add_layer, check_layer, first_state
from fastlstm.kernels.chain import Convolution, Map, Stage
from fastlstm.nn.chain import Chain
from fastlstm.nn.chain.part import ChainPart
from fastlstm.nn.linear import Linear
from fastlstm.nn.recurrent import Recurrent

MAPS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}


class Place(NamedTuple):
    """Where a stage stands.

    Attributes
    ----------
    frame : P; None where all positions are one frame.
    frame_out : Q likewise.
    past : the value before the first frame, [N,context,C]; "" for zeros.
    """

    frame: int | None = None
    frame_out: int | None = None
    past: str = ""


def add_chain(graph: Graph, chain: Chain, x: str, carried: bool) -> str:
    """Add a chain over whole frames x [N,L,C]; return its output [N,F*Q,O].

    With `carried` the state before is an input of the graph for each of `state_names`, as
    ``0.past_0``, and the one after an output, as ``0.past_n``: [1,N,size] each. Else rows begin at
    the initial state.
    """
    scope, number = graph.scope, 0
    placed = chain._placed()
    for name, module in chain._by_name().items():
        graph.scope = f"{scope}/{name}".strip("/")
        at = placed[number]
        if isinstance(module, Recurrent):
            x = _recurrent(graph, module, x, number, carried)
            number += module.num_layers
            continue
        stage, place = _stage(module), Place(at.P, at.Q)
        if carried and isinstance(stage, Convolution) and stage.context:
            x = _with_past(graph, stage, x, f"{number}.past", place)
        else:
            x = add_stage(graph, stage, x, place)
        number += 1
    graph.scope = scope
    return x


def add_part(graph: Graph, part: ChainPart, x: str) -> str:
    """Add a part of a chain that stands alone: all positions are one frame."""
    return add_stage(graph, part.stage(), x, Place())


def state_shapes(chain: Chain) -> dict[str, list[int | str]]:
    """Return the shape of each state of a chain that is carried, nothing of one without."""
    sizes = [part.shape[-1] for part in chain.make_state()]
    return {n: [1, "N", size] for n, size in zip(chain.state_names, sizes, strict=True) if size}


def _stage(module: object) -> Stage:
    if isinstance(module, Linear):
        bias = None if module.bias is None else module.bias.data
        return Convolution(module.weight.data[:, :, None], bias)
    assert isinstance(module, ChainPart)
    return module.stage()


def _recurrent(graph: Graph, layer: Recurrent, x: str, number: int, carried: bool) -> str:
    """Add the layers of a module, each of which is a stage."""
    check_layer(graph, layer)
    value = graph.node("Transpose", x, perm=[1, 0, 2])
    states = layer._cell.states
    for k in range(layer.num_layers):
        names = [f"{number + k}.{state}" for state in states]
        first = [
            f"{name}_0" if carried else first_state(graph, layer, k, place, value)
            for place, name in enumerate(names)
        ]
        value, ends = add_layer(graph, layer, k, value, None, first)
        for name, end in zip(names, ends, strict=True):
            if carried:
                graph.node("Identity", end, name=f"{name}_n")
    return graph.node("Transpose", value, perm=[1, 0, 2])


def _with_past(graph: Graph, stage: Convolution, x: str, state: str, place: Place) -> str:
    """Add a convolution behind the past that the graph is given, and what its past is then."""
    context, C = stage.context, stage.weight.shape[1]
    past = graph.node("Reshape", f"{state}_0", graph.numbers(-1, context, C))
    y = add_stage(graph, stage, x, place._replace(past=past))
    whole = graph.node("Concat", past, x, axis=1)
    last = _slice(graph, whole, -context, np.iinfo(np.int64).max)
    size = context * C
    graph.node("Reshape", last, graph.numbers(1, -1, size), name=f"{state}_n")
    return y


def add_stage(graph: Graph, stage: Stage, x: str, place: Place) -> str:
    """Add a stage that is no recurrent one."""
    if isinstance(stage, Convolution):
        if stage.weight.shape[2] == stage.stride == 1 and not (stage.context or any(stage.padding)):
            y = graph.node("MatMul", x, graph.constant("weight", stage.weight[:, :, 0].T))
            bias = stage.bias
            return y if bias is None else graph.node("Add", y, graph.constant("bias", bias))
        return _convolution(graph, stage, x, place)
    if isinstance(stage, Map) and stage.name != "magnitude":
        return graph.node(MAPS[stage.name], x)
    if isinstance(stage, Map):
        halves = graph.nodes("Split", x, outputs=2, axis=-1, num_outputs=2)
        squares = [graph.node("Mul", half, half) for half in halves]
        return graph.node("Sqrt", graph.node("Add", *squares))
    if place.frame is None:
        return graph.reduce("Mean", x, 1, keep=True)
    return graph.reduce("Mean", _folded(graph, x, place.frame), 2)


def _folded(graph: Graph, x: str, frame: int) -> str:
    """Return x [N,F*P,C] as [N,F,P,C]."""
    rows, channels = (_size(graph, x, axis) for axis in (0, 2))
    shape = graph.node("Concat", rows, graph.numbers(-1, frame), channels, axis=0)
    return graph.node("Reshape", x, shape)


def _convolution(graph: Graph, stage: Convolution, x: str, place: Place) -> str:
    (channels, _, kernel), stride = stage.weight.shape, stage.stride
    pads = list(stage.padding)
    whole = x
    if stage.context:
        whole = (
            graph.node("Concat", place.past, x, axis=1)
            if place.past
            else _padded(graph, x, (stage.context, 0), "constant")
        )
    seamless = not any(pads) and place.frame == stride * (place.frame_out or 0)
    one_by_one = place.frame is not None and not seamless
    if one_by_one:
        whole = _framed(graph, whole, x, stage, place)
    if stage.reflect and any(pads):
        whole, pads = _padded(graph, whole, (pads[0], pads[1]), "reflect"), [0, 0]
    weight = graph.constant("weight", stage.weight)
    given = [graph.node("Transpose", whole, perm=[0, 2, 1]), weight]
    if stage.bias is not None:
        given.append(graph.constant("bias", stage.bias))
    y = graph.node("Conv", *given, kernel_shape=[kernel], strides=[stride], pads=pads)
    y = graph.node("Transpose", y, perm=[0, 2, 1])
    if not one_by_one:
        return y
    shape = graph.node("Concat", _size(graph, x, 0), graph.numbers(-1, channels), axis=0)
    return graph.node("Reshape", y, shape)


def _framed(graph: Graph, whole: str, x: str, stage: Convolution, place: Place) -> str:
    """Return each frame with the positions of the past in front of it, [N*F,context+P,C]."""
    P, C = place.frame, stage.weight.shape[1]
    assert P is not None
    length = stage.context + P
    if stage.context:
        zero, step = (graph.constant("place", np.int64(n)) for n in (0, P))
        end = graph.node("Squeeze", _size(graph, x, 1))
        starts = graph.node("Unsqueeze", graph.node("Range", zero, end, step), graph.numbers(1))
        index = graph.node("Add", starts, graph.constant("places", np.arange(length)))
        whole = graph.node("Gather", whole, index, axis=1)
    return graph.node("Reshape", whole, graph.numbers(-1, length, C))


def _padded(graph: Graph, x: str, around: tuple[int, int], mode: str) -> str:
    return graph.node("Pad", x, graph.numbers(0, around[0], 0, 0, around[1], 0), mode=mode)


def _size(graph: Graph, x: str, axis: int) -> str:
    """Return the size of an axis, int64 [1]."""
    return graph.node("Shape", x, start=axis, end=axis + 1)


def _slice(graph: Graph, x: str, start: int, stop: int) -> str:
    return graph.node("Slice", x, *(graph.numbers(n) for n in (start, stop, 1)))
