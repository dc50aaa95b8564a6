"""A mask of recurrent dropout in the time loop: values and gradients of the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import F32, F64, TOLERANCE, Case, make
from checks import OUTPUTS, assert_close, assert_same, run, run_forward

from fastlstm.kernels import Tokens

pytestmark = pytest.mark.pairs

CELLS = ("lstm", "gru", "gru_reset_before", "rnn_tanh")
PLAIN = Case(6, 5, 3, 7, mask=True, seed=1)
CASES = (
    PLAIN,
    replace(PLAIN, reset=True),
    replace(PLAIN, ragged=True, reset=True),
    replace(PLAIN, reverse=True, ragged=True),
    replace(PLAIN, reverse=True, ragged=True, reset=True, bias=False, dtype=F32),
)


def _cells(case: Case) -> list[tuple[str, Case]]:
    return [("lstm", replace(case, proj=4)), *((cell, case) for cell in CELLS)]


def _pairs() -> Iterator[Any]:
    """All cells with all cases. Each pair is compiled: of most cells at once the first alone."""
    for plain in CASES:
        for cell, case in _cells(plain):
            at_once = cell == "lstm" or plain is PLAIN
            yield pytest.param(cell, case, marks=[] if at_once else pytest.mark.slow)


@pytest.mark.parametrize("recompute", [0, 1, 4])
@pytest.mark.parametrize(("cell", "case"), [*_pairs()], ids=str)
def test_outputs_and_all_gradients_are_the_references(
    cell: str, case: Case, recompute: int
) -> None:
    kernel, oracle = Kernel(cell, "numba"), Kernel(cell, "reference")
    p = make(case, kernel.cell)
    actual = run(kernel, p, recompute=recompute)
    expected = run(oracle, p.astype(F64), recompute=recompute)
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        kind = "output" if name in OUTPUTS else "gradient"
        assert_close(value, expected[name], TOLERANCE[kind, case.dtype], name)
    alone, _ = run_forward(kernel, p)
    for name, value in alone.items():
        assert_same(value, actual[name], f"{name} without saving")


@pytest.mark.parametrize(("cell", "case"), _cells(replace(PLAIN, ragged=True, reset=True)), ids=str)
def test_tokens_under_a_mask_are_their_rows(cell: str, case: Case) -> None:
    kernel, oracle = Kernel(cell, "numba"), Kernel(cell, "reference")
    p, rng = make(case, kernel.cell), np.random.default_rng(2)
    x = Tokens(rng.integers(0, 4, (case.T, case.N)), rng.standard_normal((4, case.I)))
    actual, expected = run(kernel, p, x), run(oracle, p, x)
    for name, value in actual.items():
        kind = "output" if name in OUTPUTS else "gradient"
        assert_close(value, expected[name], TOLERANCE[kind, case.dtype], name)


@pytest.mark.parametrize(("cell", "case"), _cells(PLAIN), ids=str)
def test_a_mask_of_ones_changes_nothing_and_one_of_zeros_forgets_h(cell: str, case: Case) -> None:
    kernel = Kernel(cell, "numba")
    p = make(case, kernel.cell)
    ones = np.ones_like(p.state[0])
    plain = run(kernel, replace(p, mask=None))
    for name, value in run(kernel, replace(p, mask=ones)).items():
        # Gradients of h are summed in another order.
        assert_close(value, plain[name], TOLERANCE["gradient", F64], name)
    assert not run(kernel, replace(p, mask=0 * ones))["dw_hh"].any()
