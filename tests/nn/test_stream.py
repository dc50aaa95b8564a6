"""Single steps: the same bits as whole runs, state inside."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from cases import SIZES
from kinds import KINDS, like, parts
from kinds import layer as make

import fastlstm as fl

pytestmark = pytest.mark.pairs

T, N, I, H = 6, 3, 5, 9


def layer(layers: int = 1, kind: str = "lstm", **options: Any) -> Any:
    return make(kind, I, H, layers, **{"dtype": "float32", **options})


def steps(dtype: str = "float32", n: int = N) -> Any:
    return np.random.default_rng(1).standard_normal((T, n, I)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"layers": 3}, {"bias": False}], ids=str)
def test_steps_equal_the_whole(
    backend_isa: str, kind: str, options: dict[str, Any], dtype: str
) -> None:
    module, x = layer(kind=kind, dtype=dtype, **options), steps(dtype)
    y, state_n = module(x)
    stream = module.stream(N)
    for t in range(T):
        np.testing.assert_array_equal(stream(x[t]), y[t])
    for a, b in zip(stream.state, parts(state_n), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", SIZES)
def test_steps_equal_the_whole_at_any_size(backend_isa: str, kind: str, size: int) -> None:
    cls, options = KINDS[kind]
    if "proj_size" in options:
        options = {"proj_size": size // 2}
    module = cls(SIZES[SIZES.index(size) - 3], size, rng=np.random.default_rng(0), **options)
    for n in (1, 2, size):
        x = np.random.default_rng(n).standard_normal((3, n, module.input_size)).astype(np.float32)
        y, _ = module(x)
        stream = module.stream(n)
        np.testing.assert_array_equal([stream(x_t).copy() for x_t in x], y)


@pytest.mark.parametrize("order", ["<", ">"])
def test_arrays_that_name_their_byte_order(backend_isa: str, kind: str, order: str) -> None:
    module, x = layer(kind=kind), steps()[0]
    stream, named = module.stream(N), x.astype(x.dtype.newbyteorder(order))
    want = stream(x).copy()
    np.testing.assert_array_equal(module.stream(N)(named), want)
    state = [s.astype(named.dtype) for s in parts(stream.state)]
    stream.state = like(module, state)
    for a, b in zip(parts(stream.state), state, strict=True):
        np.testing.assert_array_equal(a, b)


def test_reset_and_state(backend_isa: str, kind: str) -> None:
    lstm, x = layer(2, kind), steps()
    stream = lstm.stream(N)
    first = stream(x[0]).copy()
    kept = stream.state
    second = stream(x[1]).copy()
    stream.state = kept
    np.testing.assert_array_equal(stream(x[1]), second)
    stream.reset()
    assert not any(part.any() for part in stream.state)
    np.testing.assert_array_equal(stream(x[0]), first)


def test_reset_of_rows(backend_isa: str, kind: str) -> None:
    module, x = layer(2, kind), steps()
    stream, fresh = module.stream(N), module.stream(N)
    stream(x[0])
    before = stream.state
    stream.reset([2, 0])
    for part, kept in zip(stream.state, before, strict=True):
        assert not part[:, [0, 2]].any()
        np.testing.assert_array_equal(part[:, 1], kept[:, 1])
    np.testing.assert_array_equal(stream(x[1])[[0, 2]], fresh(x[1])[[0, 2]])
    stream.reset(np.array([False, True, False]))
    assert not stream.state.h[:, 1].any()


def test_a_learned_state_is_where_streams_start(backend_isa: str, kind: str) -> None:
    module, x = layer(2, kind, learn_state=True), steps()
    module.h_0.data[...] = np.random.default_rng(5).standard_normal(module.h_0.data.shape)
    y, _ = module(x)
    stream = module.stream(N)
    for again in (None, [0, 1, 2]):
        for t in range(2):
            np.testing.assert_array_equal(stream(x[t]), y[t])
        stream.reset(again)


def test_state_is_copied_both_ways(backend_isa: str, kind: str) -> None:
    stream, x = layer(kind=kind).stream(N), steps()
    stream(x[0])
    out = stream.state
    given = out.copy()
    stream.state = given
    for part in (*out, *given):
        part[...] = 70
    assert all(np.abs(part).max() < 70 for part in stream.state)


def test_state_of_a_whole_run_goes_on_in_a_stream(backend_isa: str, kind: str) -> None:
    module, x = layer(2, kind), steps()
    y, _ = module(x)
    _, state = module(x[:3])
    stream = module.stream(N)
    stream.state = state
    np.testing.assert_array_equal(stream(x[3]), y[3])
    stream.state = fl.State(parts(state))
    np.testing.assert_array_equal(stream(x[3]), y[3])


def test_weights_are_copied(backend_isa: str) -> None:
    lstm, x = layer(), steps()
    stream, expected = lstm.stream(N), lstm(x[:1])[0][0]
    for p in lstm.parameters():
        p.data[...] = 0
    np.testing.assert_array_equal(stream(x[0]), expected)


def test_streams_are_apart(backend_isa: str) -> None:
    lstm, x = layer(), steps()
    a, b = lstm.stream(N), lstm.stream(N)
    a(x[0])
    np.testing.assert_array_equal(b(x[1]), lstm(x[1:2])[0][0])


def test_one_row_without_its_axis(backend_isa: str) -> None:
    lstm, x = layer(), steps(n=1)
    y, _ = lstm(x)
    stream = lstm.stream()
    for t in range(T):
        y_t = stream(x[t, 0])
        assert y_t.shape == (H,)
        np.testing.assert_array_equal(y_t, y[t, 0])


def _odd(x: Any) -> dict[str, Any]:
    wide = np.zeros((N, 2 * I), x.dtype)
    wide[:, ::2] = x
    readonly = x.copy()
    readonly.flags.writeable = False
    return {"fortran": np.asfortranarray(x), "strided": wide[:, ::2], "read-only": readonly,
            "reversed": np.ascontiguousarray(x[::-1])[::-1]}  # fmt: skip


@pytest.mark.parametrize("layout", list(_odd(steps()[0])))
def test_any_memory_layout(backend_isa: str, layout: str) -> None:
    lstm, x = layer(), steps()[0]
    np.testing.assert_array_equal(lstm.stream(N)(_odd(x)[layout]), lstm(x[None])[0][0])


WRONG = [
    (np.zeros((N, I + 1), np.float32), "x has shape (3, 6), expected (3, 5)"),
    (np.zeros((N + 1, I), np.float32), "x has shape (4, 5), expected (3, 5)"),
    (np.zeros(I, np.float32), "x has shape (5,), expected (3, 5)"),
    (np.zeros((1, N, I), np.float32), "x has shape (1, 3, 5), expected (3, 5)"),
    (np.zeros((N, I)) + 0.1, "float64"),
    (np.zeros((N, I), np.complex64), "complex64"),
    (np.zeros((N, I), "M8[s]"), "x has dtype datetime64[s], expected float32"),
    (memoryview(bytes(N * I)), "x is a memoryview, expected a NumPy array"),
    (np.ma.masked_array(np.ones((N, I), np.float32), mask=np.eye(N, I)), "x masks 3 of its"),
    (tuple(np.zeros((N, I), np.float32)), "x is"),
    (None, "x is"),
]


@pytest.mark.parametrize(("x", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_steps(backend_isa: str, x: Any, message: str) -> None:
    stream = layer().stream(N)
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        stream(x)
    assert not np.any(stream.state)


def _zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros(shape, dtype)


WRONG_STATES = [
    (_zeros(1, N, H), "state is"),
    ((_zeros(1, N, H), _zeros(N, H)), "state[1] has shape (3, 9), expected (1, 3, 9)"),
    ((_zeros(1, N, 1), _zeros(1, N, H)), "state[0] has shape (1, 3, 1), expected (1, 3, 9)"),
    ((_zeros(1, N, H, dtype=float) + 0.1, _zeros(1, N, H)), "float64"),
]


@pytest.mark.parametrize(("state", "message"), WRONG_STATES, ids=[m for _, m in WRONG_STATES])
def test_wrong_states(backend_isa: str, state: Any, message: str) -> None:
    stream = layer().stream(N)
    stream(steps()[0])
    before = stream.state
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        stream.state = state
    np.testing.assert_array_equal(stream.state, before)


def test_bidirectional() -> None:
    with pytest.raises(ValueError, match="bidirectional is True: a stream has no end"):
        layer(bidirectional=True).stream()


@pytest.mark.parametrize("size", [0, -1])
def test_batch_size(size: int) -> None:
    with pytest.raises(ValueError, match=f"batch_size is {size}, expected at least 1"):
        layer().stream(size)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers(bad: float) -> None:
    lstm = layer(2)
    lstm.bias_hh_l1.data[4] = bad
    with pytest.raises(ValueError, match=r"bias_hh_l1\[4\] is (nan|inf), expected finite numbers"):
        lstm.stream()
