"""Every kind of recurrent layer: layers, directions, dropout, first values, tapes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from kinds import (
    KINDS,
    H,
    I,
    N,
    T,
    assert_all_equal,
    batch,
    draw_state,
    layer,
    lengths,
    like,
    parts,
    run,
)

import fastlstm as fl

pytestmark = pytest.mark.pairs


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.dtype("float64")])
def test_dtype_of_everything(backend_isa: str, kind: str, dtype: Any) -> None:
    module = layer(kind, dtype=dtype)
    results = run(module, batch().astype(dtype))
    arrays = [*results.values(), *(p.data for p in module.parameters())]
    assert {a.dtype for a in arrays} == {np.dtype(dtype)}


def test_calling_and_forward_agree(backend_isa: str, kind: str) -> None:
    module = layer(kind, num_layers=2, bidirectional=True, dropout=0.0)
    y, state = module(batch(), lengths=lengths())
    trained, trained_state, _ = module.forward(batch(), lengths=lengths())
    for a, b in zip((y, *parts(state)), (trained, *parts(trained_state)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_are_single_layers_in_turn(backend_isa: str, kind: str) -> None:
    deep = layer(kind, num_layers=2, bidirectional=True)
    state = deep.state_dict()
    lower, upper = layer(kind, bidirectional=True), layer(kind, deep._width, H, bidirectional=True)
    lower.load_state_dict({k: v for k, v in state.items() if "_l0" in k})
    upper.load_state_dict({k.replace("_l1", "_l0"): v for k, v in state.items() if "_l1" in k})
    y, state_n = deep(batch(), lengths=lengths())
    between, low = lower(batch(), lengths=lengths())
    top, up = upper(between, lengths=lengths())
    np.testing.assert_array_equal(y, top)
    for whole, a, b in zip(parts(state_n), parts(low), parts(up), strict=True):
        np.testing.assert_array_equal(whole, np.concatenate([a, b]))


def test_the_second_direction_is_the_first_on_reversed_rows(backend_isa: str, kind: str) -> None:
    both, one, n, x = layer(kind, bidirectional=True), layer(kind), lengths(), batch()
    state = both.state_dict()
    one.load_state_dict({k[:-8]: v for k, v in state.items() if k.endswith("_reverse")})
    flipped = x.copy()
    for row, length in enumerate(n):
        flipped[:length, row] = x[:length, row][::-1]
    y, state_n = both(x, lengths=n)
    y_flipped, state_one = one(flipped, lengths=n)
    for row, length in enumerate(n):
        expected = y_flipped[:length, row][::-1]
        np.testing.assert_array_equal(y[:length, row, one._width :], expected)
    for a, b in zip(parts(state_n), parts(state_one), strict=True):
        np.testing.assert_array_equal(a[1], b[0])


def test_h_n_is_the_last_valid_output(backend_isa: str, kind: str) -> None:
    module, n = layer(kind, bidirectional=True), lengths()
    y, state_n = module(batch(), lengths=n)
    h_n, R = parts(state_n)[0], module._size
    for row, length in enumerate(n):
        if length:
            np.testing.assert_array_equal(h_n[0, row], y[length - 1, row, :R])
            np.testing.assert_array_equal(h_n[1, row], y[0, row, R:])
        else:
            assert not h_n[:, row].any()
        assert not y[length:, row].any()


def test_state_carries_over(backend_isa: str, kind: str) -> None:
    module, x = layer(kind, num_layers=2), batch()
    whole, state_n = module(x)
    first, state = module(x[:2])
    second, state = module(x[2:], state)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    for a, b in zip(parts(state), parts(state_n), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_part_of_a_gradient_is_left_out(backend_isa: str, kind: str) -> None:
    """None is zero: for dy, for the state's gradient and for each part of it."""
    module, x = layer(kind, num_layers=2), batch()
    y, state, tape = module.forward(x)
    zeros = like(module, [np.zeros_like(s) for s in parts(state)])
    dx, _ = module.backward(tape, np.ones_like(y), zeros)
    _, _, tape = module.forward(x)
    np.testing.assert_array_equal(module.backward(tape, np.ones_like(y))[0], dx)
    last = parts(state)[-1]
    only = [*[np.zeros_like(s) for s in parts(state)[:-1]], np.ones_like(last)]
    _, _, tape = module.forward(x)
    dx, _ = module.backward(tape, np.zeros_like(y), like(module, only))
    _, _, tape = module.forward(x)
    given = like(module, [*[None] * (len(only) - 1), only[-1]])
    np.testing.assert_array_equal(module.backward(tape, None, given)[0], dx)
    assert dx.any()


def test_gradients_add_up_until_zeroed(backend_isa: str, kind: str) -> None:
    module = layer(kind)
    for times in (1, 2):
        y, _, tape = module.forward(batch())
        module.backward(tape, np.ones_like(y))
        if times == 1:
            once = [p.grad.copy() for p in module.parameters()]
    for p, grad in zip(module.parameters(), once, strict=True):
        np.testing.assert_allclose(p.grad, 2 * grad, rtol=1e-12)
    module.zero_grad()
    assert not any(p.grad.any() for p in module.parameters())


def _loss(module: Any, x: Any, dy: Any, seed: int) -> float:
    y, _, _ = module.forward(x, lengths=lengths(), rng=np.random.default_rng(seed))
    return float((y * dy).sum())


