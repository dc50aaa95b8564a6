"""Products in bfloat16 and int8: their definition, what is promised to the last bit, and how far
from float32 they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, SMALL, TOLERANCE, Array, Case, Problem, each_cell, make, spread
from checks import OUTPUTS, Results, assert_close, make_smooth, run, run_forward
from checks import _inputs as inputs
from checks import _slope as slope
from contracts import (
    check_chunks,
    check_lengths_of_others,
    check_poison_stays,
    check_recompute,
    check_reset,
    check_row_independence,
    check_stream,
    check_threads,
    check_tokens,
)

from fastlstm.kernels import CELLS, PRECISIONS, Rows
from fastlstm.kernels.arguments import MOST_SUMMED
from fastlstm.kernels.call import Weights
from fastlstm.kernels.reference.precision import (
    SMALLEST,
    gradient,
    int8_product,
    quantize,
    to_bfloat16,
    with_precision,
)

ROUNDED = tuple(name for name in PRECISIONS if name != "float32")
SMALL_F32 = [case.with_dtype(F32) for case in SMALL]
cases = pytest.mark.parametrize(("cell", "case"), spread(SMALL_F32), ids=str)

# Errors against float32, of the largest value. Measured with weights uniform in +-1/sqrt(H):
# root mean square 1.5e-3 and 4.4e-3, largest 6e-3 and 2.4e-2, over up to 2,000 steps.
MEAN_ERROR = {"bfloat16": 3e-3, "int8": 1e-2}
LARGEST_ERROR = {"bfloat16": 1.5e-2, "int8": 5e-2}
# Of a gradient's norm. A unit of a relu net so near 0 that rounding moves it across has another
# gradient: measured 1.2e-2, and 9e-2 of rnn_relu.
GRADIENT_ERROR = 3e-2
KINKED_GRADIENT_ERROR = 0.2
# Between two backends: a state that differs in its last digit may round another way.
BETWEEN_BACKENDS = {"bfloat16": 1e-2, "int8": 2e-2}


@pytest.fixture(params=ROUNDED)
def precision(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def rounded_kernel(cell: str, rounding_isa: str, precision: str) -> Kernel:
    """The kernels of a cell in a precision."""
    return Kernel(cell, rounding_isa.partition("-")[0], precision)


@pytest.fixture
def kernel(cell: str, rounding_isa: str, precision: str) -> Kernel:
    return rounded_kernel(cell, rounding_isa, precision)


@pytest.fixture
def bfloat16_kernel(cell: str, rounding_isa: str) -> Kernel:
    return rounded_kernel(cell, rounding_isa, "bfloat16")


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


# The definition.


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


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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


# What is promised to the last bit.


@cases
def test_rows_do_not_depend_on_each_other(kernel: Kernel, case: Case) -> None:
    check_row_independence(kernel, case)
    check_lengths_of_others(kernel, case)


@pytest.mark.parametrize("cell", ["lstm", "rnn_relu"])
def test_rows_of_a_batch_that_is_worked_on_in_turns(kernel: Kernel) -> None:
    check_row_independence(kernel, Case(3, 150, 5, 17, ragged=True, dtype=F32))


@cases
def test_tokens_equal_their_dense_input(kernel: Kernel, case: Case) -> None:
    check_tokens(kernel, case)


@cases
def test_a_reset_equals_a_cut(kernel: Kernel, case: Case) -> None:
    check_reset(kernel, case)


@cases
def test_chunks_equal_the_whole(kernel: Kernel, case: Case) -> None:
    for cut in range(1, case.T):
        check_chunks(kernel, case, [cut])
    check_chunks(kernel, case, list(range(1, case.T)))


@cases
def test_a_stream_equals_whole_runs(kernel: Kernel, case: Case) -> None:
    check_stream(kernel, case)


@cases
def test_threads_change_no_bit(kernel: Kernel, case: Case) -> None:
    check_threads(kernel, case)


@cases
def test_recomputing_changes_no_bit(bfloat16_kernel: Kernel, case: Case) -> None:
    check_recompute(bfloat16_kernel, case)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@cases
def test_nan_and_infinity_stay_in_their_row(kernel: Kernel, case: Case, poison: float) -> None:
    check_poison_stays(kernel, case, poison)


@cases
def test_saving_changes_no_bit(bfloat16_kernel: Kernel, case: Case) -> None:
    p = make(case, bfloat16_kernel.cell)
    saved = run(bfloat16_kernel, p)
    for name, value in run_forward(bfloat16_kernel, p)[0].items():
        np.testing.assert_array_equal(saved[name], value, err_msg=name)


@each_cell
def test_weights_and_inputs_of_zeros(kernel: Kernel) -> None:
    """Zeros have no scale of their own: only the biases are left, as in float32."""
    p = make(Case(3, 4, 5, 6, dtype=F32), kernel.cell)
    p.weights = Weights(*(w if w is None else w * (w.ndim == 1) for w in p.weights[:5]))._replace(
        params=p.weights.params
    )
    expected = run_forward(Kernel(kernel.cell), p)[0]
    for name, value in run_forward(kernel, p)[0].items():
        assert_close(value, expected[name], 1e-5, name)
    p = make(Case(3, 4, 5, 6, dtype=F32), kernel.cell)
    p.x[:, 1] = 0
    assert np.isfinite(run_forward(kernel, p)[0]["y"]).all()


# How near they are.


def with_usual_weights(cell: str, case: Case) -> Problem:
    """A problem with the first weights of a layer: uniform in +-1/sqrt(H)."""
    p, rng = make(case.with_dtype(F32), CELLS[cell]), np.random.default_rng(case.seed)
    bound = case.H**-0.5
    p.weights = p.weights.map(lambda w: rng.uniform(-bound, bound, w.shape).astype(F32))
    return p


def assert_near(actual: Array, expected: Array, precision: str, name: str) -> None:
    error = np.abs(actual - expected) / np.abs(expected).max()
    mean = float(np.sqrt(np.mean(error**2)))
    assert mean <= MEAN_ERROR[precision], f"{name}: {mean:.1e} on average"
    assert error.max() <= LARGEST_ERROR[precision], f"{name}: {error.max():.1e} at most"


@pytest.mark.parametrize("case", [Case(20, 4, 33, 17), Case(50, 4, 64, 128, proj=32)], ids=str)
@each_cell
def test_outputs_are_near_those_of_float32(kernel: Kernel, case: Case) -> None:
    p = with_usual_weights(kernel.cell.name, case)
    expected = run_forward(Kernel(kernel.cell), p)[0]
    actual = run_forward(kernel, p)[0]
    for name, value in actual.items():
        assert_near(value, expected[name], kernel.precision, name)
    assert (actual["y"] != expected["y"]).any(), "nothing was rounded"


@each_cell
def test_errors_do_not_grow_over_2000_steps(kernel: Kernel) -> None:
    p = with_usual_weights(kernel.cell.name, Case(2000, 2, 16, 32))
    expected = run_forward(Kernel(kernel.cell), p)[0]["y"]
    y = run_forward(kernel, p)[0]["y"]
    for start in range(0, 2000, 500):
        steps = slice(start, start + 500)
        assert_near(y[steps], expected[steps], kernel.precision, f"steps from {start}")


@pytest.mark.parametrize("proj", [0, 20])
@each_cell
def test_one_step_is_the_references(kernel: Kernel, proj: int) -> None:
    """Up to rounding of float32: which rows have a bound for their scale shows here.

    More steps may differ by a factor that rounds another way.
    """
    p = make(Case(1, 9, 17, 33, proj=proj, dtype=F32, seed=5), kernel.cell)
    p.state = tuple(0.3 * np.tanh(part) for part in p.state)
    expected = run_forward(Kernel(kernel.cell, "reference", kernel.precision), p)[0]
    for name, value in run_forward(kernel, p)[0].items():
        assert_close(value, expected[name], TOLERANCE["output", F32], name)


@cases
def test_backends_are_near_each_other(kernel: Kernel, case: Case) -> None:
    p = make(case, kernel.cell)
    expected = run_forward(Kernel(kernel.cell, "reference", kernel.precision), p)[0]
    for name, value in run_forward(kernel, p)[0].items():
        assert_close(value, expected[name], BETWEEN_BACKENDS[kernel.precision], name)


def distance(actual: Array, expected: Array) -> float:
    """The norm of their difference, of that of the expected."""
    norm = max(float(np.sqrt(np.sum(expected.astype(F64) ** 2))), 1e-3)
    return float(np.sqrt(np.sum((actual.astype(F64) - expected) ** 2))) / norm


def assert_gradients_near(kernel: Kernel, actual: Results, expected: Results) -> None:
    kinked = kernel.cell.name == "rnn_relu"
    bound = KINKED_GRADIENT_ERROR if kinked else GRADIENT_ERROR
    assert actual.keys() == expected.keys()
    for name in actual.keys() - set(OUTPUTS):
        error = distance(actual[name], expected[name])
        assert error <= bound, f"{name}: {error:.1e} of its norm, allowed {bound}"


@pytest.mark.parametrize(
    ("cell", "case"), spread([*SMALL_F32, Case(30, 8, 20, 48, ragged=True, seed=77)]), ids=str
)
def test_bfloat16_gradients_are_near(bfloat16_kernel: Kernel, case: Case) -> None:
    p = make_smooth(bfloat16_kernel, case.with_dtype(F32))
    actual = run(bfloat16_kernel, p)
    exact = run(Kernel(bfloat16_kernel.cell, "reference"), p.astype(F64))
    assert_gradients_near(bfloat16_kernel, actual, exact)
    same = run(Kernel(bfloat16_kernel.cell, "reference", "bfloat16"), p)
    assert_gradients_near(bfloat16_kernel, actual, same)


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "rnn_relu"])
def test_bfloat16_gradients_are_near_the_differences(bfloat16_kernel: Kernel) -> None:
    """Along random directions, of the function in float64."""
    case = Case(6, 5, 4, 9, proj=5, ragged=True, reset=True, seed=3)
    p, rng = make(case, bfloat16_kernel.cell), np.random.default_rng(0)
    exact = Kernel(bfloat16_kernel.cell, "reference")
    gradients = run(bfloat16_kernel, p.astype(F32))
    for name, array in inputs(exact, p).items():
        direction = rng.standard_normal(array.shape)
        direction /= np.sqrt(np.sum(direction**2))
        error = abs(slope(exact, p, array, direction) - np.sum(gradients[name] * direction))
        norm = np.sqrt(np.sum(gradients[name].astype(F64) ** 2))
        assert error <= GRADIENT_ERROR * norm, f"{name}: {error / norm:.1e} of its norm"


# What is refused.


def refused(kernel: Kernel, p: Problem, **options: Any) -> str:
    with pytest.raises(ValueError, match=r".") as error:
        run_forward(kernel, p, **options)
    return str(error.value)


def test_unknown_precisions(rounding_isa: str) -> None:
    for unknown in ("float16", "", None, 8):
        kernel = rounded_kernel("lstm", rounding_isa, unknown)  # type: ignore[arg-type]
        p = make(SMALL_F32[4], kernel.cell)
        expected = f"precision is {unknown!r}, expected one of float32, bfloat16, int8"
        assert refused(kernel, p) == expected
        with pytest.raises(ValueError, match="precision is"):
            kernel.Stream([p.weights], 1)
        with pytest.raises(ValueError, match="precision is"):
            kernel.memory(p.rows, 3, 4)


def test_float64(kernel: Kernel) -> None:
    p = make(SMALL[4], kernel.cell)
    assert refused(kernel, p).startswith(
        f"precision is {kernel.precision!r} with arrays of float64, expected 'float32'"
    )
    with pytest.raises(ValueError, match="with arrays of float64"):
        kernel.Stream([p.weights], 1)
    with pytest.raises(ValueError, match="with arrays of float64"):
        kernel.memory(p.rows, 3, 4, dtype=F64)


def test_int8_has_no_backward(rounding_isa: str) -> None:
    kernel = rounded_kernel("lstm", rounding_isa, "int8")
    p = make(SMALL_F32[4], kernel.cell)
    assert refused(kernel, p, save=True).startswith("precision is 'int8', which is for inference")
    with pytest.raises(ValueError, match="for inference"):
        kernel.memory(p.rows, 3, 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["w_ih", "w_hh", "w_hr"])
def test_int8_weights_must_be_finite(rounding_isa: str, name: str, bad: float) -> None:
    kernel = rounded_kernel("lstm", rounding_isa, "int8")
    p = make(replace(SMALL_F32[4], proj=3), kernel.cell)
    getattr(p.weights, name)[2, 1] = bad
    assert refused(kernel, p) == f"{name}[2, 1] is {bad}, expected finite numbers in int8"
    with pytest.raises(ValueError, match=rf"{name}\[2, 1\]"):
        kernel.Stream([p.weights], 1)


def test_int8_sums_that_int32_does_not_hold(rounding_isa: str) -> None:
    kernel = rounded_kernel("rnn_tanh", rounding_isa, "int8")
    p = make(Case(1, 1, MOST_SUMMED + 1, 1, dtype=F32), kernel.cell)
    assert "expected at most 133,144 columns in int8" in refused(kernel, p)


@pytest.mark.slow
def test_numba_refuses(precision: str, load_backend: Any) -> None:
    load_backend("numba")
    kernel = Kernel("lstm", "numba", precision)
    p = make(SMALL_F32[4], kernel.cell)
    for call in (
        lambda: run_forward(kernel, p),
        lambda: kernel.Stream([p.weights], 1),
        *([lambda: kernel.memory(p.rows, 3, 4)] if precision != "int8" else []),
    ):
        with pytest.raises(NotImplementedError, match=f"precision is '{precision}', .* numba"):
            call()


@each_cell
def test_memory_of_bfloat16_is_planned(bfloat16_kernel: Kernel) -> None:
    p = make(Case(5, 4, 6, 7, dtype=F32), bfloat16_kernel.cell)
    assert min(bfloat16_kernel.memory(p.rows, 6, 7)) > 0
