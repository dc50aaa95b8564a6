"""Values of bfloat16: read as float32, computed in float32, rounded where a file says Cast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_build import in_runtime, model, node, value

from fastlstm import onnx as fonnx
from fastlstm.onnx.tensors import read_tensor

BF = TensorProto.BFLOAT16
EDGES = np.array(
    [0, -0.0, 1, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, np.pi, -1e-40, 3.4e38, -np.inf,
     np.nan, 7e-46],
    np.float32,
)  # fmt: skip


def bits(array: Any) -> Any:
    """The upper halves of float32 numbers that have nothing below."""
    return (np.asarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def test_tensors_of_both_layouts(tmp_path: Path) -> None:
    numbers = np.array([[1.5, -2, 0], [np.inf, 2.0**-130, 3]], np.float32)
    raw = TensorProto(data_type=BF, dims=[2, 3], raw_data=bits(numbers).tobytes())
    single = TensorProto(data_type=BF, dims=[2, 3], int32_data=bits(numbers).ravel().tolist())
    apart = TensorProto(data_type=BF, dims=[2, 3], data_location=TensorProto.EXTERNAL)
    (tmp_path / "w.bin").write_bytes(bits(numbers).tobytes())
    entry = apart.external_data.add()
    entry.key, entry.value = "location", "w.bin"
    for tensor in (raw, single, apart):
        found = read_tensor(tensor, str(tmp_path))
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, numbers)
    short = TensorProto(data_type=BF, dims=[2, 3], raw_data=bytes(24))
    with pytest.raises(fonnx.OnnxError, match="24 bytes, expected 12"):
        read_tensor(short, None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
def test_a_cast_rounds(dtype: Any) -> None:
    """As ONNX Runtime does, to the bit, ties to even."""
    nodes = [
        node("Cast", ["x"], ["b"], to=BF),
        node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
    ]
    data = model(nodes, [value("x", dtype)], [value("y")])
    with np.errstate(all="ignore"):
        x = (EDGES if dtype != np.int32 else np.array([0, 257, -259, 1 << 30])).astype(dtype)
    (found,) = fonnx.load(data)(x)
    (want,) = in_runtime(data, {"x": x})
    if dtype == np.float32:  # ONNX Runtime's threads may flush what is below the smallest
        want = np.where(np.abs(x) < 1e-37, found, want)
    np.testing.assert_array_equal(found, want)
    (alone,) = fonnx.load(data)(x[1])
    assert alone.shape == ()


def test_a_layer_with_weights_of_bfloat16() -> None:
    """Cast to float32 in the file, as those who save memory write it, or used as they are."""
    rng = np.random.default_rng(0)
    weights = {
        "W": rng.standard_normal((1, 16, 3)), "R": rng.standard_normal((1, 16, 4)),
        "B": rng.standard_normal((1, 32)),
    }  # fmt: skip
    tensors = {n: a.astype(np.float32) for n, a in weights.items()}
    tensors = {n: ((a.view(np.uint32) >> 16) << 16).view(np.float32) for n, a in tensors.items()}
    held = [
        helper.make_tensor(f"{n}_", BF, a.shape, bits(a).tobytes(), raw=True)
        for n, a in tensors.items()
    ]
    casts = [node("Cast", [f"{n}_"], [n], to=TensorProto.FLOAT) for n in tensors]
    lstm = node("LSTM", ["x", *tensors], ["y"], hidden_size=4)
    x = rng.standard_normal((5, 2, 3)).astype(np.float32)
    graph = helper.make_graph(
        [*casts, lstm], "g", [value("x", shape=(5, 2, 3))], [value("y")], held
    )
    opset = [helper.make_opsetid("", 17)]
    data = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    (want,) = in_runtime(data, {"x": x})
    np.testing.assert_allclose(fonnx.load(data)(x)[0], want, atol=1e-6)

    narrow = [helper.make_tensor_value_info(n, BF, None) for n in ("x", "y")]
    for one, tensor in zip(held, tensors, strict=True):
        one.name = tensor
    graph = helper.make_graph([lstm], "g", narrow[:1], narrow[1:], held)
    data = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    loaded = fonnx.load(data)
    assert loaded.inputs[0].dtype == np.float32
    np.testing.assert_allclose(loaded(x)[0], want, atol=1e-6)
    small = pytest.importorskip("ml_dtypes").bfloat16
    np.testing.assert_allclose(loaded(x.astype(small))[0], want, atol=0.05)
