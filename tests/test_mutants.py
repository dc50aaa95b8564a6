"""The suite's own checks fail for kernels with planted faults, and pass without."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable
from typing import Any

import faults_of_contracts  # noqa: F401  (adds its faults to MUTANTS)
import numpy as np
import pytest
from bound import Kernel
from cases import F32, Case, each_cell
from checks import check_differences, check_every_difference, check_float_state, check_reference
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
from faults import MUTANTS

from fastlstm.kernels import CELLS

CASE = Case(4, 5, 3, 8, ragged=True, proj=3, seed=1)
RESET = Case(6, 5, 3, 8, ragged=True, proj=3, reset=True, seed=2)
CHECKS: dict[str, Callable[[Any], None]] = {
    "reference": lambda k: check_reference(k, CASE),
    "reference f32": lambda k: check_reference(k, CASE.with_dtype(F32)),
    "reference with resets": lambda k: check_reference(k, RESET),
    "differences": lambda k: check_differences(k, CASE),
    "differences with resets": lambda k: check_differences(k, RESET),
    "each difference": lambda k: check_every_difference(k, Case(2, 2, 2, 3, proj=2)),
    "rows": lambda k: check_row_independence(k, RESET),
    "lengths": lambda k: check_lengths_of_others(k, CASE),
    "threads": lambda k: check_threads(k, RESET),
    "chunks": lambda k: check_chunks(k, RESET, [2]),
    "stream": lambda k: check_stream(k, CASE),
    "tokens": lambda k: check_tokens(k, CASE),
    "reset": lambda k: check_reset(k, RESET),
    "recompute": lambda k: check_recompute(k, RESET),
    "poison": lambda k: check_poison_stays(k, CASE, np.nan),
}


@each_cell
@pytest.mark.parametrize("check", CHECKS)
def test_without_a_fault_each_check_passes(cell: str, check: str) -> None:
    CHECKS[check](Kernel(cell, "reference"))


@pytest.mark.parametrize(
    ("name", "check"), [(n, check) for n, m in MUTANTS.items() for check in m.found_by]
)
def test_each_fault_is_found(name: str, check: str) -> None:
    with pytest.raises(AssertionError):
        CHECKS[check](MUTANTS[name].make())


def test_each_cell_and_each_check_has_a_fault() -> None:
    assert {m.cell for m in MUTANTS.values()} == set(CELLS)
    assert {check for m in MUTANTS.values() for check in m.found_by} == set(CHECKS)


# Where glibc keeps the flag in fenv_t: byte offset, bits of flush-to-zero.
FLUSH = {"x86_64": (28, 0x8040), "aarch64": (0, 1 << 24)}


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in FLUSH, reason="needs glibc's fenv_t"
)
def test_a_flag_left_set_is_found() -> None:
    """FTZ not restored: really set, seen by its effect alone, then put back."""
    libm = ctypes.CDLL("libm.so.6")
    before, flushing = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
    libm.fegetenv(before)
    offset, bits = FLUSH[platform.machine()]
    flushing.raw = before.raw
    word = int.from_bytes(before.raw[offset : offset + 4], sys.byteorder) | bits
    flushing[offset : offset + 4] = word.to_bytes(4, sys.byteorder)  # type: ignore[assignment]
    check_float_state(lambda: None, None)
    try:
        with pytest.raises(AssertionError, match="denormals are flushed"):
            check_float_state(lambda: libm.fesetenv(flushing), None)
    finally:
        libm.fesetenv(before)
    check_float_state(lambda: None, None)


def test_a_changed_register_is_found() -> None:
    reads = iter([0x1F80, 0x9FC0])
    with pytest.raises(AssertionError, match="floating-point state"):
        check_float_state(lambda: None, lambda: next(reads))
