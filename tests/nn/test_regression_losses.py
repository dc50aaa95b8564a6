"""Losses of regressions against torch, against differences, and at the ends of the number range."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm.nn.log_gamma import log_factorial, log_rising

rng = np.random.default_rng(0)
SHAPE = (5, 3, 2)
X, T = rng.standard_normal(SHAPE) * 2, rng.standard_normal(SHAPE)
MEAN, SPREAD, COUNTS = rng.random(SHAPE) * 9 + 0.1, rng.random(SHAPE) + 0.1, rng.poisson(5, SHAPE)
QUANTILES = [0.1, 0.5, 0.9]
Q = rng.standard_normal((*SHAPE, 3))

# Each takes arrays of the outputs, then targets.
POINT = {"mse": fl.mse_loss, "l1": fl.l1_loss, "huber": partial(fl.huber_loss, delta=0.7)}


def gaussian(x: Any, v: Any, t: Any, **options: Any) -> Any:
    return fl.gaussian_nll_loss(x, t, v, **options)


def counts(x: Any, a: Any, t: Any, **options: Any) -> Any:
    return fl.negative_binomial_nll_loss(x, t, a, **options)


def one(loss: Any, x: Any, t: Any, **options: Any) -> Any:
    value, d = loss(x, t, **options)
    return value, (d,)


CASES: dict[str, tuple[Any, tuple[Any, ...], Any]] = {
    **{name: (partial(one, loss), (X,), T) for name, loss in POINT.items()},
    "quantile": (partial(one, partial(fl.quantile_loss, quantiles=QUANTILES)), (Q,), T),
    "gaussian": (gaussian, (X, SPREAD), T),
    "gaussian full": (partial(gaussian, full=True), (X, SPREAD), T),
    "negative binomial": (counts, (MEAN, SPREAD), COUNTS),
}
cases = pytest.mark.parametrize("name", CASES)


def in_torch(torch: Any, name: str, leaves: Any, t: Any) -> Any:
    functional = torch.nn.functional
    if name == "quantile":
        off = t[..., None] - leaves[0]
        q = torch.tensor(QUANTILES, dtype=off.dtype)
        return torch.maximum(q * off, (q - 1) * off).mean()
    if name == "negative binomial":
        mean, a = leaves
        found = torch.distributions.NegativeBinomial(1 / a, logits=torch.log(a * mean))
        return -found.log_prob(t).mean()
    if name.startswith("gaussian"):
        return functional.gaussian_nll_loss(leaves[0], t, leaves[1], full="full" in name)
    if name == "huber":
        return functional.huber_loss(leaves[0], t, delta=0.7)
    return getattr(functional, f"{name}_loss")(leaves[0], t)


@cases
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-11), ("float32", 2e-5)])
def test_regression_losses_against_torch(name: str, dtype: str, rtol: float) -> None:
    torch = pytest.importorskip("torch")
    loss, arrays, targets = CASES[name]
    arrays = tuple(a.astype(dtype) for a in arrays)
    leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = in_torch(torch, name, leaves, torch.tensor(targets.astype(dtype)))
    expected.backward()
    value, gradients = loss(*arrays, targets.astype(dtype))
    assert value == pytest.approx(expected.item(), rel=rtol)
    for d, leaf in zip(gradients, leaves, strict=True):
        assert d.dtype == dtype
        np.testing.assert_allclose(d, leaf.grad.numpy(), rtol=rtol, atol=rtol / 100)


@cases
def test_regression_gradients_against_differences(name: str) -> None:
    loss, arrays, targets = CASES[name]
    weight = np.random.default_rng(1).random(SHAPE)
    gradients = loss(*arrays, targets, sample_weight=weight)[1]
    for k, d in enumerate(gradients):
        step = np.random.default_rng(2).standard_normal(d.shape) * 1e-6
        up, down = (
            loss(*arrays[:k], arrays[k] + s * step, *arrays[k + 1 :], targets, sample_weight=weight)
            for s in (1, -1)
        )
        assert (up[0] - down[0]) / 2 == pytest.approx(float((d * step).sum()), rel=1e-6)


@cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_missing_targets_are_an_error_or_left_out(name: str, dtype: str) -> None:
    loss, arrays, targets = CASES[name]
    arrays = tuple(a.astype(dtype) for a in arrays)
    targets = targets.astype(dtype)
    there = np.random.default_rng(3).random(SHAPE) > 0.3
    holes = np.where(there, targets, np.nan)
    first = ", ".join(map(str, np.argwhere(~there)[0]))
    with pytest.raises(ValueError, match=re.escape(f"targets[{first}] is nan, which is missing")):
        loss(*arrays, holes)
    value, gradients = loss(*arrays, holes, missing="skip")
    packed, expected = loss(*(a[there] for a in arrays), targets[there])
    assert value == pytest.approx(packed, rel=1e-12)
    for d, want in zip(gradients, expected, strict=True):
        np.testing.assert_array_equal(d[there], want)
        assert not d[~there].any()
        assert d.dtype == dtype
    nothing, gradients = loss(*arrays, np.full(SHAPE, np.nan), missing="skip")
    assert nothing == 0
    assert not any(d.any() for d in gradients)


@cases
def test_weights_of_regressions_are_factors(name: str) -> None:
    loss, arrays, targets = CASES[name]
    weight = np.random.default_rng(4).random(len(X)).round(1)
    weight[1] = 0
    value, gradients = loss(
        *arrays, targets, sample_weight=np.broadcast_to(weight[:, None, None], SHAPE)
    )
    rows = [loss(*(a[n : n + 1] for a in arrays), targets[n : n + 1]) for n in range(len(X))]
    assert value == pytest.approx(np.mean(weight * [r[0] for r in rows]), rel=1e-12)
    for k, d in enumerate(gradients):
        for n, row in enumerate(rows):
            np.testing.assert_allclose(d[n], weight[n] / len(X) * row[1][k][0], rtol=1e-12)


@pytest.mark.parametrize("name", POINT)
def test_no_error_has_no_gradient_and_a_large_one_is_finite(name: str) -> None:
    loss, value = POINT[name], np.array([1.5, 0.25], np.float32)
    assert loss(value, value)[0] == 0
    assert not loss(value, value)[1].any()
    far, d = loss(np.array([1e30], np.float32), [-1e30])
    assert math.isfinite(far)
    assert far > 0
    assert np.isfinite(d).all()


def test_a_quantile_is_where_the_loss_is_least() -> None:
    targets = np.random.default_rng(5).exponential(size=401)
    for q in (0.1, 0.5, 0.9):
        grid = np.sort(targets)
        losses = [fl.quantile_loss(np.full((401, 1), x), targets, [q])[0] for x in grid]
        assert grid[int(np.argmin(losses))] == pytest.approx(np.quantile(targets, q), abs=1e-12)


def test_tiny_variances_count_as_eps() -> None:
    x, t = np.array([1.0, 1.0, 1.0]), [1.0, 1.001, 3.0]
    least = fl.gaussian_nll_loss(x, t, np.full(3, 1e-6))
    for var in (0.0, 1e-300):
        value, (dx, dv) = fl.gaussian_nll_loss(x, t, np.full(3, var))
        assert value == least[0]
        np.testing.assert_array_equal(dx, least[1][0])
        np.testing.assert_array_equal(dv, least[1][1])
    tiny = fl.gaussian_nll_loss(x[:1], t[:1], np.array([1e-30]), eps=1e-40)
    assert tiny[0] == pytest.approx(0.5 * math.log(1e-30))
    assert math.isfinite(fl.gaussian_nll_loss(np.float32([1e20]), [0], np.float32([1e-6]))[0])


@pytest.mark.parametrize("a", [1e-300, 1e-17, 1e-12, 1e-6, 1e-3, 0.05, 0.3, 1.0, 40.0, 1e6])
@pytest.mark.parametrize("y", [0, 1, 2, 7, 300, 20_000])
def test_rising_products_of_any_size(y: int, a: float) -> None:
    k = np.arange(y)
    expected = math.fsum(np.log1p(k * a)), math.fsum(k / (1 + k * a))
    value, slope = (float(part) for part in log_rising(np.array(float(y)), np.array(1 / a)))
    # the terms that cancel are of the size of y, and of y^2 in the slope
    assert value == pytest.approx(expected[0], rel=1e-12, abs=1e-14 * (1 + 10 * y))
    assert slope == pytest.approx(expected[1], rel=1e-11, abs=1e-13 * (1 + y))


def test_log_factorials() -> None:
    y = np.array([0, 1, 2, 5, 9, 30, 170, 1e6, 1e12])
    expected = [math.lgamma(v + 1) for v in y]
    np.testing.assert_allclose(log_factorial(y), expected, rtol=1e-14, atol=1e-14)


def test_counts_with_little_dispersion_are_of_poisson() -> None:
    mean, y = np.array([0.5, 4.0, 1e5]), np.array([0, 6, 100_400])
    expected = mean - y * np.log(mean) + [math.lgamma(v + 1) for v in y]
    value, (dmean, da) = fl.negative_binomial_nll_loss(mean, y, np.full(3, 1e-17))
    assert value == pytest.approx(expected.mean(), rel=1e-10)
    np.testing.assert_allclose(dmean * 3, 1 - y / mean, rtol=1e-10)
    np.testing.assert_allclose(da * 3, (y - (y - mean) ** 2) / 2, rtol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_counts(dtype: str) -> None:
    mean = np.array([1e9, 1e-6, 1e12, 3e4], dtype)
    a = np.array([0.5, 2.0, 1e-9, 1e4], dtype)
    value, gradients = fl.negative_binomial_nll_loss(mean, [2**30, 10**9, 10**12, 0], a)
    assert math.isfinite(value)
    for d in gradients:
        assert np.isfinite(d).all()


def test_a_nan_of_the_outputs_is_one_of_the_loss() -> None:
    bad = X.copy()
    bad[2, 1, 0] = np.nan
    for loss in POINT.values():
        value, d = loss(bad, T)
        assert math.isnan(value)
        assert np.argwhere(np.isnan(d)).tolist() == ([[2, 1, 0]])
        hole = np.where(np.isnan(bad), np.nan, T)
        assert math.isfinite(loss(bad, hole, missing="skip")[0])


ONE = np.ones(3)
REFUSED: list[tuple[Any, type[Exception], str]] = [
    (lambda: fl.mse_loss([1.0], [1.0]), TypeError, "outputs is list, expected a float32"),
    (lambda: fl.l1_loss(ONE.astype(int), ONE), TypeError, "outputs is int64, expected a float32"),
    (lambda: fl.mse_loss(ONE[:0], []), ValueError, "outputs has shape (0,), expected at least one"),
    (lambda: fl.mse_loss(ONE, ONE[:2]), ValueError, "targets has shape (2,), expected (3,)"),
    (lambda: fl.mse_loss(ONE[:, None], ONE), ValueError, "targets has shape (3,), expected (3, 1)"),
    (lambda: fl.mse_loss(ONE, ["a"] * 3), TypeError, "targets has dtype <U1, expected numbers"),
    (lambda: fl.mse_loss(ONE, [1, np.inf, 1]), ValueError, "targets[1] is inf, expected a finite"),
    (lambda: fl.mse_loss(ONE, ONE, missing="drop"), ValueError, "missing is 'drop', expected one"),
    (lambda: fl.mse_loss(ONE, ONE, sample_weight=[1]), ValueError, "sample_weight has shape (1,)"),
    (lambda: fl.mse_loss(ONE, ONE, sample_weight=-ONE), ValueError, "sample_weight[0] is -1.0"),
    (lambda: fl.huber_loss(ONE, ONE, 0.0), ValueError, "delta is 0.0, expected a finite number"),
    (lambda: fl.huber_loss(ONE, ONE, "a"), TypeError, "delta is 'a', expected a number"),  # type: ignore[arg-type]
    (lambda: fl.quantile_loss(ONE, ONE, [0.5]), ValueError, "outputs has shape (3,), expected"),
    (lambda: fl.quantile_loss(ONE, 1, [0, 0.5, 1]), ValueError, "quantiles[0] is 0.0, expected"),
    (lambda: fl.quantile_loss(ONE, 1, [0.5, 0.1, 0.9]), ValueError, "expected each above the one"),
    (lambda: fl.quantile_loss(ONE, 1, []), ValueError, "quantiles has shape (0,), expected (Q,)"),
    (lambda: fl.gaussian_nll_loss(ONE, ONE, -ONE), ValueError, "var[0] is -1.0, expected at least"),
    (lambda: fl.gaussian_nll_loss(ONE, ONE, ONE[:1]), ValueError, "var has shape (1,) and dtype"),
    (lambda: fl.gaussian_nll_loss(ONE, ONE, 1.0), TypeError, "var is float, expected"),  # type: ignore[arg-type]
    (lambda: fl.gaussian_nll_loss(ONE, ONE, ONE, eps=-1), ValueError, "eps is -1, expected a"),
    (lambda: fl.negative_binomial_nll_loss(ONE, ONE / 2, ONE), ValueError, "targets[0] is 0.5"),
    (lambda: fl.negative_binomial_nll_loss(ONE, -ONE, ONE), ValueError, "targets[0] is -1.0"),
    (lambda: fl.negative_binomial_nll_loss(ONE * 0, ONE, ONE), ValueError, "outputs[0] is 0.0"),
    (lambda: fl.negative_binomial_nll_loss(ONE, ONE, 0 * ONE), ValueError, "dispersion[0] is 0.0"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[m for *_, m in REFUSED])
def test_wrong_arguments_of_regression_losses(
    call: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()
