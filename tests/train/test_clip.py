"""Clipping by global norm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastlstm.nn import Parameter, RowGrad
from fastlstm.train import clip_grad_norm_
from fastlstm.train.clip import BLOCK


def dense_and_sparse(scale: float = 1.0) -> tuple[Parameter, Parameter]:
    rng = np.random.default_rng(0)
    dense, sparse = Parameter(np.zeros((BLOCK + 3, 2))), Parameter(np.zeros((10, 3)))
    dense.grad[...] = scale * rng.standard_normal(dense.data.shape)
    sparse.rows = RowGrad(np.array([1, 7]), scale * rng.standard_normal((2, 3)))
    return dense, sparse


def norm_of(dense: Parameter, sparse: Parameter) -> float:
    assert sparse.rows is not None
    return math.sqrt((dense.grad**2).sum() + (sparse.rows.value**2).sum())


def test_norm_counts_dense_and_row_gradients() -> None:
    pair = dense_and_sparse()
    expected = norm_of(*pair)
    assert clip_grad_norm_(pair, math.inf) == pytest.approx(expected, rel=1e-12)
    assert norm_of(*pair) == expected  # nothing scaled


def test_large_gradients_are_scaled_to_the_limit() -> None:
    pair = dense_and_sparse(1000.0)
    direction = pair[0].grad.copy() / norm_of(*pair)
    clip_grad_norm_(pair, 0.5)
    assert norm_of(*pair) == pytest.approx(0.5, rel=1e-6)
    np.testing.assert_allclose(pair[0].grad, 0.5 * direction, rtol=1e-6)


def test_equal_to_torch() -> None:
    torch = pytest.importorskip("torch")
    dense, _ = dense_and_sparse(3.0)
    other = torch.nn.Parameter(torch.zeros(dense.data.shape, dtype=torch.float64))
    other.grad = torch.tensor(dense.grad)
    norm = torch.nn.utils.clip_grad_norm_([other], 1.5)
    assert clip_grad_norm_([dense], 1.5) == pytest.approx(float(norm), rel=1e-12)
    np.testing.assert_allclose(dense.grad, other.grad.numpy(), rtol=1e-12)


def test_row_gradient_makes_no_dense_one() -> None:
    parameter = Parameter(np.zeros((1000, 1)))
    parameter.rows = RowGrad(np.array([3]), np.ones((1, 1)))
    assert clip_grad_norm_([parameter], 10.0) == 1.0
    parameter.rows = None
    assert not parameter.has_grad


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("which", ["w", "table"])
def test_not_finite_names_the_parameter_and_changes_nothing(bad: float, which: str) -> None:
    dense, sparse = dense_and_sparse(1000.0)
    assert sparse.rows is not None
    before = (dense.grad.copy(), sparse.rows.value.copy())
    target = dense.grad if which == "w" else sparse.rows.value
    target[1, 1] = bad
    before[which == "table"][1, 1] = bad
    with pytest.raises(FloatingPointError, match=f"gradient of {which} "):
        clip_grad_norm_([("w", dense), ("table", sparse)], 1.0)
    np.testing.assert_array_equal(dense.grad, before[0])
    np.testing.assert_array_equal(sparse.rows.value, before[1])


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan])
def test_limit_must_be_positive(limit: float) -> None:
    with pytest.raises(ValueError, match="max_norm"):
        clip_grad_norm_(dense_and_sparse(), limit)
