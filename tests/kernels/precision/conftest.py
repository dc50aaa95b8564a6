"""Each test that takes `kernel` runs in bfloat16 and in int8, with all that rounds factors so."""

from __future__ import annotations

import numpy as np
import pytest
from bound import Kernel
from rounded import rounded_kernel

from fastlstm.kernels import PRECISIONS


@pytest.fixture(params=[name for name in PRECISIONS if name != "float32"])
def precision(request: pytest.FixtureRequest) -> str:
    """The name of a lower precision."""
    name: str = request.param
    return name


@pytest.fixture
def kernel(cell: str, rounding_isa: str, precision: str) -> Kernel:
    return rounded_kernel(cell, rounding_isa, precision)


@pytest.fixture
def bfloat16_kernel(cell: str, rounding_isa: str) -> Kernel:
    return rounded_kernel(cell, rounding_isa, "bfloat16")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
