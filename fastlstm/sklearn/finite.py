"""Numbers of what an estimator is given, in whatever type they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite

from fastlstm.column_types import as_floats, place_told
from fastlstm.nn.module import Array

# For `check_array`, of which `finite_floats` does the rest: errors of its own name no argument.
ANY_TYPE: dict[str, Any] = {"dtype": None, "ensure_all_finite": False}


def finite_floats(name: str, values: Any, columns: Sequence[str] = ()) -> Array:
    """Return numbers, perhaps written as text, as an array of float32 or float64.

    Raises TypeError or ValueError, which call them by their `name` and that of their column, if one
    is none or not finite.
    """
    found = as_floats(name, values, written=True, columns=columns)
    check_finite(name, found, columns)
    return found


def check_finite(
    name: str,
    values: Array,
    columns: Sequence[str] = (),
    placed: Callable[[tuple[int, ...]], tuple[int, ...]] = tuple,
) -> None:
    """Raise ValueError, which tells where, if a value is not finite.

    `placed` makes of its place in `values` that in what the user gave.
    """
    try:
        assert_all_finite(values, input_name=name)  # in one pass, unless scikit-learn is told not
    except ValueError:
        missing = np.isnan(values)
        wrong = missing if missing.any() else np.isinf(values)
        first = tuple(map(int, np.argwhere(wrong)[0]))
        what = "NaN" if missing.any() else "infinity"
        raise ValueError(
            f"Input {name} contains {what}, first in {name}{place_told(placed(first), columns)}: "
            "leave it out, or put a number there"
        ) from None