def test_gradient_through_dropout_between_layers(backend_isa: str, kind: str) -> None:
    module, x = layer(kind, num_layers=3, dropout=0.4, bidirectional=True), batch()
    rng = np.random.default_rng(6)
    y, _, tape = module.forward(x, lengths=lengths(), rng=np.random.default_rng(7))
    dy, direction = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    dx, _ = module.backward(tape, dy)
    up, down = (_loss(module, x + s * 1e-6 * direction, dy, 7) for s in (1, -1))
    assert (up - down) / 2e-6 == pytest.approx(float((dx * direction).sum()), rel=1e-6)


def test_dropout_is_for_training_only(kind: str) -> None:
    module, plain = layer(kind, num_layers=2, dropout=0.5), layer(kind, num_layers=2)
    plain.load_state_dict(module.state_dict())
    np.testing.assert_array_equal(module(batch())[0], plain(batch())[0])
    a, b, c = (module.forward(batch(), rng=np.random.default_rng(s))[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    assert (a != plain(batch())[0]).any()


def test_dropout_of_everything_leaves_the_last_layer_without_input(kind: str) -> None:
    module = layer(kind, num_layers=2, dropout=1.0)
    y, _, _ = module.forward(batch())
    again, _, _ = module.forward(batch(9))
    np.testing.assert_array_equal(y, again)


def test_dropout_in_one_layer_warns(kind: str) -> None:
    with pytest.warns(UserWarning, match="dropout=0.5 does nothing with num_layers=1") as caught:
        KINDS[kind][0](I, H, dropout=0.5)
    assert caught[0].filename == __file__


def test_a_tape_serves_once_and_its_own_module(kind: str) -> None:
    module, other = layer(kind), layer(kind)
    y, _, tape = module.forward(batch())
    with pytest.raises(ValueError, match="tape is of another (LSTM|PeepholeLSTM|GRU|RNN)"):
        other.backward(tape, y)
    with pytest.raises(ValueError, match="dy has shape"):
        module.backward(tape, y[1:])  # a mistake does not use it up
    module.backward(tape, y)
    with pytest.raises(RuntimeError, match="tape was already used"):
        module.backward(tape, y)


def test_first_values_are_uniform_and_seeded(kind: str) -> None:
    a, b = (layer(kind, 40, 50, 2).state_dict() for _ in range(2))
    bound = 1 / np.sqrt(50)
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name])
        assert np.abs(value).max() <= bound
        assert np.abs(value).max() > 0.9 * bound
        assert abs(value.mean()) < 0.3 * bound
    assert (a["weight_hh_l0"] != a["weight_hh_l1"]).any()


def test_orthogonal_recurrent_weights(kind: str) -> None:
    module = layer(kind, init="orthogonal", bidirectional=True)
    state, R = module.state_dict(), module._size
    for suffix in ("_l0", "_l0_reverse"):
        gates = state["weight_hh" + suffix].reshape(-1, H, R)
        assert len(gates) == len(module._cell.gates)
        for gate in gates:
            np.testing.assert_allclose(gate.T @ gate, np.eye(R), atol=1e-12)


def test_a_layer_can_be_copied_and_pickled(backend_isa: str, kind: str) -> None:
    module = layer(kind, num_layers=2)
    expected = run(module, batch())
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert_all_equal(run(other, batch()), expected)


@pytest.mark.parametrize("K", [1, 2, 4, T, T + 3])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_recompute_changes_no_bit(
    backend_isa: str, kind: str, options: dict[str, Any], K: int
) -> None:
    plain = layer(kind, dtype="float32", **options)
    saving = layer(kind, dtype="float32", recompute=K, **options)
    x, mask = batch().astype("float32"), np.random.default_rng(1).random((T, N)) < 0.3
    state = draw_state(plain)
    more = {"lengths": lengths(), "reset": mask}
    assert_all_equal(run(saving, x, state, **more), run(plain, x, state, **more))


def test_threads_do_not_change_a_bit(compiled_kernel: Any, kind: str, threads: None) -> None:
    module = layer(kind, 32, 64, 2, bidirectional=True, dtype="float32")
    x = np.random.default_rng(1).standard_normal((20, 48, 32)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        fl.set_num_threads(n)
        results.append(run(module, x))
    for other in results[1:]:
        assert_all_equal(other, results[0])


@pytest.mark.parametrize(
    ("kind", "options", "parameters"),
    [
        ("lstm", {}, "weight_ih_l0 weight_hh_l0 bias_ih_l0 bias_hh_l0"),
        ("gru", {"bias": False, "bidirectional": True},
         "weight_ih_l0 weight_hh_l0 weight_ih_l0_reverse weight_hh_l0_reverse"),
        ("rnn-tanh", {"learn_state": True}, "weight_ih_l0 weight_hh_l0 bias_ih_l0 bias_hh_l0 h_0"),
        ("lstm-proj", {"bias": False, "learn_state": True},
         "weight_ih_l0 weight_hh_l0 weight_hr_l0 h_0 c_0"),
    ],
)  # fmt: skip
def test_names_in_order(kind: str, options: dict[str, Any], parameters: str) -> None:
    assert list(layer(kind, **options).state_dict()) == parameters.split()
