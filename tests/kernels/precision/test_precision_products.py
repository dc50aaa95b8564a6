"""Products in bfloat16 and int8 against their definition in NumPy: in int8 the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from cases import F32, Array
from rounded import rounded_kernel

from fastlstm.kernels import Rows
from fastlstm.kernels.arguments import MOST_SUMMED
from fastlstm.kernels.call import Weights
from fastlstm.kernels.reference.precision import SMALLEST, int8_product, quantize, to_bfloat16


def one_product(
    rounding_isa: str, precision: str, x: Array, weight: Array, recurrent: bool = False
) -> Array:
    """``weight @ row`` of each row as a plain relu net's one step shows it: with both its signs."""
    kernel = rounded_kernel("rnn_relu", rounding_isa, precision)
    (G, K), N = weight.shape, len(x)
    parts = []
    for sign in (1, -1):
        w = np.ascontiguousarray(sign * weight)
        if recurrent:
            square = np.zeros((max(G, K), max(G, K)), F32)
            square[:G, :K] = w
            h = np.zeros((N, len(square)), F32)
            h[:, :K] = x
            given, state = np.zeros((1, N, 1), F32), (h,)
            weights = Weights(np.zeros((len(square), 1), F32), square)
        else:
            given, state = x[None], (np.zeros((N, G), F32),)
            weights = Weights(w, np.zeros((G, G), F32))
        y = np.empty((1, N, weights.w_hh.shape[1]), F32)
        kernel.forward(given, state, weights, Rows(1, N), y)
        parts.append(y[0, :, :G])
    return np.where(parts[0] > 0, parts[0], -parts[1])


