"""Steps of some rows of a stream: as in a step of all, the others left alone; and hostile rows."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastlstm as fl
from attack.fuzz import compare
from attack.fuzz.draw import LOWER, Rng, array, chance, laid_out, layer, pick
from attack.fuzz.hostile import anything, attempt, damaged

ROWS = (1, 2, 3, 5, 8, 17, 33, 70)
HUGE = (2**31, 2**62, 2**63 - 1, -1, -(2**63))


def make(rng: Rng) -> Any:
    """A layer, at times so large that threads share a step of it."""
    large = {"num_layers": 1} if chance(rng, 8) else {}
    options = {"bidirectional": False, "lower": LOWER, "dropout": 0.0, "batch_first": False}
    if not large:
        return layer(rng, **options)
    cls = pick(rng, (fl.LSTM, fl.GRU, fl.RNN))
    return cls(33, 129, dtype=pick(rng, ("float32", "float64")), rng=int(rng.integers(1 << 30)))


def _some(rng: Rng, N: int) -> Any:
    return rng.permutation(N)[: int(rng.integers(N + 1))]


def _written(rng: Rng, rows: Any, N: int) -> tuple[Any, Any]:
    """Rows in a form that is taken, and the order that they have then."""
    how = int(rng.integers(7))
    if how == 0:
        mask = np.isin(np.arange(N), rows)
        return laid_out(rng, mask), np.flatnonzero(mask)
    if how == 1 and len(rows) == 1:
        return int(rows[0]), rows
    if how < 4:
        return rows.astype(pick(rng, (np.int8, np.uint8, np.int32, ">i8", np.uint64))), rows
    if how == 4:
        return rows.tolist(), rows
    if how == 5:
        return tuple(rows.tolist()), rows
    return laid_out(rng, rows), rows


def steps(rng: Rng) -> None:
    """Steps of some rows, of all, resets and states put in, beside steps of all rows alone."""
    made, N = make(rng), int(pick(rng, ROWS))
    some, whole = made.stream(N), made.stream(N)
    for _ in range(int(rng.integers(2, 7))):
        fl.set_num_threads(int(rng.integers(1, 4)))
        x, before = array(rng, (N, made.input_size), made.dtype), some.state
        compare.to_the_bit(whole.state, before, "state of rows stepped apart")
        how = int(rng.integers(6))
        if how == 0:
            compare.to_the_bit(some(x), whole(x), "y of all rows")
        elif how == 1:
            rows = _some(rng, N)
            some.reset(rows)
            whole.reset(rows)
        elif how == 2:
            state = fl.State(np.asarray(rng.standard_normal(p.shape), p.dtype) for p in before)
            some.state = whole.state = state
        else:
            given, rows = _written(rng, _some(rng, N), N)
            expected = whole(x).copy()
            y = some(laid_out(rng, np.array(x[rows])), given)
            compare.to_the_bit(y, expected[rows], f"y of rows {rows}")
            state = before.copy()
            state.scatter(rows, whole.state.gather(rows))
            whole.state = state


def hostile(rng: Rng) -> None:
    """Rows that are none, come twice or are of another type: nothing goes on after an error."""
    made, N = make(rng), int(pick(rng, ROWS))
    runner, x = made.stream(N), array(rng, (N, made.input_size), made.dtype)
    runner(x)
    for _ in range(4):
        before = runner.state
        rows = np.sort(_some(rng, N)) if chance(rng, 2) else rng.integers(0, N, N + 2)
        wrong = rows.astype(np.int64).copy()
        if len(wrong) and chance(rng, 2):
            wrong[int(rng.integers(len(wrong)))] = pick(rng, (N, *HUGE))
        wrong = pick(rng, (wrong, wrong, damaged(rng, wrong), anything(rng), np.ones(N + 1, bool)))
        n = len(wrong) if isinstance(wrong, np.ndarray) and wrong.ndim and len(wrong) < 100 else N
        given = array(rng, (n, made.input_size), made.dtype)
        if chance(rng, 4):
            given = damaged(rng, given)
        threads = pick(rng, (1, 2, 3, 0, -1, 2**31 - 1))
        calls = (
            lambda g=given, w=wrong: runner(g, w), lambda g=given, w=wrong: runner(g, rows=w),
            # what the checks in Python would not let through
            lambda g=given, w=wrong, k=threads: runner._steps(g, w, k),
        )  # fmt: skip
        if attempt(pick(rng, calls), {"rows", "row", "x"}) is None:
            compare.to_the_bit(runner.state, before, "state after an error")
    again = made.stream(N)
    again.state = runner.state
    compare.to_the_bit(runner(x), again(x), "y after errors")
