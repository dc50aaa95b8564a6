"""Random recurrent graphs: equal to ONNX Runtime."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_build import GATES, in_runtime, int_tensor, model, node, recurrent_weights, value

from fastlstm import onnx as fonnx
from fastlstm.onnx.operators import recurrent

TOLERANCE = 1e-5
COUNT = 60


def compare(data: bytes, feeds: dict[str, Any], tolerance: float = TOLERANCE) -> None:
    expected = in_runtime(data, feeds)
    found = fonnx.load(data).run(feeds)
    for (name, got), want in zip(found.items(), expected, strict=True):
        assert got.dtype == want.dtype
        assert got.shape == want.shape, name
        np.testing.assert_allclose(got, want, atol=tolerance, rtol=tolerance, err_msg=name)


@pytest.mark.parametrize("seed", range(COUNT))
def test_random_stacks(seed: int) -> None:
    """One to three recurrent nodes on one another, of any kind and direction, and a dense layer."""
    rng = np.random.default_rng(seed)
    T, N, size = (int(n) for n in rng.integers(1, 8, 3))
    feeds: dict[str, Any] = {"x": rng.standard_normal((T, N, size)).astype(np.float32)}
    inputs = [value("x", shape=("T", "N", size))]
    nodes, outputs, constants, name = [], [], {}, "x"
    lengths = ""
    if rng.random() < 0.4:
        lengths = "lengths"
        feeds[lengths] = rng.integers(1, T + 1, N).astype(np.int32)
        inputs.append(value(lengths, np.int32, ("N",)))
    for k in range(int(rng.integers(1, 4))):
        op, H = str(rng.choice(list(GATES))), int(rng.integers(1, 20))
        direction = str(rng.choice(["forward", "reverse", "bidirectional"]))
        D = 2 if direction == "bidirectional" else 1
        for key, array in recurrent_weights(op, rng, size, H, D).items():
            constants[f"{key}{k}"] = array
        given = [name, f"W{k}", f"R{k}", f"B{k}" if rng.random() < 0.8 else "", lengths]
        for state in ("h", "c")[: 1 + (op == "LSTM")]:
            if rng.random() < 0.5:
                feeds[f"{state}{k}"] = rng.standard_normal((D, N, H)).astype(np.float32)
                inputs.append(value(f"{state}{k}", shape=(D, "N", H)))
                given.append(f"{state}{k}")
            else:
                given.append("")
        attributes: dict[str, Any] = {"hidden_size": H, "direction": direction}
        if op == "LSTM" and rng.random() < 0.3:
            constants[f"P{k}"] = (rng.standard_normal((D, 3 * H)) * 0.4).astype(np.float32)
            given.append(f"P{k}")
        if op == "GRU":
            attributes["linear_before_reset"] = int(rng.integers(2))
        if op == "RNN" and rng.random() < 0.5:
            attributes["activations"] = ["Relu"] * D
        made = [f"y{k}", f"yh{k}", f"yc{k}"][: 2 + (op == "LSTM")]
        nodes.append(node(op, given, made, **attributes))
        outputs += [value(one) for one in made]
        nodes.append(node("Transpose", [f"y{k}"], [f"t{k}"], perm=[0, 2, 1, 3]))
        nodes.append(node("Reshape", [f"t{k}", "flat"], [f"r{k}"]))
        constants["flat"] = int_tensor([0, 0, -1])
        name, size = f"r{k}", D * H
    constants["A"] = rng.standard_normal((size, 3)).astype(np.float32)
    nodes.append(node("MatMul", [name, "A"], ["m"]))
    nodes.append(node("Softmax", ["m"], ["out"]))
    compare(model(nodes, inputs, [*outputs, value("out")], constants), feeds)


ACTIVATIONS = {
    "Affine": (0.7, 0.1), "LeakyRelu": (0.2, None), "ThresholdedRelu": (0.3, None),
    "ScaledTanh": (0.8, 1.3), "HardSigmoid": (0.3, 0.4), "Elu": (0.9, None),
    "Softsign": (None, None), "Softplus": (None, None), "Relu": (None, None), "Tanh": (None, None),
    "Sigmoid": (None, None),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_other_activations_and_options(seed: int) -> None:
    """Any activation of a node, with alpha and beta, a clip, and gates that are coupled."""
    rng = np.random.default_rng(1000 + seed)
    op = ("LSTM", "GRU", "RNN")[seed % 3]
    T, N, I, H = (int(n) for n in rng.integers(2, 6, 4))
    direction = ("forward", "bidirectional")[int(rng.integers(2))]
    D = 1 + (direction == "bidirectional")
    each = {"LSTM": 3, "GRU": 2, "RNN": 1}[op]
    names = [str(rng.choice(list(ACTIVATIONS))) for _ in range(each * D)]
    if op == "RNN" and T > 2:  # bounded, or it grows beyond what a tolerance can be told of
        names = [n if n not in ("Softplus", "Affine") else "HardSigmoid" for n in names]
    alphas = [ACTIVATIONS[n][0] for n in names if ACTIVATIONS[n][0] is not None]
    betas = [ACTIVATIONS[n][1] for n in names if ACTIVATIONS[n][1] is not None]
    attributes: dict[str, Any] = {
        "hidden_size": H, "direction": direction, "activations": names,
        "activation_alpha": alphas, "activation_beta": betas,
    }  # fmt: skip
    if rng.random() < 0.5:
        attributes["clip"] = 0.6
    if op == "LSTM" and rng.random() < 0.4:
        attributes["input_forget"] = 1
    if op == "GRU":
        attributes["linear_before_reset"] = int(rng.integers(2))
    attributes = {key: given for key, given in attributes.items() if given != []}
    constants = recurrent_weights(op, rng, I, H, D)
    outputs = ["y", "yh", "yc"][: 2 + (op == "LSTM")]
    data = model(
        [node(op, ["x", "W", "R", "B"], outputs, **attributes)],
        [value("x", shape=(T, N, I))],
        [value(name) for name in outputs],
        constants,
    )
    compare(data, {"x": rng.standard_normal((T, N, I)).astype(np.float32)})


NATIVE = {"Relu": (), "Tanh": (), "Sigmoid": (), "Softsign": (), "HardSigmoid": (0.3, 0.4),
          "Affine": (1.0, 0.0)}  # fmt: skip


@pytest.mark.parametrize("clip", [None, 0.4])
@pytest.mark.parametrize("gate", NATIVE)
@pytest.mark.parametrize("of_values", NATIVE)
def test_activations_that_the_kernels_have(gate: str, of_values: str, clip: float | None) -> None:
    """Every operator, with peepholes and lengths; an LSTM's last activation may be another."""
    rng = np.random.default_rng(len(gate) * 20 + len(of_values))
    T, N, I, H = 3, 5, 4, 19
    x = rng.standard_normal((T, N, I)).astype(np.float32)
    feeds = {"x": x, "lengths": rng.integers(1, T + 1, N).astype(np.int32)}
    inputs = [value("x", shape=(T, N, I)), value("lengths", np.int32, (N,))]
    for op, each in (("LSTM", 3), ("GRU", 2), ("RNN", 1)):
        last = of_values if clip is None else gate
        names = [gate, of_values, last][:each] if each > 1 else [of_values]
        numbers = [NATIVE[name] for name in names * 2 if NATIVE[name]]
        attributes: dict[str, Any] = {"activations": names * 2, "direction": "bidirectional"}
        if clip is not None:
            attributes["clip"] = clip
        if numbers:
            attributes["activation_alpha"], attributes["activation_beta"] = map(
                list, zip(*numbers, strict=True)
            )
        for first in (0, 1)[: 1 + (op == "GRU")]:
            if op == "GRU":
                attributes["linear_before_reset"] = first
            constants = recurrent_weights(op, rng, I, H, 2)
            constants["R"] *= 0.3  # or what has no bound grows beyond what a tolerance can tell
            given = ["x", "W", "R", "B", "lengths"]
            if op == "LSTM" and len(of_values) % 2:
                constants["P"] = (rng.standard_normal((2, 3 * H)) * 0.4).astype(np.float32)
                given += ["", "", "P"]
            made = node(op, given, ["y", "yh"], hidden_size=H, **attributes)
            data = model([made], inputs, [value("y"), value("yh")], constants)
            assert re.search(rf"native: .*{op}", repr(fonnx.load(data)))
            compare(data, feeds)


