"""Targets of a regression that are no numbers, or not one or several for each sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from fastlstm.column_names import names_of
from fastlstm.column_types import as_array, as_floats, refuse_times
from fastlstm.kernels.masked import refuse_masked
from fastlstm.sklearn.finite import check_finite
from fastlstm.sklearn.weights import Floats


def check_targets(estimator: Any, y: Any) -> Floats:
    """Return targets as float64 [N] or [N, K].

    Raises TypeError or ValueError if they are no finite real numbers, or of another shape.
    """
    refuse_masked("y", y)
    refuse_times("y", y)
    if hasattr(y, "toarray"):
        raise TypeError(f"y is a sparse {type(y).__name__}, expected an array: y.toarray()")
    given = None if y is None else as_array(y)
    if given is not None and given.ndim == 0:
        raise ValueError(f"y is {y!r:.50}, expected numbers of shape (N,) or (N, targets)")
    if given is not None and given.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: y has dtype {given.dtype}, expected real numbers"
        )
    if given is not None and given.dtype.kind == "O":
        given = as_floats("y", given, columns=names_of(y))
    if given is not None and given.dtype.kind == "f":
        check_finite("y", given, names_of(y))
    found = np.asarray(validate_data(estimator, y=given, multi_output=True))
    if found.dtype.kind not in "biuf":
        one = found.ravel()[0].item()
        raise ValueError(f"y has {one!r:.50} of dtype {found.dtype}, expected numbers")
    return found.astype(np.float64)
