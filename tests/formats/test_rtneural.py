"""RTNeural's JSON, as its own exporter makes it of a Keras model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_cases import import_keras

import fastlstm as fl

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def exported(model: Any) -> dict[str, Any]:
    """What RTNeural's python/model_utils.py writes, in the words of Keras 3."""
    kinds = {"TimeDistributed": "time-distributed-dense", "BatchNormalization": "batchnorm"}
    layers = []
    for layer in model.layers:
        kind = type(layer).__name__
        inner = layer.layer if kind == "TimeDistributed" else layer
        activation = getattr(getattr(inner, "activation", None), "__name__", "")
        about: dict[str, Any] = {
            "type": kinds.get(kind, kind.lower()),
            "activation": "" if activation == "linear" else activation,
            "shape": list(layer.output.shape),
            "weights": [w.tolist() for w in layer.get_weights()],
        }
        if kind == "Conv1D":
            about |= {"kernel_size": list(layer.kernel_size), "dilation": list(layer.dilation_rate)}
        if kind == "BatchNormalization":
            about["epsilon"] = layer.epsilon
        layers.append(about)
    return {"in_shape": list(model.input_shape), "layers": layers}


def written(document: Any, path: Path) -> Path:
    path.write_text(json.dumps(document, indent=4))
    return path


def test_a_model_of_keras_through_rtneural(tmp_path: Path) -> None:
    keras = import_keras()
    L = keras.layers
    model = keras.Sequential([
        L.Input((None, 2)),
        L.Conv1D(4, 3, dilation_rate=2, padding="causal", activation="tanh"),
        L.BatchNormalization(),
        L.PReLU(shared_axes=[1]),
        L.TimeDistributed(L.Dense(5, activation="relu")),
        L.LSTM(6, return_sequences=True),
        L.GRU(3, return_sequences=True),
        L.Activation("sigmoid"),
        L.Dense(2, activation="softmax"),
        L.Dense(1),
    ])  # fmt: skip
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape) - 0.05 for w in model.get_weights()])
    loaded = fl.load(written(exported(model), tmp_path / "model.json"))
    x = rng.standard_normal((2, 9, 2)).astype("float32")
    expected = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(loaded(x), expected, atol=2e-6)
    fl.save(loaded, tmp_path / "own.safetensors")
    assert (fl.load(tmp_path / "own.safetensors")(x) == loaded(x)).all()


def lstm(size: int = 2, units: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    shapes = (size, 4 * units), (units, 4 * units), (4 * units,)
    weights = [rng.normal(0, 0.5, shape).tolist() for shape in shapes]
    return {"type": "lstm", "activation": "tanh", "shape": [None, None, units], "weights": weights}


def test_an_lstm_by_its_formula(tmp_path: Path) -> None:
    layer = lstm()
    document = {"in_shape": [None, None, 2], "layers": [layer]}
    model = fl.load(written(document, tmp_path / "a.json"))
    kernel, recurrent, bias = (np.array(w) for w in layer["weights"])
    x = np.random.default_rng(0).standard_normal((1, 4, 2)).astype("float32")
    h = c = np.zeros((1, 3))
    for t in range(4):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        np.testing.assert_allclose(model(x)[:, t], h, atol=1e-6)


def test_the_mark_of_utf_8_before_a_model(tmp_path: Path) -> None:
    document = {"in_shape": [None, None, 2], "layers": [lstm()]}
    path = written(document, tmp_path / "a.json")
    expected = fl.load(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    x = np.ones((1, 3, 2), "float32")
    assert (fl.load(path)(x) == expected(x)).all()


CONV = {"type": "conv1d", "kernel_size": [1], "dilation": [1], "weights": [[[[1.0]] * 2], [0.5]]}
DENSE = {"type": "dense", "activation": "", "shape": [None, 1], "weights": [[[1.0]] * 3, [0.5]]}


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([{**DENSE, "type": "conv2d"}], r"layers\[0\] is of type 'conv2d', expected one of dense"),
        ([5], r"layers\[0\] is of type None"),
        ([], "has not the in_shape and the list of layers"),
        ([lstm(), {**DENSE, "activation": "gelu"}], r"layers\[1\], a dense: .*'gelu'"),
        ([lstm(), {**DENSE, "shape": [None, 2]}], "it takes 3 numbers and gives 1, expected 3 and"),
        ([lstm(3), DENSE], r"layers\[0\], a lstm: it takes 3 numbers and gives 3, expected 2"),
        ([{**lstm(), "weights": [1, 2]}], "expected 3 arrays"),
        ([{**lstm(), "weights": [[["a"]], [[1.0]], [1.0]]}], "expected numbers on 2 axes"),
        ([{**lstm(), "weights": [[[1.0], [1.0, 2.0]], [[1.0]], [1.0]]}], "a lstm: "),
        ([{**lstm(), "activation": "relu"}], "its activation is 'relu', expected tanh"),
        ([{**lstm(), "shape": "x"}], "a shape is 'x', expected a list"),
        ([{**CONV, "dilation": [1 << 40]}], "dilation is 1099511627776, expected at most 65,536"),
        ([{**CONV, "kernel_size": [2]}], r"its kernel_size is \[2\], its kernel of 1"),
        ([{"type": "prelu", "weights": [0.5] * 3}], "it has 3 slopes, expected 2 or one"),
        ([{"type": "batchnorm", "weights": [[1.0, 1.0], [-1.0, 1.0]]}], "its variance is not"),
        ([{"type": "batchnorm", "weights": [[1.0, 1.0], [1.0]]}], "2, 1 numbers, expected as many"),
        ([{"type": "batchnorm", "weights": None}], "its weights are None, expected 2 or 4 arrays"),
        ([{"type": "lstm"}], r"layers\[0\], a lstm: it has no 'weights'"),
        (
            [{**lstm(), "weights": [*lstm()["weights"][:2], [0.0] * 24]}],
            r"its bias has shape \(24,",
        ),
        ([{**lstm(), "weights": [[[1.0], [1.0, 2.0]], [[1.0]], [1.0]]}], "unequal lists"),
    ],
)
def test_layers_that_do_not_fit(layers: Any, told: str, tmp_path: Path) -> None:
    path = written({"in_shape": [None, None, 2], "layers": layers}, tmp_path / "a.json")
    with pytest.raises(ValueError, match=told) as raised:
        fl.load(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("text", ['{"in_shape": [1]', "{}", '{"a": 1e999}', "{" * 50])
def test_json_that_is_no_model(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json cannot be read as RTNeural's JSON"):
        fl.load(tmp_path / "a.json")
