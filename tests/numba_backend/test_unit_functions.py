"""Functions of one unit: accuracy of exp, sigmoid and tanh, and the precision of constants."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from cases import F32, F64, TOLERANCE, Array

from fastlstm.kernels import activations

dtypes = pytest.mark.parametrize("dtype", [F32, F64], ids=str)
names = pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh"])
RANGE = {F32: 43.0, F64: 350.0}  # up to here the errors are stated
EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


@cache
def _loop(function: Any) -> Any:
    import numba

    from fastlstm.kernels.numba.jit import OPTIONS, unit
    from fastlstm.kernels.numba.unit_loop import for_units

    compiled = unit(function)

    @numba.njit(**OPTIONS)
    def run(zero: Any, n: int, ins: Any, outs: Any) -> None:
        for_units(compiled, zero, n, ins.ctypes.data, outs.ctypes.data)

    return run


def over_units(function: Any, *rows: Array, results: int = 1) -> list[Array]:
    """Apply a compiled function to rows, unit by unit."""
    outs = [np.empty_like(rows[0]) for _ in range(results)]
    addresses = (np.array([row.ctypes.data for row in part], np.int64) for part in (rows, outs))
    _loop(function)(rows[0].dtype.type(0), len(rows[0]), *addresses)
    return outs


def exp(x: Any) -> Any:
    return activations.exp(x)


def sigmoid(x: Any) -> Any:
    return activations.sigmoid(x)


def tanh(x: Any) -> Any:
    return activations.tanh(x)


FUNCTIONS = {"exp": exp, "sigmoid": sigmoid, "tanh": tanh}


def points(dtype: np.dtype[Any]) -> Array:
    top, least = RANGE[dtype], 1e-37 if dtype == F32 else 1e-307
    positive = np.concatenate([np.linspace(0, top, 20001)[1:], np.geomspace(least, 1, 2001)])
    return np.concatenate([-positive, positive]).astype(dtype)


@dtypes
@names
def test_largest_error(name: str, dtype: np.dtype[Any]) -> None:
    if dtype == F64 and np.finfo(np.longdouble).eps > 1e-18:
        pytest.skip("no number of more digits to compare with")
    x = points(dtype)
    expected = EXACT[name](x.astype(np.longdouble))
    (actual,) = over_units(FUNCTIONS[name], x)
    error = np.abs(actual / expected - 1)
    assert error.max() <= TOLERANCE["activation", dtype], f"at {x[np.argmax(error)]!r}"


@dtypes
def test_beyond_the_range(dtype: np.dtype[Any]) -> None:
    x = np.array([-np.inf, -1e30, 1e30, np.inf, np.nan], dtype)
    (s,), (t,), (e,) = (over_units(f, x) for f in (sigmoid, tanh, exp))
    np.testing.assert_allclose(s[:4], [0, 0, 1, 1], atol=1e-18)
    np.testing.assert_array_equal(t[:4], [-1, -1, 1, 1])
    assert 0 <= e[0] == e[1] < 1e-37 < 1e38 < e[2] == e[3] < np.inf
    assert np.isnan([s[4], t[4], e[4]]).all()


@dtypes
@names
def test_the_place_in_a_row_does_not_matter(name: str, dtype: np.dtype[Any]) -> None:
    x = (np.random.default_rng(0).standard_normal(67) * 5).astype(dtype)
    (whole,) = over_units(FUNCTIONS[name], x)
    for start in range(60):
        (part,) = over_units(FUNCTIONS[name], x[start : start + 7].copy())
        np.testing.assert_array_equal(part, whole[start : start + 7])


RATE = 0.1


def with_constants(x: Any, y: Any) -> Any:
    half = 0.5
    return (1 - x) * half + RATE * y**2, max(x, 0), 2 if y > 0.25 else x


@dtypes
def test_constants_have_the_precision_of_the_arguments(dtype: np.dtype[Any]) -> None:
    x, y = np.random.default_rng(0).standard_normal((2, 33)).astype(dtype)
    first, second, third = over_units(with_constants, x, y, results=3)
    r = dtype.type
    np.testing.assert_array_equal(first, (r(1) - x) * r(0.5) + r(0.1) * (y * y))
    np.testing.assert_array_equal(second, np.maximum(x, 0))
    np.testing.assert_array_equal(third, np.where(y > 0.25, 2, x))


def raising(x: Any) -> Any:
    if x > 0:
        raise ValueError("no")
    return x


def test_a_function_that_raises_is_refused() -> None:
    with pytest.raises(Exception, match="raising raises an exception, expected numbers alone"):
        over_units(raising, np.zeros(3))


def text(x: Any) -> Any:
    return "x"


def test_a_function_that_returns_no_number_is_refused() -> None:
    with pytest.raises(Exception, match="text returns .*expected numbers"):
        over_units(text, np.zeros(3))
