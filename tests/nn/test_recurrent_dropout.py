"""Recurrent dropout: one mask on h for each row and sequence, in training only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kinds import H, N, T, batch, layer, lengths, parts

import fastlstm as fl
from fastlstm.nn.dropout import dropout_mask

P = 0.4


def dropped(kind: str, *sizes: int, **options: Any) -> Any:
    return layer(kind, *sizes, recurrent_dropout=P, **options)


def masked_by_hand(module: Any, x: Any, mask: Any) -> Any:
    """y of an RNN with tanh, step by step: the definition."""
    w_ih, w_hh = module.weight_ih_l0.data, module.weight_hh_l0.data
    bias, h, steps = module.bias_ih_l0.data + module.bias_hh_l0.data, np.zeros((N, H)), []
    for x_t in x:
        h = np.tanh(x_t @ w_ih.T + (mask * h) @ w_hh.T + bias)
        steps.append(h)
    return np.stack(steps)


def test_definition(backend_isa: str) -> None:
    module, x = dropped("rnn-tanh"), batch()
    y, _, _ = module.forward(x, rng=3)
    mask = dropout_mask((N, H), P, module.dtype, np.random.default_rng(3))
    np.testing.assert_allclose(y, masked_by_hand(module, x, mask), rtol=0, atol=1e-12)


def test_a_call_drops_nothing(kind: str, backend_isa: str) -> None:
    module, x = dropped(kind), batch()
    expected, _ = layer(kind)(x)
    np.testing.assert_array_equal(module(x)[0], expected)
    assert not np.array_equal(module.forward(x, rng=0)[0], expected)


def test_the_seed_says_the_masks(kind: str) -> None:
    module, x = dropped(kind, num_layers=2, bidirectional=True), batch()
    first, again = (module.forward(x, lengths=lengths(), rng=5)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, module.forward(x, lengths=lengths(), rng=6)[0])


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_nothing(kind: str, n_threads: int, threads: None) -> None:
    module, x = dropped(kind, 5, 96), np.random.default_rng(0).standard_normal((40, 48, 5))
    found = []
    for count in (1, n_threads):
        fl.set_num_threads(count)
        module.zero_grad()
        y, _, tape = module.forward(x, rng=1)
        module.backward(tape, y)
        found.append([y, *(p.grad.copy() for p in module.parameters())])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients(kind: str, backend_isa: str) -> None:
    """Of every parameter and the input, by central differences with the masks of one seed."""
    module, x = dropped(kind, num_layers=2, bidirectional=True), batch()
    weights = np.random.default_rng(9).standard_normal(module(x)[0].shape)

    def loss() -> float:
        return float(np.sum(module.forward(x, lengths=lengths(), rng=7)[0] * weights))

    _, _, tape = module.forward(x, lengths=lengths(), rng=7)
    dx, _ = module.backward(tape, weights)
    pairs = [("x", x, dx)]
    pairs += [(name, p.data, p.grad) for name, p in module.named_parameters()]
    rng, step = np.random.default_rng(1), 1e-6
    for name, array, gradient in pairs:
        direction = rng.standard_normal(array.shape)
        start, found = array.copy(), []
        for sign in (1, -1):
            array[...] = start + sign * step * direction
            found.append(loss())
        array[...] = start
        expected = (found[0] - found[1]) / (2 * step)
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=2e-6, abs=1e-6), name


def test_recompute_changes_no_bit(kind: str, backend_isa: str) -> None:
    found = []
    for recompute in (0, 2):
        module = dropped(kind, num_layers=2, recompute=recompute)
        y, _, tape = module.forward(batch(), rng=2)
        dx, _ = module.backward(tape, y)
        found.append([y, dx, *(p.grad for p in module.parameters())])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_windows_share_the_masks_of_their_sequence(kind: str) -> None:
    """Outputs of truncated backpropagation are those of the whole run."""
    module, x = dropped(kind), batch()
    whole, state_n, _ = module.forward(x, rng=4)
    windows = list(module.tbptt(x, steps=4, rng=4))
    np.testing.assert_array_equal(np.concatenate([w.y for w in windows]), whole)
    for a, b in zip(parts(windows[-1].state), parts(state_n), strict=True):
        np.testing.assert_array_equal(a, b)


def test_all_and_nothing(kind: str) -> None:
    x = batch()
    np.testing.assert_array_equal(layer(kind).forward(x)[0], layer(kind)(x)[0])
    module = layer(kind, recurrent_dropout=1.0)
    y, _, _ = module.forward(x, rng=0)
    for name, parameter in module.named_parameters():
        if name.startswith("weight_hh"):
            parameter.data[...] = 0
    np.testing.assert_array_equal(y, module(x)[0])


def test_memory_plan_counts_it() -> None:
    plain, module = layer("lstm").memory_plan(T, N), dropped("lstm").memory_plan(T, N)
    assert module.peak > plain.peak


def test_repr_and_errors() -> None:
    assert "recurrent_dropout=0.4" in repr(dropped("gru"))
    with pytest.raises(ValueError, match=r"recurrent_dropout is 1\.5, expected 0 to 1"):
        fl.LSTM(2, 3, recurrent_dropout=1.5)
    module = fl.RNN(2, 3)
    with pytest.raises(TypeError, match="recurrent_dropout is 'x', expected a number"):
        module.recurrent_dropout = "x"
