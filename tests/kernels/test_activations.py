"""Largest errors of the kernels' exp, sigmoid and tanh, against 40 digits."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, TOLERANCE, Array

from fastlstm.kernels import Rows, Weights

# Up to here exp is used; sigmoid and tanh take any number (FL_MOST in activations.h).
RANGE = {F32: 43.0, F64: 350.0}
# From here on sigmoid is no normal number, and may be zero (FL_LEAST).
LEAST = {F32: -87.33, F64: -708.39}
TINY = {F32: 1e-37, F64: 1e-307}  # smallest number that is surely not denormal


def exact(name: str, x: Array) -> Array:
    """The function in 40 digits, rounded once to float64; longdouble does not exist everywhere."""

    def value(number: float) -> float:
        with localcontext() as context:
            context.prec = 40
            d = Decimal(number)
            if name == "exp":
                return float(d.exp())
            if name == "sigmoid":
                return float(1 / (1 + (-d).exp()))
            if abs(number) < 1e-12:  # 1 - x^2/3: the quotient below would lose its digits
                return float(d * (1 - d * d / 3))
            twice = (2 * d).exp()
            return float((twice - 1) / (twice + 1))

    return np.array([value(float(v)) for v in x])


def points(dtype: np.dtype[Any]) -> Array:
    """Points over the whole range, dense where gates live, down to the smallest numbers."""
    top, tiny = RANGE[dtype], TINY[dtype]
    positive = np.concatenate(
        [
            np.linspace(0, 1, 501)[1:],
            np.linspace(1, 20, 701),
            np.linspace(20, top, 201),
            np.geomspace(tiny, 1, 301),
            np.log(2) * (np.arange(1, 40) / 2),  # where the reduction to |r| <= ln2/2 turns
        ]
    )
    x = np.concatenate([-positive, positive, [0.0, -0.0]]).astype(dtype)
    return x[np.abs(x) <= top]


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh"])
def test_largest_error(native: Any, isa: str, name: str, dtype: np.dtype[Any]) -> None:
    x = points(dtype)
    if name == "sigmoid":
        x = np.concatenate([x, np.linspace(LEAST[dtype], -RANGE[dtype], 501).astype(dtype)])
    actual, expected = getattr(native, f"vec_{name}")(x, isa).astype(F64), exact(name, x)
    nonzero = expected != 0
    error = np.abs(actual[nonzero] / expected[nonzero] - 1)
    worst = int(np.argmax(error))
    assert error[worst] <= TOLERANCE["activation", dtype], f"at {x[nonzero][worst]!r}"
    assert not actual[~nonzero].any()


@pytest.fixture(params=["bfloat16", "int8"])
def rounded(request: pytest.FixtureRequest, native: Any, rounding_isa: str) -> Any:
    """Sigmoid and tanh as they are beside products of fewer bits, by name."""
    isa = rounding_isa.partition("-")[2]
    if not isa:
        pytest.skip("the reference rounds nothing but factors")
    return lambda name, x: getattr(native, f"vec_{name}")(x, isa, request.param)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_largest_error_beside_rounded_products(rounded: Any, name: str) -> None:
    x = points(F32)
    actual, expected = rounded(name, x), exact(name, x)
    near = TOLERANCE["activation", f"rounded {name}"]
    np.testing.assert_allclose(actual, expected, rtol=near, atol=0)
    assert np.abs(actual).max() <= 1
    assert not actual[expected == 0].any()


def test_a_rounded_sigmoid_knows_how_far_from_1_it_is(rounded: Any) -> None:
    x = np.linspace(0, 9, 1001, dtype=F32)
    distance = 1 - rounded("sigmoid", x).astype(F64)
    one_digit = np.finfo(F32).eps
    np.testing.assert_allclose(distance, exact("sigmoid", -x), rtol=1e-4, atol=one_digit)


def test_rounded_activations_beyond_the_range(rounded: Any) -> None:
    x = np.array([-np.inf, -1e30, -710, 400, 1e30, np.inf, np.nan], F32)
    smallest, near = np.finfo(F32).smallest_normal, TOLERANCE["activation", "rounded tanh"]
    sigmoid, tanh = rounded("sigmoid", x), rounded("tanh", x)
    np.testing.assert_allclose(sigmoid, [0, 0, 0, 1, 1, 1, np.nan], rtol=0, atol=2 * smallest)
    np.testing.assert_allclose(tanh, [-1, -1, -1, 1, 1, 1, np.nan], rtol=near, atol=0)


def test_the_place_in_a_vector_does_not_matter_to_rounded_ones(rounded: Any) -> None:
    x = np.random.default_rng(0).standard_normal(67).astype(F32) * 5
    for name in ("sigmoid", "tanh"):
        whole = rounded(name, x)
        for start in range(67):
            part = rounded(name, x[start : start + 7])
            np.testing.assert_array_equal(part, whole[start : start + 7])


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_beyond_the_range(native: Any, isa: str, dtype: np.dtype[Any]) -> None:
    x = np.array([-np.inf, -1e30, -710, 400, 1e30, np.inf], dtype)
    sigmoid, tanh = native.vec_sigmoid(x, isa), native.vec_tanh(x, isa)
    smallest = np.finfo(dtype).smallest_normal
    np.testing.assert_allclose(sigmoid, [0, 0, 0, 1, 1, 1], rtol=0, atol=smallest)
    np.testing.assert_array_equal(tanh, [-1, -1, -1, 1, 1, 1])


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh"])
def test_nan_passes(native: Any, isa: str, name: str, dtype: np.dtype[Any]) -> None:
    assert np.isnan(getattr(native, f"vec_{name}")(np.full(37, np.nan, dtype), isa)).all()


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh"])
def test_the_place_in_a_vector_does_not_matter(
    native: Any, isa: str, name: str, dtype: np.dtype[Any]
) -> None:
    function = getattr(native, f"vec_{name}")
    x = np.random.default_rng(0).standard_normal(67).astype(dtype) * 5
    whole = function(x, isa)
    for start in range(67):
        np.testing.assert_array_equal(function(x[start : start + 7], isa), whole[start : start + 7])


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before"])
@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_closed_gates_of_a_cell(kernel: Kernel, dtype: np.dtype[Any]) -> None:
    """Gates that share a division are right wherever each of them is, down to zero."""
    bounds = np.array([0.1, 0.5, 0.9, 0.99, 1.1]) * LEAST[dtype]
    ends = np.concatenate([bounds, [0, 3, -2 * LEAST[dtype], 1e30, -1e30]])
    names = kernel.cell.gates
    z = np.stack([g.ravel() for g in np.meshgrid(*[ends] * min(len(names), 3))]).astype(dtype)
    z = np.concatenate([z, z[: len(names) - 3]]) if len(names) > 3 else z
    H = z.shape[1]
    weights = Weights(np.zeros((z.size, 1), dtype), np.zeros((z.size, H), dtype), z.ravel(), None)
    state = tuple(np.zeros((1, H), dtype) for _ in kernel.cell.states)
    y = np.empty((1, 1, H), dtype)
    _, inside = kernel.trace(np.zeros((1, 1, 1), dtype), state, weights, Rows(1, 1), y)
    with np.errstate(over="ignore"):
        sigmoid, tanh = 1 / (1 + np.exp(-z.astype(F64))), np.tanh(z.astype(F64))
    for name, *expected in zip(names, sigmoid, tanh, strict=True):
        np.testing.assert_allclose(
            inside[name][0].astype(F64),
            expected[name in "gn"],
            rtol=8 * np.finfo(dtype).eps,
            atol=2 * np.finfo(dtype).smallest_normal,
            err_msg=name,
        )
