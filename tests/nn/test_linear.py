"""Linear: values and gradients, independence of rows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fastlstm.nn import Linear


def make(n_in: int = 5, n_out: int = 3, **options: Any) -> Linear:
    return Linear(n_in, n_out, dtype="float64", rng=np.random.default_rng(0), **options)


@pytest.mark.parametrize("sizes", [(5, 3), (200, 150)], ids=["row by row", "one product"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(), (4,), (2, 4)], ids=str)
def test_against_torch(sizes: tuple[int, int], bias: bool, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = make(*sizes, bias=bias), torch.nn.Linear(*sizes, bias=bias).double()
    ours.load_state_dict(theirs.state_dict())
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((*shape, sizes[0])), rng.standard_normal((*shape, sizes[1]))
    y, tape = ours.forward(x)
    dx = ours.backward(tape, dy)
    leaf = torch.tensor(x, requires_grad=True)
    expected = theirs(leaf)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=0, atol=1e-12)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_head_gives_each_row_the_same_bits_in_any_batch(dtype: Any) -> None:
    linear = Linear(257, 2, dtype=dtype)
    x = np.random.default_rng(2).standard_normal((33, 257)).astype(dtype)
    whole = linear(x)
    for n in range(33):
        np.testing.assert_array_equal(linear(x[n : n + 1]), whole[n : n + 1])
    np.testing.assert_array_equal(linear(x[::-1])[::-1], whole)


def test_first_values() -> None:
    linear = Linear(100, 50)
    for p in linear.parameters():
        assert 0.08 < np.abs(p.data).max() <= 0.1


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 4)), "x has shape (2, 4), expected (any, 5)"),
        (np.float64(1), "x is a float64, expected a NumPy array of float64"),
        (np.zeros((2, 5), complex), "x has dtype complex128, expected float64"),
        ([[0.0] * 4], "x has shape (1, 4), expected (any, 5)"),
        (((0.0,) * 5,), "x is a tuple, expected a NumPy array of float64"),
    ],
)
def test_wrong_input(x: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        make()(x)


def test_wrong_gradient() -> None:
    linear = make()
    _, tape = linear.forward(np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"dy has shape \(2, 5\), expected \(2, 3\)"):
        linear.backward(tape, np.zeros((2, 5)))


@pytest.mark.parametrize("name", ["in_features", "out_features"])
def test_wrong_sizes(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0, expected at least 1"):
        Linear(**{"in_features": 2, "out_features": 2, name: 0})
