"""Small ONNX files of every family of operators, and damage to their bytes and their fields."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
from onnx import helper
from onnx_build import int_tensor, model, node, recurrent_weights, small_lstm, value

from attack.files import mutate
from attack.files.outcome import read
from attack.fuzz.draw import Rng, chance, pick
from fastlstm import onnx as fonnx
from fastlstm.onnx.operators import control

MOST_BYTES = 64 << 20
HUGE = (-1, 0, 1, 2, 3, 17, 2**31, 2**40, 2**62, -(2**63), 2**63 - 1)


@cache
def sound() -> tuple[bytes, ...]:
    """Files that run."""
    return (
        small_lstm(), _recurrent(), _front(), _shapes(), _control(), _rounded(), _functions(),
    )  # fmt: skip


def _recurrent() -> bytes:
    rng = np.random.default_rng(1)
    gru = recurrent_weights("GRU", rng, 3, 2, 2)
    rnn = {f"{k}2": v for k, v in recurrent_weights("RNN", rng, 4, 3).items()}
    nodes = [
        node(
            "GRU", ["x", "W", "R", "B", "n"], ["y"], hidden_size=2, direction="bidirectional",
            linear_before_reset=1, layout=0,
        ),
        node("Transpose", ["y"], ["t"], perm=[0, 2, 1, 3]),
        node("Reshape", ["t", "s"], ["r"]),
        node(
            "RNN", ["r", "W2", "R2", "B2"], ["", "out"], hidden_size=3, clip=2.0,
            activations=["HardSigmoid"], activation_alpha=[0.3],
        ),
    ]  # fmt: skip
    constants = {**gru, **rnn, "s": int_tensor([0, 0, -1]), "n": np.array([2, 1], np.int32)}
    return model(nodes, [value("x", shape=(2, 2, 3))], [value("out")], constants)


def _front() -> bytes:
    rng = np.random.default_rng(2)
    nodes = [
        node("Pad", ["x", "p"], ["a"], mode="reflect"),
        node("Conv", ["a", "w", "b"], ["c"], strides=[2], pads=[1, 1], group=1, dilations=[1]),
        node("BatchNormalization", ["c", "b", "b", "b", "v"], ["d"], epsilon=1e-3),
        node("Relu", ["d"], ["e"]),
        node("MaxPool", ["e"], ["f"], kernel_shape=[2], strides=[1], ceil_mode=1),
        node("ConvTranspose", ["f", "u"], ["g"], strides=[2], output_padding=[1]),
        node("GlobalAveragePool", ["g"], ["h"]),
        node("Flatten", ["h"], ["i"]),
        node("Gemm", ["i", "m", "k"], ["j"], alpha=0.5, transB=1),
        node("Softmax", ["j"], ["y"], axis=1),
    ]
    constants = {
        "p": int_tensor([0, 0, 1, 0, 0, 2]),
        "w": rng.standard_normal((3, 2, 3)).astype(np.float32),
        "b": np.ones(3, np.float32),
        "v": np.ones(3, np.float32),
        "u": rng.standard_normal((3, 2, 2)).astype(np.float32),
        "m": rng.standard_normal((4, 2)).astype(np.float32),
        "k": np.ones(4, np.float32),
    }
    return model(nodes, [value("x", shape=(1, 2, 9))], [value("y")], constants)


def _shapes() -> bytes:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("ConstantOfShape", ["s"], ["o"]),
        node("Expand", ["x", "e"], ["a"]),
        node("Tile", ["a", "r"], ["b"]),
        node("Slice", ["b", "f", "t", "ax", "st"], ["c"]),
        node("Concat", ["c", "c"], ["d"], axis=0),
        node("Split", ["d"], ["d1", "d2"], axis=0),
        node("Gather", ["d1", "i"], ["g"], axis=1),
        node("Range", ["zero", "four", "one"], ["q"]),
        node("ReduceMean", ["g"], ["m"], axes=[0, 1], keepdims=0),
        node("ScatterND", ["m", "at", "up"], ["z"]),
        node("Where", ["cond", "z", "up0"], ["y"]),
        node("TopK", ["y", "k"], ["v", "w"]),
        node("OneHot", ["w", "deep", "pair"], ["oh"]),
    ]
    constants = {
        "e": int_tensor([2, 1, 3]),
        "r": int_tensor([1, 2, 1]),
        "f": int_tensor([0]),
        "t": int_tensor([2]),
        "ax": int_tensor([1]),
        "st": int_tensor([1]),
        "i": int_tensor([1, 0]),
        "zero": int_tensor(0),
        "four": int_tensor(4),
        "one": int_tensor(1),
        "at": int_tensor([[1]]),
        "up": np.ones(1, np.float32),
        "up0": np.zeros(3, np.float32),
        "cond": np.array([True, False, True]),
        "k": int_tensor([2]),
        "deep": int_tensor(5),
        "pair": np.array([0, 1], np.float32),
    }
    outputs = [value("v"), value("oh"), value("q", np.int64), value("o")]
    return model(nodes, [value("x", shape=(1, 2, 3))], outputs, constants)


def _control() -> bytes:
    body = helper.make_graph(
        [node("Add", ["t", "x"], ["m"]), node("Identity", ["go"], ["on"])],
        "body",
        [value("k", np.int64, ()), value("go", bool, ()), value("t", shape=(2, 3))],
        [value("on", bool, ()), value("m", shape=(2, 3))],
    )
    yes = helper.make_graph([node("Exp", ["u"], ["e"])], "yes", [], [value("e")])
    no = helper.make_graph([node("Neg", ["u"], ["f"])], "no", [], [value("f")])
    cell = helper.make_graph(
        [node("Mul", ["h", "r"], ["h2"]), node("Identity", ["h2"], ["o"])],
        "cell",
        [value("h", shape=(3,)), value("r", shape=(3,))],
        [value("h2", shape=(3,)), value("o", shape=(3,))],
    )
    nodes = [
        node("Loop", ["trips", "", "x"], ["u"], body=body),
        node("If", ["cond"], ["w"], then_branch=yes, else_branch=no),
        node("Scan", ["h0", "w"], ["hn", "y"], body=cell, num_scan_inputs=1),
    ]
    constants = {
        "trips": int_tensor(3),
        "cond": np.array(True),
        "h0": np.ones(3, np.float32),
    }
    return model(nodes, [value("x", shape=(2, 3))], [value("y"), value("hn")], constants)


def _rounded() -> bytes:
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "w", "z"], ["i"]),
        node("Cast", ["i"], ["f"], to=1),
        node("Mul", ["f", "s"], ["m"]),
        node("QuantizeLinear", ["m", "qs", "qz"], ["n"]),
        node("DequantizeLinear", ["n", "qs", "qz"], ["y"]),
    ]
    constants = {
        "w": np.arange(-6, 6).reshape(3, 4).astype(np.int8),
        "qs": np.float32(0.1),
        "qz": np.uint8(3),
    }
    arrays = {name: np.asarray(array) for name, array in constants.items()}
    return model(nodes, [value("x", shape=(2, 3))], [value("y")], arrays)


def _functions() -> bytes:
    """Functions that call one another, of an attribute with a default; a constant of bfloat16."""
    inner, opset = node("Elu", ["a"], ["b"]), helper.make_opsetid("", 17)
    alpha = inner.attribute.add()
    alpha.name, alpha.ref_attr_name, alpha.type = "alpha", "k", onnx.AttributeProto.FLOAT
    usual = [helper.make_attribute("k", 0.5)]
    own = [opset, helper.make_opsetid("own", 1)]
    branch = helper.make_graph([node("Neg", ["t"], ["e"])], "e", [], [value("e")])
    nodes = [
        node("F", ["a"], ["t"], domain="own", k=2.0),
        node("If", ["c"], ["b"], then_branch=branch, else_branch=branch),
    ]
    functions = [
        helper.make_function("own", "F", ["a"], ["b"], [inner], own, attribute_protos=usual),
        helper.make_function("own", "G", ["a", "c"], ["b"], nodes, own),
    ]
    data = model(
        [
            node("G", ["x", "c"], ["u"], domain="own"),
            node("F", ["u"], ["v"], domain="own"),
            node("Cast", ["v"], ["w"], to=onnx.TensorProto.BFLOAT16),
            node("Mul", ["w", "s"], ["y"]),
        ],
        [value("x", shape=(2, 3))],
        [value("y")],
        {"c": np.array(True)},
        domains=["own"],
    )
    proto = onnx.ModelProto.FromString(data)
    proto.functions.extend(functions)
    proto.graph.initializer.append(
        onnx.TensorProto(
            name="s", data_type=onnx.TensorProto.BFLOAT16, dims=[3], raw_data=b"\x80\x3f" * 3
        )
    )
    made: bytes = proto.SerializeToString()
    return made


def feeds(loaded: Any, rng: Rng) -> dict[str, Any]:
    """Inputs of the shapes that a model asks for, where these are small."""
    made = {}
    for v in loaded.inputs:
        shape = [n if isinstance(n, int) and n < 50 else 2 for n in v.shape or (1, 2, 3)]
        dtype = np.dtype(np.float32) if v.dtype is None else v.dtype
        values = (
            rng.standard_normal(shape[:5]) if len(shape) < 6 else np.zeros([1] * len(shape[:30]))
        )
        made[v.name] = values.astype(dtype)
    return made


def _nodes(graph: Any) -> list[Any]:
    found = []
    for one in graph.node:
        found.append(one)
        for attribute in one.attribute:
            if attribute.HasField("g"):
                found += _nodes(attribute.g)
    return found


def _every(proto: Any) -> list[Any]:
    """The nodes of a file, those of its functions too."""
    return [one for holder in (proto.graph, *proto.functions) for one in _nodes(holder)]


def _number(rng: Rng, proto: Any) -> None:
    """A number that an attribute or a constant holds becomes another."""
    attributes = [a for one in _every(proto) for a in one.attribute]
    if attributes and rng.random() < 0.5:
        attribute = pick(rng, attributes)
        if attribute.ints:
            attribute.ints[int(rng.integers(len(attribute.ints)))] = pick(rng, HUGE)
        else:
            attribute.i = pick(rng, HUGE)
        return
    whole = [t for t in proto.graph.initializer if t.data_type == onnx.TensorProto.INT64]
    if whole:
        tensor = pick(rng, whole)
        array = np.frombuffer(tensor.raw_data, np.int64).copy()
        if array.size:
            array[int(rng.integers(array.size))] = pick(rng, HUGE)
            tensor.raw_data = array.tobytes()


def _claim(rng: Rng, proto: Any) -> None:
    """A constant claims another shape, type or place."""
    tensor = pick(rng, proto.graph.initializer)
    how = int(rng.integers(4))
    if how == 0 and tensor.dims:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = pick(rng, HUGE)
    elif how == 1:
        tensor.dims.append(pick(rng, HUGE))
    elif how == 2:
        tensor.data_type = int(rng.integers(-1, 30))
    else:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", pick(rng, ("/etc/passwd", "../x", "", "a\0b", "."))


def _names(rng: Rng, proto: Any) -> None:
    """An input or output of a node is another value."""
    one = pick(rng, _every(proto))
    names = [name for n in _every(proto) for name in (*n.input, *n.output)] + ["", "nothing"]
    place = pick(rng, (one.input, one.output))
    if len(place):
        place[int(rng.integers(len(place)))] = pick(rng, names)


def _operators(rng: Rng, proto: Any) -> None:
    """A node is of another operator, or stands elsewhere, or loses an attribute."""
    nodes = _every(proto)
    one, how = pick(rng, nodes), int(rng.integers(4))
    if how == 0:
        one.op_type = pick(rng, nodes).op_type
    elif how == 1 and one.attribute:
        del one.attribute[int(rng.integers(len(one.attribute)))]
    elif how == 2:
        copies = [
            onnx.AttributeProto.FromString(a.SerializeToString())
            for a in pick(rng, nodes).attribute
        ]
        one.attribute.extend(copies)
    else:
        first = onnx.NodeProto.FromString(proto.graph.node[0].SerializeToString())
        proto.graph.node.append(first)
        del proto.graph.node[0]


def _types(rng: Rng, proto: Any) -> None:
    """An input of the graph is of another type or shape."""
    tensor = pick(rng, proto.graph.input).type.tensor_type
    if rng.random() < 0.5:
        tensor.elem_type = int(rng.integers(-1, 25))
    elif tensor.shape.dim:
        tensor.shape.dim[int(rng.integers(len(tensor.shape.dim)))].dim_value = pick(rng, HUGE)


def _versions(rng: Rng, proto: Any) -> None:
    proto.opset_import[0].version = pick(rng, (*range(1, 30), *HUGE))


FIELDS: tuple[Callable[[Rng, Any], None], ...] = (
    _number, _number, _number, _claim, _names, _names, _operators, _operators, _types, _versions,
)  # fmt: skip


def changed(rng: Rng, data: bytes) -> bytes:
    """A file with some of its fields changed, everything around them right."""
    proto = onnx.ModelProto.FromString(data)
    for _ in range(pick(rng, (1, 1, 1, 2, 3))):
        with contextlib.suppress(ValueError, OverflowError, TypeError):  # no such number fits
            pick(rng, FIELDS)(rng, proto)
    found: bytes = proto.SerializeToString()
    return found


def load_and_run(rng: Rng, path: Path, data: bytes) -> None:
    """Read a damaged file and run what could be read: a result, or a clear error that names it."""
    path.write_bytes(data)
    loaded = read(lambda: fonnx.load(path, most_bytes=MOST_BYTES), path)
    if loaded is not None:
        assert repr(loaded)
        given = feeds(loaded, rng)
        with patch.object(control, "MOST_ITERATIONS", 1000):
            read(lambda: loaded.run(given), path)


def case(rng: Rng, folder: Path) -> None:
    """One damaged file: its bytes, or its fields."""
    data = pick(rng, sound())
    damaged = mutate.mutated(rng, data) if chance(rng, 2) else changed(rng, data)
    load_and_run(rng, folder / "model.onnx", damaged)
