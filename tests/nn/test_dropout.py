"""Dropout: what is dropped, how the rest is scaled, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastlstm.nn import Dropout


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_drops_and_scales(dtype: Any) -> None:
    x = np.ones((200, 100), dtype)
    y, tape = Dropout(0.3).forward(x, np.random.default_rng(0))
    assert y.dtype == dtype
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert abs((y == 0).mean() - 0.3) < 0.01
    assert abs(y.mean() - 1) < 0.02


def test_gradient_has_the_same_mask() -> None:
    dropout, x = Dropout(0.5), np.ones((9, 9))
    y, tape = dropout.forward(x, np.random.default_rng(0))
    np.testing.assert_array_equal(dropout.backward(tape, np.full((9, 9), 3.0)), 3 * y)


def test_both_dtypes_have_the_same_mask() -> None:
    masks = [
        Dropout(0.5).forward(np.ones(99, dtype), np.random.default_rng(0))[0] != 0
        for dtype in (np.float32, np.float64)
    ]
    np.testing.assert_array_equal(*masks)


def test_calling_changes_nothing() -> None:
    x = np.ones(3)
    assert Dropout(0.9)(x) is x


def test_p_of_0_and_1() -> None:
    x = np.ones(50)
    none, tape = Dropout(0.0).forward(x)
    assert none is x
    assert Dropout(1.0).forward(x)[0].any() is np.False_


def test_generator_of_the_layer() -> None:
    a, b = (Dropout(0.5, rng=np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(a.forward(np.ones(99))[0], b.forward(np.ones(99))[0])


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_wrong_p(p: float) -> None:
    with pytest.raises(ValueError, match=f"p is {p}, expected 0 to 1"):
        Dropout(p)


def test_along_an_axis_all_are_dropped_together() -> None:
    x, dropout = np.ones((5, 40, 3)), Dropout(0.5, axis=0)
    y, tape = dropout.forward(x, np.random.default_rng(0))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:1], y.shape))
    assert {0.0, 2.0} == set(np.unique(y))
    np.testing.assert_array_equal(dropout.backward(tape, 3 * x), 3 * y)
    rows, _ = Dropout(0.5, axis=-1).forward(x, np.random.default_rng(0))
    assert (rows == rows[..., :1]).all()
    assert not (rows == rows[:1]).all()
    assert repr(Dropout(0.5, axis=-1)) == "Dropout(p=0.5, axis=-1)"
    assert repr(Dropout(0.5)) == "Dropout(p=0.5)"


def test_an_axis_that_does_not_fit_dropout() -> None:
    with pytest.raises(ValueError, match=r"axis is 2, but x has shape \(3, 4\)"):
        Dropout(0.5, axis=2).forward(np.ones((3, 4)))
    with pytest.raises(TypeError, match="axis is 'x', expected an integer"):
        Dropout(0.5, axis="x")  # type: ignore[arg-type]


def test_what_is_no_array_of_its_numbers_is_named() -> None:
    dropout = Dropout(0.5, rng=0)
    assert dropout.forward([[1.0, 2.0]])[0].shape == (1, 2)
    for p in (0.0, 0.5):
        with pytest.raises(TypeError, match="x has dtype int64, expected floating-point numbers"):
            Dropout(p).forward(np.arange(4, dtype=np.int64))
    with pytest.raises(ValueError, match="x masks 1 of its values"):
        dropout.forward(np.ma.masked_array([1.0, 2.0], [True, False]))
    _, tape = dropout.forward(np.ones((3, 4), np.float32))
    for dy in (np.ones(4, np.float32), np.ones((3, 1), np.float32)):
        with pytest.raises(ValueError, match=r"dy has shape .*, expected \(3, 4\)"):
            dropout.backward(tape, dy)
    assert dropout.backward(tape, np.ones((3, 4), np.float32)).shape == (3, 4)
