"""What is promised of lower precision to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from bound import Kernel
from cases import F32, Case, make
from checks import run, run_forward
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
from rounded import each_case

pytestmark = pytest.mark.pairs


@each_case
def test_rows_do_not_depend_on_each_other(kernel: Kernel, case: Case) -> None:
    check_row_independence(kernel, case)
    check_lengths_of_others(kernel, case)


@pytest.mark.parametrize("cell", ["lstm", "rnn_relu"])
def test_rows_of_a_batch_that_is_worked_on_in_turns(kernel: Kernel) -> None:
    check_row_independence(kernel, Case(3, 150, 5, 17, ragged=True, dtype=F32))


@each_case
def test_tokens_equal_their_dense_input(kernel: Kernel, case: Case) -> None:
    check_tokens(kernel, case)


@each_case
def test_a_reset_equals_a_cut(kernel: Kernel, case: Case) -> None:
    check_reset(kernel, case)


@each_case
def test_chunks_equal_the_whole(kernel: Kernel, case: Case) -> None:
    for cut in range(1, case.T):
        check_chunks(kernel, case, [cut])
    check_chunks(kernel, case, list(range(1, case.T)))


@each_case
def test_a_stream_equals_whole_runs(kernel: Kernel, case: Case) -> None:
    check_stream(kernel, case)


@each_case
def test_threads_change_no_bit(kernel: Kernel, case: Case) -> None:
    check_threads(kernel, case)


@each_case
def test_recomputing_changes_no_bit(bfloat16_kernel: Kernel, case: Case) -> None:
    check_recompute(bfloat16_kernel, case)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@each_case
def test_nan_and_infinity_stay_in_their_row(kernel: Kernel, case: Case, poison: float) -> None:
    check_poison_stays(kernel, case, poison)


@each_case
def test_saving_changes_no_bit(bfloat16_kernel: Kernel, case: Case) -> None:
    p = make(case, bfloat16_kernel.cell)
    saved = run(bfloat16_kernel, p)
    for name, value in run_forward(bfloat16_kernel, p)[0].items():
        np.testing.assert_array_equal(saved[name], value, err_msg=name)
