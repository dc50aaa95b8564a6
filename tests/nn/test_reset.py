"""A reset inside a batch is a cut there: the same bits as the pieces run on their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import Array
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import (
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
    weights_of_loss,
)

import fastlstm as fl
from fastlstm.nn import Tokens

pytestmark = pytest.mark.pairs

Pieces = tuple[list[tuple[int, int]], bool, bool]


def cut(marked: Array, length: int, reset_at: str) -> Pieces:
    """Where a row falls apart, and whether it is also cut at its very start and end."""
    marks = [t for t in range(length) if marked[t]]
    inner = [t for t in marks if t] if reset_at == "before" else [t + 1 for t in marks]
    at = [0, *(t for t in inner if t < length), length]
    pieces = list(zip(at[:-1], at[1:], strict=True)) if length else []
    at_start = reset_at == "before" and 0 in marks
    return pieces, at_start, reset_at == "after" and length - 1 in marks


class ByHand:
    """Runs each piece of each row alone and puts the results together.

    The forward direction starts a row's first piece from the given state, the other one its last.
    """

    def __init__(self, module: Any, x: Array, state: list[Array] | None, lengths: Array) -> None:
        self.module, self.x, self.lengths = module, x, lengths
        self.fresh = list(module.make_state(len(lengths)))
        self.state, self.learned = state or self.fresh, state is None
        self.y = np.zeros((*x.shape[:2], module._width))
        self.dx = np.zeros_like(x)
        self.state_n = [s.copy() for s in self.state]
        self.d_0 = [np.zeros_like(s) for s in self.state]
        self.d_fresh = [np.zeros((s.shape[0], s.shape[2])) for s in self.state]

    def run(self, dy: Array, d_n: list[Array], marked: Array, reset_at: str) -> None:
        self.module.zero_grad()
        for n, length in enumerate(self.lengths):
            pieces, at_start, at_end = cut(marked[:, n], length, reset_at)
            d_row = [d[:, n].copy() for d in d_n]
            if not pieces:
                self.book(n, d_row, slice(None), given=True)
            if at_end:
                self.end(n, d_row)
            for j, piece in enumerate(pieces):
                first, last = j == 0, j == len(pieces) - 1
                given = (first and not at_start, last and not at_end)
                self.run_piece(n, piece, dy, d_row, given, ends=(last and not at_end, first))

    def run_piece(
        self, n: int, piece: tuple[int, int], dy: Array, d_n: list[Array],
        given: tuple[bool, bool], ends: tuple[bool, bool],
    ) -> None:  # fmt: skip
        """Run a piece: each direction from the state given or a fresh one, to its end or not."""
        module, steps, D = self.module, slice(*piece), self.module._directions
        state, d = [s[:, n].copy() for s in self.fresh], [np.zeros_like(part) for part in d_n]
        for k in range(len(state[0])):
            for p in range(len(state)):
                if given[k % D]:
                    state[p][k] = self.state[p][k, n]
                if ends[k % D]:
                    d[p][k] = d_n[p][k]
        x = self.x[steps, n : n + 1]
        y, after, tape = module.forward(x, like(module, [s[:, None] for s in state]))
        dy = np.ascontiguousarray(dy[steps, n : n + 1])
        dx, before = module.backward(tape, dy, like(module, [part[:, None] for part in d]))
        self.y[steps, n], self.dx[steps, n] = y[:, 0], dx[:, 0]
        for k in range(len(state[0])):
            if ends[k % D]:
                for mine, value in zip(self.state_n, parts(after), strict=True):
                    mine[k, n] = value[k, 0]
            self.book(n, [part[:, 0] for part in parts(before)], k, given[k % D])

    def end(self, n: int, d_n: list[Array]) -> None:
        """Return the fresh state in the forward direction, and give it the gradient."""
        forward = slice(None, None, self.module._directions)
        for p, d in enumerate(d_n):
            self.state_n[p][forward, n] = self.fresh[p][forward, n]
            self.d_fresh[p][forward] += d[forward]
            d[forward] = 0

    def book(self, n: int, d: list[Array], k: Any, given: bool) -> None:
        """Add the gradient of the state that a piece started from."""
        for p, part in enumerate(d):
            if given:
                self.d_0[p][k, n] = part[k]
            if self.learned or not given:
                self.d_fresh[p][k] += part[k]


def assert_as_by_hand(
    module: Any, x: Array, state: Any, n: Array, mask: Array, reset_at: str
) -> None:
    given = None if state is None else parts(state)
    y, state_n, tape = module.forward(x, state, n, reset=mask, reset_at=reset_at)
    dy, *d_n = weights_of_loss([y, *parts(state_n)])
    module.zero_grad()
    dx, d_0 = module.backward(tape, dy, like(module, d_n))
    gradients = {name: p.grad.copy() for name, p in module.named_parameters()}
    called, state_called = module(x, state, n, reset=mask, reset_at=reset_at)
    hand = ByHand(module, x, given, n)
    hand.run(dy, d_n, mask, reset_at)
    for a, b in [(y, hand.y), (dx, hand.dx), (called, hand.y)]:
        np.testing.assert_array_equal(a, b)
    found = [*parts(state_n), *parts(state_called), *parts(d_0)]
    for a, b in zip(found, [*hand.state_n, *hand.state_n, *hand.d_0], strict=True):
        np.testing.assert_array_equal(a, b)
    if module.learn_state:
        for name, value in zip(("h_0", "c_0"), hand.d_fresh, strict=False):
            np.testing.assert_allclose(gradients.pop(name), value, rtol=0, atol=1e-11, err_msg=name)
    for name, value in gradients.items():
        expected = dict(module.named_parameters())[name].grad
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-11, err_msg=name)


@settings(max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("reset_at", ["before", "after"])
def test_a_reset_is_a_cut(backend_isa: str, kind: str, reset_at: str, data: st.DataObject) -> None:
    draw, rng = data.draw, np.random.default_rng(data.draw(st.integers(0, 99)))
    steps, rows = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    module = layer(
        kind,
        num_layers=draw(st.integers(1, 2)),
        bidirectional=draw(st.booleans()),
        learn_state=draw(st.booleans()),
        recompute=draw(st.sampled_from([0, 0, 2])),
    )
    for parameter in module._learned():
        parameter.data[...] = rng.standard_normal(parameter.data.shape)
    mask = rng.random((steps, rows)) < draw(st.sampled_from([0.2, 0.5, 1.0]))
    n = rng.integers(0, steps + 1, rows) if draw(st.booleans()) else np.full(rows, steps)
    state = draw_state(module, rows) if draw(st.booleans()) else None
    x = rng.standard_normal((steps, rows, I))
    assert_as_by_hand(module, x, state, n, mask, reset_at)


def test_the_two_conventions_differ_by_one_step(backend_isa: str, kind: str) -> None:
    module, mask = layer(kind, num_layers=2), np.random.default_rng(0).random((T, N)) < 0.4
    mask[-1] = False
    before = np.roll(mask, 1, axis=0)
    after = run(module, batch(), reset=mask, reset_at="after")
    assert_all_equal(run(module, batch(), reset=before), after)


@pytest.mark.parametrize("reset_at", ["before", "after"])
def test_marks_behind_a_row_are_not_read(backend_isa: str, kind: str, reset_at: str) -> None:
    module, n = layer(kind, num_layers=2, bidirectional=True), lengths()
    mask = np.random.default_rng(1).random((T, N)) < 0.4
    behind = np.arange(T)[:, None] >= n
    options = {"lengths": n, "reset_at": reset_at}
    expected = run(module, batch(), reset=mask & ~behind, **options)
    assert_all_equal(run(module, batch(), reset=mask | behind, **options), expected)


def test_no_mark_is_no_reset(backend_isa: str, kind: str) -> None:
    module = layer(kind, num_layers=2, bidirectional=True)
    plain = run(module, batch(), draw_state(module), lengths())
    for reset_at in ("before", "after"):
        none = {"reset": np.zeros((T, N), bool), "reset_at": reset_at}
        assert_all_equal(run(module, batch(), draw_state(module), lengths(), **none), plain)


def test_batch_first_and_lists(backend_isa: str, kind: str) -> None:
    mask = np.random.default_rng(1).random((T, N)) < 0.4
    y, _ = layer(kind)(batch(), reset=mask)
    rows_first = layer(kind, batch_first=True)
    y2, _ = rows_first(batch().swapaxes(0, 1).copy(), reset=mask.T.tolist())
    np.testing.assert_array_equal(y2.swapaxes(0, 1), y)
    alone, _ = rows_first(batch()[:, 3], reset=mask[:, 3])
    np.testing.assert_array_equal(alone, y[:, 3])


def test_tokens(backend_isa: str, kind: str) -> None:
    module, rng = layer(kind, num_layers=2), np.random.default_rng(2)
    table, ids, mask = rng.standard_normal((7, I)), rng.integers(0, 7, (T, N)), rng.random((T, N))
    dense, _ = module(table[ids], reset=mask < 0.4)
    np.testing.assert_array_equal(module(Tokens(ids, table), reset=mask < 0.4)[0], dense)


def test_what_is_done_does_not_pass_on_nan(backend_isa: str, kind: str) -> None:
    """A reset state is not multiplied by zero: what was NaN is gone."""
    x, mask = batch(), np.zeros((T, N), bool)
    x[2, 1], mask[2, 1] = np.nan, True
    y, state_n = layer(kind)(x, reset=mask, reset_at="after")
    assert np.isnan(y[2, 1]).all()
    assert not np.isnan(y[3:]).any()
    assert not any(np.isnan(s).any() for s in parts(state_n))


def test_done_at_the_end_returns_a_fresh_state(backend_isa: str, kind: str) -> None:
    module, n = layer(kind, num_layers=2), np.array([T, 2, T, 3, 0])
    mask = np.zeros((T, N), bool)
    mask[T - 1, 0] = mask[1, 1] = True
    _, plain = module(batch(), draw_state(module), n)
    _, found = module(batch(), draw_state(module), n, reset=mask, reset_at="after")
    for a, b in zip(parts(found), parts(plain), strict=True):
        assert not a[:, :2].any()
        np.testing.assert_array_equal(a[:, 2:], b[:, 2:])


def test_changing_the_mask_afterwards_changes_nothing(backend_isa: str) -> None:
    module = fl.GRU(I, H, dtype="float64")
    mask = np.random.default_rng(1).random((T, N)) < 0.4
    state = draw_state(module)
    y, _, tape = module.forward(batch(), state, reset=mask)
    expected, d_0 = module.backward(tape, y)
    y, _, tape = module.forward(batch(), state, reset=mask)
    mask[...] = True
    state[...] = 7
    dx, d_0_2 = module.backward(tape, y)
    np.testing.assert_array_equal(dx, expected)
    np.testing.assert_array_equal(d_0_2, d_0)
