"""Targets of a regression that are no numbers, or not one or several for each sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from fastlstm.kernels.masked import refuse_masked
from fastlstm.sklearn.weights import Floats


def check_targets(estimator: Any, y: Any) -> Floats:
    """Return targets as float64 [N] or [N, K].

    Raises TypeError or ValueError if they are no finite real numbers, or of another shape.
    """
    refuse_masked("y", y)
    if hasattr(y, "toarray"):
        raise TypeError(f"y is a sparse {type(y).__name__}, expected an array: y.toarray()")
    if y is not None and np.asarray(y).ndim == 0:
        raise ValueError(f"y is {y!r:.50}, expected numbers of shape (N,) or (N, targets)")
    found = np.asarray(validate_data(estimator, y=y, multi_output=True))
    if found.dtype.kind == "O":
        found = _numbers(found)
    if found.dtype.kind not in "biuf":
        one = found.ravel()[0].item()
        raise ValueError(f"y has {one!r:.50} of dtype {found.dtype}, expected numbers")
    return found.astype(np.float64)


def _numbers(found: Any) -> Floats:
    """Return an array of objects as numbers; ValueError names the first that is none."""
    for place, value in np.ndenumerate(found):
        if isinstance(value, str) or not isinstance(value, (int, float, np.number, np.bool_)):
            at = ", ".join(map(str, place))
            raise ValueError(f"y[{at}] is {value!r:.50}, expected a number")
    numbers: Floats = found.astype(np.float64)
    return numbers
