"""The state as an object: rows of it, layers that take and return it, learned initial states."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest
from kinds import (
    I,
    N,
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
from fastlstm import State

K, H, R = 2, 6, 4


def make(rows: int = N, seed: int = 0) -> State:
    rng = np.random.default_rng(seed)
    return State([rng.standard_normal((K, rows, R)), rng.standard_normal((K, rows, H))])


def test_it_is_a_tuple() -> None:
    state = make()
    h, c = state
    assert isinstance(state, tuple)
    assert (state.h is h, state.c is c, state.batch_size) == (True, True, N)
    with pytest.raises(AttributeError, match="no c"):
        _ = State([h]).c


def test_zeros() -> None:
    state = State.zeros((K, N, R), (K, N, H))
    assert [part.shape for part in state] == [(K, N, R), (K, N, H)]
    assert {part.dtype for part in state} == {np.dtype("float32")}
    assert not any(part.any() for part in state)
    assert State.zeros((1, 1, 1), dtype="float64").h.dtype == float


def test_copies_are_apart() -> None:
    state = make()
    for other in (state.copy(), copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        assert isinstance(other, State)
        for a, b in zip(other, state, strict=True):
            np.testing.assert_array_equal(a, b)
            a[...] = 0
            assert b.all()


@pytest.mark.parametrize(
    ("rows", "index"),
    [([3, 0, 3], [3, 0, 3]), (2, [2]), (np.arange(N) > 2, [3, 4]), ([], []), ([False] * N, [])],
    ids=str,
)
def test_gather(rows: Any, index: list[int]) -> None:
    state = make()
    found = state.gather(rows)
    for a, b in zip(found, state, strict=True):
        np.testing.assert_array_equal(a, b[:, np.array(index, int)])
        a[...] = 0
        assert b.all()


@pytest.mark.parametrize("rows", [[3, 0], np.arange(N) > 2, []], ids=str)
def test_scatter_writes_back_what_was_gathered(rows: Any) -> None:
    state, other = make(), make(seed=1)
    expected = [part.copy() for part in state]
    index = np.flatnonzero(rows) if isinstance(rows, np.ndarray) else np.array(rows, int)
    state.scatter(rows, other.gather(rows))
    for part, value, new in zip(state, expected, other, strict=True):
        value[:, index] = new[:, index]
        np.testing.assert_array_equal(part, value)


@pytest.mark.parametrize("rows", [[3, 0], 1, np.arange(N) % 2 == 0, [], None], ids=str)
@pytest.mark.parametrize("to", [None, "one", "many"])
def test_reset(rows: Any, to: str | None) -> None:
    state, target = make(), None if to is None else make(1 if to == "one" else N, seed=1)
    expected = [part.copy() for part in state]
    index = np.atleast_1d(np.arange(N) if rows is None else np.array(rows))
    index = np.flatnonzero(index) if index.dtype == bool else index.astype(int)
    state.reset(rows, target)
    for i, value in enumerate(expected):
        new = np.zeros_like(value) if target is None else target[i] + np.zeros_like(value)
        value[:, index] = new[:, index]
        np.testing.assert_array_equal(state[i], value)


WRONG = [
    (lambda s: State([]), "parts is empty, expected at least one array"),
    (lambda s: State([[1.0]]), "parts[0] is a list of 1, expected an array of 2 or 3 axes"),
    (lambda s: State([np.zeros(3)]), "parts[0] is a ndarray, expected an array of 2 or 3 axes"),
    (lambda s: State([np.zeros((1, 2), int)]), "expected float32 or float64"),
    (lambda s: State([s.h, s.c[:, 1:]]), "parts[1] has shape (2, 4, 6), expected (2, 5, any)"),
    (lambda s: State([s.h, s.c.astype("f")]), "parts[1] has dtype float32, expected float64"),
    (lambda s: s.gather([0, 5]), "rows[1] is 5, expected 0 to 4"),
    (lambda s: s.gather(-1), "rows[0] is -1, expected 0 to 4"),
    (lambda s: s.gather(1.0), "rows has dtype float64, expected integers"),
    (lambda s: s.gather([[1]]), "rows has shape (1, 1), expected 1 axis"),
    (lambda s: s.gather([True]), "rows has shape (1,), expected (5,) of a bool array"),
    (lambda s: s.scatter([1, 1], make(2)), "rows is [1, 1], expected each row once"),
    (lambda s: s.scatter([1], make(2)), "state[0] has shape (2, 2, 4), expected (2, 1, 4)"),
    (lambda s: s.scatter([1], make(1)[:1]), "state is a tuple of 1, expected a State of 2 arrays"),
    (lambda s: s.scatter([1], s.h), "state is a ndarray, expected a State of 2 arrays"),
    (lambda s: s.reset([1], make(2)), "to[0] has shape (2, 2, 4), expected (2, 5, 4)"),
    (lambda s: s.reset(to=(s.h, s.h)), "to[1] has shape (2, 5, 4), expected (2, 5, 6)"),
    (lambda s: s.reset(to=(s.h[:, 0], s.c)), "to[0] has shape (2, 4), expected (2, 5, 4)"),
    (lambda s: State([s.h[:, 0]]).reset(), "shape (2, 4), expected a batch axis"),
    (lambda s: State([s.h[:, 0]]).gather([1]), "shape (2, 4), expected a batch axis"),
]


@pytest.mark.parametrize(("act", "message"), WRONG, ids=[m for _, m in WRONG])
def test_errors(act: Any, message: str) -> None:
    state = make()
    with pytest.raises((TypeError, ValueError, IndexError), match=re.escape(message)):
        act(state)
    for a, b in zip(state, make(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_take_and_return_it(backend_isa: str, kind: str) -> None:
    module, x = layer(kind, num_layers=2, bidirectional=True), batch()
    plain = draw_state(module)
    y, state_n, tape = module.forward(x, State(parts(plain)), lengths())
    dx, d_0 = module.backward(tape, y, state_n)
    y2, state_n2, tape = module.forward(x, plain, lengths())
    dx2, d_02 = module.backward(tape, y2, state_n2)
    for found, expected in [(state_n, state_n2), (d_0, d_02)]:
        assert isinstance(found, State)
        assert isinstance(expected, State) == kind.startswith("lstm")
        for a, b in zip(found, parts(expected), strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(y, y2)
    np.testing.assert_array_equal(dx, dx2)
    assert isinstance(module(x, State(parts(plain)))[1], State)


def test_rows_go_on_elsewhere(backend_isa: str, kind: str) -> None:
    """What a server does: rows of different batches meet in one, and part again."""
    module, x = layer(kind, num_layers=2), batch()
    whole, _ = module(x, module.make_state(N))
    state = module.make_state(N)
    _, state = module(x[:2], state)
    some = [4, 1]
    y, part = module(x[2:, some].copy(), state.gather(some))
    np.testing.assert_array_equal(y, whole[2:, some])
    others = [n for n in range(N) if n not in some]
    y, _ = module(x[2:, others].copy(), state.gather(others))
    np.testing.assert_array_equal(y, whole[2:, others])


def test_it_is_neither_kept_nor_changed(backend_isa: str, kind: str) -> None:
    module, x = layer(kind), batch()
    state = State(parts(draw_state(module)))
    before = state.copy()
    y, after, tape = module.forward(x, state)
    expected = run(module, x, before)
    for a, b in zip(state, before, strict=True):
        np.testing.assert_array_equal(a, b)
        a[...] = 7
    kept = after.copy()
    after.reset()
    dy, *d_n = weights_of_loss([y, *kept])
    module.zero_grad()
    dx, d_0 = module.backward(tape, dy, like(module, d_n))
    np.testing.assert_array_equal(dx, expected["dx"])
    for i, part in enumerate(d_0):
        np.testing.assert_array_equal(part, expected[f"dstate[{i}]"])
    for name, parameter in module.named_parameters():
        np.testing.assert_array_equal(parameter.grad, expected["d" + name])


def learning(kind: str, **options: Any) -> Any:
    module = layer(kind, learn_state=True, **options)
    for parameter in module._learned():
        parameter.data[...] = np.random.default_rng(8).standard_normal(parameter.data.shape)
    return module


def test_a_learned_state_is_where_rows_start(backend_isa: str, kind: str) -> None:
    module = learning(kind, num_layers=2, bidirectional=True)
    given = module.make_state(N)
    learned = run(module, batch(), lengths=lengths())
    explicit = run(module, batch(), given, lengths())
    for i, name in enumerate(["dh_0", "dc_0"][: len(given)]):
        assert not explicit[name].any()
        d_0 = learned[f"dstate[{i}]"]
        np.testing.assert_array_equal(learned.pop(name), d_0.sum(axis=1))
        del explicit[name]
    assert_all_equal(learned, explicit)


def test_it_is_zero_at_first_and_no_parameter_unless_asked_for(kind: str) -> None:
    plain, module = layer(kind), layer(kind, learn_state=True)
    names = ["h_0", "c_0"][: len(plain.make_state())]
    assert list(module.state_dict()) == [*plain.state_dict(), *names]
    assert not any(module.state_dict()[name].any() for name in names)
    for name in names:
        np.testing.assert_array_equal(getattr(module, name).data.shape[0], 1)
        assert not hasattr(plain, name)


def test_its_gradient_adds_up_over_batches(backend_isa: str, kind: str) -> None:
    module = learning(kind)
    once = run(module, batch())["dh_0"]
    y, state_n, tape = module.forward(batch())
    dy, *d_n = weights_of_loss([y, *parts(state_n)])
    module.backward(tape, dy, like(module, d_n))
    np.testing.assert_array_equal(module.h_0.grad, 2 * once)


@pytest.mark.parametrize("reset_at", ["before", "after"])
def test_its_gradient_against_differences(backend_isa: str, kind: str, reset_at: str) -> None:
    module, x = learning(kind, num_layers=2, bidirectional=True), batch()
    mask = np.random.default_rng(1).random(x.shape[:2]) < 0.4
    options: dict[str, Any] = {"lengths": lengths(), "reset": mask, "reset_at": reset_at}
    results = run(module, x, **options)

    def loss() -> float:
        y, state_n = module(x, **options)
        outputs = [y, *parts(state_n)]
        weights = weights_of_loss(outputs)
        return sum(float((o * w).sum()) for o, w in zip(outputs, weights, strict=True))

    for parameter, name in zip(module._learned(), ("dh_0", "dc_0"), strict=False):
        start = parameter.data.copy()
        direction = np.random.default_rng(2).standard_normal(start.shape)
        slopes = []
        for step in (1e-6, -1e-6):
            parameter.data[...] = start + step * direction
            slopes.append(loss())
        parameter.data[...] = start
        expected = float((results[name] * direction).sum())
        assert (slopes[0] - slopes[1]) / 2e-6 == pytest.approx(expected, rel=1e-6)


def test_make_state() -> None:
    module = fl.LSTM(I, H, 3, bidirectional=True, proj_size=R)
    state = module.make_state(4)
    assert [part.shape for part in state] == [(6, 4, R), (6, 4, H)]
    with pytest.raises(ValueError, match="batch_size is 0, expected at least 1"):
        module.make_state(0)
    learned = learning("gru")
    learned.make_state(2).h[...] = 0
    assert learned.h_0.data.any()
