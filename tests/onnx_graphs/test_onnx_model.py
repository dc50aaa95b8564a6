"""The model that `fastlstm.onnx.load` gives: calls, plans, what it tells, and its errors."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx_build import (
    in_runtime,
    int_tensor,
    model,
    node,
    recurrent_weights,
    small_lstm,
    value,
)

from fastlstm import kernels
from fastlstm import onnx as fonnx
from fastlstm.onnx.run import MOST_PLANS

RNG = np.random.default_rng(0)
STATES = {"h": np.zeros((1, 1, 4), np.float32), "c": np.zeros((1, 1, 4), np.float32)}


def steps(T: int) -> Any:
    return RNG.standard_normal((T, 1, 3)).astype(np.float32)


@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("op", ["LeakyRelu", "ThresholdedRelu", "Elu"])
def test_activations_of_what_is_no_finite_number(op: str, alpha: float) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 3, -3, 0, 1e38], np.float32)
    data = model([node(op, ["x"], ["y"], alpha=alpha)], [value("x", shape=(7,))], [value("y")], {})
    np.testing.assert_allclose(fonnx.load(data)(x)[0], in_runtime(data, {"x": x})[0], rtol=1e-6)


def test_by_name_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(small_lstm())
    loaded = fonnx.load(path)
    feeds = {"x": steps(5), **STATES}
    by_name = loaded.run(feeds)
    assert list(by_name) == ["out", "hn", "cn"]
    for got, want in zip(loaded(*feeds.values()), by_name.values(), strict=True):
        np.testing.assert_array_equal(got, want)
    for got, want in zip(by_name.values(), in_runtime(small_lstm(), feeds), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_frames_with_the_state_carried_equal_the_whole() -> None:
    loaded, x = fonnx.load(small_lstm()), steps(7)
    whole, h_n, c_n = loaded(x, STATES["h"], STATES["c"])
    h, c = STATES["h"], STATES["c"]
    for t in range(7):
        out, h, c = loaded(x[t : t + 1], h, c)
        np.testing.assert_allclose(out, whole[t : t + 1], atol=1e-6)
    np.testing.assert_array_equal(h, h_n)
    np.testing.assert_array_equal(c, c_n)


def test_results_stay_when_the_model_runs_on() -> None:
    loaded, first = fonnx.load(small_lstm()), steps(2)
    kept = loaded(first, *STATES.values())
    copies = [array.copy() for array in kept]
    loaded(first + 1, *STATES.values())
    for array, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_plans_are_kept_for_shapes_and_bounded() -> None:
    loaded = fonnx.load(small_lstm())
    loaded(steps(3), *STATES.values())
    plan = loaded._runner.plans[0]
    loaded(steps(3), *STATES.values())
    assert loaded._runner.plans == [plan]
    for T in range(1, MOST_PLANS + 4):
        loaded(steps(T), *STATES.values())
    assert len(loaded._runner.plans) == MOST_PLANS


def test_it_tells_what_it_is() -> None:
    loaded = fonnx.load(small_lstm())
    told = repr(loaded)
    assert "x: float32 [T, 1, 3]" in told
    assert "native:  1 LSTM, 1 MatMul" in told
    assert "NumPy:   1 Squeeze, 1 Add, 1 Sigmoid" in told
    assert [v.name for v in loaded.inputs] == ["x", "h", "c"]
    assert loaded.inputs[0].shape == ("T", 1, 3)
    assert loaded.inputs[0].dtype == np.float32


def test_a_cell_without_a_kernel_is_told() -> None:
    weights = recurrent_weights("LSTM", np.random.default_rng(0), 2, 3)
    made = node(
        "LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=3, activations=["Sigmoid", "Tanh", "Elu"]
    )
    told = repr(fonnx.load(model([made], [value("x")], [value("y")], weights)))
    assert "NumPy:" in told
    assert "native" not in told


@pytest.mark.parametrize(
    ("after", "steps"),
    [
        (["Add", "Relu"], ["Linear"]),
        (["Add", "Sigmoid"], ["Linear"]),
        (["Tanh"], ["Linear"]),
        (["Relu", "Add"], ["Linear", "Add"]),
        (["Add", "Exp"], ["Linear", "Exp"]),
    ],
)
@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5), (2, 3, 5)])
def test_what_follows_a_product_goes_into_it(
    shape: tuple[int, ...], after: list[str], steps: list[str]
) -> None:
    nodes, name = [node("MatMul", ["x", "A"], ["n0"])], "n0"
    for k, op in enumerate(after, 1):
        nodes.append(node(op, [name, "b"] if op == "Add" else [name], [f"n{k}"]))
        name = f"n{k}"
    rng = np.random.default_rng(4)
    constants = {
        "A": rng.standard_normal((5, 7)).astype(np.float32),
        "b": rng.standard_normal(7).astype(np.float32),
    }
    data = model(nodes, [value("x", shape=shape)], [value(name)], constants)
    x, loaded = rng.standard_normal(shape).astype(np.float32), fonnx.load(data)
    np.testing.assert_allclose(loaded(x)[0], in_runtime(data, {"x": x})[0], atol=1e-6, rtol=1e-5)
    if is_native():
        assert [step.op for step in loaded._runner.plans[0].steps] == steps


def is_native() -> bool:
    return kernels.default_backend() == "native"


def test_a_product_that_others_read_stays() -> None:
    nodes = [
        node("MatMul", ["x", "A"], ["m"]),
        node("Relu", ["m"], ["r"]),
        node("Neg", ["m"], ["n"]),
    ]
    data = model(nodes, [value("x")], [value("r"), value("n")], {"A": np.eye(3, dtype=np.float32)})
    x = np.array([[1, -2, 3]], np.float32)
    r, n = fonnx.load(data)(x)
    np.testing.assert_array_equal(r, np.maximum(x, 0))
    np.testing.assert_array_equal(n, -x)


def test_threads_share_a_model() -> None:
    loaded = fonnx.load(small_lstm())
    xs = [steps(T) for T in (1, 2, 3, 1, 2, 3)]
    want = [loaded(x, *STATES.values())[0] for x in xs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            found = list(pool.map(lambda x: loaded(x, *STATES.values())[0], xs))
            for got, expected in zip(found, want, strict=True):
                np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"x": np.zeros((2, 1, 4), np.float32)}, r"input 'x' has shape \(2, 1, 4\), expected x: f"),
        ({"x": np.zeros((2, 1, 3))}, "input 'x' is of float64, expected x: float32"),
        ({"h": np.zeros((1, 2, 4), np.float32)}, r"input 'h' has shape \(1, 2, 4\)"),
        ({"z": np.zeros(1)}, "input 'z', expected x, h, c"),
        ({"x": "text"}, "input 'x' is of "),
    ],
)
def test_inputs_that_do_not_fit(change: dict[str, Any], told: str) -> None:
    feeds = {"x": steps(2), **STATES, **change}
    with pytest.raises(fonnx.OnnxError, match=f"the model: {told}"):
        fonnx.load(small_lstm()).run(feeds)


def test_a_missing_input_is_named() -> None:
    loaded = fonnx.load(small_lstm())
    with pytest.raises(fonnx.OnnxError, match="no input 'h', expected x, h, c"):
        loaded.run({"x": steps(1), "c": STATES["c"]})
    with pytest.raises(TypeError, match="1 input, expected 3: x, h, c"):
        loaded(steps(1))


def test_lists_of_numbers_are_inputs() -> None:
    data = model([node("Neg", ["x"], ["y"])], [value("x", shape=(2,))], [value("y")])
    np.testing.assert_array_equal(fonnx.load(data)([1, 2.5])[0], [-1, -2.5])


def test_all_missing_operators_are_named_at_once() -> None:
    nodes = [
        node("Resize", ["x", "", "s"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("GridSample", ["b", "x"], ["c"]),
        node("Frobnicate", ["c"], ["y"], domain="org.example"),
    ]
    data = model(nodes, [value("x"), value("s")], [value("y")], domains=["org.example"])
    with pytest.raises(
        fonnx.OnnxError, match=r"not supported: GridSample, Resize, org\.example\.Frobnicate"
    ):
        fonnx.load(data)


def test_an_error_names_file_node_and_operator(tmp_path: Path) -> None:
    path = tmp_path / "wrong.onnx"
    nodes = [node("MatMul", ["x", "A"], ["y"], name="last")]
    constants = {"A": np.ones((3, 2), np.float32)}
    path.write_bytes(model(nodes, [value("x")], [value("y")], constants))
    with pytest.raises(fonnx.OnnxError) as caught:
        fonnx.load(path)(np.ones((2, 4), np.float32))
    told = str(caught.value)
    assert told.startswith(f"{path}: node 'last' (MatMul): ")
    assert "(2, 4)" in told
    assert "(3, 2)" in told


def branch(name: str, op: str) -> Any:
    return helper.make_graph([node(op, ["x"], [name])], name, [], [value(name)])


def test_if_by_data() -> None:
    """A branch that the data decides: a plan for each, and each time the right one."""
    nodes = [
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Greater", ["s", "zero"], ["positive"]),
        node(
            "If",
            ["positive"],
            ["y"],
            then_branch=branch("a", "Sqrt"),
            else_branch=branch("b", "Neg"),
        ),
    ]
    constants = {"zero": np.zeros((), np.float32)}
    loaded = fonnx.load(model(nodes, [value("x")], [value("y")], constants))
    x = np.array([1, 4], np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(loaded(x)[0], [1, 2])
        np.testing.assert_array_equal(loaded(-x)[0], [1, 4])
    assert len(loaded._runner.plans) == 2


def test_shapes_that_depend_on_data() -> None:
    nodes = [
        node("NonZero", ["x"], ["where"]),
        node("Shape", ["where"], ["shape"]),
        node("Transpose", ["where"], ["y"]),
    ]
    outputs = [value("y", np.int64), value("shape", np.int64)]
    loaded = fonnx.load(model(nodes, [value("x")], outputs))
    for x in ([1, 0, 1], [0, 0, 0], [1, 1, 1], [1, 0, 1], *np.eye(3).tolist()):
        y, shape = loaded(np.array(x, np.float32))
        np.testing.assert_array_equal(y[:, 0], np.flatnonzero(x))
        assert tuple(shape) == (1, np.count_nonzero(x))


def test_a_shape_as_input() -> None:
    data = model(
        [node("Reshape", ["x", "s"], ["y"])], [value("x"), value("s", np.int64)], [value("y")]
    )
    loaded, x = fonnx.load(data), np.arange(6, dtype=np.float32)
    for shape in ([2, 3], [3, 2], [2, 3], [-1], [6, 1]):
        (y,) = loaded(x, int_tensor(shape))
        assert y.shape == x.reshape(shape).shape


def test_constants_are_folded() -> None:
    """All that comes from shapes and constants is gone from the plan."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "zeros"], ["n1"]),
        node("Concat", ["n1", "rest"], ["shape"], axis=0),
        node("Exp", ["two"], ["e"]),
        node("Reshape", ["x", "shape"], ["r"]),
        node("Transpose", ["r"], ["t"]),
        node("Slice", ["t", "zeros", "ones"], ["c"]),
        node("Mul", ["c", "e"], ["y"]),
    ]
    constants = {
        "zero": int_tensor(0),
        "zeros": int_tensor([0]),
        "ones": int_tensor([1]),
        "rest": int_tensor([-1]),
        "two": np.full((1,), 2, np.float32),
    }
    loaded = fonnx.load(model(nodes, [value("x")], [value("y")], constants))
    x = RNG.standard_normal((3, 2, 2)).astype(np.float32)
    np.testing.assert_allclose(loaded(x)[0], x.reshape(3, -1).T[:1] * np.exp(2.0), rtol=1e-6)
    assert [step.op for step in loaded._runner.plans[0].steps] == ["Mul"]


