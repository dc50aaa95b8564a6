"""Sizes that no memory holds, and those that are none."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from bound import Kernel
from cases import each_cell
from hostile import HUGE

from fastlstm.kernels import Rows

pytestmark = pytest.mark.pairs


@each_cell
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"recompute": -1}, "recompute is -1"),
        ({"input_size": 0}, "input_size is 0"),
        ({"hidden_size": -5}, "hidden_size is -5"),
        ({"hidden_size": 1 << 63}, f"hidden_size is {1 << 63}"),
        ({"proj_size": -1}, "proj_size is -1"),
        ({"tokens": -1}, "tokens is -1"),
        ({"dtype": np.int32}, "dtype is"),
        ({"dtype": np.float16}, "dtype is"),
    ],
)
def test_sizes_of_the_memory_asked_for(kernel: Kernel, sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        kernel.memory(Rows(4, 3), **{"input_size": 5, "hidden_size": 6, **sizes})


def test_sizes_whose_product_is_more_than_there_is(native_kernel: Kernel) -> None:
    with pytest.raises(
        MemoryError, match="no memory for 4 steps of 3 rows of input size 5, hidden"
    ):
        native_kernel.memory(Rows(4, 3), 5, 1 << 39)
    with pytest.raises(MemoryError, match="no memory for an array of shape"):
        native_kernel.empty((HUGE, HUGE, HUGE), np.float32)


def test_claims_of_a_view(kernel: Kernel) -> None:
    """Rows and steps that no memory holds: y would be as large, and cannot be had."""
    for T, N in ((1 << 20, 1 << 20), (1 << 12, 1 << 30)):
        with pytest.raises((MemoryError, ValueError)):
            kernel.empty((T, N, 6), np.float64)
