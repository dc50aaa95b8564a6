"""Convolutions and pools of random sizes: equal to ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx_build import in_runtime, model, node, value

from fastlstm import onnx as fonnx


def compare(op: str, arrays: dict[str, Any], attributes: dict[str, Any]) -> None:
    names = list(arrays)
    data = model(
        [node(op, names, ["y"], **attributes)],
        [value("x", shape=arrays["x"].shape)],
        [value("y")],
        {name: arrays[name] for name in names[1:]},
    )
    try:
        (expected,) = in_runtime(data, {"x": arrays["x"]})
    except Exception:  # sizes that make no output
        with pytest.raises(fonnx.OnnxError):
            fonnx.load(data)(arrays["x"])
        return
    (got,) = fonnx.load(data)(arrays["x"])
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-5, rtol=1e-5)


def draw(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("seed", range(40))
def test_random_convolutions(op: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 3))
    groups = int(rng.choice([1, 1, 2, 3]))
    each_in, each_out = (int(k) for k in rng.integers(1, 4, 2))
    if rng.random() < 0.3:
        each_in = each_out = 1  # depthwise
    C, M = groups * each_in, groups * each_out
    sizes, kernel = ([int(k) for k in rng.integers(low, high, n)] for low, high in ((3, 9), (1, 4)))
    stride = [int(k) for k in rng.integers(1, 3 if seed % 2 else 2, n)]
    dilation = [int(k) for k in rng.integers(1, 3, n)]
    pads = [int(k) for k in rng.integers(0, 3, 2 * n)]
    attributes: dict[str, Any] = {
        "group": groups, "strides": stride, "dilations": dilation, "pads": pads,
    }  # fmt: skip
    if op == "ConvTranspose" and max(stride) > 1 and rng.random() < 0.5:
        attributes["output_padding"] = [s - 1 for s in stride]
    shape = (M, each_in, *kernel) if op == "Conv" else (C, each_out, *kernel)
    arrays = {"x": draw(rng, int(rng.integers(1, 3)), C, *sizes), "w": draw(rng, *shape)}
    if rng.random() < 0.6:
        arrays["b"] = draw(rng, M)
    compare(op, arrays, attributes)


@pytest.mark.parametrize("pads", [[3, 4], [0, 6], [7, 0], [2, 2]])
def test_transposed_and_nearly_all_cut_off(pads: list[int]) -> None:
    rng = np.random.default_rng(0)
    arrays = {"x": draw(rng, 1, 2, 6), "w": draw(rng, 2, 3, 3)}
    compare("ConvTranspose", arrays, {"pads": pads})


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("seed", range(30))
def test_random_pools(op: str, seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    n = int(rng.integers(1, 3))
    kernel = [int(k) for k in rng.integers(1, 4, n)]
    attributes: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": [int(k) for k in rng.integers(1, 4, n)],
        "pads": [int(rng.integers(0, k)) for k in kernel * 2],
        "ceil_mode": int(rng.integers(2)),
    }
    if op == "AveragePool":
        attributes["count_include_pad"] = int(rng.integers(2))
    sizes = [int(k) for k in rng.integers(3, 9, n)]
    compare(op, {"x": draw(rng, 2, 3, *sizes)}, attributes)
