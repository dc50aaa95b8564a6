"""One step with the loop left to the caller; values against torch in test_lstm_torch.py."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import fastlstm as fl

N, I, H = 4, 5, 9  # noqa: E741


def pair() -> tuple[fl.LSTMCell, fl.LSTM]:
    cell, lstm = fl.LSTMCell(I, H, dtype="float64"), fl.LSTM(I, H, dtype="float64")
    lstm.load_state_dict({name + "_l0": value for name, value in cell.state_dict().items()})
    return cell, lstm


def test_a_loop_over_cells_is_a_layer(backend_isa: str) -> None:
    cell, lstm = pair()
    x = np.random.default_rng(0).standard_normal((6, N, I))
    y, (h_n, c_n) = lstm(x)
    state = None
    for t in range(6):
        state = cell(x[t], state)
        np.testing.assert_array_equal(state[0], y[t])
    np.testing.assert_array_equal(state, [h_n[0], c_n[0]])


def test_gradients_of_a_loop_are_those_of_a_layer(backend_isa: str) -> None:
    cell, lstm = pair()
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((6, N, I)), rng.standard_normal((6, N, H))
    _, _, tape = lstm.forward(x)
    dx, (dh_0, dc_0) = lstm.backward(tape, dy)
    tapes, state = [], None
    for t in range(6):
        h, c, tape = cell.forward(x[t], state)
        state = (h, c)
        tapes.append(tape)
    dh, dc = np.zeros((N, H)), np.zeros((N, H))
    for t in reversed(range(6)):
        dx_t, (dh, dc) = cell.backward(tapes[t], (dh + dy[t], dc))
        np.testing.assert_allclose(dx_t, dx[t], rtol=0, atol=1e-13)
    np.testing.assert_allclose([dh, dc], [dh_0[0], dc_0[0]], rtol=0, atol=1e-13)
    for a, b in zip(cell.parameters(), lstm.parameters(), strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=0, atol=1e-12)


def test_one_row_without_its_axis(backend_isa: str) -> None:
    cell, _ = pair()
    x = np.random.default_rng(2).standard_normal((1, I))
    h, c, tape = cell.forward(x[0])
    dx, (dh, dc) = cell.backward(tape, (h, None))
    h_2, c_2, tape = cell.forward(x)
    dx_2, (dh_2, dc_2) = cell.backward(tape, (h_2, None))
    assert (h.shape, dx.shape, dh.shape) == ((H,), (I,), (H,))
    for a, b in [(h, h_2), (c, c_2), (dx, dx_2), (dh, dh_2), (dc, dc_2)]:
        np.testing.assert_array_equal(a, b[0])
    np.testing.assert_array_equal(cell(x[0], (h, c))[0], cell(x, (h_2, c_2))[0][0])


def zeros(*shape: int, dtype: Any = float) -> Any:
    return np.zeros(shape, dtype)


WRONG = [
    (zeros(N, I + 1), None, "x has shape (4, 6), expected (any, 5)"),
    (zeros(1, N, I), None, "x has shape (1, 4, 5), expected (any, 5)"),
    (zeros(0, I), None, "x has shape (0, 5), expected at least one row"),
    (zeros(N, I, dtype=np.float32), None, "x has dtype float32, expected float64"),
    ([1.0], None, "x is a list, expected a NumPy array of float64"),
    (zeros(N, I), (zeros(N, H), zeros(N, 1)), "state[1] has shape"),
    (zeros(N, I), zeros(2, N, H), "state is a ndarray, expected a pair (h, c) or None"),
    (zeros(I), (zeros(1, H), zeros(1, H)), "state[0] has shape"),
]


@pytest.mark.parametrize(("x", "state", "message"), WRONG, ids=[m for *_, m in WRONG])
def test_wrong_arguments(x: Any, state: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        pair()[0](x, state)


def test_nan_in_a_weight(backend_isa: str) -> None:
    cell, _ = pair()
    cell.weight_hh.data[3, 3] = np.nan
    with pytest.raises(ValueError, match="weight_hh holds NaN"):
        cell(np.ones((N, I)))


def test_a_tape_serves_once() -> None:
    cell, _ = pair()
    h, c, tape = cell.forward(zeros(N, I))
    cell.backward(tape, (h, c))
    with pytest.raises(RuntimeError, match="tape was already used"):
        cell.backward(tape, (h, c))


def test_without_bias() -> None:
    cell = fl.LSTMCell(I, H, bias=False)
    assert list(cell.state_dict()) == ["weight_ih", "weight_hh"]
    assert cell.bias_ih is None
