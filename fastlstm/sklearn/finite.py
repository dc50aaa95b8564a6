"""Numbers of what an estimator is given, in whatever type they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.utils import assert_all_finite

from fastlstm.column_types import as_floats
from fastlstm.nn.module import Array

# For `check_array`, of which `finite_floats` does the rest: errors of its own name no argument.
ANY_TYPE: dict[str, Any] = {"dtype": None, "ensure_all_finite": False}


def finite_floats(
    name: str, values: Any, estimator: Any = None, columns: Sequence[str] = ()
) -> Array:
    """Return numbers, perhaps written as text, as an array of float32 or float64.

    Raises TypeError or ValueError, which call them by their `name` and that of their column, if one
    is none or not finite.
    """
    found = as_floats(name, values, written=True, columns=columns)
    maker = None if estimator is None else type(estimator).__name__
    assert_all_finite(found, input_name=name, estimator_name=maker)
    return found
