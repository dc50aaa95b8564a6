"""How far from float32, and how near each other, outputs in lower precision are."""

from __future__ import annotations

import numpy as np
import pytest
from bound import Kernel
from cases import F32, TOLERANCE, Array, Case, Problem, each_cell, make
from checks import assert_close, run_forward
from rounded import each_case

from fastlstm.kernels import CELLS
from fastlstm.kernels.call import Weights

# Errors against float32, of the largest value. Measured with weights uniform in +-1/sqrt(H):
# root mean square 1.5e-3 and 4.4e-3, largest 6e-3 and 2.4e-2, over up to 2,000 steps.
MEAN_ERROR = {"bfloat16": 3e-3, "int8": 1e-2}
LARGEST_ERROR = {"bfloat16": 1.5e-2, "int8": 5e-2}
# Between two backends: a state that differs in its last digit may round another way.
BETWEEN_BACKENDS = {"bfloat16": 1e-2, "int8": 2e-2}


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
    """Up to the activations: which rows have a bound for their scale shows here.

    More steps may differ by a factor that rounds another way.
    """
    p = make(Case(1, 9, 17, 33, proj=proj, dtype=F32, seed=5), kernel.cell)
    p.state = tuple(0.3 * np.tanh(part) for part in p.state)
    expected = run_forward(Kernel(kernel.cell, "reference", kernel.precision), p)[0]
    for name, value in run_forward(kernel, p)[0].items():
        assert_close(value, expected[name], TOLERANCE["activation", "rounded tanh"], name)


@each_case
def test_backends_are_near_each_other(kernel: Kernel, case: Case) -> None:
    p = make(case, kernel.cell)
    expected = run_forward(Kernel(kernel.cell, "reference", kernel.precision), p)[0]
    for name, value in run_forward(kernel, p)[0].items():
        assert_close(value, expected[name], BETWEEN_BACKENDS[kernel.precision], name)


@each_cell
def test_weights_and_inputs_of_zeros(kernel: Kernel) -> None:
    """Zeros have no scale of their own: only the biases are left, as in float32."""
    p = make(Case(3, 4, 5, 6, dtype=F32), kernel.cell)
    p.weights = Weights(*(w if w is None else w * (w.ndim == 1) for w in p.weights[:5]))._replace(
        params=p.weights.params
    )
    expected = run_forward(Kernel(kernel.cell), p)[0]
    for name, value in run_forward(kernel, p)[0].items():
        assert_close(value, expected[name], TOLERANCE["activation", "rounded tanh"], name)
    p = make(Case(3, 4, 5, 6, dtype=F32), kernel.cell)
    p.x[:, 1] = 0
    assert np.isfinite(run_forward(kernel, p)[0]["y"]).all()
