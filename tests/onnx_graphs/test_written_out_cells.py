"""LSTM cells that a file has written out: found, whatever the order, and look-alikes left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx_build import in_runtime, int_tensor, model, node, value

from fastlstm import kernels
from fastlstm import onnx as fonnx

N, I, H = 2, 3, 4


def cell(
    rng: np.random.Generator,
    order: Any = (0, 1, 2, 3),
    acts: Any = ("Sigmoid", "Sigmoid", "Tanh", "Sigmoid"),
    sizes: Any = (H, H, H, H),
    swap: bool = False,
) -> tuple[list[Any], dict[str, Any]]:
    """The nodes of a cell; `order`: which quarter the gates i, f, g, o are."""
    parts = [f"p{k}" for k in order]

    def two(a: str, b: str) -> list[str]:
        return [b, a] if swap else [a, b]

    nodes = [
        node("Gemm", ["x", "W", "b"], ["gx"], transB=1),
        node("Gemm", ["h", "R", "b"], ["gh"], transB=1),
        node("Add", two("gx", "gh"), ["g"]),
        node("Split", ["g", "sizes"], ["p0", "p1", "p2", "p3"], axis=1),
        *(node(act, [part], [name]) for act, part, name in zip(acts, parts, "ifgo", strict=True)),
        node("Mul", two("f", "c"), ["fc"]),
        node("Mul", two("i", "g_"), ["ig"]),
        node("Add", two("fc", "ig"), ["c_new"]),
        node("Tanh", ["c_new"], ["t"]),
        node("Mul", two("o", "t"), ["h_new"]),
    ]
    nodes[6].output[0] = "g_"
    constants = {
        "W": rng.standard_normal((4 * H, I)).astype(np.float32),
        "R": rng.standard_normal((4 * H, H)).astype(np.float32),
        "b": rng.standard_normal(4 * H).astype(np.float32),
        "sizes": int_tensor(sizes),
    }
    return nodes, constants


def ops(loaded: Any) -> list[str]:
    return [step.op for step in loaded._runner.plans[0].steps]


def check(nodes: list[Any], constants: dict[str, Any], rng: Any, **more: Any) -> Any:
    outputs = [value(name) for name in ("h_new", "c_new", *more)]
    inputs = [value("x", shape=(N, I)), value("h", shape=(N, H)), value("c", shape=(N, H))]
    data = model(nodes, inputs, outputs, constants)
    loaded = fonnx.load(data)
    for _ in range(2):
        feeds = {
            name: rng.standard_normal(shape).astype(np.float32)
            for name, shape in (("x", (N, I)), ("h", (N, H)), ("c", (N, H)))
        }
        for got, want in zip(loaded.run(feeds).values(), in_runtime(data, feeds), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-6)
    return loaded


native = pytest.mark.skipif(kernels.default_backend() != "native", reason="needs the kernels")


@native
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3), (2, 0, 3, 1), (3, 2, 1, 0), (0, 0, 2, 3), (1, 1, 1, 1)]
)
def test_a_cell_is_one_step(order: tuple[int, ...], swap: bool) -> None:
    rng = np.random.default_rng(0)
    loaded = check(*cell(rng, order, swap=swap), rng)
    assert ops(loaded) == ["LSTM"]
    assert "native:  1 LSTM cell, written" in repr(loaded)


@native
def test_what_others_read_stays() -> None:
    rng = np.random.default_rng(1)
    nodes, constants = cell(rng)
    nodes.append(node("Neg", ["g_"], ["n"]))
    assert "Tanh" in ops(check(nodes, constants, rng, n=True))
    nodes, constants = cell(rng)
    nodes.append(node("Mul", ["i", "t"], ["again"]))
    assert "LSTM" in ops(check(nodes, constants, rng, again=True))
    nodes, constants = cell(rng)
    nodes += [node("Tanh", ["c_new"], ["t2"]), node("Mul", ["o", "t2"], ["h2"])]
    assert "LSTM" in ops(check(nodes, constants, rng, h2=True))


@pytest.mark.parametrize(
    "options",
    [
        {"acts": ("Sigmoid", "Tanh", "Tanh", "Sigmoid")},
        {"acts": ("Sigmoid", "Sigmoid", "Sigmoid", "Sigmoid")},
        {"acts": ("Sigmoid", "Sigmoid", "Relu", "Sigmoid")},
    ],
)
def test_what_only_looks_like_a_cell(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    assert "LSTM" not in ops(check(*cell(rng, **options), rng))


@native
@pytest.mark.parametrize("turned", ["c_new", "fc", "t"])
def test_what_stands_across_is_no_cell(turned: str) -> None:
    """Of as many rows as columns a value and its transpose are of one size."""
    rng = np.random.default_rng(4)
    nodes, constants = cell(rng)
    place = next(k for k, made in enumerate(nodes) if turned in made.input)
    names = ["turned" if name == turned else name for name in nodes[place].input]
    nodes[place] = node(nodes[place].op_type, names, list(nodes[place].output))
    nodes.insert(place, node("Transpose", [turned], ["turned"]))
    shapes = {"x": (H, I), "h": (H, H), "c": (H, H)}
    inputs = [value(name, shape=shape) for name, shape in shapes.items()]
    data = model(nodes, inputs, [value("h_new"), value("c_new")], constants)
    feeds = {k: rng.standard_normal(s).astype(np.float32) for k, s in shapes.items()}
    loaded = fonnx.load(data)
    for got, want in zip(loaded.run(feeds).values(), in_runtime(data, feeds), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)
    assert "LSTM" not in ops(loaded)


@native
def test_a_scan_of_cells() -> None:
    """The body has a plan of its own."""
    rng = np.random.default_rng(3)
    nodes, constants = cell(rng)
    body = helper.make_graph(
        [*nodes, node("Identity", ["h_new"], ["out"])],
        "body",
        [value("h", shape=(N, H)), value("c", shape=(N, H)), value("x", shape=(N, I))],
        [value(n, shape=(N, H)) for n in ("h_new", "c_new", "out")],
    )
    scan = node("Scan", ["h0", "c0", "xs"], ["hn", "cn", "ys"], body=body, num_scan_inputs=1)
    shapes = {"h0": (N, H), "c0": (N, H), "xs": (5, N, I)}
    data = model(
        [scan],
        [value(name, shape=shape) for name, shape in shapes.items()],
        [value("hn"), value("cn"), value("ys")],
        constants,
    )
    feeds = {k: rng.standard_normal(s).astype(np.float32) for k, s in shapes.items()}
    found = fonnx.load(data).run(feeds)
    for got, want in zip(found.values(), in_runtime(data, feeds), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)
