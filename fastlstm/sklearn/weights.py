"""How much each row counts: what the user gives, times the weight of its class."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, compute_class_weight

from fastlstm.column_types import refuse_times
from fastlstm.kernels.masked import refuse_masked
from fastlstm.sklearn.finite import ANY_TYPE, finite_floats

Floats = NDArray[np.float64]


def check_weights(sample_weight: Any, count: int) -> Floats | None:
    """Return the weights of `count` rows, float64 [N]; None for none.

    A number is the weight of every row. Raises ValueError if they do not fit, one is negative or
    not finite, or all are 0.
    """
    if sample_weight is None:
        return None
    refuse_masked("sample_weight", sample_weight)
    refuse_times("sample_weight", sample_weight)
    if isinstance(sample_weight, Number):
        sample_weight = np.full(count, sample_weight)
    found = check_array(
        sample_weight, ensure_2d=False, allow_nd=True, ensure_min_samples=0,
        input_name="sample_weight", **ANY_TYPE,
    )  # fmt: skip
    weights: Floats = finite_floats("sample_weight", found).astype(np.float64)
    if weights.shape != (count,):
        raise ValueError(f"sample_weight has shape {weights.shape}, expected ({count},)")
    if (weights < 0).any():
        at = int(np.argmax(weights < 0))
        raise ValueError(
            f"Negative values in data passed to `sample_weight`: sample_weight[{at}] is "
            f"{weights[at]}, expected at least 0"
        )
    if not weights.any():
        raise ValueError("sample_weight is zero for every row: nothing would count")
    return weights


def weights_of_rows(
    class_weight: Any, classes: NDArray[Any], labels: NDArray[np.integer], weights: Floats | None
) -> Floats | None:
    """Return what each row counts, [N]; None if all count alike.

    `labels` are numbers of the sorted `classes`; `weights` are the user's. "balanced" classes have
    equal sums of weights. Raises ValueError for an unknown or an impossible `class_weight`.
    """
    if class_weight is None:
        return weights
    own = np.ones(len(labels)) if weights is None else weights
    if isinstance(class_weight, str) and class_weight == "balanced":
        sums = np.bincount(labels, own, len(classes))
        sums[sums == 0] = np.inf  # of a class that only an earlier fit had
        of_classes = own.sum() / (len(classes) * sums)
    else:
        of_classes = compute_class_weight(class_weight, classes=classes, y=classes[labels])
    if not (np.isfinite(of_classes) & (of_classes >= 0)).all():
        raise ValueError(
            f"class_weight is {class_weight!r}, expected a number of at least 0 for each class"
        )
    rows: Floats = own * of_classes[labels]
    return rows