def test_what_is_made_of_constants_is_made_once() -> None:
    """Two plans share it: weights turned, weights of a convolution, those of a recurrent node."""
    rng = np.random.default_rng(5)
    nodes = [
        node("Transpose", ["A"], ["B"]),
        node("Exp", ["B"], ["C"]),
        node("Conv", ["x", "w", "b"], ["y"]),
        node("Transpose", ["y"], ["t"], perm=[2, 0, 1]),
        node("GRU", ["t", "W", "R"], ["g"], hidden_size=3),
        node("MatMul", ["g", "C"], ["z"]),
    ]
    weights = recurrent_weights("GRU", rng, 4, 3)
    constants = {
        "A": rng.standard_normal((2, 3)).astype(np.float32),
        "w": rng.standard_normal((4, 2, 3)).astype(np.float32),
        "b": rng.standard_normal(4).astype(np.float32),
        **{name: weights[name] for name in "WR"},
    }
    data = model(nodes, [value("x", shape=(1, 2, "T"))], [value("z")], constants)
    loaded = fonnx.load(data)
    x = rng.standard_normal((1, 2, 9)).astype(np.float32)
    for T in (9, 7, 8):
        feeds = {"x": x[:, :, :T]}
        expected = in_runtime(data, {"x": np.ascontiguousarray(feeds["x"])})
        np.testing.assert_allclose(loaded.run(feeds)["z"], expected[0], atol=1e-5)
        held = dict(loaded._runner.shared)
        if T == 9:
            first = held
    assert held.keys() == first.keys()
    assert all(held[key] is first[key] for key in held)


