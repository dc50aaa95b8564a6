"""What is written for Keras runs there, with the same results."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import filled
from keras_cases import (
    QUIET,
    I,
    N,
    T,
    U,
    keras,
    numbers,
    output,
    randomized,
    words,
)

import fastlstm as fl
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

pytestmark = QUIET


def same_in_keras(model: Any, path: Path, x: Any, expected: Any) -> None:
    fl.save(model, path)
    theirs = keras.saving.load_model(path, compile=False)
    np.testing.assert_allclose(output(theirs, x), expected, atol=2e-6)


HARD = ("hard_sigmoid", 1 / 6, 0.5)  # Keras 3's
WRITTEN: dict[str, Any] = {
    "lstm": lambda: filled(fl.LSTM(I, U, 2, bidirectional=True)),
    "gru": lambda: filled(fl.GRU(I, U, batch_first=True)),
    "gru, reset before": lambda: filled(fl.GRU(I, U, reset_after=False, bias=False)),
    "rnn": lambda: filled(fl.RNN(I, U, nonlinearity="relu")),
    "other activations": lambda: [
        filled(fl.LSTM(I, U, activation="softsign", recurrent_activation=HARD)),
        filled(fl.GRU(U, U, activation="linear", recurrent_activation="relu", bidirectional=True)),
        filled(fl.RNN(2 * U, U, nonlinearity=HARD)),
    ],
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
    "flat, then sized": lambda: [
        filled(fl.GRU(I, 2)), Flatten(), Activation("relu"), filled(fl.Linear(2 * T, 3)),
    ],
    "flat words": lambda: [filled(fl.Embedding(7, I)), Flatten(), filled(Scale(I * T))],
    "masked words": lambda: [
        MaskZero(), filled(fl.Embedding(7, I)), filled(Recurrence(fl.LSTM(I, U), "mean")),
    ],
    "masked": lambda: [Masking(-1.0), filled(Recurrence(fl.GRU(I, U), "last"))],
    "masked, largest": lambda: [Masking(-1.0), filled(fl.GRU(I, U)), Pool("max")],
    "masked, in two directions": lambda: [
        Masking(-1.0), filled(Recurrence(fl.GRU(I, U, bidirectional=True), zero_masked=True)),
    ],
    "masked, its masked steps unused": lambda: [
        Masking(-1.0), filled(fl.GRU(I, U, bidirectional=True)),
        filled(Recurrence(fl.LSTM(2 * U, U, bidirectional=True), merge="ave")), Pool("mean"),
    ],
    "masked, then convolved": lambda: [
        Masking(-1.0), filled(Conv1D(I, I, 2)), filled(Recurrence(fl.GRU(I, U), "max")),
    ],
    "inside one another": lambda: [
        Sequential([filled(fl.GRU(I, U)), Sequential([filled(fl.Linear(U, 2))])]), Pool("max"),
    ],
    "mean of a sum": lambda: [
        filled(Recurrence(fl.LSTM(I, U, bidirectional=True), "mean", merge="sum")),
    ],
    "masked, last or zero": lambda: [
        Masking(-1.0), filled(Recurrence(fl.GRU(I, U), "last", zero_masked=True)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_runs_in_keras(name: str, ending: str, tmp_path: Path) -> None:
    model = WRITTEN[name]()
    x = words() if "words" in name else numbers(N, I) if name == "linear" else numbers()
    if name.startswith("masked,") or name == "masked":
        x[0, 4:] = x[1, 0] = -1
    if name == "float64":
        x = x.astype("float64")
    stack = model if isinstance(model, list) else [model]
    expected = Sequential(stack)(x)
    same_in_keras(model, tmp_path / f"a.{ending}", x, expected)
    again = fl.load(tmp_path / f"a.{ending}")
    np.testing.assert_allclose(again(x), expected, atol=1e-6)


def test_a_hard_sigmoid_of_another_slope_is_none_of_kerass(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="alpha 0.2 and beta 0.5, expected Keras 3's"):
        fl.save(fl.GRU(I, U, recurrent_activation="hard_sigmoid"), tmp_path / "a.keras")


@pytest.mark.parametrize("ending", ["keras", "onnx"])
def test_flat_rows_do_not_tell_how_wide_steps_are(ending: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no layer that tells how many numbers it takes"):
        fl.save([Flatten(), fl.Linear(6, 2)], tmp_path / f"a.{ending}")


def test_a_maximum_of_unmasked_steps_is_none_of_kerass(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its maximum leaves masked steps out"):
        fl.save([Masking(-1.0), Recurrence(fl.GRU(I, U), "max")], tmp_path / "a.keras")


def test_both_ends_or_zeros_are_none_of_kerass(tmp_path: Path) -> None:
    both = Recurrence(fl.GRU(I, U, bidirectional=True), "last", zero_masked=True)
    with pytest.raises(ValueError, match="its last output is zero where masked"):
        fl.save([Masking(-1.0), both], tmp_path / "a.keras")


def two(output: str, **options: Any) -> Any:
    return Recurrence(fl.GRU(I, U, bidirectional=True), output, **options)


@pytest.mark.parametrize(
    "model",
    [
        [two("all")],
        [two("all"), fl.Linear(2 * U, 2), Activation("tanh")],
        [two("all"), Pool("max")],
        [two("all"), Conv1D(2 * U, 2, 2)],
        [two("all"), Flatten()],
    ],
)
def test_bidirectional_has_zeros_at_masked_steps(model: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 cannot .*where Bidirectional has zeros.*zero_masked"):
        fl.save([Masking(-1.0), *model], tmp_path / "a.keras")


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (two("max", merge="sum"), "its merge is 'sum' of each direction's max"),
        (two("max", merge="ave"), "its merge is 'ave' of each direction's max"),
        (two("mean", merge="mul"), "its merge is 'mul' of each direction's mean"),
    ],
)
def test_what_is_merged_behind_a_pooling(layer: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told):
        fl.save(layer, tmp_path / "a.keras")


def test_a_mean_of_masked_steps_backwards(tmp_path: Path) -> None:
    layer = Recurrence(fl.GRU(I, U), "mean", backwards=True)
    with pytest.raises(ValueError, match="it goes backwards into a mean"):
        fl.save([Masking(-1.0), layer], tmp_path / "a.keras")


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
        (lambda: fl.LSTMCell(2, 2), "model is a LSTMCell, which makes one step"),
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


def test_both_directions_are_written_as_keras_does(tmp_path: Path) -> None:
    """Of one alone Keras makes the other, and mixes up those of several layers now and then."""
    fl.save(WRITTEN["lstm"](), tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    both = [layer["config"] for layer in layers if layer["class_name"] == "Bidirectional"]
    assert len(both) == 2
    for one in both:
        forward, back = one["layer"]["config"], one["backward_layer"]["config"]
        assert {**forward, "go_backwards": True, "name": back["name"]} == back
        assert not forward["go_backwards"]
