"""Products of many rows: by the kernels where BLAS would wake threads, which spin beside theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx_build import model, node, value

from fastlstm import kernels
from fastlstm import onnx as fonnx
from fastlstm.onnx.operators import linear, matrix

Sizes = tuple[int, int, int]

pytestmark = pytest.mark.skipif(
    kernels.default_backend() != "native", reason="needs the compiled kernels"
)


@pytest.fixture
def left_to_blas(monkeypatch: pytest.MonkeyPatch) -> list[Sizes]:
    """Sizes of the products that are."""
    sizes: list[Sizes] = []
    multiplying = matrix.multiplying

    def noted(a: Any, b: Any, out: Any) -> Any:
        sizes.append((a.shape[-2], a.shape[-1], b.shape[-1]))
        return multiplying(a, b, out)

    monkeypatch.setattr(matrix, "multiplying", noted)
    return sizes


@pytest.mark.parametrize("rows", [linear.MOST_ROWS, linear.MOST_ROWS + 1])
@pytest.mark.parametrize("map", ["", "Relu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_with_a_constant_matrix(rows: int, map: str, dtype: str, left_to_blas: list[Sizes]) -> None:
    rng = np.random.default_rng(0)
    x, W, b = (rng.standard_normal(s).astype(dtype) for s in ((rows, 1, 40), (40, 30), 30))
    nodes = [node("MatMul", ["x", "W"], ["m"]), node("Add", ["m", "b"], ["y"])]
    if map:
        nodes[-1].output[0] = "a"
        nodes.append(node(map, ["a"], ["y"]))
    data = model(nodes, [value("x", x.dtype, x.shape)], [value("y", x.dtype)], {"W": W, "b": b})
    expected = x.astype(float) @ W + b
    expected = np.maximum(expected, 0) if map else expected
    loaded = fonnx.load(data)
    for _ in range(2):  # into the same place
        np.testing.assert_allclose(loaded(x)[0], expected, atol=1e-4)
    few = rows <= linear.MOST_ROWS or dtype == "float32"
    assert left_to_blas == ([] if few else [(rows, 40, 30)])


@pytest.mark.parametrize("stack", [(), (3,)], ids=str)
@pytest.mark.parametrize("wide", [64, 65])
def test_of_two_inputs(stack: tuple[int, ...], wide: int, left_to_blas: list[Sizes]) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((*stack, *s)).astype("f4") for s in ((wide, 64), (64, 64)))
    nodes = [node("MatMul", ["a", "b"], ["y"])]
    inputs = [value(name, np.float32, v.shape) for name, v in (("a", a), ("b", b))]
    loaded = fonnx.load(model(nodes, inputs, [value("y")], {}))
    np.testing.assert_allclose(loaded(a, b)[0], a.astype(float) @ b, atol=1e-4)
    assert left_to_blas == ([(64, 64, 64)] if wide == 64 else [])


@pytest.mark.parametrize("a", [(80,), (90, 80), (2, 90, 80)], ids=str)
@pytest.mark.parametrize("b", [(80,), (80, 90), (2, 80, 90)], ids=str)
def test_of_vectors_matrices_and_stacks(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    x, y = (rng.standard_normal(shape).astype("f4") for shape in (a, b))
    inputs = [value(name, np.float32, v.shape) for name, v in (("a", x), ("b", y))]
    loaded = fonnx.load(model([node("MatMul", ["a", "b"], ["y"])], inputs, [value("y")], {}))
    found = loaded(x, y)[0]
    expected = x.astype(float) @ y
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-4)