def test_normalisation_goes_into_the_convolution() -> None:
    nodes = [
        node("Conv", ["x", "w", "b"], ["a"], pads=[1, 1]),
        node("BatchNormalization", ["a", "g", "h", "m", "v"], ["n"]),
        node("Relu", ["n"], ["y"]),
    ]
    rng = np.random.default_rng(1)
    constants = {
        "w": rng.standard_normal((4, 2, 3)).astype(np.float32),
        **{k: rng.uniform(0.5, 1.5, 4).astype(np.float32) for k in "bghmv"},
    }
    data = model(nodes, [value("x", shape=(1, 2, 9))], [value("y")], constants)
    x = rng.standard_normal((1, 2, 9)).astype(np.float32)
    loaded = fonnx.load(data)
    np.testing.assert_allclose(loaded(x)[0], in_runtime(data, {"x": x})[0], atol=1e-5)
    one_call = kernels.default_backend() == "native"
    expected = ["Chain"] if one_call else ["Conv", "Relu"]
    assert [step.op for step in loaded._runner.plans[0].steps] == expected


def loop_model() -> bytes:
    """Adds x to a total until it is above a limit or the trips are done; stacks the totals."""
    body = helper.make_graph(
        [
            node("Add", ["total", "x"], ["more"]),
            node("Identity", ["more"], ["seen"]),
            node("ReduceSum", ["more"], ["s"], keepdims=0),
            node("Less", ["s", "limit"], ["go_on"]),
        ],
        "body",
        [value("k", np.int64, ()), value("go", bool, ()), value("total")],
        [value("go_on", bool, ()), value("more"), value("seen")],
    )
    nodes = [node("Loop", ["trips", "", "start"], ["total_n", "all"], body=body)]
    inputs = [value("trips", np.int64, ()), value("start"), value("x"), value("limit", shape=())]
    return model(nodes, inputs, [value("total_n"), value("all")])


