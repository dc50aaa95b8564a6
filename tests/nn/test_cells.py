"""One step with the loop left to the caller; values against torch in test_recurrent_torch.py."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from kinds import CELL_KINDS, KINDS, like, parts

import fastlstm as fl

N, I, H = 4, 5, 9
each_cell = pytest.mark.parametrize("kind", CELL_KINDS)


def pair(kind: str = "lstm") -> tuple[Any, Any]:
    """A cell and a layer of the same weights."""
    found = []
    for cls, options in (CELL_KINDS[kind], KINDS[kind]):
        found.append(cls(I, H, dtype="float64", **options))
    cell, layer = found
    layer.load_state_dict({name + "_l0": value for name, value in cell.state_dict().items()})
    return cell, layer


def states(found: Any) -> list[Any]:
    """The states in what a cell returned."""
    return list(found) if isinstance(found, tuple) else [found]


@each_cell
def test_a_loop_over_cells_is_a_layer(backend_isa: str, kind: str) -> None:
    cell, layer = pair(kind)
    x = np.random.default_rng(0).standard_normal((6, N, I))
    y, state_n = layer(x)
    state = None
    for t in range(6):
        state = cell(x[t], state)
        np.testing.assert_array_equal(states(state)[0], y[t])
    for a, b in zip(states(state), parts(state_n), strict=True):
        np.testing.assert_array_equal(a, b[0])


@each_cell
def test_gradients_of_a_loop_are_those_of_a_layer(backend_isa: str, kind: str) -> None:
    cell, layer = pair(kind)
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((6, N, I)), rng.standard_normal((6, N, H))
    _, _, tape = layer.forward(x)
    dx, d_0 = layer.backward(tape, dy)
    tapes, state = [], None
    for t in range(6):
        *after, tape = cell.forward(x[t], state)
        state = like(layer, after)
        tapes.append(tape)
    d = [np.zeros((N, H)) for _ in after]
    for t in reversed(range(6)):
        dx_t, before = cell.backward(tapes[t], like(layer, [d[0] + dy[t], *d[1:]]))
        d = states(before)
        np.testing.assert_allclose(dx_t, dx[t], rtol=0, atol=1e-13)
    for a, b in zip(d, parts(d_0), strict=True):
        np.testing.assert_allclose(a, b[0], rtol=0, atol=1e-13)
    for a, b in zip(cell.parameters(), layer.parameters(), strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=0, atol=1e-12)


@each_cell
def test_one_row_without_its_axis(backend_isa: str, kind: str) -> None:
    cell, layer = pair(kind)
    x = np.random.default_rng(2).standard_normal((1, I))
    *after, tape = cell.forward(x[0])
    dx, before = cell.backward(tape, like(layer, after))
    *after_2, tape = cell.forward(x)
    dx_2, before_2 = cell.backward(tape, like(layer, after_2))
    assert (after[0].shape, dx.shape, states(before)[0].shape) == ((H,), (I,), (H,))
    ours, batched = [*after, dx, *states(before)], [*after_2, dx_2, *states(before_2)]
    for a, b in zip(ours, batched, strict=True):
        np.testing.assert_array_equal(a, b[0])
    again = states(cell(x[0], like(layer, after)))
    np.testing.assert_array_equal(again[0], states(cell(x, like(layer, after_2)))[0][0])


def zeros(*shape: int, dtype: Any = float) -> Any:
    return np.zeros(shape, dtype)


WRONG = [
    ("lstm", zeros(N, I + 1), None, "x has shape (4, 6), expected (any, 5)"),
    ("lstm", zeros(1, N, I), None, "x has shape (1, 4, 5), expected (any, 5)"),
    ("gru", zeros(0, I), None, "x has shape (0, 5), expected at least one row"),
    ("gru", zeros(N, I, dtype=complex), None, "x has dtype complex128, expected float64"),
    ("rnn-tanh", [1.0], None, "x has shape (1,), expected (5,)"),
    ("rnn-tanh", "abc", None, "x is a str, expected a NumPy array of float64"),
    ("lstm", zeros(N, I), (zeros(N, H), zeros(N, 1)), "state[1] has shape"),
    ("lstm", zeros(N, I), zeros(2, N, H), "state is a ndarray, expected a pair (h, c) or None"),
    ("lstm", zeros(I), (zeros(1, H), zeros(1, H)), "state[0] has shape"),
    ("gru", zeros(N, I), (zeros(N, H),), "state is a tuple of 1, expected an array of float64"),
    ("gru", zeros(N, I), zeros(N + 1, H), "state has shape (5, 9), expected (4, 9)"),
    ("rnn-relu", zeros(I), zeros(1, H), "state has shape (1, 9), expected (9,)"),
]


@pytest.mark.parametrize(("kind", "x", "state", "message"), WRONG, ids=[m for *_, m in WRONG])
def test_wrong_arguments(kind: str, x: Any, state: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        pair(kind)[0](x, state)


WRONG_OPTIONS = [
    (fl.GRUCell, {"input_size": 0}, "input_size is 0, expected at least 1"),
    (fl.RNNCell, {"hidden_size": 0}, "hidden_size is 0, expected at least 1"),
    (
        fl.RNNCell,
        {"nonlinearity": "elu"},
        "nonlinearity is 'elu', expected one of tanh, sigmoid",
    ),
    (fl.LSTMCell, {"dtype": "int8"}, "dtype is 'int8', expected float32 or float64"),
]


@pytest.mark.parametrize(("cls", "options", "message"), WRONG_OPTIONS)
def test_wrong_options(cls: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        cls(**{"input_size": I, "hidden_size": H, **options})


@each_cell
def test_nan_in_a_weight(backend_isa: str, kind: str) -> None:
    cell, _ = pair(kind)
    cell.weight_hh.data[3, 3] = np.nan
    with pytest.raises(ValueError, match="weight_hh holds NaN"):
        cell(np.ones((N, I)))


@each_cell
def test_a_tape_serves_once(kind: str) -> None:
    cell, layer = pair(kind)
    *after, tape = cell.forward(zeros(N, I))
    cell.backward(tape, like(layer, after))
    with pytest.raises(RuntimeError, match="tape was already used"):
        cell.backward(tape, like(layer, after))


@each_cell
def test_without_bias(kind: str) -> None:
    cls, options = CELL_KINDS[kind]
    cell = cls(I, H, bias=False, **options)
    assert list(cell.state_dict()) == ["weight_ih", "weight_hh"]
    assert cell.bias_ih is None
