"""Wrong arguments of sequence layers: an error that names the culprit, before any kernel runs."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from kinds import layer

import fastlstm as fl
from fastlstm.nn import Tokens

pytestmark = pytest.mark.pairs

T, N, I, H = 4, 3, 5, 6


def zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros(shape, dtype)


OPTIONS = [
    ({"input_size": 0}, ValueError, "input_size is 0, expected at least 1"),
    ({"hidden_size": -1}, ValueError, "hidden_size is -1, expected at least 1"),
    ({"num_layers": 0}, ValueError, "num_layers is 0, expected at least 1"),
    ({"hidden_size": 2.5}, TypeError, "hidden_size is 2.5, expected an integer"),
    ({"input_size": True}, TypeError, "input_size is True, expected an integer"),
    ({"dropout": 1.5}, ValueError, "dropout is 1.5, expected 0 to 1"),
    ({"dropout": float("nan")}, ValueError, "dropout is nan, expected 0 to 1"),
    ({"dropout": "0.5"}, TypeError, "dropout is '0.5', expected a number"),
    ({"proj_size": H}, ValueError, "proj_size is 6, expected less than hidden_size, 6"),
    ({"proj_size": -1}, ValueError, "proj_size is -1, expected at least 0"),
    ({"proj_size": 2.0}, TypeError, "proj_size is 2.0, expected an integer"),
    ({"recompute": -1}, ValueError, "recompute is -1, expected at least 0"),
    ({"recompute": True}, TypeError, "recompute is True, expected an integer"),
    ({"dtype": "float16"}, ValueError, "dtype is 'float16', expected float32 or float64"),
    ({"dtype": "nonsense"}, ValueError, "dtype is 'nonsense', expected float32 or float64"),
    ({"dtype": "9" * 5000}, ValueError, "dtype is '9999"),
    ({"dtype": "1f4("}, ValueError, "dtype is '1f4(', expected float32 or float64"),
    ({"dtype": "f4\ud800"}, ValueError, "expected float32 or float64"),
    ({"dtype": None}, ValueError, "dtype is None, expected float32 or float64"),
    ({"init": "xavier"}, ValueError, "init is 'xavier', expected one of torch, orthogonal"),
    ({"forget_bias": 1.0, "bias": False}, ValueError, "forget_bias is 1.0, expected None"),
    ({"rng": 7.0}, TypeError, "rng is 7.0, expected a numpy.random.Generator, a seed or None"),
    ({"rng": True}, TypeError, "rng is True, expected a numpy.random.Generator, a seed or None"),
    ({"rng": -1}, ValueError, "rng is -1, expected a seed of at least 0"),
]


@pytest.mark.parametrize(("options", "error", "message"), OPTIONS, ids=str)
def test_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        fl.LSTM(**{"input_size": I, "hidden_size": H, **options})


OF_OTHERS = [
    (fl.GRU, {"proj_size": 2}, TypeError, "unexpected keyword argument 'proj_size'"),
    (fl.RNN, {"proj_size": 2}, TypeError, "unexpected keyword argument 'proj_size'"),
    (fl.GRU, {"forget_bias": 1.0}, TypeError, "unexpected keyword argument 'forget_bias'"),
    (fl.GRU, {"num_layer": 2}, TypeError, "keyword argument 'num_layer': say num_layers="),
    (fl.RNN, {"bi_directional": 1}, TypeError, "'bi_directional': say bidirectional="),
    (fl.GRU, {"hidden_size": 0}, ValueError, "hidden_size is 0, expected at least 1"),
    (fl.GRU, {"recompute": -3}, ValueError, "recompute is -3, expected at least 0"),
    (fl.RNN, {"nonlinearity": "elu"}, ValueError, "nonlinearity is 'elu', expected one of tanh"),
    (fl.RNN, {"nonlinearity": True}, ValueError, "nonlinearity is True, expected one of tanh"),
    (fl.RNN, {"dropout": -0.5}, ValueError, "dropout is -0.5, expected 0 to 1"),
]


@pytest.mark.parametrize(("cls", "options", "error", "message"), OF_OTHERS)
def test_options_of_others(
    cls: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        cls(**{"input_size": I, "hidden_size": H, **options})


INPUTS = [
    (zeros(T, N, I + 1), ValueError, "x has shape (4, 3, 6), expected (any, any, 5)"),
    (zeros(I), ValueError, "x has shape (5,), expected (any, any, 5)"),
    (zeros(1, T, N, I), ValueError, "x has shape (1, 4, 3, 5), expected (any, any, 5)"),
    (np.float32(1), TypeError, "x is a float32, expected a NumPy array of float32"),
    (zeros(0, N, I), ValueError, "x has shape (0, 3, 5), expected at least one row and"),
    (zeros(T, 0, I), ValueError, "x has shape (4, 0, 5), expected at least one row and"),
    (zeros(0, I), ValueError, "x has shape (0, 5), expected at least one row and"),
    (zeros(T, N, I, dtype=float) + 0.1, TypeError, "x has dtype float64, expected float32, which "),
    (zeros(T, N, I, dtype=float) + 0.1, TypeError, 'convert it with .astype("float32")'),
    (zeros(T, N, I, dtype=int) + (1 << 24) + 1, TypeError, "x has dtype int64, expected float32"),
    (zeros(T, N, I, dtype=complex), TypeError, "x has dtype complex128, expected float32"),
    ([[0.0], [0.0, 1.0]], ValueError, "x is a list of unequal lists, expected those of an array"),
    ([["a"] * I] * T, TypeError, "x has dtype <U1, expected float32"),
    ([[1e300] * I] * T, TypeError, "x has dtype float64, expected float32"),
    ((zeros(I),), TypeError, "x is a tuple, expected a NumPy array of float32"),
    (None, TypeError, "x is a NoneType, expected a NumPy array of float32"),
    (Tokens([[0, 9]], zeros(9, I)), IndexError, "x.ids[0, 1] is 9, expected 0 to 8"),
    (Tokens([[0, -1]], zeros(9, I)), IndexError, "x.ids[0, 1] is -1, expected 0 to 8"),
    (Tokens([[0.0]], zeros(9, I)), TypeError, "x.ids has dtype float64, expected integers"),
    (Tokens([[0]], zeros(9, I + 1)), ValueError, "x.table has shape (9, 6), expected (any, 5)"),
    (Tokens(zeros(0, 2, dtype=int), zeros(9, I)), ValueError, "x.ids has shape (0, 2), expected"),
    (Tokens([[[0]]], zeros(9, I)), ValueError, "x.ids has shape (1, 1, 1), expected (T, N)"),
]


@pytest.mark.parametrize(("x", "error", "message"), INPUTS, ids=[m for _, _, m in INPUTS])
@pytest.mark.parametrize("training", [False, True])
def test_inputs(x: Any, error: type[Exception], message: str, training: bool) -> None:
    lstm = fl.LSTM(I, H)
    with pytest.raises(error, match=re.escape(message)):
        lstm.forward(x) if training else lstm(x)


STATES = [
    ((zeros(1, N, H), zeros(1, N, H)), "state[0] has shape (1, 3, 6), expected (2, 3, 6)"),
    ((zeros(2, N, H), zeros(2, N + 1, H)), "state[1] has shape (2, 4, 6), expected (2, 3, 6)"),
    ((zeros(2, N, H), zeros(N, H)), "state[1] has shape (3, 6), expected (2, 3, 6)"),
    ((zeros(2, N, H), zeros(2, N, H, dtype=float) + 0.1), "state[1] has dtype float64, expected"),
    (zeros(2, N, H), "state is a ndarray, expected a pair (h, c) or None"),
    ((zeros(2, N, H),), "state is a tuple of 1, expected a pair (h, c) or None"),
    (fl.State([zeros(2, N, H)]), "state is a State of 1, expected a pair (h, c) or None"),
    (fl.State([zeros(2, 1, H)] * 2), "state[0] has shape (2, 1, 6), expected (2, 3, 6)"),
    (([[1.0]], None), "state[0] has shape (1, 1), expected (2, 3, 6)"),
]


@pytest.mark.parametrize(("state", "message"), STATES, ids=[m for _, m in STATES])
def test_states(state: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        fl.LSTM(I, H, bidirectional=True)(zeros(T, N, I), state)


ONE_STATE = [
    ((zeros(2, N, H),), "state is a tuple of 1, expected an array of float32, a State or None"),
    ([1.0], "state has shape (1,), expected (2, 3, 6)"),
    (zeros(1, N, H), "state has shape (1, 3, 6), expected (2, 3, 6)"),
    (zeros(2, H), "state has shape (2, 6), expected (2, 3, 6)"),
    (zeros(2, N, H, dtype=float) + 0.1, "state has dtype float64, expected float32"),
    (fl.State([zeros(2, N, H)] * 2), "state is a State of 2, expected a State (h) or None"),
    (fl.State([zeros(2, 1, H)]), "state[0] has shape (2, 1, 6), expected (2, 3, 6)"),
]


@pytest.mark.parametrize(("state", "message"), ONE_STATE, ids=[m for _, m in ONE_STATE])
@pytest.mark.parametrize("cls", [fl.GRU, fl.RNN])
def test_states_of_one_array(cls: Any, state: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        cls(I, H, bidirectional=True)(zeros(T, N, I), state)


RESETS = [
    (zeros(T, N), {}, "reset has dtype float32, expected bool"),
    (zeros(T, N, dtype=int), {}, "reset has dtype int64, expected bool"),
    (zeros(N, T, dtype=bool), {}, "reset has shape (3, 4), expected (4, 3)"),
    (zeros(T, dtype=bool), {}, "reset has shape (4,), expected (4, 3)"),
    (True, {}, "reset has shape (), expected (4, 3)"),
    (zeros(T, N, dtype=bool), {"reset_at": "end"}, "reset_at is 'end', expected one of before, af"),
    (None, {"reset_at": None}, "reset_at is None, expected one of before, after"),
]


@pytest.mark.parametrize(("reset", "options", "message"), RESETS, ids=[m for *_, m in RESETS])
@pytest.mark.parametrize("training", [False, True])
def test_resets(reset: Any, options: dict[str, Any], message: str, training: bool) -> None:
    gru = fl.GRU(I, H)
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        (gru.forward if training else gru)(zeros(T, N, I), reset=reset, **options)


def test_resets_in_other_layouts() -> None:
    with pytest.raises(ValueError, match=r"reset has shape \(4, 3\), expected \(3, 4\)"):
        fl.GRU(I, H, batch_first=True)(zeros(N, T, I), reset=zeros(T, N, dtype=bool))
    with pytest.raises(ValueError, match=r"reset has shape \(4, 1\), expected \(4,\)"):
        fl.GRU(I, H)(zeros(T, I), reset=zeros(T, 1, dtype=bool))


LENGTHS = [
    ([1, 2], "lengths has shape (2,), expected (3,)"),
    ([1, 2, 5], "lengths[2] is 5, expected 0 to 4 (the steps of x)"),
    ([1, -2, 4], "lengths[1] is -2, expected 0 to 4"),
    ([1.0, 2.0, 3.0], "lengths has dtype float64, expected integers"),
    ("abc", "lengths has dtype <U3, expected integers"),
]


@pytest.mark.parametrize(("lengths", "message"), LENGTHS, ids=[m for _, m in LENGTHS])
def test_lengths(lengths: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        fl.LSTM(I, H)(zeros(T, N, I), lengths=lengths)


def test_lengths_of_one_sequence() -> None:
    with pytest.raises(ValueError, match="lengths is given, expected None as x has no batch axis"):
        fl.LSTM(I, H)(zeros(T, I), lengths=[2])


GRADIENTS = [
    (zeros(T, N, H + 1), None, "dy has shape (4, 3, 7), expected (4, 3, 6)"),
    (zeros(T, N, H, dtype=float) + 0.1, None, "dy has dtype float64, expected float32"),
    (None, (zeros(1, N, 1), None), "dstate[0] has shape (1, 3, 1), expected (1, 3, 6)"),
    (None, zeros(1, N, H), "dstate is a ndarray, expected a pair (h, c) or None"),
]


@pytest.mark.parametrize(("dy", "dstate", "message"), GRADIENTS, ids=[m for *_, m in GRADIENTS])
def test_gradients(dy: Any, dstate: Any, message: str) -> None:
    lstm = fl.LSTM(I, H)
    _, _, tape = lstm.forward(zeros(T, N, I))
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        lstm.backward(tape, dy, dstate)


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l1", "bias_ih_l0", "bias_hh_l1"])
@pytest.mark.parametrize("training", [False, True])
def test_nan_in_a_weight(backend_isa: str, kind: str, name: str, training: bool) -> None:
    module = layer(kind, I, H, 2)
    getattr(module, name).data.flat[-1] = np.nan
    x = np.ones((T, N, I))
    with pytest.raises(ValueError, match=f"{name} holds NaN"):
        module.forward(x) if training else module(x)


def test_nan_in_a_projection_or_a_learned_state(backend_isa: str) -> None:
    for name in ("weight_hr_l0", "h_0", "c_0"):
        module = layer("lstm-proj", I, H, learn_state=True)
        getattr(module, name).data.flat[-1] = np.nan
        with pytest.raises(ValueError, match=f"{name} holds NaN"):
            module(np.ones((T, N, I)), reset=np.ones((T, N), bool), reset_at="after")


def test_nan_in_the_input_passes(backend_isa: str, kind: str) -> None:
    x = zeros(T, N, I, dtype=float)
    x[0, 1] = np.nan
    y, _ = layer(kind, I, H, 2)(x)
    assert np.isnan(y[:, 1]).all()
    assert not np.isnan(y[:, [0, 2]]).any()


def test_rng_of_forward() -> None:
    message = "rng is 3.0, expected a numpy.random.Generator, a seed or None"
    with pytest.raises(TypeError, match=message):
        fl.LSTM(I, H).forward(zeros(T, N, I), rng=3.0)  # type: ignore[arg-type]


def test_a_tape_of_something_else() -> None:
    with pytest.raises(TypeError, match="tape is a str, expected what forward returned last"):
        fl.LSTM(I, H).backward("tape", zeros(T, N, H))  # type: ignore[arg-type]