def test_a_loop_ends_by_count_or_by_data() -> None:
    loaded, x = fonnx.load(loop_model()), np.ones(2, np.float32)
    for trips, limit in ((3, 100.0), (5, 100.0), (10, 7.0), (3, 100.0)):
        total, seen = loaded(int_tensor(trips), 0 * x, x, np.float32(limit))
        count = min(trips, int(np.ceil(limit / 2)))
        np.testing.assert_array_equal(total, count * x)
        np.testing.assert_array_equal(seen, np.arange(1, count + 1)[:, None] * x)


def test_scan_of_a_cell_equals_runtime() -> None:
    rng = np.random.default_rng(2)
    body = helper.make_graph(
        [
            node("MatMul", ["h", "R"], ["a"]),
            node("MatMul", ["x", "W"], ["b"]),
            node("Add", ["a", "b"], ["z"]),
            node("Tanh", ["z"], ["h_next"]),
            node("Identity", ["h_next"], ["out"]),
        ],
        "body",
        [value("h", shape=(2, 4)), value("x", shape=(2, 3))],
        [value("h_next", shape=(2, 4)), value("out", shape=(2, 4))],
    )
    nodes = [
        node("Tanh", ["w"], ["W"]),
        node(
            "Scan", ["h0", "xs"], ["h_n", "ys"], body=body, num_scan_inputs=1,
            scan_input_directions=[1], scan_output_directions=[1],
        ),
    ]  # fmt: skip
    data = model(
        nodes,
        [value("h0", shape=(2, 4)), value("xs", shape=("T", 2, 3)), value("w", shape=(3, 4))],
        [value("h_n", shape=(2, 4)), value("ys", shape=("T", 2, 4))],
        {"R": rng.standard_normal((4, 4)).astype(np.float32)},
    )
    loaded = fonnx.load(data)
    for T in (3, 5):
        feeds = {
            "h0": rng.standard_normal((2, 4)).astype(np.float32),
            "xs": rng.standard_normal((T, 2, 3)).astype(np.float32),
            "w": rng.standard_normal((3, 4)).astype(np.float32),
        }
        for got, want in zip(loaded.run(feeds).values(), in_runtime(data, feeds), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-6)


