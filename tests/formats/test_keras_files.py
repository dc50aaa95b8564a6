"""Keras's files of every layout, read and written; Keras itself is the judge."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from format_cases import filled, import_keras, same_bits

import fastlstm as fl
from fastlstm.formats.keras import weights as keras_weights
from fastlstm.formats.layers import Layers
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential
from fastlstm.formats.steps import (
    Activation,
    Conv1D,
    Flatten,
    Masking,
    MaskZero,
    Pool,
    PReLU,
    Scale,
)

keras = import_keras()
h5py = pytest.importorskip("h5py")
L = keras.layers
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*destroy the mask information:UserWarning"),
]
I, U, T, N = 3, 4, 6, 3  # noqa: E741


def randomized(model: Any) -> Any:
    rng = np.random.default_rng(0)
    model.set_weights([np.abs(rng.normal(0, 0.5, w.shape)) if "variance" in name else
                       rng.normal(0, 0.5, w.shape)
                       for w, name in zip(model.get_weights(), [v.path for v in model.weights],
                                          strict=True)])  # fmt: skip
    return model


def output(model: Any, x: Any) -> Any:
    return keras.ops.convert_to_numpy(model(x))


def numbers(*shape: int) -> Any:
    return np.random.default_rng(1).standard_normal(shape or (N, T, I)).astype("float32")


def words() -> Any:
    """Tokens with padding at either end, in between, and nowhere."""
    return np.array([[0, 0, 3, 1, 2, 4], [5, 1, 0, 2, 0, 0], [1, 2, 3, 4, 5, 6]], "int32")


def sequential(*layers: Any, dtype: str = "float32") -> Any:
    return randomized(keras.Sequential([L.Input((None, I), dtype=dtype), *layers]))


MODELS: dict[str, Any] = {
    "lstm": lambda: sequential(L.LSTM(U)),
    "lstm, all steps": lambda: sequential(L.LSTM(U, return_sequences=True, use_bias=False)),
    "lstm, backwards": lambda: sequential(L.LSTM(U, go_backwards=True, return_sequences=True)),
    "gru": lambda: sequential(L.GRU(U, return_sequences=True), L.GRU(2)),
    "gru, reset before": lambda: sequential(L.GRU(U, reset_after=False, go_backwards=True)),
    "gru without bias": lambda: sequential(L.GRU(U, use_bias=False, reset_after=True)),
    "simple rnn": lambda: sequential(L.SimpleRNN(U, activation="relu"), L.Dense(2, "tanh")),
    "cells": lambda: sequential(L.RNN(L.GRUCell(U, reset_after=False)), L.Dense(1, "sigmoid")),
    "bidirectional": lambda: sequential(
        L.Bidirectional(L.LSTM(U, return_sequences=True)), L.Bidirectional(L.GRU(U))
    ),
    "merged": lambda: sequential(
        L.Bidirectional(L.SimpleRNN(U, return_sequences=True), merge_mode="sum"),
        L.Bidirectional(L.GRU(U, reset_after=False, return_sequences=True), merge_mode="mul"),
        L.Bidirectional(L.LSTM(U), merge_mode="ave"),
    ),
    "steps": lambda: sequential(
        L.Conv1D(5, 3, padding="causal", activation="relu", dilation_rate=2),
        L.BatchNormalization(), L.PReLU(shared_axes=[1]), L.Dropout(0.3),
        L.TimeDistributed(L.Dense(4, "softmax")), L.GRU(U, return_sequences=True),
        L.LeakyReLU(negative_slope=0.1), L.GlobalAveragePooling1D(), L.Activation("elu"),
    ),
    "convolutions": lambda: randomized(keras.Sequential([
        L.Input((T, I)), L.Conv1D(4, 2, strides=2, padding="same", activation="selu"),
        L.Conv1D(3, 2, use_bias=False), L.ReLU(), L.Flatten(), L.Dense(3, "softplus"),
        L.Softmax(),
    ])),
    "masking": lambda: sequential(
        L.Masking(-1.0), L.LSTM(U, return_sequences=True), L.GlobalMaxPooling1D(), L.ELU(0.3)
    ),
    "functional": lambda: randomized(_functional()),
    "words": lambda: randomized(keras.Sequential([
        L.Input((None,), dtype="int32"), L.Embedding(7, I, mask_zero=True),
        L.Bidirectional(L.LSTM(U, return_sequences=True)), L.GRU(U), L.Dense(3, "softmax"),
    ])),
    "words, all steps": lambda: randomized(keras.Sequential([
        L.Input((None,), dtype="int32"), L.Embedding(7, I, mask_zero=True),
        L.LSTM(U, return_sequences=True), L.GlobalAveragePooling1D(),
    ])),
    "functional words": lambda: randomized(_functional_words()),
}  # fmt: skip


def _functional() -> Any:
    x = inputs = keras.Input((None, I))
    for layer in (L.LSTM(U, return_sequences=True), L.Dropout(0.5), L.GRU(U), L.Dense(2)):
        x = layer(x)
    return keras.Model(inputs, x)


def _functional_words() -> Any:
    inputs = keras.Input((None,), dtype="int32")
    x = L.Embedding(7, I, mask_zero=True)(inputs)
    x = L.Bidirectional(L.GRU(U, return_sequences=True))(x)
    return keras.Model(inputs, L.Dense(2)(L.LSTM(U)(x)))


def input_of(name: str) -> Any:
    x = words() if "words" in name else numbers()
    if name == "masking":
        x[0, 4:] = x[1, 0] = x[1, 3] = -1
    return x


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5:UserWarning")
def test_a_model_of_keras(name: str, ending: str, tmp_path: Path) -> None:
    theirs = MODELS[name]()
    theirs.save(tmp_path / f"model.{ending}")
    model = fl.load(tmp_path / f"model.{ending}")
    assert type(model) is Sequential
    x = input_of(name)
    np.testing.assert_allclose(model(x), output(theirs, x), atol=2e-6)
    fl.save(model, tmp_path / "own.safetensors")
    assert (fl.load(tmp_path / "own.safetensors")(x) == model(x)).all()


@pytest.mark.parametrize("name", ["lstm", "gru", "gru, reset before", "bidirectional", "words"])
def test_weights_alone_give_layers(name: str, tmp_path: Path) -> None:
    theirs = MODELS[name]()
    theirs.save_weights(tmp_path / "a.weights.h5")
    theirs.save(tmp_path / "a.keras")
    layers = fl.load(tmp_path / "a.weights.h5")
    model = fl.load(tmp_path / "a.keras")
    assert type(layers) is Layers
    found = [layer for layer in layers.values() if hasattr(layer, "hidden_size")]
    made = [run.layer for run in model.layers.values() if isinstance(run, Recurrence)]
    assert len(found) == len(made) > 0
    for one, other in zip(found, made, strict=True):
        same_bits(one, other)


def test_weights_that_do_not_tell(tmp_path: Path) -> None:
    MODELS["simple rnn"]().save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match=r"a plain RNN's activation is not told: say kinds="):
        fl.load(tmp_path / "a.weights.h5")
    layers = fl.load(tmp_path / "a.weights.h5", kinds={"simple_rnn": "rnn_relu"})
    assert layers["simple_rnn"].nonlinearity == "relu"
    assert layers["dense"].out_features == 2
    MODELS["gru without bias"]().save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="without biases a GRU's reset_after is not told"):
        fl.load(tmp_path / "a.weights.h5")


# ---- old layouts, written by hand -------------------------------------------------------------


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


def arrays(gates: int, *bias: int) -> list[Any]:
    rng = np.random.default_rng(2)
    return [
        rng.normal(0, 0.5, shape).astype("float32")
        for shape in ((I, gates * U), (U, gates * U), bias)
    ]


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
    kernels = [k.reshape(k.shape[::-1], order="F").T.reshape(k.shape) for k in [kernel]]
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


# ---- the self-check ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "order"),
    [("lstm", "ifog"), ("lstm", "igfo"), ("gru", "rzn"), ("gru_reset_before", "znr")],
)
def test_a_wrong_order_of_gates_is_refused(kind: str, order: str, tmp_path: Path) -> None:
    layer = {"lstm": L.LSTM(U), "gru": L.GRU(U), "gru_reset_before": L.GRU(U, reset_after=False)}
    sequential(layer[kind]).save(tmp_path / "a.keras")
    wrong = {**keras_weights.KERAS, kind: order}
    with patch.object(keras_weights, "KERAS", wrong):
        with pytest.raises(ValueError, match=f"as a {kind} its weights give other outputs"):
            fl.load(tmp_path / "a.keras")
    fl.load(tmp_path / "a.keras")


def test_a_large_layer_is_tried_too(tmp_path: Path) -> None:
    with patch.object(keras_weights, "LARGE", 0):
        for name in ("lstm", "gru, reset before", "bidirectional"):
            MODELS[name]().save(tmp_path / "a.keras")
            fl.load(tmp_path / "a.keras")
        with patch.object(keras_weights, "KERAS", {**keras_weights.KERAS, "lstm": "figo"}):
            with pytest.raises(ValueError, match="its weights give other outputs"):
                fl.load(tmp_path / "a.keras")


# ---- what cannot be run -----------------------------------------------------------------------


def test_what_cannot_be_run_is_named_and_left_out(tmp_path: Path) -> None:
    theirs = sequential(
        L.LSTM(U, return_sequences=True, recurrent_activation="hard_sigmoid"),
        L.Lambda(lambda x: x),
        L.GRU(U, return_sequences=True),
        L.LayerNormalization(),
        L.Dense(2, activation="gelu"),
    )
    theirs.save(tmp_path / "a.keras")
    layers = fl.load(tmp_path / "a.keras")
    assert type(layers) is Layers
    assert list(layers) == ["gru"] or list(layers)[0].startswith("gru")
    told = " ".join(layers.left_out.values())
    assert "its recurrent_activation is hard_sigmoid, expected sigmoid" in told
    assert "class Lambda" in told
    assert "class LayerNormalization" in told
    assert "its activation is gelu" in told
    assert "left out" in repr(layers)


def test_a_graph_that_branches(tmp_path: Path) -> None:
    inputs = keras.Input((None, I))
    one, two = L.LSTM(U)(inputs), L.GRU(U)(inputs)
    randomized(keras.Model(inputs, L.Add()([one, two]))).save(tmp_path / "a.keras")
    layers = fl.load(tmp_path / "a.keras")
    assert sorted(type(layer).__name__ for layer in layers.values()) == ["GRU", "LSTM"]
    assert "do not stand in one line" in layers.left_out["the graph"]


def test_states_that_are_kept_are_refused(tmp_path: Path) -> None:
    model = keras.Sequential([L.Input(batch_shape=(2, 5, I)), L.LSTM(U, stateful=True)])
    model.save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="none of its layers can be run: .*stateful is True"):
        fl.load(tmp_path / "a.keras")


# ---- hostile ones -----------------------------------------------------------------------------


def archive(path: Path, config: bytes, weights: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("config.json", config)
        file.writestr("model.weights.h5", weights)
    return path


def hdf5(make: Any) -> bytes:
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        make(file)
    return data.getvalue()


CONFIG = json.dumps({"class_name": "Sequential", "config": {"layers": [
    {"class_name": "LSTM", "config": {"name": "lstm", "units": U}}]}}).encode()  # fmt: skip


def _stored(file: Any, replaced: str = "", make: Any = None) -> None:
    for number, array in enumerate(arrays(4, 16)):
        name = f"layers/lstm/cell/vars/{number}"
        if str(number) == replaced:
            make(file, name)
        else:
            file[name] = array


def _external(file: Any, name: str) -> None:
    file.create_dataset(name, (16,), "f4", external=[("/etc/hostname", 0, 64)])


def _virtual(file: Any, name: str) -> None:
    layout = h5py.VirtualLayout((16,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (16,))
    file.create_virtual_dataset(name, layout)


def _links(link: Any) -> Any:
    return lambda file, name: file.__setitem__(name, link)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_external, "lies in another file: not read"),
        (_virtual, "lies in another file: not read"),
        (_links(h5py.SoftLink("/layers/lstm/cell/vars/1")), "is a link to another place"),
        (_links(h5py.ExternalLink("other.h5", "x")), "is a link to another place"),
        (
            lambda f, n: f.create_dataset(n, (1 << 40,), "f4", chunks=(16,)),
            "is in chunks, as Keras's arrays never are|larger",
        ),
        (lambda f, n: f.create_dataset(n, (16,), h5py.string_dtype()), "expected real numbers"),
        (lambda f, n: f.create_dataset(n, (16,), "c8"), "expected real numbers"),
        (lambda f, n: f.create_dataset(n, data=h5py.Empty("f4")), "expected|shape"),
        (lambda f, n: f.create_group(n), "is a group, expected an array"),
        (lambda f, n: f.create_dataset(n, data=np.zeros(7, "f4")), r"bias has shape \(7,\), exp"),
        (lambda f, n: f.create_dataset(n, data=np.full(16, np.nan, "f4")), "is nan, expected fin"),
        (lambda f, n: f.create_dataset(n, data=np.zeros(16, "i4")), "has dtype int32, expected"),
    ],
)
def test_arrays_that_are_none(make: Any, told: str, tmp_path: Path) -> None:
    data = hdf5(lambda file: _stored(file, "2", make))
    path = archive(tmp_path / "a.keras", CONFIG, data)
    with pytest.raises(ValueError, match=told) as raised:
        fl.load(path)
    assert str(path) in str(raised.value)


def test_a_packed_archive_and_a_bomb(tmp_path: Path) -> None:
    data = hdf5(_stored)
    model = fl.load(archive(tmp_path / "a.keras", CONFIG, data, zipfile.ZIP_DEFLATED))
    assert model.layers["lstm"].layer.hidden_size == U
    bomb = archive(tmp_path / "b.keras", b" " * (1 << 27), data, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"config\.json claims 134,217,728 bytes unpacked"):
        fl.load(bomb)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b"{}", "its model is of class None"),
        (b'{"class_name": "Sequential", "config": {"layers": [1]}}', "expected a list of objects"),
        (CONFIG.replace(b'"units": 4', b'"units": 5'), "layer lstm: its units are 5, its arrays"),
        (CONFIG.replace(b"LSTM", b"GRU"), "layer lstm: .*expected two kernels|its kernel has|has"),
        (CONFIG.replace(b'"units": 4', b'"units": 4, "return_sequences": 1'), "return_sequences"),
        (CONFIG.replace(b"lstm", b"gru"), "|"),
    ],
)
def test_configurations_that_do_not_fit(config: bytes, told: str, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.keras", config, hdf5(_stored))
    if told == "|":  # a name is only a name
        fl.load(path)
        return
    with pytest.raises(ValueError, match=told) as raised:
        fl.load(path)
    assert str(path) in str(raised.value)


# ---- written ----------------------------------------------------------------------------------


def same_in_keras(model: Any, path: Path, x: Any, expected: Any) -> None:
    fl.save(model, path)
    theirs = keras.saving.load_model(path, compile=False)
    np.testing.assert_allclose(output(theirs, x), expected, atol=2e-6)


WRITTEN: dict[str, Any] = {
    "lstm": lambda: filled(fl.LSTM(I, U, 2, bidirectional=True)),
    "gru": lambda: filled(fl.GRU(I, U, batch_first=True)),
    "gru, reset before": lambda: filled(fl.GRU(I, U, reset_after=False, bias=False)),
    "rnn": lambda: filled(fl.RNN(I, U, nonlinearity="relu")),
    "linear": lambda: filled(fl.Linear(I, 2)),
    "float64": lambda: filled(fl.LSTM(I, U, dtype="float64")),
    "list": lambda: [filled(fl.GRU(I, U)), filled(fl.Linear(U, 2)), Activation("softmax")],
    "last": lambda: [
        filled(Recurrence(fl.LSTM(I, U, bidirectional=True), "last", merge="sum")),
        fl.Dropout(0.2), filled(fl.Linear(U, 2, False)), Activation("leaky_relu", 0.2),
    ],
    "backwards": lambda: [filled(Recurrence(fl.LSTM(I, U), "mean", backwards=True))],
    "steps": lambda: [
        filled(Conv1D(I, 4, 2, dilation=2, padding="causal")), filled(PReLU(4)), filled(Scale(4)),
        Activation("elu", 0.7), filled(fl.GRU(4, 3)), Pool("max"),
    ],
    "flat": lambda: [filled(Conv1D(I, 2, 3, stride=2, padding="same", bias=False)), Flatten()],
    "masked words": lambda: [
        MaskZero(), filled(fl.Embedding(7, I)), filled(Recurrence(fl.LSTM(I, U), "mean")),
    ],
    "masked": lambda: [Masking(-1.0), filled(Recurrence(fl.GRU(I, U), "last"))],
}  # fmt: skip


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_runs_in_keras(name: str, ending: str, tmp_path: Path) -> None:
    model = WRITTEN[name]()
    x = words() if "words" in name else numbers(N, I) if name == "linear" else numbers()
    if name == "masked":
        x[0, 4:] = x[1, 0] = -1
    if name == "float64":
        x = x.astype("float64")
    stack = model if isinstance(model, list) else [model]
    expected = Sequential(stack)(x)
    same_in_keras(model, tmp_path / f"a.{ending}", x, expected)
    again = fl.load(tmp_path / f"a.{ending}")
    np.testing.assert_allclose(again(x), expected, atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_classifier_in_keras(pooling: str, tmp_path: Path) -> None:
    model = filled(fl.TextClassifier(7, I, U, 2, True, pooling, num_outputs=3))
    tokens = np.array([[3, 1, 2, 4, 0, 0], [5, 1, 2, 6, 2, 1], [1, 0, 0, 0, 0, 0]], "int32")
    expected = model(tokens, [4, 6, 1])
    same_in_keras(model, tmp_path / "a.keras", tokens, expected)


def test_a_language_model_in_keras(tmp_path: Path) -> None:
    model = filled(fl.LanguageModel(7, I, U, 2, projection=I, tied=True))
    tokens = words()
    logits, _ = model(np.ascontiguousarray(tokens.T))
    same_in_keras(model, tmp_path / "a.keras", tokens, logits.swapaxes(0, 1))


@pytest.mark.parametrize("name", ["gru", "last", "steps"])
def test_written_weights_fit_a_model_of_keras(name: str, tmp_path: Path) -> None:
    model = WRITTEN[name]()
    fl.save(model, tmp_path / "a.keras")
    fl.save(model, tmp_path / "a.weights.h5")
    theirs = keras.saving.load_model(tmp_path / "a.keras", compile=False)
    expected = output(theirs, numbers())
    randomized(theirs)
    theirs.load_weights(tmp_path / "a.weights.h5")
    assert (output(theirs, numbers()) == expected).all()


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda: fl.LSTM(3, 4, proj_size=2), "none like a LSTM proj_size"),
        (lambda: fl.GRU(3, 4, learn_state=True), "none like a GRU learn_state"),
        (lambda: fl.PeepholeLSTM(3, 4), "none like a PeepholeLSTM"),
        (lambda: fl.TextClassifier(9, 3, 4, pooling="mean+max"), "its output is 'mean\\+max'"),
        (lambda: fl.TextClassifier(9, 3, 4, pooling="max"), "its maximum leaves masked steps out"),
        (lambda: fl.TextClassifier(9, 3, 4, bigrams=8), "a table of bigrams"),
        (lambda: fl.models.Seq2Seq(9, 8, 4, 4), "model is a Seq2Seq, expected a layer"),
        (lambda: {"a": fl.GRU(2, 2)}, "model is a Layers, expected a layer"),
        (lambda: fl.LSTMCell(2, 2), "none like a LSTMCell"),
        (lambda: [fl.GRU(2, 2), fl.Linear(2, 2, dtype="float64")], "float32 and float64"),
    ],
)
def test_what_keras_has_not_is_named(model: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        fl.save(model(), tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.keras", "b.keras"):
        fl.save(WRITTEN["gru"](), tmp_path / name)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