@pytest.mark.parametrize("recurrent", [False, True], ids=["input", "recurrent"])
@pytest.mark.parametrize("K", [1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 63, 64, 65, 130, 257])
def test_int8_products_are_numpys_to_the_bit(
    rounding_isa: str, rng: np.random.Generator, K: int, recurrent: bool
) -> None:
    for N, G in ((1, 5), (3, 17), (9, 33), (18, 64)):
        x = (rng.standard_normal((N, K)) * rng.uniform(0.1, 9, (N, 1))).astype(F32)
        weight = (rng.standard_normal((G, K)) * rng.uniform(0.1, 3, (G, 1))).astype(F32)
        x[N // 2], weight[G // 2] = 0, 0
        actual = one_product(rounding_isa, "int8", x, weight, recurrent)
        np.testing.assert_array_equal(actual, int8_product(quantize(weight), quantize(x)))


def test_int8_sums_neither_saturate_nor_wrap(rounding_isa: str) -> None:
    """The largest whole numbers of either sign, in sums near the last that int32 holds."""
    for K in (2, 64, 4096, MOST_SUMMED):
        x = np.ones((2, K), F32)
        x[1] = -1
        weight = np.ones((3, K), F32)
        weight[1], weight[2, ::2] = -1, -1
        actual = one_product(rounding_isa, "int8", x, weight)
        np.testing.assert_array_equal(actual, int8_product(quantize(weight), quantize(x)))


def test_int8_rows_of_any_magnitude(rounding_isa: str, rng: np.random.Generator) -> None:
    """Largest numbers from the last that counts as zero to the last that is finite."""
    row, most = np.array([[1, -0.5, 0.3, 0.01]], F32), np.array([SMALLEST / 2, SMALLEST], F32)
    most = np.array([0, 1e-45, 1e-38, *most, 1e-30, 1, 1e30, 3.4e38], F32)
    for x, weight in ((most[:, None] * row, 400 * row), (row, most[1:, None] * row)):
        actual = one_product(rounding_isa, "int8", x, weight)
        of_weight, of_x = quantize(weight), quantize(x)
        expected = int8_product(of_weight, of_x)
        normal = of_weight.scale * of_x.scale[:, None] >= np.finfo(F32).tiny
        np.testing.assert_array_equal(actual[normal], expected[normal])
        flushed = np.abs(actual[~normal]) <= np.abs(expected[~normal])
        assert flushed.all()  # or not, as the processor was told


@np.errstate(invalid="ignore")
@pytest.mark.parametrize("recurrent", [False, True], ids=["input", "recurrent"])
def test_int8_rows_with_nan_or_infinity_are_nan(rounding_isa: str, recurrent: bool) -> None:
    for bad in (np.nan, np.inf, -np.inf):
        x, weight = np.ones((4, 70), F32), np.ones((3, 70), F32)
        weight[1, 35:], weight[2] = -1, 0  # sums of 0 too
        x[1, 40], x[3, 0] = bad, bad
        actual = one_product(rounding_isa, "int8", x, weight, recurrent)
        assert np.isnan(actual[[1, 3]]).all()
        expected = int8_product(quantize(weight), quantize(x[[0, 2]]))
        np.testing.assert_array_equal(actual[[0, 2]], expected)


def test_int8_does_not_depend_on_whether_subnormal_numbers_are_flushed(rounding_isa: str) -> None:
    """Beside the smallest number that makes a row count, the largest that may be taken for zero."""
    flushed = np.nextafter(np.finfo(F32).tiny, F32.type(0))
    for most in (SMALLEST / 2, np.nextafter(SMALLEST, F32.type(0)), SMALLEST, 2 * SMALLEST):
        row, other = np.array([[most, flushed]], F32), np.array([[0, 2.0**100]], F32)
        for x, weight in ((row, other), (other, row)):
            actual = one_product(rounding_isa, "int8", x, weight)
            np.testing.assert_array_equal(actual, int8_product(quantize(weight), quantize(x)))


@pytest.mark.parametrize("K", [1, 2, 3, 15, 16, 17, 33, 64, 130])
def test_bfloat16_products_are_of_rounded_factors(
    rounding_isa: str, rng: np.random.Generator, K: int
) -> None:
    """Exact where the sums are: whole numbers that the factors round to."""
    x, weight = rng.integers(1, 128, (9, K)), rng.integers(-128, 128, (33, K))
    sign = rng.choice([-1, 1], (9, K))
    near = 0.4 * rng.uniform(-1, 1, (9, K))  # less than half of what lies between 256 and 258
    given = (sign * (256 + 2 * x) + near).astype(F32)
    assert (to_bfloat16(given) != given).any()
    actual = one_product(rounding_isa, "bfloat16", given, weight.astype(F32))
    whole = to_bfloat16(given).astype(np.int64)
    expected = whole @ weight.T  # at most 130 * 512 * 128 < 2**24
    np.testing.assert_array_equal(actual, expected)


TIES = np.array([0x3F808000, 0x3F818000, 0xBF808000, 0xC0018000, 0x3F80FFFF, 0x3F807FFF], np.uint32)
NANS = np.array([0x7F800001, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF, 0x7FC00000], np.uint32)


@pytest.mark.parametrize("K", [1, 2, 7, 70])
@np.errstate(invalid="ignore")
def test_bfloat16_ties_go_to_even_and_nan_stays_nan(rounding_isa: str, K: int) -> None:
    """Of an input, of h and of a weight, in each half of a word; also NaN of few or all bits."""
    for numbers in (TIES.view(F32), NANS.view(F32)):
        expected, one = to_bfloat16(numbers), np.zeros((1, K), F32)
        for k in {0, K // 2, K - 1}:
            factors = np.zeros((len(numbers), K), F32)
            factors[:, k], one[0] = numbers, np.arange(K) == k
            for recurrent in (False, True):
                of_rows = one_product(rounding_isa, "bfloat16", factors, one, recurrent)
                np.testing.assert_array_equal(of_rows[:, 0], expected)
            of_weight = one_product(rounding_isa, "bfloat16", one, factors)
            np.testing.assert_array_equal(of_weight[0], expected)
