"""How near, or equal, results of the harness must be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from cases import TOLERANCE
from harness import Arrays, Case


def assert_close(actual: Arrays, expected: Arrays, dtype: str, isa: str) -> None:
    for name, right in expected.items():
        kind = "gradient" if name.startswith("d") else "output"
        tolerance = TOLERANCE[kind, np.dtype(dtype)]
        error = np.abs(actual[name] - right).max() / max(1.0, np.abs(right).max())
        assert error <= tolerance, f"{isa}: {name} is off by {error:.2e} of its scale"


def assert_same(actual: Arrays, expected: Arrays, names: Iterable[str], what: str) -> None:
    for name in names:
        assert np.array_equal(actual[name], expected[name]), f"{what}: {name} differs"


def assert_same_rows(
    part: Arrays, whole: Arrays, case: Case, picked: Sequence[int], what: str
) -> None:
    """Assert that rows `picked` alone have the bits that they have in the whole batch."""
    for row in [*case.state_names("{}_n"), *case.state_names("d{}0")]:
        assert np.array_equal(part[row], whole[row][picked]), f"{what}: {row} of {picked}"
    for steps in ("y", "dx"):
        if case.in_time(steps):
            assert np.array_equal(part[steps], whole[steps][:, picked]), f"{what}: {steps}"