COUPLED = {"Sigmoid": (), "HardSigmoid": (0.3, 0.4), "Affine": (1.0, 0.0)}


@pytest.mark.parametrize("given", [False, True])  # whether the weights are inputs, not constants
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("gate", COUPLED)
@pytest.mark.parametrize("clip", [None, 0.4])
def test_coupled_gates_run_on_the_kernels(
    clip: float | None, gate: str, biased: bool, given: bool
) -> None:
    """In both directions, with peepholes and without; clipped, if 1 - f is then too."""
    rng = np.random.default_rng(9)
    T, N, I, H = 4, 3, 5, 6
    attributes: dict[str, Any] = {"activations": [gate, "Tanh", "Tanh"] * 2, "input_forget": 1}
    if clip is not None:
        attributes["clip"] = clip
    if COUPLED[gate]:
        for name, number in zip(("alpha", "beta"), COUPLED[gate], strict=True):
            attributes[f"activation_{name}"] = [number] * 2
    weights = recurrent_weights("LSTM", rng, I, H, 2)
    weights["R"] *= 0.3
    if not biased:
        del weights["B"]
    feeds = {"x": rng.standard_normal((T, N, I)).astype(np.float32)}
    feeds |= weights if given else {}
    for peepholes in (False, True):
        more = (
            {"P": (rng.standard_normal((2, 3 * H)) * 0.3).astype(np.float32)} if peepholes else {}
        )
        names = ["x", "W", "R", "B" if biased else "", "", "", "", *more]
        while not names[-1]:
            names.pop()
        made = node(
            "LSTM", names, ["y", "h", "c"], hidden_size=H, direction="bidirectional", **attributes
        )
        inputs = [value(n, shape=a.shape) for n, a in feeds.items()]
        constants = {**({} if given else weights), **more}
        data = model([made], inputs, [value(n) for n in "yhc"], constants)
        native = clip is None or gate == "Sigmoid"
        assert bool(re.search("native: .*LSTM", repr(fonnx.load(data)))) == native
        compare(data, feeds)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", GATES)
