"""The gradient that arrives at each step is that of differences of the loss."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.inside import draw_gradient_flow, gradient_flow
from fastlstm.inside.flow import mean_of_rows

Array = np.ndarray[Any, Any]
T, N, I, H = 6, 4, 3, 5
LENGTHS = np.array([6, 2, 0, 5])
LAYERS: dict[str, Any] = {
    "lstm": lambda **o: fl.LSTM(I, H, dtype="float64", rng=np.random.default_rng(0), **o),
    "gru": lambda **o: fl.GRU(I, H, dtype="float64", rng=np.random.default_rng(0), **o),
    "rnn": lambda **o: fl.RNN(I, H, dtype="float64", rng=np.random.default_rng(0), **o),
}
X = np.random.default_rng(1).standard_normal((T, N, I))
DY = np.random.default_rng(2).standard_normal((N, H))


def arrays(state: Any) -> list[Array]:
    return [state] if isinstance(state, np.ndarray) else list(state)


def loss(layer: Any, x: Array, state: Any, row: int) -> float:
    """Of one row's last output, from a state on; x [steps,N,I]."""
    if not len(x):
        return float(arrays(state)[0][-1, row] @ DY[row])
    return float(layer(x, state)[0][-1, row] @ DY[row])


def by_differences(layer: Any, which: int, row: int, length: int) -> Array:
    """Norms of the gradient of the top layer's state after each step, from the last one back."""
    norms = []
    for k in range(length + 1):
        before, after = X[: length - k], X[length - k : length]
        state = layer(before)[1] if len(before) else layer.make_state(N)
        if len(arrays(state)) == 1:
            state = arrays(state)[0]
        gradient = np.zeros(H)
        for unit in range(H):
            values = []
            for sign in (1, -1):
                moved = copy.deepcopy(state)
                arrays(moved)[which][-1, row, unit] += sign * 1e-5
                values.append(loss(layer, after, moved, row))
            gradient[unit] = (values[0] - values[1]) / 2e-5
        norms.append(np.linalg.norm(gradient))
    return np.array(norms)


@pytest.mark.parametrize(
    ("name", "of", "options"),
    [
        ("lstm", "h", {}),
        ("lstm", "c", {}),
        ("gru", "h", {}),
        ("rnn", "h", {}),
        ("lstm", "h", {"num_layers": 2}),
        ("gru", "h", {"num_layers": 2, "dropout": 0.5, "recompute": 2}),
    ],
)
def test_it_is_the_gradient_by_differences(
    backend_isa: str, name: str, of: str, options: dict[str, Any]
) -> None:
    layer = LAYERS[name](**options)
    norms = gradient_flow(layer, X, lengths=LENGTHS, dy=DY, of=of)
    assert norms.shape == (T + 1, N)
    which = layer._cell.states.index(of)
    for row, length in enumerate(LENGTHS):
        if length:
            expected = by_differences(layer, which, row, length)
            np.testing.assert_allclose(norms[: length + 1, row], expected, rtol=1e-6, atol=1e-9)
        assert np.isnan(norms[length + 1 if length else 0 :, row]).all()


def test_the_layer_is_left_as_it_is() -> None:
    layer = LAYERS["lstm"](num_layers=2, dropout=0.5, batch_first=True)
    layer.weight_hh_l0.grad[...] = 7
    before = {k: v.copy() for k, v in layer.state_dict().items()}
    norms = gradient_flow(layer, X.swapaxes(0, 1))
    np.testing.assert_allclose(norms[0], 1)
    assert (layer.weight_hh_l0.grad == 7).all()
    assert not layer.weight_hh_l1.has_grad
    assert (layer.dropout, layer.batch_first) == (0.5, True)
    for key, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def test_inputs_of_every_kind_give_the_same() -> None:
    layer = LAYERS["gru"]()
    norms = gradient_flow(layer, X, dy=DY)
    tokens = fl.Tokens(np.arange(T * N).reshape(T, N), X.reshape(T * N, I))
    np.testing.assert_array_equal(gradient_flow(layer, tokens, dy=DY), norms)
    one = gradient_flow(layer, np.ascontiguousarray(X[:, 1]), dy=DY[1])
    np.testing.assert_array_equal(one, norms[:, 1])
    state = np.zeros((1, N, H))
    np.testing.assert_array_equal(gradient_flow(layer, X, state, dy=DY), norms)


def test_a_linear_layer_multiplies_by_its_scale() -> None:
    """With a relu that never closes and scaled orthogonal weights the norm is scale ** k."""
    for scale in (0.5, 1.0, 1.5):
        layer = fl.RNN(1, H, nonlinearity="relu", init="orthogonal", dtype="float64")
        layer.weight_hh_l0.data *= scale
        layer.bias_ih_l0.data[...] = 1e6
        layer.weight_hh_l0.data = np.abs(np.eye(H)) * scale
        norms = gradient_flow(layer, np.zeros((8, 2, 1)))
        np.testing.assert_allclose(norms, scale ** np.arange(9.0)[:, None] * np.ones(2))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="bidirectional is True"):
        gradient_flow(LAYERS["lstm"](bidirectional=True), X)
    with pytest.raises(ValueError, match="of is 'c', expected one of h"):
        gradient_flow(LAYERS["gru"](), X, of="c")
    with pytest.raises(ValueError, match=r"dy has shape \(4, 2\), expected \(4, 5\)"):
        gradient_flow(LAYERS["gru"](), X, dy=DY[:, :2].copy())
    with pytest.raises(ValueError, match="x has shape"):
        gradient_flow(LAYERS["gru"](), X[..., :2])


def test_the_figure_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    norms = gradient_flow(LAYERS["lstm"](), X, lengths=[2, 3, 0, 1])
    panels = {"one": {"LSTM": norms}, "two": {"LSTM": norms[:, 0]}}
    draw_gradient_flow(tmp_path / "flow.png", panels)
    mean = [norms[0, [0, 1, 3]].mean(), norms[3, 1]]
    np.testing.assert_allclose(mean_of_rows(norms)[[0, 3]], mean)
    assert np.isnan(mean_of_rows(norms)[4:]).all()
    assert (tmp_path / "flow.png").read_bytes().startswith(b"\x89PNG")
