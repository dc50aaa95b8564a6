"""Both sides must compute the same before either is timed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from benchmarks.problem import Array, Arrays
from benchmarks.shapes import Case
from benchmarks.sides import PEERS, Results, Side, build

# Largest difference allowed, as the design promises: of outputs (relative to the largest value
# where that is above 1), and of gradients relative to the largest value of the array. In lower
# precision the sides round different things, torch its states too: a wrong layer is far off still.
OUTPUT = {"float32": 1e-5, "float64": 1e-10, "bfloat16": 0.1, "int8": 0.1}
GRADIENT = {"float32": 1e-4, "float64": 1e-10, "bfloat16": 0.2}


class Mismatch(AssertionError):
    """The sides differ, so there is nothing to time."""


class Difference(NamedTuple):
    """The largest difference of any output, and of any gradient relative to its scale.

    None for the gradients of a mode that has none.
    """

    outputs: float
    gradients: float | None


def check(
    case: Case, threads: int, arrays: Arrays | None = None, against: str = "torch"
) -> Difference:
    """Build both sides, exchange their weights if both can, compare all they compute.

    Raises
    ------
    Mismatch
        If any output or gradient differs by more than is allowed; names it.
    """
    fast, other = (build(side, case, threads, arrays) for side in ("fastlstm", against))
    _exchange(fast, other)
    return compare(fast.results(), other.results(), case, against)


def compare(actual: Results, expected: Results, case: Case, against: str = "torch") -> Difference:
    """Return how far `actual` is from `expected`; raises `Mismatch` as `check` does."""
    what = str(case), PEERS[against]
    outputs = largest(actual.outputs, expected.outputs, OUTPUT[case.rounding], 1.0, *what)
    limit = GRADIENT.get(case.rounding, 0.0)  # nothing has gradients in int8
    gradients = largest(actual.gradients, expected.gradients, limit, 0.0, *what)
    return Difference(outputs, gradients if expected.gradients else None)


def _exchange(fast: Side, other: Side) -> None:
    """Load each side's state_dict into the other: names, layouts and values must fit."""
    if fast.model is None or other.model is None:
        return
    before: dict[str, Any] = other.model.state_dict()
    own: Arrays = fast.model.state_dict()
    as_tensors = {name: before[name].new_tensor(value) for name, value in own.items()}
    fast.model.load_state_dict(before)
    other.model.load_state_dict(as_tensors)


def largest(
    actual: dict[str, Array],
    expected: dict[str, Array],
    allowed: float,
    scale: float,
    case: str,
    other: str,
    side: str = "fastlstm",
) -> float:
    """Return the largest difference, relative to an array's largest value, `scale` at least.

    Raises
    ------
    Mismatch
        If it is more than `allowed`; names the array.
    """
    if actual.keys() != expected.keys():
        raise Mismatch(f"{case}: {side} gives {sorted(actual)}, {other} {sorted(expected)}")
    worst = 0.0
    for name, value in expected.items():
        if actual[name].shape != value.shape:
            raise Mismatch(
                f"{case}: {name} has shape {actual[name].shape}, {other}'s {value.shape}"
            )
        unit = max(float(np.abs(value).max(initial=0)), scale)
        error = float(np.abs(actual[name].astype(np.float64) - value).max(initial=0))
        if not error <= allowed * unit:  # also where either is NaN
            raise Mismatch(
                f"{case}: {name} differs from {other}'s by {error:.3g} at a scale of {unit:.3g}, "
                f"allowed is {allowed:g} of that"
            )
        worst = max(worst, error / unit if unit else 0.0)
    return worst
