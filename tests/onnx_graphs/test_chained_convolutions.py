"""Lines of small convolutions run as one call, with the numbers of the nodes; others stay nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx_build import in_runtime, int_tensor, model, node, value

from fastlstm import kernels
from fastlstm import onnx as fonnx

if not hasattr(kernels.backend(), "BoundForward"):
    pytest.skip("only the compiled kernels make chains of nodes", allow_module_level=True)

RNG = np.random.default_rng(0)
CONSTANTS = {
    "A": RNG.standard_normal((10, 3, 4)).astype(np.float32) / 3,
    "a": RNG.standard_normal(10).astype(np.float32),
    "B": RNG.standard_normal((6, 10, 3)).astype(np.float32) / 5,
    "C": RNG.standard_normal((4, 5, 1)).astype(np.float32) / 2,
    "c": RNG.standard_normal(4).astype(np.float32),
    "G": np.ones((9, 1, 4), np.float32),
    "two": np.array(2.0, np.float32),
    "start": int_tensor([0]),
    "half": int_tensor([5]),
    "end": int_tensor([99]),
    "axis": int_tensor([1]),
}
LINE = [
    node("Conv", ["x", "A", "a"], ["u"], pads=[1, 2], strides=[2]),
    node("Relu", ["u"], ["v"]),
    node("Conv", ["v", "B"], ["w"], pads=[1, 1]),
    node("Sigmoid", ["w"], ["y"]),
]
SPECTRUM = [
    node("Conv", ["x", "A", "a"], ["u"]),
    node("Slice", ["u", "start", "half", "axis"], ["re"]),
    node("Slice", ["u", "half", "end", "axis"], ["im"]),
    node("Pow", ["re", "two"], ["re2"]),
    node("Mul", ["im", "im"], ["im2"]),
    node("Add", ["re2", "im2"], ["sum"]),
    node("Sqrt", ["sum"], ["m"]),
    node("Conv", ["m", "C", "c"], ["w"]),
    node("Tanh", ["w"], ["y"]),
]


def check(nodes: Sequence[Any], rows: int = 2, outputs: Sequence[str] = ("y",)) -> list[str]:
    """Compare a graph with ONNX Runtime's; return what it runs."""
    data = model(nodes, [value("x", shape=(rows, 3, 9))], [value(n) for n in outputs], CONSTANTS)
    loaded = fonnx.load(data)
    for seed in range(2):  # the second time the plan is there
        x = np.random.default_rng(seed).standard_normal((rows, 3, 9)).astype(np.float32)
        got, expected = loaded.run({"x": x}), in_runtime(data, {"x": x})
        for found, want in zip(got.values(), expected, strict=True):
            np.testing.assert_allclose(found, want, atol=2e-6)
    return [step.op for step in loaded._runner.plans[0].steps]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_line_is_one_step(rows: int) -> None:
    assert check(LINE, rows) == ["Chain"]
    assert check(SPECTRUM, rows) == ["Chain"]


def test_a_value_that_others_read_ends_a_line() -> None:
    assert check(LINE, outputs=("y", "v")) == ["Chain", "Chain"]
    assert check(LINE, outputs=("y", "u")).count("Conv") == 1
    other = [*LINE, node("Neg", ["w"], ["n"])]
    assert check(other, outputs=("y", "n")) == ["Chain", "Sigmoid", "Neg"]
    for name in ("re2", "sum", "im"):
        assert "Sqrt" in check(SPECTRUM, outputs=("y", name))


def test_look_alikes_of_a_magnitude_are_left_alone() -> None:
    def with_node(place: int, *made: Any) -> list[Any]:
        return [*SPECTRUM[:place], *made, *SPECTRUM[place + 1 :]]

    for nodes in (
        with_node(2, node("Slice", ["u", "start", "half", "axis"], ["im"])),  # the same half
        with_node(3, node("Mul", ["re", "im"], ["re2"])),
        with_node(5, node("Sub", ["re2", "im2"], ["d"]), node("Abs", ["d"], ["sum"])),
        with_node(6, node("Exp", ["sum"], ["m"])),
        with_node(1, node("Slice", ["u", "half", "end", "axis"], ["re"])),
    ):
        assert "Chain" in check(nodes)
        assert "Conv" in check(nodes)


@pytest.mark.parametrize("options", [{"dilations": [2]}, {"group": 3}])
def test_other_convolutions_stay_nodes(options: dict[str, Any]) -> None:
    weight = "A" if "dilations" in options else "G"
    nodes = [node("Conv", ["x", weight], ["u"], **options), node("Relu", ["u"], ["y"])]
    assert check(nodes) == ["Conv", "Relu"]
