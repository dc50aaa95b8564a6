"""Largest errors of the kernels' exp, sigmoid and tanh, against 40 digits."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from cases import F32, F64, TOLERANCE, Array

# Up to here exp is used; sigmoid and tanh take any number (FL_SATURATION in activations.h).
RANGE = {F32: 43.0, F64: 350.0}
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
    actual, expected = getattr(native, f"vec_{name}")(x, isa).astype(F64), exact(name, x)
    nonzero = expected != 0
    error = np.abs(actual[nonzero] / expected[nonzero] - 1)
    worst = int(np.argmax(error))
    assert error[worst] <= TOLERANCE["activation", dtype], f"at {x[nonzero][worst]!r}"
    assert not actual[~nonzero].any()


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
def test_beyond_the_range(native: Any, isa: str, dtype: np.dtype[Any]) -> None:
    x = np.array([-np.inf, -1e30, -400, 400, 1e30, np.inf], dtype)
    sigmoid, tanh = native.vec_sigmoid(x, isa), native.vec_tanh(x, isa)
    np.testing.assert_allclose(sigmoid, [0, 0, 0, 1, 1, 1], rtol=0, atol=1e-18)
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
