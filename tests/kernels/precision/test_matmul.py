"""Products of matrices, of layers without a time loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import F32, Array

from fastlstm import kernels
from fastlstm.kernels import reference
from fastlstm.kernels.arguments import MOST_SUMMED
from fastlstm.kernels.reference.precision import int8_product, quantize, to_bfloat16

# n, m, K: around the sizes of tiles, of panels, and of blocks of rows and of K.
SHAPES = [(1, 1, 1), (1, 300, 40), (2, 70, 33), (7, 64, 16), (200, 130, 65), (31, 9, 1100),
          (400, 17, 6), (33, 260, 2500)]  # fmt: skip
each_shape = pytest.mark.parametrize(("n", "m", "K"), SHAPES)


@pytest.fixture(params=kernels.PRECISIONS)
def precision(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def backend(rounding_isa: str) -> Any:
    return kernels.backend(rounding_isa.partition("-")[0])


def draw(rng: np.random.Generator, *shape: int) -> Array:
    """Numbers whose rows are of unlike magnitude."""
    a = rng.standard_normal(shape) * rng.uniform(0.1, 9, (*shape[:-1], 1))
    return a.astype(F32)


@each_shape
def test_int8_is_numpys_to_the_bit(
    backend: Any, rng: np.random.Generator, n: int, m: int, K: int
) -> None:
    a, b, bias = draw(rng, n, K), draw(rng, m, K), draw(rng, m)
    a[n // 2], b[m // 2] = 0, 0
    expected = int8_product(quantize(b), quantize(a))
    y = backend.matmul(a, b, precision="int8")
    np.testing.assert_array_equal(y, expected)
    for threads in (1, 2, 3):
        y = backend.matmul(a, b, bias, precision="int8", n_threads=threads)
        np.testing.assert_array_equal(y, expected + bias)


@each_shape
def test_bfloat16_is_of_rounded_factors(
    backend: Any, rng: np.random.Generator, n: int, m: int, K: int
) -> None:
    """Exact where the sums are: whole numbers that the factors round to."""
    near = 0.4 * rng.uniform(-1, 1, (n, K))  # less than half of what lies between 256 and 258
    a = (rng.choice([-1, 1], (n, K)) * (256 + 2 * rng.integers(1, 20, (n, K))) + near).astype(F32)
    b, bias = (rng.integers(-8, 9, size).astype(F32) for size in ((m, K), m))
    assert (to_bfloat16(a) != a).any()
    expected = to_bfloat16(a).astype(np.int64) @ b.T.astype(np.int64) + bias  # below 2**24
    for threads in (1, 2, 3):
        y = backend.matmul(a, b, bias, precision="bfloat16", n_threads=threads)
        np.testing.assert_array_equal(y, expected)


@each_shape
def test_float32_is_of_the_numbers_as_they_are(
    backend: Any, rng: np.random.Generator, n: int, m: int, K: int
) -> None:
    a, b, bias = draw(rng, n, K), draw(rng, m, K), draw(rng, m)
    expected = a.astype(np.float64) @ b.T.astype(np.float64) + bias
    size = np.abs(a).astype(np.float64) @ np.abs(b).T + np.abs(bias)
    first = backend.matmul(a, b, bias, precision="float32")
    assert (np.abs(first - expected) <= 1e-7 * (2 + K**0.5) * size).all()
    for threads in (2, 3):
        y = backend.matmul(a, b, bias, precision="float32", n_threads=threads)
        np.testing.assert_array_equal(y, first)


@each_shape
def test_matrices_may_be_given_by_columns(
    backend: Any, rng: np.random.Generator, precision: str, n: int, m: int, K: int
) -> None:
    a, b = draw(rng, n, K), draw(rng, m, K)
    y = backend.matmul(a, b, precision=precision)
    np.testing.assert_allclose(
        y, reference.matmul(a, b, precision=precision), atol=1e-5 * np.abs(y).max()
    )
    for left in (a, np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2]):
        for right in (b, np.asfortranarray(b), np.repeat(b, 2, axis=0)[::2]):
            np.testing.assert_array_equal(backend.matmul(left, right, precision=precision), y)


@each_shape
def test_a_row_depends_on_no_other(
    backend: Any, rng: np.random.Generator, precision: str, n: int, m: int, K: int
) -> None:
    a, b = draw(rng, n, K), draw(rng, m, K)
    with np.errstate(invalid="ignore"):
        y = backend.matmul(a, b, precision=precision)
        for row in {0, n // 2, n - 1}:
            alone = backend.matmul(a[row : row + 1], b, precision=precision, n_threads=2)
            np.testing.assert_array_equal(alone[0], y[row])
            a[row, K // 2] = np.nan
            bad = backend.matmul(a, b, precision=precision)
            assert np.isnan(bad[row]).all()
            np.testing.assert_array_equal(np.delete(bad, row, 0), np.delete(y, row, 0))
            y[row] = np.nan


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (5, 1, 70, 9), (3, 9, 17, 2), (4, 40, 64, 31)])
def test_many_products_are_one_after_the_other(
    backend: Any, rng: np.random.Generator, precision: str, shape: tuple[int, ...]
) -> None:
    count, n, m, K = shape
    a, b = draw(rng, count, n, K), draw(rng, count, m, K)
    across = np.ascontiguousarray(b.swapaxes(1, 2)).swapaxes(1, 2)
    expected = [
        backend.matmul(left, right, precision=precision) for left, right in zip(a, b, strict=True)
    ]
    for right in (b, across):
        for threads in (1, 2):
            y = backend.matmul(a, right, precision=precision, n_threads=threads)
            np.testing.assert_array_equal(y, expected)


@each_shape
def test_a_packed_matrix_and_a_place_for_the_result(
    backend: Any, rng: np.random.Generator, precision: str, n: int, m: int, K: int
) -> None:
    a, b, bias, out = draw(rng, n, K), draw(rng, m, K), draw(rng, m), draw(rng, n, m)
    packed, before = backend.pack_matrix(b, precision), out.copy()
    y = backend.matmul(a, b, bias, precision=precision)
    b[:] = 0  # is not looked at again
    again = backend.matmul(a, packed, bias, precision=precision, n_threads=2)
    np.testing.assert_array_equal(again, y)
    assert backend.matmul(a, packed, bias, precision=precision, out=out, add=True) is out
    np.testing.assert_array_equal(out, before + y)
    backend.matmul(a, packed, bias, precision=precision, out=out)
    np.testing.assert_array_equal(out, y)


def test_empty_matrices(backend: Any, precision: str) -> None:
    empty, ones = np.ones((3, 0), F32), np.ones(3, F32)
    y = backend.matmul(empty, empty, ones, precision=precision)
    np.testing.assert_array_equal(y, np.ones((3, 3), F32))
    out = 2 * np.ones((3, 3), F32)
    backend.matmul(empty, empty, ones, precision=precision, out=out, add=True)
    np.testing.assert_array_equal(out, 3 * np.ones((3, 3), F32))
    some = np.ones((4, 5), F32)
    assert backend.matmul(some[:0], some, precision=precision).shape == (0, 4)
    assert backend.matmul(some, some[:0], precision=precision).shape == (4, 0)


def test_what_does_not_fit(backend: Any, precision: str) -> None:
    a, b = np.ones((3, 4), F32), np.ones((5, 4), F32)

    def fails(error: type[Exception], text: str, *given: Any, **options: Any) -> None:
        with pytest.raises(error, match=text):
            backend.matmul(*given, **{"precision": precision, **options})

    fails(TypeError, "a is an array of float64", a.astype(np.float64), b)
    fails(TypeError, "b is an array of float64", a, b.astype(np.float64))
    fails(ValueError, r"b has shape \(5, 3\)", a, b[:, :3])
    fails(ValueError, r"a has shape \(4,\)", a[0], b)
    fails(ValueError, r"bias has shape \(4,\)", a, b, np.ones(4, F32))
    fails(ValueError, r"out has shape \(3, 4\)", a, b, out=np.ones((3, 4), F32))
    square = np.ones((4, 4), F32)
    for name, given in (("a", (square, b[:4])), ("b", (b[:4], square))):
        fails(ValueError, f"out shares memory with {name}", *given, out=square)
    fails(ValueError, "out shares memory with bias", a, b[:4], square[0], out=square[:3])
    fails(ValueError, "add is True without", a, b, add=True)
    fails(ValueError, "precision is 'half'", a, b, precision="half")
    packed = backend.pack_matrix(b, precision)
    fails(ValueError, r"has shape \(., .\), expected \(any, .\)", a[:, :3], packed)
    with pytest.raises(ValueError, match="precision is 'half'"):
        backend.pack_matrix(b, "half")


def test_rows_too_long_for_sums_of_int8(backend: Any) -> None:
    a = np.ones((1, MOST_SUMMED + 1), F32)
    with pytest.raises(ValueError, match="at most 133,144 in int8"):
        backend.matmul(a, a, precision="int8")
    most = a[:, 1:]
    y = backend.matmul(most, np.concatenate([most, -most]), precision="int8")
    np.testing.assert_allclose(y, [[MOST_SUMMED, -MOST_SUMMED]], rtol=1e-6)
