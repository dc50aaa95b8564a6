"""Files that Keras wrote, read as models and layers; Keras itself is the judge."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from format_cases import same_bits
from keras_cases import (
    QUIET,
    I,
    L,
    T,
    U,
    keras,
    numbers,
    output,
    randomized,
    sequential,
    words,
)

import fastlstm as fl
from fastlstm.formats.keras import weights as keras_weights
from fastlstm.formats.layers import Layers
from fastlstm.formats.recurrence import Recurrence
from fastlstm.formats.sequential import Sequential

pytestmark = QUIET


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
    "other activations": lambda: sequential(
        L.LSTM(U, return_sequences=True, recurrent_activation="hard_sigmoid"),
        L.Bidirectional(L.GRU(U, activation="softsign", return_sequences=True)),
        L.RNN(L.GRUCell(U, reset_after=False, recurrent_activation="hard_sigmoid",
                        activation="relu"), return_sequences=True),
        L.SimpleRNN(U, activation="hard_sigmoid", return_sequences=True),
        L.LSTM(U, activation="linear", recurrent_activation="relu"),
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
    "zeros after masking": lambda: sequential(
        L.Masking(-1.0), L.LSTM(U, zero_output_for_mask=True)
    ),
    "zeros backwards after masking": lambda: sequential(
        L.Masking(-1.0), L.GRU(U, zero_output_for_mask=True, go_backwards=True), L.Dense(2)
    ),
    "no zeros both ways after masking": lambda: sequential(
        L.Masking(-1.0), L.Bidirectional(L.LSTM(U, zero_output_for_mask=True))
    ),
    "reshaped": lambda: randomized(keras.Sequential([
        L.Input((T, I)), L.GRU(U, return_sequences=True), L.Reshape((T * U,)), L.Dense(2),
    ])),
    "functional": lambda: randomized(_functional()),
    "words": lambda: randomized(keras.Sequential([
        L.Input((None,), dtype="int32"), L.Embedding(7, I, mask_zero=True),
        L.Bidirectional(L.LSTM(U, return_sequences=True)), L.GRU(U), L.Dense(3, "softmax"),
    ])),
    "words, all steps": lambda: randomized(keras.Sequential([
        L.Input((None,), dtype="int32"), L.Embedding(7, I, mask_zero=True),
        L.LSTM(U, return_sequences=True), L.GlobalAveragePooling1D(),
    ])),
    "functional masking": lambda: randomized(_functional_masking()),
    "functional words": lambda: randomized(_functional_words()),
}  # fmt: skip


def _functional() -> Any:
    x = inputs = keras.Input((None, I))
    for layer in (L.LSTM(U, return_sequences=True), L.Dropout(0.5), L.GRU(U), L.Dense(2)):
        x = layer(x)
    return keras.Model(inputs, x)


def _functional_masking() -> Any:
    inputs = keras.Input((None, I))
    x = L.GRU(U, return_sequences=True)(L.Masking(-1.0)(inputs))
    return keras.Model(
        inputs, L.GlobalAveragePooling1D()(L.Bidirectional(L.LSTM(U, return_sequences=True))(x))
    )


def _functional_words() -> Any:
    inputs = keras.Input((None,), dtype="int32")
    x = L.Embedding(7, I, mask_zero=True)(inputs)
    x = L.Bidirectional(L.GRU(U, return_sequences=True))(x)
    return keras.Model(inputs, L.Dense(2)(L.LSTM(U)(x)))


def input_of(name: str) -> Any:
    x = words() if "words" in name else numbers()
    if name.endswith("masking"):
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


def test_what_cannot_be_run_is_named_and_left_out(tmp_path: Path) -> None:
    theirs = sequential(
        L.LSTM(U, return_sequences=True, recurrent_activation="elu"),
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
    assert "its recurrent_activation is elu, expected one of tanh, sigmoid" in told
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


@pytest.mark.parametrize("value", [0, 5])
@pytest.mark.parametrize("zero", [False, True])
def test_a_mask_of_the_users_own(value: int, zero: bool, tmp_path: Path) -> None:
    """It is not taken for that of the Embedding, which is another one or is not there."""
    inputs = keras.Input((None,), dtype="int32")
    x = L.Embedding(7, I, mask_zero=zero)(inputs)
    y = L.GRU(U)(x, mask=keras.ops.not_equal(inputs, value))
    theirs = randomized(keras.Model(inputs, y))
    theirs.save(tmp_path / "a.keras")
    found = fl.load(tmp_path / "a.keras")
    if type(found) is Sequential:
        np.testing.assert_allclose(found(words()), output(theirs, words()), atol=2e-6)
    else:
        assert "mask of its own" in found.left_out["the graph"]
    assert (type(found) is Sequential) == (zero and value == 0)


def test_a_reshape_that_does_not_flatten_is_refused(tmp_path: Path) -> None:
    turned = L.Reshape((I, T), name="turned")
    keras.Sequential([L.Input((T, I)), turned, L.GRU(U)]).save(tmp_path / "a.keras")
    layers = fl.load(tmp_path / "a.keras")
    assert "expected one number: a flat row" in layers.left_out["turned"]


def test_states_that_are_kept_are_refused(tmp_path: Path) -> None:
    model = keras.Sequential([L.Input(batch_shape=(2, 5, I)), L.LSTM(U, stateful=True)])
    model.save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="none of its layers can be run: .*stateful is True"):
        fl.load(tmp_path / "a.keras")


def test_two_directions_have_zeros_at_masked_steps_whatever_is_written(tmp_path: Path) -> None:
    """Keras sets the option as it reads a file; Keras 2 wrote the one of the layer inside."""
    inner = L.GRU(U, return_sequences=True)
    model = randomized(keras.Sequential([L.Input((None, I)), L.Masking(), L.Bidirectional(inner)]))
    model.save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    written = members["config.json"].replace(b'mask": true', b'mask": false')
    assert written != members["config.json"]
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, written if name == "config.json" else data)
    x = numbers()
    x[0, 2] = x[1, 4:] = 0
    theirs = keras.saving.load_model(tmp_path / "b.keras", compile=False)
    np.testing.assert_allclose(fl.load(tmp_path / "b.keras")(x), output(theirs, x), atol=2e-6)
