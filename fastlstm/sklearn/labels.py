"""Labels that are missing, or that NumPy would change without a warning."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastlstm.counts import count_of
from fastlstm.kernels.masked import refuse_masked

_LISTED = 5  # rows that an error names


def check_labels(y: Any) -> None:
    """Raise ValueError if labels are missing (None, NaN, masked), or text beside other types.

    In an array of text NaN would be a class "nan", and 1 and 1.0 two classes.
    """
    refuse_masked("y", y)
    if isinstance(y, np.ndarray) and y.dtype.kind not in "Of" or not hasattr(y, "__len__"):
        return  # its values are of one type, which has none that is missing
    if isinstance(y, (str, bytes)) or getattr(y, "ndim", 1) != 1:
        return  # no list of labels: scikit-learn says so
    values = list(y)
    missing = [n for n, value in enumerate(values) if _is_missing(value)]
    if missing:
        rows = ", ".join(map(str, missing[:_LISTED])) + (", ..." if missing[_LISTED:] else "")
        raise ValueError(
            f"Input y contains NaN or None, in {count_of(len(missing), 'row')} ({rows}): leave "
            "them out"
        )
    texts = [isinstance(value, str) for value in values]
    if True in texts and False in texts:
        one, other = values[texts.index(True)], values[texts.index(False)]
        raise ValueError(
            f"y has text such as {one!r:.50} and other labels such as {other!r:.50}; expected "
            "labels of one type"
        )


def plain_labels(y: Any) -> Any:
    """Return labels that are checked as NumPy has them: scikit-learn reads Int64 as floats.

    Raises ValueError for objects that are no text, of which scikit-learn makes no classes.
    """
    if not hasattr(y, "__len__") or getattr(y, "ndim", 1) != 1:
        return y
    array = np.asarray(y)
    if array.dtype.kind in "biu":
        return array
    if array.dtype.kind != "O" or array.ndim != 1 or not len(array) or isinstance(array[0], str):
        return y
    kinds = {type(value) for value in array.tolist()}
    whole = next((kind for kind in (bool, int, float) if kinds == {kind}), str)
    raise ValueError(
        f"Unknown label type: y[0] is {array[0]!r:.50}, in an array of objects, expected text, "
        f"numbers, or True and False: give y.astype({whole.__name__})"
    )


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ == "NAType":  # of pandas
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))
