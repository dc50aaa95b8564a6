"""Sums over many rows are as exact as those over few."""

from __future__ import annotations

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.nn.sums import sums_at

ROWS = 300_000
TENTH = np.float32(0.1)
RIGHT = ROWS * np.float64(TENTH)  # a plain float32 sum of equal terms is off by a thousandth of it


def test_gradient_of_a_bias() -> None:
    layer = fl.Linear(1, 2)
    y, tape = layer.forward(np.ones((ROWS // 3, 3, 1), "f4"))
    layer.backward(tape, np.full(y.shape, TENTH))
    np.testing.assert_allclose(layer.bias.grad, RIGHT, rtol=1e-5)
    np.testing.assert_allclose(layer.weight.grad, RIGHT, rtol=1e-5)


@pytest.mark.parametrize("sparse", [False, True])
def test_gradient_of_a_token_that_comes_often(sparse: bool) -> None:
    embedding = fl.Embedding(3, 2, sparse=sparse)
    tokens = np.ones((ROWS // 3, 3), np.int64)
    y, tape = embedding.forward(tokens)
    embedding.backward(tape, np.full(y.shape, TENTH))
    rows = embedding.weight.rows
    grad = embedding.weight.grad[1] if rows is None else rows.value[0]
    np.testing.assert_allclose(grad, RIGHT, rtol=1e-5)


def test_gradient_of_a_learned_initial_state() -> None:
    layer = fl.RNN(1, 1, learn_state=True)
    for parameter in layer.parameters():
        parameter.data[...] = 0
    layer.weight_hh_l0.data[...] = 1
    y, _, tape = layer.forward(np.zeros((1, ROWS, 1), "f4"))
    layer.backward(tape, np.full(y.shape, TENTH))
    np.testing.assert_allclose(layer.h_0.grad, [[RIGHT]], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("n", "count"), [(0, 1), (1, 1), (500, 3), (500, 900)])
@pytest.mark.usefixtures("backend_isa")
def test_rows_are_added_in_their_order(dtype: str, n: int, count: int) -> None:
    """In float64; a place that no row has gets zeros."""
    rng = np.random.default_rng(0)
    place, rows = rng.integers(0, count, n), rng.standard_normal((n, 7)).astype(dtype)[:, 1:6]
    expected = np.zeros((count, 5))
    np.add.at(expected, place, rows)
    found = sums_at(place, count, rows)
    assert found.dtype == rows.dtype
    np.testing.assert_array_equal(found, expected.astype(dtype))
