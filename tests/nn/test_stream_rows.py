"""Steps of some rows of a stream, and steps that threads share."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from kinds import KINDS
from kinds import layer as make

import fastlstm as fl

N, I, H = 5, 4, 19
CHOICES: list[Any] = [
    [3, 0], [4], 2, [], [0, 1, 2, 3, 4], [4, 3, 2, 1, 0], np.array([1, 2], np.uint8),
    np.array([True, False, False, True, False]),
]  # fmt: skip


def steps(n: int, dtype: Any = np.float32, rows: int = N) -> Any:
    return np.random.default_rng(1).standard_normal((n, rows, I)).astype(dtype)


@pytest.mark.parametrize(("layers", "dtype"), [(1, "float32"), (3, "float64")])
def test_some_rows_step_as_among_all(backend_isa: str, kind: str, layers: int, dtype: str) -> None:
    module = make(kind, I, H, layers, dtype=dtype)
    some, whole = module.stream(N), module.stream(N)
    for rows, x in zip(CHOICES, steps(len(CHOICES), dtype), strict=True):
        before = some.state
        whole.state = before
        expected = whole(x).copy()
        index = np.arange(N)[rows] if np.ndim(rows) else np.array([rows])
        index = index.astype(int)
        y = some(x[index], rows)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, expected[index])
        others = np.setdiff1d(np.arange(N), index)
        for part, old, new in zip(some.state, before, whole.state, strict=True):
            np.testing.assert_array_equal(part[:, index], new[:, index])
            np.testing.assert_array_equal(part[:, others], old[:, others])


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_some_rows_in_lower_precision(precision: str, native: Any) -> None:
    module = make("lstm", I, H, 2, dtype="float32", precision=precision)
    some, whole = module.stream(N), module.stream(N)
    for x in steps(2):
        whole.state = some.state
        np.testing.assert_array_equal(some(x[[3, 1]], [3, 1]), whole(x)[[3, 1]])


def test_one_row_without_its_axis_among_others(backend_isa: str) -> None:
    stream, x = make("gru", I, H, dtype="float32").stream(N), steps(1)[0]
    expected = make("gru", I, H, dtype="float32").stream(N)(x)[2]
    y = stream(x[2], [2])
    assert y.shape == (H,)
    np.testing.assert_array_equal(y, expected)


WRONG_ROWS: list[tuple[Any, type[Exception], str]] = [
    ([1, 1], ValueError, "rows[1] is 1 once more, expected each row once"),
    ([0, N], IndexError, f"rows[1] is {N}, expected 0 to {N - 1}"),
    ([-1, 0], IndexError, f"rows[0] is -1, expected 0 to {N - 1}"),
    ([[0, 1]], ValueError, "rows has shape (1, 2), expected 1 axis"),
    ([0.0, 1.0], TypeError, "rows has dtype float64, expected integers"),
    (np.ones(N + 1, bool), ValueError, f"rows has shape ({N + 1},), expected ({N},)"),
    ([0, 1, 2], ValueError, f"x has shape (2, {I}), expected (3, {I})"),
]


@pytest.mark.parametrize(("rows", "error", "message"), WRONG_ROWS, ids=[m for *_, m in WRONG_ROWS])
def test_wrong_rows_of_a_step(
    backend_isa: str, rows: Any, error: type[Exception], message: str
) -> None:
    stream, x = make("lstm", I, H, 2, dtype="float32").stream(N), steps(1)[0]
    stream(x)
    before = stream.state
    with pytest.raises(error, match=re.escape(message)):
        stream(x[:2], rows)
    np.testing.assert_array_equal(stream.state, before)
    stream(x[:2], [0, 1])


WIDE = [("lstm", 300, 1), ("lstm", 96, 24), ("gru-before", 96, 24), ("lstm-proj", 128, 200),
        ("rnn-relu", 300, 6), ("lstm", 200, 90)]  # fmt: skip


@pytest.mark.parametrize(("kind", "size", "rows"), WIDE, ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_threads_change_no_bit_of_a_stream(
    native: Any, threads: None, kind: str, size: int, rows: int, precision: str
) -> None:
    """Steps of sizes that are shared, of all rows and of some, one after the other as in use."""
    cls, options = KINDS[kind]
    module = cls(I, size, 2, precision=precision, rng=np.random.default_rng(0), **options)
    x = steps(12, rows=rows)
    some = np.arange(rows)[::2]
    found = []
    for n in (1, 2, 3, 7):
        fl.set_num_threads(n)
        stream = module.stream(rows)
        ys = [stream(x_t).copy() for x_t in x]
        ys += [stream(x_t[some], some).copy() for x_t in x]
        found.append([*ys, *stream.state])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    with fl.num_threads(1):
        y, _ = module(x)
    np.testing.assert_array_equal(found[1][: len(x)], y)


def test_a_step_of_many_threads_asks_how_many(
    native: Any, threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large ones at every step, as `set_num_threads` may have been called; small ones never."""
    asked: list[int] = []
    monkeypatch.setattr(
        "fastlstm.nn.recurrent.stream.get_num_threads", lambda: asked.append(1) or 1
    )
    for size, expected in ((32, 0), (512, 2)):
        stream, x = fl.LSTM(I, size).stream(1), np.zeros((1, I), np.float32)
        stream(x)
        stream(x)
        assert len(asked) == expected