def test_clips(op: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of the activations' reach they change nothing; within it they are the kernels' too."""
    rng = np.random.default_rng(10)
    weights = recurrent_weights(op, rng, 3, 4, dtype=dtype)
    x = (rng.standard_normal((5, 2, 3)) * 40).astype(dtype)
    found, tolerance = {}, 2e-6 if dtype == np.float32 else 1e-13
    for clip in (None, 0.5, 8.0, 17.0, 50.0):
        more = {} if clip is None else {"clip": clip}
        made = node(op, ["x", "W", "R", "B"], ["y"], hidden_size=4, **more)
        data = model([made], [value("x", dtype)], [value("y", dtype)], weights)
        loaded = fonnx.load(data)
        found[clip] = loaded(x)[0]
        if dtype == np.float32:
            np.testing.assert_allclose(found[clip], in_runtime(data, {"x": x})[0], atol=2e-6)
        assert "native: " in repr(loaded)
        with monkeypatch.context() as patch:
            patch.setattr(recurrent, "kernel_of", lambda *_: None)
            in_numpy = fonnx.load(data)(x)[0]
        np.testing.assert_allclose(found[clip], in_numpy, atol=tolerance)
    np.testing.assert_allclose(found[50.0], found[None], atol=tolerance)
    assert np.abs(found[0.5] - found[None]).max() > 1e-3


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("op", GATES)
def test_against_the_reference_evaluator(op: str, biased: bool) -> None:
    """Forward and with the usual activations, which is what it has."""
    rng = np.random.default_rng(8)
    T, N, I, H = 4, 2, 3, 5
    weights = recurrent_weights(op, rng, I, H)
    states = ["h", "c"][: 1 + (op == "LSTM")]
    given = ["x", "W", "R", "B" if biased else "", "", *states]
    outputs = ["y", "yh"]
    inputs = [value("x", shape=(T, N, I)), *(value(s, shape=(1, N, H)) for s in states)]
    data = model(
        [node(op, given, outputs, hidden_size=H), node("Relu", ["y"], ["z"])],
        inputs,
        [value(name) for name in (*outputs, "z")],
        weights,
    )
    feeds = {"x": rng.standard_normal((T, N, I)).astype(np.float32)}
    feeds |= {s: rng.standard_normal((1, N, H)).astype(np.float32) for s in states}
    expected = ReferenceEvaluator(data).run(None, feeds)
    for got, want in zip(fonnx.load(data).run(feeds).values(), expected, strict=True):
        np.testing.assert_allclose(got, want, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("op", GATES)
def test_rows_first(op: str) -> None:
    """layout=1, which ONNX Runtime does not have: the same as layout=0, turned."""
    rng = np.random.default_rng(3)
    T, N, I, H = 5, 3, 4, 6
    constants, states = recurrent_weights(op, rng, I, H, 2), 1 + (op == "LSTM")
    outputs = ["y", "yh", "yc"][: 1 + states]
    x = rng.standard_normal((T, N, I)).astype(np.float32)
    given = [rng.standard_normal((2, N, H)).astype(np.float32) for _ in range(states)]
    found = []
    for layout in (0, 1):
        inputs = ["x", "W", "R", "B", "", "h", "c"][: 5 + states]
        data = model(
            [node(op, inputs, outputs, hidden_size=H, direction="bidirectional", layout=layout)],
            [value("x"), *(value(name) for name in ("h", "c")[:states])],
            [value(name) for name in outputs],
            constants,
        )
        turn = (lambda a: a.swapaxes(0, 1)) if layout else (lambda a: a)
        found.append(fonnx.load(data)(turn(x), *(turn(s) for s in given)))
    y, *ends = found[0]
    np.testing.assert_array_equal(found[1][0], y.transpose(2, 0, 1, 3))
    for got, want in zip(found[1][1:], ends, strict=True):
        np.testing.assert_array_equal(got, want.swapaxes(0, 1))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("per_gate", [False, True])
def test_dynamic_quantize_lstm(direction: str, per_gate: bool) -> None:
    """As near as one step of the rounding, which an ulp decides now and then.

    Of the 8 bits of weights 7 are used: without VNNI, ONNX Runtime cuts off sums of larger pairs.
    """
    rng = np.random.default_rng(5)
    T, N, I, H, D = 6, 2, 8, 16, 1 + (direction == "bidirectional")
    shape = (D, 4 * H) if per_gate else (D,)
    constants = {
        "W": rng.integers(-63, 64, (D, I, 4 * H)).astype(np.int8),
        "R": rng.integers(-63, 64, (D, H, 4 * H)).astype(np.int8),
        "B": (rng.standard_normal((D, 8 * H)) * 0.1).astype(np.float32),
        "ws": np.full(shape, 0.008, np.float32),
        "wz": np.zeros(shape, np.int8),
        "rs": np.full(shape, 0.006, np.float32),
        "rz": np.zeros(shape, np.int8),
    }
    inputs = ["x", "W", "R", "B", "", "", "", "", "ws", "wz", "rs", "rz"]
    made = node(
        "DynamicQuantizeLSTM", inputs, ["y", "h", "c"], hidden_size=H, direction=direction,
        domain="com.microsoft",
    )  # fmt: skip
    data = model(
        [made],
        [value("x", shape=(T, N, I))],
        [value("y"), value("h"), value("c")],
        constants,
        domains=["com.microsoft"],
    )
    compare(data, {"x": rng.standard_normal((T, N, I)).astype(np.float32)}, 2e-3)


def test_double_precision() -> None:
    rng = np.random.default_rng(6)
    weights = recurrent_weights("LSTM", rng, 3, 5, dtype=np.float64)
    data = model(
        [node("LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=5)],
        [value("x", np.float64)],
        [value("y", np.float64)],
        weights,
    )
    x = rng.standard_normal((4, 2, 3))
    (y,) = fonnx.load(data)(x)
    single = {name: array.astype(np.float32) for name, array in weights.items()}
    narrow = model(
        [node("LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=5)],
        [value("x")],
        [value("y")],
        single,
    )
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, fonnx.load(narrow)(x.astype(np.float32))[0], atol=1e-6)


def test_lengths_outside_are_refused() -> None:
    weights = recurrent_weights("GRU", np.random.default_rng(0), 2, 3)
    data = model(
        [node("GRU", ["x", "W", "R", "B", "n"], ["y"], hidden_size=3, name="reader")],
        [value("x"), value("n", np.int32)],
        [value("y")],
        weights,
    )
    loaded = fonnx.load(data)
    x = np.zeros((4, 2, 2), np.float32)
    loaded(x, np.array([4, 1], np.int32))
    with pytest.raises(fonnx.OnnxError, match=r"node 'reader' \(GRU\): sequence_lens .* 0 to 4"):
        loaded(x, np.array([5, 1], np.int32))
