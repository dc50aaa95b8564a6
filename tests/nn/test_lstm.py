"""The LSTM layer: layouts, layers, directions, dropout, first values, tapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import draw_lengths

import fastlstm as fl
from fastlstm.nn import Tokens

T, N, I, H = 6, 5, 4, 9  # noqa: E741


def layer(**options: Any) -> fl.LSTM:
    options.setdefault("dtype", "float64")
    return fl.LSTM(I, H, rng=np.random.default_rng(0), **options)


def batch(seed: int = 1) -> Any:
    return np.random.default_rng(seed).standard_normal((T, N, I))


def lengths() -> Any:
    return draw_lengths(np.random.default_rng(2), T, N)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.dtype("float64")])
def test_dtype_of_everything(backend_isa: str, dtype: Any) -> None:
    lstm = layer(dtype=dtype)
    x = batch().astype(dtype)
    y, (h_n, c_n), tape = lstm.forward(x)
    dx, (dh_0, dc_0) = lstm.backward(tape, y)
    arrays = [y, h_n, c_n, dx, dh_0, dc_0, *(p.data for p in lstm.parameters())]
    assert {a.dtype for a in arrays} == {np.dtype(dtype)}


def test_calling_and_forward_agree(backend_isa: str) -> None:
    lstm = layer(num_layers=2, bidirectional=True, dropout=0.0)
    y, (h_n, c_n) = lstm(batch(), lengths=lengths())
    trained, state, _ = lstm.forward(batch(), lengths=lengths())
    for a, b in zip((y, h_n, c_n), (trained, *state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_batch_first_is_the_same_transposed(backend_isa: str) -> None:
    steps_first, batch_first = (
        layer(bidirectional=True),
        layer(bidirectional=True, batch_first=True),
    )
    x, dy = batch(), np.random.default_rng(3).standard_normal((T, N, 2 * H))
    y, state, tape = steps_first.forward(x, lengths=lengths())
    dx, dstate = steps_first.backward(tape, dy)
    y2, state2, tape = batch_first.forward(x.swapaxes(0, 1).copy(), lengths=lengths())
    dx2, dstate2 = batch_first.backward(tape, dy.swapaxes(0, 1).copy())
    assert y2.shape == (N, T, 2 * H)
    assert y2.flags.c_contiguous
    assert dx2.flags.c_contiguous
    np.testing.assert_array_equal(y2.swapaxes(0, 1), y)
    np.testing.assert_array_equal(dx2.swapaxes(0, 1), dx)
    np.testing.assert_array_equal([*state2, *dstate2], [*state, *dstate])


def test_layers_are_single_layers_in_turn(backend_isa: str) -> None:
    deep = layer(num_layers=2, bidirectional=True)
    state = deep.state_dict()
    lower, upper = layer(bidirectional=True), fl.LSTM(2 * H, H, bidirectional=True, dtype="float64")
    lower.load_state_dict({k: v for k, v in state.items() if "_l0" in k})
    upper.load_state_dict({k.replace("_l1", "_l0"): v for k, v in state.items() if "_l1" in k})
    y, (h_n, c_n) = deep(batch(), lengths=lengths())
    between, (h_low, c_low) = lower(batch(), lengths=lengths())
    top, (h_up, c_up) = upper(between, lengths=lengths())
    np.testing.assert_array_equal(y, top)
    np.testing.assert_array_equal(h_n, np.concatenate([h_low, h_up]))
    np.testing.assert_array_equal(c_n, np.concatenate([c_low, c_up]))


def test_the_second_direction_is_the_first_on_reversed_rows(backend_isa: str) -> None:
    both, one, n = layer(bidirectional=True), layer(), lengths()
    state = both.state_dict()
    one.load_state_dict({k[:-8]: v for k, v in state.items() if k.endswith("_reverse")})
    x = batch()
    flipped = x.copy()
    for row, length in enumerate(n):
        flipped[:length, row] = x[:length, row][::-1]
    y, (h_n, _) = both(x, lengths=n)
    y_flipped, (h_one, _) = one(flipped, lengths=n)
    for row, length in enumerate(n):
        np.testing.assert_array_equal(y[:length, row, H:], y_flipped[:length, row][::-1])
    np.testing.assert_array_equal(h_n[1], h_one[0])


def test_h_n_is_the_last_valid_output(backend_isa: str) -> None:
    n = lengths()
    y, (h_n, _) = layer(bidirectional=True)(batch(), lengths=n)
    for row, length in enumerate(n):
        if length:
            np.testing.assert_array_equal(h_n[0, row], y[length - 1, row, :H])
            np.testing.assert_array_equal(h_n[1, row], y[0, row, H:])
        else:
            assert not h_n[:, row].any()
        assert not y[length:, row].any()


def test_one_sequence_is_a_batch_of_one(backend_isa: str) -> None:
    lstm, x = layer(num_layers=2, batch_first=True), batch()[:, 0]
    y, (h_n, c_n), tape = lstm.forward(x)
    dx, (dh_0, dc_0) = lstm.backward(tape, y)
    y2, (h_n2, c_n2), tape = lstm.forward(x[None])
    dx2, (dh_02, dc_02) = lstm.backward(tape, y2)
    assert (y.shape, h_n.shape, dx.shape, dh_0.shape) == ((T, H), (2, H), (T, I), (2, H))
    for a, b in [(y, y2[0]), (h_n, h_n2[:, 0]), (c_n, c_n2[:, 0]), (dx, dx2[0])]:
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal([dh_0, dc_0], [dh_02[:, 0], dc_02[:, 0]])


def test_state_carries_over(backend_isa: str) -> None:
    lstm, x = layer(num_layers=2), batch()
    whole, (h_n, c_n) = lstm(x)
    first, state = lstm(x[:2])
    second, (h, c) = lstm(x[2:], state)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal([h, c], [h_n, c_n])


def _variants(x: Any) -> dict[str, Any]:
    wide = np.zeros((T, N, 2 * I))
    wide[..., ::2] = x
    readonly = x.copy()
    readonly.flags.writeable = False
    raw = np.zeros(x.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(np.float64).reshape(x.shape)
    unaligned[...] = x
    return {
        "fortran": np.asfortranarray(x),
        "strided last axis": wide[..., ::2],
        "reversed": np.ascontiguousarray(x[..., ::-1])[..., ::-1],
        "read-only": readonly,
        "unaligned": unaligned,
    }


@pytest.mark.parametrize("kind", list(_variants(batch())))
def test_any_memory_layout(backend_isa: str, kind: str) -> None:
    lstm, x = layer(num_layers=2), batch()
    h_0 = np.random.default_rng(4).standard_normal((2, N, H))
    y, state, tape = lstm.forward(x, (h_0, h_0))
    dx, _ = lstm.backward(tape, y)
    odd = _variants(x)[kind]
    y2, state2, tape = lstm.forward(odd, (np.asfortranarray(h_0), h_0[::-1][::-1]))
    dx2, _ = lstm.backward(tape, np.asfortranarray(y))
    np.testing.assert_array_equal(y2, y)
    np.testing.assert_array_equal(state2, state)
    np.testing.assert_array_equal(dx2, dx)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("batch_first", [False, True])
def test_tokens_are_their_dense_input(
    backend_isa: str, batch_first: bool, options: dict[str, Any]
) -> None:
    lstm, rng = layer(batch_first=batch_first, **options), np.random.default_rng(5)
    table, n = rng.standard_normal((7, I)), lengths()
    ids = rng.integers(0, 7, (N, T) if batch_first else (T, N))
    y, state, tape = lstm.forward(table[ids], lengths=n)
    dx, _ = lstm.backward(tape, y, state)
    dense = [p.grad.copy() for p in lstm.parameters()]
    lstm.zero_grad()
    y2, state2, tape = lstm.forward(Tokens(ids, table), lengths=n)
    dtable, _ = lstm.backward(tape, y, state)
    np.testing.assert_array_equal(y2, y)
    np.testing.assert_array_equal(state2, state)
    expected = np.zeros_like(table)
    np.add.at(expected, ids, dx)
    np.testing.assert_allclose(dtable, expected, rtol=0, atol=1e-12)
    for p, grad in zip(lstm.parameters(), dense, strict=True):
        np.testing.assert_allclose(p.grad, grad, rtol=0, atol=1e-12)


def test_gradients_add_up_until_zeroed(backend_isa: str) -> None:
    lstm = layer()
    for times in (1, 2):
        y, _, tape = lstm.forward(batch())
        lstm.backward(tape, np.ones_like(y))
        if times == 1:
            once = [p.grad.copy() for p in lstm.parameters()]
    for p, grad in zip(lstm.parameters(), once, strict=True):
        np.testing.assert_allclose(p.grad, 2 * grad, rtol=1e-12)
    lstm.zero_grad()
    assert not any(p.grad.any() for p in lstm.parameters())


def _loss(lstm: fl.LSTM, x: Any, dy: Any, seed: int) -> float:
    y, _, _ = lstm.forward(x, lengths=lengths(), rng=np.random.default_rng(seed))
    return float((y * dy).sum())


def test_gradient_through_dropout_between_layers(backend_isa: str) -> None:
    lstm, x = layer(num_layers=3, dropout=0.4, bidirectional=True), batch()
    rng = np.random.default_rng(6)
    y, _, tape = lstm.forward(x, lengths=lengths(), rng=np.random.default_rng(7))
    dy, direction = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    dx, _ = lstm.backward(tape, dy)
    up, down = (_loss(lstm, x + s * 1e-5 * direction, dy, 7) for s in (1, -1))
    assert (up - down) / 2e-5 == pytest.approx(float((dx * direction).sum()), rel=1e-7)


def test_dropout_is_for_training_only() -> None:
    lstm = layer(num_layers=2, dropout=0.5)
    plain = layer(num_layers=2)
    plain.load_state_dict(lstm.state_dict())
    np.testing.assert_array_equal(lstm(batch())[0], plain(batch())[0])
    a, b, c = (lstm.forward(batch(), rng=np.random.default_rng(s))[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    assert (a != plain(batch())[0]).any()


def test_dropout_of_everything_leaves_the_last_layer_without_input() -> None:
    lstm = layer(num_layers=2, dropout=1.0)
    y, _, _ = lstm.forward(batch())
    again, _, _ = lstm.forward(batch(9))
    np.testing.assert_array_equal(y, again)


def test_dropout_in_one_layer_warns() -> None:
    with pytest.warns(UserWarning, match="dropout=0.5 does nothing with num_layers=1"):
        layer(dropout=0.5)


def test_a_tape_serves_once_and_its_own_module() -> None:
    lstm, other = layer(), layer()
    y, _, tape = lstm.forward(batch())
    with pytest.raises(ValueError, match="tape is of another LSTM"):
        other.backward(tape, y)
    with pytest.raises(ValueError, match="dy has shape"):
        lstm.backward(tape, y[1:])  # a mistake does not use it up
    lstm.backward(tape, y)
    with pytest.raises(RuntimeError, match="tape was already used"):
        lstm.backward(tape, y)


def test_first_values_are_uniform_and_seeded() -> None:
    a, b = layer(num_layers=2).state_dict(), layer(num_layers=2).state_dict()
    bound = 1 / np.sqrt(H)
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name])
        assert np.abs(value).max() <= bound
        assert np.abs(value).max() > 0.8 * bound
        assert abs(value.mean()) < 0.3 * bound
    assert (a["weight_hh_l0"] != a["weight_hh_l1"]).any()


def test_orthogonal_recurrent_weights_and_forget_bias() -> None:
    state = layer(init="orthogonal", forget_bias=1.5, bidirectional=True).state_dict()
    for suffix in ("_l0", "_l0_reverse"):
        for gate in state["weight_hh" + suffix].reshape(4, H, H):
            np.testing.assert_allclose(gate @ gate.T, np.eye(H), atol=1e-12)
        total = state["bias_ih" + suffix] + state["bias_hh" + suffix]
        np.testing.assert_array_equal(total[H : 2 * H], 1.5)
        assert (total[:H] != 1.5).all()


def test_names_in_order() -> None:
    assert list(layer(bias=False, bidirectional=True).state_dict()) == [
        "weight_ih_l0",
        "weight_hh_l0",
        "weight_ih_l0_reverse",
        "weight_hh_l0_reverse",
    ]


def test_a_layer_can_be_copied_and_pickled(backend_isa: str) -> None:
    import copy
    import pickle

    lstm = layer(num_layers=2)
    expected, _ = lstm(batch())
    for other in (copy.deepcopy(lstm), pickle.loads(pickle.dumps(lstm))):
        np.testing.assert_array_equal(other(batch())[0], expected)


def test_threads_do_not_change_a_bit(native_kernel: Any, threads: None) -> None:
    lstm = fl.LSTM(32, 64, 2, bidirectional=True, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((20, 48, 32)).astype(np.float32)
    results = []
    for n in (1, 2, 3):
        fl.set_num_threads(n)
        lstm.zero_grad()
        y, state, tape = lstm.forward(x)
        dx, dstate = lstm.backward(tape, y)
        results.append([y, *state, dx, *dstate, *(p.grad.copy() for p in lstm.parameters())])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