def test_without_the_package_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "try:\n import fastlstm.onnx\n"
        "except ImportError as error:\n print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'fastlstm[onnx]'" in run.stdout


def test_fastlstm_alone_does_not_load_onnx() -> None:
    code = "import sys, fastlstm; fastlstm.LSTM(2, 3); assert 'onnx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("shape", "indices"),
    [
        ((4, 5), [[1], [2]]),
        ((4, 5), [[3], [1]]),
        ((4, 5), [[[0, 1], [0, 3]], [[2, 1], [2, 3]]]),
        ((4, 5), [[0, 0], [3, 4], [1, 1]]),
        ((3, 4, 2), [[-1], [0]]),
        ((6,), [[2]]),
        ((4, 5), [[1, 1], [1, 1]]),
        ((4, 5), np.zeros((0, 1), int).tolist()),
    ],
)
def test_scatter_at_known_places(shape: tuple[int, ...], indices: Any) -> None:
    """Places that stand regularly are a view; others, and those that come twice, are not."""
    at = np.array(indices, np.int64).reshape(-1, 1) if not indices else int_tensor(indices)
    rng = np.random.default_rng(6)
    x = rng.standard_normal(shape).astype(np.float32)
    updates = rng.standard_normal(at.shape[:-1] + shape[at.shape[-1] :]).astype(np.float32)
    nodes = [node("ScatterND", ["x", "at", "u"], ["y"])]
    inputs = [value("x", shape=shape), value("u", shape=updates.shape)]
    data = model(nodes, inputs, [value("y")], {"at": at})
    expected = x.copy()
    for place in np.ndindex(at.shape[:-1]):
        expected[tuple(at[place])] = updates[place]
    np.testing.assert_array_equal(fonnx.load(data)(x, updates)[0], expected)


def test_a_depthwise_transposed_convolution() -> None:
    rng = np.random.default_rng(7)
    made = node("ConvTranspose", ["x", "w", "b"], ["y"], group=3, strides=[2, 1], pads=[1, 0, 0, 1])
    constants = {
        "w": rng.standard_normal((3, 1, 3, 2)).astype(np.float32),
        "b": rng.standard_normal(3).astype(np.float32),
    }
    data = model([made], [value("x", shape=(2, 3, 4, 5))], [value("y")], constants)
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(fonnx.load(data)(x)[0], in_runtime(data, {"x": x})[0], atol=1e-5)
