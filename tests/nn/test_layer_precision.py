"""Layers and cells in lower precision: near float32, and what holds to the last bit."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from kinds import CELL_KINDS, draw_state, lengths, parts, run
from rounded_layers import X, assert_near, make

import fastlstm as fl

pytestmark = pytest.mark.pairs


@pytest.mark.usefixtures("rounding")
def test_a_layer_is_near_and_back_again_to_the_bit(kind: str, precision: str) -> None:
    module = make(kind, "float32", 4, 9, 2, bidirectional=True)
    y = module(X, None, lengths())[0]
    module.precision = precision
    rounded = module(X, None, lengths())[0]
    assert_near(rounded, y, 0.05)
    np.testing.assert_array_equal(make(kind, precision, 4, 9, 2, bidirectional=True)(
        X, None, lengths())[0], rounded)  # fmt: skip
    module.precision = "float32"
    np.testing.assert_array_equal(module(X, None, lengths())[0], y)


@pytest.mark.usefixtures("rounding")
def test_rows_lengths_and_chunks(kind: str, precision: str) -> None:
    """A row is the same alone, in the batch, and cut in two."""
    module = make(kind, precision, 4, 9, 2)
    state = draw_state(module)
    y, last = module(X, state)
    for n in range(X.shape[1]):
        alone, _ = module(X[:, n : n + 1], like_rows(state, n))
        np.testing.assert_array_equal(alone[:, 0], y[:, n])
    some = lengths()
    short, _ = module(X, state, some)
    for n, length in enumerate(some):
        np.testing.assert_array_equal(short[:length, n], y[:length, n])
        assert not short[length:, n].any()
    head, between = module(X[:2], state)
    tail, end = module(X[2:], between)
    np.testing.assert_array_equal(np.concatenate([head, tail]), y)
    for a, b in zip(parts(end), parts(last), strict=True):
        np.testing.assert_array_equal(a, b)


def like_rows(state: Any, n: int) -> Any:
    cut = [np.ascontiguousarray(s[:, n : n + 1]) for s in parts(state)]
    return tuple(cut) if isinstance(state, tuple) else cut[0]


@pytest.mark.usefixtures("rounding")
def test_tokens_and_batch_first(kind: str, precision: str) -> None:
    module = make(kind, precision, batch_first=True, bidirectional=True)
    rng = np.random.default_rng(0)
    table, ids = rng.standard_normal((3, 4)).astype(np.float32), rng.integers(0, 3, (5, 6))
    dense, _ = module(table[ids])
    np.testing.assert_array_equal(module(fl.Tokens(ids, table))[0], dense)


@pytest.mark.usefixtures("rounding")
@pytest.mark.parametrize("at", ["before", "after"])
def test_a_reset_starts_anew(kind: str, precision: str, at: str) -> None:
    module = make(kind, precision)
    reset = np.zeros(X.shape[:2], bool)
    reset[2] = True
    cut = 2 if at == "before" else 3
    y, _ = module(X, reset=reset, reset_at=at)
    np.testing.assert_array_equal(y[cut:], module(X[cut:])[0])
    np.testing.assert_array_equal(y[:cut], module(X[:cut])[0])


@pytest.mark.usefixtures("rounding")
def test_a_stream_takes_the_precision_along(kind: str, precision: str) -> None:
    module = make(kind, precision, 4, 9, 2)
    y, last = module(X)
    stream = module.stream(X.shape[1])
    module.precision = "float32"
    copies = [stream, copy.copy(stream), pickle.loads(pickle.dumps(stream))]
    for one in copies:
        for x, expected in zip(X, y, strict=True):
            np.testing.assert_array_equal(one(x), expected)
        for a, b in zip(one.state, parts(last), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("rounding")
def test_bfloat16_trains(kind: str) -> None:
    """Near the gradients of float32, and the same ones recomputed."""
    options: dict[str, Any] = {"dropout": 0.3, "recurrent_dropout": 0.2}
    results = {}
    for precision in ("float32", "bfloat16"):
        module = make(kind, precision, 4, 9, 2, bidirectional=True, **options)
        results[precision] = run(module, X, None, lengths(), rng=5)
    bound = 0.3 if kind == "rnn-relu" else 0.05
    for name, value in results["bfloat16"].items():
        expected = results["float32"][name]
        norm = np.sqrt(np.sum(expected**2))
        assert np.sqrt(np.sum((value - expected) ** 2)) < bound * norm, name
    module = make(kind, "bfloat16", 4, 9, 2, bidirectional=True, recompute=2, **options)
    for name, value in run(module, X, None, lengths(), rng=5).items():
        np.testing.assert_array_equal(value, results["bfloat16"][name], err_msg=name)


@pytest.mark.usefixtures("rounding")
def test_what_forward_ran_in_is_what_backward_runs_in() -> None:
    gradients = []
    for after in ("bfloat16", "float32"):
        module = make("lstm", "bfloat16")
        y, _, tape = module.forward(X)
        module.precision = after
        module.backward(tape, np.ones_like(y))
        gradients.append(module.weight_hh_l0.grad)
    np.testing.assert_array_equal(*gradients)


@pytest.mark.usefixtures("rounding")
def test_a_trace_is_of_the_precision(kind: str) -> None:
    module = make(kind, "bfloat16")
    np.testing.assert_array_equal(module.trace(X).h, module(X)[0])


@pytest.mark.usefixtures("rounding")
def test_memory_plan_of_bfloat16() -> None:
    assert make("lstm", "bfloat16").memory_plan(5, 3).peak > 0


@pytest.mark.usefixtures("rounding")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_their_row(kind: str, precision: str, bad: float) -> None:
    module, x = make(kind, precision), X.copy()
    y, _ = module(x)
    x[1, 2, 3] = bad
    spoiled, _ = module(x)
    others = np.arange(x.shape[1]) != 2
    np.testing.assert_array_equal(spoiled[:, others], y[:, others])
    if precision == "int8" or np.isnan(bad):
        assert np.isnan(spoiled[1:, 2]).all()


@pytest.mark.usefixtures("rounding")
@pytest.mark.parametrize("kind", CELL_KINDS)
def test_a_cell_makes_the_steps_of_its_layer(kind: str, precision: str) -> None:
    cls, options = CELL_KINDS[kind]
    cell = cls(4, 9, rng=0, precision=precision, **options)
    module = make(kind, precision)
    module.load_state_dict({f"{k}_l0": v for k, v in cell.state_dict().items()})
    y, state = module(X)[0], None
    for x, expected in zip(X, y, strict=True):
        state = cell(x, state)
        np.testing.assert_array_equal(parts(state)[0], expected)
    assert f"precision={precision}" in repr(cell)
    if precision == "bfloat16":
        *_, tape = cell.forward(X[0])
        cell.backward(tape, state)
        assert np.abs(cell.weight_ih.grad).max() > 0
    else:
        with pytest.raises(ValueError, match="precision is 'int8'"):
            cell.forward(X[0])
