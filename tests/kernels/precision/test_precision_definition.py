"""Numbers in bfloat16 and int8, and products of them: their definition, by hand."""

from __future__ import annotations

import numpy as np
from cases import F32

from fastlstm.kernels import CELLS
from fastlstm.kernels.call import Weights
from fastlstm.kernels.reference.precision import (
    SMALLEST,
    gradient,
    int8_product,
    quantize,
    to_bfloat16,
    with_precision,
)


def test_bfloat16_has_the_first_16_bits_and_ties_to_even() -> None:
    one = 1.0
    step = 2.0**-7  # between numbers of bfloat16 from 1 to 2
    given = [one + step / 2, one + 1.5 * step, one + 0.51 * step, -one - step / 2, 3.4e38, 0.0]
    expected = [one, one + 2 * step, one + step, -one, np.inf, 0.0]
    np.testing.assert_array_equal(to_bfloat16(np.array(given, F32)), np.array(expected, F32))
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], F32)
    np.testing.assert_array_equal(to_bfloat16(odd)[:4], odd[:4])
    # A NaN whose only bits are among the last 16 is not to become infinity.
    low = np.array([0x7F800001], np.uint32).view(F32)
    assert np.isnan(to_bfloat16(low)).all()


def test_every_bfloat16_stays_as_it_is() -> None:
    every = (np.arange(1 << 16, dtype=np.uint32) << 16).view(F32)
    np.testing.assert_array_equal(to_bfloat16(every), every)


def test_bfloat16_is_the_nearest(rng: np.random.Generator) -> None:
    a = rng.standard_normal(1000).astype(F32)
    error = np.abs(to_bfloat16(a) - a)
    assert (error <= np.abs(a) * 2.0**-8).all()
    step = np.exp2(np.floor(np.log2(np.abs(a))) - 7)
    assert (error <= step / 2).all()


def test_int8_by_hand() -> None:
    # 127 / 2 is 63.5: -1 is -63.5, a tie, which goes to the even -64.
    q, scale = quantize(np.array([[2, -1, 0.5], [0, 0, 0], [0.25, 0.125, 0]], F32))
    assert q.tolist() == [[127, -64, 32], [0, 0, 0], [127, 64, 0]]
    np.testing.assert_array_equal(scale, np.array([2, 0, 0.25], F32) / F32.type(127))
    q, scale = quantize(np.array([[0.5, -0.25], [4, -2]], F32), floor=1)
    assert q.tolist() == [[64, -32], [127, -64]]
    np.testing.assert_array_equal(scale, np.array([1, 4], F32) / F32.type(127))


def test_int8_product_by_hand() -> None:
    weight = quantize(np.array([[1, -1], [0, 0]], F32))
    rows = quantize(np.array([[2, 1]], F32))
    z = int8_product(weight, rows)
    scale = F32.type(1) / F32.type(127) * (F32.type(2) / F32.type(127))
    np.testing.assert_array_equal(z, [[F32.type(127 * 127 - 127 * 64) * scale, 0]])


def test_int8_rows_that_are_not_finite_are_nan_alone() -> None:
    rows = np.array([[1, 2], [np.nan, 1], [np.inf, 1], [3, 4]], F32)
    weight = quantize(np.array([[1, 2], [0, 0]], F32))
    z = int8_product(weight, quantize(rows))
    assert np.isnan(z[1:3]).all()
    np.testing.assert_array_equal(z[[0, 3]], int8_product(weight, quantize(rows[[0, 3]])))


def test_int8_rows_of_the_smallest_numbers_are_zeros() -> None:
    rows = np.array([[SMALLEST, -SMALLEST], [np.nextafter(SMALLEST, F32.type(0)), 0]], F32)
    q, scale = quantize(rows)
    assert q.tolist() == [[127, -127], [0, 0]]
    assert scale[0] >= np.finfo(F32).tiny
    assert scale[1] == 0


def test_h_meets_its_bound_but_not_where_it_has_none() -> None:
    h = np.array([[0.25, 0.5]], F32)
    weight = np.array([[1, 1]], F32)
    by_bound = int8_product(quantize(weight), quantize(h, 1))
    by_most = int8_product(quantize(weight), quantize(h))
    assert by_bound != by_most
    for name, cell in CELLS.items():
        w = with_precision(cell, Weights(weight, weight), "int8")
        expected = by_most if name == "rnn_relu" else by_bound
        np.testing.assert_array_equal(w.w_hh.by_row(h), expected, err_msg=name)
        np.testing.assert_array_equal(w.w_ih.by_row(h), by_most, err_msg=name)
    w = with_precision(CELLS["lstm"], Weights(weight, weight, w_hr=weight), "int8")
    np.testing.assert_array_equal(w.w_hh.by_row(h), by_most)
    np.testing.assert_array_equal(w.w_hr.by_row(h), by_bound)


def test_bfloat16_gradients_are_of_rounded_factors(rng: np.random.Generator) -> None:
    dz, x = rng.standard_normal((5, 3)).astype(F32), rng.standard_normal((5, 2)).astype(F32)
    w = with_precision(CELLS["rnn_tanh"], Weights(np.ones((3, 2), F32), np.eye(3)), "bfloat16")
    expected = to_bfloat16(dz).T @ to_bfloat16(x)
    np.testing.assert_array_equal(gradient(w.w_ih, dz, x), expected)
    assert (expected != dz.T @ x).any()
