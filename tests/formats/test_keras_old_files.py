"""Layouts of earlier versions of Keras, written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_cases import (
    QUIET,
    I,
    L,
    U,
    arrays,
    h5py,
    keras,
    numbers,
    output,
)

import fastlstm as fl

pytestmark = QUIET


def write_old(path: Path, layers: dict[str, dict[str, Any]], config: Any = None) -> Path:
    """A file of Keras 2: the arrays of each layer by their names there."""
    with h5py.File(path, "w") as file:
        root: Any = file
        if config is not None:
            file.attrs["model_config"] = json.dumps(config).encode()
            root = file.create_group("model_weights")
        root.attrs["layer_names"] = np.array([name.encode() for name in layers])
        for name, arrays in layers.items():
            group = root.create_group(name)
            names = [own.encode() for own in arrays]
            group.attrs["weight_names"] = np.array(names) if names else np.zeros(0, "S1")
            for own, array in arrays.items():
                group[own] = array
    return path


def in_keras(layer: Any, weights: list[Any], x: Any) -> Any:
    model = keras.Sequential([L.Input((None, I)), layer])
    model.set_weights(weights)
    return output(model, x)


@pytest.mark.parametrize("colon", [":0", ""])
@pytest.mark.parametrize("kind", ["lstm", "gru", "gru one bias"])
def test_old_weights_alone(kind: str, colon: str, tmp_path: Path) -> None:
    gates, bias = {"lstm": (4, (16,)), "gru": (3, (2, 12)), "gru one bias": (3, (12,))}[kind]
    given = arrays(gates, *bias)
    names = [f"layer_1/{part}{colon}" for part in ("kernel", "recurrent_kernel", "bias")]
    dense = {f"dense_1/kernel{colon}": numbers(U, 2), f"dense_1/bias{colon}": numbers(2)}
    path = write_old(
        tmp_path / "old.h5",
        {"layer_1": dict(zip(names, given, strict=True)), "drop": {}, "dense_1": dense},
    )
    layers = fl.load(path)
    make = L.LSTM(U) if kind == "lstm" else L.GRU(U, reset_after=kind == "gru")
    y = in_keras(make, given, numbers())
    np.testing.assert_allclose(layers["layer_1"](numbers())[0][:, -1], y, atol=2e-6)
    assert (layers["dense_1"].weight.data == dense[f"dense_1/kernel{colon}"].T).all()


def cudnn(given: list[Any], gates: int, two: Any) -> list[Any]:
    """The arrays of a layer as its CuDNN twin has them."""
    kernel, recurrent, _ = given
    kernels = [
        np.ascontiguousarray(k.T).reshape(k.shape, order="C") for k in np.split(kernel, gates, 1)
    ]
    recurrents = [k.T for k in np.split(recurrent, gates, 1)]
    return [np.concatenate(kernels, 1), np.concatenate(recurrents, 1), np.ravel(two)]


@pytest.mark.parametrize("kind", ["CuDNNLSTM", "CuDNNGRU"])
@pytest.mark.parametrize("whole", [False, True])
def test_the_layout_of_cudnn(kind: str, whole: bool, tmp_path: Path) -> None:
    gates = 4 if kind == "CuDNNLSTM" else 3
    given = arrays(gates, 2, gates * U)
    two = given[2]
    theirs = [given[0], given[1], two.sum(axis=0) if gates == 4 else two]
    stored = cudnn(given, gates, two)
    names = [f"rnn/{part}:0" for part in ("kernel", "recurrent_kernel", "bias")]
    config = {
        "class_name": "Sequential",
        "config": [{"class_name": kind, "config": {"name": "rnn", "units": U}}],
    }
    path = write_old(
        tmp_path / "old.h5",
        {"rnn": dict(zip(names, stored, strict=True))},
        config if whole else None,
    )
    y = in_keras((L.LSTM if gates == 4 else L.GRU)(U), theirs, numbers())
    found = fl.load(path)
    mine = found(numbers()) if whole else found["rnn"](numbers())[0][:, -1]
    np.testing.assert_allclose(mine, y, atol=2e-6)


def test_an_old_bidirectional_model(tmp_path: Path) -> None:
    first, second = arrays(3, 12), [a[..., ::-1].copy() for a in arrays(3, 12)]
    stored = {
        f"bi/{direction}_gru/{part}:0": array
        for direction, three in (("forward", first), ("backward", second))
        for part, array in zip(("kernel", "recurrent_kernel", "bias"), three, strict=True)
    }
    config = {
        "class_name": "Sequential",
        "config": {"layers": [
            {"class_name": "Bidirectional", "config": {
                "name": "bi", "merge_mode": "concat", "layer": {
                    "class_name": "GRU",
                    "config": {"name": "gru", "units": U, "return_sequences": True}}}},
        ]},
    }  # fmt: skip
    model = fl.load(write_old(tmp_path / "old.h5", {"bi": stored}, config))
    layer = L.Bidirectional(L.GRU(U, reset_after=False, return_sequences=True))
    y = in_keras(layer, [*first, *second], numbers())
    np.testing.assert_allclose(model(numbers()), y, atol=2e-6)
    layers = fl.load(write_old(tmp_path / "weights.h5", {"bi": stored}))
    np.testing.assert_allclose(layers["bi"](numbers())[0], y, atol=2e-6)


@pytest.mark.parametrize("version", [None, "1.2.2", "2.15.0", "3.3.0"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_the_hard_sigmoid_of_a_version(version: str | None, wrapped: bool, tmp_path: Path) -> None:
    """Before Keras 3 it was steeper, and the usual gate of its recurrent layers."""
    given = arrays(4, 16)
    slope = 1 / 6 if version == "3.3.0" else 0.2
    names = [f"rnn/{part}:0" for part in ("kernel", "recurrent_kernel", "bias")]
    options = {"name": "rnn", "units": U, "recurrent_activation": "hard_sigmoid"}
    layer = {"class_name": "LSTM", "config": options}
    if wrapped:
        cell = {"class_name": "LSTMCell", "config": options}
        layer = {"class_name": "RNN", "config": {"name": "rnn", "cell": cell}}
    config = {"class_name": "Sequential", "config": [layer]}
    path = write_old(tmp_path / "old.h5", {"rnn": dict(zip(names, given, strict=True))}, config)
    if version is not None:
        with h5py.File(path, "a") as file:
            file.attrs["keras_version"] = version.encode()
    hard = L.LSTM(U, recurrent_activation=lambda z: keras.ops.clip(slope * z + 0.5, 0, 1))
    np.testing.assert_allclose(
        fl.load(path)(numbers()), in_keras(hard, given, numbers()), atol=2e-6
    )
