"""Truncated backpropagation through time: windows equal those cut by hand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from kinds import I, N, T, batch, draw_state, layer, lengths, parts

import fastlstm as fl
from fastlstm import State
from fastlstm.nn import Tokens

pytestmark = pytest.mark.pairs

MASK = np.random.default_rng(1).random((T, N)) < 0.4


def by_hand(
    module: Any, x: Any, steps: int, state: Any, n: Any, reset: Any, reset_at: str
) -> list[tuple[Any, ...]]:
    """y, dx and the state of each window, gradients left in the module."""
    found = []
    for start in range(0, T, steps):
        window = slice(start, start + steps)
        part = x[window]
        y, state, tape = module.forward(
            part,
            state,
            np.clip(n - start, 0, len(part)),
            rng=np.random.default_rng(start),
            reset=None if reset is None else reset[window],
            reset_at=reset_at,
        )
        found.append((y, module.backward(tape, np.cos(y))[0], parts(state)))
    return found


@pytest.mark.parametrize("steps", [1, 2, 4, T, T + 5])
@pytest.mark.parametrize("given", [False, True], ids=["from zeros", "from a state"])
@pytest.mark.parametrize("reset_at", [None, "before", "after"])
def test_windows_equal_those_cut_by_hand(
    backend_isa: str, kind: str, steps: int, given: bool, reset_at: str | None
) -> None:
    module, x, n = layer(kind, num_layers=2, dropout=0.3), batch(), lengths()
    state, mask = draw_state(module) if given else None, None if reset_at is None else MASK
    expected = by_hand(module, x, steps, state, n, mask, reset_at or "before")
    gradients = [p.grad.copy() for p in module.parameters()]
    module.zero_grad()
    rng = np.random.default_rng(0)
    windows = module.tbptt(x, steps, state, n, rng, reset=mask, reset_at=reset_at or "before")
    at = 0
    for y, dx, after in expected:
        rng.bit_generator.state = np.random.default_rng(at * steps).bit_generator.state
        window = next(windows)
        assert window.steps == slice(at * steps, min(at * steps + steps, T))
        np.testing.assert_array_equal(window.lengths, np.clip(n - at * steps, 0, len(y)))
        np.testing.assert_array_equal(window.y, y)
        for a, b in zip(parts(window.state), after, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(window.backward(np.cos(y)), dx)
        at += 1
    assert next(windows, None) is None
    for p, gradient in zip(module.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(p.grad, gradient)


def test_windows_put_together_are_the_whole(backend_isa: str, kind: str) -> None:
    module, x = layer(kind, num_layers=2, batch_first=True), batch().swapaxes(0, 1).copy()
    y, state_n = module(x, reset=MASK.T, lengths=lengths())
    windows = list(module.tbptt(x, 4, reset=MASK.T, lengths=lengths()))
    np.testing.assert_array_equal(np.concatenate([w.y for w in windows], axis=1), y)
    for a, b in zip(parts(windows[-1].state), parts(state_n), strict=True):
        np.testing.assert_array_equal(a, b)
    assert windows[0].backward(windows[0].y).shape == (N, 4, I)


def test_one_sequence_and_tokens(backend_isa: str, kind: str) -> None:
    module, x = layer(kind), batch()
    y, _ = module(x[:, 0])
    windows = list(module.tbptt(x[:, 0], 4))
    np.testing.assert_array_equal(np.concatenate([w.y for w in windows]), y)
    table, ids = batch()[0], np.random.default_rng(3).integers(0, N, (T, N))
    dense = [w.backward(w.y) for w in module.tbptt(table[ids], 4)]
    for window, dx in zip(module.tbptt(Tokens(ids, table), 4), dense, strict=True):
        dtable = np.zeros_like(table)
        np.add.at(dtable, ids[window.steps], dx)
        np.testing.assert_allclose(window.backward(window.y), dtable, rtol=0, atol=1e-12)


def test_weights_may_change_between_windows(backend_isa: str, kind: str) -> None:
    module, x = layer(kind), batch()
    windows = module.tbptt(x, 3)
    first = next(windows)
    for p in module.parameters():
        p.data *= 0.5
    np.testing.assert_array_equal(next(windows).y, module(x[3:], first.state)[0])


def test_changing_the_state_of_a_window_changes_no_other(backend_isa: str, kind: str) -> None:
    module, x = layer(kind), batch()
    expected = [w.y for w in module.tbptt(x, 2)]
    for window, y in zip(module.tbptt(x, 2), expected, strict=True):
        np.testing.assert_array_equal(window.y, y)
        for part in parts(window.state):
            part[...] = 0


def test_the_state_comes_as_it_was_given(kind: str) -> None:
    module = layer(kind)
    window = next(module.tbptt(batch(), 3, module.make_state(N)))
    assert isinstance(window.state, State)
    window = next(module.tbptt(batch(), 3))
    assert isinstance(window.state, State) == kind.startswith("lstm")


@pytest.mark.parametrize("reset_at", ["before", "after"])
def test_resets_at_the_seams_reach_a_learned_state(
    backend_isa: str, kind: str, reset_at: str
) -> None:
    """Rows that end with a window start the next one anew: their gradient is not truncated."""
    module, x, mask = layer(kind, learn_state=True), batch(), np.zeros((T, N), bool)
    mask[3 if reset_at == "before" else 2] = True  # every row, at the seam
    for window in module.tbptt(x, 3, reset=mask, reset_at=reset_at):
        window.backward(np.cos(window.y))
    found = {name: p.grad.copy() for name, p in module.named_parameters()}
    module.zero_grad()
    for part in (x[:3], x[3:]):
        y, _, tape = module.forward(part)
        module.backward(tape, np.cos(y))
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(found[name], parameter.grad, rtol=0, atol=1e-12, err_msg=name)
    assert found["h_0"].any()


def test_a_window_serves_once() -> None:
    module = layer("gru")
    window = next(module.tbptt(batch(), 3))
    with pytest.raises(ValueError, match="dy has shape"):
        window.backward(batch())
    window.backward(window.y)
    with pytest.raises(RuntimeError, match="tape was already used"):
        window.backward(window.y)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"steps": 0}, "steps is 0, expected at least 1"),
    ({"steps": 2.0}, "steps is 2.0, expected an integer"),
    ({"x": np.zeros((T, N, I + 1))}, "x has shape (6, 5, 5), expected (any, any, 4)"),
    ({"lengths": [1]}, "lengths has shape (1,), expected (5,)"),
    ({"state": np.zeros((1, 1, 9))}, "state has shape (1, 1, 9), expected (1, 5, 9)"),
    ({"reset": np.zeros((2, N), bool)}, "reset has shape (2, 5), expected (6, 5)"),
    ({"rng": "3"}, "rng is '3', expected a numpy.random.Generator, a seed or None"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_arguments_are_told_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        layer("gru").tbptt(**{"x": batch(), "steps": 2, **options})


def test_bidirectional() -> None:
    with pytest.raises(ValueError, match="bidirectional is True: windows have no end"):
        fl.GRU(I, 3, bidirectional=True).tbptt(batch().astype("float32"), 2)
