"""What lower precision is not for: each backend says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, SMALL, Case, Problem, make
from checks import run_forward
from rounded import SMALL_F32, rounded_kernel

from fastlstm.kernels.arguments import MOST_SUMMED


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
