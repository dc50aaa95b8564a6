"""Damaged and hostile ONNX files: a clear error or a result, and no more memory than allowed."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from attack.files.onnx_models import case, feeds, sound
from onnx import helper
from onnx_build import int_tensor, model, node, value

from fastlstm import onnx as fonnx


@pytest.mark.parametrize("place", range(7))
def test_the_sound_files_run(place: int) -> None:
    loaded = fonnx.load(sound()[place])
    found = loaded.run(feeds(loaded, np.random.default_rng(0)))
    assert all(np.isfinite(array).all() for array in found.values())


@pytest.mark.parametrize("block", range(10))
def test_damaged_files(block: int, tmp_path: Path) -> None:
    for k in range(40):
        rng = np.random.default_rng([7, block, k])
        try:
            case(rng, tmp_path)
        except AssertionError as error:
            raise AssertionError(f"block {block}, file {k}: {error}") from error


def refused(data: bytes, told: str, *arrays: Any) -> None:
    with pytest.raises(fonnx.OnnxError, match=told):
        fonnx.load(data)(*arrays)


def with_tensor(**fields: Any) -> bytes:
    """A file whose one constant is this tensor."""
    proto = onnx.ModelProto.FromString(model([node("Neg", ["w"], ["y"])], [], [value("y")]))
    del proto.graph.node[:]
    proto.graph.node.append(node("Neg", ["w"], ["y"]))
    tensor = proto.graph.initializer.add()
    tensor.name, tensor.data_type = "w", 1
    for name, field in fields.items():
        if isinstance(field, list):
            getattr(tensor, name).extend(field)
        else:
            setattr(tensor, name, field)
    data: bytes = proto.SerializeToString()
    return data


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"dims": [1 << 40, 1 << 20], "raw_data": b"abcd"}, "constant 'w': 4 bytes, expected "),
        ({"dims": [-4], "raw_data": b"abcd"}, "shape .* expected up to 32 axes of size 0 or more"),
        ({"dims": [2], "float_data": [1.0]}, "1 numbers, expected 2"),
        ({"dims": [1] * 40, "raw_data": b"abcd"}, "expected up to 32 axes"),
        ({"dims": [1], "data_type": 8, "raw_data": b"a"}, "elements of type STRING"),
        ({"dims": [1], "data_type": 99, "raw_data": b"a"}, "elements of type 99"),
    ],
)
def test_constants_that_lie(fields: dict[str, Any], told: str) -> None:
    refused(with_tensor(**fields), told)


def external(path: Path, location: str, **more: str) -> None:
    """Write a file whose constant of two numbers lies in another file."""
    proto = onnx.ModelProto.FromString(with_tensor(dims=[2]))
    tensor = proto.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, text in {"location": location, **more}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, text
    path.write_bytes(proto.SerializeToString())


def test_external_data_inside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(b"1234" + np.float32([3, 4]).tobytes())
    external(tmp_path / "m.onnx", "data/w.bin", offset="4", length="8")
    np.testing.assert_array_equal(fonnx.load(tmp_path / "m.onnx")()[0], [-3, -4])


@pytest.mark.parametrize("location", ["../w.bin", "", ".", "{outside}", "link.bin", "a\0b"])
def test_external_data_elsewhere(location: str, tmp_path: Path) -> None:
    outside = tmp_path / "w.bin"
    outside.write_bytes(bytes(8))
    folder = tmp_path / "model"
    folder.mkdir()
    os.symlink(outside, folder / "link.bin")
    external(folder / "m.onnx", location.format(outside=outside))
    with pytest.raises(fonnx.OnnxError, match="expected a file in the model's folder"):
        fonnx.load(folder / "m.onnx")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"length": "4"}, "expected 8"),
        ({"offset": "4"}, "8 bytes from 4 on"),
        ({"offset": "-4"}, "offset '-4'"),
        ({"length": "9" * 30}, "expected a whole number"),
    ],
)
def test_external_data_of_another_size(more: dict[str, str], told: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(8))
    external(tmp_path / "m.onnx", "w.bin", **more)
    with pytest.raises(fonnx.OnnxError, match=told):
        fonnx.load(tmp_path / "m.onnx")


def test_external_data_of_bytes_alone(tmp_path: Path) -> None:
    external(tmp_path / "m.onnx", "w.bin")
    with pytest.raises(fonnx.OnnxError, match="load the model by its path"):
        fonnx.load((tmp_path / "m.onnx").read_bytes())


BIG = int_tensor([1 << 20, 1 << 20])
BOMBS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "ConstantOfShape": ([node("ConstantOfShape", ["s"], ["y"])], {"s": BIG}),
    "Expand": ([node("Expand", ["one", "s"], ["y"])], {"s": BIG}),
    "Tile": ([node("Tile", ["row", "s"], ["y"])], {"s": BIG}),
    "Range": (
        [node("Range", ["zero", "many", "step"], ["y"])],
        {"zero": int_tensor(0), "many": int_tensor(1 << 60), "step": int_tensor(1)},
    ),
    "Pad": ([node("Pad", ["row", "p"], ["y"])], {"p": int_tensor([1 << 40, 0, 0, 0])}),
    "Pad by index": (
        [node("Pad", ["row", "p"], ["y"], mode="edge")], {"p": int_tensor([1 << 40, 0, 0, 0])},
    ),
    "OneHot": (
        [node("OneHot", ["where", "many", "pair"], ["y"])],
        {"where": int_tensor([1]), "many": int_tensor(1 << 60), "pair": np.zeros(2, np.float32)},
    ),
    "Conv": (
        [node("Conv", ["image", "kernel"], ["y"], pads=[1 << 40, 0])],
        {"image": np.ones((1, 1, 4), np.float32), "kernel": np.ones((1, 1, 2), np.float32)},
    ),
    "products": (
        [
            node("Expand", ["one", "s"], ["a"]),
            node("MatMul", ["a", "a"], ["y"]),
        ],
        {"s": int_tensor([1 << 16, 1 << 16])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_small_files_that_want_much_memory(name: str) -> None:
    nodes, constants = BOMBS[name]
    given = {"one": np.ones((1, 1), np.float32), "row": np.ones((1, 1), np.float32), **constants}
    used = {i for n in nodes for i in n.input}
    held = {key: array for key, array in given.items() if key in used}
    data = model(nodes, [], [value("y")], held)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(data, r"bytes beside .* expected at most")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB


def nested(depth: int) -> bytes:
    graph = helper.make_graph([node("Neg", ["x"], ["y"])], "g", [], [value("y")])
    for _ in range(depth):
        one = node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([one], "g", [], [value("y")])
    return model(list(graph.node), [value("x"), value("c", bool, ())], [value("y")])


def test_graphs_inside_graphs() -> None:
    x, yes = np.ones(2, np.float32), np.array(True)
    np.testing.assert_array_equal(fonnx.load(nested(5))(x, yes)[0], -x)
    refused(nested(12), "more than 8 graphs inside one another", x, yes)


def test_an_endless_loop_ends() -> None:
    body = helper.make_graph(
        [node("Identity", ["go"], ["on"]), node("Identity", ["t"], ["u"])],
        "body",
        [value("k", np.int64, ()), value("go", bool, ()), value("t")],
        [value("on", bool, ()), value("u")],
    )
    from fastlstm.onnx.operators import control

    data = model([node("Loop", ["", "", "x"], ["y"], body=body)], [value("x")], [value("y")])
    before, control.MOST_ITERATIONS = control.MOST_ITERATIONS, 1000
    try:
        refused(data, "1,000 iterations, expected fewer", np.ones(1, np.float32))
    finally:
        control.MOST_ITERATIONS = before


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no graph"),
        (b"\x89PNG\r\n", "no ONNX model, or a damaged one"),
        (b"\x08\x08", "no graph, or names no operator set"),
    ],
)
def test_no_model(data: bytes, told: str) -> None:
    refused(data, told)


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([node("Add", ["x", "z"], ["y"])], "an input is 'z', which nothing before it makes"),
        ([node("Neg", ["x"], ["x"])], "an output is called 'x', as is another value before it"),
        ([node("Neg", ["y"], ["y"])], "an input is 'y', which nothing before it makes"),
        ([node("Neg", ["x", "x"], ["y"])], "2 inputs, expected 1 to 1"),
        ([node("Softmax", ["x"], ["y"], axes=[1])], "attribute 'axes', expected one of: axis"),
        ([node("Softmax", ["x"], ["y"], axis=1.5)], "axis is of kind FLOAT, expected INT"),
        ([node("Concat", ["x", "x"], ["y"])], "attribute axis is missing"),
        ([node("Neg", ["x"], ["z"])], "an output is 'y', which nothing before it makes"),
    ],
)
def test_graphs_that_do_not_hang_together(nodes: list[Any], told: str) -> None:
    refused(model(nodes, [value("x")], [value("y")]), told)


def test_types_are_those_of_the_operator() -> None:
    data = model([node("Add", ["x", "z"], ["y"])], [value("x"), value("z", np.int64)], [value("y")])
    refused(
        data, r"input B is a tensor\(int64\), expected tensor\(float\) as A",
        np.ones(2, np.float32), np.ones(2, np.int64),
    )  # fmt: skip


def test_a_newer_operator_set() -> None:
    data = model([node("Neg", ["x"], ["y"])], [value("x")], [value("y")], opset=99)
    refused(data, "operator set 99, expected at most")
