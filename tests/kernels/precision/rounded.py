"""Kernels whose products are in lower precision, and cases for them."""

from __future__ import annotations

import pytest
from bound import Kernel
from cases import F32, SMALL, spread

SMALL_F32 = [case.with_dtype(F32) for case in SMALL]
each_case = pytest.mark.parametrize(("cell", "case"), spread(SMALL_F32), ids=str)


def rounded_kernel(cell: str, rounding_isa: str, precision: str) -> Kernel:
    """The kernels of a cell in a precision."""
    return Kernel(cell, rounding_isa.partition("-")[0], precision)
