"""Models in ONNX, built and run: what the tests of `fastlstm.onnx` start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pytest
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]
T = TypeVar("T")

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
OPSET = 17


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(op, inputs, outputs, **attributes)


def value(name: str, like: Any = np.float32, shape: Any = None) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(like))
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: dict[str, Array] | None = None,
    opset: int = OPSET,
    domains: Sequence[str] = (),
) -> bytes:
    """The bytes of a file."""
    held = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, held)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    data: bytes = made.SerializeToString()
    return data


def recurrent_weights(
    op: str,
    rng: np.random.Generator,
    I: int,
    H: int,
    D: int = 1,
    dtype: Any = np.float32,
) -> dict[str, Array]:
    """W, R and B of a node."""
    G = GATES[op] * H

    def draw(*shape: int) -> Array:
        found: Array = (rng.standard_normal(shape) * 0.4).astype(dtype)
        return found

    return {"W": draw(D, G, I), "R": draw(D, G, H), "B": draw(D, 2 * G)}


def in_runtime(data: bytes, feeds: dict[str, Array]) -> list[Array]:
    """What ONNX Runtime makes of a model."""
    runtime = pytest.importorskip("onnxruntime")

    def run() -> list[Array]:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        found: list[Array] = session.run(None, feeds)
        return found

    return apart(run)


def apart(call: Callable[[], T]) -> T:
    """Call in another thread: a session changes how the thread that makes it treats denormals."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def int_tensor(values: Any) -> Array:
    return np.asarray(values, np.int64)


def small_lstm(seed: int = 0) -> bytes:
    """An LSTM with a state that goes in and out, and a dense layer behind it."""
    rng = np.random.default_rng(seed)
    weights = recurrent_weights("LSTM", rng, 3, 4)
    dense = {"A": rng.standard_normal((4, 2)).astype(np.float32), "b": np.zeros(2, np.float32)}
    nodes = [
        node("LSTM", ["x", "W", "R", "B", "", "h", "c"], ["y", "hn", "cn"], hidden_size=4),
        node("Squeeze", ["y", "one"], ["s"]),
        node("MatMul", ["s", "A"], ["m"]),
        node("Add", ["m", "b"], ["a"]),
        node("Sigmoid", ["a"], ["out"]),
    ]
    states = [value("h", shape=(1, 1, 4)), value("c", shape=(1, 1, 4))]
    inputs = [value("x", shape=("T", 1, 3)), *states]
    outputs = [value("out"), value("hn"), value("cn")]
    constants = {**weights, **dense, "one": int_tensor([1])}
    return model(nodes, inputs, outputs, constants)
