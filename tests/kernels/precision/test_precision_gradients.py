"""How near the gradients of bfloat16 are to those of float32 and float64."""

from __future__ import annotations

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, Array, Case, make, spread
from checks import OUTPUTS, Results, inputs_of, make_smooth, run, slope
from rounded import SMALL_F32

from fastlstm.kernels import CELLS

# Of a gradient's norm. A unit of a relu net so near 0 that rounding moves it across has another
# gradient: measured 1.2e-2, and 9e-2 of rnn_relu.
GRADIENT_ERROR = 3e-2
KINKED_GRADIENT_ERROR = 0.2


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
    for name, array in inputs_of(exact, p).items():
        direction = rng.standard_normal(array.shape)
        direction /= np.sqrt(np.sum(direction**2))
        error = abs(slope(exact, p, array, direction) - np.sum(gradients[name] * direction))
        norm = np.sqrt(np.sum(gradients[name].astype(F64) ** 2))
        assert error <= GRADIENT_ERROR * norm, f"{name}: {error / norm:.1e} of its norm"
