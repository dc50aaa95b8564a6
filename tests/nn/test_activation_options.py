"""The options of layers and cells that name their activations."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import fastlstm as fl

MAKE: dict[str, Any] = {
    "lstm": lambda **options: fl.LSTM(3, 5, 2, rng=0, **options),
    "peepholes": lambda **options: fl.PeepholeLSTM(3, 5, 2, rng=0, **options),
    "gru": lambda **options: fl.GRU(3, 5, 2, rng=0, **options),
    "gru before": lambda **options: fl.GRU(3, 5, 2, rng=0, reset_after=False, **options),
    "lstm cell": lambda **options: fl.LSTMCell(3, 5, rng=0, **options),
    "gru cell": lambda **options: fl.GRUCell(3, 5, rng=0, **options),
}
OTHERS = {"activation": "relu", "recurrent_activation": ("hard_sigmoid", 1 / 6, 0.5)}
each_make = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


@pytest.fixture(autouse=True)
def not_numba(backend_isa: str) -> None:
    if backend_isa == "numba":
        pytest.skip("it has the usual activations alone")


@each_make
def test_copies_keep_the_activations(make: Any) -> None:
    layer, usual = make(**OTHERS), make()
    x = np.random.default_rng(1).standard_normal((4, 3)).astype("f4")

    def run(layer: Any) -> Any:
        result = layer(x[:, None] if hasattr(layer, "num_layers") else x)
        while isinstance(result, (tuple, list)):
            result = result[0]
        return result

    expected = run(layer)
    assert not np.allclose(expected, run(usual))
    for made in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        np.testing.assert_array_equal(run(made), expected)
        assert repr(made) == repr(layer)
    assert "activation=relu, recurrent_activation=('hard_sigmoid', 0.1666" in repr(layer)
    assert "activation" not in repr(usual)


@each_make
def test_activations_are_checked(make: Any) -> None:
    with pytest.raises(ValueError, match="activation is 'mish', expected one of tanh, sigmoid"):
        make(activation="mish")
    with pytest.raises(ValueError, match=r"recurrent_activation is \('relu', 1, 2\), expected"):
        make(recurrent_activation=("relu", 1, 2))
    with pytest.raises(TypeError, match=r"activation\[1\] is 'a', expected a number"):
        make(activation=("hard_sigmoid", "a", 2))
    with pytest.raises(ValueError, match="expected finite numbers"):
        make(activation=("hard_sigmoid", 1, np.inf))
    layer = make(activation="relu")
    with pytest.raises(AttributeError, match="activation is 'relu' and cannot become 'tanh'"):
        layer.activation = "tanh"
    assert make(activation=("hard_sigmoid", 0.2, 0.5)).activation == "hard_sigmoid"


@each_make
def test_other_activations_refuse_lower_precision(make: Any) -> None:
    with pytest.raises(ValueError, match="with activation 'relu' and recurrent_activation"):
        make(activation="relu", precision="bfloat16")
    with pytest.raises(ValueError, match="expected 'float32'"):
        make(activation="relu").precision = "int8"


@pytest.mark.parametrize("kind", ["lstm", "peepholes", "gru", "gru before"])
def test_streams_and_traces_have_the_activations(kind: str) -> None:
    layer = MAKE[kind](**OTHERS)
    x = np.random.default_rng(1).standard_normal((6, 2, 3)).astype("f4")
    y, _ = layer(x)
    stream = layer.stream(2)
    np.testing.assert_array_equal(np.stack([stream(step).copy() for step in x]), y)
    again = copy.deepcopy(stream)
    again.reset()
    np.testing.assert_array_equal(np.stack([again(step).copy() for step in x]), y)
    gates = layer.trace(x)[0]
    gate = gates["z" if kind.startswith("gru") else "i"]
    assert ((gate == 0) | (gate == 1)).any() or gate.min() >= 0
    assert (gates["n" if kind.startswith("gru") else "g"] >= 0).all()


def test_nonlinearities_of_plain_nets() -> None:
    x = np.random.default_rng(1).standard_normal((6, 2, 3)).astype("f4")
    layer = fl.RNN(3, 5, nonlinearity="linear", rng=0)
    y, h = layer(x)
    a = layer.state_dict()
    expected = np.zeros((2, 5))
    for step in x:
        expected = (
            step @ a["weight_ih_l0"].T
            + a["bias_ih_l0"]
            + a["bias_hh_l0"]
            + (expected @ a["weight_hh_l0"].T)
        )
    np.testing.assert_allclose(h[0], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(y[-1], h[0])
    assert "nonlinearity=linear" in repr(layer)
    with pytest.raises(ValueError, match="nonlinearity is 'gelu', expected one of tanh"):
        fl.RNNCell(3, 5, nonlinearity="gelu")
