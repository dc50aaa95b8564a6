"""A forward pass over arrays that stay: the bits of `forward`, checked once and run many times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastlstm.kernels import CELLS, Call, Rows, Tokens, Weights

pytestmark = pytest.mark.pairs

T, N, I, H = 3, 2, 5, 17


def arrays(name: str, steps: int, dtype: Any) -> tuple[Call, tuple[Any, ...]]:
    cell, rng = CELLS[name], np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return (rng.standard_normal(shape) * 0.5).astype(dtype)

    G = cell.gate_rows(H)
    params = tuple(draw(H) for _ in cell.params)
    weights = Weights(draw(G, I), draw(G, H), draw(G), draw(G), None, params)
    state = tuple(draw(N, H) for _ in cell.states)
    y = np.full((steps, N, H), np.nan, dtype)
    call = Call(draw(steps, N, I), state, weights, Rows(steps, N), y)
    return call, tuple(np.full((N, H), np.nan, dtype) for _ in cell.states)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("steps", [1, T])
@pytest.mark.parametrize("name", CELLS)
def test_the_same_bits_as_forward(
    native: Any, name: str, steps: int, pack: bool, dtype: Any
) -> None:
    call, ends = arrays(name, steps, dtype)
    bound = native.BoundForward(CELLS[name], call, ends, pack)
    for _ in range(3):
        call.x[...] *= -0.75  # read anew in every run
        call.state[0][...] *= 0.5
        bound()
        y = np.empty_like(call.y)
        expected, _ = native.forward(CELLS[name], call._replace(y=y))
        np.testing.assert_array_equal(call.y, y)
        for end, state in zip(ends, expected, strict=True):
            np.testing.assert_array_equal(end, state)


def test_packed_weights_are_those_of_then(native: Any) -> None:
    call, ends = arrays("gru", T, np.float32)
    bound = {pack: native.BoundForward(CELLS["gru"], call, ends, pack) for pack in (False, True)}
    bound[True]()
    before = call.y.copy()
    call.weights.w_ih[...] *= 2
    bound[True]()
    np.testing.assert_array_equal(call.y, before)
    bound[False]()
    assert np.abs(call.y - before).max() > 0.01


def test_packed_weights_are_shared(native: Any) -> None:
    cell = CELLS["lstm"]
    call, ends = arrays("lstm", T, np.float32)
    first = native.BoundForward(cell, call, ends, True)
    first()
    expected = call.y.copy()
    second = native.BoundForward(cell, call, ends, first)
    del first
    call.weights.w_ih[...] *= 2
    second()
    np.testing.assert_array_equal(call.y, expected)
    others = (
        native.BoundForward(cell, call, ends, False),  # packed none
        native.BoundForward(cell, arrays("lstm", T, np.float32)[0], ends, True),
        native.BoundForward(CELLS["gru"], *arrays("gru", T, np.float32), True),
    )
    for other in others:
        with pytest.raises(ValueError, match="pack is of other weights"):
            native.BoundForward(cell, call, ends, other)


def test_the_arrays_live_as_long_as_it_does(native: Any) -> None:
    call, ends = arrays("lstm", T, np.float32)
    expected, _ = native.forward(CELLS["lstm"], call)
    bound = native.BoundForward(CELLS["lstm"], call, ends, False)
    del call
    bound(n_threads=2)
    for end, state in zip(ends, expected, strict=True):
        np.testing.assert_array_equal(end, state)


def test_what_a_bound_pass_refuses(native: Any) -> None:
    call, ends = arrays("lstm", T, np.float32)
    cell = CELLS["lstm"]
    tokens = Tokens(np.zeros((T, N), np.int64), np.zeros((1, I), np.float32))
    for other in (call._replace(save=True), call._replace(x=tokens)):
        with pytest.raises(ValueError, match="neither `save` nor tokens"):
            native.BoundForward(cell, other, ends, False)
    with pytest.raises(ValueError, match="ends has 1 array, expected 2"):
        native.BoundForward(cell, call, ends[:1], False)
    with pytest.raises(ValueError, match=r"ends\[1\] has shape"):
        native.BoundForward(cell, call, (ends[0], ends[1][:1]), False)
    ends[0].flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        native.BoundForward(cell, call, ends, False)
    with pytest.raises(TypeError):
        native.BoundForward(cell, call, None, False)


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", CELLS)
def test_int8_weights_that_become_no_numbers(native: Any, name: str, poison: float) -> None:
    """They were checked when bound; the sums that are made of them may wrap, in their unit."""
    call, ends = arrays(name, 1, np.float32)
    bound = native.BoundForward(CELLS[name], call._replace(precision="int8"), ends, False)
    bound()
    expected = call.y.copy()
    call.weights.w_ih[-7] = poison
    call.weights.w_ih[-7, ::2] *= -1
    bound()
    others = np.arange(H) != H - 7
    np.testing.assert_array_equal(call.y[..., others], expected[..., others])
