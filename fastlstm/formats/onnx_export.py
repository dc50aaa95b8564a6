"""Models as ONNX graphs of standard operators. Rows come first, as in `Sequential`.

The products of layers whose precision is "int8" are written with 8-bit weights: of a `Linear` as
MatMulInteger, of recurrent layers through DequantizeLinear.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastlstm._version import __version__
from fastlstm.files.writing import replacing
from fastlstm.formats.as_sequential import as_sequential, first_sized, has_steps, reads_lengths
from fastlstm.formats.errors import package
from fastlstm.formats.onnx_bigrams import add_bigrams
from fastlstm.formats.onnx_chain import add_chain, add_part, state_shapes
from fastlstm.formats.onnx_graph import Graph, Info
from fastlstm.formats.onnx_masks import mask_value, mask_zero, masked_mean
from fastlstm.formats.onnx_recurrent import Around, add_recurrent
from fastlstm.formats.own import of_run
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import MIX_STEPS
from fastlstm.formats.steps import (
    Activation,
    AveragePool,
    Conv1D,
    Flatten,
    Masking,
    MaskZero,
    Pool,
    PReLU,
    Scale,
    ZeroPad,
)
from fastlstm.models import LanguageModel, TextClassifier
from fastlstm.models.softmax import SoftmaxDecoder
from fastlstm.nn.chain import Chain
from fastlstm.nn.chain.part import ChainPart
from fastlstm.nn.dropout import Dropout
from fastlstm.nn.embedding import Embedding
from fastlstm.nn.linear import Linear
from fastlstm.nn.module import Array, Module
from fastlstm.nn.recurrent import Recurrent

ALSO = (Recurrent, MaskZero, Masking, Chain, ChainPart)  # what is written beside `_ADD`
LARGEST = (1 << 31) - (1 << 20)  # bytes; a file of this format has no more


def save_onnx(model: Any, path: Path) -> None:
    """Write a model as an ONNX graph; see `fastlstm.save`.

    Its inputs are ``tokens`` [N,T] or ``x`` [N,T,I], of a classifier also ``lengths`` [N], and of a
    language model the state ``h_0`` (and ``c_0``) [L,N,H]; its outputs ``y``, and ``h_n`` (and
    ``c_n``). Those of a chain are in `onnx_chain.add_chain`.
    """
    model = of_run(model)  # first: no package helps with a run that has no net alone
    package("onnx", "onnx", "an ONNX file")
    with replacing(path) as file:
        file.write(model_bytes(model))


def model_bytes(model: Any) -> bytes:
    """Return the serialized graph of a model."""
    model = of_run(model)
    layers = as_sequential(model).layers
    _check(layers)
    graph = Graph()
    inputs = [_input(layers)]
    outputs: list[Info] = []
    around = Around()
    if reads_lengths(model):
        around = Around("lengths")
        inputs.append(("lengths", "int32", ["N"]))
    sizes = _states(model)
    if sizes:
        around = Around(states=tuple(sizes))
        inputs += [(f"{state}_0", "float32", size) for state, size in sizes.items()]
        outputs += [(f"{state}_n", "float32", size) for state, size in sizes.items()]
    value, steps = inputs[0][0], has_steps(layers)
    for name, layer in layers.items():
        graph.scope = name
        value, steps, around = _add(graph, layer, value, steps, around)
    if isinstance(model, TextClassifier) and model.bigrams is not None:
        graph.scope = "bigrams"
        value = graph.node("Add", value, add_bigrams(graph, model.bigrams, "tokens", "lengths"))
    graph.scope = ""
    graph.node("Identity", value, name="y")
    shape = ["N", "T", None] if steps else ["N", None]
    made = graph.model(inputs, [("y", "float32", shape), *outputs], f"fastlstm {__version__}")
    data: bytes = made.SerializeToString()
    return data


def _add(graph: Graph, layer: Any, x: str, steps: bool, around: Around) -> tuple[str, bool, Around]:
    """Add a layer; return its output, whether that has steps, and what the next one stands in."""
    if isinstance(layer, (Recurrence, Recurrent)):
        y, steps = add_recurrent(graph, layer, x, around)
        return y, steps, around if steps else around._replace(mask=None)
    if isinstance(layer, MaskZero):
        return x, steps, around._replace(mask=mask_zero(graph, x))
    if isinstance(layer, Masking):
        x, mask = mask_value(graph, x, layer.value)
        return x, steps, around._replace(mask=mask)
    if isinstance(layer, Pool) and layer.name == "mean" and around.mask is not None:
        return masked_mean(graph, x, around.mask), False, around._replace(mask=None)
    if around.mask is not None and isinstance(layer, MIX_STEPS):
        raise ValueError(f"{graph.scope} is a {type(layer).__name__}, which knows no masks")
    if isinstance(layer, (Chain, ChainPart)):
        if isinstance(layer, Chain):
            return add_chain(graph, layer, x, bool(around.states)), True, around
        return add_part(graph, layer, x), True, around
    y = _ADD[type(layer)](graph, layer, x)
    if isinstance(layer, (Pool, Flatten, Conv1D, ZeroPad, AveragePool)):
        still = steps and isinstance(layer, (Conv1D, ZeroPad, AveragePool))
        return y, still, around._replace(mask=None)
    return y, steps, around


def _check(layers: dict[str, Module]) -> None:
    """Raise TypeError or ValueError if a layer has no counterpart, before anything is made."""
    total = 0
    for name, layer in layers.items():
        inner = layer.layer if isinstance(layer, Recurrence) else layer
        if type(inner) not in _ADD and not isinstance(inner, ALSO):
            raise TypeError(f"{name} is a {type(layer).__name__}, of which there are no such nodes")
        for full, parameter in layer.named_parameters(f"{name}."):
            if parameter.data.dtype != np.float32:
                raise ValueError(f"{full} has dtype {parameter.data.dtype}, expected float32")
            total += parameter.data.nbytes
    if total > LARGEST:
        raise ValueError(f"the model has {total:,} bytes, expected at most {LARGEST:,}")


def _input(layers: dict[str, Module]) -> Info:
    """Return name, dtype and shape of the first input."""
    first, size = first_sized(layers)
    if isinstance(first, Embedding):
        return "tokens", "int64", ["N", "T"]
    return "x", "float32", ["N", "T", size] if has_steps(layers) else ["N", size]


def _states(model: Any) -> dict[str, Any]:
    """Return the shape of each state that is an input and an output of the graph."""
    if isinstance(model, Chain):
        return state_shapes(model)
    if not isinstance(model, LanguageModel):
        return {}
    layer = model.recurrent
    sizes = dict(zip(layer._cell.states, layer._state_sizes(), strict=True))
    return {name: [layer.num_layers, "N", size] for name, size in sizes.items()}


def _linear(graph: Graph, layer: Any, x: str) -> str:
    weight, bias = layer.weight.data, layer.bias
    if layer.precision == "int8":
        y = graph.integer_product(x, weight)
    else:
        y = graph.node("MatMul", x, graph.constant("weight", weight.T))
    return y if bias is None else graph.node("Add", y, graph.constant("bias", bias.data))


def _embedding(graph: Graph, layer: Embedding, x: str) -> str:
    return graph.node("Gather", graph.constant("weight", layer.weight.data), x)


ACTIVATIONS = {
    "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softplus": "Softplus",
    "softsign": "Softsign", "exponential": "Exp", "linear": "Identity",
}  # fmt: skip


def _activation(graph: Graph, layer: Activation, x: str) -> str:
    name, alpha = layer.name, layer.alpha
    if name == "softmax":
        return graph.node("Softmax", x, axis=-1)
    if name == "leaky_relu":
        return graph.node("LeakyRelu", x, alpha=alpha)
    if name == "elu":
        return graph.node("Elu", x, alpha=alpha)
    if name == "selu":
        return graph.node("Selu", x)
    if name == "silu":
        return graph.node("Mul", x, graph.node("Sigmoid", x))
    return graph.node(ACTIVATIONS[name], x)


def _scale(graph: Graph, layer: Scale, x: str) -> str:
    scaled = graph.node("Mul", x, graph.constant("scale", layer.scale.data))
    return graph.node("Add", scaled, graph.constant("shift", layer.shift.data))


def _prelu(graph: Graph, layer: PReLU, x: str) -> str:
    return graph.node("PRelu", x, graph.constant("weight", layer.weight.data))


def _pool(graph: Graph, layer: Pool, x: str) -> str:
    return graph.reduce("Mean" if layer.name == "mean" else "Max", x, 1)


def _flatten(graph: Graph, layer: Flatten, x: str) -> str:
    return graph.node("Flatten", x, axis=1)


def _average_pool(graph: Graph, layer: AveragePool, x: str) -> str:
    turned, size = graph.node("Transpose", x, perm=[0, 2, 1]), [layer.size]
    y = graph.node("AveragePool", turned, kernel_shape=size, strides=size)
    return graph.node("Transpose", y, perm=[0, 2, 1])


def _zero_pad(graph: Graph, layer: ZeroPad, x: str) -> str:
    return graph.node("Pad", x, graph.numbers(0, layer.before, 0, 0, layer.after, 0))


def _conv(graph: Graph, layer: Conv1D, x: str) -> str:
    weight, dilation = layer.weight.data.transpose(2, 1, 0), layer.dilation
    padding: dict[str, Any] = {"pads": layer.pads(1)}
    if layer.padding == "same" and layer.stride > 1:  # so many zeros as the number of steps asks
        padding = {"auto_pad": "SAME_UPPER"}
        weight, dilation = _undilated(weight, dilation), 1  # ONNX Runtime has not both
    given = [graph.node("Transpose", x, perm=[0, 2, 1]), graph.constant("weight", weight)]
    if layer.bias is not None:
        given.append(graph.constant("bias", layer.bias.data))
    y = graph.node(
        "Conv", *given, kernel_shape=[weight.shape[2]], strides=[layer.stride],
        dilations=[dilation], **padding,
    )  # fmt: skip
    return graph.node("Transpose", y, perm=[0, 2, 1])


def _undilated(weight: Array, dilation: int) -> Array:
    """Return a weight [O,I,K] with the zeros written out that a dilation stands for."""
    O, I, K = weight.shape
    wide = np.zeros((O, I, (K - 1) * dilation + 1), weight.dtype)
    wide[:, :, ::dilation] = weight
    return wide


_ADD: dict[type[Any], Callable[[Graph, Any, str], str]] = {
    Linear: _linear,
    SoftmaxDecoder: _linear,
    Embedding: _embedding,
    Dropout: lambda graph, layer, x: x,
    Activation: _activation,
    Scale: _scale,
    PReLU: _prelu,
    Pool: _pool,
    Flatten: _flatten,
    Conv1D: _conv,
    ZeroPad: _zero_pad,
    AveragePool: _average_pool,
}
