"""Functions of a file's own: put in the place of the nodes that call them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx_build import in_runtime, node, recurrent_weights, value

from fastlstm import onnx as fonnx

OWN = "own"
RNG = np.random.default_rng(0)


def refer(made: Any, **names: str) -> Any:
    """A node with attributes that are those of its function: ``alpha="slope:FLOAT"``."""
    for attribute, told in names.items():
        name, _, kind = told.partition(":")
        one = made.attribute.add()
        one.name, one.ref_attr_name = attribute, name
        one.type = onnx.AttributeProto.AttributeType.Value(kind)
    return made


def function(name: str, inputs: Any, outputs: Any, nodes: Any, opset: int = 17, **more: Any) -> Any:
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(OWN, 1)]
    return helper.make_function(OWN, name, inputs, outputs, nodes, opsets, **more)


def model(nodes: Any, functions: Any, shape: Any = (2, 3), constants: Any = None) -> bytes:
    held = [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()]
    outputs = [value(name) for made in nodes[-1:] for name in made.output]
    graph = helper.make_graph(nodes, "g", [value("x", shape=shape)], outputs, held)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(OWN, 1)]
    made = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)
    data: bytes = made.SerializeToString()
    return data


def call(name: str, inputs: Any, outputs: Any, **attributes: Any) -> Any:
    return node(name, inputs, outputs, domain=OWN, **attributes)


LEAKY = function(
    "Leaky", ["a"], ["b"],
    [refer(node("LeakyRelu", ["a"], ["b"]), alpha="slope:FLOAT")],
    attribute_protos=[helper.make_attribute("slope", 0.25)],
)  # fmt: skip
TWICE = function(
    "Twice", ["a", "w"], ["b"],
    [
        refer(call("Leaky", ["a"], ["a1"]), slope="slope:FLOAT"),
        node("MatMul", ["a1", "w"], ["y"]),  # called as a value of the graph around is
        call("Leaky", ["y"], ["b"]),
    ],
    attributes=["slope"],
)  # fmt: skip
# Split of operator set 11 has its sizes as an attribute, ReduceSum of 13 its axes as an input.
OLD = function(
    "Old", ["a"], ["s"],
    [node("Split", ["a"], ["l", "r"], axis=1, split=[1, 2]), node("ReduceSum", ["r"], ["s"],
     axes=[1], keepdims=1)],
    opset=11,
)  # fmt: skip
BRANCH = function(
    "Branch", ["a", "go"], ["b"],
    [
        node("Neg", ["a"], ["n"]),
        node(
            "If", ["go"], ["b"],
            then_branch=helper.make_graph(
                [refer(node("Elu", ["n"], ["t"]), alpha="alpha:FLOAT")], "t", [], [value("t")]
            ),
            else_branch=helper.make_graph([call("Leaky", ["n"], ["e"])], "e", [], [value("e")]),
        ),
    ],
    attributes=["alpha"],
)  # fmt: skip


def check(data: bytes, shape: Any = (2, 3)) -> Any:
    loaded = fonnx.load(data)
    for _ in range(2):  # the second time the plan is there
        x = RNG.standard_normal(shape).astype(np.float32)
        for got, want in zip(loaded(x), in_runtime(data, {"x": x}), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-6)
    return loaded


def test_nested_calls_attributes_and_defaults() -> None:
    """Each call with its own attributes; the weights too are of each call."""
    w = {n: RNG.standard_normal((3, 3)).astype(np.float32) for n in ("w", "v")}
    nodes = [
        call("Twice", ["x", "w"], ["y"], slope=0.5),
        call("Twice", ["y", "v"], ["z"], slope=2.0),
        call("Twice", ["w", "v"], ["k1"], slope=0.1),  # of constants alone
        call("Twice", ["v", "w"], ["k2"], slope=0.1),
        node("Sum", ["k1", "k2"], ["k"]),
        node("MatMul", ["z", "k"], ["out"]),
    ]
    loaded = check(model(nodes, [LEAKY, TWICE], constants=w))
    told = repr(loaded)
    assert "inlined: 4 own.Twice, 8 own.Leaky" in told
    assert "native:  4 MatMul" in told


def test_operator_sets_of_functions() -> None:
    """ONNX Runtime reads a function by the model's."""
    x = RNG.standard_normal((2, 3)).astype(np.float32)
    (found,) = fonnx.load(model([call("Old", ["x"], ["out"])], [OLD]))(x)
    np.testing.assert_allclose(found, x[:, 1:].sum(1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("go", [True, False])
def test_graphs_inside_of_functions(go: bool) -> None:
    made = call("Branch", ["x", "go"], ["out"], alpha=0.3)
    check(model([made], [LEAKY, BRANCH], constants={"go": np.array(go)}))


def test_functions_in_the_body_of_a_loop() -> None:
    step = helper.make_graph(
        [call("Leaky", ["h"], ["h1"], slope=0.9), node("Add", ["h1", "s"], ["h2"]),
         node("Identity", ["h2"], ["y"])],
        "step", [value("h", shape=(3,)), value("s", shape=(3,))], [value("h2"), value("y")],
    )  # fmt: skip
    scan = node("Scan", ["first", "x"], ["last", "out"], body=step, num_scan_inputs=1)
    check(model([scan], [LEAKY], (5, 3), {"first": np.zeros(3, np.float32)}), (5, 3))


def test_inputs_and_outputs_that_are_left_out() -> None:
    """Of a GRU: its lengths are no input of the call, its last state no output."""
    weights = recurrent_weights("GRU", RNG, 3, 4)
    gru = refer(
        node("GRU", ["x", "W", "R", "B", "n", "h"], ["y", "hn"], linear_before_reset=1),
        hidden_size="H:INT",
    )
    named = function("Gru", ["x", "W", "R", "B", "n", "h"], ["y", "hn"], [gru], attributes=["H"])
    made = call("Gru", ["x", "W", "R", "B"], ["out"], H=4)
    loaded = fonnx.load(model([made], [named], (5, 2, 3), weights))
    plain = node("GRU", ["x", "W", "R", "B"], ["out"], hidden_size=4, linear_before_reset=1)
    x = RNG.standard_normal((5, 2, 3)).astype(np.float32)
    (want,) = in_runtime(model([plain], [], (5, 2, 3), weights), {"x": x})
    np.testing.assert_allclose(loaded(x)[0], want, atol=1e-6)


PASS = function("Pass", ["a", "b"], ["b"], [])
NEEDS = function("Needs", ["a", "b"], ["c"], [node("Add", ["a", "b"], ["c"])])
LINE = [function(f"F{k}", ["a"], ["b"], [call(f"F{k + 1}", ["a"], ["b"])]) for k in range(80)]
TREE = [
    function(f"F{k}", ["a"], ["b"], [call(f"F{k + 1}", ["a"], ["m"]), call(f"F{k + 1}", ["m"],
             ["b"])])
    for k in range(40)
]  # fmt: skip
EMPTY = function("F40", ["a"], ["a"], [])
LAST = {n: function(f"F{n}", ["a"], ["b"], [node("Neg", ["a"], ["b"])]) for n in (40, 80)}
LOOP = [function(f"F{k}", ["a"], ["b"], [call(f"F{1 - k}", ["a"], ["b"])]) for k in range(2)]
STRANGE = function("F0", ["a"], ["b"], [node("Det", ["a"], ["b"]), node("Nothing", ["a"], ["c"])])
LACKS = function("F0", ["a"], ["b"], [refer(node("Softsign", ["a"], ["b"]), alpha="z:FLOAT")])
BARE = function("F0", ["a"], ["b"], [refer(node("Cast", ["a"], ["b"]), to="to:INT")],
                attributes=["to"])  # fmt: skip


@pytest.mark.parametrize(
    ("made", "functions", "told"),
    [
        (call("F0", ["x"], ["y"]), LOOP, "calls itself: own.F0 calls own.F1 calls own.F0"),
        (call("F0", ["x"], ["y"]), [*LINE, LAST[80]], "more than 64 functions call one another"),
        (call("F0", ["x"], ["y"]), [*TREE, LAST[40]], "become more than 65,536 nodes"),
        (call("F0", ["x"], ["y"]), [*TREE, EMPTY], "become more than 65,536 nodes"),
        (call("F0", ["x"], ["y"]), [], "not supported: own.F0"),
        (call("F0", ["x"], ["y"]), [LINE[0]], "not supported: own.F1"),
        (call("F0", ["x"], ["y"]), [STRANGE], "not supported: Det, Nothing"),
        (call("F0", ["x"], ["y"]), [LAST[40], LAST[40]], "own.F40 is there twice"),
        (call("F0", ["x"], ["y"]), [LACKS], "function own.F0: .* refers to 'z', .* it has none"),
        (call("F0", ["x"], ["y"]), [BARE], r"\(Cast\) inside: attribute to is missing"),
        (call("F0", ["x"], ["y"], to=1.5), [BARE], "'to' is of kind FLOAT, expected INT"),
        (call("F0", ["x"], ["y"], at=1), [BARE], "attribute 'at', expected one of: to"),
        (call("Needs", ["x"] * 3, ["y"]), [NEEDS], "3 inputs, expected at most 2"),
        (call("Needs", ["x"] * 2, ["y", "z"]), [NEEDS], "2 outputs, expected at most 1"),
    ],
)
def test_functions_that_cannot_be_called(made: Any, functions: Any, told: str) -> None:
    with pytest.raises(fonnx.OnnxError, match=told):
        fonnx.load(model([made], functions))


@pytest.mark.parametrize(
    ("made", "functions", "told"),
    [
        (call("Needs", ["x"], ["y"]), NEEDS, r"\(own.Needs\): node 0 \(Add\): input B is left"),
        (call("Pass", ["x"], ["y"]), PASS, r"\(own.Pass\): output 'b' is an input that is left"),
    ],
)
def test_what_a_call_leaves_out_is_missed(made: Any, functions: Any, told: str) -> None:
    loaded = fonnx.load(model([made], [functions]))
    with pytest.raises(fonnx.OnnxError, match=told):
        loaded(np.ones((2, 3), np.float32))


def test_a_function_stands_before_an_operator_of_its_name() -> None:
    """In a domain that is known here too: what the file says of it counts."""
    named = helper.make_function(
        "com.microsoft", "DynamicQuantizeLSTM", ["a"], ["b"], [node("Neg", ["a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    made = node("DynamicQuantizeLSTM", ["x"], ["y"], domain="com.microsoft")
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(fonnx.load(model([made], [named]))(x)[0], -x)
